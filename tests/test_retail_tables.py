"""Reading a shop's tables, and matching photos to receipts: nothing is lost uncounted."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ageboost.errors import RetailDataError
from ageboost.retail import (
    describe_counts,
    match_photos,
    pseudonymize,
    read_shop,
    read_table,
)

NOON = pd.Timestamp("2025-03-01 12:00")


def receipts_every(seconds, n, till="1"):
    times = NOON + pd.to_timedelta(np.cumsum(np.broadcast_to(seconds, n)), unit="s")
    ids = [f"{till}-{row}" for row in range(n)]
    return pd.DataFrame({"receipt_id": ids, "time": times, "till": till})


def photos_of(receipts, seconds):
    return pd.DataFrame(
        {
            "photo": [f"{name}.jpg" for name in receipts["receipt_id"]],
            "time": receipts["time"] + pd.to_timedelta(seconds, unit="s"),
            "till": receipts["till"],
        }
    )


def rows(counts, of):
    part = counts[counts["of"] == of]
    return dict(zip(part["outcome"], part["rows"], strict=True))


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_file_reads_as_the_table_that_was_written(tmp_path, suffix):
    table = pd.DataFrame({"basket": ["007", "08"], "product": ["tea", "jam"], "quantity": [1, -2]})
    path = tmp_path / f"lines{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    read = read_table(path, "lines", {"basket": "receipt_id"})
    assert read["receipt_id"].tolist() == ["007", "08"]
    assert read["quantity"].tolist() == [1, -2]


def test_semicolons_and_decimal_commas_are_understood(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text("\ufeffreceipt_id;product;price\r\n1;Käse;2,49\r\n", "utf-8")
    assert read_table(path, "lines")["price"].tolist() == [2.49]


def test_numbers_and_texts_name_the_same_receipt():
    lines = pd.DataFrame({"receipt_id": ["7", "8"], "product": ["tea", "jam"]})
    shop = read_shop(pd.DataFrame({"receipt_id": [7.0, np.nan, 8.0]}).dropna(), lines)
    assert len(shop.lines) == 2


def test_an_unknown_column_is_named_with_those_that_are_there():
    with pytest.raises(RetailDataError, match=r"'receipt_id'.*read_table\(..., \"rec.*'basket'"):
        read_table(pd.DataFrame({"basket": [1]}), "receipts")
    wide = pd.DataFrame([range(40)], columns=[f"column {number}" for number in range(40)])
    with pytest.raises(RetailDataError, match=r"pass read_shop\(\.\.\., columns=\{") as caught:
        read_shop(wide)
    assert "read_table" not in str(caught.value)
    assert all(repr(name) in str(caught.value) for name in wide)
    with pytest.raises(RetailDataError, match="'column 39' and 1 more"):
        read_shop(wide.assign(another=1))
    with pytest.raises(RetailDataError, match=r"'bsket'.*does not have.*'basket'"):
        read_table(pd.DataFrame({"basket": [1]}), "receipts", {"bsket": "receipt_id"})
    with pytest.raises(RetailDataError, match="do not have"):
        read_table(pd.DataFrame({"basket": [1]}), "receipts", {"basket": "receipt"})


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("time", "25:99", "time cannot be read"),
        ("quantity", "two", "quantity is not a number"),
        ("price", "inf", "price is not a number"),
        ("id_checked", "perhaps", "neither yes nor no"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_by_its_row(column, value, said):
    kind = "receipts" if column in ("time", "id_checked") else "lines"
    good = {"time": "2025-01-01 10:00", "id_checked": "yes"}.get(column, "1")
    table = pd.DataFrame({"receipt_id": ["a", "b"], "product": "tea", column: [good, value]})
    with pytest.raises(RetailDataError, match=f"(?s)1 of 2 rows.*{said}.*row 1: '{value}'"):
        read_table(table, kind)


def test_times_that_start_with_the_day_are_read_as_such():
    table = pd.DataFrame({"receipt_id": [1, 2], "time": ["03/04/2025 10:00", "25/04/2025 10:00"]})
    assert read_table(table, "receipts")["time"].dt.month.tolist() == [4, 4]


def test_an_empty_file_says_so_and_an_empty_table_is_fine(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(RetailDataError, match="is empty"):
        read_table(tmp_path / "empty.csv", "lines")
    (tmp_path / "header.csv").write_text("receipt_id,product,quantity\n")
    assert read_table(tmp_path / "header.csv", "lines").empty


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("lines.parquet", b"receipt_id,product", "is not a Parquet file"),
        ("lines.csv", "receipt_id;product\n1;Käse".encode("latin-1"), "save it as CSV in UTF-8"),
        ("lines.csv.gz", b"receipt_id,product", "is not a CSV file"),
        ("lines.csv", b"receipt_id,product\n1,tea\n2,jam,butter,eggs", "do not match its header"),
        ("lines.csv", b'receipt_id,product\n1,"tea\n2,jam', "never closed"),
        ("lines.csv", b"PK\x03\x04\x14", 'is a spreadsheet: save it as "CSV UTF-8"'),
        ("lines.json", b'{"receipt_id": 1}', "holds no table"),
    ],
)
def test_a_file_that_holds_no_table_is_refused_by_its_name(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RetailDataError, match=f"{name}.*{said}"):
        read_table(tmp_path / name, "lines")
    with pytest.raises(RetailDataError, match=f"{name}.*{said}"):
        read_shop(receipts_every(60, 2), tmp_path / name, columns={"till": "till"})


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lines\.csv.*CSV, Parquet or JSON"):
        read_table(tmp_path / "lines.csv", "lines")


def test_times_that_are_numbers_are_refused_since_nobody_knows_what_they_count():
    receipts = receipts_every(60, 2).assign(time=[45_000.5, 45_000.6])
    with pytest.raises(RetailDataError, match=r"number \(45000\.5\).*pass times"):
        read_table(receipts, "receipts")


def test_a_column_that_takes_the_name_of_another_stands_in_its_place():
    lines = pd.DataFrame({"receipt_id": ["x"], "basket": ["a"], "product": ["tea"]})
    assert read_table(lines, "lines", {"basket": "receipt_id"})["receipt_id"].tolist() == ["a"]
    with pytest.raises(RetailDataError, match="more than one column 'product'"):
        read_table(lines.rename(columns={"basket": " product"}), "lines")


def test_a_column_that_no_table_of_a_shop_has_is_named():
    lines = pd.DataFrame({"receipt_id": ["1-0"], "product": ["tea"]})
    with pytest.raises(RetailDataError, match="unknown column 'bsket': no table has it"):
        read_shop(receipts_every(60, 1), lines, columns={"bsket": "receipt_id"})


def test_receipts_that_share_a_number_but_differ_are_refused():
    receipts = pd.DataFrame({"receipt_id": ["a", "a"], "till": ["1", "2"]})
    lines = pd.DataFrame({"receipt_id": ["a"], "product": ["tea"]})
    with pytest.raises(RetailDataError, match="different receipts"):
        read_shop(receipts, lines)


@given(
    sales=st.lists(st.sampled_from("abcd"), max_size=12),
    bought=st.lists(st.sampled_from(["a", "b", "z", None]), max_size=12),
)
@settings(max_examples=30, deadline=None)
def test_counts_of_a_shop_add_up_to_its_tables(sales, bought):
    receipts = pd.DataFrame({"receipt_id": sales}, dtype="object")
    lines = pd.DataFrame({"receipt_id": bought, "product": "tea"}, dtype="object")
    if sales and bought and not set(sales) & set(bought):
        with pytest.raises(RetailDataError, match=r"none of .* lines"):
            read_shop(receipts, lines)
        return
    shop = read_shop(receipts, lines)
    assert sum(rows(shop.counts, "rows of receipts").values()) == len(sales)
    assert sum(rows(shop.counts, "rows of lines").values()) == len(bought)
    assert len(shop.receipts) == len(set(sales))


def test_a_photo_belongs_to_the_nearest_receipt_of_its_till():
    receipts = pd.concat([receipts_every(100, 3, "1"), receipts_every(100, 3, "2")])
    matched = match_photos(photos_of(receipts, -8), receipts)
    assert matched.table["receipt_id"].tolist() == receipts["receipt_id"].tolist()
    assert set(matched.table["seconds"]) == {-8.0}


def test_of_two_photos_of_one_receipt_the_nearer_is_taken_and_the_other_counted():
    receipts = receipts_every(100, 1)
    photos = pd.concat([photos_of(receipts, -20), photos_of(receipts, 5)])
    matched = match_photos(photos, receipts)
    assert matched.table["outcome"].tolist() == ["another photo is nearer", "matched"]


def test_photos_that_name_their_receipts_need_no_time():
    photos = pd.DataFrame({"photo": ["1", "2", "3", "4"], "receipt_id": ["a", "a", "z", None]})
    matched = match_photos(photos, pd.DataFrame({"receipt_id": ["a", "b"]}))
    assert rows(matched.counts, "photos")["no such receipt"] == 2
    assert rows(matched.counts, "photos")["another photo is nearer"] == 1
    assert rows(matched.counts, "receipts") == {"with a photo": 1, "without a photo": 1}


@given(
    sold=st.lists(st.tuples(st.integers(0, 900), st.sampled_from("12")), max_size=15),
    taken=st.lists(
        st.tuples(st.one_of(st.none(), st.integers(0, 900)), st.sampled_from("123")), max_size=15
    ),
    tolerance=st.integers(0, 100),
)
@settings(max_examples=25, deadline=None)
def test_matches_are_one_to_one_nearest_and_counted(sold, taken, tolerance):
    receipts = pd.DataFrame(
        {
            "receipt_id": [str(row) for row in range(len(sold))],
            "time": pd.to_datetime([NOON + pd.Timedelta(s, "s") for s, _ in sold]),
            "till": pd.Series([till for _, till in sold], dtype="str"),
        }
    )
    photos = pd.DataFrame(
        {
            "photo": pd.Series([f"{row}.jpg" for row in range(len(taken))], dtype="str"),
            "time": pd.to_datetime(
                [pd.NaT if s is None else NOON + pd.Timedelta(s, "s") for s, _ in taken]
            ),
            "till": pd.Series([till for _, till in taken], dtype="str"),
        }
    )
    joins = any(
        t == till and second is not None and abs(second - s) <= tolerance
        for second, till in taken
        for s, t in sold
    )
    if sold and taken and not joins:
        with pytest.raises(RetailDataError, match="photos belong to"):
            match_photos(photos, receipts, tolerance)
        return
    matched = match_photos(photos, receipts, tolerance)
    assert rows(matched.counts, "photos").keys() >= {"matched"}
    assert sum(rows(matched.counts, "photos").values()) == len(photos)
    assert sum(rows(matched.counts, "receipts").values()) == len(receipts)
    ids = matched.table["receipt_id"].dropna()
    assert ids.is_unique
    assert (matched.table["outcome"] == "matched").sum() == len(ids)
    for (second, till), row in zip(taken, matched.table.itertuples(), strict=True):
        away = [abs(second - s) for s, t in sold if t == till] if second is not None else []
        near = bool(away) and min(away) <= tolerance
        assert (row.outcome in ("matched", "another photo is nearer")) == near
        if near:
            assert abs(row.seconds) == min(away)


def test_a_clock_that_is_minutes_off_is_found_and_can_be_set_right():
    rng = np.random.default_rng(0)
    receipts = pd.concat(
        [receipts_every(rng.integers(60, 600, 300), 300, till) for till in ("1", "2", "3")]
    )
    photos = photos_of(receipts, rng.integers(-12, 0, 900))
    photos.loc[photos["till"] == "2", "time"] += pd.Timedelta("250s")
    first = match_photos(photos, receipts)
    assert first.clocks.set_index("till")["off"].to_dict() == {"1": False, "2": True, "3": False}
    assert first.clock_offsets["2"] == pytest.approx(244, abs=6)
    assert "till 2" in str(first)
    second = match_photos(photos, receipts, clock_offsets=first.clock_offsets)
    assert not second.clocks["off"].any()
    assert second.clock_offsets == first.clock_offsets
    assert rows(second.counts, "photos")["matched"] > 890


def test_clock_offsets_of_an_unknown_till_are_refused():
    receipts = receipts_every(100, 3)
    with pytest.raises(RetailDataError, match="'9'"):
        match_photos(photos_of(receipts, 0), receipts, clock_offsets={"9": "4min"})


def test_receipts_that_are_there_twice_are_refused_where_photos_are_matched():
    receipts = receipts_every(100, 2).assign(receipt_id="a")
    with pytest.raises(RetailDataError, match="there already, such as 'a'"):
        match_photos(photos_of(receipts, 0), receipts)


def test_times_with_and_without_a_zone_are_not_mixed():
    receipts = receipts_every(100, 2)
    photos = photos_of(receipts, 0)
    photos["time"] = photos["time"].dt.tz_localize("UTC")
    with pytest.raises(RetailDataError, match="photos have a time zone"):
        match_photos(photos, receipts)


def test_nothing_to_match_is_counted_as_nothing():
    receipts = receipts_every(100, 2)
    matched = match_photos(photos_of(receipts, 0).iloc[:0], receipts)
    assert describe_counts(matched.counts).startswith("0 photos")
    assert match_photos(photos_of(receipts, 0), receipts.iloc[:0]).table["receipt_id"].isna().all()


def test_pseudonyms_join_tables_and_change_with_the_key():
    names, key = ["a", "b", "a", 7, "7"], b"k" * 16
    first = pseudonymize(names, key)
    assert first[0] == first[2] != first[1]
    assert first[3] == first[4]
    assert not set(first) & set(pseudonymize(names, b"l" * 16))
    with pytest.raises(ValueError, match="16 bytes"):
        pseudonymize(names, b"short")


@pytest.mark.parametrize("tolerance", ["-5s", "soon", np.nan])
def test_a_tolerance_that_is_no_time_of_0_or_more_is_refused(tolerance):
    receipts = receipts_every(60, 2)
    with pytest.raises(ValueError, match="tolerance="):
        match_photos(photos_of(receipts, 5), receipts, tolerance)


def test_clocks_have_no_say_where_photos_name_their_receipts():
    receipts = receipts_every(60, 2)
    photos = photos_of(receipts, 5).assign(receipt_id=receipts["receipt_id"])
    with pytest.raises(ValueError, match="name their receipts"):
        match_photos(photos, receipts, clock_offsets={"1": 30})


def test_photos_need_a_store_only_where_there_are_several():
    one = receipts_every(60, 2).assign(store="S")
    assert match_photos(photos_of(one, 5), one).table["receipt_id"].notna().all()
    two = pd.concat([one, receipts_every(60, 2, till="2").assign(store="T")])
    with pytest.raises(RetailDataError, match="no column 'store' in the table of photos"):
        match_photos(photos_of(one, 5), two)
    with pytest.raises(RetailDataError, match="no column 'store' in the table of receipts"):
        match_photos(photos_of(two, 5).assign(store=two["store"]), two.drop(columns="store"))


def test_a_parquet_file_without_pyarrow_says_how_to_get_it(tmp_path, monkeypatch):
    pd.DataFrame({"receipt_id": [1], "product": [2]}).to_parquet(tmp_path / "lines.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "ageboost\[parquet\]"'):
        read_table(tmp_path / "lines.parquet", "lines")
