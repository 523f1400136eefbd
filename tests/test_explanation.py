import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor, VotingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from xgboost import XGBRegressor

import ageboost
from ageboost import AgeEstimator, NoFaceError, PhotoError, PhotosError, UnreadablePhotoError
from ageboost.evaluation import explain, feature_importance
from ageboost.evaluation.explanation.contributions import feature_contributions, share_out
from ageboost.evaluation.explanation.places import frame_of
from ageboost.evaluation.explanation.regions import (
    REGIONS,
    cover_face,
    label_regions,
    landmark_regions,
)
from ageboost.faces import FaceFinder
from ageboost.faces.alignment import chip_transform
from ageboost.features import HOG, LBP, CNNActivations, FaceFeatures, LandmarkGeometry
from ageboost.models import AgeRegressor, GroupedPCA, KernelScores, make_regressor

GEOMETRY = FaceFeatures([("geometry", LandmarkGeometry())])
KERNELS = KernelScores(n_centers=60, n_components=20, n_kept=5, random_state=0)


def faces_in_numbers(n_rows=120, n_columns=136):
    rng = np.random.default_rng(0)
    # Coordinates of landmarks go together, and differ in scale and mean.
    hidden = rng.normal(size=(n_rows, 6))
    matrix = hidden @ rng.normal(size=(6, n_columns)) + rng.normal(size=(n_rows, n_columns))
    matrix = (matrix * rng.uniform(0.1, 3, n_columns) + rng.normal(size=n_columns)).astype("f4")
    return matrix, 40 + 8 * np.tanh(hidden[:, 0]) + 5 * hidden[:, 1]


def fitted_on_numbers(regressor, reduction=None, features=GEOMETRY):
    matrix, ages = faces_in_numbers(n_columns=len(features.get_feature_names_out()))
    model = AgeEstimator(
        features, reduction=reduction, regressor=regressor, interval_folds=None, random_state=0
    )
    return model.fit_features(matrix, ages), matrix


def trees(name):
    n_trees = {"xgboost": "n_estimators", "catboost": "iterations"}
    return make_regressor(name, 0, 1).set_params(**{n_trees[name]: 30, "learning_rate": 0.2})


def blend():
    parts = [(name, trees(name)) for name in ("xgboost", "catboost")]
    return VotingRegressor([*parts, ("ridge", RidgeCV())])


REGRESSORS = {
    "xgboost": lambda: trees("xgboost"),
    "xgboost, stopped early": lambda: XGBRegressor(n_estimators=20, objective="reg:squarederror"),
    "catboost": lambda: trees("catboost"),
    "blend": blend,
    "weighted": lambda: VotingRegressor(blend().estimators, weights=[1, 2, 5]),
    "ridge": RidgeCV,
    "standardised ridge": lambda: make_pipeline(StandardScaler(), RidgeCV()),
    "components, ridge": lambda: make_pipeline(StandardScaler(), PCA(5, whiten=True), RidgeCV()),
    "stack": lambda: AgeRegressor(KERNELS, trees("xgboost"), random_state=0),
}


@pytest.mark.parametrize("regressor", REGRESSORS)
@pytest.mark.parametrize("reduction", [None, "pca", "kernel"])
def test_contributions_and_base_value_add_up_to_the_prediction(regressor, reduction):
    chosen = {None: None, "pca": GroupedPCA(20, random_state=0), "kernel": KERNELS}[reduction]
    model, matrix = fitted_on_numbers(REGRESSORS[regressor](), chosen)
    contributions, base_values = feature_contributions(model, matrix[:10])
    assert contributions.shape == (10, 136)
    predicted = model.age_regressor_.predict(matrix[:10])
    # To the very age that is given, not to one that is computed again.
    np.testing.assert_allclose(base_values + contributions.sum(axis=1), predicted, atol=1e-9)
    # No explanation of one photo by what cancels out of all proportion.
    assert np.abs(contributions).sum(axis=1).max() < 500


@pytest.mark.parametrize("regressor", ["xgboost", "catboost"])
def test_trees_on_plain_features_give_their_own_values(regressor):
    model, matrix = fitted_on_numbers(trees(regressor))
    contributions, base_values = feature_contributions(model, matrix[:5])
    # A column that no tree reads gives nothing.
    unread = model.regressor_.feature_importances_ == 0
    assert unread.any()
    np.testing.assert_allclose(contributions[:, unread], 0, atol=1e-6)
    assert np.ptp(base_values) == 0


