"""Boxes to tracks: where each person should be by now, and which box is whose."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

__all__ = ["Trace", "assign", "crowded", "overlap"]

# How much of what is new is believed, of places and of speeds.
_PLACE_GAIN, _SIZE_GAIN, _SPEED_GAIN = 0.7, 0.4, 0.35
# A face that two tracks claim says little about the speed of either.
_SPEED_GAIN_IN_CROWD = 0.05
# Who is not seen is not expected to go on for ever.
_LONGEST_COAST = 1.0
# How far from where it should be a face may be, in sides: at once, and for each second unseen.
_REACH, _REACH_PER_SECOND, _LONGEST_REACH = 0.6, 1.0, 1.6
# How much a face may seem to grow or shrink, as a logarithm.
_GROWTH = 0.45
_FORBIDDEN = 1e6
_CROWDED = 0.1

Boxes = npt.NDArray[np.float64]


@dataclass
class Trace:
    """Where a face is, how large, and how it moves.

    Attributes
    ----------
    centre, speed : ndarray of shape (2,)
        Pixels; pixels a second.
    side : float
        Pixels.
    seen : float
        Seconds of the frame in which it was last seen.
    """

    centre: npt.NDArray[np.float64]
    side: float
    seen: float
    speed: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def start(cls, box: Boxes, seconds: float) -> Trace:
        """Begin at a box."""
        centre, side = _place(box)
        return cls(centre, side, seconds)

    def predict(self, seconds: float) -> Boxes:
        """Give the box in which the face should be.

        Returns
        -------
        ndarray of shape (4,)
            Left, top, right, bottom.
        """
        centre = self.centre + self.speed * min(seconds - self.seen, _LONGEST_COAST)
        return np.concatenate([centre - self.side / 2, centre + self.side / 2])

    def update(self, box: Boxes, seconds: float, in_crowd: bool) -> None:
        """Learn from a box in which the face was found."""
        passed = max(seconds - self.seen, 1e-3)
        expected = self.centre + self.speed * min(passed, _LONGEST_COAST)
        centre, side = _place(box)
        off = centre - expected
        # Boxes jump by a pixel or two: after a short time that is no speed.
        gain = _SPEED_GAIN_IN_CROWD if in_crowd else _SPEED_GAIN * min(1.0, passed / 0.08)
        self.speed = self.speed + gain * off / max(passed, 0.08)
        self.centre = expected + _PLACE_GAIN * off
        self.side += _SIZE_GAIN * (side - self.side)
        self.seen = seconds


def assign(traces: list[Trace], boxes: Boxes, seconds: float) -> list[int]:
    """Find the box of each trace, so that all together fit best.

    Parameters
    ----------
    traces : list of Trace of length n_traces
    boxes : ndarray of shape (n_boxes, 4)
    seconds : float
        Time of the frame.

    Returns
    -------
    list of int of length n_traces
        The number of its box; -1 for a trace that has none.
    """
    found = [-1] * len(traces)
    if not traces or not len(boxes):
        return found
    expected = np.array([trace.predict(seconds) for trace in traces])
    sides = np.array([trace.side for trace in traces])
    unseen = np.array([seconds - trace.seen for trace in traces])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    off = (expected[:, :2] + expected[:, 2:])[:, None] / 2 - centres
    away = np.linalg.norm(off, axis=2) / sides[:, None]
    growth = np.abs(np.log(np.sqrt(_area(boxes)) / sides[:, None]))
    cost = 1 - overlap(expected, boxes) + 0.5 * away + growth
    reach = np.minimum(_REACH + _REACH_PER_SECOND * unseen, _LONGEST_REACH)
    cost[(away > reach[:, None]) | (growth > _GROWTH)] = _FORBIDDEN
    for row, column in zip(*linear_sum_assignment(cost), strict=True):
        if cost[row, column] < _FORBIDDEN:
            found[row] = int(column)
    return found


def crowded(traces: list[Trace], seconds: float) -> npt.NDArray[np.bool_]:
    """Say of each trace whether another should be in the same place.

    Returns
    -------
    ndarray of shape (n_traces,), bool
    """
    if len(traces) < 2:
        return np.zeros(len(traces), dtype=bool)
    expected = np.array([trace.predict(seconds) for trace in traces])
    shared = overlap(expected, expected)
    np.fill_diagonal(shared, 0)
    return shared.max(axis=1) > _CROWDED


def overlap(first: Boxes, second: Boxes) -> npt.NDArray[np.float64]:
    """Intersection over union.

    Parameters
    ----------
    first : ndarray of shape (n_first, 4)
    second : ndarray of shape (n_second, 4)

    Returns
    -------
    ndarray of shape (n_first, n_second)
        From 0 (apart) to 1 (the same).
    """
    start = np.maximum(first[:, None, :2], second[None, :, :2])
    end = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(end - start, 0), axis=2)
    return shared / (_area(first)[:, None] + _area(second)[None] - shared)


def _area(boxes: Boxes) -> npt.NDArray[np.float64]:
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def _place(box: Boxes) -> tuple[npt.NDArray[np.float64], float]:
    return (box[:2] + box[2:]) / 2, float(np.sqrt(_area(box[None])[0]))
