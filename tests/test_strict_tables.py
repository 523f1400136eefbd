"""Tables from tills and spreadsheets: read right or refused, never guessed."""

import datetime
import io
import json
import pickle
import re
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ageboost import LabelsError, TableError
from ageboost.datasets import read_csv, read_labels
from ageboost.errors import RetailDataError
from ageboost.retail import match_photos, pseudonymize, read_shop, read_table


def write(folder, text, name="lines.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def texts(table):
    return pd.read_csv(io.StringIO(table), dtype=str)


def receipts_at(*times, **columns):
    ids = [f"r{row}" for row in range(len(times))]
    return pd.DataFrame({"receipt_id": ids, "time": times, "till": "1"} | columns)


def read_times(*times, day_first=None):
    return read_table(receipts_at(*times), "receipts", day_first=day_first)["time"].tolist()


# Times


def test_a_time_is_joined_with_the_date_that_stands_apart_from_it():
    receipts = texts("receipt_id,Date,Time,till\na,2025-11-24,10:06:00,1\nb,2025-11-25,10:00,1\n")
    photos = texts("photo,date,time,till\n1.jpg,2025-11-24,10:06:05,1\n2.jpg,2025-11-25,10:06,1\n")
    matched = match_photos(photos, receipts)
    assert matched.table["receipt_id"].tolist()[0] == "a"
    assert matched.table["outcome"].tolist() == ["matched", "no receipt near"]


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("25.11.2025", "10:06:00"),
        ("25.11.2025 00:00:00", "30.12.1899 10:06:00"),
        ("2025-11-25", "1899-12-30 10:06:00"),
        ("2025-11-25T00:00:00", "10:06 AM"),
        (datetime.date(2025, 11, 25), datetime.time(10, 6)),
        (pd.Timestamp("2025-11-25"), pd.Timestamp("1899-12-30 10:06")),
        (pd.Timestamp("2025-11-25"), pd.Timedelta(hours=10, minutes=6)),
    ],
)
def test_dates_and_times_of_spreadsheets_and_databases_are_joined(date, time):
    table = pd.DataFrame({"receipt_id": ["a"], "date": [date], "time": [time]})
    assert read_table(table, "receipts")["time"].tolist() == [pd.Timestamp("2025-11-25 10:06")]


def test_a_time_without_a_date_is_refused_with_the_way_out():
    with pytest.raises(RetailDataError, match=r"have no date, such as '10:06:00'.*\"date\""):
        read_times("2025-11-25 10:00", "10:06:00")


@pytest.mark.parametrize("time", ["1899-12-30 10:06:00", "01/01/1970 10:06"])
def test_a_date_that_a_program_made_up_is_refused(time):
    with pytest.raises(RetailDataError, match="a time without a date"):
        read_times(time)


def test_dots_mean_that_the_day_comes_first():
    receipts = receipts_at(*[f"{day:02d}.04.2025 10:00:00" for day in range(1, 13)])
    times = [f"{day:02d}.04.2025 10:00:05" for day in range(1, 31)]
    photos = pd.DataFrame({"photo": times, "time": times, "till": "1"})
    assert read_table(receipts, "receipts")["time"].dt.month.unique().tolist() == [4]
    matched = match_photos(photos, receipts)
    assert matched.table["receipt_id"].tolist()[:12] == receipts["receipt_id"].tolist()


@pytest.mark.parametrize("time", ["03/04/2025 10:00", "03-04-2025 10:00", "3.4.25 10:00"])
def test_an_order_that_nothing_settles_is_asked_for(time):
    with pytest.raises(RetailDataError, match="day_first=True or day_first=False") as caught:
        read_times(time)
    assert "--day-first or --month-first" in caught.value.for_command
    assert read_times(time, day_first=True) == [pd.Timestamp("2025-04-03 10:00")]
    assert read_times(time, day_first=False) == [pd.Timestamp("2025-03-04 10:00")]


