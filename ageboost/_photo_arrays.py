"""From arrays of any common layout and depth to RGB levels of 8 bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ageboost.errors import UnreadablePhotoError

__all__ = ["array_to_levels", "channels_last", "full_scale"]

_CHANNELS = (1, 3, 4)
# Cameras count to so many bits, and keep their levels in 16.
_DEPTHS = (8, 10, 12, 14, 16)
# So few pixels show no face; their levels say nothing of the depth.
_FEWEST_PIXELS = 1024
# Sums of floats that should be 1 go over it by so little.
_ROUNDING = 1e-3


def channels_last(array: npt.NDArray) -> npt.NDArray:
    """Turn an array of channels x height x width, as networks take it, into a photo's order.

    Parameters
    ----------
    array : ndarray

    Returns
    -------
    ndarray
        Others, and those that are not certain, stay as they are.
    """
    if array.ndim == 3 and array.shape[2] not in _CHANNELS and array.shape[0] in _CHANNELS:
        return array.transpose(1, 2, 0)
    return array


def full_scale(largest: float, n_pixels: int) -> float:
    """Find the level that means white, where levels of 8 to 14 bits may be kept in 16.

    Parameters
    ----------
    largest : float
        The largest level.
    n_pixels : int

    Returns
    -------
    float
        That of the fewest bits in which cameras count so far.
    """
    if n_pixels < _FEWEST_PIXELS or largest <= 0:
        return 65535.0
    return next((2.0**bits - 1 for bits in _DEPTHS if largest < 2**bits), 65535.0)


def array_to_levels(array: npt.NDArray, name: str) -> npt.NDArray[np.uint8]:
    """Check an array, and bring its levels to 8 bits.

    Parameters
    ----------
    array : ndarray
        Grey (height, width), or with 1, 3 or 4 channels last or first.
    name : str
        What errors call it.

    Returns
    -------
    ndarray of shape (height, width, 1, 3 or 4), uint8

    Raises
    ------
    UnreadablePhotoError
        If it is no photo, or it is not clear what its levels mean.
    """
    if array.ndim == 2:
        array = array[:, :, None]
    array = channels_last(array)
    if array.ndim != 3 or array.shape[2] not in _CHANNELS:
        raise UnreadablePhotoError(
            f"{name}: an array of shape {array.shape} is not a photo: "
            f"give (height, width), (height, width, 3) or (height, width, 4)"
        )
    if array.size == 0:
        raise UnreadablePhotoError(f"{name}: an array of shape {array.shape} has no pixels")
    if array.dtype.kind == "f":
        return _float_to_levels(array, name)
    if array.dtype == np.uint16:
        n_pixels = array.shape[0] * array.shape[1]
        scale = full_scale(float(array.max()), n_pixels) / 255
        return np.rint(array / np.float32(scale)).astype(np.uint8)
    if array.dtype == np.uint8:
        return array
    raise UnreadablePhotoError(
        f"{name}: an array of dtype {array.dtype} is not a photo: "
        f"give uint8, uint16 or float, for instance array.astype(np.uint8)"
    )


def _float_to_levels(array: npt.NDArray, name: str) -> npt.NDArray[np.uint8]:
    low, high = float(np.min(array)), float(np.max(array))
    n_pixels = array.shape[0] * array.shape[1]
    if low >= 0 and high <= 1:
        return np.rint(array * np.float32(255)).astype(np.uint8)
    if low >= -_ROUNDING and high <= 1 + _ROUNDING:
        return np.rint(array.clip(0, 1) * np.float32(255)).astype(np.uint8)
    # Levels from 0 to 255 that were made floats: some are far above 1, not just over it.
    if low >= 0 and high <= 255 and n_pixels >= _FEWEST_PIXELS and np.median(array) > 2:
        return np.rint(array).astype(np.uint8)
    problem = "NaN" if np.isnan(low) else f"values from {low:g} to {high:g}"
    raise UnreadablePhotoError(
        f"{name}: a float array must go from 0 to 1, this has {problem}: "
        f"replace NaN, divide levels by 255"
    )
