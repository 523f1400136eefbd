"""The regions of a face on its aligned chip, and faces of which a part is covered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ageboost.faces import Face
from ageboost.faces.alignment import chip_transform

__all__ = ["REGIONS", "Frame", "cover_face", "label_regions", "landmark_regions"]

#: Parts of the face in the order of their labels; the last is all that is outside the face.
REGIONS = ("forehead", "eyes", "nose", "mouth", "cheeks", "contour", "surroundings")
_LABELS = {name: label for label, name in enumerate(REGIONS)}

_BACKWARDS = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

# Parts of dlib's 68 landmarks, in their order.
_PARTS_OF_68 = [
    *[("contour", 17), ("eyes", 10), ("nose", 9), ("eyes", 12), ("mouth", 20)],
]
_PARTS_OF_5 = [("eyes", 4), ("nose", 1)]

# Median over 325 frontal faces of UTKFace and their mirror images, in sides of the chip without
# padding. Stands for the shape of a face that has five landmarks, and of the mean face.
# fmt: off
_MEAN_SHAPE = np.array([
    [-0.12, 0.224], [-0.113, 0.385], [-0.093, 0.544], [-0.066, 0.7], [-0.007, 0.846],
    [0.083, 0.977], [0.202, 1.082], [0.338, 1.167], [0.5, 1.191], [0.662, 1.167], [0.798, 1.082],
    [0.917, 0.977], [1.007, 0.846], [1.066, 0.7], [1.093, 0.544], [1.113, 0.385], [1.12, 0.224],
    [-0.011, 0.108], [0.067, 0.038], [0.176, 0.016], [0.288, 0.035], [0.394, 0.077],
    [0.606, 0.077], [0.712, 0.035], [0.824, 0.016], [0.933, 0.038], [1.011, 0.108], [0.5, 0.206],
    [0.5, 0.312], [0.5, 0.417], [0.5, 0.526], [0.374, 0.589], [0.435, 0.61], [0.5, 0.63],
    [0.565, 0.61], [0.626, 0.589], [0.115, 0.221], [0.184, 0.181], [0.266, 0.184], [0.336, 0.237],
    [0.259, 0.249], [0.178, 0.248], [0.664, 0.237], [0.734, 0.184], [0.816, 0.181], [0.885, 0.221],
    [0.822, 0.248], [0.741, 0.249], [0.252, 0.77], [0.345, 0.738], [0.434, 0.722], [0.5, 0.737],
    [0.566, 0.722], [0.655, 0.738], [0.748, 0.77], [0.658, 0.855], [0.571, 0.891], [0.5, 0.897],
    [0.429, 0.891], [0.342, 0.855], [0.29, 0.777], [0.433, 0.774], [0.5, 0.781], [0.567, 0.774],
    [0.71, 0.777], [0.568, 0.806], [0.5, 0.811], [0.432, 0.806],
])
# fmt: on


class Frame(NamedTuple):
    """The chip that explanations are drawn on: its side in pixels, and its padding."""

    size: int
    padding: float

    def pixels_of(self, places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Turn sides of the chip without padding into pixels of this one."""
        return (places + self.padding) / (1 + 2 * self.padding) * self.size

    def landmarks_of(self, face: Face) -> npt.NDArray[np.float64]:
        """Bring a face's landmarks, as many as it has, to pixels of the chip."""
        return _transformed(chip_transform(face.pixels, face.landmarks, *self), face.landmarks)

    def shape_of(self, face: Face | None) -> npt.NDArray[np.float64]:
        """Give 68 points on the chip: those of the mean shape if the face does not have them."""
        if face is None or len(face.landmarks) != 68:
            return self.pixels_of(_MEAN_SHAPE)
        return self.landmarks_of(face)


def landmark_regions(n_landmarks: int) -> list[str]:
    """Name the region of each landmark.

    Parameters
    ----------
    n_landmarks : {68, 5}

    Returns
    -------
    list of str
    """
    parts = _PARTS_OF_68 if n_landmarks == 68 else _PARTS_OF_5
    return [name for name, count in parts for _ in range(count)]


