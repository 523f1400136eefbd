from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ageboost.faces.alignment import five_of_68
from ageboost.features import LandmarkGeometry


def with_landmarks(face, landmarks):
    return replace(face, landmarks=landmarks)


def row_of(face, n_landmarks=68):
    geometry = LandmarkGeometry(n_landmarks)
    [row] = geometry.fit_transform([face])
    return pd.Series(row, geometry.get_feature_names_out())


@pytest.mark.parametrize("n_landmarks", [68, 5])
def test_place_size_and_tilt_of_a_face_change_nothing(face, n_landmarks):
    moved = 3 * face.landmarks + [500, -70]
    angle = np.deg2rad(25)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = row_of(face, n_landmarks)
    for landmarks in (moved, face.landmarks @ turn):
        found = row_of(with_landmarks(face, landmarks), n_landmarks)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("n_landmarks", "corners"), [(68, ["0", "3"]), (5, ["_outer", "_inner"])])
def test_the_eyes_are_one_apart_on_a_level_line_and_the_origin_is_between_them(
    face, n_landmarks, corners
):
    row = row_of(face, n_landmarks)
    for side, x in (("left", -0.5), ("right", 0.5)):
        middle = [
            np.mean([row[f"{side}_eye{corner}_{axis}"] for corner in corners]) for axis in "xy"
        ]
        np.testing.assert_allclose(middle, [x, 0], atol=1e-6)


def test_each_column_is_named_by_the_part_of_the_face_that_it_is_the_place_of(face):
    row = row_of(face)
    assert len(row) == 136
    assert row.index.is_unique
    x = row[row.index.str.endswith("_x")].rename(lambda name: name.rstrip("_x0123456789"))
    y = row[row.index.str.endswith("_y")].rename(lambda name: name.rstrip("_y0123456789"))
    counts = {"jaw": 17, "left_brow": 5, "right_brow": 5, "nose": 9, "left_eye": 6, "right_eye": 6}
    assert x.index.value_counts().to_dict() == {**counts, "mouth": 20}
    across, down = x.groupby(level=0).mean(), y.groupby(level=0).mean()
    assert across["left_brow"] < 0 < across["right_brow"]
    assert down["left_brow"] < 0 < down["nose"] < down["mouth"] < row["jaw8_y"]
    assert row["jaw0_x"] < -0.5 < 0.5 < row["jaw16_x"]
    five = row_of(face, 5)
    assert len(five) == 10
    assert five["left_eye_outer_x"] < five["left_eye_inner_x"] < five["nose_base_x"]
    assert five["nose_base_x"] < five["right_eye_inner_x"] < five["right_eye_outer_x"]
    assert five["nose_base_y"] > 0.3


def test_five_landmarks_are_five_of_the_68_and_not_enough_for_them(face):
    few = with_landmarks(face, five_of_68(face.landmarks))
    pd.testing.assert_series_equal(row_of(few, 5), row_of(face, 5))
    with pytest.raises(ValueError, match=r"face 1 has 5 landmarks, not 68: .*n_landmarks=5"):
        LandmarkGeometry().transform([face, few])


def test_landmarks_that_fall_together_give_numbers(face):
    assert np.isfinite(row_of(with_landmarks(face, np.full((68, 2), 9.0)))).all()


def test_a_number_of_landmarks_that_there_is_not_is_named(face):
    for call in (LandmarkGeometry(7).get_feature_names_out, lambda: row_of(face, 7)):
        with pytest.raises(ValueError, match="n_landmarks=7: pass 68 or 5"):
            call()


def test_many_faces_have_the_rows_of_each(face):
    mirrored = with_landmarks(face, face.landmarks * [-1, 1])
    rows = LandmarkGeometry().transform([face, mirrored, face])
    assert rows.dtype == np.float32
    for row, one in zip(rows, (face, mirrored, face), strict=True):
        np.testing.assert_array_equal(row, row_of(one))
