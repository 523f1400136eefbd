"""Receipts, their lines, photos and ages of buyers, as a shop has them: read, checked, counted."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pandas as pd

from ageboost._notebook import ShownInNotebooks
from ageboost._tables.cells import Decimal, read_booleans, read_names, read_numbers, refuse_rows
from ageboost._tables.database import Query
from ageboost._tables.names import fold_name, list_names, match_names, near_names
from ageboost._tables.readers import Source, load_table, name_source
from ageboost._tables.row_names import row_name
from ageboost._tables.times import TimeColumn, settle_order
from ageboost.errors import RetailDataError, TableError
from ageboost.retail._joins import check_join, is_among
from ageboost.retail._repeated import drop_repeated
from ageboost.retail.counts import count_outcomes, describe_counts

__all__ = [
    "Query",
    "ShopTables",
    "Source",
    "need_columns",
    "read_shop",
    "read_table",
]

Kind: TypeAlias = Literal["receipts", "lines", "photos", "buyers"]

_OF_RECEIPTS = ("date", "time", "store", "till", "cashier", "id_checked", "customer")
_OF_LINES = ("product", "category", "quantity", "price")
_COLUMNS = {
    "receipts": ("receipt_id", *_OF_RECEIPTS),
    "lines": ("receipt_id", *_OF_LINES),
    "flat": ("receipt_id", *_OF_RECEIPTS, *_OF_LINES),
    "photos": ("photo", "date", "time", "store", "till", "receipt_id"),
    "buyers": (
        *("receipt_id", "photo", "status", "faces", "age", "age_low", "age_high"),
        *("quality", "reliable", "calibration"),
    ),
}
_NEEDED = {
    "receipts": ("receipt_id",),
    "lines": ("receipt_id", "product"),
    "flat": ("receipt_id", "product"),
    "photos": ("photo",),
    "buyers": ("receipt_id",),
}
_MUST_BE_FILLED = {
    "receipts": ("receipt_id",),
    "flat": ("receipt_id",),
    "photos": ("photo",),
    "buyers": ("receipt_id",),
}
_AMOUNTS = ("quantity", "price")
_OF_BUYERS = ("faces", "age", "age_low", "age_high", "quality")
_BOOLEANS = ("id_checked", "reliable")
_UNDER = re.compile(r"under[_ -]?(\d+(?:\.\d+)?)", re.IGNORECASE)
_SHOWN = 5


@dataclass(frozen=True, repr=False)
class ShopTables(ShownInNotebooks):
    """The tables of a shop, fit to be worked with, and what became of each row that was read.

    Attributes
    ----------
    receipts : DataFrame
        One row for each ``receipt_id``.
    lines : DataFrame
        Those of these receipts.
    photos : DataFrame or None
    counts : DataFrame
        ``of``, ``outcome``, ``rows``: the rows of each table by what became of them.
    """

    receipts: pd.DataFrame
    lines: pd.DataFrame
    photos: pd.DataFrame | None
    counts: pd.DataFrame

    def __str__(self) -> str:
        return describe_counts(self.counts)

    def _table_to_show(self) -> pd.DataFrame:
        return self.counts


def read_table(
    source: Source,
    kind: Kind,
    columns: Mapping[str, str] | None = None,
    *,
    day_first: bool | None = None,
    decimal: Decimal | None = None,
    encoding: str | None = None,
) -> pd.DataFrame:
    """Read one table of a shop, and check every cell of the columns that this package knows.

    All rows are kept, in their order. Receipts need ``receipt_id``, and may have ``time``,
    ``store``, ``till``, ``cashier``, ``id_checked`` and ``customer``. Lines need ``receipt_id`` and
    ``product``, and may have ``category``, ``quantity`` (negative for what was brought back) and
    ``price`` of one piece. Photos need ``photo`` (a path, from the folder of the file that it
    stands in), and may have ``time``, ``store``, ``till`` and ``receipt_id``. Buyers are what
    :func:`estimate_buyers` gave. Other columns are passed on as they are.

    Nothing is guessed: what can be read in two ways is refused, unless another cell of the table
    settles it. Names of columns may be in any case, and have spaces in place of underscores; a
    warning names columns that are called nearly like one that is missing. ``NA``, ``None`` and
    ``nan`` are names like any other, and missing values among numbers. A ``time`` without a date
    is joined with the column ``date``.

    Parameters
    ----------
    source : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        A file is Parquet or JSON (a list of one object for each row) if its name ends so, and CSV
        otherwise: with commas, semicolons, tabs or bars between cells, perhaps compressed.
    kind : {"receipts", "lines", "photos", "buyers"}
    columns : mapping of str to str, optional
        Names in the source, and what they are called here: ``{"basket_id": "receipt_id"}``.
    day_first : bool, optional
        Whether the day comes before the month in dates that do not begin with the year.
    decimal : {".", ","}, optional
        The decimal mark of numbers that are written as text.
    encoding : str, optional
        Of a CSV file, such as ``"cp1252"``. By default UTF-8, or UTF-16 with its mark.

    Returns
    -------
    DataFrame
        Names and numbers that identify things (``receipt_id``, ``store``, ``till``, ``cashier``,
        ``customer``, ``product``, ``category``) are texts, ``time`` is a datetime, ``quantity`` and
        ``price`` are numbers, ``id_checked`` is a boolean. Empty cells are missing values.

    Raises
    ------
    RetailDataError
        If a column is missing or named twice, or a cell cannot be read; it names the lines of a
        CSV file, else the rows, where 0 is the first.
    FileNotFoundError
        If there is no such file.
    TypeError
        If the source is no table.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.retail import read_table
    >>> bought = pd.DataFrame({"basket": [7, 7], "item": ["tea", "jam"], "Quantity": [1, -1]})
    >>> read_table(bought, "lines", {"basket": "receipt_id", "item": "product"})
      receipt_id product  quantity
    0          7     tea       1.0
    1          7     jam      -1.0
    """
    if kind not in ("receipts", "lines", "photos", "buyers"):
        raise ValueError(f"kind={kind!r}: pass 'receipts', 'lines', 'photos' or 'buyers'")
    with as_retail_error():
        table = _Table(source, kind, columns or {}, decimal, encoding)
        return table.finish(settle_order(table.times, day_first))


def read_shop(
    receipts: Source,
    lines: Source | None = None,
    photos: Source | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    day_first: bool | None = None,
    decimal: Decimal | None = None,
    encoding: str | None = None,
) -> ShopTables:
    """Read all tables of a shop, and leave out, counted, what cannot be identified or joined.

    A receipt that is there several times, equal in all columns, is kept once. Lines of no known
    receipt are left out. All tables have one order of day and month: a date of one that leaves no
    doubt settles it for the others.

    Parameters
    ----------
    receipts : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        Each as for :func:`read_table`.
    lines : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB, optional
        Without it, ``receipts`` is one flat table: one row for each line, on which the facts of
        its receipt are repeated.
    photos : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB, optional
    columns : mapping of str to str, optional
        As for :func:`read_table`; a name that a table does not have is no matter there.
    day_first : bool, optional
        As for :func:`read_table`.
    decimal : {".", ","}, optional
        As for :func:`read_table`.
    encoding : str, optional
        As for :func:`read_table`.

    Returns
    -------
    ShopTables

    Raises
    ------
    RetailDataError
        As :func:`read_table`, if receipts of one ``receipt_id`` differ, or (almost) no line is of
        one of the receipts.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.retail import read_shop
    >>> receipts = pd.DataFrame({"receipt_id": ["a", "b", "b"]})
    >>> lines = pd.DataFrame({"receipt_id": ["a", "b", "z"], "product": ["tea", "tea", "jam"]})
    >>> print(read_shop(receipts, lines))
    3 rows of receipts: 2 kept, 1 the same receipt again
    3 rows of lines: 2 kept, 1 of an unknown receipt
    """
    sources = {"flat" if lines is None else "receipts": receipts}
    if lines is not None:
        sources["lines"] = lines
    if photos is not None:
        sources["photos"] = photos
    tables = read_together(sources, columns, day_first, decimal, encoding, of_shop=True)
    if "flat" in tables:
        flat = tables["flat"]
        facts = [name for name in flat if name in _COLUMNS["receipts"]]
        tables["receipts"] = flat[facts]
        tables["lines"] = flat.drop(columns=[name for name in facts if name != "receipt_id"])
    elif any(fold_name(name) == "product" for name in tables["receipts"]):
        # The same flat table, or another one, stands for the receipts.
        tables["receipts"] = tables["receipts"].filter(_COLUMNS["receipts"])
    sales, again = drop_repeated(tables["receipts"])
    bought = tables["lines"]
    joined = is_among(bought["receipt_id"], sales["receipt_id"])
    check_join(bought["receipt_id"], sales["receipt_id"], "lines", "receipts")
    counts = [
        count_outcomes(
            "rows of receipts", {"kept": len(sales), "the same receipt again": int(again)}
        ),
        count_outcomes(
            "rows of lines",
            {"kept": int(joined.sum()), "of an unknown receipt": int((~joined).sum())},
        ),
    ]
    if "photos" in tables:
        counts.append(count_outcomes("rows of photos", {"kept": len(tables["photos"])}))
    return ShopTables(
        sales,
        bought[joined].reset_index(drop=True),
        tables.get("photos"),
        pd.concat(counts, ignore_index=True),
    )


def read_together(
    sources: Mapping[str, Source],
    columns: Mapping[str, str] | None = None,
    day_first: bool | None = None,
    decimal: Decimal | None = None,
    encoding: str | None = None,
    of_shop: bool = False,
) -> dict[str, pd.DataFrame]:
    """Read tables of one shop, whose dates have one order of day and month.

    Parameters
    ----------
    sources : mapping of str to Source
        By their kind, as for :func:`read_table`, or ``"flat"``.
    columns, day_first, decimal, encoding
        As for :func:`read_shop`.
    of_shop : bool, default=False
        As for :func:`need_columns`.

    Returns
    -------
    dict of str to DataFrame

    Raises
    ------
    RetailDataError
        As :func:`read_table`.
    """
    names = dict(columns or {})
    with as_retail_error():
        loaded = {
            kind: _Table(source, kind, names, decimal, encoding, shared=True, of_shop=of_shop)
            for kind, source in sources.items()
        }
        unknown = [name for name in names if not any(name in one.named for one in loaded.values())]
        if unknown:
            listed = ", ".join(map(repr, unknown))
            raise RetailDataError(f"unknown column {listed}: no table has it")
        order = settle_order([one for table in loaded.values() for one in table.times], day_first)
        return {kind: table.finish(order) for kind, table in loaded.items()}


def need_columns(
    table: pd.DataFrame,
    needed: Iterable[str],
    kind: str,
    name: str | None = None,
    of_shop: bool = False,
) -> None:
    """Refuse a table that lacks columns, and say which it has.

    Parameters
    ----------
    table : DataFrame
    needed : iterable of str
    kind : str
        What the table holds.
    name : str, optional
        What the error calls it.
    of_shop : bool, default=False
        Whether it was :func:`read_shop` that read it, whose argument is the way out then.

    Raises
    ------
    RetailDataError
        If a column is missing.
    """
    missing = [column for column in needed if column not in table.columns]
    if missing:
        name = name or f"the table of {kind}"
        there = list_names(table.columns)
        there = f"; its columns are {there}" if there else "; it has no columns"
        near = near_names(map(str, table.columns), missing)
        theirs, ours = next(iter(near.items()), ("their name", missing[0]))
        may_be = f" ({theirs!r} may be {ours!r})" if near else ""
        reader = "read_shop(..." if of_shop else f'read_table(..., "{kind}"'
        # The list comes last: of a long one, the end may have no room.
        raise RetailDataError(
            f"no column {', '.join(map(repr, missing))} in {name}{may_be}",
            f'pass {reader}, columns={{"{theirs}": "{ours}"}}){there}',
            f'pass --column "{theirs}={ours}"{there}',
        )


def match_columns(names: list[str], kind: Kind) -> list[str]:
    """Give columns of a table that is not read here the names that they are known by.

    Parameters
    ----------
    names : list of str
    kind : {"lines", "buyers"}

    Returns
    -------
    list of str
        One for each column.

    Raises
    ------
    RetailDataError
        If a column is missing or named twice.
    """
    where = f"the table of {kind}"
    with as_retail_error():
        matched = match_names(names, _known_columns(kind, names), {}, where)
        need_columns(pd.DataFrame(columns=matched), _NEEDED[kind], kind, where)
    return matched


class _Table:
    """A table that has been loaded and whose columns are named, with cells still to be read."""

    def __init__(
        self,
        source: Source,
        kind: str,
        columns: Mapping[str, str],
        decimal: Decimal | None,
        encoding: str | None,
        shared: bool = False,
        of_shop: bool = False,
    ):
        self.kind, self.decimal = kind, decimal
        self.where = name_source(source, "receipts" if kind == "flat" else kind)
        self._columns, self._shared = columns, shared
        self.named: set[str] = set()
        loaded = load_table(source, self._texts, encoding)
        self.where = loaded.named(self.where)
        if loaded.bad_rows:
            raise _mismatch(loaded.bad_rows, len(loaded.cells), self.where)
        names = self._match(loaded.names)
        kept = [at for at, name in enumerate(names) if name]
        table = loaded.cells[kept].set_axis([names[at] for at in kept], axis=1)
        of = "receipts" if kind == "flat" else kind
        need_columns(table, _NEEDED[kind], of, self.where, of_shop)
        self.table, self.folder = table, loaded.folder
        self._warn_of_near_names()
        self.times = []
        if "time" in self._known(names) and "time" in table:
            self.times = [TimeColumn(table["time"], self.where, table.get("date"))]

    def finish(self, day_first: bool | None) -> pd.DataFrame:
        """Read the cells."""
        table, where = self.table, self.where
        read: dict[str, pd.Series] = {}
        known = [name for name in table if name in self._known(table.columns)]
        numbers = {name: table[name] for name in known if _is_number(name)}
        infinite = self.kind == "buyers"
        read |= read_numbers(numbers, where, self.decimal, infinite=infinite)
        for name in known:
            if name == "time":
                read[name] = self.times[0].resolve(day_first)
            elif name in _BOOLEANS:
                read[name] = read_booleans(table[name], where)
            elif name not in ("photo", "date", *numbers):
                read[name] = read_names(table[name], where)
        for name in _MUST_BE_FILLED.get(self.kind, ()):
            missing = read[name] if name in read else table[name]
            refuse_rows(missing.isna(), table[name], where, f"{name} is empty")
        if self.kind == "photos" and self.folder is not None:
            folder = self.folder
            read["photo"] = table["photo"].map(lambda photo: str(folder / photo))
        return table.assign(**read).reset_index(drop=True)

    def _known(self, names: Iterable[object]) -> set[str]:
        return _known_columns(self.kind, names)

    def _match(self, names: list[str]) -> list[str]:
        known = self._known(names)
        columns = dict(self._columns)
        if self._shared:
            # One mapping serves all tables: what another table has is no matter here.
            columns = {
                theirs: ours
                for theirs, ours in columns.items()
                if fold_name(theirs) in map(fold_name, names)
                and (ours in known or ours not in _ALL_COLUMNS)
            }
        for theirs, ours in columns.items():
            if ours not in known:
                raise RetailDataError(
                    f"columns maps {theirs!r} to {ours!r}, which {self.kind} do not have: "
                    f"they have {', '.join(_COLUMNS[self.kind])}"
                )
        self.named = set(columns)
        return match_names(names, known, columns, self.where)

    def _texts(self, names: list[str]) -> list[int]:
        matched = self._match(names)
        known = self._known(names)
        return [
            at
            for at, name in enumerate(matched)
            if name in known and (name in _AMOUNTS or not _is_number(name))
        ]

    def _warn_of_near_names(self) -> None:
        known = self._known(self.table.columns)
        others = [name for name in self.table if name not in _ALL_COLUMNS and name not in known]
        for theirs, ours in near_names(others, sorted(known - set(self.table.columns))).items():
            warnings.warn(
                f"the column {theirs!r} of {self.where} is not read: rename it if it is {ours!r}",
                UserWarning,
                stacklevel=4,
            )


_ALL_COLUMNS = {name for names in _COLUMNS.values() for name in names}


def _known_columns(kind: str, names: Iterable[object]) -> set[str]:
    under: set[str] = set()
    if kind == "buyers":
        found = (_UNDER.fullmatch(str(name).strip()) for name in names)
        under = {f"under_{match[1]}" for match in found if match}
    return {*_COLUMNS[kind], *under}


@contextmanager
def as_retail_error() -> Iterator[None]:
    try:
        yield
    except RetailDataError:
        raise
    except TableError as error:
        raise RetailDataError(*error.args) from error


def _is_number(name: str) -> bool:
    return name in _AMOUNTS or name in _OF_BUYERS or bool(_UNDER.fullmatch(name))


def _mismatch(bad_rows: Mapping[int, str], n_rows: int, where: str) -> RetailDataError:
    lines = [f"  {row_name(where, row)}: {bad_rows[row]}" for row in sorted(bad_rows)[:_SHOWN]]
    if len(bad_rows) > _SHOWN:
        lines.append(f"  and {len(bad_rows) - _SHOWN:,} more")
    return RetailDataError(
        f"{len(bad_rows):,} of {n_rows:,} rows of {where} do not match its header; correct them "
        "(a cell that holds a separator needs quotes), or leave them out:\n" + "\n".join(lines)
    )
