import os
import re
import string
import sys
import warnings

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ageboost import LabelsError
from ageboost.datasets import (
    read_appa_real,
    read_csv,
    read_fgnet,
    read_final_files,
    read_labels,
    read_utkface,
)

APPA_HEADER = "file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age\n"
UTKFACE_NAMES = [
    "100_0_0_20170112213500903.jpg.chip.jpg",
    "1_1_3_20161219140623097.jpg",
    "61_1_20170109142408075.jpg.chip.jpg",
    "24_0_1_20170116220224657 .jpg.chip.jpg",
    "55_0_4_20170116232725357jpg.chip.jpg",
]

# Each example has a folder of its own, below the one that the test is given.
own_folders = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def save_photos(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (4, 4), "gray").save(folder / name, format="JPEG")


def write_labels(folder, text, *photos, encoding="utf-8"):
    save_photos(folder, *photos)
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def appa_real(tmp_path):
    for split, name in [("train", "000000.jpg"), ("valid", "004113.jpg"), ("test", "005613.jpg")]:
        save_photos(tmp_path / split, name, f"{name}_face.jpg")
        labels = f"{APPA_HEADER}{name},36,5.05,0.5,4\n"
        (tmp_path / f"gt_avg_{split}.csv").write_text(labels)
    return tmp_path


@pytest.fixture
def final_files(tmp_path):
    save_photos(tmp_path / "final_files", "000001.jpg", "000000.jpg")
    (tmp_path / "labels.csv").write_text("file_name,real_age\n000001.jpg,18\n000000.jpg,4\n")
    return tmp_path


# Collections with the labels in the file names


def test_utkface_names_say_age_sex_and_race(tmp_path):
    save_photos(tmp_path, *UTKFACE_NAMES)
    table = read_utkface(tmp_path)
    assert list(table.columns) == ["photo", "age", "sex", "race", "fold"]
    assert [os.path.basename(photo) for photo in table["photo"]] == sorted(UTKFACE_NAMES)
    known = table.assign(name=table["photo"].map(os.path.basename)).set_index("name")
    assert known.loc[UTKFACE_NAMES, "age"].tolist() == [100.0, 1.0, 61.0, 24.0, 55.0]
    assert known.loc[UTKFACE_NAMES[0], "sex"] == "male"
    assert known.loc[UTKFACE_NAMES[1], ["sex", "race"]].tolist() == ["female", "indian"]
    assert known.loc[UTKFACE_NAMES[3], "race"] == "black"
    assert known.loc[UTKFACE_NAMES[4], "race"] == "other"


def test_a_utkface_name_that_lacks_a_field_has_an_age_but_no_sex_and_race(tmp_path):
    save_photos(tmp_path, UTKFACE_NAMES[2])
    table = read_utkface(tmp_path)
    assert table["age"].tolist() == [61.0]
    assert table["sex"].isna().all()
    assert table["race"].isna().all()


def test_a_utkface_fold_depends_on_the_name_alone(tmp_path):
    save_photos(tmp_path / "few", UTKFACE_NAMES[0])
    save_photos(tmp_path / "many", *UTKFACE_NAMES)
    assert read_utkface(tmp_path / "few")["fold"].tolist() == [6]
    many = read_utkface(tmp_path / "many")
    folds = dict(zip(many["photo"].map(os.path.basename), many["fold"], strict=True))
    assert [folds[UTKFACE_NAMES[at]] for at in (0, 2, 3)] == [6, 5, 5]


def test_the_real_utkface_agrees_with_its_labels_file(utkface):
    table = read_utkface(utkface)
    table["file_name"] = table["photo"].map(os.path.basename)
    found = table[["file_name", "age", "sex", "race", "fold"]].set_index("file_name").sort_index()
    expected = pd.read_csv(utkface / "labels.csv", index_col="file_name").sort_index()
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_the_real_utkface_reads_the_same_by_its_folder_and_by_its_labels_file(utkface):
    by_folder = read_labels(utkface)
    by_file = read_labels(utkface / "labels.csv").sort_values("photo", ignore_index=True)
    pd.testing.assert_frame_equal(by_folder, by_file[by_folder.columns])


