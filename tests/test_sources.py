"""Photos of several sources: how they are read, left out, and scored."""

import pandas as pd
import pytest

from ageboost import LabelsError
from ageboost.datasets import read_labels, read_sources

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
