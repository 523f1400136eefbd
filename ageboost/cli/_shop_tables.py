"""Tables that the commands of a shop read, from files or a database, and what they write."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from ageboost.cli._clocks import clock_options, read_offsets
from ageboost.cli._shared import (
    check_apart,
    check_table_path,
    load_model,
    look_with,
    refuse,
    refuse_errors,
    replace_table,
    spinner,
    writing,
)

if TYPE_CHECKING:
    import pandas as pd

    from ageboost.models import AgeCalibrator, AgeEstimator
    from ageboost.retail import AgeGroups, ShopTables
    from ageboost.retail.tables import Source

__all__ = [
    "Output",
    "Reading",
    "Tables",
    "check_outputs",
    "find_buyers",
    "read_tables",
    "refuse_table_errors",
    "write_result",
]

T = TypeVar("T")

# Probabilities and p-values are small, sums of money are large.
_FLOAT_FORMAT = "%.10g"


@dataclass(frozen=True)
class Tables:
    """Where the tables of a shop are: each a file, or a query of a database."""

    receipts: Source
    lines: Source | None = None
    photos: Source | None = None
    buyers: Source | None = None

    @classmethod
    def choose(cls, database: str | None, **given: tuple[Path | None, Path | None]) -> Tables:
        """Take each table from its file or, where there is a query, from the database."""
        chosen: dict[str, Source] = {}
        for name, (file, query) in given.items():
            if query is None:
                chosen[name] = file
                continue
            if file is not None:
                refuse(f"--{name}-query and a file of {name}: pass one of them")
            if database is None:
                refuse(f"--{name}-query: name the database with --database or AGEBOOST_DATABASE")
            chosen[name] = _read_query(query, database)
        if chosen["receipts"] is None:
            refuse("name a file of receipts, or pass --receipts-query")
        return cls(**chosen)


def _read_query(path: Path, database: str) -> Source:
    from ageboost.retail import Query

    return refuse_errors(lambda: Query(path.read_text("utf-8-sig"), database))


@dataclass(frozen=True)
class Output:
    """Where the table of a result goes: a file, a table of a database, or both."""

    path: Path | None
    database: str | None
    name: str | None
    append: bool

    @classmethod
    def choose(
        cls,
        path: Path | None,
        to_database: str | None,
        name: str | None,
        append: bool,
        database: str | None,
    ) -> Output:
        """Check before the work, not after it, where its result should go."""
        from ageboost._tables.rows import check_table_name

        if name is None and (to_database is not None or append):
            refuse("name the table in the database with --table")
        if name is not None:
            refuse_errors(lambda: check_table_name(name))
            to_database = to_database or database
            if to_database is None:
                refuse("--table: name the database with --to-database")
        return cls(path, to_database, name, append)

    def write(self, table: pd.DataFrame) -> None:
        """Write the table of a result."""
        from ageboost.retail import write_table

        if self.path is not None:
            write_result(table, self.path)
        if self.name is not None:
            refuse_errors(lambda: write_table(table, self.database, self.name, append=self.append))
            typer.echo(f"{len(table):,} rows written to the table {self.name}")


def check_outputs(outputs: dict[str, Path | None], inputs: dict[str, Path | None]) -> None:
    """Check that files can be written, and none over another one."""
    for path in filter(None, outputs.values()):
        check_table_path(path)
    check_apart(outputs, inputs)


@dataclass(frozen=True)
class Reading:
    """How tables are to be read."""

    columns: list[str] | None
    day_first: bool | None
    decimal: str | None
    encoding: str | None
    tables: Tables

    def names(self) -> dict[str, str]:
        names = {}
        for pair in self.columns or ():
            theirs, equals, ours = pair.rpartition("=")
            if not equals:
                refuse(f"--column {pair}: write it as NAME_THERE=NAME_HERE")
            names[theirs] = ours
        return names

    def cells(self) -> dict[str, Any]:
        if self.decimal not in (None, ".", ","):
            refuse(f"--decimal {self.decimal}: write a dot or a comma")
        return {"decimal": self.decimal, "encoding": self.encoding}


def refuse_table_errors(call: Callable[[], T]) -> T:
    """Refuse what cannot be used; columns that are not read have been named already."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the column .* is not read")
        return refuse_errors(call)


