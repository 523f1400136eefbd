"""Rows of a table that is not whole yet, kept beside it so that a killed run can go on."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["PartialTable"]

_VERSION = 1


class PartialTable:
    """An append-only file of finished photos and their rows.

    Each line is a checksum and a record in JSON, flushed to the disk before the next batch begins.
    A line that was cut off when the process died is left out, and so is a file whose settings
    differ.
    A photo's rows are found again by its name and by the stamp of its file, so a photo that was
    replaced in between, or was not there, is looked at again.

    Parameters
    ----------
    path : path
        Removed by :meth:`remove` once the table is whole.
    settings : mapping of str to JSON value
        All that the rows depend on apart from the photos.

    Attributes
    ----------
    rows : dict of (str, stamp) to list of list
        What was in the file when it was opened; a stamp is that of ``file_stamp``.

    Examples
    --------
    >>> import os, tempfile
    >>> from ageboost._partial import PartialTable
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "ages.csv.partial")
    ...     with PartialTable(path, {"coverage": 0.9}) as partial:
    ...         partial.append([("a.jpg", (9, 8, 7), [["a.jpg", 31.5]])])
    ...     with PartialTable(path, {"coverage": 0.9}) as partial:
    ...         partial.rows
    {('a.jpg', (9, 8, 7)): [['a.jpg', 31.5]]}
    """

    def __init__(self, path: str | os.PathLike[str], settings: Mapping[str, Any]):
        self.path = Path(path)
        self.rows: dict[tuple[str, Any], list[list[Any]]] = {}
        header = {"ageboost partial table": _VERSION, "settings": dict(settings)}
        kept = self._read(json.loads(json.dumps(header)))
        # No buffer: after an error, nothing must be left that closing would write.
        self._file = self.path.open("ab", buffering=0)
        try:
            self._file.truncate(kept)
            if not kept:
                self._write([header])
        except BaseException:
            self._file.close()
            raise

    def append(self, photos: list[tuple[str, Any, list[list[Any]]]]) -> None:
        """Keep rows of photos: when this returns, they are on the disk.

        Parameters
        ----------
        photos : list of (name, stamp, rows)
            Rows without a stamp are not found again.
        """
        self._write(photos)

    def remove(self) -> None:
        """Remove the file: the table is whole."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, and leave it where it is."""
        self._file.close()

    def __enter__(self) -> PartialTable:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _write(self, records: list[Any]) -> None:
        left = memoryview(b"".join(_line(record) for record in records))
        while left:
            left = left[self._file.write(left) :]
        os.fsync(self._file.fileno())

    def _read(self, header: dict[str, Any]) -> int:
        """Read whole records; return how many bytes of the file they take."""
        kept = 0
        try:
            lines = self.path.open("rb")
        except FileNotFoundError:
            return 0
        with lines:
            for line in lines:
                record = _record(line)
                if record is None or (kept == 0 and record != header):
                    break
                if kept and record[1] is not None:
                    name, stamp, rows = record
                    self.rows[name, tuple(stamp)] = rows
                kept += len(line)
        return kept


def _line(record: object) -> bytes:
    # ASCII: names of files may hold newlines, and bytes that are no text.
    content = json.dumps(record, separators=(",", ":"), default=_plain).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(content), content)


def _plain(value: Any) -> Any:
    """Numbers of numpy become those of Python, what is missing becomes null."""
    import pandas as pd

    return None if value is pd.NA else value.item()


def _record(line: bytes) -> Any:
    """Parse a line, or return None if it is cut off or damaged."""
    checksum, _, content = line[:-1].partition(b" ")
    if line[-1:] != b"\n" or checksum != b"%08x" % zlib.crc32(content):
        return None
    return json.loads(content)
