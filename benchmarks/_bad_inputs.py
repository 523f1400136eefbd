"""Files that are not what they should be: every kind of damage, from a seed."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image
from skimage.data import astronaut

_SIDE = 48


@lru_cache(maxsize=1)
def whole_files() -> dict[str, bytes]:
    """Encode one face in every format and mode that is read."""
    face = Image.fromarray(astronaut()[70:190, 165:285]).resize((_SIDE, _SIDE))
    frames = [face.rotate(90 * turn) for turn in range(3)]
    wide = np.asarray(face.convert("L")).astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker" * 9
    files = {
        "jpeg": (face, "JPEG", {"exif": exif}),
        "jpeg progressive": (face, "JPEG", {"progressive": True, "subsampling": 0}),
        "jpeg grey": (face.convert("L"), "JPEG", {}),
        "jpeg cmyk": (face.convert("CMYK"), "JPEG", {}),
        "png": (face, "PNG", {"exif": exif}),
        "png palette": (face.convert("P"), "PNG", {"transparency": 3}),
        "png alpha": (face.convert("RGBA"), "PNG", {}),
        "png 16 bit": (Image.fromarray(wide), "PNG", {}),
        "png 1 bit": (face.convert("1"), "PNG", {}),
        "webp": (face, "WEBP", {"exif": exif}),
        "webp lossless": (face.convert("RGBA"), "WEBP", {"lossless": True}),
        "webp animated": (face, "WEBP", {"save_all": True, "append_images": frames}),
        "tiff": (face, "TIFF", {"exif": exif}),
        "tiff lzw": (face, "TIFF", {"compression": "tiff_lzw"}),
        "tiff jpeg": (face, "TIFF", {"compression": "jpeg"}),
        "tiff cmyk": (face.convert("CMYK"), "TIFF", {}),
        "tiff 16 bit": (Image.fromarray(wide), "TIFF", {}),
        "tiff 32 bit": (Image.fromarray(wide.astype(np.int32)), "TIFF", {}),
        "tiff float": (Image.fromarray(wide / np.float32(65535)), "TIFF", {}),
        "tiff pages": (face, "TIFF", {"save_all": True, "append_images": frames}),
        "gif": (face, "GIF", {}),
        "gif animated": (face, "GIF", {"save_all": True, "append_images": frames}),
        "bmp": (face, "BMP", {}),
        "bmp palette": (face.convert("P"), "BMP", {}),
        "ppm": (face, "PPM", {}),
    }
    encoded = {}
    for name, (photo, kind, options) in files.items():
        buffer = io.BytesIO()
        photo.save(buffer, kind, **options)
        encoded[name] = buffer.getvalue()
    return encoded


def _bytes_changed(content: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(content)
    for place in rng.integers(0, len(damaged), rng.integers(1, 12)):
        damaged[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
    return bytes(damaged)


def _head_changed(content: bytes, rng: np.random.Generator) -> bytes:
    return _bytes_changed(content[:200], rng) + content[200:]


def _cut_short(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(0, len(content))]


def _piece_lost(content: bytes, rng: np.random.Generator) -> bytes:
    start, end = np.sort(rng.integers(0, len(content), 2))
    return content[:start] + content[end:]


def _piece_doubled(content: bytes, rng: np.random.Generator) -> bytes:
    start, end = np.sort(rng.integers(0, len(content), 2))
    return content[:end] + content[start:end] * int(rng.integers(1, 20)) + content[end:]


def _spliced(content: bytes, rng: np.random.Generator) -> bytes:
    other = whole_files()[rng.choice(list(whole_files()))]
    return content[: rng.integers(0, len(content))] + other[rng.integers(0, len(other)) :]


def _noise(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(0, 12)] + rng.bytes(int(rng.integers(0, 2000)))


def _size_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Write another size wherever the file says how large it is, with a checksum that fits."""
    sizes = [0, 1, 2, 47, 49, 1000, 30_000, 65_535, 2**31 - 1, 2**32 - 1]
    width, height = (int(rng.choice(sizes)) for _ in range(2))
    old, new = (struct.pack(">II", _SIDE, _SIDE), struct.pack(">II", width, height))
    if content.startswith(b"\x89PNG"):
        header = content[12:29].replace(old, new)
        return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
    short = struct.pack("<HH", width % 65_536, height % 65_536)
    forms = [
        (struct.pack(">HH", _SIDE, _SIDE), short),
        (struct.pack("<HH", _SIDE, _SIDE), short),
        (struct.pack("<ii", _SIDE, _SIDE), struct.pack("<II", width, height)),
        (struct.pack("<HIHH", 3, 1, _SIDE, 0), struct.pack("<HII", 4, 1, width)),
        (b"48 48", b"%d %d" % (width, height)),
    ]
    for before, after in forms:
        content = content.replace(before, after, 2)
    return content


def _exif_rubbish(content: bytes, rng: np.random.Generator) -> bytes:
    """Put rubbish into the metadata of a JPEG, or change bytes where they stand in other files."""
    block = rng.choice([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""])
    block = b"Exif\0\0" + bytes(block) + rng.bytes(int(rng.integers(0, 300)))
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    if content.startswith(b"\xff\xd8"):
        return content[:2] + segment + content[2:]
    place = max(content.find(b"maker") - 60, 0)
    return (
        content[:place] + _bytes_changed(content[place : place + 90], rng) + content[place + 90 :]
    )


KINDS: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "bytes changed": _bytes_changed,
    "first 200 bytes changed": _head_changed,
    "cut short": _cut_short,
    "piece lost": _piece_lost,
    "piece doubled": _piece_doubled,
    "two files in one": _spliced,
    "noise": _noise,
    "another size": _size_changed,
    "rubbish in EXIF": _exif_rubbish,
}


def bad_input(kind: str, seed: int) -> bytes:
    """Make a damaged file: the same for the same seed."""
    rng = np.random.default_rng(seed)
    files = whole_files()
    return KINDS[kind](files[str(rng.choice(list(files)))], rng)
