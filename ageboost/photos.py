"""From a path, bytes, file, PIL image or array to an upright RGB array."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from ageboost._photo_arrays import array_to_levels, full_scale
from ageboost._photo_formats import (
    NO_WARNINGS,
    ORIENTATION,
    check_passes,
    decode_plain_jpeg,
    decode_without_pillow,
    formats_of,
    is_upright_colour_jpeg,
    may_lose_levels,
    read_deep_colours,
    turn_upright,
)
from ageboost._photo_lists import check_photos, is_reader, iterate_photos
from ageboost._photo_names import (
    hint_for_content,
    hint_for_text,
    photo_name,
    shorten,
)
from ageboost.errors import PhotoTooLargeError, UnreadablePhotoError

__all__ = [
    "Photo",
    "PhotoFile",
    "check_photos",
    "iterate_photos",
    "load_photo",
    "photo_digest",
    "photo_name",
    "read_photo",
    "take_content",
]

MAX_PIXELS = 128_000_000
MAX_SIDE = 2000
# A photo of the most pixels allowed, with 16 bits per channel and no compression, fits in.
_MAX_BYTES = 1_000_000_000
_STRIP_PIXELS = 1_000_000


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        Upright, RGB, perhaps at a reduced scale.
    width, height : int
        Size of the upright photo in its original pixels.
    name : str
        What errors and tables call it.
    """

    pixels: npt.NDArray[np.uint8]
    width: int
    height: int
    name: str

    @property
    def scale(self) -> float:
        """Width of ``pixels`` over the original width."""
        return self.pixels.shape[1] / self.width


@dataclass(frozen=True)
class PhotoFile:
    """What was read of an open file: other than the file, it can be sent to another process.

    Attributes
    ----------
    content : bytes
    name : str
        What errors and tables call it.
    """

    content: bytes
    name: str


def read_photo(
    photo: object, *, max_pixels: int = MAX_PIXELS, max_side: int | None = MAX_SIDE
) -> npt.NDArray[np.uint8]:
    """Read a photo as an upright RGB array.

    The orientation that a camera noted in EXIF, or else in XMP, is applied, transparency is laid on
    white, and 16 bits become 8; where no level of 16 bits is above those of 8, 10, 12 or 14, it is
    these that are scaled. JPEG, PNG, WebP, BMP, TIFF, GIF and PPM are read, AVIF where Pillow can,
    and HEIC where pillow-heif is installed (``pip install "ageboost[heif]"``); of several
    frames, the first. Pipes, devices and files of more than a gigabyte are refused, so that
    whatever is given, reading it ends: a photo of the most pixels allowed takes seconds, and up to
    25 bytes of memory for each pixel.

    Parameters
    ----------
    photo : path, bytes, binary file, PIL image or array
        An array is grey (height, width), RGB (height, width, 3) or RGBA (height, width, 4), or has
        its channels first, of dtype uint8, uint16, or float from 0 to 1 or with levels up to 255.
        OpenCV reads photos as BGR: give ``array[..., ::-1]``. A tensor is taken as its array.
    max_pixels : int, default=128_000_000
        Photos of more pixels are refused before they are decoded. Files of more than twice
        ``PIL.Image.MAX_IMAGE_PIXELS`` are refused whatever this says.
    max_side : int or None, default=2000
        Photos whose longer side is at least twice this are decoded at a half, a quarter, and so on,
        so that the longer side stays at least this long. None keeps the original size.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8

    Raises
    ------
    UnreadablePhotoError
        If the photo is missing, damaged, or not a photo. It names the photo and the way out.
    PhotoTooLargeError
        If it has more than ``max_pixels``.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost import read_photo
    >>> read_photo(np.zeros((20, 30), dtype=np.uint16)).shape
    (20, 30, 3)
    """
    return load_photo(photo, max_pixels=max_pixels, max_side=max_side).pixels


