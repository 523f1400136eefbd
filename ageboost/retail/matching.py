"""Which photo of the till camera shows the buyer of which receipt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._notebook import ShownInNotebooks
from ageboost.errors import RetailDataError
from ageboost.retail._clocks import Period, find_clock_periods
from ageboost.retail._joins import check_join, is_among
from ageboost.retail._offsets import (
    Offset,
    Seconds,
    Till,
    look_up_ahead,
    offset_of_each,
    read_offsets,
    suggest_offsets,
    to_seconds,
)
from ageboost.retail._repeated import check_unique
from ageboost.retail.counts import count_outcomes, describe_counts
from ageboost.retail.tables import Source, need_columns, read_together

__all__ = ["MatchedPhotos", "match_photos"]

_KINDS = ("photos", "receipts")
_LEAST_MATCHED = 0.01
_PHOTO_OUTCOMES = ("matched", "no receipt near", "another photo is nearer")


@dataclass(frozen=True, repr=False)
class MatchedPhotos(ShownInNotebooks):
    """Photos and the receipts that they belong to.

    Attributes
    ----------
    table : DataFrame
        One row for each photo, in their order: ``photo``, ``receipt_id`` (missing where there is
        none), ``seconds`` (how long after the receipt the photo was taken; negative before it),
        ``ambiguous`` (whether another receipt of that till was within the tolerance too, less than
        twice as far away) and ``outcome``: ``"matched"``, ``"no receipt near"`` (in time, at that
        till), ``"another photo is nearer"`` (to the same receipt), ``"no such till"`` (among the
        receipts), ``"no time"``, or, where photos name their receipts, ``"no such receipt"``.
    counts : DataFrame
        ``of``, ``outcome``, ``rows``: photos, matched photos and receipts, which add up to those
        that were given.
    clocks : DataFrame
        One row for each till, or for each period of it in which its clock is off by the same:
        ``store`` (where there are any), ``till``, ``since`` (the time of the period's first photo,
        by the camera's clock), ``photos``, ``matched`` (share of these photos), ``seconds_ahead``
        (by how much the camera's clock is ahead of the till's, beyond ``clock_offsets``; missing if
        it is not plain) and ``off`` (whether that is more than half the tolerance). Empty where
        photos name their receipts.
    clock_offsets : dict
        What to pass to :func:`match_photos` as ``clock_offsets`` to set the tills right that are
        off, those that were passed already included.
    """

    table: pd.DataFrame
    counts: pd.DataFrame
    clocks: pd.DataFrame
    clock_offsets: dict[Till, Offset]

    def __str__(self) -> str:
        lines = [describe_counts(self.counts), *self.describe_clocks()]
        if len(lines) > 1:
            lines.append(f"To set them right, pass clock_offsets={self.clock_offsets!r}")
        return "\n".join(lines)

    def describe_clocks(self) -> list[str]:
        """Say which clocks are off, by how much and since when: one sentence for each till."""
        if not len(self.clocks):
            return []
        keys = [name for name in ("store", "till") if name in self.clocks]
        sentences = []
        for _, periods in self.clocks.groupby(keys, sort=False):
            if not periods["off"].any():
                continue
            row = periods.iloc[0]
            place = f"till {row['till']}" + (f" of store {row['store']}" if "store" in row else "")
            if len(periods) == 1:
                sentences.append(
                    f"The camera's clock at {place} is {_say_offset(row['seconds_ahead'])} the "
                    f"till's: {row['matched']:.0%} of its {row['photos']:,} photos are matched."
                )
                continue
            said = ", ".join(
                f"{_say_offset(one.seconds_ahead)} from {one.since} on"
                for one in periods.itertuples()
            )
            matched = (periods["matched"] * periods["photos"]).sum() / periods["photos"].sum()
            sentences.append(
                f"The camera's clock at {place} is not off by the same throughout; beside the "
                f"till's it is {said}: {matched:.0%} of its {periods['photos'].sum():,} photos are "
                "matched."
            )
        return sentences


def match_photos(
    photos: Source,
    receipts: Source,
    tolerance: Seconds = "60s",
    clock_offsets: Mapping[Till, Seconds | Mapping[str, Seconds]] | None = None,
) -> MatchedPhotos:
    """Find the receipt that each photo of a till camera belongs to.

    A photo belongs to the receipt of its till that is nearest in time. Of several photos for one
    receipt the nearest is taken, the earlier of two that are equally near. Photos that have a
    column ``receipt_id`` belong to that receipt, whatever their time, and of several the first.

    Parameters
    ----------
    photos : path or DataFrame
        ``photo``, ``time``, ``till``, and ``store`` if tills of several stores have the same
        names; or ``photo`` and ``receipt_id``.
    receipts : path or DataFrame
        ``receipt_id``, ``time``, ``till``, and ``store`` if photos have it.
    tolerance : str, number of seconds or Timedelta, default="60s"
        How far apart in time photo and receipt may be.
    clock_offsets : mapping of till or (store, till) to seconds, optional
        By how much the camera's clock is ahead of the till's; negative if it is behind. Each a
        number, a text or a Timedelta, as for ``tolerance``. Where that changes, as at the end of
        summer time, a mapping of times by the camera's clock to what holds from then on.

    Returns
    -------
    MatchedPhotos

    Raises
    ------
    RetailDataError
        If a column is missing, a receipt is there twice, a till of ``clock_offsets`` is not known,
        only one of the tables has time zones, or (almost) no photo belongs to a receipt and no
        clock is found that would explain it.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.retail import match_photos
    >>> receipts = pd.DataFrame({
    ...     "receipt_id": ["a", "b"], "time": ["2025-03-01 10:00", "2025-03-01 10:05"], "till": 1,
    ... })
    >>> photos = pd.DataFrame({
    ...     "photo": ["1.jpg", "2.jpg"], "time": ["2025-03-01 10:04:50", "2025-03-01 10:30"],
    ...     "till": 1,
    ... })
    >>> print(match_photos(photos, receipts))
    2 photos: 1 matched, 1 no receipt near
    1 matched photos: 1 plain
    2 receipts: 1 with a photo, 1 without a photo
    """
    tables = read_together({"photos": photos, "receipts": receipts})
    photos, receipts = tables["photos"], tables["receipts"]
    check_unique(receipts)
    reach = to_seconds(tolerance, "tolerance")
    if not reach >= 0:
        raise ValueError(f"tolerance={tolerance!r}: pass a time of 0 or more")
    if "receipt_id" in photos:
        if clock_offsets:
            raise ValueError("clock_offsets say nothing of photos that name their receipts")
        check_join(photos["receipt_id"], receipts["receipt_id"], "photos", "receipts")
        return _result(_match_by_id(photos, receipts), len(receipts))
    keys = _till_columns(photos, receipts)
    _check_zones(photos, receipts)
    check_join(_place_names(photos, keys), _place_names(receipts, keys), *_KINDS, "/".join(keys))
    tills = pd.MultiIndex.from_frame(receipts[keys]).unique()
    till_of_photo = tills.get_indexer(pd.MultiIndex.from_frame(photos[keys]))
    till_of_receipt = tills.get_indexer(pd.MultiIndex.from_frame(receipts[keys]))
    origin = receipts["time"].min()
    taken, sold = _since(photos["time"], origin), _since(receipts["time"], origin)
    offsets = read_offsets(clock_offsets, keys, receipts, origin)
    known = offset_of_each(tills, offsets)
    corrected = taken - look_up_ahead(known, till_of_photo, taken)

    near, nearest, distance, next_distance = _nearest(
        till_of_photo, corrected, till_of_receipt, sold, reach
    )
    outcome = np.full(len(photos), "no receipt near", dtype=object)
    outcome[np.isnan(taken)] = "no time"
    outcome[till_of_photo < 0] = "no such till"
    first = _nearest_photo_of_each(np.where(near, nearest, -1), distance, corrected)
    outcome[near] = "another photo is nearer"
    outcome[first] = "matched"
    ids = pd.Series(pd.NA, index=photos.index, dtype="str")
    ids[first] = receipts["receipt_id"].to_numpy()[nearest[first]]
    table = pd.DataFrame(
        {
            "photo": photos["photo"],
            "receipt_id": ids,
            "seconds": np.where(near, distance, np.nan),
            "ambiguous": near & (next_distance <= reach) & (next_distance < 2 * np.abs(distance)),
            "outcome": pd.Series(outcome, dtype="str"),
        }
    )
    periods = find_clock_periods(
        till_of_photo, taken, corrected, till_of_receipt, sold, len(tills), reach / 2
    )
    clocks = _tabulate_clocks(tills, keys, till_of_photo, taken, first, periods, reach, origin)
    if not clocks["off"].any():
        _check_matched(table["outcome"], photos["time"], receipts["time"], tolerance)
    return _result(
        table, len(receipts), clocks, suggest_offsets(tills, periods, known, offsets, reach, origin)
    )


def _result(
    table: pd.DataFrame,
    n_receipts: int,
    clocks: pd.DataFrame | None = None,
    offsets: dict[Till, Offset] | None = None,
) -> MatchedPhotos:
    matched = table["outcome"] == "matched"
    n_matched, n_ambiguous = int(matched.sum()), int((matched & table["ambiguous"]).sum())
    counts = [
        count_outcomes("photos", table["outcome"], _PHOTO_OUTCOMES),
        count_outcomes(
            "matched photos",
            {
                "plain": n_matched - n_ambiguous,
                "with another receipt less than twice as far": n_ambiguous,
            },
        ),
        count_outcomes(
            "receipts", {"with a photo": n_matched, "without a photo": n_receipts - n_matched}
        ),
    ]
    return MatchedPhotos(
        table,
        pd.concat(counts, ignore_index=True),
        pd.DataFrame() if clocks is None else clocks,
        {} if offsets is None else offsets,
    )


def _match_by_id(photos: pd.DataFrame, receipts: pd.DataFrame) -> pd.DataFrame:
    known = pd.Series(is_among(photos["receipt_id"], receipts["receipt_id"]), photos.index)
    again = known & photos["receipt_id"].where(known).duplicated()
    outcome = pd.Series("matched", index=photos.index, dtype="str")
    outcome = outcome.mask(~known, "no such receipt").mask(again, "another photo is nearer")
    return pd.DataFrame(
        {
            "photo": photos["photo"],
            "receipt_id": photos["receipt_id"].where(known & ~again),
            "seconds": np.nan,
            "ambiguous": False,
            "outcome": outcome,
        }
    )


def _till_columns(photos: pd.DataFrame, receipts: pd.DataFrame) -> list[str]:
    for table, kind in ((photos, "photos"), (receipts, "receipts")):
        need_columns(table, ["time", "till"], kind)
    if ("store" in photos) != ("store" in receipts):
        lacks = "photos" if "store" in receipts else "receipts"
        if "store" in receipts and len(receipts["store"].unique()) > 1:
            need_columns(photos, ["store"], lacks)
        if "store" in photos and len(photos["store"].unique()) > 1:
            need_columns(receipts, ["store"], lacks)
        return ["till"]
    return ["store", "till"] if "store" in photos else ["till"]


def _check_zones(photos: pd.DataFrame, receipts: pd.DataFrame) -> None:
    zoned = [table["time"].dt.tz is not None for table in (photos, receipts)]
    if zoned[0] != zoned[1]:
        says, lacks = ("photos", "receipts") if zoned[0] else ("receipts", "photos")
        raise RetailDataError(
            f"times of {says} have a time zone and those of {lacks} do not",
            'write both in one way, such as table["time"].dt.tz_localize("Europe/Berlin")',
            "write both in one way, such as 2025-11-25 14:03:00+01:00",
        )


def _place_names(table: pd.DataFrame, keys: list[str]) -> pd.Series:
    if len(keys) == 1:
        return table[keys[0]]
    return table[keys[0]] + "/" + table[keys[1]]


def _check_matched(
    outcome: pd.Series, taken: pd.Series, sold: pd.Series, tolerance: Seconds
) -> None:
    n_matched, n_photos = int((outcome == "matched").sum()), len(outcome)
    if not n_photos or not len(sold):
        return
    if n_matched and n_matched >= _LEAST_MATCHED * min(n_photos, len(sold)):
        return
    problem = f"{n_matched:,} of {n_photos:,} photos belong to one of {len(sold):,} receipts"
    for kind, times in zip(_KINDS, (taken, sold), strict=True):
        if times.isna().all():
            raise RetailDataError(f"{problem}: no time of {kind} is known")
        if len(times) > 1 and (times.dropna() == times.dropna().dt.normalize()).all():
            raise RetailDataError(f"{problem}: times of {kind} are dates without a time of day")
    counts = outcome.value_counts()
    reasons = ", ".join(f"{rows:,} {name}" for name, rows in counts.items() if name != "matched")
    raise RetailDataError(
        f"{problem} ({reasons}, within {tolerance}). Photos were taken from {taken.min()} to "
        f"{taken.max()}, receipts are from {sold.min()} to {sold.max()}: check that both are of "
        "the same days and tills, and that the clocks do not differ by more than two hours"
    )


def _since(times: pd.Series, origin: pd.Timestamp) -> npt.NDArray[np.float64]:
    return (times - origin).dt.total_seconds().to_numpy(dtype=np.float64, copy=True)


def _nearest(
    till_of_photo: npt.NDArray[np.intp],
    photo_time: npt.NDArray[np.float64],
    till_of_receipt: npt.NDArray[np.intp],
    receipt_time: npt.NDArray[np.float64],
    reach: float,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp], npt.NDArray, npt.NDArray]:
    """Find the nearest receipt of each photo's till, how far it and the next one are away.

    The first that is returned is whether it is near enough.
    """
    nearest = np.full(len(photo_time), -1)
    distance, next_distance = np.full((2, len(photo_time)), np.inf)
    timed = np.flatnonzero(~np.isnan(receipt_time) & (till_of_receipt >= 0))
    asked = np.flatnonzero(~np.isnan(photo_time) & (till_of_photo >= 0))
    if not len(timed) or not len(asked):
        return nearest >= 0, nearest, distance, next_distance
    # Tills one after the other on one line, further apart than a day is long: one search for all.
    times = np.concatenate([receipt_time[timed], photo_time[asked]])
    span = times.max() - times.min() + 1e6
    order = timed[np.lexsort([receipt_time[timed], till_of_receipt[timed]])]
    line = till_of_receipt[order] * span + receipt_time[order]
    places = till_of_photo[asked] * span + photo_time[asked]
    after = np.searchsorted(line, places)
    # Two before and two after hold the nearest and the next, whichever side they are on.
    around = after[:, None] + np.arange(-2, 2)
    inside = (around >= 0) & (around < len(order))
    around = around.clip(0, len(order) - 1)
    candidates = order[around]
    inside &= till_of_receipt[candidates] == till_of_photo[asked, None]
    away = np.where(inside, photo_time[asked, None] - receipt_time[candidates], np.inf)
    ranked = np.argsort(np.abs(away), axis=1, kind="stable")
    rows = np.arange(len(asked))
    nearest[asked] = candidates[rows, ranked[:, 0]]
    distance[asked] = away[rows, ranked[:, 0]]
    next_distance[asked] = np.abs(away[rows, ranked[:, 1]])
    return np.abs(distance) <= reach, nearest, distance, next_distance


def _nearest_photo_of_each(
    receipt: npt.NDArray[np.intp],
    distance: npt.NDArray[np.float64],
    photo_time: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    order = np.lexsort([photo_time, np.abs(distance), receipt])
    ranked = receipt[order]
    first = np.zeros(len(receipt), dtype=bool)
    first[order] = np.diff(ranked, prepend=-1) != 0
    return first & (receipt >= 0)


def _tabulate_clocks(
    tills: pd.MultiIndex,
    keys: list[str],
    till_of_photo: npt.NDArray[np.intp],
    taken: npt.NDArray[np.float64],
    matched: npt.NDArray[np.bool_],
    periods: list[list[Period]],
    reach: float,
    origin: pd.Timestamp,
) -> pd.DataFrame:
    rows = []
    order = np.argsort(till_of_photo, kind="stable")
    bounds = np.searchsorted(till_of_photo[order], np.arange(len(tills) + 1))
    for till, ours in enumerate(periods):
        mine = order[bounds[till] : bounds[till + 1]]
        starts = [period.since for period in ours[1:]]
        place = np.searchsorted(starts, taken[mine], side="right")
        for at, period in enumerate(ours or [Period(np.nan, np.nan)]):
            here = mine[place == at]
            since = origin + pd.Timedelta(period.since, "s") if ours else pd.NaT
            rows.append(
                (
                    *tills[till],
                    since,
                    len(here),
                    matched[here].sum() / max(len(here), 1),
                    period.ahead,
                )
            )
    clocks = pd.DataFrame(rows, columns=[*keys, "since", "photos", "matched", "seconds_ahead"])
    clocks["off"] = clocks["seconds_ahead"].abs() > reach / 2
    return clocks


def _say_offset(seconds: float) -> str:
    if np.isnan(seconds):
        return "not known to be off"
    return f"about {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