def test_dates_that_read_alike_in_both_orders_ask_for_none():
    assert read_times("04/04/2025 10:00", "2025-11-25 10:00")[0] == pd.Timestamp("2025-04-04 10:00")


def test_one_date_settles_the_order_for_all_tables_of_a_shop():
    receipts = receipts_at("03/04/2025 10:00", "04/04/2025 10:00")
    lines = pd.DataFrame({"receipt_id": ["r0", "r1"], "product": "tea"})
    photos = pd.DataFrame({"photo": "1.jpg", "till": "1", "time": ["25-04-2025 10:00"]})
    shop = read_shop(receipts, lines, photos)
    assert shop.receipts["time"].dt.month.tolist() == [4, 4]
    with pytest.raises(RetailDataError, match="day_first="):
        read_shop(receipts, lines, photos.assign(time="04-03-2025 10:00"))
    assert read_shop(receipts, lines, day_first=False).receipts["time"].dt.month[0] == 3


def test_one_date_settles_the_order_where_photos_are_matched():
    photos = pd.DataFrame({"photo": ["1.jpg"], "time": ["03/04/2025 10:00:05"], "till": "1"})
    receipts = receipts_at("03/04/2025 10:00", "25/04/2025 10:00")
    assert match_photos(photos, receipts).table["receipt_id"].tolist() == ["r0"]


def test_tables_whose_dates_contradict_each_other_are_refused():
    lines = pd.DataFrame({"receipt_id": ["r0"], "product": "tea"})
    photos = pd.DataFrame({"photo": ["1.jpg"], "time": ["04/25/2025 10:00"]})
    with pytest.raises(RetailDataError, match=r"contradict.*25/04.*receipts.*04/25.*photos"):
        read_shop(receipts_at("25/04/2025 10:00"), lines, photos)


def test_offsets_may_be_written_in_any_way_but_all_rows_need_one():
    at_ten = [pd.Timestamp("2025-11-25 09:00", tz="UTC")] * 4
    assert at_ten == read_times(
        *("2025-11-25 10:00+01", "2025-11-25 10:00+01:00", "2025-11-25T10:00:00+0100"),
        "2025-11-25 09:00Z",
    )
    with pytest.raises(RetailDataError, match=r"only some times have a time zone: '.*\+01'"):
        read_times("2025-11-25 10:00+01", "2025-11-25 10:00")
    mixed = [pd.Timestamp("2025-11-25 10:00", tz="UTC"), pd.Timestamp("2025-11-25 10:00")]
    with pytest.raises(RetailDataError, match="only some times have a time zone"):
        read_times(*mixed)


@pytest.mark.parametrize("time", ["2025-11", "2025", "Tuesday", "2025-13-01 10:00", "45000.5"])
def test_what_is_no_date_with_a_day_is_refused(time):
    with pytest.raises(RetailDataError, match="time cannot be read"):
        read_times("2025-11-25 10:00", time)


orders = {
    "%d/%m/%Y %H:%M:%S": True, "%m/%d/%Y %I:%M:%S %p": False, "%d.%m.%Y %H:%M:%S": True,
    "%Y-%m-%dT%H:%M:%S": None, "%Y/%m/%d %H:%M:%S": None, "%d-%m-%Y %H:%M:%S": True,
    "%d %b %Y %H:%M:%S": None, "%Y%m%dT%H%M%S": None,
}  # fmt: skip


@given(
    times=st.lists(
        st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2099, 1, 1)), min_size=1
    ),
    form=st.sampled_from([*orders]),
)
@settings(max_examples=40, deadline=None)
def test_times_are_read_as_they_were_written_or_asked_about(times, form):
    times = [time.replace(microsecond=0) for time in times]
    written = [time.strftime(form) for time in times]
    assert read_times(*written, day_first=orders[form]) == times
    plain = orders[form] is None or "." in form or any(time.day > 12 for time in times)
    if plain or all(time.day == time.month for time in times):
        assert read_times(*written) == times
    else:
        with pytest.raises(RetailDataError, match="day_first="):
            read_times(*written)


