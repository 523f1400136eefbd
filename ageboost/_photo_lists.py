"""Lists of photos, as opposed to one photo."""

from __future__ import annotations

import os
from collections.abc import Iterable, KeysView, Mapping, ValuesView

import numpy as np
import pandas as pd
from PIL import Image

from ageboost._photo_names import photo_name, shorten

__all__ = ["check_photos", "is_reader", "iterate_photos"]

_HOLDERS = (list, tuple, set, frozenset, KeysView, ValuesView, np.ndarray, pd.Series, pd.Index)


def check_photos(photos: Iterable[object]) -> list[object]:
    """Check that there is a list of photos, and not one photo.

    Parameters
    ----------
    photos : iterable of photos, or array of shape (n_photos, height, width[, channels])

    Returns
    -------
    list

    Raises
    ------
    TypeError
        If it is a single photo, a table, or nothing that can be gone through.
    ValueError
        If it is an array of numbers of another shape.
    """
    listed = iterate_photos(photos)
    return listed if isinstance(listed, list) else list(listed)


def iterate_photos(photos: Iterable[object]) -> Iterable[object]:
    """Check as :func:`check_photos` does, but leave what makes photos to make them one by one.

    Parameters
    ----------
    photos : iterable of photos, or array of shape (n_photos, height, width[, channels])

    Returns
    -------
    list or iterator
        A list of what holds its photos already.

    Raises
    ------
    TypeError, ValueError
        As for :func:`check_photos`.
    """
    name = shorten(photo_name(photos))
    if isinstance(photos, str | os.PathLike) and os.path.isdir(photos):
        raise TypeError(
            f"{name} is a folder, not a list of photos: pass "
            f"ageboost.datasets.list_photos({shorten(os.fsdecode(photos))!r})"
        )
    if isinstance(photos, str | os.PathLike | bytes | bytearray | Image.Image) or is_reader(photos):
        raise TypeError(f"{name} is one photo: pass a list of photos, [photo]")
    if isinstance(photos, pd.DataFrame):
        raise TypeError("a table is not a list of photos: pass its column, table['photo']")
    if isinstance(photos, Mapping):
        raise TypeError(f"{name} is not a list of photos: pass list(photos.values())")
    if isinstance(photos, np.ndarray) and photos.dtype.kind not in "USO":
        if photos.ndim == 4 or (photos.ndim == 3 and photos.shape[2] not in (1, 3, 4)):
            return list(photos)
        raise ValueError(
            f"an array of shape {photos.shape} is not a list of photos: "
            f"pass [photo], or an array of shape (n_photos, height, width, 3)"
        )
    try:
        return list(photos) if isinstance(photos, _HOLDERS) else iter(photos)
    except TypeError as error:
        raise TypeError(f"{name} is not a list of photos: pass [photo]") from error


def is_reader(photo: object) -> bool:
    """Whether it can be read as an open file."""
    try:
        return hasattr(photo, "read")
    except Exception:
        # A property of somebody's class may do anything.
        return False
