"""The estimator checks of scikit-learn, on everything that takes numbers."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from ageboost import AgeEstimator
from ageboost.features import HOG, LBP, CNNActivations, FaceFeatures, LandmarkGeometry
from ageboost.models import AgeRegressor, GroupedPCA, KernelScores, make_regressor

# Checks that cannot apply to what takes photos or faces: they pass matrices of numbers, which is
# refused with an error that says what to pass (tested elsewhere). The others follow below.
TAKE_PHOTOS_OR_FACES = [
    AgeEstimator(),
    FaceFeatures(),
    HOG(),
    LBP(),
    LandmarkGeometry(),
    CNNActivations(),
]


def small_regressor():
    regressor = make_regressor("blend", random_state=0, n_jobs=1)
    regressor.set_params(xgboost__n_estimators=20, catboost__iterations=20)
    return AgeRegressor(regressor=regressor, random_state=0)


def checks_that_cannot_apply(estimator):
    if not isinstance(estimator, AgeRegressor):
        return {}
    reason = "centres, folds and trees' rows are drawn at random, one by one"
    return {"check_sample_weight_equivalence_on_dense_data": reason}


@parametrize_with_checks(
    [GroupedPCA(random_state=0), KernelScores(random_state=0), small_regressor()],
    expected_failed_checks=checks_that_cannot_apply,
)
def test_what_takes_numbers_passes_the_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("part", TAKE_PHOTOS_OR_FACES, ids=lambda part: type(part).__name__)
class TestWhatTakesPhotosOrFaces:
    def test_it_clones(self, part):
        copy = clone(part)
        assert copy is not part
        assert repr(copy.get_params(deep=False)) == repr(part.get_params(deep=False))

    def test_init_only_stores(self, part):
        for name, value in part.get_params(deep=False).items():
            assert getattr(part, name) is value

    def test_parameters_that_are_set_are_those_that_are_got(self, part):
        copy = clone(part)
        copy.set_params(**copy.get_params(deep=False))
        assert repr(copy) == repr(part)

    def test_an_unknown_parameter_is_refused(self, part):
        with pytest.raises(ValueError, match="nonsense"):
            clone(part).set_params(nonsense=1)

    def test_numbers_in_place_of_photos_are_refused(self, part):
        X = np.zeros((5, 4))
        with pytest.raises((TypeError, ValueError)):
            part.fit(X, np.arange(5.0)) if isinstance(part, AgeEstimator) else part.transform(X)


@pytest.mark.parametrize("name", ["xgboost", "catboost", "blend"])
def test_regressors_by_name_are_seeded(name):
    X = np.random.default_rng(0).normal(size=(60, 5))
    fits = [make_regressor(name, random_state=3).fit(X, X[:, 0]).predict(X) for _ in range(2)]
    np.testing.assert_array_equal(*fits)


def test_components_are_those_of_a_pca_on_standardised_features():
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    X = np.random.default_rng(0).normal(size=(80, 12)) @ np.diag(np.arange(1, 13))
    found = GroupedPCA(4).fit(X, groups=["a"] * 5 + ["b"] * 7).transform(X)
    for scores, block in ((found[:, :4], X[:, :5]), (found[:, 4:], X[:, 5:])):
        expected = PCA(4).fit_transform(StandardScaler().fit_transform(block))
        expected /= np.sqrt((expected**2).sum(axis=1).mean())
        np.testing.assert_allclose(np.abs(scores), np.abs(expected), atol=1e-4)


def test_kernels_tell_what_is_smooth_and_hide_what_they_have_seen():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6))
    noise = rng.normal(size=400)
    scores = KernelScores(random_state=0, alpha=1e-3)
    held_out = scores.cross_fit_transform(X, noise)[:, 0]
    seen = scores.transform(X)[:, 0]
    assert np.corrcoef(seen, noise)[0, 1] > 0.5
    assert abs(np.corrcoef(held_out, noise)[0, 1]) < 0.2
    smooth = np.sin(X[:, 0]) + X[:, 1]
    held_out = KernelScores(random_state=0).cross_fit_transform(X, smooth)[:, 0]
    assert np.corrcoef(held_out, smooth)[0, 1] > 0.9


def test_components_of_many_columns_are_those_of_few_steps_less():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(300, 4)) * [40, 30, 20, 10]
    X = hidden @ rng.normal(size=(4, 260)) + rng.normal(size=(300, 260))
    few = GroupedPCA(4, random_state=0).fit(X).transform(X)
    # As many as half of the columns are found exactly.
    many = GroupedPCA(130).fit(X).transform(X)[:, :4]
    likeness = [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(few.T, many.T, strict=True)]
    np.testing.assert_allclose(likeness, 1, atol=1e-3)


def test_components_of_no_sense_are_refused():
    X = np.random.default_rng(0).normal(size=(20, 5))
    with pytest.raises(ValueError, match="n_components=0: pass 1 or more"):
        GroupedPCA(0).fit(X)
    with pytest.raises(ValueError, match=r"groups has shape \(3,\) for 5 features"):
        GroupedPCA(2).fit(X, groups=["a", "a", "b"])


def test_weights_of_nothing_are_refused():
    X = np.random.default_rng(0).normal(size=(20, 5))
    with pytest.raises(ValueError, match="zero"):
        small_regressor().fit(X, np.abs(X[:, 0]), sample_weight=np.zeros(20))


@pytest.mark.parametrize(
    "part", [HOG(), LBP(), LandmarkGeometry(), CNNActivations(), FaceFeatures("classical")]
)
def test_features_need_no_fit_and_say_so(part):
    check_is_fitted(part)
    assert not get_tags(part).requires_fit
    assert not get_tags(part).input_tags.two_d_array
