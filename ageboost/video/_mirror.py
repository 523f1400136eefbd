"""A face and its mirror image: what a model says of both is steadier than of one."""

from __future__ import annotations

import numpy as np

from ageboost.faces import Face

__all__ = ["mirror_face"]

_FIVE = [2, 3, 0, 1, 4]
# Where each of the 68 points is on the other side: jaw, brows, nose, eyes, mouth.
_SIXTY_EIGHT = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),
    *(59, 58, 57, 56, 55),
    *range(64, 59, -1),
    *(67, 66, 65),
]


def mirror_face(face: Face) -> Face:
    """Swap left and right.

    Parameters
    ----------
    face : Face

    Returns
    -------
    Face
        With the same box and quality.
    """
    order = _FIVE if len(face.landmarks) == len(_FIVE) else _SIXTY_EIGHT
    landmarks = face.landmarks[order]
    landmarks[:, 0] = face.pixels.shape[1] - 1 - landmarks[:, 0]
    return Face(np.ascontiguousarray(face.pixels[:, ::-1]), landmarks, face.box, face.quality)
