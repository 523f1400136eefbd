"""Receipts, their lines and photos of buyers, as a shop has them: read, checked and counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import pandas as pd

from ageboost._notebook import ShownInNotebooks
from ageboost.errors import RetailDataError
from ageboost.retail.counts import count_outcomes, describe_counts

__all__ = ["ShopTables", "Source", "need_columns", "read_shop", "read_table"]

Kind: TypeAlias = Literal["receipts", "lines", "photos"]
Source: TypeAlias = str | os.PathLike[str] | pd.DataFrame

_COLUMNS = {
    "receipts": ("receipt_id", "time", "store", "till", "cashier", "id_checked", "customer"),
    "lines": ("receipt_id", "product", "category", "quantity", "price"),
    "photos": ("photo", "time", "store", "till", "receipt_id"),
}
_NEEDED = {"receipts": ("receipt_id",), "lines": ("receipt_id", "product"), "photos": ("photo",)}
_MUST_BE_FILLED = {"receipts": ("receipt_id",), "lines": (), "photos": ("photo",)}
_NUMBERS = ("quantity", "price")
_YES = ("true", "yes", "y", "t", "1", "1.0")
_NO = ("false", "no", "n", "f", "0", "0.0")
_SHOWN = 5
_LONGEST_SHOWN = 60


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
    source: Source, kind: Kind, columns: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Read one table of a shop, and check every cell of the columns that this package knows.

    All rows are kept, in their order. Receipts need ``receipt_id``, and may have ``time``,
    ``store``, ``till``, ``cashier``, ``id_checked`` and ``customer``. Lines need ``receipt_id`` and
    ``product``, and may have ``category``, ``quantity`` (negative for what was brought back) and
    ``price`` of one piece. Photos need ``photo`` (a path, from the folder of the file that it
    stands in), and may have ``time``, ``store``, ``till`` and ``receipt_id``. Other columns are
    passed on as they are.

    Parameters
    ----------
    source : path or DataFrame
        A DataFrame, a Parquet file (its name ends in ``.parquet``), or a CSV file in UTF-8 with
        commas, semicolons or tabs between cells; it may be compressed.
    kind : {"receipts", "lines", "photos"}
    columns : mapping of str to str, optional
        Names in the source, and what they are called here: ``{"basket_id": "receipt_id"}``.

    Returns
    -------
    DataFrame
        Names and numbers that tell things apart (``receipt_id``, ``store``, ``till``, ``cashier``,
        ``customer``, ``product``, ``category``) are texts, ``time`` is a datetime, ``quantity`` and
        ``price`` are numbers, ``id_checked`` is a boolean. Empty cells are missing values.

    Raises
    ------
    RetailDataError
        If a column is missing or named twice, or a cell cannot be read; it names the rows, where 0
        is the first below the header.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.retail import read_table
    >>> bought = pd.DataFrame({"basket": [7, 7], "item": ["tea", "jam"], "quantity": [1, -1]})
    >>> read_table(bought, "lines", {"basket": "receipt_id", "item": "product"})
      receipt_id product  quantity
    0          7     tea       1.0
    1          7     jam      -1.0
    """
    if kind not in _COLUMNS:
        raise ValueError(f"kind={kind!r}: pass one of {', '.join(map(repr, _COLUMNS))}")
    name = f"the table of {kind}" if isinstance(source, pd.DataFrame) else repr(os.fspath(source))
    columns = dict(columns or {})
    table, decimal = _load(source, kind, columns)
    table = _rename(table, kind, name, columns)
    need_columns(table, _NEEDED[kind], kind, name)
    read = {}
    for column in table.columns.intersection(list(_COLUMNS[kind])):
        read[column] = _read_column(table[column], column, name, decimal)
        if column in _MUST_BE_FILLED[kind]:
            _refuse(read[column].isna(), table[column], name, f"{column} is empty")
    if "photo" in read and not isinstance(source, pd.DataFrame):
        folder = Path(source).parent
        read["photo"] = read["photo"].map(lambda photo: str(folder / photo))
    return table.assign(**read).reset_index(drop=True)