def test_a_line_behind_components_is_its_coefficients_times_distances():
    # With as many components as columns, nothing is lost: the line can be read off.
    matrix, ages = faces_in_numbers(300, 12)
    features = FaceFeatures([("geometry", LandmarkGeometry(5))])
    model = AgeEstimator(features, reduction="pca", regressor=RidgeCV(), interval_folds=None)
    matrix = matrix[:, :10]
    model.fit_features(matrix, ages)
    contributions, base_values = feature_contributions(model, matrix)
    mean = matrix.mean(axis=0)
    steps = np.vstack([mean, mean + np.diag(matrix.std(axis=0))])
    at_mean, *others = model.age_regressor_.predict(steps.astype("f4"))
    slopes = (np.array(others) - at_mean) / matrix.std(axis=0)
    np.testing.assert_allclose(base_values, at_mean, atol=1e-3)
    np.testing.assert_allclose(contributions, slopes * (matrix - mean), atol=2e-2)


@pytest.fixture(scope="module")
def kernel_model():
    return fitted_on_numbers(make_pipeline(StandardScaler(), RidgeCV()), KERNELS)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0, 5),
    hnp.arrays(np.float32, 136, elements=st.floats(-3, 3, width=32)),
)
def test_integrated_gradients_keep_the_sum_however_far_a_face_is_from_the_mean(
    kernel_model, distance, direction
):
    model, matrix = kernel_model
    row = matrix.mean(axis=0) + distance * direction * matrix.std(axis=0)
    contributions, [base_value] = feature_contributions(model, row[None])
    raw = model.regressor_.predict(model.reduction_.transform(row[None]))
    # Ages are given in single precision.
    assert base_value + contributions.sum() == pytest.approx(raw[0], rel=1e-6, abs=1e-6)
    assert np.isfinite(contributions).all()


@given(
    hnp.arrays(np.float64, (7, 3), elements=st.floats(-1e3, 1e3)),
    hnp.arrays(np.float64, 3, elements=st.floats(-50, 50)),
)
def test_shares_sum_to_what_is_shared_and_never_grow_without_limit(terms, years):
    shares = share_out(years, terms)
    np.testing.assert_allclose(shares.sum(axis=0), years, atol=1e-9)
    assert (np.abs(shares).sum(axis=0) <= 5.6 * np.abs(years) + 1e-9).all()


@pytest.mark.parametrize("regressor", [RandomForestRegressor(n_estimators=3), SVR()])
def test_a_regressor_that_cannot_be_taken_apart_is_refused_by_name(regressor):
    model, matrix = fitted_on_numbers(regressor)
    with pytest.raises(ValueError, match=r"(RandomForestRegressor|SVR) cannot .* use XGBRegressor"):
        feature_contributions(model, matrix)


def test_an_objective_with_a_link_function_is_refused():
    model, matrix = fitted_on_numbers(XGBRegressor(n_estimators=9, objective="reg:gamma"))
    with pytest.raises(ValueError, match="without a link function"):
        feature_contributions(model, matrix)


@pytest.mark.parametrize("name", ["accurate", "fast", "classical"])
def test_years_of_models_that_ship_add_up_in_every_way(name, portrait):
    model = ageboost.load_pretrained(name)
    reasons = explain(model, portrait)
    [age] = model.predict([portrait])
    assert reasons.prediction == pytest.approx(age, abs=0.05)
    for years in (reasons.contributions, reasons.regions, reasons.groups, reasons.heatmap):
        total = reasons.base_value + np.sum(np.asarray(years))
        assert total == pytest.approx(reasons.prediction, abs=1e-6)
    assert tuple(reasons.regions.index) == REGIONS
    assert np.abs(reasons.contributions).sum() < 500


