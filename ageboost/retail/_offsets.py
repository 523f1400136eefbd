"""What is known of a camera's clock: one offset, or several that hold one after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._tables.times import TimeColumn, settle_order
from ageboost.errors import RetailDataError, TableError
from ageboost.retail._clocks import Period

__all__ = [
    "Offset",
    "Seconds",
    "Till",
    "look_up_ahead",
    "offset_of_each",
    "read_offsets",
    "suggest_offsets",
    "to_seconds",
]

Till: TypeAlias = str | tuple[str, str]
Seconds: TypeAlias = str | float | pd.Timedelta
# An offset, or the time from which on each of several holds.
Offset: TypeAlias = float | dict[str, float]


def to_seconds(value: Seconds, name: str) -> float:
    """Read a number of seconds, or a text such as "4min"; the error names the argument."""
    try:
        if isinstance(value, int | float | np.number):
            return float(value)
        return float(pd.Timedelta(value).total_seconds())
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'{name}={value!r}: pass seconds, or a text such as "90s" or "4min"'
        ) from error


def read_offsets(
    clock_offsets: Mapping[Till, Seconds | Mapping[str, Seconds]] | None,
    keys: list[str],
    receipts: pd.DataFrame,
    origin: pd.Timestamp,
) -> dict[Till, list[Period]]:
    """Read offsets as somebody gives them: for each till one, or one for each start of a period.

    Starts are in seconds after ``origin``.
    """
    offsets: dict[Till, list[Period]] = {}
    known = set(receipts["till"].dropna())
    if "store" in keys:
        known |= set(zip(receipts["store"], receipts["till"], strict=True))
    for till, value in (clock_offsets or {}).items():
        name: Till = tuple(map(str, till)) if isinstance(till, tuple) else str(till)  # type: ignore[assignment]
        if name not in known:
            raise RetailDataError(
                f"no receipt is from till {till!r}, for which a clock offset is given"
            )
        what = f"clock_offsets[{till!r}]"
        if not isinstance(value, Mapping):
            offsets[name] = [Period(-np.inf, to_seconds(value, what))]
            continue
        if not value:
            raise ValueError(f"{what} is empty: pass at least one time and offset")
        starts = _read_starts([str(time) for time in value], what, origin)
        periods = [
            Period(start, to_seconds(seconds, what))
            for start, seconds in zip(starts, value.values(), strict=True)
        ]
        offsets[name] = sorted(periods, key=lambda period: period.since)
    return offsets


def _read_starts(texts: list[str], what: str, origin: pd.Timestamp) -> list[float]:
    try:
        column = TimeColumn(pd.Series(texts, dtype="str"), what)
        times = column.resolve(settle_order([column], None))
    except TableError as error:
        raise RetailDataError(*error.args) from error
    if (times.dt.tz is None) != (origin.tz is None):
        times = times.dt.tz_localize(None if times.dt.tz else origin.tz)
    return list((times - origin).dt.total_seconds())


def offset_of_each(tills: pd.MultiIndex, offsets: dict[Till, list[Period]]) -> list[list[Period]]:
    """List the periods of each till."""
    # One till of one store goes before all tills of that name.
    right = [Period(-np.inf, 0.0)]
    return [offsets.get(till, offsets.get(till[-1], right)) for till in tills]


def look_up_ahead(
    known: list[list[Period]], tills: npt.NDArray[np.intp], taken: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Look up by how much each photo's clock is known to be ahead."""
    ahead = np.zeros(len(taken))
    for till, periods in enumerate(known):
        if not any(period.ahead for period in periods):
            continue
        mine = np.flatnonzero(tills == till)
        starts = [period.since for period in periods]
        # What holds first also held before.
        places = (np.searchsorted(starts, taken[mine], side="right") - 1).clip(0)
        ahead[mine] = np.array([period.ahead for period in periods])[places]
    return ahead


def suggest_offsets(
    tills: pd.MultiIndex,
    found: list[list[Period]],
    known: list[list[Period]],
    offsets: dict[Till, list[Period]],
    reach: float,
    origin: pd.Timestamp,
) -> dict[Till, Offset]:
    """Put together what is known and what was found of each till, as somebody would pass it."""
    suggested = dict(offsets)
    for till, ours, right in zip(tills, found, known, strict=True):
        if not any(abs(period.ahead) > reach / 2 for period in ours):
            continue
        starts = sorted({period.since for period in [*ours, *right] if np.isfinite(period.since)})
        both: list[Period] = []
        for start in starts:
            ahead = float(round(_at(right, start) + np.nan_to_num(_at(ours, start))))
            if not both or both[-1].ahead != ahead:
                both.append(Period(start, ahead))
        key: Till = till if len(till) > 1 else till[0]
        suggested[key] = both
    return {till: _write_offset(periods, origin) for till, periods in suggested.items()}


def _at(periods: list[Period], time: float) -> float:
    return [period for period in periods if period.since <= time or period is periods[0]][-1].ahead


def _write_offset(periods: list[Period], origin: pd.Timestamp) -> Offset:
    if len(periods) == 1:
        return periods[0].ahead
    return {
        str((origin + pd.Timedelta(period.since, "s")).floor("s")): period.ahead
        for period in periods
        if np.isfinite(period.since)
    }
