"""What `scale.py` sends to other processes, which import it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ageboost import AgeEstimator, load_pretrained
from ageboost.faces import Face
from ageboost.features import ExtractedBatch
from ageboost.features._base import FaceTransformer
from ageboost.models._face_table import faces_table


class Sleep:
    """In the place of a finder of faces: each photo takes its time, and no processor's."""

    def __init__(self, seconds: float, face: Face):
        self.seconds, self.face = seconds, face

    def find_each(self, photos: Sequence[object], **options: object) -> list[list[Face]]:
        time.sleep(self.seconds * len(photos))
        return [[self.face] for _ in photos]


class Nothing(FaceTransformer):
    """Features that cost nothing."""

    def _transform(self, faces: Sequence[Face]) -> np.ndarray:
        return np.zeros((len(faces), 1), dtype=np.float32)

    def _feature_names(self) -> list[str]:
        return ["nothing"]


class SameTable:
    """In the place of a regressor: as many bytes as a model has, and the table of a batch."""

    def __init__(self, n_bytes: int):
        self.model = os.urandom(n_bytes)
        self.row = [0, 1.0, 1.0, 1.0, 1.0, 30.0, 20.0, 40.0, 0.9, True, 0.5, "ok", ""]

    def __call__(self, batch: ExtractedBatch) -> pd.DataFrame:
        return faces_table([(name, *self.row) for name in batch.names])


def processor_seconds() -> float:
    """Processor time of this process so far."""
    return time.process_time()


def resident_megabytes() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


_models: dict[str, AgeEstimator] = {}


def look_alone(model: str, photos: list[str]) -> tuple[float, int]:
    """Look at photos in a process that knows of no other; return its time and its rows."""
    if model not in _models:
        _models[model] = load_pretrained(model).set_params(n_jobs=1)
    began, n_rows = time.process_time(), 0
    for table in _models[model].analyze_batches(photos):
        n_rows += len(table)
    return time.process_time() - began, n_rows


def repeated(photos: Sequence[str], n_photos: int) -> Iterator[str]:
    """Photos again and again, until there are as many as asked for."""
    for number in range(n_photos):
        yield photos[number % len(photos)]
