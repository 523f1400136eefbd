"""Tables in an engine, by names, and what Ibis writes of them: DuckDB, or a database server."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pandas as pd

from ageboost._tables.cells import NO_NUMBERS
from ageboost._tables.session import Session
from ageboost.retail.tables import Kind, match_columns

__all__ = ["Engine", "alike", "as_number", "import_ibis", "like"]


@dataclass
class Engine:
    """An engine that answers expressions about tables that have names."""

    session: Session
    given: dict[str, str] = field(default_factory=dict)

    def table(self, kind: Kind, select: str) -> Any:
        """Name what a statement selects; columns are typed by a value of each."""
        sql = select.strip().rstrip(";")
        head = self.session.fetch(f"SELECT * FROM (\n{sql}\n) AS given LIMIT 1")
        names = match_columns([*head.columns], kind)
        name = f"{kind}_in_place"
        self.given[name] = sql
        ibis = import_ibis()
        schema = {str(theirs): _type_of(head[theirs]) for theirs in head.columns}
        kept = {}
        for theirs, ours in zip(schema, names, strict=True):
            if ours and schema[theirs] == "string" and head[theirs].isna().all():
                # The first row is of a buyer without a photo, say.
                column = ibis.table({theirs: "string"}, name=name)[theirs]
                some = self.fetch(column.as_table().filter(column.notnull()).limit(1))[theirs]
                schema[theirs] = _type_of(some)
                if not len(some):
                    kept[ours] = ibis.null("string")
        table = ibis.table(schema, name=name)
        named = {ours: table[theirs] for theirs, ours in zip(schema, names, strict=True) if ours}
        return table.select(**(named | kept))

    def send(self, name: str, table: pd.DataFrame) -> Any:
        """Send a table there for as long as the session lasts."""
        self.session.send(f"ageboost_{name}", table)
        schema = {str(column): _type_of(table[column]) for column in table}
        return import_ibis().table(schema, name=f"ageboost_{name}")

    def keep(self, name: str, expression: Any) -> Any:
        """Let the engine keep what an expression gives."""
        self.session.keep(f"ageboost_{name}", self._statement(expression))
        return import_ibis().table(expression.schema(), name=f"ageboost_{name}")

    def fetch(self, expression: Any) -> pd.DataFrame:
        """Read what an expression gives; numbers are those of NumPy."""
        found = self.session.fetch(self._statement(expression))
        types = {
            name: "int64" if kind.is_integer() else "float64"
            for name, kind in expression.schema().items()
            if kind.is_numeric() and found[name].notna().all()
        }
        return found.astype(types)

    def _statement(self, expression: Any) -> str:
        sql = import_ibis().to_sql(expression, dialect=self.session.dialect)
        used = {name: text for name, text in self.given.items() if name in sql}
        if not used:
            return str(sql)
        tables = ", ".join(f"{name} AS (\n{text}\n)" for name, text in used.items())
        return f"WITH {tables} SELECT * FROM (\n{sql}\n) AS answer"


def import_ibis() -> Any:
    try:
        import ibis
    except ImportError as error:
        raise ImportError(
            'sums in an engine need Ibis: pip install "ageboost[database]"'
        ) from error
    return ibis


def _type_of(values: pd.Series) -> str:
    kind = values.infer_objects().dtype
    for test, name in (
        (pd.api.types.is_bool_dtype, "boolean"),
        (pd.api.types.is_integer_dtype, "int64"),
        (pd.api.types.is_float_dtype, "float64"),
        (pd.api.types.is_datetime64_any_dtype, "timestamp"),
    ):
        if test(kind):
            return name
    filled = values.dropna()
    return "decimal" if len(filled) and isinstance(filled.iloc[0], Decimal) else "string"


def as_number(column: Any) -> Any:
    """Read a number, or a text that is one; what is none is missing."""
    ibis = import_ibis()
    if column.type().is_string():
        column = ibis.ifelse(column.isin(NO_NUMBERS), ibis.null("string"), column)
    number = column.cast("float64")
    return ibis.ifelse(number.isnan(), ibis.null("float64"), number)


def alike(first: Any, second: Any) -> tuple[Any, Any]:
    """Bring names of two tables to one type."""
    if first.type() == second.type() and first.type().is_integer():
        return first, second
    return first.cast("string").strip(), second.cast("string").strip()


def like(form: Any, column: Any) -> Any:
    return form if form.type() == column.type() else form.cast(column.type())
