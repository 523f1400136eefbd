"""How a photo is searched with dlib's detectors: as it is, turned, and ever more closely."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from ageboost.faces._boxes import views_of_boxes
from ageboost.faces._cnn_detector import find_with_cnn
from ageboost.faces._first_scan import (
    Detection,
    detect,
    detect_filling,
    detect_main,
    prominence,
    with_border,
)
from ageboost.faces._located import Located, Search, View, bounded, one_face, shows_nothing
from ageboost.faces._turns import TURNS, turn_photo, turn_pixels
from ageboost.photos import Photo

__all__ = ["views_by_dlib"]

# A group in a photo of so many pixels and more, whose smallest face is hardly larger than the
# detector's window: there may be others that are smaller still. At this scale creases of cloth pass
# for faces more often, mostly with confidences close to 0: what is added has to be surer.
_GROUP_SIDE, _SMALL_FACE, _SURE = 400, 100, 0.5


def views_by_dlib(photo: Photo, search: Search) -> Iterator[View]:
    """Yield what can be seen in a photo, the likeliest first, each only if it is asked for.

    Parameters
    ----------
    photo : Photo
    search : Search

    Yields
    ------
    View
    """
    threshold = search.threshold
    pixels, scale = bounded(photo.pixels, search.max_side)
    if shows_nothing(pixels):
        return
    main = detect_main(pixels, threshold) if search.main_only else None
    upright = [main] if main is not None else detect_filling(pixels, threshold)
    if upright:
        beside = [] if search.main_only else _detect_smaller(photo, pixels, upright, threshold)
        yield View(0, photo, _in_photo(upright, scale), beside=_in_photo(beside, scale))
    turned: list[tuple[float, int, list[Detection]]] = []
    for quarters in TURNS:
        view = turn_pixels(pixels, quarters)
        # The second detector finds one that fills the frame, for less.
        if found := detect(view, 0, threshold):
            best = max(prominence(*one) for one in found)
            turned.append((best, quarters, found))
    for _, quarters, found in sorted(turned, key=lambda one: -one[0]):
        located = _in_photo(found, scale)
        yield View(quarters, turn_photo(photo, quarters), located, any_tilt=False)
    if upright:
        return
    if found := _detect_with_border(pixels, threshold):
        yield View(0, photo, _in_photo(found, scale))
    elif search.use_cnn and (found := find_with_cnn(pixels, threshold)):
        # Its boxes are about as good whichever way the face is turned.
        yield from views_of_boxes(photo, _in_photo(found, scale), search.landmarks)
    elif found := _detect_enlarged(photo, search):
        yield View(0, photo, _in_photo(found, 1))


def _in_photo(found: list[Detection], scale: float) -> list[Located]:
    return [Located(box / scale, score) for box, score in found]


def _detect_with_border(pixels: npt.NDArray[np.uint8], threshold: float) -> list[Detection]:
    framed, border = with_border(pixels)
    return [(box - border, score) for box, score in detect(framed, 1, threshold)]


def _detect_smaller(
    photo: Photo, pixels: npt.NDArray[np.uint8], found: list[Detection], threshold: float
) -> list[Detection]:
    """Look at a group at twice the scale, for faces that are too small beside those found."""
    height, width = pixels.shape[:2]
    smallest = min(math.sqrt((box[2] - box[0]) * (box[3] - box[1])) for box, _ in found)
    if len(found) < 2 or max(height, width) < _GROUP_SIDE or smallest >= _SMALL_FACE:
        return []
    view = cv2.resize(photo.pixels, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    larger = [(box / 2, score) for box, score in detect(view, 0, threshold + _SURE)]
    return [
        (box, score) for box, score in larger if not any(one_face(box, one) for one, _ in found)
    ]


def _detect_enlarged(photo: Photo, search: Search) -> list[Detection]:
    """Look for small faces in a photo that was made smaller for all that came before."""
    height, width = photo.pixels.shape[:2]
    enlarge = search.enlargement(height, width)
    if enlarge == 0:
        return []
    size = (round(width * enlarge), round(height * enlarge))
    view = cv2.resize(photo.pixels, size, interpolation=cv2.INTER_LINEAR)
    return [(box / enlarge, score) for box, score in detect(view, 0, search.threshold)]