def read_shop(
    receipts: Source,
    lines: Source,
    photos: Source | None = None,
    columns: Mapping[str, str] | None = None,
) -> ShopTables:
    """Read all tables of a shop, and leave out, counted, what cannot be told apart or joined.

    A receipt that is there several times, equal in all columns, is kept once. Lines of no known
    receipt are left out.

    Parameters
    ----------
    receipts : path or DataFrame
        Each as for :func:`read_table`.
    lines : path or DataFrame
    photos : path or DataFrame, optional
    columns : mapping of str to str, optional
        As for :func:`read_table`; a name that a table does not have is no matter there.

    Returns
    -------
    ShopTables

    Raises
    ------
    RetailDataError
        As :func:`read_table`, and if receipts of one ``receipt_id`` differ.
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
    columns = dict(columns or {})
    tables: dict[str, pd.DataFrame] = {}
    seen: set[str] = set()
    for kind, source in (("receipts", receipts), ("lines", lines), ("photos", photos)):
        if source is None:
            continue
        own = {theirs: ours for theirs, ours in columns.items() if theirs in _names(source)}
        seen |= own.keys()
        tables[kind] = read_table(source, kind, own)  # type: ignore[arg-type]
    unknown = [name for name in columns if name not in seen]
    if unknown:
        raise RetailDataError(f"columns names {unknown}, which no table has: correct the names")
    sales, again = drop_repeated(tables["receipts"])
    bought = tables["lines"]
    joined = bought["receipt_id"].isin(sales["receipt_id"])
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


def need_columns(
    table: pd.DataFrame, needed: Iterable[str], kind: str, name: str | None = None
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

    Raises
    ------
    RetailDataError
        If a column is missing.
    """
    missing = [column for column in needed if column not in table.columns]
    if missing:
        there = ", ".join(repr(str(column)[:_LONGEST_SHOWN]) for column in table.columns[:30])
        there = f"whose columns are {there}" if there else "which has no columns"
        raise RetailDataError(
            f"no column {', '.join(map(repr, missing))} in {name or f'the table of {kind}'}, "
            f'{there}: pass read_table(..., "{kind}", columns={{"their name": "{missing[0]}"}})'
        )


def drop_repeated(receipts: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Keep each receipt once; refuse different receipts of one ``receipt_id``."""
    again = receipts["receipt_id"].duplicated()
    if not again.any():
        return receipts, 0
    differs = again & ~receipts.duplicated()
    if differs.any():
        ids = receipts.loc[differs, "receipt_id"].unique()
        raise RetailDataError(
            f"{len(ids):,} receipt_ids stand for different receipts, such as {ids[0]!r}: "
            "make them unique, for instance by putting store, till and day before the number"
        )
    return receipts[~again].reset_index(drop=True), int(again.sum())


def check_unique(receipts: pd.DataFrame) -> None:
    """Refuse receipts that are there more than once."""
    again = receipts["receipt_id"].duplicated()
    if again.any():
        raise RetailDataError(
            f"{again.sum():,} of {len(receipts):,} receipts have a receipt_id that is there "
            f"already, such as {receipts.loc[again, 'receipt_id'].iloc[0]!r}: "
            "read_shop(receipts, lines) keeps equal ones once and counts them"
        )


def _names(source: Source) -> list[str]:
    if isinstance(source, pd.DataFrame):
        return [str(name) for name in source.columns]
    path = _check_file(source)
    if path.suffix == ".parquet":
        return list(_parquet_names(path))
    return list(_read_csv(path, _separator(path), nrows=0).columns)


def _load(source: Source, kind: str, columns: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    if isinstance(source, pd.DataFrame):
        return source, "."
    path = _check_file(source)
    if path.suffix == ".parquet":
        try:
            return pd.read_parquet(path), "."
        except ImportError as error:
            raise _no_pyarrow() from error
        except (OSError, ValueError) as error:
            raise RetailDataError(f"{str(path)!r} is no Parquet file: {error}") from error
    separator = _separator(path)
    # Numbers of receipts and products are names: zeros in front of them count.
    texts = {*_COLUMNS[kind], *(theirs for theirs, ours in columns.items())}
    table = _read_csv(path, separator, dtype=dict.fromkeys(texts, "str"))
    return table, "." if separator == "," else ","


def _check_file(source: str | os.PathLike[str]) -> Path:
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}: pass the path of a CSV or Parquet file")
    return path


def _parquet_names(path: Path) -> list[str]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise _no_pyarrow() from error
    try:
        return list(pyarrow.parquet.read_schema(path).names)
    except (OSError, pyarrow.ArrowException) as error:
        raise RetailDataError(f"{str(path)!r} is no Parquet file: {error}") from error


def _no_pyarrow() -> ImportError:
    return ImportError('Parquet files need pyarrow: pip install "ageboost[parquet]"')


def _separator(path: Path) -> str:
    header = _read_csv(path, "\0", nrows=0).columns
    line = header[0] if len(header) else ""
    return max(",;\t", key=line.count)


def _read_csv(path: Path, separator: str, **options: object) -> pd.DataFrame:
    try:
        return pd.read_csv(
            path, sep=separator, encoding="utf-8-sig", skipinitialspace=True, **options
        )
    except pd.errors.EmptyDataError as error:
        raise RetailDataError(
            f"{str(path)!r} is empty: it needs a line of column names at least"
        ) from error
    except UnicodeDecodeError as error:
        raise RetailDataError(
            f"{str(path)!r} is not text in UTF-8: save it as CSV in UTF-8"
        ) from error
    except (pd.errors.ParserError, OSError, EOFError) as error:
        raise RetailDataError(f"{str(path)!r} is no CSV file: {error}") from error


def _rename(table: pd.DataFrame, kind: str, name: str, columns: Mapping[str, str]) -> pd.DataFrame:
    table = table.rename(columns=lambda column: str(column).strip())
    for theirs, ours in columns.items():
        if ours not in _COLUMNS[kind]:
            raise RetailDataError(
                f"columns maps {theirs!r} to {ours!r}, which {kind} do not have: "
                f"they have {', '.join(_COLUMNS[kind])}"
            )
    need = [theirs for theirs in columns if theirs not in table.columns]
    if need:
        there = ", ".join(repr(str(column)[:_LONGEST_SHOWN]) for column in table.columns[:30])
        raise RetailDataError(
            f"columns names {', '.join(map(repr, need))}, which {name} does not have: "
            f"its columns are {there}"
        )
    # A column of ours that another one takes the place of keeps out of the way.
    replaced = [
        ours
        for theirs, ours in columns.items()
        if ours in table.columns and ours != theirs and ours not in columns
    ]
    table = table.drop(columns=replaced).rename(columns=dict(columns))
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise RetailDataError(
            f"more than one column {', '.join(map(repr, dict.fromkeys(twice)))} in {name}: "
            "rename one of them"
        )
    return table


def _read_column(values: pd.Series, column: str, name: str, decimal: str) -> pd.Series:
    if column == "photo":
        return values
    if column == "time":
        return _read_times(values, name)
    if column in _NUMBERS:
        return _read_numbers(values, name, decimal)
    if column == "id_checked":
        return _read_booleans(values, name)
    return _read_ids(values)


def _read_ids(values: pd.Series) -> pd.Series:
    if isinstance(values.dtype, pd.StringDtype):
        texts = values.str.strip() if _has_spaces(values) else values
        return texts.mask(texts == "") if (texts == "").any() else texts
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        # A column of whole numbers with a gap in it was read as floats.
        values = values.astype("Int64")
    if values.isna().all():
        return pd.Series(pd.NA, index=values.index, dtype="str")
    return _read_ids(values.astype("str"))


def _has_spaces(values: pd.Series) -> bool:
    return bool((values.str.startswith(" ") | values.str.endswith(" ")).fillna(False).any())


def _read_times(values: pd.Series, name: str) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        return values
    if pd.api.types.is_numeric_dtype(values) and values.notna().any():
        raise RetailDataError(
            f"time in {name} is a number ({values.dropna().iloc[0]}): pass times as datetimes or "
            'as texts such as "2025-11-25 14:03:00"'
        )
    texts = values.where(values.notna() & (values.astype("str").str.strip() != ""))
    times = pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=_has_zones(texts))
    if times.isna().sum() > texts.isna().sum():
        times = _other_times(texts)
    _refuse(
        times.isna() & texts.notna(),
        values,
        name,
        'time cannot be read; write it as "2025-11-25 14:03:00"',
    )
    return times


def _has_zones(texts: pd.Series) -> bool:
    filled = texts.dropna().astype("str")
    return bool(filled.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True).any())


def _other_times(texts: pd.Series) -> pd.Series:
    """Read times by the form of the first: a day before a month here is one everywhere."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Could not infer format")
        warnings.filterwarnings("ignore", message="Parsing dates in")
        readings = [
            pd.to_datetime(texts, errors="coerce", dayfirst=dayfirst, utc=_has_zones(texts))
            for dayfirst in (False, True)
        ]
    # 03/04/2025 reads both ways; the whole column tells which.
    return min(readings, key=lambda reading: reading.isna().sum())