def test_a_model_of_geometry_has_its_reasons_at_landmarks(face_variants, portrait):
    model = AgeEstimator(GEOMETRY, reduction=None, regressor=trees("xgboost"), interval_folds=None)
    model.fit(*face_variants)
    reasons = explain(model, portrait)
    points = frame_of(model.features_).landmarks_of(FaceFinder().find(portrait)[0])
    rows, columns = np.indices(reasons.heatmap.shape)
    distances = [np.hypot(rows - y, columns - x) for x, y in points]
    assert np.abs(reasons.heatmap[np.min(distances, axis=0) > 15]).sum() < 1e-3
    by_name = reasons.contributions.groupby(np.repeat(landmark_regions(68), 2)).sum()
    for region, years in by_name.items():
        assert reasons.regions[region] == pytest.approx(years)
    assert reasons.regions[["forehead", "cheeks", "surroundings"]].eq(0).all()


def test_reasons_lie_where_photos_differ(portrait):
    # Ages that follow from how far the mouth is covered alone must come from there.
    [face] = FaceFinder().find(portrait)
    features = FaceFeatures([("lbp", LBP()), ("hog", HOG(cell_size=8))])
    frame = frame_of(features)
    mouth = label_regions(frame.shape_of(face), frame.size) == REGIONS.index("mouth")
    shares = np.linspace(0, 1, 40)
    faces = cover_face(face, [share * mouth for share in shares], frame)
    matrix = np.hstack([part.transform(faces) for _, part in features.transformers])
    model = AgeEstimator(features, regressor=trees("catboost"), interval_folds=None, random_state=0)
    model.set_params(reduction__n_components=10, reduction__n_centers=40)
    reasons = explain(model.fit_features(matrix, 20 + 60 * shares), portrait)
    assert reasons.regions.sum() < -15
    # Cells that reach into the mouth see it, and so do those that they are normalised with.
    rows, columns = np.nonzero(mouth)
    around = np.s_[rows.min() - 20 : rows.max() + 20, columns.min() - 20 : columns.max() + 20]
    assert reasons.heatmap[around].sum() / reasons.heatmap.sum() > 0.95
    assert reasons.regions[["forehead", "eyes", "surroundings"]].abs().sum() < 0.5


