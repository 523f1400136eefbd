"""Where detectors see faces, and how they are asked to look."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ageboost.errors import PhotoError
from ageboost.faces.face import Face
from ageboost.photos import MAX_SIDE, Photo

__all__ = ["Located", "Search", "View", "bounded", "one_face", "shows_nothing"]

# The last look at a large photo is at so many pixels, which takes a second or two.
_LARGEST_VIEW = 8_000_000
_MOST_ENLARGED = 2.0
# It is left out where the photo is small, or the look before was as large.
_LARGE_PHOTO, _LEAST_GAIN = 1_500_000, 1.0
# A view whose levels differ by no more than this shows nothing: a covered or broken camera.
_NOTHING_TO_SEE = 4


class Located(NamedTuple):
    """A face that was found, before its landmarks are placed.

    Attributes
    ----------
    box : ndarray of shape (4,)
        Left, top, right, bottom, as dlib's frontal detector would draw it.
    score : float
        Confidence of the detector; NaN for a face that the caller located.
    roll : float
        How far clockwise the face is turned, in degrees, if its landmarks are to be placed with
        that undone; 0 where they are placed in the photo as it is.
    """

    box: npt.NDArray[np.float64]
    score: float
    roll: float = 0.0


@dataclass(frozen=True)
class View:
    """Faces that were located in a photo turned against the clock by so many quarters."""

    quarters: int
    photo: Photo
    located: list[Located]
    # Whether the detector knows faces that are tilted by half of a right angle. If not, one that is
    # so, or that looks like none in a turned photo, is a sign that it is the wrong view.
    any_tilt: bool = True
    # Faces that a closer look added: none of them is the main one, which is found without it.
    beside: list[Located] = field(default_factory=list)
    # Where they have been placed already, or why they cannot be.
    faces: list[Face] | PhotoError | None = None


class Search(NamedTuple):
    """How a photo is to be looked at: parameters are those of ``FaceFinder``."""

    landmarks: int | str
    max_side: int
    threshold: float
    use_cnn: bool
    main_only: bool

    def enlargement(self, height: float, width: float) -> float:
        """How much larger than a decoded photo its last view is; 0 if there is none."""
        enlarge = min(_MOST_ENLARGED, math.sqrt(_LARGEST_VIEW / (height * width)))
        gain = enlarge * max(height, width) / (2 * self.max_side)
        thin = max(height, width) >= 2 * min(height, width)
        large = height * width >= _LARGE_PHOTO or (thin and max(height, width) >= MAX_SIDE)
        return enlarge if large and gain >= _LEAST_GAIN else 0.0


def bounded(pixels: npt.NDArray[np.uint8], max_side: int) -> tuple[npt.NDArray[np.uint8], float]:
    """Scale a photo down to a bounded size.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    max_side : int
        Of the longer side, in pixels.

    Returns
    -------
    pixels : ndarray of shape (height, width, 3), uint8
    scale : float
        At most 1.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    if scale == 1:
        return pixels, scale
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), scale


def one_face(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
    """Whether the centre of either box is inside the other: of faces side by side none is."""
    return any(
        bool((box[:2] < centre).all() and (centre < box[2:]).all())
        for box, centre in ((one, (other[:2] + other[2:]) / 2), (other, (one[:2] + one[2:]) / 2))
    )


def shows_nothing(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether all of a photo has about the same colour."""
    return bool(np.ptp(pixels[::8, ::8]) <= _NOTHING_TO_SEE and np.ptp(pixels) <= _NOTHING_TO_SEE)
