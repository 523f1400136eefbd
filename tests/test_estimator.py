import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostRegressor
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict
from xgboost import XGBRegressor

import ageboost
from ageboost import AgeEstimator, LabelsError, NoFaceError, PhotosError
from ageboost.faces import detection
from ageboost.features import HOG, FaceFeatures, LandmarkGeometry


@pytest.fixture
def counting(monkeypatch):
    """Count the faces that HOG measures, and the photos that are looked at."""
    counts = {"faces": 0, "photos": 0}
    transform, load = HOG._transform, detection.load_photo

    def counted_transform(self, faces):
        counts["faces"] += len(faces)
        return transform(self, faces)

    def counted_load(photo, **options):
        counts["photos"] += 1
        return load(photo, **options)

    monkeypatch.setattr(HOG, "_transform", counted_transform)
    monkeypatch.setattr(detection, "load_photo", counted_load)
    return counts


def quick(**params):
    features = FaceFeatures([("hog", HOG(cell_size=32)), ("geometry", LandmarkGeometry())])
    return AgeEstimator(features, reduction="pca", regressor=Ridge(), **params)


def test_it_learns_what_can_be_learnt(face_variants):
    photos, ages = face_variants
    predicted = cross_val_predict(quick(interval_folds=None), photos, ages, cv=5)
    assert np.abs(predicted - ages).mean() < np.abs(ages - ages.mean()).mean()


def test_predict_gives_one_number_per_photo_in_order(fitted, face_variants):
    photos, _ = face_variants
    ages = fitted.predict(photos[:6])
    assert ages.shape == (6,)
    np.testing.assert_allclose(fitted.predict(photos[:6][::-1]), ages[::-1], rtol=1e-5)


def test_every_kind_of_photo_gives_the_same_age(fitted, portrait, tmp_path):
    path = tmp_path / "face.png"
    Image.fromarray(portrait).save(path)
    with path.open("rb") as file:
        kinds = [portrait, str(path), path, path.read_bytes(), file, Image.open(path)]
        kinds.append(io.BytesIO(path.read_bytes()))
        ages = fitted.predict(kinds)
    np.testing.assert_allclose(ages, ages[0], rtol=1e-6)


def test_analyze_gives_the_documented_table(fitted, portrait, bad_photos):
    photos = [portrait, *(photo for photo, _ in bad_photos.values()), portrait]
    table = fitted.analyze(photos)
    assert list(table.columns) == [
        *("photo", "face", "left", "top", "width", "height"),
        *("age", "age_low", "age_high", "quality", "reliable", "familiarity", "status", "message"),
    ]
    statuses = [status for _, status in bad_photos.values()]
    assert table["status"].tolist() == ["ok", *statuses, "ok"]
    good = table[table["status"] == "ok"]
    assert (good["age_low"] <= good["age"]).all()
    assert (good["age"] <= good["age_high"]).all()
    assert good["quality"].between(0, 1).all()
    assert good["face"].eq(0).all()
    bad = table[table["status"] != "ok"]
    assert bad[["age", "left", "quality"]].isna().all(axis=None)
    assert all(len(message) > 20 for message in bad["message"])


@pytest.mark.parametrize(
    "kind",
    [
        *("missing", "folder", "empty", "cut short", "text", "one pixel", "black", "huge"),
        *("NaN", "wrong dtype", "wrong shape", "nothing"),
    ],
)
def test_a_bad_photo_is_named_and_the_batch_goes_on(fitted, portrait, bad_photos, kind):
    photo, _ = bad_photos[kind]
    with pytest.raises(PhotosError, match="1 of 3 photos give no age") as caught:
        clone_fitted(fitted, on_error="raise").predict([portrait, photo, portrait])
    [(position, error)] = caught.value.failures
    assert position == 1
    if isinstance(photo, str):
        assert photo in str(error)
    ages = clone_fitted(fitted, on_error="nan").predict([portrait, photo, portrait])
    assert np.isnan(ages).tolist() == [False, True, False]