# Separators, headers, encodings


def test_a_separator_at_the_end_of_each_row_moves_no_cell(tmp_path):
    path = write(tmp_path, "receipt_id,product,price\n1,tea,3.50,\n2,jam,2.00,\n")
    assert read_table(path, "lines")["receipt_id"].tolist() == ["1", "2"]
    ended = write(tmp_path, "receipt_id,product,price,\n1,tea,3.50,\n2,jam,2.00,\n")
    assert read_table(ended, "lines").columns.tolist()[:3] == ["receipt_id", "product", "price"]


@pytest.mark.parametrize(
    ("row", "cells"), [("1,tea, green,3", 4), ("1,tea", 2), ("1,tea,3,", 4), ("1,tea,3,,,", 6)]
)
def test_a_row_with_another_number_of_cells_is_named(tmp_path, row, cells):
    path = write(tmp_path, f"receipt_id,product,price\n2,jam,2\n{row}\n3,tea,1\n")
    with pytest.raises(
        RetailDataError, match=f"(?s)1 of 3 rows.*line 3: {cells} cells under 3 column names"
    ):
        read_table(path, "lines")


@pytest.mark.parametrize("nails", ['"5"" nails"', '5" nails'], ids=["plain", "odd quotes"])
def test_lines_are_counted_as_an_editor_counts_them(tmp_path, nails):
    above = 'sep=,\n\nreceipt_id,product,price\n1,"tea\r\ngreen\n",2\r\n\n,,\n'
    path = write(tmp_path, f"{above}2,{nails},3\n3,jam,two\n")
    n_lines = len(path.read_bytes().splitlines())
    with pytest.raises(RetailDataError, match=f"  line {n_lines}: 'two'"):
        read_table(path, "lines")


def test_rows_of_files_without_lines_are_counted_from_1(tmp_path):
    path = tmp_path / "lines.json"
    rows = [{"receipt_id": "1", "product": "tea", "price": price} for price in ("2", "two")]
    path.write_text(json.dumps(rows))
    with pytest.raises(RetailDataError, match=r"row 2 \(counted from 1\): 'two'"):
        read_table(path, "lines")


def test_labels_in_a_quoted_cell_of_two_lines_move_the_next_ones_down(tmp_path):
    (tmp_path / "a.jpg").touch()
    path = write(tmp_path, 'photo,age,note\na.jpg,3,"two\nlines"\na.jpg,,\n')
    with pytest.raises(LabelsError, match=r"line 4: .*a\.jpg': no age is given") as caught:
        read_csv(path)
    assert caught.value.places == ["line 4"]
    assert [row for row, _ in caught.value.problems] == [1]
    assert pickle.loads(pickle.dumps(caught.value)).places == ["line 4"]


def test_rows_that_all_have_a_filled_cell_too_many_are_refused(tmp_path):
    path = write(tmp_path, "receipt_id,product\n0,1,tea\n1,2,jam\n")
    with pytest.raises(RetailDataError, match="2 of 2 rows"):
        read_table(path, "lines")


