"""Cells of a table: names, numbers, and yes or no."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Number
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from ageboost._tables.row_names import row_name
from ageboost.errors import TableError

__all__ = [
    "NO_NUMBERS",
    "Decimal",
    "read_booleans",
    "read_names",
    "read_numbers",
    "refuse_rows",
    "show_value",
    "strip_spaces",
]

Decimal: TypeAlias = Literal[".", ","]

# What programs write for a number that is missing. A name may be called any of these.
NO_NUMBERS = ("", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None", "NaT")
# Spreadsheets write them in the language that they speak.
_YES = (
    *("true", "yes", "y", "t", "1", "1.0", "wahr", "ja", "j"),
    *("vrai", "oui", "verdadero", "si", "sí", "sì", "vero", "prawda", "tak", "waar"),
)
_NO = (
    *("false", "no", "n", "f", "0", "0.0", "falsch", "nein"),
    *("faux", "non", "falso", "fałsz", "nie", "onwaar", "nee"),
)
_SHOWN = 5
_LONGEST_SHOWN = 60
_WHOLE = r"\d+[.,]0+"
_ROUNDED = r"\d[.,]\d+E\+\d+"
_PLAIN = re.compile(r"[+-]?\d+(?:[eE][+-]?\d+)?")
_FRACTION = re.compile(r"[+-]?(?:\d+[.,]\d*|[.,]\d+)(?:[eE][+-]?\d+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_SPACED = re.compile(r"(?<=\d)[ \u00a0\u202f'\u2019](?=\d{3}(?!\d))")


def read_names(values: pd.Series, where: str) -> pd.Series:
    """Read names and numbers that identify things, as texts.

    Parameters
    ----------
    values : Series
        Texts have no spaces around them, and are not empty.
    where : str
        What an error calls the table.

    Returns
    -------
    Series of str
        Without spaces around. The number 7, and a column of such texts as ``"7.0"``, which
        programs make of whole numbers with a gap among them, are ``"7"``.

    Raises
    ------
    TableError
        If a spreadsheet has rounded long numbers: several of them are one name now.
    """
    texts = _as_texts(values)
    filled = texts.dropna()
    if not len(filled):
        return texts
    first = str(filled.iloc[0])
    if re.fullmatch(_WHOLE, first) and filled.str.fullmatch(_WHOLE).all():
        return texts.str.replace(r"[.,]0+$", "", regex=True)
    if values.name == "receipt_id" and filled.str.contains("E+", regex=False).any():
        rounded = texts.str.upper().str.fullmatch(_ROUNDED).fillna(False).astype(bool)
        refuse_rows(
            rounded,
            values,
            where,
            f"{values.name} has been rounded by a spreadsheet; export it as text",
        )
    return texts


@dataclass
class _Reading:
    """What one text says: its number by either decimal mark, where it has one."""

    by_mark: dict[str, float]
    proof: str | None  # the decimal mark, if the text leaves no doubt about it


def read_numbers(
    columns: Mapping[str, pd.Series],
    where: str,
    decimal: Decimal | None = None,
    *,
    infinite: bool = False,
) -> dict[str, pd.Series]:
    """Read columns of numbers, all with one decimal mark.

    A dot or comma with three digits behind it, as in ``1,234``, may stand before thousandths or
    between thousands. Any other number of the table that can be read in one way only settles it.

    Parameters
    ----------
    columns : mapping of str to Series
    where : str
        What an error calls the table.
    decimal : {".", ","}, optional
        The decimal mark.
    infinite : bool, default=False
        Whether a number may be infinite.

    Returns
    -------
    dict of str to Series of float

    Raises
    ------
    TableError
        If a cell is no number, or could be two, or cells contradict each other.
    """
    numbers: dict[str, pd.Series] = {}
    texts: dict[str, tuple[pd.Series, np.ndarray, list[_Reading | None]]] = {}
    for name, values in columns.items():
        if pd.api.types.is_bool_dtype(values):
            refuse_rows(values.notna(), values, where, f"{name} is not a number")
        elif pd.api.types.is_numeric_dtype(values):
            numbers[name] = values.astype("float64")
        else:
            plain = values.map(_is_number).astype(bool) if values.dtype == object else None
            if plain is not None and plain.any():
                # Of decimals that a database returns, no mark needs to be known.
                numbers[name] = values.where(plain).astype("float64")
                values = values.mask(plain)
            cells = _as_texts(values)
            codes, found = pd.factorize(cells.mask(cells.isin(NO_NUMBERS)))
            texts[name] = (values, codes, [_read_number(str(text)) for text in found])
    mark = decimal or _find_mark(texts, where)
    for name, (values, codes, readings) in texts.items():
        found = [np.nan if one is None else one.by_mark.get(mark, np.nan) for one in readings]
        read = np.append(np.array(found, dtype=np.float64), np.nan)[codes]
        known = numbers.get(name)
        numbers[name] = pd.Series(read, index=values.index)
        if known is not None:
            numbers[name] = known.fillna(numbers[name])
        bad = pd.Series((codes >= 0) & np.isnan(read), index=values.index)
        refuse_rows(bad, values, where, f"{name} is not a number")
    if not infinite:
        for name, values in columns.items():
            refuse_rows(np.isinf(numbers[name]), values, where, f"{name} is not a number")
    return {name: numbers[name] for name in columns}


def read_booleans(values: pd.Series, where: str) -> pd.Series:
    """Read cells of yes or no, in the words of several languages.

    Parameters
    ----------
    values : Series
    where : str
        What an error calls the table.

    Returns
    -------
    Series of boolean

    Raises
    ------
    TableError
        If a cell is neither.
    """
    if pd.api.types.is_bool_dtype(values):
        return values.astype("boolean")
    if pd.api.types.is_numeric_dtype(values):
        refuse_rows(
            values.notna() & ~values.isin([0, 1]),
            values,
            where,
            f"{values.name} is neither yes nor no",
        )
        return values.eq(1).astype("boolean").mask(values.isna())
    texts = _as_texts(values)
    texts = texts.mask(texts.isin(NO_NUMBERS)).str.lower()
    yes, no = texts.isin(_YES), texts.isin(_NO)
    refuse_rows(texts.notna() & ~yes & ~no, values, where, f"{values.name} is neither yes nor no")
    return yes.astype("boolean").mask(texts.isna())


def refuse_rows(bad: pd.Series, values: pd.Series, where: str, what: str) -> None:
    """Refuse a table if there are bad rows, and show the first of them.

    Parameters
    ----------
    bad : Series of bool
    values : Series
        What stands in these rows.
    where : str
        What the error calls the table.
    what : str
        What is wrong with them.

    Raises
    ------
    TableError
        If there is a bad row.
    """
    if not bad.any():
        return
    rows = bad.to_numpy().nonzero()[0]
    lines = [f"  {row_name(where, row)}: {show_value(values.iloc[row])}" for row in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        lines.append(f"  and {len(rows) - _SHOWN:,} more")
    raise TableError(
        f"{len(rows):,} of {len(values):,} rows of {where} cannot be used, their {what}; "
        "correct them, or leave them out:\n" + "\n".join(lines)
    )


def show_value(value: object, longest: int = _LONGEST_SHOWN) -> str:
    """Show no more than the first characters of a value."""
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def strip_spaces(texts: pd.Series) -> pd.Series:
    """Take spaces off both ends of texts, where there are any; an empty text is missing."""
    spaced = texts.str.startswith(" ") | texts.str.endswith(" ") | texts.str.endswith("\t")
    if spaced.fillna(False).any():
        texts = texts.str.strip()
    return texts.mask(texts == "") if (texts == "").any() else texts


def _as_texts(values: pd.Series) -> pd.Series:
    if isinstance(values.dtype, pd.StringDtype):
        return values
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        # A column of whole numbers with a gap in it was read as floats.
        values = values.astype("Int64")
    elif values.dtype == object:
        # Series.map would make floats of whole numbers with gaps among them.
        values = pd.Series([*map(_whole, values)], values.index, dtype=object)
    if values.isna().all():
        return pd.Series(pd.NA, index=values.index, dtype="str")
    return strip_spaces(values.astype("str"))


def _is_number(value: object) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool | np.bool_)


def _whole(value: object) -> object:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    return value


def _read_number(text: str) -> _Reading | None:
    """Read a number by each decimal mark; None if it is none by any."""
    text = text.strip().replace("\N{MINUS SIGN}", "-")
    if _INFINITE.fullmatch(text):
        return _Reading(dict.fromkeys(".,", float(text)), None)
    text = _SPACED.sub("", text)
    if _PLAIN.fullmatch(text):
        return _Reading(dict.fromkeys(".,", float(text)), None)
    if _FRACTION.fullmatch(text):
        mark = "." if "." in text else ","
        readings = {mark: float(text.replace(",", "."))}
        if _is_grouped(text, mark):
            other = "," if mark == "." else "."
            return _Reading({**readings, other: float(text.replace(mark, ""))}, None)
        return _Reading(readings, mark)
    for mark, thousands in (".,", ",."):
        whole, _, fraction = text.partition(mark)
        if _is_grouped(whole, thousands) and (fraction.isdecimal() or not fraction):
            plain = whole.replace(thousands, "") + "." + fraction
            return _Reading({mark: float(plain)}, mark)
    return None


def _is_grouped(text: str, mark: str) -> bool:
    return bool(re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(mark)}\d{{3}})+", text))


def _find_mark(
    texts: Mapping[str, tuple[pd.Series, np.ndarray, list[_Reading | None]]], where: str
) -> Decimal:
    """Find the decimal mark that all numbers of the table agree on."""
    proofs: dict[str, str] = {}
    doubtful = ""
    for values, codes, readings in texts.values():
        for place, reading in enumerate(readings):
            if reading is None:
                continue
            unsure = reading.proof is None and len(set(reading.by_mark.values())) > 1
            if (unsure and not doubtful) or (reading.proof and reading.proof not in proofs):
                row = int((codes == place).argmax())
                text = f"{values.iloc[row]!r} in {row_name(where, row)} (column {values.name!r})"
                if reading.proof:
                    proofs[reading.proof] = text
                else:
                    doubtful = text
    if len(proofs) == 2:
        raise TableError(
            f"numbers in {where} contradict each other: the decimal mark is a dot in "
            f"{proofs['.']}, a comma in {proofs[',']}",
            "write all of them alike",
        )
    if proofs:
        return ".,"[proofs.keys() == {","}]  # type: ignore[return-value]
    if doubtful:
        raise TableError(
            f"a number in {where} reads both ways, {doubtful}: nothing says whether its mark "
            "stands before thousandths or between thousands",
            'pass decimal="." or decimal=","',
            'pass "--decimal ." or "--decimal ,"',
        )
    return "."
