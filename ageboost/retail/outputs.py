"""Tables of results, written to where a dashboard reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from ageboost._files import replacing
from ageboost._tables.rows import without_infinity, write_rows
from ageboost.retail.tables import as_retail_error

__all__ = ["write_table"]


def write_table(
    table: pd.DataFrame,
    to: str | os.PathLike[str] | Any,
    name: str | None = None,
    *,
    append: bool = False,
) -> None:
    """Write a result's table to where a dashboard reads it: a file, or a table of a database.

    Tables of results are tidy: one observation in each row, one plain name for each column. What
    has no bound, as some intervals, is missing; times are ISO 8601.

    Parameters
    ----------
    table : DataFrame
        Such as ``purchases.table``, ``customers.table`` or ``review.table``.
    to : path, str or connection
        A file whose name ends in ``.csv`` or ``.parquet``; or, where ``name`` is given, a database:
        a URL, engine or connection of SQLAlchemy, or DuckDB, as for :class:`Query`.
    name : str, optional
        Of the table in the database.
    append : bool, default=False
        Whether to add to the rows that are in the database. By default they are replaced. Either
        way, in one transaction.

    Raises
    ------
    RetailDataError
        If the database refuses it. A password that is known is not in the message.
    ValueError
        If the name of a file ends otherwise.

    Examples
    --------
    >>> import duckdb, pandas as pd
    >>> from ageboost.retail import write_table
    >>> shop = duckdb.connect()
    >>> write_table(pd.DataFrame({"hour": [9, 10], "share": [0.5, 0.25]}), shop, "ages_by_hour")
    >>> shop.sql("select hour, share from ages_by_hour").fetchall()
    [(9, 0.5), (10, 0.25)]
    """
    if name is not None:
        with as_retail_error():
            write_rows(table, to, name, append)
        return
    path = Path(to)
    if append or path.suffix.lower() not in (".csv", ".parquet"):
        raise ValueError(
            f"{str(path)!r}: name a file that ends in .csv or .parquet, which is replaced, or pass "
            "the name of a table in a database"
        )
    table = without_infinity(table)
    with replacing(path) as new:
        if path.suffix.lower() == ".csv":
            table.to_csv(new, index=False, float_format="%.10g")
        else:
            table.to_parquet(new, index=False)