def test_labels_with_a_separator_too_many_are_read_or_named(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert len(read_csv(write(tmp_path, "photo,age\na.jpg,3,\na.jpg,4,\n"))) == 2
    with pytest.raises(LabelsError, match="line 3: 3 cells under 2 column names"):
        read_csv(write(tmp_path, "photo,age\na.jpg,3\na.jpg,4,5\n"))


def test_cells_may_hold_separators_quotes_and_line_ends(tmp_path):
    products = ['tea, "green"', "jam\nof plums", '5" nails', " x ", "a;b"]
    table = pd.DataFrame({"receipt_id": range(5), "product": products})
    for separator in ",;\t|":
        path = tmp_path / "lines.csv"
        table.to_csv(path, index=False, sep=separator)
        read = read_table(path, "lines")["product"]
        assert read.tolist() == [name.strip() for name in products]
    inner = write(tmp_path, 'receipt_id,product\n1,5" nails\n2,7" screws\n')
    assert read_table(inner, "lines")["product"].tolist() == ['5" nails', '7" screws']


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_umlauts_are_read_in_the_encoding_that_is_there_or_named(tmp_path, encoding):
    path = write(tmp_path, "receipt_id;product\n1;Käse\n", encoding=encoding)
    if encoding == "cp1252":
        with pytest.raises(RetailDataError, match='encoding="cp1252"') as caught:
            read_table(path, "lines")
        assert "--encoding cp1252" in caught.value.for_command
    read = read_table(path, "lines", encoding="cp1252" if encoding == "cp1252" else None)
    assert read["product"].tolist() == ["Käse"]


def test_a_spreadsheets_line_about_separators_is_no_header(tmp_path):
    path = write(tmp_path, "sep=;\r\nReceipt ID;PRODUCT\r\n1;tea, green\r\n;\r\n\r\n")
    assert read_table(path, "lines").to_dict("list") == {
        "receipt_id": ["1"],
        "product": ["tea, green"],
    }


def test_a_header_may_be_in_any_case():
    lines = pd.DataFrame({"Receipt-ID": ["a"], "PRODUCT": ["tea"], "Quantity": [-1]})
    assert read_table(lines, "lines")["quantity"].tolist() == [-1.0]
    with pytest.raises(RetailDataError, match="more than one column 'quantity'"):
        read_table(lines.assign(quantity=1), "lines")


@pytest.mark.parametrize("name", ["quantitiy", "qty", "Quantitty"])
def test_a_column_that_is_nearly_a_known_one_is_named(name):
    lines = pd.DataFrame({"receipt_id": ["a"], "product": ["tea"], name: [-1]})
    with pytest.warns(UserWarning, match=f"'{name}' of the table of lines is not read.*'quantity'"):
        read_table(lines, "lines")


def test_a_needed_column_is_looked_for_among_near_names():
    with pytest.raises(RetailDataError, match=r"'Receipt No' may be 'receipt_id'.*columns=") as one:
        read_table(pd.DataFrame({"Receipt No": ["a"], "product": ["tea"]}), "lines")
    assert '--column "Receipt No=receipt_id"' in one.value.for_command
    with pytest.raises(ValueError, match="'Ages' may be it"):
        read_labels_of({"photo": ["a.jpg"], "Ages": [3]})


def test_columns_that_mean_nothing_may_be_there_twice_or_have_no_name(tmp_path):
    path = write(tmp_path, ",receipt_id,product,note,note\n0,a,tea,x,y\n")
    read = read_table(path, "lines")
    assert read.to_dict("records") == [
        {"receipt_id": "a", "product": "tea", "note": "x", "note.1": "y"}
    ]


def test_columns_of_ones_own_warn_nobody():
    lines = pd.DataFrame({"receipt_id": ["a"], "product": ["tea"], "product_id": [1], "vat": [7]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_table(lines.assign(quantity=1, price=2, category="x"), "lines")


def read_labels_of(columns):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.jpg").touch()
        pd.DataFrame(columns).to_csv(Path(folder, "labels.csv"), index=False)
        return read_labels(Path(folder, "labels.csv"))


# Numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("receipt_id;product;price\n1;tv;1.234\n2;tea;3,50\n", [1234, 3.5]),
        ("receipt_id\tproduct\tprice\n1\ttv\t1,234\n2\ttea\t0.05\n", [1234, 0.05]),
        ("receipt_id;product;price\n1;tv;1.234,50\n2;car;1.234.567\n", [1234.5, 1234567]),
        ('receipt_id,product,price\n1,tv,"1,234.50"\n2,tea,-3\n', [1234.5, -3]),
        ("receipt_id;product;price\n1;tv;1 234,50\n2;tea;1\u00a0234\n", [1234.5, 1234]),
        ("receipt_id;product;price\n1;tv;1'234.50\n2;tea;\u22121e3\n", [1234.5, -1000]),
        ("receipt_id,product,price\n1,tea,0.125\n2,tea,NA\n", [0.125, np.nan]),
    ],
)
def test_a_table_says_itself_what_its_dots_and_commas_mean(tmp_path, text, numbers):
    read = read_table(write(tmp_path, text), "lines")["price"]
    np.testing.assert_array_equal(read, numbers)


def test_a_number_of_one_column_settles_those_of_another(tmp_path):
    path = write(tmp_path, "receipt_id\tproduct\tquantity\tprice\n1\tscrews\t1,200\t0.05\n")
    assert read_table(path, "lines")["quantity"].tolist() == [1200]


def test_a_number_that_reads_both_ways_is_asked_about(tmp_path):
    path = write(tmp_path, "receipt_id;product;price\n1;tv;1.234\n2;tea;2\n")
    with pytest.raises(
        RetailDataError, match=r"reads both ways, '1\.234' in line 2 .*decimal="
    ) as e:
        read_table(path, "lines")
    assert '"--decimal ,"' in e.value.for_command
    assert read_table(path, "lines", decimal=",")["price"].tolist() == [1234, 2]
    assert read_table(path, "lines", decimal=".")["price"].tolist() == [1.234, 2]


def test_numbers_that_contradict_each_other_are_refused(tmp_path):
    path = write(tmp_path, "receipt_id;product;price\n1;tv;3.5\n2;tea;2,5\n")
    with pytest.raises(RetailDataError, match=r"contradict.*'3\.5' in line 2 .*'2,5' in line 3 "):
        read_table(path, "lines")


@given(
    numbers=st.lists(
        st.decimals(-99999, 9999999, places=2, allow_nan=False), min_size=1, max_size=8
    ),
    marks=st.sampled_from([".,", ",.", ". ", ", ", ".'", ".", ","]),
)
@settings(max_examples=60, deadline=None)
def test_numbers_are_read_as_they_were_written(numbers, marks):
    def spell(number):
        text = f"{number:,.2f}" if len(marks) > 1 else f"{number:.2f}"
        return text.replace(",", "T").replace(".", marks[0]).replace("T", marks[-1])

    lines = pd.DataFrame({"receipt_id": "a", "product": "tea", "price": list(map(spell, numbers))})
    assert read_table(lines, "lines")["price"].tolist() == [float(number) for number in numbers]


# Names


def test_a_name_may_be_any_word_that_programs_use_for_nothing(tmp_path):
    names = ["NA", "None", "nan", "NULL", "N/A"]
    path = write(
        tmp_path,
        "receipt_id,product,store,cashier\n" + "".join(f"{n},{n},{n},{n}\n" for n in names),
    )
    read = read_table(path, "receipts")
    for column in ("receipt_id", "store", "cashier"):
        assert read[column].tolist() == names
    shop = read_shop(path)
    assert shop.lines["product"].tolist() == names
    (tmp_path / "a.jpg").touch()
    labels = write(tmp_path, "photo,age,subject\na.jpg,3,NA\na.jpg,4,\n", "labels.csv")
    assert read_csv(labels)["subject"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "ids", [["1001.0", "1002.0"], [1001.0, 1002.0], ["1001,0", "1002,0"], ["1001.00", None]]
)
def test_whole_numbers_with_a_decimal_point_name_the_same_receipt(ids):
    lines = pd.DataFrame({"receipt_id": ids, "product": "tea"})
    shop = read_shop(pd.DataFrame({"receipt_id": [1001, 1002]}), lines)
    assert shop.lines["receipt_id"].tolist() == ["1001", "1002"][: len(shop.lines)]
    assert len(shop.lines)


def test_floats_among_other_objects_name_the_same_receipt():
    mixed = pd.DataFrame({"receipt_id": pd.Series([7.0, "x", 8], dtype=object)})
    assert read_table(mixed, "receipts")["receipt_id"].tolist() == ["7", "x", "8"]
    assert pseudonymize([7.0], b"k" * 16) == pseudonymize(["7"], b"k" * 16)


def test_versions_beside_other_names_keep_their_points():
    mixed = pd.DataFrame({"receipt_id": ["1.0", "1.1"]})
    assert read_table(mixed, "receipts")["receipt_id"].tolist() == ["1.0", "1.1"]


def test_long_numbers_that_a_spreadsheet_has_rounded_are_refused():
    with pytest.raises(RetailDataError, match="rounded by a spreadsheet; export it as text"):
        read_table(pd.DataFrame({"receipt_id": ["1,23457E+12", "1,23457E+12"]}), "receipts")


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        ("{:06d}", "without zeros in front they would join"),
        ("S1-{}", "without what stands before the last number"),
        ("x{}", "without what stands before the last number"),
        ("{}99999", "check that both are of the same days"),
    ],
)
def test_tables_that_do_not_join_are_refused_with_the_reason(theirs, reason):
    receipts = pd.DataFrame({"receipt_id": range(1001, 1101)})
    ids = [theirs.format(number) for number in range(1001, 1101)]
    with pytest.raises(RetailDataError, match=f"none of 100 lines belong to.*'1001'.*{reason}"):
        read_shop(receipts, pd.DataFrame({"receipt_id": ids, "product": "tea"}))
    with pytest.raises(RetailDataError, match=f"none of 100 photos belong to.*{reason}"):
        match_photos(pd.DataFrame({"photo": "1.jpg", "receipt_id": ids}), receipts)


