"""Photos as bad cameras take them: small, blurred, dark."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt


def degrade(photo: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Make a photo smaller, blur it or darken it, by a little or by much.

    Parameters
    ----------
    photo : ndarray of shape (height, width, 3), uint8
    rng : Generator

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        Of another size where it was made smaller.
    """
    kind = rng.integers(3)
    if kind == 0:
        scale = np.exp(rng.uniform(np.log(0.1), 0))
        photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    elif kind == 1:
        sigma = np.exp(rng.uniform(np.log(0.005), np.log(0.05))) * photo.shape[0]
        photo = cv2.GaussianBlur(photo, (0, 0), sigma)
    else:
        noise = rng.normal(0, 6, photo.shape)
        photo = np.clip(photo * rng.uniform(0.05, 0.5) + noise, 0, 255).astype(np.uint8)
    return photo
