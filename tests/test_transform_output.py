"""scikit-learn can be set to return tables; steps between photos and ages go on as before."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ageboost
from ageboost import AgeEstimator, retail
from ageboost.evaluation import explain, feature_importance, make_report
from ageboost.features import HOG, FaceFeatures, LandmarkGeometry
from ageboost.models import (
    AgeRegressor,
    GroupedPCA,
    KernelScores,
    choose_quality_threshold,
    tune,
)


@pytest.fixture(params=["pandas", "polars"])
def asked_for_tables(request):
    pytest.importorskip(request.param)
    with sklearn.config_context(transform_output=request.param):
        yield request.param


def small(**params):
    features = FaceFeatures([("hog", HOG(cell_size=32)), ("geometry", LandmarkGeometry())])
    estimator = AgeEstimator(features, random_state=0, **params)
    return estimator.set_params(regressor__n_estimators=10, reduction__n_centers=30)


@pytest.fixture(scope="module")
def fitted_before(face_variants):
    return small().fit(*face_variants)


def test_a_model_is_fitted_to_the_same_ages(asked_for_tables, fitted_before, face_variants):
    photos, ages = face_variants
    fitted = small().fit(photos, ages)
    np.testing.assert_array_equal(fitted.predict(photos), fitted_before.predict(photos))
    np.testing.assert_array_equal(fitted.predict(photos), fitted.analyze(photos)["age"])


def test_a_model_that_ships_is_loaded_and_answers(asked_for_tables, portrait):
    model = ageboost.load_pretrained("fast")
    [found] = model.predict([portrait])
    with sklearn.config_context(transform_output="default"):
        [expected] = model.predict([portrait])
    assert found == expected
    assert model.predict_interval([portrait]).shape == (1, 2)


def test_a_model_is_saved_loaded_and_calibrated(
    asked_for_tables, fitted_before, face_variants, tmp_path
):
    photos, ages = face_variants
    fitted_before.save(tmp_path / "mine.ageboost")
    loaded = ageboost.load(tmp_path / "mine.ageboost").calibrate(photos, ages + 1)
    np.testing.assert_array_equal(loaded.predict(photos), fitted_before.predict(photos))


def test_a_buyer_is_checked_and_the_buyers_of_receipts_are_estimated(asked_for_tables, portrait):
    model = ageboost.load_pretrained("fast")
    assert retail.check(portrait, retail.AlcoholPolicy(), model).age is not None
    photos = pd.DataFrame({"photo": [portrait], "receipt_id": ["a"]})
    buyers = retail.estimate_buyers(photos, pd.DataFrame({"receipt_id": ["a"]}), model)
    assert buyers["status"].tolist() == ["ok"]


def test_reasons_are_the_same(asked_for_tables, fitted_before, portrait):
    found = explain(fitted_before, portrait)
    with sklearn.config_context(transform_output="default"):
        expected = explain(fitted_before, portrait)
    np.testing.assert_array_equal(found.regions, expected.regions)
    assert feature_importance(fitted_before, [portrait]).n_photos == 1
    assert np.isfinite(explain(ageboost.load_pretrained("fast"), portrait).regions).all()


def test_a_search_finds_the_same(asked_for_tables, face_variants):
    pytest.importorskip("optuna")
    photos, ages = face_variants
    space = {"regressor__max_depth": {"type": "int", "low": 1, "high": 3}}

    def search():
        return tune(small(), photos, ages, space=space, n_trials=2, random_state=0).best_score

    found = search()
    with sklearn.config_context(transform_output="default"):
        assert search() == found


def test_a_report_is_written(asked_for_tables, face_variants, fitted_before):
    pytest.importorskip("jinja2")
    table = pd.DataFrame({"photo": face_variants[0], "age": face_variants[1]})
    made = make_report(table[:6], fitted_before)
    assert (made.photos["status"] == "ok").all()


def test_cross_validation_goes_through(asked_for_tables, face_variants):
    photos, ages = face_variants
    found = cross_val_predict(small(interval_folds=None), photos, ages, cv=3)
    assert np.isfinite(found).all()


def test_a_transformer_that_the_user_calls_returns_what_was_asked_for(asked_for_tables, portrait):
    features = FaceFeatures([("geometry", LandmarkGeometry())])
    matrix = np.random.default_rng(0).normal(size=(30, 6))
    for table in (
        features.transform([portrait]),
        KernelScores(random_state=0).fit(matrix, matrix[:, 0]).transform(matrix),
        GroupedPCA(random_state=0).fit_transform(matrix),
    ):
        assert type(table).__module__.partition(".")[0] == asked_for_tables
    regressor = AgeRegressor(regressor=Ridge(), random_state=0).fit(matrix, 40 + matrix[:, 0])
    assert isinstance(regressor.predict(matrix), np.ndarray)


def test_rows_of_a_table_are_as_good_as_an_array(asked_for_tables, fitted_before, portrait):
    table = fitted_before.features_.transform([portrait])
    np.testing.assert_array_equal(
        fitted_before.age_regressor_.predict(table), fitted_before.predict([portrait])
    )


@pytest.mark.parametrize(
    "reduction", [GroupedPCA(5), KernelScores(5, n_centers=20, random_state=0), PCA(5)]
)
def test_parts_that_are_set_to_tables_by_themselves_make_the_same_model(face_variants, reduction):
    photos, ages = face_variants

    def fit(output):
        hog = HOG(cell_size=32).set_output(transform=output)
        features = FaceFeatures([("hog", hog), ("geometry", LandmarkGeometry())])
        regressor = make_pipeline(StandardScaler(), Ridge()).set_output(transform=output)
        estimator = AgeEstimator(
            features.set_output(transform=output),
            reduction=reduction.set_output(transform=output),
            regressor=regressor,
            random_state=0,
        )
        return estimator.fit(photos, ages)

    tables = fit("pandas")
    np.testing.assert_allclose(tables.predict(photos), fit("default").predict(photos), atol=1e-6)
    if not isinstance(reduction, PCA):
        reasons = explain(tables, photos[0])
        total = reasons.base_value + reasons.regions.sum()
        assert total == pytest.approx(tables.predict(photos[:1])[0], abs=0.05)


def test_the_threshold_of_quality_is_the_same(asked_for_tables):
    qualities = np.linspace(0, 1, 1001)
    assert choose_quality_threshold(np.where(qualities < 0.2, 3.0, 1.0), qualities) == 0.2