def test_a_few_rows_that_join_by_chance_are_no_result():
    ids = pd.Series(range(1000)).astype("str")
    receipts = pd.DataFrame({"receipt_id": ids})
    lines = pd.DataFrame({"receipt_id": ("x" + ids).where(ids.index > 2, ids), "product": "tea"})
    with pytest.raises(RetailDataError, match="only 3 of 1,000 lines"):
        read_shop(receipts, lines)


def test_a_table_may_cover_far_more_days_than_the_other():
    ids = pd.Series(range(10_000)).astype("str")
    lines = pd.DataFrame({"receipt_id": ids, "product": "tea"})
    assert len(read_shop(pd.DataFrame({"receipt_id": ids[:5]}), lines).lines) == 5


def test_tills_that_are_called_otherwise_are_named():
    receipts = receipts_at("2025-11-25 10:00").assign(till="01")
    photos = pd.DataFrame({"photo": ["1.jpg"], "time": ["2025-11-25 10:00"], "till": [1]})
    with pytest.raises(RetailDataError, match="till looks like '1' in photos, and '01' in rec"):
        match_photos(photos, receipts)


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2025-12-24 10:00", "Photos were taken from 2025-12-24"),
        ("2025-11-25", "times of photos are dates without a time of day"),
        (None, "no time of photos is known"),
    ],
)
def test_photos_that_match_no_receipt_are_refused_with_the_reason(time, said):
    receipts = receipts_at("2025-11-25 10:00", "2025-11-25 10:05")
    photos = pd.DataFrame({"photo": ["1.jpg", "2.jpg"], "time": time, "till": "1"})
    with pytest.raises(RetailDataError, match=f"0 of 2 photos belong.*{said}"):
        match_photos(photos, receipts)


