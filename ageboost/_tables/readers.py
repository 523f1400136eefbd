"""Whatever holds a table: files of several kinds, DataFrames, and tables of other libraries."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._tables.cells import strip_spaces
from ageboost._tables.csv_file import read_csv_table
from ageboost._tables.database import Query
from ageboost._tables.row_names import TableName
from ageboost.errors import TableError

__all__ = ["LoadedTable", "Source", "load_table", "name_source"]

# A table of Arrow, Polars or DuckDB is whatever has __arrow_c_stream__.
Source: TypeAlias = str | os.PathLike[str] | pd.DataFrame | Any


@dataclass(frozen=True)
class LoadedTable:
    """A table, none of whose cells has been looked at.

    Attributes
    ----------
    names : list of str
    cells : DataFrame
        One column for each name, numbered from 0. Texts have no spaces around them, and an empty
        one is missing.
    bad_rows : dict of int to str
        What is wrong with rows of a CSV file that do not match its header.
    folder : Path or None
        Where the file is.
    lines : ndarray of shape (n_rows,), int, or None
        Of a CSV file, where each row begins; the first is 1.
    """

    names: list[str]
    cells: pd.DataFrame
    bad_rows: dict[int, str]
    folder: Path | None
    lines: npt.NDArray[np.intp] | None = None

    def named(self, name: str) -> TableName:
        """Give it a name in messages, which knows what its rows are called."""
        return TableName(name, self.lines, self.folder is not None)


def name_source(source: Source, kind: str) -> str:
    """Name a source in a message."""
    if isinstance(source, str | os.PathLike):
        return repr(os.fspath(source))
    if isinstance(source, Query):
        return f"the query of {kind}"
    return f"the table of {kind}"


def load_table(
    source: Source,
    texts: Callable[[list[str]], Collection[int]] | None = None,
    encoding: str | None = None,
) -> LoadedTable:
    """Load a table from wherever it is.

    Parameters
    ----------
    source : path, DataFrame, Query, or a table that speaks Arrow
        A file is Parquet or JSON if its name ends so, in any case, and CSV otherwise.
    texts : callable, optional
        As for :func:`read_csv_table`.
    encoding : str, optional
        As for :func:`read_csv_table`.

    Returns
    -------
    LoadedTable

    Raises
    ------
    TableError
        If it cannot be read.
    FileNotFoundError
        If there is no such file.
    ImportError
        If it takes pyarrow to read it, which is not there.
    TypeError
        If it is no table.
    """
    if isinstance(source, pd.DataFrame):
        return _loaded(source, None)
    if isinstance(source, Query):
        return _loaded(source.read(), None)
    if hasattr(source, "__arrow_c_stream__"):
        try:
            return _loaded(pd.DataFrame.from_arrow(source), None)
        except ImportError as error:
            raise _no_pyarrow("Tables of Arrow, Polars and DuckDB need") from error
        except ValueError as error:
            # One column speaks Arrow as well.
            raise _no_table(source) from error
    if not isinstance(source, str | os.PathLike):
        raise _no_table(source)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}: pass the path of a CSV, Parquet or JSON file"
        )
    match path.suffix.lower():
        case ".parquet":
            return _loaded(_read_parquet(path), path.parent)
        case ".json":
            return _loaded(_read_json(path), path.parent)
        case _:
            table = read_csv_table(path, texts, encoding=encoding)
            return LoadedTable(table.names, table.cells, table.bad_rows, path.parent, table.lines)


def _loaded(table: pd.DataFrame, folder: Path | None) -> LoadedTable:
    cells = table.set_axis(range(table.shape[1]), axis=1).reset_index(drop=True)
    for column in cells:
        if isinstance(cells[column].dtype, pd.StringDtype):
            cells[column] = strip_spaces(cells[column])
    return LoadedTable([str(name) for name in table.columns], cells, {}, folder)


def _no_table(source: object) -> TypeError:
    ways = [name for name in ("df", "to_pandas") if hasattr(source, name)]
    return TypeError(
        f"a table cannot be a {type(source).__name__}: pass a path, a DataFrame, a Query, or a "
        "table of Arrow, Polars or DuckDB"
        + (f", such as what its {ways[0]}() returns" if ways else "")
    )


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise _no_pyarrow("Parquet files need") from error
    except (OSError, ValueError) as error:
        raise TableError(f"{str(path)!r} is not a Parquet file: {error}") from error


def _read_json(path: Path) -> pd.DataFrame:
    try:
        records = json.loads(path.read_bytes())
    except ValueError as error:
        raise TableError(f"{str(path)!r} is not a JSON file: {error}") from error
    if not isinstance(records, list) or not all(isinstance(row, dict) for row in records):
        raise TableError(f"{str(path)!r} holds no table: it needs a list of one object per row")
    return pd.DataFrame(records)


def _no_pyarrow(what: str) -> ImportError:
    return ImportError(f'{what} pyarrow: pip install "ageboost[parquet]"')
