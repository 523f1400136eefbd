"""Landmarks to dlib's standard places: how a chip is cut out of a photo."""

from __future__ import annotations

import dlib
import numpy as np
import numpy.typing as npt

__all__ = ["chip_transform", "extract_chip", "five_of_68", "to_detection"]

# dlib's five points, out of its 68: corners of one eye, corners of the other, base of the nose.
_FIVE_OF_68 = [45, 42, 36, 39, 33]


def five_of_68(landmarks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Reduce 68 landmarks to dlib's five; five stay as they are.

    Parameters
    ----------
    landmarks : ndarray of shape (68, 2) or (5, 2)

    Returns
    -------
    ndarray of shape (5, 2)
    """
    return landmarks[_FIVE_OF_68] if len(landmarks) == 68 else landmarks


def extract_chip(
    pixels: npt.NDArray[np.uint8], landmarks: dlib.full_object_detection, size: int, padding: float
) -> npt.NDArray[np.uint8]:
    """Rotate, scale and cut a face so that its landmarks come to dlib's standard places.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        RGB.
    landmarks : dlib.full_object_detection
        As :func:`to_detection` makes it.
    size : int
        Side of the chip in pixels.
    padding : float
        Surroundings to include, as a share of the face's size on each side.

    Returns
    -------
    ndarray of shape (size, size, 3), uint8
    """
    return dlib.get_face_chip(pixels, landmarks, size, padding)


def to_detection(
    pixels: npt.NDArray[np.uint8], landmarks: npt.NDArray[np.float64]
) -> dlib.full_object_detection:
    """Hand landmarks to dlib, which takes longer for 68 of them than for a small chip.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        Where they are.
    landmarks : ndarray of shape (68, 2) or (5, 2)
        x and y, in pixels.

    Returns
    -------
    dlib.full_object_detection
    """
    points = [dlib.point(x, y) for x, y in np.rint(landmarks).astype(int).tolist()]
    height, width = pixels.shape[:2]
    return dlib.full_object_detection(dlib.rectangle(0, 0, width - 1, height - 1), points)


def chip_transform(
    pixels: npt.NDArray[np.uint8],
    landmarks: npt.NDArray[np.float64],
    size: int,
    padding: float,
) -> npt.NDArray[np.float64]:
    """Compute where the pixels of a photo come to lie on a chip.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        RGB.
    landmarks : ndarray of shape (68, 2) or (5, 2)
        x and y, in pixels; the chip is aligned by all of them.
    size : int
        Side of the chip in pixels.
    padding : float
        Surroundings to include, as a share of the face's size on each side.

    Returns
    -------
    ndarray of shape (2, 3)
        The matrix by which x, y, 1 of the photo are multiplied to give x, y of the chip.
    """
    details = dlib.get_face_chip_details(to_detection(pixels, landmarks), size, padding)
    rectangle = details.rect
    centre = np.array([rectangle.left() + rectangle.right(), rectangle.top() + rectangle.bottom()])
    cosine, sine = np.cos(details.angle), np.sin(details.angle)
    scale = (size - 1) / (rectangle.right() - rectangle.left())
    turn = scale * np.array([[cosine, sine], [-sine, cosine]])
    return np.column_stack([turn, (size - 1) / 2 - turn @ (centre / 2)])