# Clocks


def till_and_camera(zone_of_camera, start, end, n=900, seed=0):
    rng = np.random.default_rng(seed)
    local = pd.date_range(start, end, freq="1min")
    local = local[(local.hour >= 8) & (local.hour < 20)]
    local = local[np.sort(rng.choice(len(local), n, replace=False))]
    local = local + pd.to_timedelta(rng.integers(0, 50, n), unit="s")
    camera = local.tz_localize("Europe/Berlin").tz_convert(zone_of_camera).tz_localize(None)
    ids = pd.Series(range(n)).astype("str")
    taken = camera + pd.to_timedelta(rng.integers(0, 9, n), unit="s")
    return (
        pd.DataFrame({"photo": ids + ".jpg", "time": taken, "till": "1"}),
        pd.DataFrame({"receipt_id": ids, "time": local, "till": "1"}),
    )


@pytest.mark.parametrize(
    ("start", "end", "changes", "offsets"),
    [
        ("2025-10-20", "2025-11-01", "2025-10-26", [-7200, -3600]),
        ("2025-03-20", "2025-04-10", "2025-03-30", [-3600, -7200]),
    ],
)
def test_the_periods_of_summer_time_are_found_and_set_right(start, end, changes, offsets):
    photos, receipts = till_and_camera("UTC", start, end)
    first = match_photos(photos, receipts)
    assert "is not off by the same throughout" in str(first)
    found = first.clock_offsets["1"]
    assert list(found.values()) == pytest.approx(offsets, abs=8)
    assert changes in [*found][1] or pd.Timestamp([*found][1]) - pd.Timestamp(changes) < (
        pd.Timedelta("1D")
    )
    second = match_photos(photos, receipts, clock_offsets=first.clock_offsets)
    right = second.table["receipt_id"] == receipts["receipt_id"]
    assert (second.table["outcome"] == "matched").mean() > 0.98
    assert right[second.table["outcome"] == "matched"].mean() > 0.98
    assert not second.clocks["off"].any()
    assert second.clock_offsets == first.clock_offsets