def write_result(table: pd.DataFrame, path: Path) -> None:
    """Write a table; what has no bound is missing."""
    from ageboost._tables.rows import without_infinity

    with writing(path):
        replace_table(without_infinity(table), path, _FLOAT_FORMAT)


def read_tables(reading: Reading, with_lines: bool = True) -> ShopTables:
    """Read receipts, lines and photos, and say what became of their rows."""
    from ageboost.retail import read_shop

    tables = reading.tables
    names, options = reading.names(), reading.cells() | {"day_first": reading.day_first}
    receipts, lines = tables.receipts, tables.lines
    if not with_lines:
        # Where nothing is asked of lines, receipts are not taken to be one flat table.
        lines = _no_lines()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        shop = refuse_errors(lambda: read_shop(receipts, lines, tables.photos, names, **options))
    for warning in caught:
        typer.echo(f"ageboost: {warning.message}", err=True)
    if not with_lines:
        shop = replace(shop, counts=shop.counts[shop.counts["of"] != "rows of lines"])
    typer.echo(str(shop))
    return shop


def _no_lines() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"receipt_id": [], "product": []}, dtype="str")


def find_buyers(
    shop: ShopTables,
    keep: Path | None,
    reading: Reading,
    model: str | None,
    groups: AgeGroups | None,
    ages: tuple[float, ...],
    tolerance: str,
    clock_offsets: list[str] | None,
    max_side: int | None,
    jobs: int,
    cache: Path | None,
) -> tuple[pd.DataFrame, AgeCalibrator, pd.DataFrame, AgeEstimator | None]:
    """Look at the photos, or take what was kept of them; count what became of all that was read.

    With the ages comes the calibration of the model that estimated them, and the model itself if it
    was named or had to look at photos.
    """
    import pandas as pd

    from ageboost.models.calibration import calibration_of
    from ageboost.retail import DEFAULT_AGES, describe_counts, estimate_buyers, match_photos

    known = reading.tables.buyers
    if (known is None) == (shop.photos is None):
        refuse("pass --photos, or --buyers that were estimated before")
    if known is not None:
        named = None if model is None else load_model(model)
        people, fitting = refuse_table_errors(lambda: _read_buyers(known, shop, reading, named))
        return people, fitting, shop.counts, named
    photos = shop.photos
    assert photos is not None
    estimator = look_with(load_model(model), max_side)
    fitting = refuse_errors(lambda: calibration_of(estimator))
    offsets = read_offsets(clock_offsets, shop.receipts)
    matched = refuse_table_errors(lambda: match_photos(photos, shop.receipts, tolerance, offsets))
    clocks = matched.describe_clocks()
    typer.echo("\n".join([describe_counts(matched.counts), *clocks]))
    if clocks:
        typer.echo(f"To set them right, pass {clock_options(matched.clock_offsets)}")
    if len(photos) and len(shop.receipts) and matched.table["receipt_id"].isna().all():
        refuse("no photo belongs to a receipt: set the clocks right")
    with spinner(f"Looking at {len(photos)} photos"):
        buyers = refuse_table_errors(
            lambda: estimate_buyers(
                matched,
                shop.receipts,
                estimator,
                groups,
                ages=(*DEFAULT_AGES, *ages),
                cache=cache,
                n_jobs=jobs,
            )
        )
    if keep is not None:
        write_result(buyers, keep)
    counts = pd.concat([shop.counts, matched.counts], ignore_index=True)
    return buyers, fitting, counts, estimator


def _read_buyers(
    source: Source, shop: ShopTables, reading: Reading, model: AgeEstimator | None
) -> tuple[pd.DataFrame, AgeCalibrator]:
    from ageboost.retail import read_table
    from ageboost.retail._joins import check_join
    from ageboost.retail._origin import find_calibration, origin_of

    people = read_table(source, "buyers", **reading.cells())
    check_join(people["receipt_id"], shop.receipts["receipt_id"], "buyers", "receipts")
    return people, find_calibration(origin_of(people), model)
