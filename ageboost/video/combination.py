"""Several frames of one person to one age, and how far off that can be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["TrackErrors", "combine_ages", "learnt_errors"]

_FILE = Path(__file__).with_name("track_errors.json")


@dataclass(frozen=True)
class TrackErrors:
    """How errors shrink when several frames of one person are combined.

    An error has a part that all frames of a person share, since it is the face that looks older or
    younger than it is, and a part of each frame's own. Only the second shrinks with more frames.

    Attributes
    ----------
    shared : float
        Share of the variance of errors that frames of one person have in common.
    factor : float
        By how much ranges of single frames of a video have to be widened.

    Examples
    --------
    >>> from ageboost.video.combination import TrackErrors
    >>> errors = TrackErrors(shared=0.8, factor=1.0)
    >>> [round(errors.width(n), 3) for n in (1, 4, 1000)]
    [1.0, 0.922, 0.895]
    """

    shared: float
    factor: float

    def width(self, n_frames: float) -> float:
        """Compute the width of ranges from so many frames, over that from one photo."""
        return self.factor * float(np.sqrt(self.shared + (1 - self.shared) / n_frames))


@lru_cache(maxsize=1)
def learnt_errors() -> TrackErrors:
    """Read what ``benchmarks/video.py learn`` has learnt from clips of known age.

    Returns
    -------
    TrackErrors
    """
    learnt = json.loads(_FILE.read_text("utf-8"))
    return TrackErrors(learnt["shared"], learnt["factor"])


def combine_ages(
    ages: npt.ArrayLike,
    scales: npt.ArrayLike,
    qualities: npt.ArrayLike,
    errors: TrackErrors | None = None,
) -> tuple[float, float]:
    """Combine what frames of one person say.

    Parameters
    ----------
    ages : array-like of shape (n_frames,)
        Years.
    scales : array-like of shape (n_frames,)
        How large an error to expect of each, in years.
    qualities : array-like of shape (n_frames,)
        How well the face can be seen, from 0 to 1.
    errors : TrackErrors, optional
        By default, those of :func:`learnt_errors`.

    Returns
    -------
    age, scale : float
        Years: the age, and how large an error to expect of it, as
        :meth:`ageboost.models.AgeCalibrator.distribution` takes them.

    Examples
    --------
    >>> from ageboost.video.combination import combine_ages
    >>> age, scale = combine_ages([30, 34, 50], [3, 3, 9], [0.9, 0.9, 0.2])
    >>> bool(30 < age < 34) and bool(2 < scale < 5)
    True
    """
    errors = learnt_errors() if errors is None else errors
    ages, scales, qualities = (np.asarray(v, dtype=np.float64) for v in (ages, scales, qualities))
    # A frame that is seen badly, or of which a large error is expected, counts for less.
    weights = np.maximum(qualities, 0.05) / scales**2
    weights /= weights.sum()
    # As many equal frames would be as sure.
    n_equal = 1 / (weights**2).sum()
    scale = float(weights @ scales)
    return float(weights @ ages), scale * errors.width(n_equal)
