"""What messages call a table and its rows: by the lines of a file, as an editor counts them."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

__all__ = ["TableName", "row_name"]


class TableName(str):
    """The name of a table in messages, which also knows what its rows are called.

    Attributes
    ----------
    lines : ndarray of shape (n_rows,), int, or None
        The line of the file in which each row begins, where the first is 1.
    is_file : bool
        Whether it is a file. Of a file without lines, rows are counted from 1, as its reader would.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost._tables.row_names import TableName, row_name
    >>> row_name("the table of lines", 0)
    'row 0'
    >>> row_name(TableName("'lines.csv'", np.array([2, 3])), 0)
    'line 2'
    >>> row_name(TableName("'lines.parquet'", is_file=True), 0)
    'row 1 (counted from 1)'
    """

    lines: npt.NDArray[np.intp] | None
    is_file: bool

    def __new__(
        cls, name: str, lines: npt.NDArray[np.intp] | None = None, is_file: bool = False
    ) -> Self:
        named = super().__new__(cls, name)
        named.lines, named.is_file = lines, is_file
        return named


def row_name(table: str, row: int) -> str:
    """Name a row of a table in a message.

    Parameters
    ----------
    table : str
        If it is no :class:`TableName`, the table is in memory, where rows are counted from 0.
    row : int
        Its position.

    Returns
    -------
    str
    """
    if isinstance(table, TableName) and table.lines is not None:
        return f"line {table.lines[row]}"
    if isinstance(table, TableName) and table.is_file:
        return f"row {row + 1} (counted from 1)"
    return f"row {row}"