@pytest.mark.parametrize("reader", [read_utkface, read_fgnet, read_labels])
def test_photos_may_lie_in_images_inside_the_folder(tmp_path, reader):
    name = "001A02.JPG" if reader is read_fgnet else UTKFACE_NAMES[0]
    save_photos(tmp_path / "images", name)
    assert reader(tmp_path)["photo"].tolist() == [str(tmp_path / "images" / name)]


def test_files_that_are_not_photos_and_hidden_twins_are_passed_over(tmp_path):
    save_photos(tmp_path, UTKFACE_NAMES[0], f"._{UTKFACE_NAMES[0]}")
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "labels.csv").write_text("file_name,age")
    assert len(read_utkface(tmp_path)) == 1


def test_fgnet_names_say_subject_and_age(tmp_path):
    save_photos(tmp_path, "078A11a.JPG", "001A02.JPG", "078A11.JPG")
    table = read_fgnet(tmp_path)
    assert list(table.columns) == ["photo", "age", "subject"]
    assert table["age"].tolist() == [2.0, 11.0, 11.0]
    assert table["subject"].tolist() == ["001", "078", "078"]


@pytest.mark.parametrize("reader", [read_utkface, read_fgnet])
def test_all_names_that_say_no_age_are_reported_at_once(tmp_path, reader):
    save_photos(tmp_path, "holiday.jpg", "me.jpg")
    with pytest.raises(LabelsError, match="the name is not") as caught:
        reader(tmp_path)
    assert [row for row, _ in caught.value.problems] == [0, 1]
    assert str(tmp_path / "holiday.jpg") in str(caught.value)
    assert str(tmp_path / "me.jpg") in str(caught.value)


@pytest.mark.parametrize(
    ("reader", "name"),
    [(read_utkface, "121_0_0_20170112213500903.jpg"), (read_fgnet, "001A121.JPG")],
)
def test_an_age_over_120_in_a_name_is_reported(tmp_path, reader, name):
    save_photos(tmp_path, name)
    with pytest.raises(LabelsError, match="age '121' is not from 0 to 120"):
        reader(tmp_path)


@own_folders
@given(st.text(string.ascii_letters + string.digits + "_ .٣", min_size=1, max_size=30))
def test_any_name_gives_a_row_or_an_error_that_names_it(tmp_path_factory, stem):
    folder = tmp_path_factory.mktemp("names")
    (folder / f"x{stem}.jpg").touch()
    for reader in (read_utkface, read_fgnet):
        with pytest.raises(LabelsError) as caught:
            reader(folder)
        assert f"x{stem}.jpg" in str(caught.value)


@own_folders
@given(
    age=st.integers(0, 120),
    sex=st.sampled_from(["male", "female"]),
    race=st.sampled_from(["white", "black", "asian", "indian", "other"]),
    date=st.integers(10**16, 10**17 - 1),
    ending=st.sampled_from([".jpg", ".jpg.chip.jpg"]),
)
def test_what_a_utkface_name_says_comes_back(tmp_path_factory, age, sex, race, date, ending):
    folder = tmp_path_factory.mktemp("names")
    sexes = ["male", "female"]
    races = ["white", "black", "asian", "indian", "other"]
    (folder / f"{age}_{sexes.index(sex)}_{races.index(race)}_{date}{ending}").touch()
    row = read_utkface(folder).iloc[0]
    assert (row["age"], row["sex"], row["race"]) == (age, sex, race)
    assert 0 <= row["fold"] <= 9


