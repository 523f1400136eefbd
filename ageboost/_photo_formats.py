"""What is particular to formats of files: orientation, passes of a JPEG, colours of 16 bits."""

from __future__ import annotations

import re
import struct
import threading
import warnings
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, features

from ageboost._photo_arrays import full_scale
from ageboost._photo_names import is_heif
from ageboost.errors import PhotoTooLargeError

__all__ = [
    "NO_WARNINGS",
    "ORIENTATION",
    "check_passes",
    "decode_plain_jpeg",
    "decode_without_pillow",
    "formats_of",
    "is_upright_colour_jpeg",
    "may_lose_levels",
    "read_deep_colours",
    "turn_upright",
]

# A JPEG may come in passes, each of which costs a walk through all of it; cameras use ten or so.
_MAX_PASSES = 64
# What starts a segment of a JPEG: not a byte 0xff of a pass, nor a marker that has no length.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")

# How a JPEG starts, and the kinds of its segments: the size, the pass of one that comes in one;
# JFIF's header, tables, intervals and comments, which say nothing of how it is to be shown.
_JPEG, _FRAME, _SCAN, _HARMLESS = b"\xff\xd8", 0xC0, 0xDA, {0xE0, 0xDB, 0xC4, 0xDD, 0xFE}
_SHORTEST_FRAME = 10

# Formats that Pillow decodes by itself: no call to an outside program such as Ghostscript.
_FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
if features.check("avif"):
    _FORMATS = (*_FORMATS, "AVIF")
ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Orientations from 5 on swap width and height.
_FIRST_SIDEWAYS = 5
# The upper 8 of 16 bits stay below this where a camera counted to 14 bits or fewer.
_FEWEST_LEVELS = 64


class _WarningsIgnored:
    """Ignores warnings while any thread is inside.

    ``warnings.catch_warnings`` in several threads at once can leave the filters of another thread
    behind for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._stack = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            self._n_inside += 1
            if self._n_inside == 1:
                self._stack.enter_context(warnings.catch_warnings(action="ignore"))

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._stack.close()


NO_WARNINGS = _WarningsIgnored()


def formats_of(content: bytes) -> tuple[str, ...]:
    """Return the formats that Pillow may take a file for."""
    if is_heif(content):
        try:
            import pillow_heif
        except ImportError:
            return _FORMATS
        pillow_heif.register_heif_opener()
        return (*_FORMATS, "HEIF")
    return _FORMATS


def check_passes(content: bytes, name: str) -> None:
    """Refuse a JPEG in so many passes that it would take minutes to decode."""
    if content.count(b"\xff\xda") <= _MAX_PASSES:
        return
    # Not all of these need be passes: a phone may put a film behind the photo.
    n_passes, place = 0, 2
    while (marker := _MARKER.search(content, place)) and marker[1] != b"\xd9":
        n_passes += marker[1] == b"\xda"
        length = content[marker.end() : marker.end() + 2]
        place = marker.end() + int.from_bytes(length, "big")
    if n_passes > _MAX_PASSES:
        raise PhotoTooLargeError(
            f"{name}: a JPEG in {n_passes} passes would take minutes: save it anew"
        )


def may_lose_levels(photo: Image.Image) -> bool:
    """Whether a photo is so dark that it may be one of 10 to 14 bits, of which 8 are left."""
    return int(np.max(np.asarray(photo))) < _FEWEST_LEVELS


def read_deep_colours(content: bytes, shallow: Image.Image) -> Image.Image:
    """Read colours of 16 bits, of which Pillow keeps the upper half, and scale those that count."""
    import cv2  # takes longer to import than most photos to read

    deep = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if deep is None or deep.dtype != np.uint16 or deep.shape[:2] != shallow.size[::-1]:
        return shallow
    scale = full_scale(float(deep.max()), deep.shape[0] * deep.shape[1]) / 255
    levels = np.rint(deep / np.float32(scale)).astype(np.uint8)
    if levels.ndim == 2:
        return Image.fromarray(levels).convert("RGB")
    return Image.fromarray(np.ascontiguousarray(levels[:, :, 2::-1]))


def decode_plain_jpeg(content: bytes) -> npt.NDArray[np.uint8] | None:
    """Decode the photo that most are, a sound colour JPEG, in a third of Pillow's time.

    Both stand on libjpeg-turbo, and give the same pixels.

    Parameters
    ----------
    content : bytes
        Of its file.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8, or None
        None for all that Pillow has to look at more closely.
    """
    try:
        return simplejpeg.decode_jpeg(content)
    except ValueError:
        return None


def decode_without_pillow(
    content: bytes, max_pixels: int, max_side: int | None, name: str
) -> npt.NDArray[np.uint8] | None:
    """Decode a JPEG in which there is no more than a photo.

    Pillow takes longer to look at a small one than it takes to decode it.

    Parameters
    ----------
    content : bytes
        Of a file.
    max_pixels : int
    max_side : int or None
        What is twice as long is to be reduced.
    name : str
        Of the photo, for errors.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8, or None
        None for all that Pillow has to look at.

    Raises
    ------
    PhotoTooLargeError
        If it comes in too many passes.
    """
    width, height = _size_if_plain(content)
    most_pixels = min(max_pixels, Image.MAX_IMAGE_PIXELS or max_pixels)
    if not 0 < width * height <= most_pixels:
        return None
    if max_side is not None and max(width, height) >= 2 * max_side:
        return None
    check_passes(content, name)
    return decode_plain_jpeg(content)


def _size_if_plain(content: bytes) -> tuple[int, int]:
    """Look up width and height; 0 if a photo may have to be turned, or is not in 3 x 8 bits."""
    nothing = 0, 0
    place, size = len(_JPEG), nothing
    if not content.startswith(_JPEG):
        return nothing
    while place + _SHORTEST_FRAME <= len(content) and content[place] == 0xFF:
        kind = content[place + 1]
        if kind == _SCAN:
            return size
        if kind == _FRAME and size == nothing:
            n_bits, height, width, n_colours = struct.unpack_from(">BHHB", content, place + 4)
            if (n_bits, n_colours) != (8, 3):
                return nothing
            size = width, height
        elif kind not in _HARMLESS:
            return nothing
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return nothing


def is_upright_colour_jpeg(opened: Image.Image) -> bool:
    """Whether a photo that is not loaded yet needs no more than to be decoded."""
    return opened.format == "JPEG" and opened.mode == "RGB" and _orientation(opened) not in _TURNS


def turn_upright(
    photo: Image.Image, size: tuple[int, int], opened: Image.Image
) -> tuple[Image.Image, tuple[int, int]]:
    """Turn a photo as the camera noted, and its width and height with it."""
    orientation = _orientation(opened)
    if orientation not in _TURNS:
        return photo, size
    sideways = orientation >= _FIRST_SIDEWAYS
    return photo.transpose(_TURNS[orientation]), size[::-1] if sideways else size


def _orientation(opened: Image.Image) -> Any:
    try:
        return opened.getexif().get(ORIENTATION)
    except (SyntaxError, struct.error, ValueError, KeyError, TypeError, OSError, IndexError):
        # EXIF that cannot be parsed is no reason to lose the photo.
        return None
