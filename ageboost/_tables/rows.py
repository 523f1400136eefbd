"""DataFrames as rows of a database: columns with types, and missing values that are NULL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ageboost._tables.database import database_errors, is_duckdb, open_database
from ageboost.errors import TableError

__all__ = [
    "check_table_name",
    "insert_rows",
    "parts_for_drivers",
    "sql_table",
    "without_infinity",
    "write_rows",
]

_ROWS_AT_ONCE = 1000
_NAME = re.compile(r"(?:[^\W\d]\w*\.)?[^\W\d]\w*")


def write_rows(table: pd.DataFrame, connection: Any, name: str, append: bool = False) -> None:
    """Write a table into a database, in one transaction: all of it is there, or nothing changed.

    Parameters
    ----------
    table : DataFrame
    connection : str, or a connection
        As for :class:`Query`, of SQLAlchemy or DuckDB.
    name : str
        Of the table there, perhaps behind that of its schema: ``"reports.ages_by_hour"``.
    append : bool, default=False
        Whether to leave rows that are there. Otherwise they are replaced: where the table has the
        same columns it stays, with all who may read it.

    Raises
    ------
    TableError
        If the database refuses it. A password that is known is not in the message.
    """
    check_table_name(name)
    problem = f"the table {name!r} cannot be written"
    with open_database(connection, problem) as opened, database_errors(connection, problem):
        if is_duckdb(opened):
            _write_to_duckdb(without_infinity(table), opened, name, append)
        elif hasattr(opened, "exec_driver_sql"):
            with opened.begin():
                _write_by_sqlalchemy(without_infinity(table), opened, name, append)
        else:
            raise TableError(f"{problem} over this connection: pass a URL or an engine")


def check_table_name(name: str) -> None:
    """Refuse what is no plain name of a table: it stands in statements as it is.

    Raises
    ------
    TableError
    """
    if not _NAME.fullmatch(name):
        raise TableError(
            f"{name!r} is not a valid table name: write letters, digits and underscores, such as "
            "ages_by_hour"
        )


def sql_table(table: pd.DataFrame, name: str, schema: str | None = None, **options: Any) -> Any:
    """Describe a table to SQLAlchemy, with the types of a DataFrame's columns."""
    import sqlalchemy

    def type_of(values: pd.Series) -> Any:
        dtype = values.dtype
        if values.name == "date" and pd.api.types.is_datetime64_any_dtype(dtype):
            return sqlalchemy.Date()
        if pd.api.types.is_datetime64_any_dtype(dtype):
            return sqlalchemy.DateTime(timezone=getattr(dtype, "tz", None) is not None)
        if pd.api.types.is_bool_dtype(dtype):
            return sqlalchemy.Boolean()
        if pd.api.types.is_integer_dtype(dtype):
            return sqlalchemy.BigInteger()
        return sqlalchemy.Double() if pd.api.types.is_float_dtype(dtype) else sqlalchemy.Text()

    columns = [sqlalchemy.Column(str(column), type_of(table[column])) for column in table]
    return sqlalchemy.Table(name, sqlalchemy.MetaData(), *columns, schema=schema, **options)


def insert_rows(connection: Any, described: Any, table: pd.DataFrame) -> None:
    """Insert the rows of a DataFrame over a connection of SQLAlchemy."""
    for part in parts_for_drivers(table):
        connection.execute(described.insert(), part.to_dict("records"))


def parts_for_drivers(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield some rows at a time, in which what is missing is None, as drivers take it."""
    for start in range(0, len(table), _ROWS_AT_ONCE):
        part = table.iloc[start : start + _ROWS_AT_ONCE].astype(object)
        yield part.where(part.notna(), None)


def without_infinity(table: pd.DataFrame) -> pd.DataFrame:
    """Take what has no bound to be missing, since few programs read infinity."""
    return table.replace([np.inf, -np.inf], np.nan)


def _write_to_duckdb(table: pd.DataFrame, connection: Any, name: str, append: bool) -> None:
    given = "SELECT * FROM ageboost_rows"
    if "date" in table:
        given = "SELECT * REPLACE (CAST(date AS DATE) AS date) FROM ageboost_rows"
    connection.register("ageboost_rows", table)
    connection.begin()
    try:
        if append:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS {given} LIMIT 0")
            connection.execute(f"INSERT INTO {name} BY NAME {given}")
        else:
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS {given}")
    except BaseException:
        connection.rollback()
        raise
    else:
        connection.commit()
    finally:
        connection.unregister("ageboost_rows")


def _write_by_sqlalchemy(table: pd.DataFrame, connection: Any, name: str, append: bool) -> None:
    import sqlalchemy

    if connection.dialect.name == "sqlite":
        # Its driver begins no transaction before a table is dropped or made.
        connection.exec_driver_sql("BEGIN")
    schema, _, plain = name.rpartition(".")
    described = sql_table(table, plain, schema or None)
    inspector = sqlalchemy.inspect(connection)
    there = inspector.has_table(plain, schema=schema or None)
    if there and not append:
        columns = inspector.get_columns(plain, schema=schema or None)
        if [column["name"] for column in columns] == [*table.columns]:
            connection.execute(described.delete())
        else:
            described.drop(connection)
            there = False
    if not there:
        described.create(connection)
    insert_rows(connection, described, table)
