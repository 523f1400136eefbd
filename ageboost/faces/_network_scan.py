"""How a small network looks at a photo: at a copy of it, and closely at what may be a face."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ageboost.faces._blazeface import STEP, Sight, scan
from ageboost.faces._located import Located, bounded, one_face
from ageboost.faces._turns import turn_pixels

__all__ = [
    "FIRST_SIDE",
    "Copies",
    "dlib_box",
    "face_measures",
    "find_among",
    "look",
    "look_closely",
    "shrink",
]

#: Longer side, in pixels, of the copy of a photo that is looked at first.
FIRST_SIDE = 64
# A closer look needs no larger copy than one of so many times that side: there the smallest face
# that is found, of 15 pixels, has 60.
_CLOSER_SIDES = 4
# What lies outside the photo is black, and so much of it is shown, in pixels.
_BORDER = 8
# A photo of which such a share of levels is darker than this is made brighter, until they are not.
_DARK, _NOT_WHITE = 100, 0.99
# Logits on such a copy: what is worth a closer look, and what needs none if it is upright.
_PERHAPS, _SURE = 0.0, 1.6
# Of a smaller face, in pixels of the copy, a closer look knows better where it is.
_EXACT = 26.0
# What is turned by no more, in degrees, is as upright as it was for the predictors of landmarks.
_UPRIGHT = 15.0
# What is turned further stands upright in the photo turned by a quarter.
_MOST_TURNED = 60.0
# Closer looks: sides of the face and of what is shown, in pixels, and whether as in a mirror.
_CLOSER = ((60, 96, True), (48, 80, False))
_NOT_THERE = -1.0
# The sum of logits of closer looks from which on it is a face, and that of a clear one.
_LEAST, _CLEAR = 1.9, 4.5
# The logit at first sight that goes with a sum of one.
_FIRST_BY_SUM = 2.2
# How far to the right of the middle of the eyes, and how far below, the middle of dlib's box is,
# and its side, in sides of the network's box: by each of ``face_measures``.
_DLIB_BOX = np.array(
    [
        [-0.014, -0.472, 0.970],
        [0.501, 1.185, 0.296],
        [0.073, 0.100, 0.202],
        [0.315, 0.526, -0.334],
        [-0.529, 0.171, -0.129],
    ]
)


class Copies(NamedTuple):
    """A photo at the two sizes at which it is looked at.

    Attributes
    ----------
    small : ndarray of shape (height, width, 3), uint8
        RGB, to find what may be a face.
    close : ndarray of shape (height, width, 3), uint8
        RGB, to look closely at each; all places are in its pixels.
    scale : float
        Pixels of ``close`` to each of the photo.
    gain : float
        By how much a dark one is to be made brighter.
    """

    small: npt.NDArray[np.uint8]
    close: npt.NDArray[np.uint8]
    scale: float
    gain: float

    def turned(self, quarters: int) -> Copies:
        """Turn both against the clock: they are those of the photo that was turned so.

        Parameters
        ----------
        quarters : int
            How many times by 90 degrees.

        Returns
        -------
        Copies
        """
        close = turn_pixels(self.close, quarters)
        return self._replace(small=_shrink_to(close, max(self.small.shape[:2])), close=close)


def shrink(pixels: npt.NDArray[np.uint8], side: int) -> Copies:
    """Make copies of a photo.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        RGB.
    side : int
        Longer side of the small copy, in pixels.

    Returns
    -------
    Copies
    """
    close, scale = bounded(pixels, _CLOSER_SIDES * side)
    small = _shrink_to(close, side)
    return Copies(small, close, scale, _gain(small))


def find_among(
    seen: list[Sight], copies: Copies, threshold: float
) -> tuple[list[Located], list[int]]:
    """Find which of what was seen in a copy of a photo are faces upright to 60 degrees.

    Parameters
    ----------
    seen : list of Sight
        The likeliest first.
    copies : Copies
    threshold : float
        Least confidence: 0 is right, 1 that of a clear face.

    Returns
    -------
    found : list of Located
        Boxes are in pixels of the photo.
    quarters : list of int
        By how many quarters against the clock the photo is to be turned so that what else may be a
        face is upright, the likelier first.
    """
    found: list[Located] = []
    quarters: list[int] = []
    smallest_exact = _EXACT * max(copies.close.shape[:2]) / max(copies.small.shape[:2])
    for sight in seen:
        total = _FIRST_BY_SUM * sight.score
        sure = sight.score >= _SURE and abs(sight.roll) <= _UPRIGHT
        if abs(sight.roll) <= _MOST_TURNED and not (sure and sight.side >= smallest_exact):
            closer, of_closer = look_closely(copies.close, sight, copies.gain)
            # Seen closely, it may turn out to be turned further, or no face if that was not sure.
            if not sure or of_closer > _LEAST:
                sight, total = closer, of_closer
        if abs(sight.roll) > _MOST_TURNED:
            quarters.append(round(sight.roll / 90) % 4)
            continue
        score = (total - _LEAST) / (_CLEAR - _LEAST)
        if score <= threshold:
            continue
        box = dlib_box(sight) / copies.scale
        if not any(one_face(box, other.box) for other in found):
            found.append(Located(box, score, sight.roll if abs(sight.roll) > _UPRIGHT else 0.0))
    return found, list(dict.fromkeys(quarters))


def dlib_box(sight: Sight) -> npt.NDArray[np.float64]:
    """Draw the box that dlib's detector would draw, on which predictors of landmarks were trained.

    Parameters
    ----------
    sight : Sight

    Returns
    -------
    ndarray of shape (4,)
    """
    middle, along, measures = face_measures(sight)
    right, down, size = (sight.side * (measures @ _DLIB_BOX)).tolist()
    centre = middle + right * along + down * np.array([-along[1], along[0]])
    return np.concatenate([centre - size / 2, centre + size / 2])


def face_measures(
    sight: Sight,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Measure a face along its own axes, in sides of the network's box.

    Parameters
    ----------
    sight : Sight

    Returns
    -------
    middle : ndarray of shape (2,)
        Between the eyes, in pixels.
    along : ndarray of shape (2,)
        The direction of the eyes, of length 1.
    measures : ndarray of shape (5,)
        One; the distance between the eyes; how far to the right of their middle, and how far below,
        the tip of the nose is; how far below the mouth is.
    """
    left, right, nose, mouth = sight.points[:4]
    middle, across = (left + right) / 2, right - left
    eyes = max(math.hypot(*across.tolist()), 1e-9)
    along = across / eyes
    down = np.array([-along[1], along[0]])
    apart = [eyes, along @ (nose - middle), down @ (nose - middle), down @ (mouth - middle)]
    return middle, along, np.array([1.0, *(np.array(apart) / sight.side)])