@pytest.mark.parametrize("reader", [read_utkface, read_fgnet])
def test_an_empty_folder_gets_an_error_that_says_what_to_pass(tmp_path, reader):
    with pytest.raises(FileNotFoundError, match=r"no photos in the folder.*pass the folder that"):
        reader(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no folder .*elsewhere.*pass the folder that"):
        reader(tmp_path / "elsewhere")


# APPA-REAL and final_files


def test_appa_real_gives_all_splits_one_after_another(appa_real):
    table = read_appa_real(appa_real)
    assert list(table.columns) == ["photo", "age", "split"]
    assert table["split"].tolist() == ["train", "valid", "test"]
    assert table["age"].tolist() == [4.0, 4.0, 4.0]
    assert table["photo"].iloc[0] == str(appa_real / "train" / "000000.jpg_face.jpg")


def test_appa_real_gives_one_split_of_apparent_ages_with_whole_photos(appa_real):
    table = read_appa_real(appa_real, split="valid", age="apparent", faces=False)
    assert table["photo"].tolist() == [str(appa_real / "valid" / "004113.jpg")]
    assert table["age"].tolist() == [5.05]


def test_one_split_of_appa_real_does_not_need_the_others(appa_real):
    (appa_real / "gt_avg_test.csv").unlink()
    assert len(read_appa_real(appa_real, split="train")) == 1
    with pytest.raises(FileNotFoundError, match=r"gt_avg_test\.csv"):
        read_appa_real(appa_real)


def test_appa_real_reports_problems_of_all_splits_at_once(appa_real):
    (appa_real / "train" / "000000.jpg_face.jpg").unlink()
    (appa_real / "gt_avg_valid.csv").write_text(f"{APPA_HEADER},36,5,0.5,4\n")
    (appa_real / "gt_avg_test.csv").write_text(f"{APPA_HEADER}005613.jpg,36,5\n")
    with pytest.raises(LabelsError) as caught:
        read_appa_real(appa_real)
    first, second, third = [problem for _, problem in caught.value.problems]
    assert first.endswith("no such file")
    assert second == "no photo is named"
    assert third.startswith("3 cells under 5 column names")
    assert [place.partition(" of ")[2] for place in caught.value.places] == [
        f"gt_avg_{split}.csv" for split in ("train", "valid", "test")
    ]


@pytest.mark.parametrize(("name", "value"), [("split", "dev"), ("age", "true")])
def test_a_wrong_choice_is_refused_with_the_right_ones(appa_real, name, value):
    with pytest.raises(ValueError, match=f"{name}='{value}': pass "):
        read_appa_real(appa_real, **{name: value})


def test_final_files_come_in_the_order_of_their_labels(final_files):
    table = read_final_files(final_files)
    assert list(table.columns) == ["photo", "age"]
    assert table["photo"].map(os.path.basename).tolist() == ["000001.jpg", "000000.jpg"]
    assert table["age"].tolist() == [18.0, 4.0]


def test_final_files_without_one_of_the_two_parts_say_which(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no labels file .*labels\.csv"):
        read_final_files(tmp_path)
    write_labels(tmp_path, "file_name,real_age\na.jpg,3\n")
    with pytest.raises(FileNotFoundError, match=r"no folder .*final_files"):
        read_final_files(tmp_path)


# CSV files


@pytest.mark.parametrize(
    "text",
    [
        "photo,age\nann.jpg,34.5\n",
        "\ufeffphoto,age\nann.jpg,34.5\n",
        "photo,age\r\nann.jpg,34.5\r\n",
        " Photo , AGE \nann.jpg , 34.5\n",
        '"photo", "age"\n"ann.jpg", "34.5"',
        "file_name;real_age\nann.jpg;34.5\n",
        "file_name;real_age\nann.jpg;34,5\n",
        "file\tage\nann.jpg\t34.5\n",
        "id,path,age,note\n1,ann.jpg,34.5,\n",
        "photo,age\n\nann.jpg,34.5\n\n,\n",
    ],
)
def test_a_csv_file_is_read_however_it_was_written(tmp_path, text):
    table = read_csv(write_labels(tmp_path, text, "ann.jpg"))
    assert list(table.columns) == ["photo", "age"]
    assert table["photo"].tolist() == [str(tmp_path / "ann.jpg")]
    assert table["age"].tolist() == [34.5]


def test_named_columns_win_over_usual_ones(tmp_path):
    labels = write_labels(
        tmp_path, "photo,crop,age,guess\nann.jpg,bob.jpg,3,40\n", "ann.jpg", "bob.jpg"
    )
    table = read_csv(labels, photo="crop", age="guess")
    assert table["photo"].tolist() == [str(tmp_path / "bob.jpg")]
    assert table["age"].tolist() == [40.0]


def test_all_columns_of_a_wide_file_are_listed(tmp_path):
    names = [f"the column number {number}" for number in range(38)]
    labels = write_labels(tmp_path, f"{','.join(names)},photo,years\n1{',' * 39}\n")
    with pytest.raises(ValueError, match="pass age=") as caught:
        read_csv(labels)
    assert all(repr(name) in str(caught.value) for name in [*names, "photo", "years"])


@pytest.mark.parametrize(
    ("header", "arguments", "message"),
    [
        ("name,age", {}, r"no column that is clearly the photo .*pass photo=.*'name', 'age'"),
        ("photo,years", {}, r"no column that is clearly the age .*pass age=.*'photo', 'years'"),
        ("photo,age,real_age", {}, r"more than one .* the age .*'photo', 'age', 'real_age'"),
        ("file,path,age", {}, r"more than one column that is clearly the photo"),
        ("photo,age", {"age": "years"}, r"no column 'years' .*'photo', 'age'"),
        ("photo,age,age", {"age": "age"}, r"more than one column 'age'"),
    ],
)
def test_an_unclear_column_gets_an_error_that_lists_the_columns(
    tmp_path, header, arguments, message
):
    cells = ",".join("1" for _ in header.split(","))
    labels = write_labels(tmp_path, f"{header}\n{cells}\n")
    with pytest.raises(ValueError, match=message):
        read_csv(labels, **arguments)


def test_relative_paths_begin_in_the_folder_of_the_file_or_the_given_one(tmp_path):
    save_photos(tmp_path / "till3", "ann.jpg")
    labels = write_labels(tmp_path, "photo,age\ntill3/ann.jpg,3\n")
    assert os.path.samefile(read_csv(labels)["photo"].iloc[0], tmp_path / "till3" / "ann.jpg")
    labels.write_text("photo,age\nann.jpg,3\n")
    assert len(read_csv(labels, folder=tmp_path / "till3")) == 1
    with pytest.raises(FileNotFoundError, match=r"no folder .*till4"):
        read_csv(labels, folder=tmp_path / "till4")


def test_absolute_paths_stay_as_they_are(tmp_path):
    save_photos(tmp_path / "till3", "ann.jpg")
    photo = str(tmp_path / "till3" / "ann.jpg")
    labels = write_labels(tmp_path / "labels", f"photo,age\n{photo},3\n")
    assert read_csv(labels, folder=tmp_path)["photo"].tolist() == [photo]


def test_what_else_is_known_comes_along_in_one_order(tmp_path):
    labels = write_labels(
        tmp_path,
        "fold,subject,age,note,Sex,photo\n3,007,5,x,female,a.jpg\n4,008,6,y,,b.jpg\n",
        "a.jpg",
        "b.jpg",
    )
    table = read_csv(labels)
    assert list(table.columns) == ["photo", "age", "sex", "subject", "fold"]
    assert table["sex"].iloc[0] == "female"
    assert table["sex"].isna().tolist() == [False, True]
    assert table["subject"].tolist() == ["007", "008"]
    assert table["fold"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,", r"a\.jpg': no age is given"),
        ("a.jpg,old", r"a\.jpg': age 'old' is not a number"),
        ("a.jpg,nan", r"a\.jpg': age 'nan' is not a number"),
        ("a.jpg,3_4", r"a\.jpg': age '3_4' is not a number"),
        ("a.jpg,-1", r"a\.jpg': age '-1' is not from 0 to 120"),
        ("a.jpg,120.5", r"a\.jpg': age '120.5' is not from 0 to 120"),
        ("a.jpg,inf", r"a\.jpg': age 'inf' is not from 0 to 120"),
        ("b.jpg,30", r"b\.jpg': no such file"),
        ("b.jpg,old", r"b\.jpg': no such file; age 'old' is not a number"),
        (",30", r"no photo is named"),
        ("a.jpg", r"1 cells under 2 column names: 'a\.jpg'"),
        ("a.jpg,3,4", r"3 cells under 2 column names: 'a\.jpg,3,4'"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(tmp_path, row, message):
    labels = write_labels(tmp_path, f"photo,age\na.jpg,30\n{row}\n", "a.jpg")
    with pytest.raises(LabelsError, match=message) as caught:
        read_csv(labels)
    assert [at for at, _ in caught.value.problems] == [1]


@pytest.mark.parametrize("age", ["0", "120", "1e1", "34.5"])
def test_ages_from_0_to_120_are_taken(tmp_path, age):
    labels = write_labels(tmp_path, f"photo,age\na.jpg,{age}\n", "a.jpg")
    assert read_csv(labels)["age"].tolist() == [float(age)]


def test_drop_leaves_rows_out_with_one_warning_that_counts_them(tmp_path):
    labels = write_labels(
        tmp_path, "photo,age\na.jpg,old\nb.jpg,30\nc.jpg,31\nb.jpg,200\n", "a.jpg", "b.jpg"
    )
    with pytest.warns(UserWarning, match=r"3 of 4 rows of .* line 2: .*a\.jpg") as caught:
        table = read_csv(labels, on_error="drop")
    assert len(caught) == 1
    assert table.index.tolist() == [0]
    assert table["photo"].tolist() == [str(tmp_path / "b.jpg")]
    assert table["age"].tolist() == [30.0]


@pytest.mark.parametrize("reader", [read_utkface, read_fgnet, read_labels])
def test_drop_leaves_out_names_that_say_no_age(tmp_path, reader):
    save_photos(tmp_path, "001A02.JPG", "me.jpg", *UTKFACE_NAMES[:3])
    with pytest.warns(UserWarning, match=r"of 5 rows .* left out"):
        table = reader(tmp_path, on_error="drop")
    assert len(table) == (1 if reader is read_fgnet else 3)
    assert table.index.tolist() == list(range(len(table)))


def test_drop_works_in_every_reader_of_label_files(final_files, appa_real):
    with (final_files / "labels.csv").open("a") as file:
        file.write("gone.jpg,4\n")
    (appa_real / "valid" / "004113.jpg_face.jpg").unlink()
    with pytest.warns(UserWarning, match="1 of 3 rows"):
        assert len(read_final_files(final_files, on_error="drop")) == 2
    with pytest.warns(UserWarning, match="1 of 3 rows"):
        table = read_appa_real(appa_real, on_error="drop")
    assert table["split"].tolist() == ["train", "test"]


def test_drop_without_problems_does_not_warn(tmp_path):
    labels = write_labels(tmp_path, "photo,age\na.jpg,3\n", "a.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_csv(labels, on_error="drop")) == 1


def test_when_every_row_is_dropped_the_empty_table_has_its_columns(tmp_path):
    labels = write_labels(tmp_path, "photo,age,sex\na.jpg,3,male\n")
    with pytest.warns(UserWarning, match="1 of 1 rows"):
        table = read_csv(labels, on_error="drop")
    assert list(table.columns) == ["photo", "age", "sex"]
    assert table["age"].dtype == "float64"
    assert table.empty


def test_an_unknown_on_error_is_refused(tmp_path):
    labels = write_labels(tmp_path, "photo,age\na.jpg,3\n", "a.jpg")
    with pytest.raises(ValueError, match="on_error='nan': pass 'raise' or 'drop'"):
        read_csv(labels, on_error="nan")


@pytest.mark.parametrize("text", ["", "\n\n", "photo,age\n", "photo,age\n,\n"])
def test_a_file_without_labels_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"labels\.csv' (holds no labels|is empty)"):
        read_csv(write_labels(tmp_path, text))


def test_a_file_that_is_not_utf_8_is_refused_with_the_way_out(tmp_path):
    labels = write_labels(tmp_path, "photo,age\nrené.jpg,3\n", "rené.jpg", encoding="latin-1")
    with pytest.raises(ValueError, match=r"is not text in UTF-8 .* save it as CSV in UTF-8"):
        read_csv(labels)
    assert len(read_csv(labels, encoding="latin-1")) == 1


def test_a_file_that_begins_with_the_mark_of_utf_16_is_read(tmp_path):
    labels = write_labels(tmp_path, "photo,age\nrené.jpg,3\n", "rené.jpg", encoding="utf-16")
    assert read_csv(labels)["age"].tolist() == [3.0]


def test_a_quote_that_is_never_closed_does_not_flood_the_error(tmp_path):
    rows = "".join(f"photo{row}.jpg,3\n" for row in range(1000))
    labels = write_labels(tmp_path, f'photo,age\n"a.jpg,3\n{rows}')
    with pytest.raises(ValueError, match="never closed") as caught:
        read_csv(labels)
    assert len(str(caught.value)) < 500


names = st.text(string.ascii_letters + string.digits + "é,;'\" -", min_size=1, max_size=12).filter(
    lambda name: name == name.strip()
)


@own_folders
@given(
    rows=st.lists(
        st.tuples(names, st.floats(0, 120), st.integers(0, 9)),
        min_size=1,
        max_size=6,
        unique_by=lambda row: row[0].lower(),
    ),
    separator=st.sampled_from([",", ";", "\t"]),
    bom=st.booleans(),
)
def test_a_table_that_is_written_and_read_again_is_the_same(tmp_path_factory, rows, separator, bom):
    folder = tmp_path_factory.mktemp("labels")
    # A quote sign is no part of a file name everywhere.
    photos = [str(folder / f"{name.replace(chr(34), '')}x.jpg") for name, _, _ in rows]
    for photo in photos:
        open(photo, "w").close()
    table = pd.DataFrame(
        {"photo": photos, "age": [row[1] for row in rows], "fold": [row[2] for row in rows]}
    )
    path = folder / "labels.csv"
    table.to_csv(path, index=False, sep=separator, encoding="utf-8-sig" if bom else "utf-8")
    pd.testing.assert_frame_equal(read_csv(path), table, check_exact=True)


# Any layout


def test_read_labels_recognises_final_files_by_folder_and_by_file(final_files):
    expected = read_final_files(final_files)
    pd.testing.assert_frame_equal(read_labels(final_files), expected)
    pd.testing.assert_frame_equal(read_labels(str(final_files / "labels.csv")), expected)


def test_read_labels_recognises_appa_real_by_folder_and_by_the_file_of_a_split(appa_real):
    pd.testing.assert_frame_equal(read_labels(appa_real), read_appa_real(appa_real))
    pd.testing.assert_frame_equal(
        read_labels(appa_real / "gt_avg_test.csv"), read_appa_real(appa_real, split="test")
    )


@pytest.mark.parametrize(
    ("reader", "photos"),
    [(read_utkface, UTKFACE_NAMES), (read_fgnet, ["001A02.JPG", "002A03.JPG"])],
)
def test_read_labels_recognises_names_even_if_one_is_wrong(tmp_path, reader, photos):
    save_photos(tmp_path, *photos)
    pd.testing.assert_frame_equal(read_labels(tmp_path), reader(tmp_path))
    save_photos(tmp_path, "me.jpg")
    with pytest.raises(LabelsError, match=r"1 unusable rows(?s:.*)me\.jpg"):
        read_labels(tmp_path)


@pytest.mark.parametrize("photos_in", [".", "images", "final_files"])
def test_read_labels_finds_the_photos_in_or_below_the_folder_of_a_labels_file(tmp_path, photos_in):
    save_photos(tmp_path / photos_in, "ann.jpg")
    labels = write_labels(tmp_path, "file,age\ngone.jpg,4\nann.jpg,3\n")
    with pytest.warns(UserWarning, match="1 of 2 rows"):
        table = read_labels(labels, on_error="drop")
    assert os.path.samefile(table["photo"].iloc[0], tmp_path / photos_in / "ann.jpg")


@pytest.mark.parametrize("photos_in", [".", "images"])
def test_read_labels_reads_a_folder_with_a_labels_file(tmp_path, photos_in):
    save_photos(tmp_path / photos_in, "ann.jpg")
    write_labels(tmp_path, "photo,age\nann.jpg,3\n")
    assert read_labels(tmp_path)["age"].tolist() == [3.0]


def test_read_labels_says_what_it_takes_when_it_knows_no_layout(tmp_path):
    save_photos(tmp_path, "holiday.jpg")
    with pytest.raises(ValueError, match="pass a CSV file with the columns photo and age"):
        read_labels(tmp_path)
    nothing = re.escape(repr(str(tmp_path / "nothing")))
    with pytest.raises(FileNotFoundError, match=f"no file or folder {nothing}"):
        read_labels(tmp_path / "nothing")


def test_other_columns_are_passed_on_if_they_are_named(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "labels.csv").write_text("photo,age,family\na.jpg,30,Ek\n")
    assert "family" not in read_labels(tmp_path)
    for path in (tmp_path, tmp_path / "labels.csv"):
        assert read_labels(path, others=["family"])["family"].tolist() == ["Ek"]
    with pytest.raises(ValueError, match="no column 'shop'"):
        read_labels(tmp_path, others=["shop"])


def test_a_file_with_a_cell_without_an_end_is_no_csv_file(tmp_path):
    (tmp_path / "labels.csv").write_text('photo,age\n"' + "a" * 200_000)
    with pytest.raises(ValueError, match=r"labels\.csv' is not a CSV file"):
        read_csv(tmp_path / "labels.csv")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_a_name_that_no_table_can_hold_is_refused(tmp_path):
    (tmp_path / os.fsdecode(b"20_0_1_\xff.jpg")).touch()
    with pytest.raises(ValueError, match=r"not valid Unicode.*rename them"):
        read_utkface(tmp_path)
