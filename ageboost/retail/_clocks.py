"""By how much the clock of a camera is ahead of that of its till, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["Period", "find_clock_periods"]

_WINDOW = 2 * 3600 + 600  # summer time, and a clock of another time zone, are an hour or two
_WIDTH = 10.0
_PHOTOS_PER_TILL = 500
_MIN_PHOTOS = 30
_MIN_SHARE = 0.2
_MIN_DEVIATIONS = 6.0
# A year of a busy till is looked at in parts of some days.
_PHOTOS_PER_PART = 60
_PARTS = 64


@dataclass(frozen=True)
class Period:
    """A time in which a clock is off by the same.

    Attributes
    ----------
    since : float
        When the first photo of it was taken, by the camera's own clock, in seconds.
    ahead : float
        Seconds that the photos are ahead; NaN where there are too few, or no plain peak.
    """

    since: float
    ahead: float


def find_clock_periods(
    till_of_photo: npt.NDArray[np.intp],
    taken: npt.NDArray[np.float64],
    corrected: npt.NDArray[np.float64],
    till_of_receipt: npt.NDArray[np.intp],
    sold: npt.NDArray[np.float64],
    n_tills: int,
    least: float,
) -> list[list[Period]]:
    """Find the offsets at which far more photos than usual have a receipt.

    Photos come a short and much the same time before or after their receipts. Differences to all
    receipts within some hours are spread evenly, but for one peak at the clock's offset. It is
    looked for in parts of the photos, one after another in time: a clock that is set, or that
    does not know summer time, is off by something else from then on.

    Parameters
    ----------
    till_of_photo : ndarray of shape (n_photos,), int
        -1 where there is no such till.
    taken : ndarray of shape (n_photos,)
        Seconds, by the camera's clock; NaN where it is not known.
    corrected : ndarray of shape (n_photos,)
        The same, with what is known of the clock taken off.
    till_of_receipt : ndarray of shape (n_receipts,), int
    sold : ndarray of shape (n_receipts,)
        Seconds.
    n_tills : int
    least : float
        Offsets that differ by less than so many seconds are one.

    Returns
    -------
    list of list of Period
        For each till with photos, one or more, in order of time.
    """
    photos = _by_till(till_of_photo, taken, n_tills)
    receipts = _by_till(till_of_receipt, sold, n_tills)
    return [
        _find_periods(taken[mine], corrected[mine], sold[theirs], max(least, 2 * _WIDTH))
        for mine, theirs in zip(photos, receipts, strict=True)
    ]


def _by_till(
    tills: npt.NDArray[np.intp], times: npt.NDArray[np.float64], n_tills: int
) -> list[npt.NDArray[np.intp]]:
    known = np.flatnonzero(~np.isnan(times) & (tills >= 0))
    order = known[np.lexsort([times[known], tills[known]])]
    return np.split(order, np.searchsorted(tills[order], np.arange(1, n_tills)))[:n_tills]


def _find_periods(
    taken: npt.NDArray[np.float64],
    corrected: npt.NDArray[np.float64],
    sold: npt.NDArray[np.float64],
    least: float,
) -> list[Period]:
    if not len(taken):
        return []
    if len(taken) < _MIN_PHOTOS or not len(sold):
        return [Period(float(taken[0]), np.nan)]
    whole = _find_peak(corrected, sold)
    parts = np.array_split(
        np.arange(len(taken)), min(_PARTS, max(1, len(taken) // _PHOTOS_PER_PART))
    )
    found: list[tuple[int, int, list[float]]] = []  # first and last part, offsets
    for place, part in enumerate(parts):
        ahead = _find_peak(corrected[part], sold)
        if np.isnan(ahead):
            continue
        if found and abs(ahead - np.median(found[-1][2])) <= least:
            found[-1] = (found[-1][0], place, [*found[-1][2], ahead])
        else:
            found.append((place, place, [ahead]))
    if len(found) < 2:
        ahead = float(np.median(found[0][2])) if found and np.isnan(whole) else whole
        return [Period(float(taken[0]), ahead)]
    periods = [Period(float(taken[0]), float(np.median(found[0][2])))]
    for (_, before, _), (after, _, offsets) in pairwise(found):
        ahead = float(np.median(offsets))
        between = np.arange(parts[before][0], parts[after][-1] + 1)
        start = _find_start(taken[between], corrected[between], sold, periods[-1].ahead, ahead)
        periods.append(Period(float(taken[between[start]]), ahead))
    return periods


def _find_start(
    taken: npt.NDArray[np.float64],
    corrected: npt.NDArray[np.float64],
    sold: npt.NDArray[np.float64],
    before: float,
    after: float,
) -> int:
    """Find the first photo of another offset: where most photos have a receipt on both sides."""
    old, new = (_has_receipt(corrected - ahead, sold) for ahead in (before, after))
    fitting = np.append(0, old.cumsum()) + np.append(new[::-1].cumsum()[::-1], 0)
    best = np.flatnonzero(fitting[1:-1] == fitting[1:-1].max()) + 1
    # Clocks are mostly set when no photo is taken.
    return int(best[np.diff(taken)[best - 1].argmax()])


def _has_receipt(
    times: npt.NDArray[np.float64], sold: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    after = np.searchsorted(sold, times)
    nearest = np.minimum(
        np.abs(sold[after.clip(max=len(sold) - 1)] - times),
        np.abs(sold[(after - 1).clip(min=0)] - times),
    )
    return nearest <= _WIDTH


def _find_peak(taken: npt.NDArray[np.float64], sold: npt.NDArray[np.float64]) -> float:
    step = max(1, -(-len(taken) // _PHOTOS_PER_TILL))
    taken = taken[::step]
    start = np.searchsorted(sold, taken - _WINDOW)
    lengths = np.searchsorted(sold, taken + _WINDOW) - start
    if not lengths.sum():
        return np.nan
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    away = np.sort(np.repeat(taken, lengths) - sold[np.repeat(start, lengths) + within])
    # Windows of one width, one from each difference: the fullest holds the peak.
    held = np.searchsorted(away, away + _WIDTH, side="right") - np.arange(len(away))
    best = int(held.argmax())
    usual = len(away) * _WIDTH / (2 * _WINDOW)
    plain = held[best] - usual >= max(
        _MIN_DEVIATIONS * np.sqrt(max(usual, 1.0)), _MIN_SHARE * len(taken)
    )
    return float(np.median(away[best : best + held[best]])) if plain else np.nan