def label_regions(shape: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.uint8]:
    """Divide a chip into the regions of the face.

    Lips and what is between them and the nose are the mouth; brows, lids and the bags beneath them
    are the eyes; the chin and a band along the jaw are the contour. The forehead is as high as most
    are, compared with the nose, and reaches down between the brows. What is left are the cheeks.

    Parameters
    ----------
    shape : ndarray of shape (68, 2)
        Landmarks on the chip.
    size : int
        Side of the chip in pixels.

    Returns
    -------
    ndarray of shape (size, size), uint8
        For each pixel, the position of its region in :data:`REGIONS`.
    """
    labels = np.full((size, size), _LABELS["surroundings"], np.uint8)
    jaw, brows, bridge = shape[:17], shape[17:27], shape[27]
    middle = shape[[30]]
    top = brows[:, 1].mean() - 0.85 * (shape[33, 1] - brows[:, 1].mean())
    ends = (jaw[0] + jaw[16]) / 2
    angles = np.linspace(0, np.pi, 32)[:, None]
    radii = np.array([(jaw[16, 0] - jaw[0, 0]) / 2, ends[1] - top])
    hair = ends + radii * np.hstack([np.cos(angles), -(np.sin(angles) ** 0.6)])
    hair[:, 1] += np.linspace(jaw[16, 1], jaw[0, 1], 32) - ends[1]
    mouth = _grown(shape[48:60], 1.2)

    def paint(name: str, points: npt.NDArray[np.float64], hull: bool = True) -> None:
        corners = np.rint(points).astype(np.int32)
        if hull:
            cv2.fillConvexPoly(labels, cv2.convexHull(corners), _LABELS[name])
        else:
            cv2.fillPoly(labels, [corners], _LABELS[name])

    paint("contour", np.vstack([jaw, hair]), hull=False)
    paint("cheeks", np.vstack([middle + 0.82 * (jaw - middle), brows[::-1]]), hull=False)
    paint("contour", np.vstack([jaw[5:12], mouth[6:], mouth[:1]]), hull=False)
    paint("forehead", np.vstack([hair, brows]), hull=False)
    paint("forehead", np.vstack([brows[4:6], shape[[39, 42]]]))
    for brow, eye in ((shape[17:22], shape[36:42]), (shape[22:27], shape[42:48])):
        width = np.linalg.norm(eye[3] - eye[0])
        bags = eye[[0, 3, 4, 5]] + np.array([0, 0.35 * width])
        outer = np.vstack([_grown(eye, 1.4), bags])
        paint("eyes", np.vstack([_grown(brow, 1.1), outer]))
    paint("mouth", np.vstack([mouth, shape[32:35] + 0.2 * (shape[51] - shape[33])]))
    wings = bridge + 1.2 * (shape[[31, 35]] - bridge)
    root = (bridge + shape[[39, 42]]) / 2
    paint("nose", np.vstack([shape[27:36], wings, root]))
    return labels


def cover_face(face: Face, masks: Iterable[npt.NDArray[np.floating]], frame: Frame) -> list[Face]:
    """Cover parts of a face by what a strong blur leaves of it; landmarks stay.

    Parameters
    ----------
    face : Face
    masks : iterable of ndarray of shape (frame.size, frame.size)
        What to cover on the chip, from 0 (nothing) to 1.
    frame : Frame

    Returns
    -------
    list of Face
        One for each mask.
    """
    transform = chip_transform(face.pixels, face.landmarks, *frame)
    height, width = face.pixels.shape[:2]
    # A quarter of the face: lines, lids and lips go, light and shade stay.
    side = 0.25 * frame.size / (1 + 2 * frame.padding) / np.sqrt(np.linalg.det(transform[:, :2]))
    pixels = face.pixels.astype(np.float32)
    blurred = cv2.GaussianBlur(pixels, (0, 0), max(side / 2, 1))
    covered = []
    for mask in masks:
        spread = cv2.warpAffine(
            mask.astype(np.float32), transform, (width, height), flags=_BACKWARDS
        )
        mixed = pixels + (blurred - pixels) * spread[:, :, None]
        covered.append(
            Face(np.rint(mixed).astype(np.uint8), face.landmarks, face.box, face.quality)
        )
    return covered


def _transformed(
    transform: npt.NDArray[np.float64], points: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return points @ transform[:, :2].T + transform[:, 2]


def _grown(points: npt.NDArray[np.float64], factor: float) -> npt.NDArray[np.float64]:
    middle = points.mean(axis=0)
    return middle + factor * (points - middle)