def test_a_clock_that_is_set_back_and_forth_has_three_periods():
    photos, receipts = till_and_camera("Europe/Berlin", "2025-05-01", "2025-05-20")
    days = photos["time"].dt.day
    photos["time"] += pd.to_timedelta(((days > 6) & (days < 13)) * 300, unit="s")
    first = match_photos(photos, receipts)
    assert first.clocks["off"].tolist() == [False, True, False]
    second = match_photos(photos, receipts, clock_offsets=first.clock_offsets)
    assert (second.table["receipt_id"] == receipts["receipt_id"]).mean() > 0.98


def test_a_clock_that_is_right_all_year_has_one_period():
    photos, receipts = till_and_camera("Europe/Berlin", "2025-01-02", "2025-12-20", n=3000)
    found = match_photos(photos, receipts)
    assert found.clocks["off"].tolist() == [False]
    assert found.clock_offsets == {}


def test_times_of_clock_offsets_are_as_strict_as_those_of_tables():
    photos, receipts = till_and_camera("UTC", "2025-10-20", "2025-10-25", n=50)
    with pytest.raises(RetailDataError, match="day first or the month first"):
        match_photos(photos, receipts, clock_offsets={"1": {"03/04/2025 10:00": 60}})
    with pytest.raises(ValueError, match="is empty"):
        match_photos(photos, receipts, clock_offsets={"1": {}})


# Sources


def test_one_flat_table_is_parted_into_receipts_and_lines(tmp_path):
    flat = write(
        tmp_path,
        "receipt_id,time,till,cashier,product,price\n"
        "1,2025-11-25 10:00,1,Ann,tea,3.5\n1,2025-11-25 10:00,1,Ann,jam,2\n"
        "2,2025-11-25 10:05,1,Ben,tea,3.5\n",
    )
    for tables in ((flat,), (flat, flat)):
        shop = read_shop(*tables)
        assert shop.receipts["cashier"].tolist() == ["Ann", "Ben"]
        assert shop.lines["product"].tolist() == ["tea", "jam", "tea"]
        assert shop.lines.columns.tolist() == ["receipt_id", "product", "price"] or tables[1:]
        assert shop.counts["rows"].sum() == 6