def clone_fitted(fitted, **params):
    return pickle.loads(pickle.dumps(fitted)).set_params(**params)


def test_fit_leaves_bad_photos_out_if_asked(face_variants, bad_photos):
    photos, ages = face_variants
    photos, ages = [bad_photos["text"][0], *photos], [30, *ages]
    with pytest.raises(PhotosError, match=r"text\.jpg"):
        quick().fit(photos, ages)
    with pytest.warns(UserWarning, match=r"1 of 31 photos are left out.*text\.jpg"):
        estimator = quick(on_error="nan").fit(photos, ages)
    assert estimator.n_photos_ == 30
    assert [position for position, _ in estimator.left_out_] == [0]


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (-1, "age -1 is not from 0 to 120"),
        (121, "age 121 is not from 0 to 120"),
        ("old", "age 'old' is not a number"),
        (float("nan"), "no age is given"),
        (None, "no age is given"),
        (pd.NA, "no age is given"),
        ("", "no age is given"),
    ],
)
def test_an_impossible_age_is_named_by_row(portrait, age, said):
    with pytest.raises(LabelsError, match=f"row 1: .*: {said}") as caught:
        quick().fit([portrait] * 3, [30, age, 30])
    assert len(caught.value.problems) == 1


def test_photos_and_ages_of_different_lengths_are_refused(portrait):
    with pytest.raises(ValueError, match="2 photos but 3 ages"):
        quick().fit([portrait] * 2, [1, 2, 3])
    with pytest.raises(ValueError, match="boxes has 1 entries for 2 photos"):
        quick().fit([portrait] * 2, [1, 2], boxes=[None])


def test_one_photo_instead_of_a_list_is_refused(fitted, portrait):
    for photo in ["a.jpg", portrait, b"abc", pd.DataFrame({"photo": ["a.jpg"]})]:
        with pytest.raises((TypeError, ValueError), match="list of photos"):
            fitted.predict(photo)


def test_boxes_and_cropped_faces_go_through_fit_predict_and_analyze(face_variants, portrait, face):
    photos, ages = face_variants
    boxes = [None] * len(photos)
    estimator = quick().fit(photos, ages, boxes=boxes)
    [by_box] = estimator.predict([portrait], boxes=[face.box])
    [detected] = estimator.predict([portrait])
    assert by_box == pytest.approx(detected, abs=5)
    two = estimator.analyze([portrait], boxes=[[face.box, [150, 60, 300, 200]]])
    assert two["face"].tolist() == [0, 1]
    left, top, right, bottom = map(int, face.box)
    crop = np.ascontiguousarray(portrait[top:bottom, left:right])
    assert estimator.analyze([crop], cropped=True)["status"].tolist() == ["ok"]
    assert quick().fit([crop] * 4, [1, 2, 3, 4], cropped=True).n_photos_ == 4


def test_sample_weights_move_the_ages(face_variants):
    photos, ages = face_variants
    weight = np.where(ages > np.median(ages), 1000.0, 0.001)
    heavy = quick(interval_folds=None).fit(photos, ages, sample_weight=weight).predict(photos)
    plain = quick(interval_folds=None).fit(photos, ages).predict(photos)
    assert heavy.mean() > plain.mean()


def test_score_is_r_squared_over_the_photos_that_give_an_age(fitted, face_variants, bad_photos):
    photos, ages = face_variants
    forgiving = clone_fitted(fitted, on_error="nan")
    expected = forgiving.score(photos, ages)
    assert expected <= 1
    assert forgiving.score([*photos, bad_photos["text"][0]], [*ages, 5]) == expected


