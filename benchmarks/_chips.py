"""Aligned chips of all photos, made once and kept in a folder of the user's choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed

from ageboost.errors import PhotoError
from ageboost.faces import FaceFinder

SIDE = 256  # pixels
PADDING = 0.6  # room to turn and shift without showing the black outside


def read_chips(
    table: pd.DataFrame, folder: Path, jobs: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Cut the main face out of each photo; return in which photos there is one."""
    path, found = folder / "chips.npy", folder / "has_face.npy"
    if not found.exists():
        chips = np.lib.format.open_memmap(path, "w+", np.uint8, (len(table), SIDE, SIDE, 3))
        has_face = np.zeros(len(table), dtype=bool)
        parts = np.array_split(np.arange(len(table)), max(1, len(table) // 100))
        photos = table["photo"].to_numpy()
        results = Parallel(jobs, return_as="generator")(delayed(_cut)(photos[p]) for p in parts)
        for part, cuts in zip(parts, results, strict=True):
            for row, chip in zip(part, cuts, strict=True):
                if chip is not None:
                    chips[row], has_face[row] = chip, True
        chips.flush()
        np.save(found, has_face)
    return np.load(path, mmap_mode="r"), np.load(found)


def _cut(photos: npt.NDArray) -> list[npt.NDArray[np.uint8] | None]:
    finder, cuts = FaceFinder(), []
    for photo in photos:
        try:
            cuts.append(finder.find(photo)[0].chip(SIDE, PADDING, 5))
        except PhotoError:
            cuts.append(None)
    return cuts
