"""Where dlib's detector finds the main face, without a look at scales that cannot matter."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import cv2
import dlib
import numpy as np
import numpy.typing as npt

__all__ = ["Detection", "detect", "detect_filling", "detect_main", "prominence", "with_border"]

# dlib's detector looks at windows of 72 or 80 pixels on ever smaller copies of a photo. In each
# copy their edges are at 5, 13, 21, ... pixels. A window of 80 is 81 pixels wide.
_STEP, _FIRST_EDGE, _SPANS = 8, 5, (72, 80)
_LARGEST_WINDOW = 81
_PYRAMID = dlib.pyramid_down(6)
_RATIO = 6 / 5
# The first copy to look at is the smallest whose shorter side is at least this long; if the main
# face is not certain then, the next is larger by so many steps.
_SHORTEST_SIDE = 110
_STEPS_BETWEEN = 4
# Nothing is gained by leaving out less than this.
_FEWEST_STEPS = 2
# A face of this share of a photo's longer side leaves no room for another, unless it is none:
# of 2,983 such windows in UTKFace with at least this confidence, the whole search kept every one.
_FILLS, _SURE_ENOUGH = 0.7, 0.1

Detection = tuple[npt.NDArray[np.float64], float]


# dlib's detector writes into itself while it looks, and lets other threads run meanwhile.
_of_thread = threading.local()


def _detector():
    if not hasattr(_of_thread, "detector"):
        _of_thread.detector = dlib.get_frontal_face_detector()
    return _of_thread.detector


def detect(pixels: npt.NDArray[np.uint8], upsample: int, threshold: float) -> list[Detection]:
    """Find all faces with dlib's frontal detector.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        RGB.
    upsample : int
        How often to double the size first.
    threshold : float
        Least confidence.

    Returns
    -------
    list of (ndarray of shape (4,), float)
        Left, top, right and bottom of each face, and the confidence.
    """
    rectangles, scores, _ = _detector().run(pixels, upsample, threshold)
    return [(_edges(found), score) for found, score in zip(rectangles, scores, strict=True)]


def detect_filling(pixels: npt.NDArray[np.uint8], threshold: float) -> list[Detection]:
    """Find faces, and if there is none, one that fills the frame: with the borders continued.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        RGB.
    threshold : float
        Least confidence.

    Returns
    -------
    list of (ndarray of shape (4,), float)
        As from :func:`detect`.
    """
    if found := detect(pixels, 0, threshold):
        return found
    framed, border = with_border(pixels)
    return [(box - border, score) for box, score in detect(framed, 0, threshold)]


def with_border(pixels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], int]:
    """Continue the borders of a photo outwards.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8

    Returns
    -------
    framed : ndarray of shape (height + 2 * border, width + 2 * border, 3), uint8
    border : int
    """
    border = max(pixels.shape[:2]) // 4
    return cv2.copyMakeBorder(pixels, *(border,) * 4, cv2.BORDER_REPLICATE), border


def detect_main(pixels: npt.NDArray[np.uint8], threshold: float) -> Detection | None:
    """Find the face that is the most prominent of those that :func:`detect` finds.

    Large faces show on small copies of a photo, which take a fraction of the time. Where there is
    one that no smaller face can surpass, or that fills the photo, larger copies are left out. Its
    edges are those that the whole search would give: they are known to the pixel, since windows
    stand in fixed places.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        RGB.
    threshold : float
        Least confidence.

    Returns
    -------
    (ndarray of shape (4,), float) or None
        None if it is not certain which face that is, or whether there is one.
    """
    for steps, copy in _copies(pixels):
        rectangles, scores, _ = _detector().run(copy, 0, threshold)
        found = [
            (_edges(whole), score)
            for rectangle, score in zip(rectangles, scores, strict=True)
            if (whole := _in_photo(rectangle, steps)) is not None
        ]
        largest_unseen = _LARGEST_WINDOW * _RATIO ** (steps - 1)
        if not found or len(found) < len(rectangles):
            continue
        box, score = max(found, key=lambda face: prominence(*face))
        fills = box[2] - box[0] >= _FILLS * max(pixels.shape[:2]) and score >= _SURE_ENOUGH
        if fills or prominence(box, score) > largest_unseen:
            return box, score
    return None


def prominence(box: npt.NDArray[np.float64], score: float) -> float:
    """Size of a face, less for what the detector takes for a face only just.

    Parameters
    ----------
    box : ndarray of shape (4,)
        Left, top, right, bottom.
    score : float
        Confidence of the detector; NaN for a face that the caller located.

    Returns
    -------
    float
        Pixels.
    """
    side = math.sqrt((box[2] - box[0]) * (box[3] - box[1]))
    return side * (1.0 if math.isnan(score) else min(max(score, 0.0), 1.0))


def _copies(pixels: npt.NDArray[np.uint8]) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Yield copies of a photo as dlib makes them, the smallest first, with the steps to each."""
    copies = [pixels]
    while min(copies[-1].shape[:2]) / _RATIO >= _SHORTEST_SIDE:
        copies.append(np.asarray(_PYRAMID(copies[-1])))
    for steps in range(len(copies) - 1, _FEWEST_STEPS - 1, -_STEPS_BETWEEN):
        yield steps, copies[steps]


def _in_photo(rectangle: dlib.rectangle, steps: int) -> dlib.rectangle | None:
    """Compute where a window that was found on a copy is in the photo, without rounding twice."""
    span = rectangle.right() - rectangle.left()
    # Not where it was found on the copy itself: a window on the next larger one may be surer.
    for level in range(1, round(np.log(max(span, 1) / min(_SPANS)) / np.log(_RATIO)) + 2):
        edges = _PYRAMID.rect_down(dlib.drectangle(rectangle), level)
        left, top, right, bottom = (
            round((edge - _FIRST_EDGE) / _STEP) * _STEP + _FIRST_EDGE
            for edge in (edges.left(), edges.top(), edges.right(), edges.bottom())
        )
        window = dlib.rectangle(left, top, right, bottom)
        if {right - left, bottom - top} <= set(_SPANS) and (
            _PYRAMID.rect_up(window, level) == rectangle
        ):
            return _PYRAMID.rect_up(window, level + steps)
    return None


def _edges(rectangle: dlib.rectangle) -> npt.NDArray[np.float64]:
    # dlib counts the last row and column as inside.
    return np.array(
        [rectangle.left(), rectangle.top(), rectangle.right() + 1, rectangle.bottom() + 1],
        dtype=np.float64,
    )
