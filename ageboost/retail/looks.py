"""Reviews that may be looked at again and again: a period, whose looks are kept in a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from ageboost._files import replacing
from ageboost.errors import RetailDataError

__all__ = ["ReviewPeriod"]

_VERSION = 1
# Sales that came in late, or were cancelled, may change a total by so much.
_LATE = 0.02

Floats = npt.NDArray[np.float64]


class ReviewPeriod:
    """A period, such as a year, in which cashiers may be looked at as often as one likes.

    Whoever looks every week finds somebody in the end, though all are honest. So each look at the
    sales since the period began is counted, and asks for more the earlier it comes: a name that is
    found at the end of the period costs twice the evidence that a single look would ask for, in p
    values, and all looks before it are free. A name that was once on the list stays until the
    period ends.

    Parameters
    ----------
    path : path
        The file of looks. It holds the names of cashiers: guard it like the list.
    start, end : date or str, optional
        First and last day, such as ``"2025-01-01"``. Needed for a file that is not there yet, and
        must agree with one that is.

    Attributes
    ----------
    start, end : date
    looks : list of dict
        ``until`` (the time of the last sale) and ``sales`` (how many there were) of each look.

    Raises
    ------
    ValueError
        If the days make no sense, or are not those of the file.
    RetailDataError
        If the file is none of a period.

    Notes
    -----
    The evidence on an honest cashier, in standard deviations of the whole period, is a random walk.
    The chance that it ever passes a height is at most twice the chance that it ends beyond it. So
    a look with the standard score z after a share t of the period has a p value of twice the tail
    beyond z times the square root of t, and the smallest so far is valid at any look. That habits
    of cashiers last makes passing rarer.

    References
    ----------
    K. Lan and D. DeMets, "Discrete Sequential Boundaries for Clinical Trials", Biometrika 1983.

    R. Johari, P. Koomen, L. Pekelis and D. Walsh, "Always Valid Inference", Operations Research
    2022.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ageboost.retail import ReviewPeriod
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     year = ReviewPeriod(Path(folder, "looks.json"), "2025-01-01", "2025-12-31")
    >>> year.start.isoformat(), len(year.looks)
    ('2025-01-01', 0)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        start: date | str | None = None,
        end: date | str | None = None,
    ):
        self.path = Path(path)
        given = [None if day is None else _day(day) for day in (start, end)]
        self._p_values: dict[str, float] = {}
        self.looks: list[dict[str, Any]] = []
        if self.path.exists():
            kept = self._read()
            for name, day in zip(("start", "end"), given, strict=True):
                if day is not None and day.isoformat() != kept[name]:
                    raise ValueError(
                        f"{name}={day.isoformat()}, but the period in {str(self.path)!r} has "
                        f"{kept[name]}: a new period needs a new file"
                    )
            given = [date.fromisoformat(kept[name]) for name in ("start", "end")]
            self.looks, self._p_values = kept["looks"], kept["p_values"]
        first, last = given
        if first is None or last is None:
            raise ValueError(
                f"{str(self.path)!r} is not there yet: pass the period's first and last day"
            )
        if first >= last:
            raise ValueError(f"the period ends on {last}, not after its first day, {first}")
        self.start, self.end = first, last

    def __repr__(self) -> str:
        return (
            f"ReviewPeriod({str(self.path)!r}, {self.start}, {self.end}): {len(self.looks)} looks"
        )

    def share(self, until: pd.Timestamp) -> float:
        """Return the share of the period that is over at a time."""
        length = (self.end - self.start).days + 1
        over = (until.date() - self.start).days + 1
        return min(over / length, 1.0)

    def look(self, times: pd.Series, p_values: Mapping[str, float]) -> dict[str, float]:
        """Register a look, and return p values that hold at all looks.

        Parameters
        ----------
        times : Series of datetime
            Of the sales, from the period's beginning.
        p_values : mapping of str to float
            Of each cashier, by these sales.

        Returns
        -------
        dict of str to float
            Of all cashiers who were ever looked at.

        Raises
        ------
        RetailDataError
            If sales are of another time, or some that were looked at before are gone.
        """
        until = self._check(times)
        if self.looks and until <= pd.Timestamp(self.looks[-1]["until"]):
            # The same sales again are no other look, and say nothing new.
            return dict(self._p_values)
        heights = norm.isf([*p_values.values()]) * np.sqrt(self.share(until))
        for name, tail in zip(p_values, norm.sf(heights).tolist(), strict=True):
            self._p_values[name] = min(1.0, 2 * tail, self._p_values.get(name, 1.0))
        self.looks.append({"until": until.isoformat(), "sales": len(times)})
        self._write()
        return dict(self._p_values)

    def _check(self, times: pd.Series) -> pd.Timestamp:
        if times.isna().any() or not len(times):
            raise RetailDataError(
                f"{int(times.isna().sum()):,} of {len(times):,} sales have no time: looks of a "
                "period need the time of each sale"
            )
        if times.dt.tz is not None:
            times = times.dt.tz_localize(None)
        first, until = times.min(), times.max()
        if first.date() < self.start or until.date() > self.end:
            raise RetailDataError(
                f"sales are from {first.date()} to {until.date()}, but the period goes from "
                f"{self.start} to {self.end}: leave the others out"
            )
        if self.looks:
            last = self.looks[-1]
            n_before = int((times <= pd.Timestamp(last["until"])).sum())
            if n_before < (1 - _LATE) * last["sales"]:
                raise RetailDataError(
                    f"{last['sales']:,} sales until {last['until']} have been looked at, of which "
                    f"{n_before:,} are here: pass all sales since {self.start}"
                )
        return until

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self.path.read_text("utf-8"))
            sound = kept["version"] == _VERSION and {"start", "end", "looks", "p_values"} <= {*kept}
        except (ValueError, KeyError, TypeError) as error:
            raise RetailDataError(f"{str(self.path)!r} is not a file of reviews") from error
        if not sound:
            raise RetailDataError(f"{str(self.path)!r} is not a file of reviews of this version")
        return kept

    def _write(self) -> None:
        kept = {
            "version": _VERSION,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "looks": self.looks,
            "p_values": self._p_values,
        }
        with replacing(self.path) as new:
            new.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def _day(value: date | str) -> date:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(value)
