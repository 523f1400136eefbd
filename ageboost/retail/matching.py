"""Which photo of the till camera shows the buyer of which receipt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._notebook import ShownInNotebooks
from ageboost.errors import RetailDataError
from ageboost.retail._clocks import find_clock_offsets
from ageboost.retail.counts import count_outcomes, describe_counts
from ageboost.retail.tables import Source, check_unique, need_columns, read_table

__all__ = ["MatchedPhotos", "match_photos"]

Till: TypeAlias = str | tuple[str, str]
Seconds: TypeAlias = str | float | pd.Timedelta

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
        One row for each till: ``store`` (where there are any), ``till``, ``photos``, ``matched``
        (share of these photos), ``seconds_ahead`` (by how much the camera's clock is ahead of the
        till's, beyond ``clock_offsets``; missing if it is not plain) and ``off`` (whether that is
        more than half the tolerance). Empty where photos name their receipts.
    clock_offsets : dict
        What to pass to :func:`match_photos` as ``clock_offsets`` to set the tills right that are
        off, those that were passed already included.
    """

    table: pd.DataFrame
    counts: pd.DataFrame
    clocks: pd.DataFrame
    clock_offsets: dict[Till, float]

    def __str__(self) -> str:
        lines = [describe_counts(self.counts)]
        off = self.clocks[self.clocks["off"]] if len(self.clocks) else self.clocks
        for row in off.itertuples():
            place = f"till {row.till}" + (f" of store {row.store}" if "store" in off else "")
            way = "ahead of" if row.seconds_ahead > 0 else "behind"
            lines.append(
                f"The camera's clock at {place} is about {abs(row.seconds_ahead):.0f} s {way} the "
                f"till's: {row.matched:.0%} of its {row.photos:,} photos are matched."
            )
        if len(off):
            lines.append(f"To set them right, pass clock_offsets={self.clock_offsets!r}")
        return "\n".join(lines)


def match_photos(
    photos: Source,
    receipts: Source,
    tolerance: Seconds = "60s",
    clock_offsets: Mapping[Till, Seconds] | None = None,
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
        number, a text or a Timedelta, as for ``tolerance``.

    Returns
    -------
    MatchedPhotos

    Raises
    ------
    RetailDataError
        If a column is missing, a receipt is there twice, a till of ``clock_offsets`` is not known,
        or only one of the tables says its time zone.

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
    photos, receipts = read_table(photos, "photos"), read_table(receipts, "receipts")
    check_unique(receipts)
    reach = _to_seconds(tolerance, "tolerance")
    if not reach >= 0:
        raise ValueError(f"tolerance={tolerance!r}: pass a time of 0 or more")
    if "receipt_id" in photos:
        if clock_offsets:
            raise ValueError("clock_offsets say nothing of photos that name their receipts")
        return _result(_match_by_id(photos, receipts), len(receipts))
    keys = _till_columns(photos, receipts)
    _check_zones(photos, receipts)
    offsets = _read_offsets(clock_offsets, keys, receipts)
    tills = pd.MultiIndex.from_frame(receipts[keys]).unique()
    till_of_photo = tills.get_indexer(pd.MultiIndex.from_frame(photos[keys]))
    till_of_receipt = tills.get_indexer(pd.MultiIndex.from_frame(receipts[keys]))
    ahead = _offset_of_each(tills, offsets)
    origin = receipts["time"].min()
    photo_time = _since(photos["time"], origin)
    known = (till_of_photo >= 0) & ~np.isnan(photo_time)
    photo_time[known] -= ahead[till_of_photo[known]]
    receipt_time = _since(receipts["time"], origin)

    nearest, distance, next_distance = _nearest(
        till_of_photo, photo_time, till_of_receipt, receipt_time
    )
    near = known & (np.abs(distance) <= reach)
    outcome = np.full(len(photos), "no receipt near", dtype=object)
    outcome[np.isnan(photo_time)] = "no time"
    outcome[till_of_photo < 0] = "no such till"
    first = _nearest_photo_of_each(np.where(near, nearest, -1), distance, photo_time)
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
    found = find_clock_offsets(till_of_photo, photo_time, till_of_receipt, receipt_time, len(tills))
    clocks = _tabulate_clocks(tills, keys, till_of_photo, first, found, reach)
    return _result(table, len(receipts), clocks, _suggest(tills, clocks, ahead, offsets))


def _result(
    table: pd.DataFrame,
    n_receipts: int,
    clocks: pd.DataFrame | None = None,
    offsets: dict[Till, float] | None = None,
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
    known = photos["receipt_id"].isin(receipts["receipt_id"]) & photos["receipt_id"].notna()
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
            f"times of {says} say their time zone and those of {lacks} do not: write both in one "
            'way, such as table["time"].dt.tz_localize("Europe/Berlin")'
        )


def _to_seconds(value: Seconds, name: str) -> float:
    try:
        if isinstance(value, int | float | np.number):
            return float(value)
        return float(pd.Timedelta(value).total_seconds())
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'{name}={value!r}: pass seconds, or a text such as "90s" or "4min"'
        ) from error


