"""A query of a database, read as a table: types are kept, and no message holds a password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ageboost.errors import TableError

__all__ = ["Query", "database_errors", "is_duckdb", "open_database", "read_select"]

_ROWS_AT_ONCE = 50_000
_DUCKDB = "duckdb://"
_LOGIN = re.compile(r"(://[^/\s:@]*):[^/\s]*@")


@dataclass(frozen=True, repr=False)
class Query:
    """A table that a database makes when it is read.

    Parameters
    ----------
    sql : str
        A ``select``; its columns are those of the table. It goes to the database as it is.
    connection : str, or a connection
        An SQLAlchemy URL, such as ``"postgresql://shop@till-db/shop"``, or ``"duckdb:///shop.db"``;
        an engine or a connection of SQLAlchemy; a connection of ADBC, DuckDB or any driver that
        keeps to Python's DB-API. What is given as a URL is opened for the query and closed again.

    Examples
    --------
    >>> import sqlite3
    >>> from ageboost.retail import Query, read_table
    >>> shop = sqlite3.connect(":memory:")
    >>> _ = shop.execute("create table sold (bon int, item text)")
    >>> _ = shop.execute("insert into sold values (7, 'tea')")
    >>> read_table(Query("select bon as receipt_id, item as product from sold", shop), "lines")
      receipt_id product
    0          7     tea
    """

    sql: str
    connection: Any

    def __repr__(self) -> str:
        return f"Query({' '.join(self.sql.split())[:80]!r})"

    def read(self) -> pd.DataFrame:
        """Run the query.

        Returns
        -------
        DataFrame
            Decimals stay decimals, times keep their zones, whole numbers are whole beside gaps.

        Raises
        ------
        TableError
            If the database refuses it. A password that is known is not in the message.
        ImportError
            If SQLAlchemy, or the driver that a URL asks for, is not installed.
        """
        problem = f"{self!r} cannot be read"
        with (
            open_database(self.connection, problem) as connection,
            database_errors(self.connection, problem),
        ):
            return read_select(connection, self.sql)


def read_select(connection: Any, sql: str) -> pd.DataFrame:
    """Read what a statement selects, over a connection that is open.

    Parameters
    ----------
    connection : connection
        As :func:`open_database` gives it.
    sql : str

    Returns
    -------
    DataFrame
    """
    if is_duckdb(connection):
        return _to_pandas(connection.sql(sql).to_arrow_table())
    if hasattr(connection, "exec_driver_sql"):
        # Without parameters a "%" in the text is a "%".
        options = {"stream_results": True, "no_parameters": True}
        result = connection.exec_driver_sql(sql, execution_options=options)
        return _fetch(result, list(result.keys()))
    cursor = connection.cursor()
    try:
        cursor.execute(sql)
        if hasattr(cursor, "fetch_arrow_table"):
            return _to_pandas(cursor.fetch_arrow_table())
        return _fetch(cursor, [column[0] for column in cursor.description or ()])
    finally:
        cursor.close()


@contextmanager
def open_database(connection: Any, problem: str) -> Iterator[Any]:
    """Open what was given as a URL or an engine, and close it again.

    Parameters
    ----------
    connection : str, or a connection
        As for :class:`Query`.
    problem : str
        What an error begins with.

    Yields
    ------
    Connection
        Of SQLAlchemy or DuckDB where a URL or an engine was given, or what was given.

    Raises
    ------
    TableError
        As :func:`database_errors`.
    ImportError
        If a package is not installed.
    """
    with ExitStack() as stack:
        with database_errors(connection, problem):
            opened = stack.enter_context(_connect(connection))
        yield opened


@contextmanager
def database_errors(connection: Any, problem: str) -> Iterator[None]:
    """Turn errors of any driver into one that holds no password.

    Parameters
    ----------
    connection : str, or a connection
        Whose password is hidden.
    problem : str
        What the error begins with.

    Raises
    ------
    TableError
        In place of any error but those of packages that are missing.
    """
    try:
        yield
    except (ImportError, TableError):
        raise
    except Exception as error:  # each driver has errors of its own
        said = _hide_password(str(getattr(error, "orig", None) or error), connection).strip()
        # The driver's own error is not shown: its text may hold the password.
        raise TableError(f"{problem}: {said or type(error).__name__}") from None


@contextmanager
def _connect(connection: Any) -> Iterator[Any]:
    """Open a URL or an engine; pass on what is a connection already."""
    if isinstance(connection, str) and connection.startswith(_DUCKDB):
        import duckdb

        with duckdb.connect(connection.removeprefix(_DUCKDB).removeprefix("/")) as opened:
            yield opened
    elif isinstance(connection, str):
        sqlalchemy = _import_sqlalchemy()
        engine = sqlalchemy.create_engine(connection, poolclass=sqlalchemy.NullPool)
        with engine.connect() as opened:
            yield opened
    elif hasattr(connection, "dialect") and hasattr(connection, "connect"):
        with connection.connect() as opened:
            yield opened
    else:
        if not hasattr(connection, "cursor") and not hasattr(connection, "exec_driver_sql"):
            raise TypeError(f"a {type(connection).__name__} is not a database connection")
        yield connection


def is_duckdb(connection: Any) -> bool:
    """Whether this is a connection of DuckDB."""
    return "duckdb" in type(connection).__module__ and hasattr(connection, "sql")


def _hide_password(text: str, connection: Any) -> str:
    """Take a password out of a message.

    Parameters
    ----------
    text : str
    connection : str, or a connection
        Whose password is hidden, in each form in which it is known.

    Returns
    -------
    str
    """
    url = getattr(getattr(connection, "engine", connection), "url", connection)
    secrets: set[str] = set()
    if isinstance(url, str) and not url.startswith(_DUCKDB):
        sqlalchemy = _import_sqlalchemy()
        try:
            url = sqlalchemy.engine.make_url(url)
        except sqlalchemy.exc.ArgumentError:
            secrets |= {url}
    if hasattr(url, "render_as_string"):
        hidden = [url.password or "", *(str(url.query.get(name, "")) for name in _SECRET_WORDS)]
        secrets |= {form for word in hidden for form in (word, _quoted(word), repr(word)[1:-1])}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return _LOGIN.sub(r"\1:***@", text)


_SECRET_WORDS = ("password", "passwd", "sslpassword", "token")


def _quoted(word: str) -> str:
    from urllib.parse import quote

    return quote(word, safe="")


def _import_sqlalchemy() -> Any:
    try:
        import sqlalchemy
    except ImportError as error:
        raise ImportError(
            'databases that are named by a URL need SQLAlchemy: pip install "ageboost[database]"'
        ) from error
    return sqlalchemy


def _to_pandas(table: Any) -> pd.DataFrame:
    import pyarrow

    # As floats, long whole numbers beside gaps would be rounded.
    whole = {
        getattr(pyarrow, f"int{bits}")(): getattr(pd, f"Int{bits}Dtype")() for bits in (32, 64)
    }
    return table.to_pandas(types_mapper=whole.get)


def _fetch(cursor: Any, names: list[str]) -> pd.DataFrame:
    """Fetch all rows, so many at once that Python's own objects never hold the whole table."""
    if not names:
        raise TableError("the statement gives no table: write a select")
    parts = []
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        columns = zip(*rows, strict=True)
        parts.append(pd.DataFrame(dict(enumerate(map(_column, columns)))))
    if not parts:
        return pd.DataFrame(columns=names, dtype=object)
    return pd.concat(parts, ignore_index=True).set_axis(names, axis=1)


def _column(values: tuple[Any, ...]) -> pd.Series:
    kept = pd.Series(values, dtype=object)
    found = kept.infer_objects()
    if found.dtype.kind == "f" and not any(isinstance(value, float) for value in values):
        return kept if kept.isna().all() else kept.astype("Int64")
    return found
