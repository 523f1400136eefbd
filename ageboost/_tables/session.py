"""A session of a database: tables are kept in it while it lasts, for further statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pandas as pd

from ageboost._tables.database import database_errors, is_duckdb, open_database, read_select
from ageboost._tables.rows import insert_rows, parts_for_drivers, sql_table
from ageboost.errors import TableError

__all__ = ["Session", "has_session", "open_session"]

# What SQLAlchemy calls a database, and what Ibis calls its dialect.
_DIALECTS = {"postgresql": "postgres", "spark": "pyspark"}
_PROBLEM = "the database cannot sum up"


class Session:
    """Statements and temporary tables of one connection.

    Parameters
    ----------
    connection : connection
        Of DuckDB or SQLAlchemy.
    given : object
        What it was opened from: its password is kept out of errors.

    Attributes
    ----------
    dialect : str
        As Ibis calls it.
    """

    def __init__(self, connection: Any, given: object):
        self._connection, self._given = connection, given
        self._kept: set[str] = set()
        name = "duckdb" if is_duckdb(connection) else connection.dialect.name
        self.dialect = _DIALECTS.get(name, name)

    def fetch(self, sql: str) -> pd.DataFrame:
        """Read what a statement selects."""
        with self._errors():
            return read_select(self._connection, sql)

    def keep(self, name: str, sql: str) -> None:
        """Keep what a statement selects as a temporary table."""
        self._drop(name)
        self._execute(f"CREATE TEMPORARY TABLE {name} AS\n{sql}")
        self._kept.add(name)
        self._analyze(name)

    def send(self, name: str, table: pd.DataFrame) -> None:
        """Send a table, and keep it as a temporary one."""
        self._drop(name)
        with self._errors():
            if is_duckdb(self._connection):
                self._connection.register(f"{name}_sent", table)
                self._execute(f"CREATE TEMPORARY TABLE {name} AS SELECT * FROM {name}_sent")
                self._connection.unregister(f"{name}_sent")
            else:
                self._insert(name, table)
        self._kept.add(name)
        self._analyze(name)

    def close(self) -> None:
        """Drop what was kept."""
        for name in [*self._kept]:
            self._drop(name)

    def _insert(self, name: str, table: pd.DataFrame) -> None:
        described = sql_table(table, name, prefixes=["TEMPORARY"])
        described.create(self._connection)
        if self.dialect == "postgres" and self._connection.dialect.driver == "psycopg":
            self._copy(name, table)
        else:
            insert_rows(self._connection, described, table)

    def _copy(self, name: str, table: pd.DataFrame) -> None:
        """Send rows by PostgreSQL's own way for many of them."""
        names = ", ".join(f'"{column}"' for column in table)
        driver = self._connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY {name} ({names}) FROM STDIN") as copy:
            for part in parts_for_drivers(table):
                for row in part.itertuples(index=False, name=None):
                    copy.write_row(row)

    def _analyze(self, name: str) -> None:
        # PostgreSQL takes tables of which it knows nothing to be small.
        if self.dialect == "postgres":
            self._execute(f"ANALYZE {name}")

    def _drop(self, name: str) -> None:
        if name in self._kept:
            self._execute(f"DROP TABLE {name}")
            self._kept.remove(name)

    def _execute(self, sql: str) -> None:
        with self._errors():
            if is_duckdb(self._connection):
                self._connection.execute(sql)
            else:
                options = {"no_parameters": True}
                self._connection.exec_driver_sql(sql, execution_options=options)

    def _errors(self) -> AbstractContextManager[None]:
        return database_errors(self._given, _PROBLEM)


@contextmanager
def open_session(connection: Any, settings: Mapping[str, str] | None = None) -> Iterator[Session]:
    """Open a session, and drop its tables in the end.

    Parameters
    ----------
    connection : str, or a connection
        Of which :func:`has_session` holds; ``"duckdb://"`` is a DuckDB of its own, in memory.
    settings : mapping of str to str, optional
        Of DuckDB.

    Yields
    ------
    Session

    Raises
    ------
    TableError
        In place of any error of the database; a password that is known is not in its message.
    """
    with open_database(connection, _PROBLEM) as opened:
        session = Session(opened, connection)
        for name, value in (settings or {}).items():
            session._execute(f"SET {name} = '{value}'")
        try:
            yield session
        except BaseException:
            # A transaction that failed drops nothing: its own end does.
            with suppress(TableError):
                session.close()
            raise
        session.close()


def has_session(connection: Any) -> bool:
    """Whether sums can be left to a database: those of SQLAlchemy but SQLite, and DuckDB."""
    if isinstance(connection, str):
        return not connection.startswith("sqlite")
    dialect = getattr(connection, "dialect", None)
    return is_duckdb(connection) or (dialect is not None and dialect.name != "sqlite")
