"""The geometry of the landmarks: shape of the face, apart from its place, size and tilt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ageboost.faces import Face
from ageboost.faces.alignment import five_of_68
from ageboost.features._base import FaceTransformer

__all__ = ["LandmarkGeometry"]

_REGIONS_OF_68 = [
    ("jaw", range(17)),
    ("left_brow", range(17, 22)),
    ("right_brow", range(22, 27)),
    ("nose", range(27, 36)),
    ("left_eye", range(36, 42)),
    ("right_eye", range(42, 48)),
    ("mouth", range(48, 68)),
]
_NAMES_OF_5 = [
    "right_eye_outer",
    "right_eye_inner",
    "left_eye_outer",
    "left_eye_inner",
    "nose_base",
]
# The corners of both eyes, outer and inner: left of the photo, then right.
_EYES = {68: ([36, 39], [42, 45]), 5: ([2, 3], [0, 1])}


class LandmarkGeometry(FaceTransformer):
    """Where the landmarks of a face are, once it is upright, centred and scaled.

    The origin is the middle between the eyes, x runs through them, y runs down, and the unit is
    the distance between the eyes. Children have large eyes, small jaws and short noses; in old age
    brows and corners of the mouth sink.

    Parameters
    ----------
    n_landmarks : {68, 5}, default=68
        How many landmarks to use; 68 needs faces that have them. Faces of 68 give 5 if asked.

    References
    ----------
    Y. H. Kwon and N. da Vitoria Lobo, "Age Classification from Facial Images", CVIU 1999.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.faces import FaceFinder
    >>> from ageboost.features import LandmarkGeometry
    >>> geometry = LandmarkGeometry().fit_transform(FaceFinder().find(astronaut()))
    >>> geometry.shape
    (1, 136)
    >>> LandmarkGeometry().get_feature_names_out()[:2].tolist()
    ['jaw0_x', 'jaw0_y']
    """

    def __init__(self, n_landmarks=68):
        self.n_landmarks = n_landmarks

    def _transform(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        self._check()
        if self.n_landmarks == 5:
            points = np.stack([five_of_68(face.landmarks) for face in faces])
        else:
            few = [i for i, face in enumerate(faces) if len(face.landmarks) != 68]
            if few:
                raise ValueError(
                    f"face {few[0]} has {len(faces[few[0]].landmarks)} landmarks, not 68: "
                    f"pass LandmarkGeometry(n_landmarks=5), or FaceFinder(landmarks=68)"
                )
            points = np.stack([face.landmarks for face in faces])
        left, right = (points[:, corners].mean(axis=1) for corners in _EYES[self.n_landmarks])
        # As complex numbers, dividing by the vector between the eyes turns and scales at once.
        z = points[..., 0] + 1j * points[..., 1]
        left, right = left[:, 0] + 1j * left[:, 1], right[:, 0] + 1j * right[:, 1]
        across = np.where(right == left, 1.0, right - left)
        upright = (z - ((left + right) / 2)[:, None]) / across[:, None]
        return np.stack([upright.real, upright.imag], axis=2).reshape(len(faces), -1).astype("f4")

    def _feature_names(self) -> list[str]:
        self._check()
        names = _NAMES_OF_5
        if self.n_landmarks == 68:
            names = [
                f"{region}{i}" for region, points in _REGIONS_OF_68 for i in range(len(points))
            ]
        return [f"{name}_{axis}" for name in names for axis in "xy"]

    def _check(self) -> None:
        if self.n_landmarks not in (5, 68):
            raise ValueError(f"n_landmarks={self.n_landmarks!r}: pass 68 or 5")
