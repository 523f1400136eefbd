"""Labels in a CSV file with one row for each photo."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ageboost.datasets._table import OnError, PathLike, check_labels

__all__ = ["read_columns", "read_csv"]

# What other people call these columns.
_PHOTO_NAMES = ("photo", "file_name", "filename", "file", "path", "image", "image_path")
_AGE_NAMES = ("age", "real_age")
_OTHER_NAMES = ("sex", "race", "subject", "fold", "split")


def read_csv(
    path: PathLike,
    *,
    photo: str | None = None,
    age: str | None = None,
    folder: PathLike | None = None,
    others: Sequence[str] = (),
    on_error: OnError = "raise",
) -> pd.DataFrame:
    r"""Read labels from a CSV file.

    Cells are separated by commas, semicolons or tabs, whichever the header has most of. A byte
    order mark, Windows line ends, blank lines and spaces around cells are no matter. Where commas
    do not separate cells, they may stand for the decimal point in ages.

    Parameters
    ----------
    path : path
        The CSV file, in UTF-8, with column names in the first line.
    photo : str, optional
        The column of the photos' paths. By default the one that has a common name: photo,
        file_name, filename, file, path, image or image_path, in any case.
    age : str, optional
        The column of the ages in years. By default the one called age or real_age.
    folder : path, optional
        Where relative paths begin; by default the folder of the CSV file.
    others : sequence of str, optional
        Columns to pass on as they are.
    on_error : {"raise", "drop"}, default="raise"
        Whether rows that cannot be used are an error, or are left out with a warning.

    Returns
    -------
    DataFrame
        In the order of the file: ``photo`` (a path that can be opened), ``age`` (years), and those
        of ``sex``, ``race``, ``subject``, ``fold`` and ``split`` that the file has, then
        ``others``.

    Raises
    ------
    LabelsError
        If photos are missing or ages are not numbers from 0 to 120, and ``on_error="raise"``; it
        names every such row.
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If the file is empty or not in UTF-8, or it is not clear which column to read.

    See Also
    --------
    read_labels : Recognise the layout.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ageboost.datasets import read_csv
    >>> folder = tempfile.TemporaryDirectory()
    >>> Path(folder.name, "ann.jpg").touch()
    >>> labels = Path(folder.name, "labels.csv")
    >>> _ = labels.write_text("file;years;sex\nann.jpg;34,5;female")
    >>> read_csv(labels, age="years").drop(columns="photo")
        age     sex
    0  34.5  female
    >>> folder.cleanup()
    """
    table, problems = read_columns(path, photo=photo, age=age, folder=folder, others=others)
    return check_labels(table, path, on_error=on_error, problems=problems)


def read_columns(
    path: PathLike,
    *,
    photo: str | None = None,
    age: str | None = None,
    folder: PathLike | None = None,
    others: Sequence[str] = (),
) -> tuple[pd.DataFrame, dict[int, str]]:
    """Read a CSV file's labels without a look at what they say.

    Parameters
    ----------
    path, photo, age, folder, others
        As in ``read_csv``.

    Returns
    -------
    table : DataFrame
        As in ``read_csv``, but every age is still a text.
    problems : dict of int to str
        The rows whose cells do not match the header, for ``check_labels``.
    """
    path = Path(path)
    folder = path.parent if folder is None else Path(folder)
    delimiter, rows = _read_rows(path)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder {str(folder)!r}: pass the folder in which the paths of {str(path)!r} begin"
        )
    header, rows = rows[0], rows[1:]
    at_photo = _find_column(path, header, "photo", photo, _PHOTO_NAMES)
    at_age = _find_column(path, header, "age", age, _AGE_NAMES)
    problems = {
        row: f"{len(cells)} cells under {len(header)} column names: {delimiter.join(cells)[:80]!r}"
        for row, cells in enumerate(rows)
        if len(cells) != len(header)
    }
    rows = [[""] * len(header) if row in problems else cells for row, cells in enumerate(rows)]
    ages = [cells[at_age] for cells in rows]
    if delimiter != ",":
        ages = [text.replace(",", ".") for text in ages]
    columns: dict[str, Sequence[object]] = {
        "photo": [
            os.path.join(folder, name) if (name := cells[at_photo]) else None for cells in rows
        ],
        "age": ages,
    }
    lowered = [name.lower() for name in header]
    for name in _OTHER_NAMES:
        if lowered.count(name) == 1 and lowered.index(name) not in (at_photo, at_age):
            columns[name] = _read_cells([cells[lowered.index(name)] for cells in rows], name)
    for name in others:
        if name not in columns:
            at = _find_column(path, header, "others", name, ())
            columns[name] = _read_cells([cells[at] for cells in rows], name)
    return pd.DataFrame(columns), problems


def _read_rows(path: Path) -> tuple[str, list[list[str]]]:
    if not path.is_file():
        raise FileNotFoundError(f"no labels file {str(path)!r}: pass the path of a CSV file")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{str(path)!r} is not text in UTF-8 (byte {error.start}): save it as CSV in UTF-8"
        ) from error
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(
            csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        )
    except csv.Error as error:
        raise ValueError(f"{str(path)!r} is no CSV file: {error}") from error
    rows = [[cell.strip() for cell in cells] for cells in rows]
    # Spreadsheets write a line of bare separators for a row that was cleared.
    rows = [cells for cells in rows if any(cells)]
    if len(rows) < 2:
        raise ValueError(
            f"{str(path)!r} holds no labels: it needs a line of column names, "
            "and one line for each photo"
        )
    return delimiter, rows


def _find_column(
    path: Path, header: list[str], role: str, wanted: str | None, usual: Sequence[str]
) -> int:
    if wanted is None:
        found = [at for at, name in enumerate(header) if name.lower() in usual]
    else:
        found = [at for at, name in enumerate(header) if name == wanted.strip()]
    if len(found) == 1:
        return found[0]
    what = f"column {wanted!r}" if wanted is not None else f"column that is plainly the {role}"
    listed = ", ".join(repr(name[:80]) for name in header[:50])
    raise ValueError(
        f"{'no' if not found else 'more than one'} {what} in {str(path)!r}, "
        f'whose columns are {listed}: pass {role}="..." to name one of them'
    )


def _read_cells(cells: list[str], name: str) -> list[str | None] | list[int]:
    if name == "fold" and all(cell.isdecimal() for cell in cells):
        return [int(cell) for cell in cells]
    return [cell or None for cell in cells]
