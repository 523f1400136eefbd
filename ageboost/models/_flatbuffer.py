"""Tables of a FlatBuffer, read without believing any of their offsets.

References
----------
"FlatBuffers internals", https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ageboost.errors import ModelFileError

__all__ = ["Table"]


class Table:
    """One table: its fields by their numbers in the schema.

    Parameters
    ----------
    content : bytes or bytearray
        The whole buffer. Arrays of a bytearray are written where they stand.
    at : int, optional
        Where the table stands; by default, the root.

    Attributes
    ----------
    n_bytes : int
        Length of the buffer. Tables can share what they hold, so all together can be longer.

    Raises
    ------
    ModelFileError
        If an offset leads out of the buffer. So do all methods.
    """

    def __init__(self, content: bytes | bytearray, at: int | None = None):
        self.n_bytes = len(content)
        self._content = content
        self._at = self._number("<I", 0) if at is None else at
        self._fields = self._at - self._number("<i", self._at)
        self._fields_end = self._fields + self._number("<H", self._fields)

    def number(self, field: int, form: str, default: float) -> Any:
        """Read a number of a form of :mod:`struct`."""
        place = self._place(field)
        return default if place is None else self._number(form, place)

    def array(self, field: int, kind: npt.DTypeLike) -> npt.NDArray[Any]:
        """Read a vector of numbers, or of structures; empty where there is none."""
        kind = np.dtype(kind)
        start, length = self._vector(field)
        if start + length * kind.itemsize > len(self._content):
            raise ModelFileError(f"byte {start} begins a vector that is cut short")
        return np.frombuffer(self._content, kind, length, start)

    def text(self, field: int) -> str | None:
        """Read a string."""
        if self._place(field) is None:
            return None
        return self.array(field, "u1").tobytes().decode("utf-8", "replace")

    def table(self, field: int) -> Table | None:
        """Follow an offset to a table."""
        place = self._place(field)
        return None if place is None else Table(self._content, place + self._number("<I", place))

    def tables(self, field: int) -> Iterator[Table]:
        """Follow a vector of offsets to tables."""
        start, _ = self._vector(field)
        for i, offset in enumerate(self.array(field, "<u4")):
            yield Table(self._content, start + 4 * i + int(offset))

    def _place(self, field: int) -> int | None:
        entry = self._fields + 4 + 2 * field
        if entry + 2 > self._fields_end:
            return None
        offset = self._number("<H", entry)
        return self._at + offset if offset else None

    def _vector(self, field: int) -> tuple[int, int]:
        place = self._place(field)
        if place is None:
            return 0, 0
        start = place + self._number("<I", place)
        return start + 4, self._number("<I", start)

    def _number(self, form: str, at: int) -> Any:
        # A negative place would count from the end.
        if not 0 <= at <= len(self._content) - struct.calcsize(form):
            raise ModelFileError(f"an offset leads to byte {at}, where nothing is")
        return struct.unpack_from(form, self._content, at)[0]