def look(copies: Copies, tilt: float = 0.0) -> list[Sight]:
    """Look at the small copy of a photo.

    Parameters
    ----------
    copies : Copies
    tilt : float, default=0.0
        How far to turn it against the clock, in degrees: faces that are tilted by about as much are
        upright then.

    Returns
    -------
    list of Sight
        Whatever may be a face, the likeliest first, in pixels of the larger copy.
    """
    height, width = copies.small.shape[:2]
    across, down = copies.close.shape[1] / width, copies.close.shape[0] / height
    back = np.array([[across, 0, 0], [0, down, 0]])
    if tilt:
        shown, turn = _tilt(copies.small, tilt)
        back = back[:, :2] @ cv2.invertAffineTransform(turn)
    else:
        (left, right), (top, bottom) = _fill_up(width), _fill_up(height)
        shown = cv2.copyMakeBorder(copies.small, top, bottom, left, right, cv2.BORDER_CONSTANT)
        back[:, 2] = -back[:, :2] @ (left, top)
    return [sight.moved(back) for sight in scan(_brighter(shown, copies.gain), _PERHAPS)]


def _tilt(
    copy: npt.NDArray[np.uint8], tilt: float
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Turn a copy around its middle, with room for its corners."""
    height, width = copy.shape[:2]
    side = math.ceil(math.hypot(height, width) / STEP) * STEP
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), tilt, 1)
    turn[:, 2] += side / 2 - np.array([width, height]) / 2
    return cv2.warpAffine(copy, turn, (side, side)), turn


def look_closely(pixels: npt.NDArray[np.uint8], sight: Sight, gain: float) -> tuple[Sight, float]:
    """Look at what may be a face again, put upright, at two sizes and once as in a mirror.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        RGB.
    sight : Sight
    gain : float
        By how much to make it brighter.

    Returns
    -------
    sight : Sight
        Where it is by the mean of both looks.
    total : float
        The sum of their logits.
    """
    total, seen = 0.0, []
    for face, side, mirrored in _CLOSER:
        to_view = _upright(sight, face, side, mirrored)
        view = _cut_out(pixels, to_view, side)
        close = (one for one in scan(_brighter(view, gain), _NOT_THERE) if _fits(one, face, side))
        one = next(close, None)
        if one is None:
            return sight, 2 * _NOT_THERE
        total += one.score
        there = one.moved(cv2.invertAffineTransform(to_view))
        # In a mirror the left eye is the right one.
        seen.append(there._replace(points=there.points[[1, 0, 2, 3, 5, 4]]) if mirrored else there)
    box = np.mean([one.box for one in seen], axis=0)
    return Sight(box, np.mean([one.points for one in seen], axis=0), total), total


def _fits(sight: Sight, face: int, side: int) -> bool:
    """Whether it is about where the face of a view should be, and as large."""
    away = np.abs(sight.centre - side / 2).max()
    return bool(away < 0.4 * face) and face / 2 < sight.side < 2 * face


def _upright(sight: Sight, face: int, side: int, mirrored: bool) -> npt.NDArray[np.float64]:
    """The turn, scale and shift that bring a face upright to the middle of a view."""
    scale, roll = face / sight.side, math.radians(sight.roll)
    cosine, sine = scale * math.cos(roll), scale * math.sin(roll)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    if mirrored:
        turn[0] *= -1
    return np.column_stack([turn, side / 2 - turn @ sight.centre])


def _cut_out(
    pixels: npt.NDArray[np.uint8], to_view: npt.NDArray[np.float64], side: int
) -> npt.NDArray[np.uint8]:
    """Cut a view out of a photo; where it is made smaller, pixels are averaged first."""
    scale = math.hypot(*to_view[:, 0].tolist())
    if scale < 0.5:
        # Of a large photo, what is around the view alone.
        reach = side / scale * 0.75
        middle = cv2.invertAffineTransform(to_view) @ (side / 2, side / 2, 1)
        x0, y0 = (max(0, math.floor(place - reach)) for place in middle.tolist())
        x1, y1 = (max(0, math.ceil(place + reach)) for place in middle.tolist())
        part = pixels[y0:y1, x0:x1]
        if part.size:
            height, width = part.shape[:2]
            size = max(1, round(width * scale)), max(1, round(height * scale))
            pixels = _resize(part, size)
            to_part = np.array([[width / size[0], 0, x0], [0, height / size[1], y0]])
            to_view = np.column_stack(
                [to_view[:, :2] @ to_part[:, :2], to_view @ (*to_part[:, 2], 1)]
            )
    return cv2.warpAffine(pixels, to_view, (side, side), flags=cv2.INTER_LINEAR)


def _shrink_to(pixels: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Bring the longer side to a length."""
    height, width = pixels.shape[:2]
    ratio = side / max(height, width)
    return _resize(pixels, (max(1, round(width * ratio)), max(1, round(height * ratio))))


def _resize(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Halve a photo as often as it stays larger, which is quick, and bring it to a size then."""
    while pixels.shape[1] >= 2 * size[0] and pixels.shape[0] >= 2 * size[1]:
        half = pixels.shape[1] // 2, pixels.shape[0] // 2
        pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)


def _gain(copy: npt.NDArray[np.uint8]) -> float:
    """By how much a dark photo is to be made brighter."""
    levels = copy.reshape(len(copy), -1)
    n_brighter = cv2.countNonZero(cv2.compare(levels, _DARK - 1, cv2.CMP_GT))
    if levels.size - n_brighter < _NOT_WHITE * levels.size:
        return 1.0
    counts = np.cumsum(np.bincount(levels.ravel(), minlength=256))
    brightest = int(np.searchsorted(counts, _NOT_WHITE * levels.size))
    return 255 / max(brightest, 1)


def _brighter(view: npt.NDArray[np.uint8], gain: float) -> npt.NDArray[np.uint8]:
    return view if gain == 1 else cv2.convertScaleAbs(view, alpha=gain)


def _fill_up(length: int) -> tuple[int, int]:
    """How many pixels to add on either side."""
    more = -(-(length + 2 * _BORDER) // STEP) * STEP - length
    return more // 2, more - more // 2
