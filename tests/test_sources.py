"""Photos of several sources: how they are read, left out, and scored."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ageboost import LabelsError
from ageboost.datasets import read_labels, read_sources
from ageboost.evaluation import (
    leave_sources_out,
    people_interval,
    source_metrics,
    window_errors,
)
from ageboost.models import AgeCalibrator

HEADER = "photo,source,age,age_low,age_high,subject,sex\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jpg").touch()
    (tmp_path / "labels.csv").write_text(
        HEADER + "a.jpg,till,34.5,34,35,ann,1\nb.jpg,door,20,20,20,ann,0\nc.jpg,door,7,7,7,,\n"
    )
    return tmp_path


def test_sources_and_windows_of_age_are_read(folder):
    table = read_sources(folder)
    assert table["source"].tolist() == ["till", "door", "door"]
    assert table[["age_low", "age", "age_high"]].iloc[0].tolist() == [34, 34.5, 35]
    assert table["sex"].tolist() == ["female", "male", None]


def test_who_is_not_named_stands_alone(folder):
    subjects = read_sources(folder)["subject"].tolist()
    assert subjects == ["ann", "ann", str(folder / "c.jpg")]


def test_one_source_can_be_read_alone_and_an_unknown_one_is_an_error(folder):
    table = read_sources(folder, sources=["door"])
    assert table["age"].tolist() == [20, 7]
    assert table.index.tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"no source 'lift'.*till, door"):
        read_sources(folder, sources=["lift"])


def test_a_folder_of_sources_is_recognised(folder):
    pd.testing.assert_frame_equal(read_labels(folder), read_sources(folder))


def test_a_window_that_does_not_hold_its_age_and_a_source_without_a_name_are_named(folder):
    (folder / "labels.csv").write_text(
        HEADER + "a.jpg,till,40,34,35,ann,1\nb.jpg,,20,20,20,bob,0\nc.jpg,door,7,7,7,cem,0\n"
    )
    with pytest.raises(LabelsError) as caught:
        read_sources(folder)
    assert [row for row, _ in caught.value.problems] == [0, 1]
    with pytest.warns(UserWarning, match="2 of 3 rows"):
        assert read_sources(folder, on_error="drop")["age"].tolist() == [7]


def test_a_table_without_windows_says_which_columns_are_missing(folder):
    (folder / "labels.csv").write_text("photo,age\na.jpg,3\n")
    with pytest.raises(ValueError, match="no column source, age_low, age_high"):
        read_sources(folder)


def test_the_shared_sources_are_read_whole(elsewhere):
    table = read_sources(elsewhere)
    assert len(table) == 879
    assert table["subject"].nunique() == 305
    counts = table["source"].value_counts().to_dict()
    assert counts == {"fgnet": 569, "congress": 133, "london": 102, "congress_grey": 75}


@pytest.fixture
def table():
    photos = [np.full((2, 2, 3), value, np.uint8) for value in (1, 2, 3, 4, 5, 1)]
    return pd.DataFrame(
        {
            "photo": photos,
            "source": ["a", "a", "b", "b", "b", "c"],
            "subject": ["ann", "bob", "cem", "dan", "ann", "eve"],
            "age": [16.0, 30, 20, 60, 40, 50],
            "age_low": [16.0, 30, 20, 58, 40, 50],
            "age_high": [16.0, 30, 20, 62, 40, 50],
        }
    )


def test_each_source_is_tested_on_by_what_shares_no_person_and_no_copy_with_it(table):
    splits = {name: (list(train), list(test)) for name, train, test in leave_sources_out(table)}
    # Ann is in a and b, and the photo of c is that of a.
    assert splits == {"a": ([2, 3], [0, 1]), "b": ([1], [2, 3, 4]), "c": ([1, 2, 3], [5])}


def test_one_source_cannot_be_left_out(table):
    with pytest.raises(ValueError, match="1 source"):
        list(leave_sources_out(table[table["source"] == "a"]))


def test_an_age_in_its_window_is_not_off_but_the_middle_is_scored_beside_it(table):
    predictions = np.array([20, 30, 20, 61, 40, np.nan])
    metrics = source_metrics(table, predictions).set_index(["source", "age group"])
    assert metrics.loc[("b", "all"), ["MAE", "outside"]].tolist() == [1 / 3, 0]
    assert metrics.loc[("a", "13-17"), "bias"] == 4
    assert metrics.loc[("c", "all"), ["photos", "without an age"]].tolist() == [1, 1]
    assert np.isnan(metrics.loc[("c", "all"), "MAE"])


def test_minors_predicted_to_be_25_are_waved_through(table):
    metrics = source_metrics(table, [26, 30, 20, 61, 40, 50]).set_index(["source", "age group"])
    assert metrics.loc[("a", "all"), "minors waved through"] == 1
    assert np.isnan(metrics.loc[("b", "all"), "minors waved through"])


def test_ranges_hold_the_share_of_a_window_that_lies_in_them(table):
    ages = np.repeat(np.arange(20.0, 60), 25)
    errors = np.tile(np.linspace(-5, 5, 25), 40)
    calibrator = AgeCalibrator(n_bins=1).keep(ages, ages + errors, np.ones(len(ages)))
    estimated = np.array([30.0, 30, 20, 64, 40, 50])
    distribution = calibrator.distribution(estimated, np.ones(6))
    metrics = source_metrics(table, estimated, distribution).set_index(["source", "age group"])
    assert metrics.loc[("a", "13-17"), "inside"] == 0
    assert metrics.loc[("a", "25-34"), "inside"] == 1
    low = distribution.interval(0.9)[3, 0]
    assert metrics.loc[("b", "60+"), "inside"] == pytest.approx((62 - low) / 4)


@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(0, 3)), min_size=1, max_size=30))
def test_an_interval_over_people_lies_between_the_least_and_the_largest_value(values):
    low, high = people_interval(*zip(*values, strict=True))
    numbers = [value for value, _ in values]
    assert min(numbers) - 1e-9 <= low <= high <= max(numbers) + 1e-9


def test_photos_of_few_people_leave_a_mean_more_doubtful_than_those_of_many():
    values = np.repeat([1.0, 2, 3, 4], 25)
    few = people_interval(values, np.repeat(list("abcd"), 25))
    many = people_interval(values, np.arange(100))
    assert few[1] - few[0] > 2 * (many[1] - many[0])


def test_a_window_that_ends_before_it_begins_is_an_error():
    with pytest.raises(ValueError, match="low must not exceed high"):
        window_errors([30], [41], [40])
