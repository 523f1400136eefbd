"""Universal Binary JSON as XGBoost writes it, read without believing any of its numbers."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from ageboost.errors import ModelFileError

__all__ = ["read_ubjson"]

# XGBoost nests eight levels, and writes some 25 values for a tree.
_DEEPEST = 20
_MOST_VALUES = 10_000_000
_LENGTH = struct.Struct(">q")
_NUMBERS = {
    ord("i"): struct.Struct(">b"),
    ord("U"): struct.Struct(">B"),
    ord("I"): struct.Struct(">h"),
    ord("l"): struct.Struct(">i"),
    ord("L"): struct.Struct(">q"),
    ord("d"): struct.Struct(">f"),
    ord("D"): struct.Struct(">d"),
}
_ARRAYS: dict[int, np.dtype[Any]] = {
    ord("U"): np.dtype("u1"),
    ord("l"): np.dtype(">i4"),
    ord("L"): np.dtype(">i8"),
    ord("d"): np.dtype(">f4"),
}
_CONSTANTS = {ord("Z"): None, ord("T"): True, ord("F"): False}


def read_ubjson(content: bytes | bytearray) -> tuple[dict[str, Any], dict[str, slice]]:
    """Read an object.

    Parameters
    ----------
    content : bytes or bytearray

    Returns
    -------
    members : dict
        Typed arrays become ndarrays, other arrays lists.
    places : dict of str to slice
        Where the value of each member stands in ``content``.

    Raises
    ------
    ModelFileError
        If the content is anything other than one whole object, or says that it holds more than it
        does.

    Notes
    -----
    Only what XGBoost's own writer makes is read: no padding, no name twice, no array of a type
    that XGBoost does not know. So XGBoost cannot understand a file in another way.
    """
    reader = _Reader(content)
    places: dict[str, slice] = {}
    try:
        reader.expect(b"{")
        members = reader.members(0, places)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ModelFileError(f"they are cut short: {error}") from error
    if reader.at != len(content):
        raise ModelFileError("something stands behind their end")
    return members, places


class _Reader:
    def __init__(self, content: bytes | bytearray):
        self.content = content
        self.at = 0
        self.n_values = 0

    def expect(self, marks: bytes) -> None:
        if not self.content.startswith(marks, self.at):
            raise ModelFileError(f"byte {self.at} is none that belongs there")
        self.at += len(marks)

    def length(self) -> int:
        self.expect(b"L")
        (length,) = _LENGTH.unpack_from(self.content, self.at)
        self.at += _LENGTH.size
        # Whatever is counted takes a byte or more.
        if not 0 <= length <= len(self.content) - self.at:
            raise ModelFileError(f"byte {self.at} counts {length} of what is not there")
        return int(length)

    def text(self) -> str:
        length = self.length()
        self.at += length
        return self.content[self.at - length : self.at].decode()

    def members(self, depth: int, places: dict[str, slice] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.content[self.at] != ord("}"):
            name = self.text()
            if name in found:
                raise ModelFileError(f"{name!r} is there twice")
            start = self.at
            found[name] = self.value(depth + 1)
            if places is not None:
                places[name] = slice(start, self.at)
        self.at += 1
        return found

    def value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ModelFileError(f"they are nested more than {_DEEPEST} levels deep")
        self.n_values += 1
        if self.n_values > _MOST_VALUES:
            raise ModelFileError(f"they hold more than {_MOST_VALUES:,} values")
        marker = self.content[self.at]
        self.at += 1
        if marker == ord("S"):
            return self.text()
        if marker == ord("["):
            return self.array(depth)
        if marker == ord("{"):
            return self.members(depth)
        if marker in _NUMBERS:
            form = _NUMBERS[marker]
            self.at += form.size
            return form.unpack_from(self.content, self.at - form.size)[0]
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        raise ModelFileError(f"byte {self.at - 1} is none that belongs there")

    def array(self, depth: int) -> Any:
        if self.content[self.at] != ord("$"):
            self.expect(b"#")
            return [self.value(depth + 1) for _ in range(self.length())]
        kind = _ARRAYS.get(self.content[self.at + 1])
        if kind is None:
            raise ModelFileError(f"byte {self.at + 1} is no type of array")
        self.at += 2
        self.expect(b"#")
        length = self.length()
        start, self.at = self.at, self.at + length * kind.itemsize
        if self.at > len(self.content):
            raise ModelFileError(f"byte {start} begins an array that is cut short")
        return np.frombuffer(self.content, kind, length, start)