def _read_numbers(values: pd.Series, name: str, decimal: str) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.astype("float64")
        given = values.notna()
    else:
        texts = values.astype("str").str.strip()
        if decimal == ",":
            texts = texts.str.replace(",", ".", regex=False)
        given = values.notna() & (texts != "")
        numbers = pd.to_numeric(texts.where(given), errors="coerce").astype("float64")
    bad = given & (numbers.isna() | numbers.abs().eq(float("inf")))
    _refuse(bad, values, name, f"{values.name} is not a number")
    return numbers


def _read_booleans(values: pd.Series, name: str) -> pd.Series:
    if pd.api.types.is_bool_dtype(values):
        return values.astype("boolean")
    texts = values.astype("str").str.strip().str.lower()
    given = values.notna() & (texts != "")
    yes, no = texts.isin(_YES), texts.isin(_NO)
    _refuse(given & ~yes & ~no, values, name, f"{values.name} is neither yes nor no")
    return yes.astype("boolean").mask(~given)


def _refuse(bad: pd.Series, values: pd.Series, name: str, what: str) -> None:
    if not bad.any():
        return
    rows = bad.to_numpy().nonzero()[0]
    lines = [f"  row {row}: {_shorten(values.iloc[row])}" for row in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        lines.append(f"  and {len(rows) - _SHOWN:,} more")
    raise RetailDataError(
        f"{len(rows):,} of {len(values):,} rows of {name} cannot be used, their {what}; "
        "correct them, or leave them out:\n" + "\n".join(lines)
    )


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
