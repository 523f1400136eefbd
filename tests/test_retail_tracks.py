import numpy as np
import pandas as pd
import pytest

import ageboost
from ageboost import RetailDataError
from ageboost.retail import buyers_from_tracks, match_tracks

TEN = pd.Timestamp("2025-03-01 10:00")


def tracks_of(*stays, till="3", **columns):
    """People by the seconds of their first and last frame, and the height of the face."""
    table = pd.DataFrame(stays, columns=["start", "end", "height"])
    table = table.assign(track=range(len(stays)), till=till, status="ok", **columns)
    for column in ("start", "end"):
        table[column] = TEN + pd.to_timedelta(table[column], "s")
    return table


def receipts_at(*seconds, till="3"):
    ids = [chr(97 + number) for number in range(len(seconds))]
    return pd.DataFrame(
        {"receipt_id": ids, "till": till, "time": TEN + pd.to_timedelta(list(seconds), "s")}
    )


def buyers_of(tracks, receipts, **options):
    return match_tracks(tracks, receipts, **options).table


def test_a_receipt_belongs_to_who_stood_there_and_left_next():
    table = buyers_of(tracks_of((0, 60, 160), (90, 200, 160)), receipts_at(55, 190))
    assert table["track"].tolist() == [0, 1]
    assert table["seconds"].tolist() == [5, 10]
    assert table["outcome"].tolist() == ["matched", "matched"]


def test_who_waits_behind_is_counted_and_not_taken_for_the_buyer():
    tracks = tracks_of((0, 60, 160), (20, 130, 160), (30, 190, 160))
    table = buyers_of(tracks, receipts_at(55, 120, 185))
    assert table["track"].tolist() == [0, 1, 2]
    assert table["queue"].tolist() == [2, 1, 0]
    assert table["company"].tolist() == [0, 0, 0]


def test_people_leave_in_the_order_in_which_they_pay_though_one_packs_for_long():
    table = buyers_of(tracks_of((0, 65, 160), (30, 70, 160)), receipts_at(10, 62))
    assert table["track"].tolist() == [0, 1]


def test_of_two_in_company_the_nearest_for_longest_is_the_buyer():
    tracks = tracks_of((0, 60, 120), (1, 62, 170), (200, 300, 160))
    table = buyers_of(tracks, receipts_at(55))
    assert table["track"].tolist() == [1]
    assert table["company"].tolist() == [1]
    assert table["queue"].tolist() == [0]


def test_who_left_long_before_or_comes_later_is_not_the_buyer():
    table = buyers_of(tracks_of((0, 30, 160), (100, 150, 160)), receipts_at(60))
    assert table["outcome"].tolist() == ["nobody there"]
    assert table["track"].isna().all()
    assert table["row"].isna().all()


def test_every_receipt_has_a_row_and_counts_add_up():
    receipts = pd.concat([receipts_at(55, 500), receipts_at(55, till="9")], ignore_index=True)
    receipts["receipt_id"] = ["a", "b", "c"]
    receipts.loc[3] = ["d", "3", pd.NaT]
    matched = match_tracks(tracks_of((0, 60, 160), (0, 61, 160), (5, 8, 90)), receipts)
    assert matched.table["outcome"].tolist() == [
        "matched",
        "nobody there",
        "no such till",
        "no time",
    ]
    counts = matched.counts.groupby("of")["rows"].sum()
    assert counts.to_dict() == {"receipts": 4, "tracks": 3}
    assert "in company" in str(matched)


def test_rows_without_a_track_and_columns_of_other_tills_do_not_disturb():
    tracks = pd.concat([tracks_of((0, 60, 160)), tracks_of((0, 60, 160), till="4")])
    tracks.loc[len(tracks)] = {"status": "broken frames"}
    table = buyers_of(tracks, receipts_at(55))
    assert table["row"].tolist() == [0]


def test_a_camera_s_clock_that_is_ahead_is_set_right():
    tracks = tracks_of((300, 360, 160))
    assert buyers_of(tracks, receipts_at(55))["outcome"].tolist() == ["nobody there"]
    table = buyers_of(tracks, receipts_at(55), clock_offsets={"3": "5min"})
    assert table["track"].tolist() == [0]
    with pytest.raises(RetailDataError, match="where nobody was seen"):
        buyers_of(tracks, receipts_at(55), clock_offsets={"8": 3})


def test_seconds_without_a_day_and_zones_on_one_side_are_clear_errors():
    tracks = tracks_of((0, 60, 160))
    zoned = tracks.assign(
        start=tracks["start"].dt.tz_localize("UTC"), end=tracks["end"].dt.tz_localize("UTC")
    )
    with pytest.raises(RetailDataError, match="time zone"):
        match_tracks(zoned, receipts_at(55))
    with pytest.raises(RetailDataError, match="--began"):
        match_tracks(tracks.assign(start=1.0), receipts_at(55))
    with pytest.raises(RetailDataError, match="height"):
        match_tracks(tracks.drop(columns="height"), receipts_at(55))
    with pytest.raises(ValueError, match="tolerance"):
        match_tracks(tracks, receipts_at(55), tolerance=-1)


@pytest.mark.parametrize("name", ["visits.csv", "visits.parquet"])
def test_tables_are_read_from_files(tmp_path, name):
    tracks = tracks_of((0, 60, 160), (90, 200, 160))
    path = tmp_path / name
    tracks.to_csv(path, index=False) if name.endswith("csv") else tracks.to_parquet(path)
    assert buyers_of(path, receipts_at(55, 190))["track"].tolist() == [0, 1]


def test_buyers_have_the_ages_of_their_tracks():
    model = ageboost.load_pretrained("fast", camera="known")
    tracks = tracks_of(
        (0, 60, 160),
        (90, 200, 160),
        (290, 300, 160),
        age=[12.0, 50.0, np.nan],
        scale=[2.0, 4.0, np.nan],
        quality=[0.9, 0.1, np.nan],
        reliable=pd.array([True, False, None], "boolean"),
    )
    matched = match_tracks(tracks, receipts_at(55, 190, 299, 900))
    buyers = buyers_from_tracks(matched, model)
    assert buyers["status"].tolist() == ["ok", "unreliable", "no face", "no photo"]
    assert buyers["age"].tolist()[:2] == [12, 50]
    assert buyers["under_18"][0] > 0.9 > 0.1 > buyers["under_18"][1]
    assert buyers["under_18"].isna().tolist() == [False, False, True, True]
    assert buyers["photo"][0] == "track 0"
    assert buyers["faces"].tolist() == [1, 1, 1, 0]


def test_a_year_of_receipts_is_matched_in_seconds():
    rng = np.random.default_rng(0)
    ends = np.cumsum(rng.uniform(20, 120, 20_000))
    tracks = tracks_of(*zip(ends - 40, ends, np.full(len(ends), 150.0), strict=True))
    receipts = receipts_at(*(ends - 5))
    receipts["receipt_id"] = range(len(ends))
    table = buyers_of(tracks, receipts)
    assert (table["track"] == range(len(ends))).mean() > 0.99
