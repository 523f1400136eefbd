"""By how much the clock of a camera is ahead of that of its till."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["find_clock_offsets"]

_WINDOW = 2 * 3600 + 600  # summer time, and a clock of another time zone, are an hour or two
_WIDTH = 10.0
_PHOTOS_PER_TILL = 500
_MIN_PHOTOS = 30
_MIN_SHARE = 0.2
_MIN_DEVIATIONS = 6.0


def find_clock_offsets(
    till_of_photo: npt.NDArray[np.intp],
    photo_time: npt.NDArray[np.float64],
    till_of_receipt: npt.NDArray[np.intp],
    receipt_time: npt.NDArray[np.float64],
    n_tills: int,
) -> npt.NDArray[np.float64]:
    """Find the offset at which far more photos than usual have a receipt.

    Photos come a short and much the same time before or after their receipts. Differences to all
    receipts within some hours are spread evenly, but for one peak at the clock's offset.

    Parameters
    ----------
    till_of_photo : ndarray of shape (n_photos,), int
        -1 where there is no such till.
    photo_time : ndarray of shape (n_photos,)
        Seconds; NaN where it is not known.
    till_of_receipt : ndarray of shape (n_receipts,), int
    receipt_time : ndarray of shape (n_receipts,)
        Seconds.
    n_tills : int

    Returns
    -------
    ndarray of shape (n_tills,)
        Seconds that the photos are ahead; NaN where there are too few photos, or no plain peak.
    """
    offsets = np.full(n_tills, np.nan)
    photos = _by_till(till_of_photo, photo_time, n_tills)
    receipts = _by_till(till_of_receipt, receipt_time, n_tills)
    for till, (taken, sold) in enumerate(zip(photos, receipts, strict=True)):
        if len(taken) >= _MIN_PHOTOS and len(sold):
            offsets[till] = _find_peak(taken, sold)
    return offsets


def _by_till(
    tills: npt.NDArray[np.intp], times: npt.NDArray[np.float64], n_tills: int
) -> list[npt.NDArray[np.float64]]:
    known = ~np.isnan(times) & (tills >= 0)
    order = np.flatnonzero(known)[np.lexsort([times[known], tills[known]])]
    return np.split(times[order], np.searchsorted(tills[order], np.arange(1, n_tills)))


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
