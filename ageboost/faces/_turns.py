"""Photos by quarter turns, and boxes back to where they were."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ageboost.photos import Photo

__all__ = ["TURNS", "box_turned", "turn_photo"]

# Quarter turns against the clock, the likelier first: a camera is held upright or on its side.
TURNS = (1, 3, 2)


def turn_photo(photo: Photo, quarters: int) -> Photo:
    """Turn a photo against the clock.

    Parameters
    ----------
    photo : Photo
    quarters : int
        How many times by 90 degrees.

    Returns
    -------
    Photo
    """
    if quarters % 4 == 0:
        return photo
    size = (photo.height, photo.width) if quarters % 2 else (photo.width, photo.height)
    return Photo(np.rot90(photo.pixels, quarters).copy(), *size, photo.name)


def box_turned(
    box: npt.NDArray[np.float64], quarters: int, width: float, height: float
) -> npt.NDArray[np.float64]:
    """Follow a box while its photo is turned against the clock.

    Parameters
    ----------
    box : ndarray of shape (4,)
        Left, top, right, bottom.
    quarters : int
        How many times by 90 degrees.
    width, height : float
        Of the photo before it is turned, in the units of the box.

    Returns
    -------
    ndarray of shape (4,)
    """
    for _ in range(quarters % 4):
        left, top, right, bottom = box
        box = np.array([top, width - right, bottom, width - left])
        width, height = height, width
    return box