def test_parts_given_by_name_have_their_parameters(small_estimator):
    estimator = clone(AgeEstimator("all", regressor="catboost"))
    estimator.set_params(
        features__hog__cell_size=8, features__finder__max_side=500, regressor__depth=3
    )
    params = estimator.get_params()
    assert params["features__hog__cell_size"] == 8
    assert params["features__finder__max_side"] == 500
    assert params["regressor__depth"] == 3
    again = clone(estimator).get_params()
    assert again["features__hog__cell_size"] == 8
    assert AgeEstimator().get_params()["features__lbp__grid"] == (8, 8)
    with pytest.raises(ValueError, match="nonsense"):
        estimator.set_params(features__hog__nonsense=1)


def test_a_search_over_the_regressor_measures_each_photo_once(face_variants, tmp_path, counting):
    photos, ages = face_variants
    search = GridSearchCV(
        quick(cache=tmp_path, interval_folds=None),
        {"regressor__alpha": [0.1, 1, 10]},
        cv=3,
        scoring="neg_mean_absolute_error",
    )
    search.fit(photos, ages)
    assert counting == {"faces": len(photos), "photos": len(photos)}


def test_a_second_fit_with_a_cache_measures_nothing(face_variants, tmp_path, counting):
    photos, ages = face_variants
    first = quick(cache=tmp_path).fit(photos, ages)
    counting.update(faces=0, photos=0)
    second = quick(cache=tmp_path).fit(photos, ages)
    assert counting == {"faces": 0, "photos": 0}
    np.testing.assert_array_equal(first.predict(photos), second.predict(photos))


def test_the_cache_never_serves_another_setting_photo_or_box(portrait, face, tmp_path, counting):
    def measured(transformer, photo=portrait, **call):
        counting["faces"] = 0
        FaceFeatures([("hog", transformer)], cache=tmp_path).transform([photo], **call)
        return counting["faces"]

    assert measured(HOG()) == 1
    assert measured(HOG()) == 0
    assert measured(HOG(cell_size=32)) == 1
    assert measured(HOG(), portrait[:, ::-1]) == 1
    assert measured(HOG(), boxes=[face.box]) == 1
    assert measured(HOG(), cropped=True) == 1
    assert measured(HOG()) == 0


def test_feature_names_belong_to_the_columns(portrait):
    features = FaceFeatures("classical").set_output(transform="pandas")
    table = features.fit_transform([portrait])
    assert list(table.columns) == list(features.get_feature_names_out())
    assert len(set(table.columns)) == table.shape[1] == 1764 + 3776 + 136


def test_five_landmarks_give_an_estimator_free_of_the_68(portrait):
    features = FaceFeatures("classical", finder=ageboost.faces.FaceFinder(landmarks=5))
    assert features.transform([portrait]).shape == (1, 1764 + 3776 + 10)


def test_intervals_hold_their_share_and_widen_with_coverage(fitted, face_variants):
    photos, _ = face_variants
    narrow, wide = (fitted.predict_interval(photos, coverage) for coverage in (0.5, 0.9))
    assert (wide[:, 0] <= narrow[:, 0]).all()
    assert (wide[:, 1] >= narrow[:, 1]).all()
    with pytest.raises(ValueError, match="interval_folds"):
        quick(interval_folds=None).fit(*face_variants).predict_interval(photos)


def test_pickling_with_joblib_keeps_the_ages(fitted, portrait, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict([portrait]), fitted.predict([portrait]))


@pytest.mark.parametrize(
    "params",
    [
        {"features": "some"},
        {"reduction": "none"},
        {"regressor": "lightgbm"},
        {"on_error": "skip"},
        {"interval_folds": 1},
        {"features": FaceFeatures([])},
        {"features": FaceFeatures(batch_size=0)},
    ],
)
def test_a_wrong_parameter_is_named_in_fit(portrait, params):
    [name] = params
    with pytest.raises(ValueError, match=r"features|transformers|batch_size|" + name):
        AgeEstimator(**params).fit([portrait] * 2, [1, 2])


