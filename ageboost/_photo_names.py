"""What photos are called, and what something is that is none, without repeating what is in it."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

__all__ = ["hint_for_content", "hint_for_text", "photo_name", "shorten"]

# Of a path: what Linux opens at most. Of a part of it, in bytes.
_LONGEST_PATH, _LONGEST_PART = 4096, 255
_SEPARATOR = re.compile(rb"[/\\]")
_LONGEST_SHOWN = 160
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")
# How the base64 texts of JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF and HEIC begin.
_BASE64_START = re.compile(
    r"(/9j/[24]|iVBORw0KGgo|R0lGODdh|R0lGODlh|UklGR|Qk[0-3][A-Za-z0-9+/]{5}|SUkqAA|TU0AK|"
    r"AAAA[A-Za-z0-9+/]{2}Z0eX)"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]+")
_SHORTEST_BASE64 = 64


def photo_name(photo: object, position: int | None = None) -> str:
    """Name a photo, for errors and tables.

    Parameters
    ----------
    photo : object
    position : int, optional
        Where it stands in a list, for photos that have no name of their own.

    Returns
    -------
    str
        The path as it was given, the name of a file, or what the object is. Text that is no path,
        such as a photo in base64 or a URL, is described, not repeated.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.photos import photo_name
    >>> photo_name("till3/0412.jpg")
    'till3/0412.jpg'
    >>> photo_name(np.zeros((200, 100, 3)), position=7)
    'photo 7 (array of 100 x 200)'
    >>> photo_name("https://shop.example/now.jpg?token=secret")
    'a URL at shop.example'
    """
    kind = _kind(photo)
    if kind is None:
        for named in (photo, _attribute(photo, "filename"), _attribute(photo, "name")):
            if isinstance(named, str | bytes | os.PathLike) and named:
                path = os.fsdecode(named)
                kind = _kind_of_text(path)
                return path if kind is None else _numbered(kind, position)
        kind = type(photo).__name__[:_LONGEST_SHOWN]
    return _numbered(kind, position)


def shorten(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """Cut out the middle of a text, so that a message stays a message; and keep it on one line.

    Parameters
    ----------
    text : str
    longest : int, default=160

    Returns
    -------
    str
        Characters that cannot be printed are escaped.
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: 2 * longest])
    if len(text) <= longest:
        return text
    tail = (longest - 5) * 2 // 3
    return f"{text[: longest - 5 - tail]} ... {text[-tail:]}"


def hint_for_text(text: str) -> str | None:
    """Say what a text is that is given in the place of a path.

    Parameters
    ----------
    text : str

    Returns
    -------
    str or None
        What it is, and the way out; None for what may be a path.
    """
    if text.startswith("data:") and ";base64," in text[:200]:
        return "base64 text, not a path: give base64.b64decode(text.split(',', 1)[1])"
    if _is_base64(text):
        return "base64 text, not a path: give base64.b64decode(text)"
    if text.startswith("file://"):
        return "a URL, not a path: give the path that it names"
    if _URL.match(text):
        return "a URL: nothing is downloaded: give the bytes that are behind it, or a path"
    if _kind_of_text(text) is not None:
        return "text that is not a path: give a path, or the bytes of a photo"
    return None


# What a file's first bytes say, and the way out.
_OTHER_FILES = {
    b"PK\x03\x04": "a zip archive, not a photo: unpack it, and give the photos in it",
    b"\x1f\x8b": "a gzip file, not a photo: unpack it, and give the photos in it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive, not a photo: unpack it, and give the photos in it",
    b"Rar!": "a rar archive, not a photo: unpack it, and give the photos in it",
    b"%PDF": "a PDF, not a photo: take the photos out of it, for instance with pdfimages",
    b"<svg": "a drawing, not a photo",
    b"\x1a\x45\xdf\xa3": "a video, not a photo: give its frames as arrays",
    b"RIFF....AVI ": "a video, not a photo: give its frames as arrays",
}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


def hint_for_content(content: bytes) -> str | None:
    """Say what a file's content is, if it is not of a photo.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    str or None
        What it is, and the way out; None if that is not known.
    """
    for start, hint in _OTHER_FILES.items():
        if re.match(re.escape(start).replace(rb"\.", b"."), content, re.DOTALL):
            return hint
    if content[257:262] == b"ustar":
        return "a tar archive, not a photo: unpack it, and give the photos in it"
    if content[4:8] == b"ftyp":
        brands = {content[i : i + 4] for i in range(8, 40, 4)}
        if brands & _AVIF_BRANDS:
            return "an AVIF photo: give it as JPEG, or install a Pillow that reads AVIF"
        if brands & _HEIF_BRANDS:
            return 'a HEIC photo: pip install "ageboost[heif]", or give it as JPEG'
        return "a video, not a photo: give its frames as arrays"
    text = content[:200].decode("latin-1")
    is_long = len(content) >= _SHORTEST_BASE64
    if text.startswith("data:") or (is_long and _BASE64_START.match(text)):
        return "base64 text, not a photo: give base64.b64decode(...) of it"
    return None


def is_heif(content: bytes) -> bool:
    """Recognise a HEIC photo by its first bytes."""
    if content[4:8] != b"ftyp":
        return False
    brands = {content[i : i + 4] for i in range(8, 40, 4)}
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def _numbered(kind: str, position: int | None) -> str:
    return kind if position is None else f"photo {position} ({kind})"


def _attribute(photo: object, name: str) -> object:
    try:
        return getattr(photo, name, None)
    except Exception:
        # A property of somebody's class may do anything.
        return None


def _kind(photo: object) -> str | None:
    """Say what an object without a path is."""
    if isinstance(photo, np.ndarray):
        sides = " x ".join(str(side) for side in photo.shape[1::-1]) or "no size"
        return f"array of {sides}"
    if isinstance(photo, memoryview):
        return f"{photo.nbytes:,} bytes"
    if isinstance(photo, bytes | bytearray):
        return f"{len(photo):,} bytes"
    if isinstance(photo, Image.Image) and not _attribute(photo, "filename"):
        return f"PIL image of {photo.width} x {photo.height}"
    if isinstance(photo, dict | list | tuple | set):
        return f"{type(photo).__name__} of {len(photo):,}"
    return None


def _kind_of_text(text: str) -> str | None:
    """Say what a text is that cannot be a path."""
    if text.startswith("data:") or _is_base64(text):
        return f"base64 text of {len(text):,} characters"
    if _URL.match(text):
        try:
            host = urlsplit(text[:2000]).hostname
        except ValueError:
            host = None
        return f"a URL at {shorten(host, 80)}" if host else "a URL"
    if (
        len(text) > _LONGEST_PATH
        # A few files do have a line break in their names.
        or ("\n" in text.rstrip("\n") and not os.path.lexists(text))
        or max(map(len, _SEPARATOR.split(os.fsencode(text)))) > _LONGEST_PART
    ):
        return f"text of {len(text):,} characters"
    return None


def _is_base64(text: str) -> bool:
    if len(text) < _SHORTEST_BASE64 or (os.path.sep != "/" and "\\" in text):
        return False
    known = _BASE64_START.match(text) is not None
    long_enough = len(text) > _LONGEST_PATH
    return (known or long_enough) and _BASE64.fullmatch(text) is not None