def test_columns_that_see_the_whole_face_are_placed_by_covering(portrait):
    features = FaceFeatures([("cnn", CNNActivations("utkface-mobilenet-small", levels=["age"]))])
    model, _ = fitted_on_numbers(RidgeCV(), features=features)
    reasons = explain(model, portrait)
    corners = np.abs(reasons.heatmap)[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(reasons.heatmap[60:90, 60:90]).mean() > corners.mean()
    # From a matrix there is nothing to cover.
    regions = feature_importance(model, matrix=features.transform([portrait])).regions
    assert regions["whole face"] == pytest.approx(abs(reasons.regions.sum()))


def test_a_face_of_five_landmarks_is_explained_by_the_mean_shape(face_variants, portrait):
    features = FaceFeatures([("geometry", LandmarkGeometry(5)), ("lbp", LBP())], FaceFinder(5))
    model = AgeEstimator(features, reduction="pca", regressor=RidgeCV(), interval_folds=None)
    reasons = explain(model.fit(*face_variants), portrait)
    total = reasons.base_value + reasons.regions.sum()
    assert total == pytest.approx(model.predict([portrait])[0], abs=0.05)


def test_areas_of_columns_are_those_of_their_cells(face):
    for part in (HOG(), LBP(), CNNActivations()):
        areas = part.feature_areas()
        assert len(areas) == len(part.get_feature_names_out())
    # What changes in one corner of the chip moves columns that look there, and no others.
    part = LBP(chip_size=128, padding=0.25)
    chip = face.chip(128)
    changed = chip.copy()
    changed[:14, :14] = 255 - changed[:14, :14]
    moved = np.abs(part.transform([face]) - _seen_as(face, part, changed))[0] > 0
    assert moved.any()
    left, top = part.feature_areas()[moved][:, :2].T
    np.testing.assert_allclose([left, top], -0.25)


def _seen_as(face, part, chip):
    import copy

    other = copy.copy(face)
    other._chips = {(part.chip_size, part.padding, 68): chip}
    return part.transform([other])


def test_a_transform_brings_the_landmarks_to_the_chip(face):
    import cv2

    transform = chip_transform(face.pixels, face.landmarks, 150, 0.25)
    warped = cv2.warpAffine(face.pixels, transform, (150, 150)).astype(float)
    assert np.abs(warped - face.chip(150, 0.25)).mean() < 2


def test_the_regions_of_a_face_lie_where_they_should(face):
    labels = label_regions(frame_of(GEOMETRY).shape_of(face), 150)
    rows = {name: np.nonzero(labels == label)[0].mean() for label, name in enumerate(REGIONS)}
    assert rows["forehead"] < rows["eyes"] < rows["nose"] < rows["mouth"]
    assert set(np.unique(labels)) == set(range(len(REGIONS)))


def test_importance_over_photos_is_the_mean_of_absolute_years(face_variants):
    # No trees: they can fall to the other side where numbers of a batch differ in the last bit.
    model = AgeEstimator("classical", reduction="pca", regressor=RidgeCV(), interval_folds=None)
    photos = face_variants[0][:3]
    importance = feature_importance(model.fit(*face_variants), photos)
    reasons = [explain(model, photo) for photo in photos]
    for part in ("regions", "groups", "contributions", "heatmap"):
        expected = np.mean([np.abs(getattr(one, part)) for one in reasons], axis=0)
        np.testing.assert_allclose(getattr(importance, part), expected, atol=1e-3)
    assert importance.n_photos == 3
    assert importance.chip.shape == (150, 150, 3)
    by_matrix = feature_importance(model, matrix=model.features_.transform(photos))
    assert by_matrix.chip is None
    np.testing.assert_allclose(by_matrix.groups, importance.groups, rtol=1e-3)


def test_importance_leaves_out_photos_without_a_face_if_asked(fitted, portrait, bad_photos):
    black = bad_photos["black"][0]
    with pytest.raises(PhotosError, match="1 of 2 photos"):
        feature_importance(fitted, [black, portrait])
    model = ageboost.load_pretrained("classical")
    importance = feature_importance(model, [black, portrait])
    [(position, error)] = importance.left_out
    assert (position, importance.n_photos) == (0, 1)
    assert isinstance(error, NoFaceError)
    with pytest.raises(PhotosError):
        feature_importance(model, [black])


def test_importance_needs_photos_or_a_matrix(fitted, portrait):
    with pytest.raises(ValueError, match="either photos or a matrix"):
        feature_importance(fitted)
    with pytest.raises(ValueError, match="no photos"):
        feature_importance(fitted, [])
    with pytest.raises(ValueError, match="no rows"):
        feature_importance(fitted, matrix=np.empty((0, 5676)))


def test_a_bad_photo_is_named(fitted, bad_photos):
    for kind in ("missing", "black", "text", "nothing"):
        with pytest.raises(PhotoError):
            explain(fitted, bad_photos[kind][0])
    with pytest.raises(UnreadablePhotoError, match=r"missing\.jpg"):
        explain(fitted, bad_photos["missing"][0])


def test_boxes_and_crops_are_taken_as_in_predict(fitted, portrait):
    box = (180, 70, 270, 170)
    [age] = fitted.predict([portrait], boxes=[box])
    assert explain(fitted, portrait, boxes=box).prediction == pytest.approx(age, abs=0.05)
    crop = portrait[60:180, 170:290]
    [age] = fitted.predict([crop], cropped=True)
    assert explain(fitted, crop, cropped=True).prediction == pytest.approx(age, abs=0.05)


def test_both_kinds_of_reasons_are_drawn(fitted, portrait, tmp_path):
    pytest.importorskip("matplotlib")
    for name, reasons in (
        ("photo", explain(fitted, portrait)),
        ("model", feature_importance(fitted, [portrait])),
        ("matrix", feature_importance(fitted, matrix=fitted.features_.transform([portrait]))),
    ):
        reasons.draw().savefig(tmp_path / f"{name}.png", dpi=60)
        assert np.asarray(Image.open(tmp_path / f"{name}.png")).std() > 10


def test_a_printed_explanation_shows_no_pixels(fitted, portrait):
    assert "array" not in repr(explain(fitted, portrait))
    assert "array" not in repr(feature_importance(fitted, [portrait]))


def test_drawing_without_matplotlib_says_how_to_get_it(fitted, portrait, monkeypatch):
    reasons = explain(fitted, portrait)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install"):
        reasons.draw()