def _read_offsets(
    clock_offsets: Mapping[Till, Seconds] | None, keys: list[str], receipts: pd.DataFrame
) -> dict[Till, float]:
    offsets: dict[Till, float] = {}
    known = set(receipts["till"].dropna())
    if "store" in keys:
        known |= set(zip(receipts["store"], receipts["till"], strict=True))
    for till, value in (clock_offsets or {}).items():
        name: Till = tuple(map(str, till)) if isinstance(till, tuple) else str(till)  # type: ignore[assignment]
        if name not in known:
            raise RetailDataError(f"clock_offsets names till {till!r}, where no receipt is from")
        offsets[name] = _to_seconds(value, f"clock_offsets[{till!r}]")
    return offsets


def _offset_of_each(tills: pd.MultiIndex, offsets: dict[Till, float]) -> npt.NDArray[np.float64]:
    # One till of one store goes before all tills of that name.
    return np.array([offsets.get(till, offsets.get(till[-1], 0.0)) for till in tills], dtype=float)


def _since(times: pd.Series, origin: pd.Timestamp) -> npt.NDArray[np.float64]:
    return (times - origin).dt.total_seconds().to_numpy(dtype=np.float64, copy=True)


def _nearest(
    till_of_photo: npt.NDArray[np.intp],
    photo_time: npt.NDArray[np.float64],
    till_of_receipt: npt.NDArray[np.intp],
    receipt_time: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Find the nearest receipt of each photo's till, and how far it and the next one are away."""
    nearest = np.full(len(photo_time), -1)
    distance, next_distance = np.full((2, len(photo_time)), np.inf)
    timed = np.flatnonzero(~np.isnan(receipt_time) & (till_of_receipt >= 0))
    asked = np.flatnonzero(~np.isnan(photo_time) & (till_of_photo >= 0))
    if not len(timed) or not len(asked):
        return nearest, distance, next_distance
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
    return nearest, distance, next_distance


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
    matched: npt.NDArray[np.bool_],
    found: npt.NDArray[np.float64],
    reach: float,
) -> pd.DataFrame:
    known = till_of_photo >= 0
    photos = np.bincount(till_of_photo[known], minlength=len(tills))
    n_matched = np.bincount(till_of_photo[known & matched], minlength=len(tills))
    clocks = tills.to_frame(index=False, name=keys)
    clocks["photos"] = photos
    clocks["matched"] = n_matched / np.maximum(photos, 1)
    clocks["seconds_ahead"] = found
    clocks["off"] = np.abs(found) > reach / 2
    return clocks


def _suggest(
    tills: pd.MultiIndex,
    clocks: pd.DataFrame,
    ahead: npt.NDArray[np.float64],
    offsets: dict[Till, float],
) -> dict[Till, float]:
    suggested = dict(offsets)
    for till, now, row in zip(tills, ahead, clocks.itertuples(), strict=True):
        if row.off:
            key: Till = till if len(till) > 1 else till[0]
            suggested[key] = float(round(now + row.seconds_ahead))
    return suggested
