"""BlazeFace, a small network that finds faces and says where their eyes, nose and mouth are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["STEP", "Sight", "scan"]

#: Sides of what it looks at are multiples of this, in pixels.
STEP = 16
# Anchors: how far apart they stand, in pixels, and how many in each place.
_ANCHORS = ((8, 2), (16, 6))
# Of two boxes that share more of their union than this, both are around one face.
_SAME = 0.3


class Sight(NamedTuple):
    """What the network takes for a face.

    Attributes
    ----------
    box : ndarray of shape (4,)
        Left, top, right, bottom: from the brows to the chin, however the face is turned.
    points : ndarray of shape (6, 2)
        Of an upright face: the eye on the left of the photo and that on the right, the tip of the
        nose, the middle of the mouth, the ear on the left and that on the right.
    score : float
        The logit of being a face.
    """

    box: npt.NDArray[np.float64]
    points: npt.NDArray[np.float64]
    score: float

    @property
    def centre(self) -> npt.NDArray[np.float64]:
        """Middle of the box."""
        return (self.box[:2] + self.box[2:]) / 2

    @property
    def side(self) -> float:
        """Side of the box, in pixels."""
        left, top, right, bottom = self.box.tolist()
        return math.sqrt(max((right - left) * (bottom - top), 0))

    @property
    def roll(self) -> float:
        """How far the line through the eyes is turned clockwise, in degrees."""
        across, down = (self.points[1] - self.points[0]).tolist()
        return math.degrees(math.atan2(down, across))

    def moved(self, matrix: npt.NDArray[np.float64]) -> Sight:
        """Follow it through a turn, a scale and a shift; the box keeps its size but for the scale.

        Parameters
        ----------
        matrix : ndarray of shape (2, 3)
        """
        scale = math.hypot(*matrix[:, 0].tolist())
        centre = matrix[:, :2] @ self.centre + matrix[:, 2]
        half = scale * (self.box[2:] - self.box[:2]) / 2
        points = self.points @ matrix[:, :2].T + matrix[:, 2]
        return Sight(np.concatenate([centre - half, centre + half]), points, self.score)


def scan(pixels: npt.NDArray[np.uint8], least: float) -> Iterator[Sight]:
    """Find what looks like a face, of 15 pixels or more.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        RGB; both sides are multiples of ``STEP``.
    least : float
        Least logit.

    Yields
    ------
    Sight
        One for each face, the surest first.

    References
    ----------
    V. Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs",
    arXiv:1907.05047, 2019.
    """
    height, width = pixels.shape[:2]
    blob = cv2.dnn.blobFromImage(pixels, 1 / 127.5, (width, height), (127.5,) * 3)
    [numbers], [logits] = _session().run(["boxes", "scores"], {"photo": blob})
    rows = np.flatnonzero(logits > least)
    if len(rows):
        scores = logits.ravel()[rows].astype(np.float64)
        order = np.argsort(-scores, kind="stable")
        rows = rows[order]
        # A centre, two sides and six points, which count from an anchor but for the sides.
        yield from _one_of_each(numbers[rows] + _anchors(height, width)[rows], scores[order])


def _one_of_each(
    places: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]
) -> Iterator[Sight]:
    """Take means of what overlaps, weighted by how likely each is: steadier than the best."""
    halves = places[:, 2:4] / 2
    low, high = places[:, :2] - halves, places[:, :2] + halves
    areas = places[:, 2] * places[:, 3]
    weights = 1 / (1 + np.exp(-scores))
    while len(scores):
        sides = np.minimum(high[0], high) - np.maximum(low[0], low)
        np.maximum(sides, 0, out=sides)
        common = sides[:, 0] * sides[:, 1]
        same = common > _SAME * (areas[0] + areas - common)
        same[0] = True
        mean = weights[same] @ places[same] / np.add.reduce(weights[same])
        box = np.concatenate([mean[:2] - mean[2:4] / 2, mean[:2] + mean[2:4] / 2])
        yield Sight(box, mean[4:].reshape(6, 2), float(scores[0]))
        if same.all():
            return
        places, low, high, areas, weights, scores = (
            rows[~same] for rows in (places, low, high, areas, weights, scores)
        )


@lru_cache(maxsize=16)
def _anchors(height: int, width: int) -> npt.NDArray[np.float64]:
    """Compute what to add to the network's numbers, in the order of its answers."""
    kinds = []
    for step, count in _ANCHORS:
        down, across = np.mgrid[0 : height // step, 0 : width // step]
        places = (np.stack([across, down], axis=-1).reshape(-1, 2) + 0.5) * step
        kinds.append(np.repeat(places, count, axis=0))
    anchors = np.tile(np.concatenate(kinds), 8)
    anchors[:, 2:4] = 0
    return anchors


@lru_cache(maxsize=1)
def _session() -> InferenceSession:
    from ageboost._onnx import make_session

    return make_session((files("ageboost.faces") / "weights" / "blazeface.onnx").read_bytes())
