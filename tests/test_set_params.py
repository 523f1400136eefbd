"""Parameters can be set in any combination and order, also on parts that are given by name."""

from itertools import permutations

import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import ParameterGrid
from xgboost import XGBRegressor

from ageboost import AgeEstimator
from ageboost.features import FaceFeatures

CHANGES = {
    "regressor": "blend",
    "random_state": 7,
    "n_jobs": 2,
    "regressor__xgboost__max_depth": 4,
    "reduction__n_components": 30,
    "features": "classical",
    "features__hog__cell_size": 8,
}


def seen(estimator):
    names = (
        *("random_state", "n_jobs", "features__hog__cell_size", "reduction__n_components"),
        *("reduction__random_state", "regressor__xgboost__max_depth"),
        *("regressor__xgboost__random_state", "regressor__xgboost__n_jobs"),
        *("regressor__catboost__random_seed", "regressor__catboost__thread_count"),
    )
    return [estimator.get_params()[name] for name in names]


EXPECTED = [7, 2, 8, 30, 7, 4, 7, 2, 7, 2]


def test_a_seed_and_a_parameter_of_a_named_part_are_both_kept_in_one_call():
    estimator = AgeEstimator().set_params(random_state=1, n_jobs=3, regressor__max_depth=4)
    params = estimator.get_params()
    assert params["regressor__max_depth"] == 4
    assert params["regressor__random_state"] == 1
    assert params["regressor__n_jobs"] == 3


@pytest.mark.parametrize("order", [list(CHANGES), list(reversed(CHANGES)), sorted(CHANGES)])
def test_one_call_sets_all_of_them_in_any_order(order):
    estimator = AgeEstimator().set_params(**{name: CHANGES[name] for name in order})
    assert seen(estimator) == EXPECTED


def test_many_calls_set_all_of_them_in_any_order_that_makes_sense():
    inner = ("regressor__xgboost__max_depth", "reduction__n_components")
    for order in permutations(["random_state", "n_jobs", *inner]):
        estimator = AgeEstimator("classical", regressor="blend")
        for name in (*order, "features__hog__cell_size"):
            estimator.set_params(**{name: CHANGES[name]})
            estimator = clone(estimator)
        assert seen(estimator) == EXPECTED, order


def test_a_part_of_ones_own_keeps_its_seed():
    own = XGBRegressor(random_state=5)
    estimator = AgeEstimator(regressor=own).set_params(random_state=1, regressor__max_depth=3)
    assert estimator.get_params()["regressor__random_state"] == 5
    estimator = AgeEstimator().set_params(regressor__max_depth=3)
    estimator.set_params(regressor=Ridge(), random_state=1)
    assert estimator.regressor.random_state is None


def test_a_seed_that_was_set_on_the_part_itself_stays():
    estimator = AgeEstimator().set_params(regressor__random_state=5, random_state=1)
    assert estimator.get_params()["regressor__random_state"] == 5
    assert estimator.set_params(random_state=2).get_params()["regressor__random_state"] == 5


def test_the_device_is_followed_as_well():
    estimator = AgeEstimator(regressor="catboost").set_params(regressor__depth=3, device="cuda")
    assert estimator.get_params()["regressor__task_type"] == "GPU"
    assert estimator.set_params(device="cpu").regressor.get_params().get("task_type") is None
    assert estimator.get_params()["regressor__depth"] == 3


def test_a_grid_sets_what_it_says(face_variants):
    for params in ParameterGrid({"random_state": [1, 2], "regressor__max_depth": [2, 3]}):
        found = clone(AgeEstimator()).set_params(**params).get_params()
        assert found["regressor__random_state"] == params["random_state"]
        assert found["regressor__max_depth"] == params["regressor__max_depth"]


def test_the_finder_of_a_set_of_features_is_that_of_the_set():
    features = FaceFeatures().set_params(finder__max_side=500, transformers="fast")
    assert (features.finder.landmarks, features.finder.max_side) == (5, 500)
    estimator = AgeEstimator().set_params(features__finder__max_side=500, features="fast")
    assert estimator.get_params()["features__finder__landmarks"] == 5


def test_a_name_that_is_unknown_is_refused_and_can_be_corrected():
    estimator = AgeEstimator(regressor="blah")
    with pytest.raises(ValueError, match="'xgboost', 'catboost', 'blend'"):
        estimator.get_params()
    assert estimator.set_params(regressor="xgboost").get_params()["regressor__max_depth"] == 5
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        estimator.set_params(nonsense=1)
