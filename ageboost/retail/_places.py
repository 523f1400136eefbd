"""Tables that stay where they are: folders of Parquet, files of a pattern, servers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from ageboost._tables.database import Query
from ageboost._tables.session import has_session
from ageboost.errors import RetailDataError
from ageboost.retail._who_bought import WhoBought, given_customers
from ageboost.retail.groups import AgeGroups
from ageboost.retail.tables import Source, read_table

__all__ = ["is_beside", "is_in_place", "needed_columns", "select_from", "with_customers"]


def is_in_place(source: Source) -> bool:
    """Whether lines stay where they are: in folders of Parquet, files of a pattern, or a server."""
    if isinstance(source, Query):
        return has_session(source.connection)
    return isinstance(source, str | os.PathLike) and (
        "*" in os.fspath(source) or Path(source).is_dir()
    )


def is_beside(buyers: Source, lines: Source) -> bool:
    """Whether buyers are where the lines are."""
    if isinstance(lines, Query) and isinstance(buyers, Query):
        return buyers.connection is lines.connection or (
            isinstance(lines.connection, str) and buyers.connection == lines.connection
        )
    return not isinstance(lines, Query) and not isinstance(buyers, Query) and is_in_place(buyers)


def select_from(source: Any) -> str:
    """Write the statement that reads a query, a folder or a pattern."""
    if isinstance(source, Query):
        return source.sql
    path = os.fspath(source)
    if Path(path).is_dir():
        path = os.path.join(path, "**", "*.parquet")
    quoted = "'" + path.replace("'", "''") + "'"
    if path.lower().endswith(".parquet"):
        return f"SELECT * FROM read_parquet({quoted}, union_by_name = true)"
    # As texts, names keep their zeros in front; numbers are read from them.
    return (
        f"SELECT * FROM read_csv({quoted}, header = true, all_varchar = true, union_by_name = true)"
    )


def with_customers(buyers: Source, customers: WhoBought) -> pd.DataFrame:
    """Give buyers that are read a column of their customers."""
    if is_in_place(buyers):
        raise RetailDataError(
            "rows of buyers have no order there: name the column that holds their customers",
            'customers="customer"',
        )
    table = read_table(buyers, "buyers")
    return table.assign(customer=given_customers(customers, table))


def needed_columns(buyers: pd.DataFrame, groups: AgeGroups, column: str | None) -> pd.DataFrame:
    """Take the columns of buyers that are sent to an engine: no more of people than it needs."""
    wanted = ["receipt_id", "status", "age", *(f"under_{edge:g}" for edge in groups.edges)]
    return buyers[[name for name in (*wanted, "calibration", column) if name in buyers]]
