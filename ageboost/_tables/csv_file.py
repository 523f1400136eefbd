"""A CSV file, read strictly: every cell under its own column name, or its row is named."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._tables.cells import NO_NUMBERS, strip_spaces
from ageboost.errors import TableError

__all__ = ["CsvTable", "read_csv_table"]

_SEPARATORS = ",;\t|"
_NEWLINE, _QUOTE = ord("\n"), ord('"')
_MARKS_OF_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_MARK_OF_UTF_8 = b"\xef\xbb\xbf"
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_OPENERS: dict[str, Any] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
_LONGEST_SHOWN = 80


@dataclass(frozen=True)
class CsvTable:
    """The cells of a CSV file.

    Attributes
    ----------
    names : list of str
        Of the columns, without spaces around them.
    cells : DataFrame
        One column for each name, numbered from 0, and one row for each that is not blank. A row
        whose cells do not match the header is empty.
    bad_rows : dict of int to str
        What is wrong with each such row, where 0 is the first below the header.
    separator : str
    lines : ndarray of shape (n_rows,), int
        Of the file, where each row begins; the first is 1.
    """

    names: list[str]
    cells: pd.DataFrame
    bad_rows: dict[int, str]
    separator: str
    lines: npt.NDArray[np.intp]


def read_csv_table(
    path: Path,
    texts: Callable[[list[str]], Collection[int]] | None = None,
    *,
    encoding: str | None = None,
    header_only: bool = False,
) -> CsvTable:
    """Read a CSV file, and count the cells of every row.

    Parameters
    ----------
    path : Path
        May be compressed: ``.gz``, ``.bz2``, ``.xz``, or a ``.zip`` of one file.
    texts : callable, optional
        Takes the names, and returns the positions of columns that are kept as texts, where only
        an empty cell is a missing value. By default all. In other columns pandas chooses a type.
    encoding : str, optional
        By default UTF-8, or UTF-16 where the file begins with its mark.
    header_only : bool, default=False
        Whether to read no more than the names.

    Returns
    -------
    CsvTable

    Raises
    ------
    TableError
        If the file is empty, or not text in this encoding, or a quote is never closed.
    """
    data = _decode(path, _read_bytes(path), encoding)
    whole = data
    data, separator = _take_separator(data)
    start = len(data) - len(data.lstrip(b"\n\r "))
    end = data.find(b"\n", start)
    end = len(data) if end < 0 else end
    if start == len(data):
        raise TableError(f"{str(path)!r} is empty: it needs a line of column names at least")
    names, separator = _read_header(data[start:end], separator)
    if header_only:
        return CsvTable(names, pd.DataFrame(), {}, separator, np.empty(0, np.intp))
    data = data[end + 1 :]
    n_above = whole.count(b"\n", 0, len(whole) - len(data))
    rows = _split_rows(path, data, separator, n_above)
    n_names = _count_names(names, rows.counts)
    wide = len(names) + 1 if len(rows.counts) and (rows.counts == len(names) + 1).all() else n_names
    bad = np.flatnonzero(rows.counts != wide)
    shown = {int(row): _describe(rows, row, n_names) for row in bad}
    if len(bad):
        data = rows.without(bad)
    wanted = range(len(names)) if texts is None else texts(names)
    cells = _parse(path, data, wide, separator, wanted)
    good = np.delete(np.arange(len(rows.counts)), bad)
    if len(good) != len(cells):
        raise TableError(f"{str(path)!r} is not a CSV file: its rows cannot be separated")
    if wide > n_names:
        # A separator at the end of each row is no matter, as long as nothing comes after it.
        over = cells.pop(n_names)
        filled = np.flatnonzero((over.notna() & (over != "")).to_numpy())
        shown |= {int(good[row]): _describe(rows, good[row], n_names) for row in filled}
        if len(filled):
            shown |= {int(row): _describe(rows, row, n_names) for row in good}
            cells, good = cells.iloc[:0], good[:0]
    if shown:
        cells = cells.set_axis(good).reindex(range(len(rows.counts)))
    names = names[:n_names]
    return _drop_blank(CsvTable(names, cells, shown, separator, rows.lines + n_above + 1))


@dataclass(frozen=True)
class _Rows:
    """Rows that are not blank: how many cells each has, and after how many lines it begins."""

    counts: npt.NDArray[np.intp]
    lines: npt.NDArray[np.intp]
    text: Callable[[int], str]
    without: Callable[[npt.NDArray[np.intp]], bytes]


def _read_bytes(path: Path) -> bytes:
    suffix = path.suffix.lower()
    try:
        if suffix in _OPENERS:
            with _OPENERS[suffix](path, "rb") as file:
                return file.read()
        if suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                inside = [name for name in archive.namelist() if not name.endswith("/")]
                if len(inside) != 1:
                    raise TableError(
                        f"{str(path)!r} holds {len(inside)} files: pass a zip of one CSV file"
                    )
                return archive.read(inside[0])
        return path.read_bytes()
    except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise TableError(f"{str(path)!r} is not a CSV file: {error}") from error


def _decode(path: Path, data: bytes, encoding: str | None) -> bytes:
    """Bring the bytes to UTF-8, without a mark, with one kind of line end."""
    if data.startswith(_SPREADSHEETS):
        raise TableError(f'{str(path)!r} is a spreadsheet: save it as "CSV UTF-8"')
    if encoding is None and data.startswith(_MARKS_OF_UTF_16):
        encoding = "utf-16"
    try:
        if encoding is None:
            data = data.removeprefix(_MARK_OF_UTF_8)
            if not data.isascii():
                data.decode()
        else:
            data = data.decode(encoding).removeprefix("\ufeff").encode()
    except UnicodeError as error:
        where = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        wanted = "UTF-8" if encoding is None else encoding
        raise TableError(
            f"{str(path)!r} is not text in {wanted}{where}",
            'save it as CSV in UTF-8, or pass encoding="cp1252" or what it is in',
            'save it as CSV in UTF-8, or pass "--encoding cp1252" or what it is in',
        ) from error
    except LookupError as error:
        raise TableError(f'encoding={encoding!r} is not known: pass such as "cp1252"') from error
    if b"\0" in data:
        raise TableError(f"{str(path)!r} is not a CSV file: it holds zero bytes")
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _take_separator(data: bytes) -> tuple[bytes, str | None]:
    """Take off the line by which spreadsheets say what separates cells."""
    said = re.match(rb"\s*sep=([,;\t|])[^\n]*\n", data, re.IGNORECASE)
    return (data[said.end() :], said[1].decode()) if said else (data, None)


def _read_header(line: bytes, separator: str | None) -> tuple[list[str], str]:
    text = line.decode()
    readings = {
        choice: next(csv.reader([text], delimiter=choice, skipinitialspace=True))
        for choice in (separator or _SEPARATORS)
    }
    # Of equally many names the first separator's.
    best = max(readings, key=lambda choice: len(readings[choice]))
    return [cell.strip() for cell in readings[best]], best


def _count_names(names: list[str], counts: npt.NDArray[np.intp]) -> int:
    """Take off a name that is empty, where a separator ends the header."""
    if len(names) > 1 and not names[-1] and not (counts >= len(names)).any():
        return len(names) - 1
    return len(names)


def _split_rows(path: Path, data: bytes, separator: str, n_above: int) -> _Rows:
    buffer = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(buffer == _QUOTE) if b'"' in data else np.empty(0, np.intp)
    if not _are_plain(data, buffer, quotes, separator):
        return _split_by_reader(path, data, separator)
    if len(quotes) % 2:
        line = n_above + 1 + data.count(b"\n", 0, int(quotes[-1]))
        raise TableError(
            f"{str(path)!r} is not a CSV file: a quote that opens at about line {line} is never "
            "closed"
        )
    newlines = np.flatnonzero(buffer == _NEWLINE)
    ends = _outside(newlines, quotes)
    if not len(ends) or ends[-1] != len(data) - 1:
        ends = np.append(ends, len(data))
    starts = np.append(0, ends[:-1] + 1)
    lines = np.searchsorted(newlines, starts)
    marks = _outside(np.flatnonzero(buffer == ord(separator)), quotes)
    counts = np.diff(np.searchsorted(marks, ends), prepend=0) + 1
    single = np.flatnonzero(counts == 1)
    blank = [row for row in single if not data[starts[row] : ends[row]].strip()]
    counts, lines, starts, ends = (
        np.delete(values, blank) for values in (counts, lines, starts, ends)
    )

    def text(row: int) -> str:
        # Bytes of a letter may be cut apart at the end.
        return data[starts[row] : ends[row]][: 4 * _LONGEST_SHOWN].decode(errors="ignore")

    def without(bad: npt.NDArray[np.intp]) -> bytes:
        kept = np.delete(np.arange(len(counts)), bad)
        return b"".join(data[starts[row] : ends[row]] + b"\n" for row in kept)

    return _Rows(counts, lines, text, without)


def _are_plain(data: bytes, buffer: npt.NDArray, quotes: npt.NDArray, separator: str) -> bool:
    """Whether quotes stand only around cells, so that every second one ends a cell."""
    if not len(quotes):
        return True
    edges = np.array([ord(separator), _NEWLINE, _QUOTE], np.uint8)
    opening, closing = quotes[::2], quotes[1::2]
    before = buffer[opening[opening > 0] - 1]
    after = buffer[closing[closing < len(data) - 1] + 1]
    return bool(np.isin(before, edges).all() and np.isin(after, edges).all())


def _outside(places: npt.NDArray[np.intp], quotes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return places[np.searchsorted(quotes, places) % 2 == 0] if len(quotes) else places


def _split_by_reader(path: Path, data: bytes, separator: str) -> _Rows:
    reader = csv.reader(
        io.StringIO(data.decode(), newline=""), delimiter=separator, skipinitialspace=True
    )
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        above = 0
        for cells in reader:
            if len(cells) > 1 or "".join(cells).strip():
                rows.append(cells)
                lines.append(above)
            above = reader.line_num
    except csv.Error as error:
        raise TableError(f"{str(path)!r} is not a CSV file: {error}") from error

    def without(bad: npt.NDArray[np.intp]) -> bytes:
        out = io.StringIO(newline="")
        kept = np.delete(np.arange(len(rows)), bad)
        csv.writer(out, delimiter=separator, lineterminator="\n").writerows(
            rows[row] for row in kept
        )
        return out.getvalue().encode()

    return _Rows(
        np.array([len(cells) for cells in rows], dtype=np.intp),
        np.array(lines, dtype=np.intp),
        lambda row: separator.join(rows[row]),
        without,
    )


def _parse(
    path: Path, data: bytes, width: int, separator: str, texts: Collection[int]
) -> pd.DataFrame:
    columns = range(width)
    try:
        cells = pd.read_csv(
            io.BytesIO(data),
            sep=separator,
            header=None,
            names=columns,
            index_col=False,
            skipinitialspace=True,
            dtype={column: "str" for column in columns if column in texts},
            keep_default_na=False,
            na_values={column: [""] if column in texts else NO_NUMBERS for column in columns},
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=columns, dtype="str")
    except (pd.errors.ParserError, OverflowError) as error:
        raise TableError(f"{str(path)!r} is not a CSV file: {error}") from error
    # Few files have such cells, and to look for them in the bytes takes no time.
    mark = separator.encode()
    ends = [b" " + mark, b" \n", b"\t" + mark, b"\t\n"]
    if b'"' in data:
        ends += [b'" ', b' "', b'"\t', b'\t"']
    if any(end in data for end in ends) or data.endswith((b" ", b"\t")):
        for column in columns:
            if pd.api.types.is_string_dtype(cells[column]):
                cells[column] = strip_spaces(cells[column])
    return cells


def _drop_blank(table: CsvTable) -> CsvTable:
    """Leave out rows of bare separators, which spreadsheets write where a row was cleared."""
    blank = np.ones(len(table.cells), dtype=bool)
    for column in table.cells:
        if not blank.any():
            return table
        blank &= table.cells[column].isna().to_numpy()
    blank[list(table.bad_rows)] = False
    if not blank.any():
        return table
    moved = blank.cumsum()
    bad = {row - int(moved[row]): text for row, text in table.bad_rows.items()}
    cells = table.cells[~blank].reset_index(drop=True)
    return CsvTable(table.names, cells, bad, table.separator, table.lines[~blank])


def _describe(rows: _Rows, row: int | np.integer, n_names: int) -> str:
    text = rows.text(int(row))[:_LONGEST_SHOWN]
    return f"{rows.counts[row]} cells under {n_names} column names: {text!r}"
