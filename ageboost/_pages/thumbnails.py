"""Small pictures of faces, for a page that holds them itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import cv2
from joblib import Parallel, delayed
from PIL import Image

from ageboost.errors import PhotoError
from ageboost.faces import Box
from ageboost.faces.chips import crop_face
from ageboost.photos import load_photo

__all__ = ["make_thumbnails"]

_SIDE = 96
_QUALITY = 78


def make_thumbnails(
    photos: Sequence[object], boxes: Sequence[Box | None], n_jobs: int | None = None
) -> list[str]:
    """Make small pictures of the faces, or of whole photos where no face is known.

    Nothing that a camera wrote into the file, such as a place, is taken over.

    Parameters
    ----------
    photos : sequence of length n_photos
    boxes : sequence of Box or None of length n_photos
    n_jobs : int, optional
        Processes; -1 for all cores.

    Returns
    -------
    list of str
        JPEG pictures as data URIs; empty for a photo that cannot be read.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost._pages.thumbnails import make_thumbnails
    >>> make_thumbnails([astronaut()], [None])[0][:22]
    'data:image/jpeg;base64'
    """
    return Parallel(n_jobs=n_jobs, batch_size=16)(
        delayed(_make)(photo, box) for photo, box in zip(photos, boxes, strict=True)
    )


def _make(photo: object, box: Box | None) -> str:
    try:
        loaded = load_photo(photo)
    except PhotoError:
        return ""
    pixels = loaded.pixels
    if box is not None:
        pixels = crop_face(pixels, [edge * loaded.scale for edge in box], margin=0.5)
    scale = _SIDE / max(pixels.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in pixels.shape[1::-1])
    shrunk = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    buffer = io.BytesIO()
    Image.fromarray(shrunk).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
