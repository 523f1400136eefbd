"""Faces cut out of photos: upright chips of many faces, and squares around a box."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ageboost.faces.face import Face

__all__ = ["crop_face", "stack_chips"]


def stack_chips(
    faces: Sequence[Face],
    size: int,
    padding: float = 0.25,
    grey: bool = False,
    n_landmarks: int | None = None,
) -> npt.NDArray[np.uint8]:
    """Cut the same kind of chip out of every face.

    Parameters
    ----------
    faces : sequence of Face of length n_faces, at least one
    size : int
        Side of the chips in pixels.
    padding : float, default=0.25
        Surroundings to include, as a share of the face's size on each side.
    grey : bool, default=False
        Whether to turn colours into grey levels.
    n_landmarks : {5, 68}, optional
        Align by this many landmarks; by default, all that a face has.

    Returns
    -------
    ndarray of shape (n_faces, size, size, 3), or (n_faces, size, size) if grey, uint8
    """
    chips = [face.chip(size, padding, n_landmarks) for face in faces]
    if not grey:
        return np.stack(chips)
    levels = np.empty((len(chips), size, size), np.uint8)
    for chip, grey_chip in zip(chips, levels, strict=True):
        cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY, grey_chip)
    return levels


def crop_face(
    pixels: npt.NDArray[np.uint8], box: Sequence[float], margin: float
) -> npt.NDArray[np.uint8]:
    """Cut out a square around a face, as far as the photo goes.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    box : Box
        In these pixels.
    margin : float
        Surroundings on each side, as a share of the box's side.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        At least one pixel.
    """
    left, top, right, bottom = box
    half = max(right - left, bottom - top) * (0.5 + margin)
    x, y = (left + right) / 2, (top + bottom) / 2
    height, width = pixels.shape[:2]
    x0, y0 = int(np.clip(x - half, 0, width - 1)), int(np.clip(y - half, 0, height - 1))
    x1, y1 = int(np.clip(x + half, x0 + 1, width)), int(np.clip(y + half, y0 + 1, height))
    return pixels[y0:y1, x0:x1]
