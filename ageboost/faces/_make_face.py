"""From a box to the record of a face: landmarks, the pixels around it, and how well it is seen."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ageboost.errors import NoFaceError
from ageboost.faces._appearance import look_at
from ageboost.faces._located import Located
from ageboost.faces._turns import box_turned
from ageboost.faces.face import Box, Face, Quality
from ageboost.faces.landmarks import (
    ShapePredictor,
    aspect_from_landmarks,
    box_from_landmarks,
    predict_landmarks,
    roll_from_landmarks,
    yaw_from_landmarks,
)
from ageboost.photos import Photo

__all__ = [
    "is_upright",
    "make_face",
    "measure_appearance",
    "measure_sharpness",
    "place_face",
    "place_landmarks",
]

# A face is kept at this many pixels at most: well above any chip, and a batch stays small.
_KEPT_SIDE = 400
# Surroundings kept on each side of a face, in sides of its box: room for a rotated, padded chip.
_KEPT_MARGIN = 1.1
# Of a turned face so much is put upright for its landmarks, in sides of its box.
_SHOWN = 2.0
# Side of the chip whose sharpness is measured, in pixels.
_SHARP_CHIP = 100
# In degrees: between a tilted head in an upright photo, and an upright one in a photo on its side.
_MOST_TILTED = 30


def make_face(
    photo: Photo,
    quarters: int,
    predictor: ShapePredictor,
    box: npt.NDArray[np.float64],
    score: float,
    appearance: str | os.PathLike[str] | None,
) -> Face:
    """Place a face, and measure all of how well it is seen; parameters are as for the two steps.

    Returns
    -------
    Face
    """
    landmarks = predict_landmarks(predictor, photo.pixels, box)
    face = place_face(photo, quarters, landmarks, box, score)
    return measure_sharpness(measure_appearance(face, appearance))


def place_landmarks(
    predictor: ShapePredictor, photos: Sequence[Photo], located: Sequence[Located]
) -> list[npt.NDArray[np.float64]]:
    """Place the landmarks of faces, each in its photo or, if it is turned, in its part upright.

    Parameters
    ----------
    predictor : ShapePredictor
    photos : sequence of Photo
        The photo of each face.
    located : sequence of Located

    Returns
    -------
    list of ndarray of shape (68, 2) or (5, 2), float64
        In ``photo.pixels``.
    """
    seen = [_stand_up(photo.pixels, one) for photo, one in zip(photos, located, strict=True)]
    placed = predictor.predict([pixels for pixels, _, _ in seen], [box for _, box, _ in seen])
    return [
        points if back is None else points @ back[:, :2].T + back[:, 2]
        for points, (_, _, back) in zip(placed, seen, strict=True)
    ]


def place_face(
    photo: Photo,
    quarters: int,
    landmarks: npt.NDArray[np.float64],
    box: npt.NDArray[np.float64],
    score: float,
) -> Face:
    """Keep the surroundings of a face, and measure of how well it is seen what its place shows.

    Parameters
    ----------
    photo : Photo
        Turned so that the face should be upright.
    quarters : int
        How many times by 90 degrees against the clock.
    landmarks : ndarray of shape (68, 2) or (5, 2)
        In ``photo.pixels``.
    box : ndarray of shape (4,)
        Left, top, right, bottom in ``photo.pixels``.
    score : float
        Confidence of the detector; NaN for a face that the caller located.

    Returns
    -------
    Face
        Its box is in the photo before it was turned; what it looks like, and how sharp it is, is
        not known yet.

    Raises
    ------
    NoFaceError
        If the landmarks fall together.
    """
    if len(landmarks) not in (5, 68):
        raise ValueError(f"the shape predictor gives {len(landmarks)} points: it must give 68 or 5")
    pixels, landmarks = _surroundings(photo.pixels, landmarks)
    if not (np.ptp(landmarks, axis=0).min() > 0):
        raise NoFaceError(f"no face in the box given for {photo.name}: its landmarks fall together")
    original = box_turned(box / photo.scale, -quarters, photo.width, photo.height)
    size = float(math.sqrt(np.prod(original[2:] - original[:2])))
    roll = (roll_from_landmarks(landmarks) + 90 * quarters + 180) % 360 - 180
    quality = Quality(
        size=size,
        sharpness=math.nan,
        yaw=yaw_from_landmarks(landmarks),
        score=score,
        roll=roll,
        aspect=aspect_from_landmarks(landmarks),
    )
    return Face(pixels, landmarks, Box(*original.tolist()), quality)


def measure_appearance(face: Face, appearance: str | os.PathLike[str] | None) -> Face:
    """Add to the quality of a face what it looks like.

    Parameters
    ----------
    face : Face
    appearance : "shipped", path or None
        As for ``FaceFinder``.

    Returns
    -------
    Face
        The same.
    """
    face.quality = face.quality._replace(**look_at(face, appearance))
    return face


def measure_sharpness(face: Face) -> Face:
    """Add to the quality of a face how sharp it is, which no step before this one needs.

    Parameters
    ----------
    face : Face

    Returns
    -------
    Face
        The same.
    """
    grey = cv2.cvtColor(face.chip(_SHARP_CHIP, 0.0), cv2.COLOR_RGB2GRAY)
    sharpness = float(np.sqrt(np.mean(cv2.Laplacian(grey, cv2.CV_32F) ** 2)))
    face.quality = face.quality._replace(sharpness=sharpness)
    return face


def is_upright(face: Face) -> bool:
    """Distinguish a face in a photo on its side from a tilted head, which the next detector finds.

    Parameters
    ----------
    face : Face

    Returns
    -------
    bool
    """
    return abs(roll_from_landmarks(face.landmarks)) <= _MOST_TILTED


def _stand_up(
    pixels: npt.NDArray[np.uint8], located: Located
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
    """Cut out a turned face upright: its pixels, its box in them, and the way back."""
    if not located.roll:
        return pixels, located.box, None
    left, top, right, bottom = located.box.tolist()
    side = (right - left + bottom - top) / 2
    scale = min(1.0, _KEPT_SIDE / side)
    shown = max(1, round(_SHOWN * side * scale))
    turn = cv2.getRotationMatrix2D(((left + right) / 2, (top + bottom) / 2), located.roll, scale)
    turn[:, 2] += shown / 2 - np.array([left + right, top + bottom]) / 2
    part = cv2.warpAffine(pixels, turn, (shown, shown), flags=cv2.INTER_LINEAR)
    low, high = (shown - side * scale) / 2, (shown + side * scale) / 2
    return part, np.array([low, low, high, high]), cv2.invertAffineTransform(turn)


def _surroundings(
    pixels: npt.NDArray[np.uint8], landmarks: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Keep of a photo what chips of the face can need, at a bounded size."""
    left, top, right, bottom = box_from_landmarks(landmarks).tolist()
    side = right - left
    margin = _KEPT_MARGIN * side
    height, width = pixels.shape[:2]
    x0, x1 = (int(min(max(x, 0), width)) for x in (left - margin, right + margin))
    y0, y1 = (int(min(max(y, 0), height)) for y in (top - margin, bottom + margin))
    if x0 >= x1 or y0 >= y1:
        return pixels[:1, :1], np.zeros_like(landmarks)
    kept = pixels[y0:y1, x0:x1]
    landmarks = landmarks - (x0, y0)
    if side > _KEPT_SIDE:
        scale = _KEPT_SIDE / side
        size = (max(1, round(kept.shape[1] * scale)), max(1, round(kept.shape[0] * scale)))
        kept = cv2.resize(kept, size, interpolation=cv2.INTER_AREA)
        return kept, np.rint(landmarks * scale)
    return (kept if kept.shape == pixels.shape else kept.copy()), landmarks