def load_photo(
    photo: object,
    *,
    max_pixels: int = MAX_PIXELS,
    max_side: int | None = MAX_SIDE,
    name: str | None = None,
) -> Photo:
    """Read a photo together with its name and original size.

    Parameters
    ----------
    photo : path, bytes, binary file, PIL image or array
        As for :func:`read_photo`.
    max_pixels : int, default=128_000_000
        As for :func:`read_photo`.
    max_side : int or None, default=2000
        As for :func:`read_photo`.
    name : str, optional
        By default, what :func:`photo_name` says.

    Returns
    -------
    Photo

    Raises
    ------
    UnreadablePhotoError
        If the photo is missing, damaged, or not a photo.
    PhotoTooLargeError
        If it has more than ``max_pixels``.
    """
    name = shorten(photo_name(photo) if name is None else name)
    array = _as_array(photo)
    if array is not None:
        pixels = _array_to_rgb(array, name)
        height, width = pixels.shape[:2]
        _check_size((width, height), max_pixels, name)
        factor = _reduction((width, height), max_side)
        if factor > 1:
            pixels = np.asarray(Image.fromarray(pixels).reduce(factor))
        return Photo(np.ascontiguousarray(pixels), width, height, name)
    content = b""
    try:
        if isinstance(photo, Image.Image):
            return _decode(photo, max_pixels, max_side, name)
        content = _content(photo, name)
        plain = decode_without_pillow(content, max_pixels, max_side, name)
        if plain is not None:
            return Photo(plain, plain.shape[1], plain.shape[0], name)
        # Pillow warns of what we check ourselves, and of rubbish in EXIF, which is harmless.
        with NO_WARNINGS, Image.open(io.BytesIO(content), formats=formats_of(content)) as opened:
            # A phone may put a second photo, of another lens, behind the first: Pillow's MPO.
            if opened.format in ("JPEG", "MPO"):
                check_passes(content, name)
            return _decode(opened, max_pixels, max_side, name, content)
    except UnreadablePhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoTooLargeError(f"{name}: {error}: reduce it first") from error
    except Image.UnidentifiedImageError as error:
        what = hint_for_content(content) or (
            "not a photo: give a JPEG, PNG, WebP, BMP, TIFF, GIF, PPM, AVIF or HEIC file"
        )
        raise UnreadablePhotoError(f"{name}: {what}") from error
    except Exception as error:
        # A decoder given rubbish may raise anything; a batch must go on.
        raise UnreadablePhotoError(
            f"{name}: damaged or cut short ({type(error).__name__}: {shorten(str(error))}): "
            f"copy it again from where it came from"
        ) from error


def take_content(photo: object) -> object:
    """Read an open file here and now; every other photo stays as it is.

    A file cannot be sent to another process, and some can be read only once.

    Parameters
    ----------
    photo : path, bytes, binary file, PIL image or array

    Returns
    -------
    object
        A :class:`PhotoFile` in the place of a file.

    Raises
    ------
    UnreadablePhotoError
        If the file has no content to read.
    """
    if isinstance(photo, Image.Image | np.ndarray) or not is_reader(photo):
        return photo
    name = photo_name(photo)
    return PhotoFile(_content(photo, name), name)


def photo_digest(photo: object) -> str:
    """Digest of a photo's content: the same for a path, its bytes and an open file.

    Parameters
    ----------
    photo : path, bytes, binary file, PIL image or array

    Returns
    -------
    str
        128 bits, hexadecimal.

    Raises
    ------
    UnreadablePhotoError
        If the photo has no content to read.
    """
    digest = hashlib.blake2b(digest_size=16)
    array = _as_array(photo)
    if array is not None:
        photo = array
        if photo.dtype.hasobject:
            raise UnreadablePhotoError(
                f"{photo_name(photo)}: an array of dtype {photo.dtype} is not a photo: "
                f"give uint8, uint16 or float"
            )
        digest.update(f"array {photo.dtype.str} {photo.shape}".encode())
        digest.update(np.ascontiguousarray(photo).view(np.uint8).data)
    elif isinstance(photo, Image.Image):
        try:
            orientation = photo.getexif().get(ORIENTATION, 1)
            digest.update(f"PIL {photo.mode} {photo.size} {orientation}".encode())
            digest.update(str(photo.getpalette()).encode())
            digest.update(photo.tobytes())
        except Exception as error:
            raise UnreadablePhotoError(
                f"{shorten(photo_name(photo))}: {shorten(str(error))}: reload it"
            ) from error
    else:
        digest.update(_content(photo, shorten(photo_name(photo))))
    return digest.hexdigest()


