"""Boxes of another detector: checked, and moved to where dlib's would be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from ageboost.errors import NoFaceError
from ageboost.faces._located import Located, View
from ageboost.faces._turns import TURNS, box_turned, turn_photo
from ageboost.faces.landmarks import (
    ShapePredictor,
    box_from_landmarks,
    load_predictor,
    predict_landmarks,
)
from ageboost.photos import Photo, shorten

__all__ = ["boxes_in_pixels", "check_boxes", "views_of_boxes"]


def check_boxes(boxes: Iterable[object] | None, n_photos: int) -> list[object]:
    """Check that there is one entry of boxes for each photo.

    Parameters
    ----------
    boxes : iterable of length n_photos, or None
        For each photo, four numbers or several times four; None detects.
    n_photos : int

    Returns
    -------
    list of length n_photos

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    if boxes is None:
        return [None] * n_photos
    listed = list(boxes)
    if len(listed) != n_photos:
        raise ValueError(
            f"boxes has {len(listed)} entries for {n_photos} photos: give one entry per photo, "
            f"None where the photo's faces should be detected"
        )
    return listed


def boxes_in_pixels(photo: Photo, boxes: object) -> npt.NDArray[np.float64]:
    """Check the boxes of one photo, and bring them to its pixels.

    Parameters
    ----------
    photo : Photo
    boxes : array-like of shape (4,) or (n_faces, 4), or None
        None for a box around the whole photo.

    Returns
    -------
    ndarray of shape (n_faces, 4)

    Raises
    ------
    NoFaceError
        If they are no boxes, or one lies outside the photo.
    """
    height, width = photo.pixels.shape[:2]
    if boxes is None:
        return np.array([[0, 0, width, height]], dtype=np.float64)
    try:
        given = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.array([np.nan])
    if given.ndim > 2 or given.shape[-1:] not in ((4,), (0,)) or not np.isfinite(given).all():
        raise NoFaceError(
            f"{photo.name}: boxes={shorten(repr(boxes))} are not numbers (left, top, right, "
            f"bottom): "
            f"give four numbers for each face, in pixels"
        )
    if given.size == 0:
        raise NoFaceError(f"{photo.name}: its list of boxes is empty: leave the photo out")
    given = given.reshape(-1, 4)
    left, top, right, bottom = given.T
    bad = (right <= left) | (bottom <= top) | (right <= 0) | (bottom <= 0)
    bad |= (left >= photo.width) | (top >= photo.height)
    if bad.any():
        raise NoFaceError(
            f"{photo.name}: box {given[bad][0].tolist()} is empty or outside the photo "
            f"({photo.width} x {photo.height}): "
            f"give left, top, right, bottom in pixels of the upright photo"
        )
    return given * photo.scale


def views_of_boxes(photo: Photo, located: list[Located], landmarks: int | str) -> Iterator[View]:
    """See the faces in boxes of another detector, and then in the photo turned.

    Parameters
    ----------
    photo : Photo
    located : list of Located
        Boxes are in ``photo.pixels``.
    landmarks : {68, 5} or path
        As for ``FaceFinder``.

    Yields
    ------
    View
    """
    predictor = load_predictor(landmarks)
    height, width = photo.pixels.shape[:2]
    for quarters in (0, *TURNS):
        turned = turn_photo(photo, quarters)
        refined = [
            one._replace(
                box=_refine_box(
                    predictor, turned.pixels, box_turned(one.box, quarters, width, height)
                )
            )
            for one in located
        ]
        yield View(quarters, turned, refined)


def _refine_box(
    predictor: ShapePredictor, pixels: npt.NDArray[np.uint8], box: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Move another detector's box to where dlib's, on which the predictor was trained, would be."""
    for _ in range(2):
        box = box_from_landmarks(predict_landmarks(predictor, pixels, box))
    return box
