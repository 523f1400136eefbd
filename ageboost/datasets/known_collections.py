"""Which known collections labelled photos are from: their terms bind whoever learns from them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from ageboost.datasets._table import PathLike
from ageboost.datasets.appa_real import labels_name
from ageboost.datasets.fgnet import matches_fgnet
from ageboost.datasets.utkface import matches_utkface

__all__ = ["collections_of"]

_SOURCES = ("fgnet", "london", "congress", "congress_grey")
_APPA_REAL = [labels_name(split) for split in ("train", "valid", "test")]


def collections_of(table: pd.DataFrame, path: PathLike | None = None) -> list[str | None]:
    """Recognise the collections that photos are from, to state the terms of what learns from them.

    By the names of the photos, by the files beside them, and by the sources that
    :func:`read_sources` knows. Photos under other names are not recognised.

    Parameters
    ----------
    table : DataFrame
        As a reader gives it.
    path : path, optional
        What it was read from.

    Returns
    -------
    list of str or None
        Names as for :func:`ageboost.terms.photo_terms`, and None last if there are photos that are
        not recognised.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.datasets import collections_of
    >>> names = ["34_1_2_20170116174525125.jpg.chip.jpg", "staff/ann.jpg"]
    >>> collections_of(pd.DataFrame({"photo": names}))
    ['utkface', None]
    """
    if path is not None and _is_appa_real(Path(path)):
        return ["appa-real"]
    names = [_base_name(photo) for photo in table["photo"]]
    of = np.full(len(names), None, dtype=object)
    if "source" in table:
        known = table["source"].isin(_SOURCES).to_numpy()
        of[known] = table["source"].to_numpy()[known]
    of_fgnet = [matches_fgnet(name) for name in names]
    # Such short names are not unheard of elsewhere: one alone says nothing.
    if 2 * sum(of_fgnet) > len(names):
        of[of_fgnet] = "fgnet"
    of[[matches_utkface(name) for name in names]] = "utkface"
    found = list(dict.fromkeys(of))
    return sorted(found, key=lambda name: name is None)


def _base_name(photo: object) -> str:
    return os.path.basename(os.fspath(photo)) if isinstance(photo, str | os.PathLike) else ""


def _is_appa_real(path: Path) -> bool:
    if path.name in _APPA_REAL:
        return True
    folder = path if path.is_dir() else path.parent
    return (folder / "final_files").is_dir() or any(
        (folder / name).is_file() for name in _APPA_REAL
    )