def _as_array(photo: object) -> npt.NDArray | None:
    """Take arrays, and tensors of other libraries as arrays."""
    if isinstance(photo, np.ndarray):
        return photo
    if isinstance(photo, Image.Image | pd.Series | np.generic) or not hasattr(photo, "__array__"):
        return None
    try:
        return np.asarray(photo)
    except Exception as error:
        raise UnreadablePhotoError(
            f"{shorten(photo_name(photo))}: cannot be made an array "
            f"({shorten(str(error))}): give numpy.asarray(...) of it"
        ) from error


def _content(photo: object, name: str) -> bytes:
    """Read the bytes of a photo that is stored in a file."""
    try:
        if isinstance(photo, bytes | bytearray | memoryview):
            content: Any = bytes(photo)
        elif isinstance(photo, PhotoFile):
            content = photo.content
        elif isinstance(photo, str) and (hint := hint_for_text(photo)) is not None:
            raise UnreadablePhotoError(f"{name}: {hint}")
        elif isinstance(photo, str | os.PathLike):
            with open(photo, "rb", opener=_open_at_once) as file:
                _check_regular(file.fileno(), name)
                content = file.read(_MAX_BYTES + 1)
        elif is_reader(photo):
            content = _read_and_rewind(photo)
        else:
            raise UnreadablePhotoError(f"{name}: {_wrong_type(photo)}")
    except UnreadablePhotoError:
        raise
    except FileNotFoundError as error:
        raise UnreadablePhotoError(f"{name}: no such file: check the path") from error
    except IsADirectoryError as error:
        raise UnreadablePhotoError(f"{name}: a folder, not a photo: list its files") from error
    except (OSError, ValueError) as error:
        reason = shorten(str(getattr(error, "strerror", None) or error))
        raise UnreadablePhotoError(f"{name}: cannot be opened: {reason}: check the file") from error
    except Exception as error:
        # A reader of somebody's own may raise anything; a batch must go on.
        raise UnreadablePhotoError(
            f"{name}: cannot be read ({type(error).__name__}: {shorten(str(error))}): "
            f"give its bytes"
        ) from error
    if isinstance(content, bytearray | memoryview):
        content = bytes(content)
    if not isinstance(content, bytes):
        raise UnreadablePhotoError(f"{name}: opened as text: open it with mode 'rb'")
    if len(content) > _MAX_BYTES:
        raise PhotoTooLargeError(f"{name}: more than {_MAX_BYTES:,} bytes: reduce it first")
    if not content:
        raise UnreadablePhotoError(f"{name}: empty, 0 bytes: copy it again from where it came from")
    return content


def _wrong_type(photo: object) -> str:
    """Say that a photo cannot be of this type, and what to give in its place."""
    kind = shorten(type(photo).__name__)
    if isinstance(photo, Mapping):
        known = [key for key in ("bytes", "path", "image") if photo.get(key) is not None]
        way_out = f"give photo[{known[0]!r}]" if known else "give one of its values"
        return f"a photo cannot be a {kind}: {way_out}"
    if isinstance(photo, list | tuple):
        return (
            f"a photo cannot be a {kind}: if it holds levels from 0 to 255, give "
            f"numpy.array(photo, dtype=numpy.uint8); if it holds photos, pass them in one list"
        )
    return (
        f"a photo cannot be a {kind}: "
        f"give a path, bytes, an open binary file, a PIL image or an array"
    )


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting: a pipe that nobody writes to must not stop a run."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _check_regular(descriptor: int, name: str) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UnreadablePhotoError(
            f"{name}: a pipe or a device, not a file: read it yourself, and give its bytes"
        )


def _read_and_rewind(file: Any) -> bytes:
    """Read from where the file stands, and leave it there: it may be read more than once.

    One that stands at its end, since it has just been written or read, is read from its beginning.
    """
    start = file.tell() if _can_seek(file) else None
    content = file.read(_MAX_BYTES + 1)
    if start is not None:
        if not content and start > 0:
            file.seek(0)
            content = file.read(_MAX_BYTES + 1)
        file.seek(start)
    return content