def test_a_flat_table_whose_lines_disagree_on_their_receipt_is_refused():
    flat = pd.DataFrame({"receipt_id": 1, "cashier": ["Ann", "Ben"], "product": ["tea", "jam"]})
    with pytest.raises(RetailDataError, match="several values of 'cashier'"):
        read_shop(flat)


def test_tables_of_other_libraries_are_taken():
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    duckdb = pytest.importorskip("duckdb")
    columns = {"receipt_id": [1, 2], "product": ["NA", None], "price": [1.234, -1.5]}
    frame = pd.DataFrame(columns)
    expected = read_table(frame, "lines")
    # A database's decimals need no decimal mark.
    query = "select receipt_id, product, price::decimal(8, 3) as price from frame"
    for table in (pa.table(columns), pl.DataFrame(columns), duckdb.query(query)):
        pd.testing.assert_frame_equal(read_table(table, "lines"), expected)


def test_dates_and_times_of_a_database_are_joined():
    duckdb = pytest.importorskip("duckdb")
    query = "select 'a' as receipt_id, date '2025-11-25' as date, time '10:06:00' as time"
    read = read_table(duckdb.query(query), "receipts")
    assert read["time"].tolist() == [pd.Timestamp("2025-11-25 10:06")]


def test_numbers_and_texts_may_stand_in_one_column_of_objects():
    prices = pd.Series([Decimal("1.234"), 2, "3,5", None], dtype=object)
    lines = pd.DataFrame({"receipt_id": "a", "product": "tea", "price": prices})
    np.testing.assert_array_equal(read_table(lines, "lines")["price"], [1.234, 2, 3.5, np.nan])


@pytest.mark.parametrize("source", [{"receipt_id": [1]}, [1], pd.Series([1]), None])
def test_what_is_no_table_is_refused_with_what_is_one(source):
    with pytest.raises(TypeError, match="pass a path, a DataFrame, a Query, or a table of Arrow"):
        read_table(source, "receipts")


@pytest.mark.parametrize("name", ["lines.PARQUET", "lines.JSON", "lines.csv.GZ", "lines.CSV.zip"])
def test_a_file_is_known_by_the_end_of_its_name_in_any_case(tmp_path, name):
    table = pd.DataFrame({"receipt_id": ["007", "08"], "product": ["NA", "tea"]})
    path = tmp_path / name
    if name.endswith("PARQUET"):
        table.to_parquet(path)
    elif name.endswith("JSON"):
        table.to_json(path, orient="records")
    else:
        table.to_csv(path, index=False, compression="gzip" if name.endswith("GZ") else "zip")
    assert read_table(path, "lines").to_dict("list") == table.to_dict("list")


name_texts = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]) | st.sampled_from(' ,;"\n\t|'),
    min_size=1,
    max_size=8,
).map(lambda text: f"x{text.strip()}")


@given(
    names=st.lists(name_texts | st.sampled_from(["NA", "None", "nan"]), min_size=1, max_size=6),
    separator=st.sampled_from(",;\t|"),
    decimal=st.sampled_from(".,"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_names_come_back_from_any_csv_file(
    tmp_path, names, separator, decimal, line_end, encoding
):
    table = pd.DataFrame({"receipt_id": names, "product": names[::-1], "price": 0.25})
    path = tmp_path / "lines.csv"
    table.to_csv(
        path,
        index=False,
        sep=separator,
        decimal=decimal,
        lineterminator=line_end,
        encoding=encoding,
    )
    read = read_table(path, "lines")
    assert read["receipt_id"].tolist() == names
    assert read["product"].tolist() == names[::-1]
    assert read["price"].tolist() == [0.25] * len(names)


def test_advice_fits_python_and_the_command_line():
    error = TableError("it is so", "do this", "do --that")
    assert str(error) == "it is so: do this"
    assert error.for_command == "it is so: do --that"
    assert re.search("it is so", repr(error))
