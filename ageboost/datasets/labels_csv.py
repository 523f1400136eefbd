"""Labels in a CSV file with one row for each photo."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from ageboost._tables.cells import read_names
from ageboost._tables.names import fold_name, list_names, near_names
from ageboost._tables.readers import load_table
from ageboost._tables.row_names import row_name
from ageboost.datasets._table import OnError, PathLike, check_labels
from ageboost.errors import TableError

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
    encoding: str | None = None,
) -> pd.DataFrame:
    r"""Read labels from a CSV file.

    Cells are separated by commas, semicolons, tabs or bars, whichever the header has most of. A
    byte order mark, Windows line ends, blank lines and spaces around cells are no matter. Ages may
    have a decimal comma. Names of columns may be in any case.

    Parameters
    ----------
    path : path
        The CSV file, with column names in the first line; or a Parquet or JSON file.
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
    encoding : str, optional
        Of a CSV file, such as ``"cp1252"``. By default UTF-8, or UTF-16 with its mark.

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
    TableError
        If the file is empty or not in this encoding, or it is not clear which column to read.

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
    table, problems, places = read_columns(
        path, photo=photo, age=age, folder=folder, others=others, encoding=encoding
    )
    return check_labels(table, path, on_error=on_error, problems=problems, places=places)


def read_columns(
    path: PathLike,
    *,
    photo: str | None = None,
    age: str | None = None,
    folder: PathLike | None = None,
    others: Sequence[str] = (),
    encoding: str | None = None,
) -> tuple[pd.DataFrame, dict[int, str], Callable[[int], str]]:
    """Read a CSV file's labels without a look at what they say.

    Parameters
    ----------
    path, photo, age, folder, others, encoding
        As in ``read_csv``.

    Returns
    -------
    table : DataFrame
        As in ``read_csv``, but every age is still a text.
    problems : dict of int to str
        The rows whose cells do not match the header, for ``check_labels``.
    places : callable
        Takes a row, and returns what messages call it, for ``check_labels``.
    """
    path = Path(path)
    folder = path.parent if folder is None else Path(folder)
    if not path.is_file():
        raise FileNotFoundError(f"no labels file {str(path)!r}: pass the path of a CSV file")
    loaded = load_table(path, encoding=encoding)
    names, cells = loaded.names, loaded.cells
    if not len(cells):
        raise TableError(
            f"{str(path)!r} holds no labels: it needs a line of column names, "
            "and one line for each photo"
        )
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder {str(folder)!r}: pass the folder in which the paths of {str(path)!r} begin"
        )
    at_photo = _find_column(path, names, "photo", photo, _PHOTO_NAMES)
    at_age = _find_column(path, names, "age", age, _AGE_NAMES)
    photos = [
        None if pd.isna(name) else os.path.join(folder, str(name)) for name in cells[at_photo]
    ]
    columns: dict[str, Sequence[object] | pd.Series] = {
        "photo": photos,
        # No age has thousands, so a comma is a decimal mark wherever it stands.
        "age": ["" if pd.isna(age) else str(age).replace(",", ".") for age in cells[at_age]],
    }
    folded = [fold_name(name) for name in names]
    for name in _OTHER_NAMES:
        if folded.count(name) == 1 and folded.index(name) not in (at_photo, at_age):
            columns[name] = _read_others(cells[folded.index(name)], name, path)
    for name in others:
        if name not in columns:
            at = _find_column(path, names, "others", name, ())
            columns[name] = _read_others(cells[at], name, path)
    return pd.DataFrame(columns), loaded.bad_rows, partial(row_name, loaded.named(repr(str(path))))


def _find_column(
    path: Path, names: list[str], role: str, wanted: str | None, usual: Sequence[str]
) -> int:
    known = [fold_name(name) for name in (usual if wanted is None else [wanted])]
    found = [at for at, name in enumerate(names) if wanted is not None and name == wanted.strip()]
    found = found or [at for at, name in enumerate(names) if fold_name(name) in known]
    if len(found) == 1:
        return found[0]
    what = f"column {wanted!r}" if wanted is not None else f"column that is clearly the {role}"
    near = [] if found else list(near_names(names, usual if wanted is None else [wanted]))
    may_be = f" ({near[0]!r} may be it)" if near else ""
    there = f"one of its columns: {list_names(names)}"
    raise TableError(
        f"{'no' if not found else 'more than one'} {what} in {str(path)!r}{may_be}",
        f'pass {role}="..." to name {there}',
        f"pass --{'group' if role == 'others' else role}-column to name {there}",
    )


def _read_others(cells: pd.Series, name: str, path: Path) -> pd.Series:
    texts = read_names(cells.rename(name), repr(str(path)))
    if name == "fold" and texts.str.fullmatch(r"\d+").fillna(True).all():
        return texts.astype("Int64" if texts.isna().any() else "int64")
    return texts
