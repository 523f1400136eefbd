"""Dates with times, written in any of the usual ways, none of them guessed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from ageboost._tables.cells import NO_NUMBERS, refuse_rows, show_value, strip_spaces
from ageboost._tables.row_names import row_name
from ageboost.errors import TableError

__all__ = ["TimeColumn", "settle_order"]

_DATE = (
    r"(?:(?P<a>\d{1,4})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<c>\d{1,4})"
    r"|(?P<compact>\d{8})"
    r"|\d{1,2}(?P<gap>[ -])(?P<month>[A-Za-z]{3,9})(?P=gap)\d{4}"
    r"|(?P<first_month>[A-Za-z]{3,9}) \d{1,2}(?P<comma>, ?)\d{4})"
)
_CLOCK = (
    r"(?:[01]?\d|2[0-3]):[0-5]\d(?P<second>:[0-5]\d(?P<fraction>[.,]\d{1,9})?)?"
    r"(?P<half> ?[AaPp][Mm])?(?P<zone> ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?))?"
)
_FORM = re.compile(rf"{_DATE}(?:(?P<between>T| +|, ?){_CLOCK})?")
_NO_CLOCK = r"[T ]00:00(?::00(?:\.0+)?)?$"
# What programs write where there is a time but no date: the beginning of their own time.
_NO_DATE = r"^(?:1899-12-30|30[./]12[./]1899|12/30/1899|1900-01-0[01]|1970-01-01)[T ]"
_FIRST_YEAR, _LAST_YEAR = 1980, 2100


@dataclass
class _Group:
    """Rows whose times are written alike, read in both orders where it is not plain."""

    day_first: pd.Series
    month_first: pd.Series | None
    dotted: bool
    short_year: bool
    zoned: bool


@dataclass
class TimeColumn:
    """A column of times, read but for the order of day and month.

    Parameters
    ----------
    values : Series
        Datetimes, or texts, or both.
    where : str
        What an error calls the table.
    dates : Series, optional
        The column of dates, for times that are apart from them.

    Attributes
    ----------
    day_first, month_first, unsettled, short_year : str or None
        A cell that proves this order, that can be read in both, or whose year has two digits.

    Raises
    ------
    TableError
        If times have no date, or only some of them say their time zone.
    """

    values: pd.Series
    where: str
    dates: pd.Series | None = None
    day_first: str | None = field(default=None, init=False)
    month_first: str | None = field(default=None, init=False)
    unsettled: str | None = field(default=None, init=False)
    short_year: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._groups: list[_Group] = []
        self._plain = pd.api.types.is_datetime64_any_dtype(self.values)
        if self._plain and self.dates is not None:
            # A time of day alone is a datetime on the first day of a program's time.
            self._plain = not (self.values.dt.year < _FIRST_YEAR).all()
        if self._plain:
            return
        self._texts = _as_texts(self.values, self.where)
        if self.dates is not None:
            self._join_dates(_as_texts(self.dates, self.where))
        self._read()
        self._check_dates()
        self._check_zones()
        for group in self._groups:
            self._look_for_proof(group)

    def resolve(self, day_first: bool | None) -> pd.Series:
        """Return the times, with the day before the month or behind it.

        Parameters
        ----------
        day_first : bool or None
            As :func:`settle_order` finds it.

        Returns
        -------
        Series of datetime

        Raises
        ------
        TableError
            If a time cannot be read.
        """
        if self._plain:
            self._check_years(self.values)
            return self.values
        parts = [
            group.month_first
            if day_first is False and group.month_first is not None
            else group.day_first
            for group in self._groups
        ]
        empty = pd.Series([], dtype="datetime64[us]")
        times = pd.concat(parts) if parts else empty
        times = times.reindex(range(len(self.values))).set_axis(self.values.index)
        refuse_rows(
            times.isna() & self._texts.notna(),
            self._texts,
            self.where,
            'time cannot be read; write it as "2025-11-25 14:03:00"',
        )
        self._check_years(times)
        return times

    def _join_dates(self, dates: pd.Series) -> None:
        texts = self._texts.str.replace(_NO_DATE, "", regex=True)
        alone = texts.str.fullmatch(_CLOCK).fillna(False).astype(bool) & dates.notna()
        dates = dates.str.replace(_NO_CLOCK, "", regex=True)
        self._texts = texts.mask(alone, dates + " " + texts)

    def _read(self) -> None:
        texts = self._texts.set_axis(range(len(self._texts)))
        left = texts.dropna()
        if not len(left):
            return
        # Mostly, all are written like the first.
        left = self._read_alike(left, left.iloc[0])
        if not len(left):
            return
        forms = left.str.replace(r"\d", "0", regex=True).str.replace("[A-Za-z]", "a", regex=True)
        for _, part in left.groupby(forms.to_numpy(), sort=False):
            self._read_alike(part, part.iloc[0])

    def _read_alike(self, texts: pd.Series, example: str) -> pd.Series:
        """Read what is written like the example, and return the rest."""
        form = _form_of(example)
        if form is None:
            return texts
        read = [_parse(texts, one, form.zone) for one in form.orders]
        known = read[0].notna() if len(read) == 1 else read[0].notna() | read[1].notna()
        if not known.all():
            read = [one[known] for one in read]
        if known.any():
            self._groups.append(
                _Group(
                    read[0],
                    read[1] if len(read) > 1 else None,
                    form.dotted,
                    form.short_year,
                    bool(form.zone),
                )
            )
        return texts[~known]

    def _cell(self, row: int) -> str:
        return f"{show_value(self._texts.iloc[row])} in {row_name(self.where, row)} of {self.where}"

    def _check_dates(self) -> None:
        read = sum(len(group.day_first) for group in self._groups)
        if read == self._texts.notna().sum():
            return
        alone = self._texts.str.fullmatch(_CLOCK).fillna(False).to_numpy(dtype=bool)
        if alone.any():
            row = int(alone.argmax())
            raise TableError(
                f"{alone.sum():,} times have no date, such as {self._cell(row)}",
                'put the date before them, or name its column: columns={"its name": "date"}',
                "put the date before them, or name its column: --column ITS_NAME=date",
            )

    def _check_zones(self) -> None:
        rows = {group.zoned: int(group.day_first.index[0]) for group in self._groups}
        if len(rows) == 2:
            raise TableError(
                "only some times have a time zone: "
                f"{self._cell(rows[True])}, but {self._cell(rows[False])}",
                "write all of them with it, or none",
            )

    def _check_years(self, times: pd.Series) -> None:
        years = times.dt.year
        bad = (years < _FIRST_YEAR) | (years > _LAST_YEAR)
        refuse_rows(
            bad,
            times if self._plain else self._texts,
            self.where,
            f"year is not from {_FIRST_YEAR} to {_LAST_YEAR}, as where a program has a time "
            "without a date",
        )

    def _look_for_proof(self, group: _Group) -> None:
        if group.month_first is None:
            return
        day, month = group.day_first.notna(), group.month_first.notna()
        if group.short_year:
            self.short_year = self._cell(int(group.day_first.index[0]))
        if not month.all():
            self.day_first = self.day_first or self._cell(int(month.index[~month][0]))
        if not day.all():
            self.month_first = self.month_first or self._cell(int(day.index[~day][0]))
        elif group.dotted and self.day_first is None:
            # With dots, the day comes first everywhere.
            self.day_first = self._cell(int(day.index[0]))
        differ = group.day_first.ne(group.month_first) & day & month
        if differ.any() and self.unsettled is None:
            self.unsettled = self._cell(int(differ.index[differ][0]))


def settle_order(columns: Iterable[TimeColumn], day_first: bool | None) -> bool | None:
    """Find the one order of day and month in which all columns are written.

    Parameters
    ----------
    columns : iterable of TimeColumn
        Of all tables of a shop.
    day_first : bool or None
        The order, if somebody has said it.

    Returns
    -------
    bool or None
        None where no date asks for an order.

    Raises
    ------
    TableError
        If nothing settles the order, or cells contradict each other.
    """
    columns = list(columns)

    def first(name: str) -> str | None:
        return next(filter(None, (getattr(column, name) for column in columns)), None)

    if day_first is not None:
        return day_first
    ways_out = (
        "pass day_first=True or day_first=False",
        "pass --day-first or --month-first",
    )
    day, month, unsettled, short = map(
        first, ("day_first", "month_first", "unsettled", "short_year")
    )
    if short:
        raise TableError(f"a year of two digits can be read in several ways: {short}", *ways_out)
    if day and month:
        raise TableError(
            f"dates contradict each other: the day comes first in {day}, the month in {month}",
            "write all of them alike, such as 2025-11-25",
        )
    if unsettled and not day and not month:
        raise TableError(
            f"dates can be read with the day first or the month first: {unsettled}", *ways_out
        )
    return False if month else True if day else None


@dataclass
class _Form:
    """How a time is written, as formats of strptime."""

    orders: list[str]
    zone: str
    dotted: bool = False
    short_year: bool = False


def _form_of(text: str) -> _Form | None:
    digits = re.fullmatch(r"\d{8}(T?)\d{4}(\d{2})?", text)
    if digits:
        return _Form([f"%Y%m%d{digits[1]}%H%M" + ("%S" if digits[2] else "")], "")
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    parts = match.groupdict()
    clock, zone = _clock_format(parts), (parts["zone"] or "").strip()
    if parts["compact"]:
        return _Form([f"%Y%m%d{clock}"], zone)
    if parts["month"]:
        name = "%b" if len(parts["month"]) == 3 else "%B"
        return _Form([f"%d{parts['gap']}{name}{parts['gap']}%Y{clock}"], zone)
    if parts["first_month"]:
        name = "%b" if len(parts["first_month"]) == 3 else "%B"
        return _Form([f"{name} %d{parts['comma']}%Y{clock}"], zone)
    first, mark, last = parts["a"], parts["mark"], parts["c"]
    if len(first) == 4 and len(last) <= 2:
        return _Form([f"%Y{mark}%m{mark}%d{clock}"], zone)
    if len(first) > 2 or len(last) not in (2, 4):
        return None
    year = "%Y" if len(last) == 4 else "%y"
    orders = [f"%{one}{mark}%{two}{mark}{year}{clock}" for one, two in ("dm", "md")]
    return _Form(orders, zone, dotted=mark == ".", short_year=year == "%y")


def _clock_format(parts: dict[str, str | None]) -> str:
    between, half, zone = parts["between"], parts["half"], parts["zone"]
    if between is None:
        return ""
    text = f"{between}%I:%M" if half else f"{between}%H:%M"
    if parts["second"]:
        text += ":%S"
    if fraction := parts["fraction"]:
        text += f"{fraction[0]}%f"
    if half:
        text += " %p" if half[0] == " " else "%p"
    if zone:
        text += " " if zone[0] == " " else ""
        text += zone.strip() if zone.strip() in ("Z", "UTC") else "%z"
    return text


def _parse(texts: pd.Series, form: str, zone: str) -> pd.Series:
    if re.fullmatch(r"[+-]\d{2}", zone):
        texts = texts + "00"
    return pd.to_datetime(texts, format=form, errors="coerce", utc=bool(zone))


def _as_texts(values: pd.Series, where: str) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        if (values.dt.year < _FIRST_YEAR).all():
            return values.dt.strftime("%H:%M:%S").astype("str")
        return values.dt.strftime("%Y-%m-%d %H:%M:%S").astype("str")
    if pd.api.types.is_timedelta64_dtype(values):
        return (pd.Timestamp("1900-01-01") + values).dt.strftime("%H:%M:%S").astype("str")
    if pd.api.types.is_numeric_dtype(values) and values.notna().any():
        raise TableError(
            f"{values.name} in {where} is a number ({values.dropna().iloc[0]}): pass times as "
            'datetimes or as texts such as "2025-11-25 14:03:00"'
        )
    if isinstance(values.dtype, pd.StringDtype):
        texts = values
    else:
        texts = strip_spaces(values.astype(object).map(_write, na_action="ignore").astype("str"))
    return texts.mask(texts.isin(NO_NUMBERS))


def _write(value: object) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
