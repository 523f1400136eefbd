"""Which person of a till's video is the buyer of which receipt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import linear_sum_assignment

from ageboost.errors import RetailDataError
from ageboost.models import AgeEstimator
from ageboost.models.calibration import calibration_of
from ageboost.retail._offsets import Seconds, Till, to_seconds
from ageboost.retail._repeated import check_unique
from ageboost.retail.buyers import DEFAULT_AGES, buyers_from_distribution
from ageboost.retail.counts import count_outcomes, describe_counts
from ageboost.retail.groups import AgeGroups
from ageboost.retail.tables import Source, need_columns, read_table

__all__ = ["MatchedTracks", "buyers_from_tracks", "match_tracks"]

# Who comes and leaves within so many seconds of each other is in company.
_TOGETHER = 4.0
# A receipt is printed while the buyer stands there, or a little after.
_LEFT_BEFORE = 10.0
_FORBIDDEN = 1e12


@dataclass(frozen=True)
class MatchedTracks:
    """Receipts and the people in the video who are taken for their buyers.

    Attributes
    ----------
    table : DataFrame
        One row for each receipt, in their order: ``receipt_id``, ``row`` (position of the buyer in
        the table of tracks; missing where there is none), ``track``, ``seconds`` (how long after
        the receipt the buyer left; negative before it), ``company`` (how many came and left with
        the buyer), ``queue`` (how many others were there at the time of the receipt) and
        ``outcome``: ``"matched"``, ``"nobody there"`` (at that till, around that time),
        ``"no such till"`` (in the video) or ``"no time"``.
    counts : DataFrame
        ``of``, ``outcome``, ``rows``: receipts and tracks, by what became of them.
    tracks : DataFrame
        The tracks, as they were given.
    """

    table: pd.DataFrame
    counts: pd.DataFrame
    tracks: pd.DataFrame

    def __str__(self) -> str:
        return describe_counts(self.counts)


def match_tracks(
    tracks: Source,
    receipts: Source,
    tolerance: Seconds = "60s",
    clock_offsets: Mapping[Till, Seconds] | None = None,
) -> MatchedTracks:
    """Find the person in a till's video to whom each receipt belongs.

    The rule: who comes and leaves within four seconds of each other is one party. A receipt may
    belong to a party that was there at its time, or left within ten seconds before it, and that
    left at most ``tolerance`` after it. All receipts of a till are given to parties together, so
    that as many as possible have one and the squares of the times between receipt and leaving add
    up to the least: people leave in the order in which they pay. Of a party, the buyer is who was
    nearest to the camera for longest (height of the face times seconds). Who stood there at the
    time of the receipt and is not of the party is counted as the queue.

    Parameters
    ----------
    tracks : path or DataFrame
        What :func:`ageboost.video.analyze_video` gives, with datetimes, or the CSV or Parquet file
        that ``ageboost watch`` has written; with ``till``, unless receipts have none, and ``store``
        if both have it.
    receipts : path or DataFrame
        ``receipt_id``, ``time``, and ``till``, ``store`` as above.
    tolerance : str, number of seconds or Timedelta, default="60s"
        How long after the receipt the buyer may still be there.
    clock_offsets : mapping of till to seconds, optional
        By how much the camera's clock is ahead of the till's.

    Returns
    -------
    MatchedTracks

    Raises
    ------
    RetailDataError
        If a column is missing, a receipt is there twice, or only one of the tables says its time
        zone.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.retail import match_tracks
    >>> ten = pd.Timestamp("2025-03-01 10:00")
    >>> tracks = pd.DataFrame({
    ...     "track": [0, 1, 2], "till": "3", "height": [160.0, 150.0, 90.0], "status": "ok",
    ...     "start": ten + pd.to_timedelta([0, 1, 20], "s"),
    ...     "end": ten + pd.to_timedelta([60, 62, 130], "s"),
    ... })
    >>> receipts = pd.DataFrame({
    ...     "receipt_id": ["a", "b"], "till": "3", "time": ten + pd.to_timedelta([55, 120], "s"),
    ... })
    >>> match_tracks(tracks, receipts).table[["receipt_id", "track", "company", "queue"]]
      receipt_id  track  company  queue
    0          a      0        1      1
    1          b      2        0      0
    """
    sales = read_table(receipts, "receipts")
    check_unique(sales)
    need_columns(sales, ["time"], "receipts")
    tracks = _read_tracks(tracks)
    reach = _seconds(tolerance, "tolerance")
    people = tracks.reset_index(drop=True)
    people = people[people["track"].notna()]
    keys = _till_columns(people, sales)
    _check_times(people, sales)
    origin = sales["time"].min()
    times = (sales["time"] - origin).dt.total_seconds().to_numpy(np.float64)
    ahead = _ahead(people, clock_offsets, keys)
    starts = (people["start"] - origin).dt.total_seconds().to_numpy(np.float64) - ahead
    ends = (people["end"] - origin).dt.total_seconds().to_numpy(np.float64) - ahead
    near = people["height"].fillna(0).to_numpy(np.float64) * np.maximum(ends - starts, 0.1)
    places = people.index.to_numpy()

    outcome = np.full(len(sales), "nobody there", dtype=object)
    buyer = np.full(len(sales), -1)
    company, queue = np.zeros((2, len(sales)), dtype=np.int64)
    tills = _tills(sales, keys)
    till_of_track = _tills(people, keys)
    outcome[~np.isin(tills, till_of_track)] = "no such till"
    outcome[np.isnan(times)] = "no time"
    for till in np.unique(till_of_track):
        here = np.flatnonzero(till_of_track == till)
        sold = np.flatnonzero((tills == till) & ~np.isnan(times))
        parties = _parties(starts[here], ends[here])
        party_start = np.array([starts[here][one].min() for one in parties])
        party_end = np.array([ends[here][one].max() for one in parties])
        for row, number in _assign(times[sold], party_start, party_end, reach):
            receipt, members = sold[row], here[parties[number]]
            outcome[receipt] = "matched"
            buyer[receipt] = members[np.argmax(near[members])]
            company[receipt] = len(members) - 1
            there = (starts[here] <= times[receipt]) & (ends[here] >= times[receipt])
            queue[receipt] = int((there & ~np.isin(here, members)).sum())
    matched = buyer >= 0
    table = pd.DataFrame(
        {
            "receipt_id": sales["receipt_id"],
            "row": pd.array(np.where(matched, places[buyer], -1), "Int64"),
            "track": people["track"].astype("Int64").reset_index(drop=True).reindex(buyer).array,
            "seconds": np.where(matched, ends[buyer] - times, np.nan),
            "company": company,
            "queue": queue,
            "outcome": pd.Series(outcome, dtype="str"),
        }
    )
    table.loc[~matched, "row"] = pd.NA
    n_members = int(matched.sum() + company.sum())
    counts = [
        count_outcomes(
            "receipts",
            table["outcome"],
            ("matched", "nobody there", "no such till", "no time"),
        ),
        count_outcomes(
            "tracks",
            {
                "buyers": int(matched.sum()),
                "in company of a buyer": int(company.sum()),
                "others": len(people) - n_members,
            },
        ),
    ]
    return MatchedTracks(table, pd.concat(counts, ignore_index=True), tracks)


def buyers_from_tracks(
    matched: MatchedTracks,
    model: AgeEstimator,
    groups: AgeGroups | None = None,
    ages: Iterable[float] = DEFAULT_AGES,
    coverage: float = 0.9,
) -> pd.DataFrame:
    """Make the table of buyers from people in a video, whose ages have been estimated already.

    Parameters
    ----------
    matched : MatchedTracks
    model : AgeEstimator
        The one that has looked at the video.
    groups : AgeGroups, optional
        As for :func:`estimate_buyers`.
    ages : iterable of float, default=(12, 18, 25, 35, 45, 55, 65)
        As for :func:`estimate_buyers`.
    coverage : float, default=0.9
        As for :func:`estimate_buyers`.

    Returns
    -------
    DataFrame
        As :func:`estimate_buyers` gives it; ``photo`` names the track, ``faces`` counts the buyer
        and the company.
    """
    tracks, table = matched.tracks.reset_index(drop=True), matched.table
    need_columns(tracks, ["age", "scale", "quality", "reliable"], "tracks")
    known = table["row"].notna().to_numpy()
    rows = table["row"].fillna(0).to_numpy(np.intp)

    def take(column: str) -> npt.NDArray[np.float64]:
        if not len(tracks):
            return np.full(len(table), np.nan)
        values = pd.to_numeric(tracks[column], errors="coerce").to_numpy(
            np.float64, na_value=np.nan
        )
        return np.where(known, values[rows], np.nan)

    distribution = calibration_of(model).distribution(take("age"), take("scale"))
    buyers = buyers_from_distribution(table["receipt_id"], distribution, groups, ages, coverage)
    quality, reliable = take("quality"), take("reliable")
    status = np.where(known, "ok", "no photo").astype(object)
    status[known & np.isnan(distribution.ages)] = "no face"
    status[(status == "ok") & (reliable == 0)] = "unreliable"
    names = table["track"].map(lambda track: f"track {track}", na_action="ignore")
    return buyers.assign(
        photo=pd.Series(names, dtype="str"),
        status=pd.Series(status, dtype="str"),
        faces=np.where(known, 1 + table["company"], 0),
        quality=quality,
        reliable=pd.array(
            [pd.NA if np.isnan(one) else bool(one) for one in reliable], dtype="boolean"
        ),
    )


def _read_tracks(source: Source) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        table = source
    elif Path(source).suffix.lower() == ".parquet":
        table = pd.read_parquet(source)
    else:
        table = pd.read_csv(source, dtype={"till": "str", "store": "str", "track": "Int64"})
    need_columns(table, ["track", "start", "end", "height", "status"], "tracks")
    times = {}
    for column in ("start", "end"):
        if table[column].dtype.kind not in "Mf":
            zoned = table[column].astype("str").str.contains(r"[+-]\d\d:?\d\d$|Z$").any()
            times[column] = pd.to_datetime(table[column], format="ISO8601", utc=bool(zoned))
    return table.assign(**times)


def _parties(
    starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64]
) -> list[npt.NDArray[np.intp]]:
    """Put those together who come and leave with the first of them."""
    parties: list[list[int]] = []
    for track in np.argsort(starts, kind="stable").tolist():
        for party in reversed(parties):
            first = party[0]
            if starts[track] - starts[first] > _TOGETHER:
                continue
            if abs(ends[track] - ends[first]) <= _TOGETHER:
                party.append(track)
                break
        else:
            parties.append([track])
    return [np.array(party) for party in parties]


def _assign(
    times: npt.NDArray[np.float64],
    starts: npt.NDArray[np.float64],
    ends: npt.NDArray[np.float64],
    reach: float,
) -> list[tuple[int, int]]:
    """Give receipts to parties; receipts that no party could bridge are independent."""
    found: list[tuple[int, int]] = []
    order, by_end = np.argsort(times, kind="stable"), np.argsort(ends, kind="stable")
    left = np.searchsorted(ends[by_end], times[order] - _LEFT_BEFORE, side="left")
    right = np.searchsorted(ends[by_end], times[order] + reach, side="right")
    begun = 0
    for stop in range(1, len(order) + 1):
        if stop < len(order) and left[stop] < right[stop - 1]:
            continue
        rows, columns = order[begun:stop], by_end[left[begun] : right[stop - 1]]
        begun = stop
        if not len(columns):
            continue
        late = ends[columns] - times[rows, None]
        there = (late >= -_LEFT_BEFORE) & (late <= reach) & (starts[columns] <= times[rows, None])
        cost = np.where(there, late**2, _FORBIDDEN)
        for row, column in zip(*linear_sum_assignment(cost), strict=True):
            if there[row, column]:
                found.append((int(rows[row]), int(columns[column])))
    return found


def _till_columns(tracks: pd.DataFrame, receipts: pd.DataFrame) -> list[str]:
    if "till" not in receipts and "till" not in tracks:
        return []
    need_columns(tracks, ["till"], "tracks")
    need_columns(receipts, ["till"], "receipts")
    return ["store", "till"] if "store" in tracks and "store" in receipts else ["till"]


def _tills(table: pd.DataFrame, keys: list[str]) -> npt.NDArray[np.str_]:
    if not keys:
        return np.zeros(len(table), dtype="<U1")
    return table[keys].astype("str").agg("\0".join, axis=1).to_numpy(dtype=str)


def _ahead(
    tracks: pd.DataFrame, clock_offsets: Mapping[Till, Seconds] | None, keys: list[str]
) -> npt.NDArray[np.float64]:
    ahead = np.zeros(len(tracks))
    for till, value in (clock_offsets or {}).items():
        store, name = till if isinstance(till, tuple) else (None, till)
        there = (tracks["till"].astype("str") == str(name)).to_numpy() if keys else False
        if store is not None and "store" in keys:
            there &= (tracks["store"].astype("str") == str(store)).to_numpy()
        if not np.any(there):
            raise RetailDataError(f"clock_offsets names till {till!r}, where nobody was seen")
        ahead[there] = _seconds(value, f"clock_offsets[{till!r}]")
    return ahead


def _check_times(tracks: pd.DataFrame, receipts: pd.DataFrame) -> None:
    for column in ("start", "end"):
        if not pd.api.types.is_datetime64_any_dtype(tracks[column]):
            raise RetailDataError(
                f"{column} of tracks is not a datetime: pass began= to analyze_video, or --began "
                f"to ageboost watch, for a film that does not say when it was taken"
            )
    zoned = tracks["start"].dt.tz is not None
    if zoned != (receipts["time"].dt.tz is not None):
        says, lacks = ("tracks", "receipts") if zoned else ("receipts", "tracks")
        raise RetailDataError(
            f"times of {says} say their time zone and those of {lacks} do not: write both in one "
            'way, such as table["time"].dt.tz_localize("Europe/Berlin")'
        )


def _seconds(value: Seconds, name: str) -> float:
    seconds = to_seconds(value, name)
    if name == "tolerance" and not seconds >= 0:
        raise ValueError(f"tolerance={value!r}: pass a time of 0 or more")
    return seconds