def _can_seek(file: Any) -> bool:
    # Answers of web clients and the like have read(), and nothing else.
    return all(hasattr(file, name) for name in ("seekable", "seek", "tell")) and file.seekable()


def _check_size(size: tuple[int, ...], max_pixels: int, name: str) -> None:
    if len(size) == 2 and size[0] * size[1] > max_pixels:
        raise PhotoTooLargeError(
            f"{name}: {size[0]} x {size[1]} are more than {max_pixels:,} pixels: "
            f"reduce it first, or raise max_pixels"
        )


def _reduction(size: tuple[int, int], max_side: int | None) -> int:
    return 1 if max_side is None else max(1, max(size) // max_side)


def _decode(
    opened: Image.Image,
    max_pixels: int,
    max_side: int | None,
    name: str,
    content: bytes | None = None,
) -> Photo:
    """Decode an image that was given, or one that was opened here from a file's content."""
    size = opened.size
    _check_size(size, max_pixels, name)
    if 0 in size:
        raise UnreadablePhotoError(f"{name}: {size[0]} x {size[1]} pixels: nothing to see in it")
    if content is not None:
        # The decoder of JPEG can leave out a half, three quarters or seven eighths of each side;
        # an image that was given must not become smaller by it.
        factor = _reduction(size, max_side)
        if factor == 1 and is_upright_colour_jpeg(opened):
            plain = decode_plain_jpeg(content)
            if plain is not None:
                return Photo(plain, *size, name)
        opened.draft(None, (max(1, size[0] // factor), max(1, size[1] // factor)))
    opened.load()
    if opened.format == "TIFF":
        # Pillow turns it while it loads it.
        size = opened.size
    photo = _to_rgb(opened)
    if content is not None and opened.format in ("PNG", "TIFF") and may_lose_levels(photo):
        photo = read_deep_colours(content, photo)
    factor = _reduction(photo.size, max_side)
    if factor > 1:
        photo = photo.reduce(factor)
    photo, size = turn_upright(photo, size, opened)
    return Photo(np.asarray(photo), *size, name)


def _to_rgb(photo: Image.Image) -> Image.Image:
    if photo.mode == "RGB" and not photo.has_transparency_data:
        return photo
    if photo.mode.startswith("I") or photo.mode == "F":
        return _by_strips(photo, _wide_to_grey(photo))
    if photo.has_transparency_data:
        return _by_strips(photo, _lay_on_white)
    return photo.convert("RGB")


def _by_strips(photo: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Bring to RGB strip by strip: steps between are larger than the photo."""
    width, height = photo.size
    whole = Image.new("RGB", photo.size)
    n_rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, n_rows):
        strip = photo.crop((0, top, width, min(top + n_rows, height)))
        whole.paste(convert(strip), (0, top))
    return whole


def _lay_on_white(photo: Image.Image) -> Image.Image:
    white = Image.new("RGBA", photo.size, "white")
    return Image.alpha_composite(white, photo.convert("RGBA"))


def _wide_to_grey(photo: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Bring grey levels of 16 or 32 bits to 8: floats from 0 to 1, integers from 0 to 65535.

    Cameras that count to 10, 12 or 14 bits keep these in 16.
    """
    # Unlike max, fmax takes no notice of NaN, which becomes black.
    largest = float(np.fmax.reduce(np.asarray(photo), axis=None))
    unit = photo.mode == "F" and not largest > 1
    full = 1.0 if unit else full_scale(largest, photo.width * photo.height)

    def to_grey(strip: Image.Image) -> Image.Image:
        wide = np.nan_to_num(np.asarray(strip).astype(np.float64)) / full
        return Image.fromarray(np.rint(np.clip(wide, 0, 1) * 255).astype(np.uint8))

    return to_grey


def _array_to_rgb(array: npt.NDArray, name: str) -> npt.NDArray[np.uint8]:
    levels = array_to_levels(array, name)
    if levels.shape[2] == 1:
        return np.repeat(levels, 3, axis=2)
    if levels.shape[2] == 4:
        return np.asarray(_to_rgb(Image.fromarray(np.ascontiguousarray(levels))))
    return levels