def test_features_that_are_there_already_give_the_same_ages(face_variants):
    photos, ages = face_variants
    estimator = quick().fit(photos, ages)
    matrix = estimator.features_.transform(photos)
    again = quick().fit_features(matrix, ages)
    np.testing.assert_array_equal(again.predict(photos), estimator.predict(photos))
    np.testing.assert_array_equal(again.age_regressor_.predict(matrix), estimator.predict(photos))
    with pytest.raises(
        ValueError, match="X has 5 features, but AgeRegressor is expecting 460 features"
    ):
        again.age_regressor_.predict(matrix[:, :5])
    with pytest.raises(ValueError, match="NaN"):
        quick().fit_features(np.full_like(matrix, np.nan), ages)
    with pytest.raises(LabelsError, match="matrix row 0"):
        quick().fit_features(matrix, [-1, *ages[1:]])
    with pytest.raises(ValueError, match=r"sample_weight has shape \(2,\) for 30 photos"):
        quick().fit_features(matrix, ages, sample_weight=[1, 2])


def test_an_unfitted_estimator_says_so(portrait):
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        AgeEstimator().predict([portrait])


@pytest.mark.parametrize(("name", "years"), [("accurate", 4.6), ("fast", 5.2), ("classical", 6.6)])
def test_each_model_that_ships_is_as_good_as_its_card_says(photos_and_ages, name, years):
    photos, ages = photos_and_ages
    model = ageboost.load_pretrained(name)
    assert np.nanmean(np.abs(model.predict(photos) - ages)) < years


def test_no_photos_give_an_empty_table_and_array(fitted):
    assert len(fitted.analyze([])) == 0
    assert fitted.predict([]).shape == (0,)


def test_a_model_that_does_not_know_how_far_it_is_off_gives_ages_without_ranges(face_variants):
    photos, ages = face_variants
    table = quick(interval_folds=None).fit(photos, ages).analyze(photos[:2])
    assert table["age"].notna().all()
    assert table[["age_low", "age_high"]].isna().all(axis=None)


def test_errors_tell_the_same_after_they_came_from_another_process():
    lost = NoFaceError("no face in 'a.jpg'")
    for error in (
        PhotosError([(3, lost)], 5),
        LabelsError("l.csv", [(1, "'b.jpg': no such file")]),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
    assert again.problems == [(1, "'b.jpg': no such file")]


@pytest.mark.parametrize(
    ("regressor", "trees"),
    [
        (XGBRegressor(n_estimators=200, learning_rate=0.5, max_depth=3), "n_estimators"),
        (
            CatBoostRegressor(
                iterations=200, learning_rate=0.5, depth=2, verbose=0, allow_writing_files=False
            ),
            "iterations",
        ),
    ],
)
def test_trees_stop_where_they_no_longer_help(regressor, trees):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 136))
    ages = (40 + 8 * matrix[:, 0] + 3 * rng.normal(size=300)).clip(0)
    estimator = AgeEstimator(
        FaceFeatures([("geometry", LandmarkGeometry())]),
        reduction=None,
        regressor=regressor,
        interval_folds=2,
        early_stopping_rounds=10,
        random_state=0,
    )
    estimator.fit_features(matrix[:200], ages[:200])
    assert 1 <= estimator.regressor_.get_params()[trees] < 100
    assert estimator.get_params()[f"regressor__{trees}"] == 200
    errors = np.abs(estimator.age_regressor_.predict(matrix[200:]) - ages[200:])
    assert errors.mean() < 0.8 * np.abs(ages - ages.mean()).mean()
    assert estimator.calibration_ is not None


def test_early_stopping_of_what_has_no_trees_says_which_regressors_have_them(face_variants):
    photos, ages = face_variants
    with pytest.raises(ValueError, match=r"Ridge: pass regressor='xgboost' or 'catboost'"):
        quick(early_stopping_rounds=5).fit(photos, ages)
    with pytest.raises(ValueError, match=r"early_stopping_rounds=0: pass None, 1 or more"):
        quick(early_stopping_rounds=0).fit(photos, ages)
