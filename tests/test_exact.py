"""What stands between features and ages gives each row the same, whatever else is asked."""

import copy
import pickle

import numpy as np
import pytest
from catboost import CatBoostRegressor
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits
from xgboost import Booster, XGBRegressor

import ageboost
from ageboost.models import AgeRegressor, GroupedPCA, KernelScores
from ageboost.models._cuts import load_between_values, steady_trees, unit_of_leaves
from ageboost.models._exact import ExactProduct
from ageboost.models._one_row import SingleRows
from ageboost.models._rows import predict_rows, transform_rows


def numbers(n_rows=300, n_columns=40, seed=0):
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.uniform(-3, 3, n_columns)
    rows = (rng.normal(size=(n_rows, n_columns)) + 1) * scales
    return rows.astype(np.float32), scales


@given(st.integers(0, 1000), st.integers(1, 700), st.integers(1, 40), st.integers(1, 9))
def test_a_product_depends_neither_on_other_rows_nor_on_the_order_of_the_columns(
    seed, n_columns, n_outputs, n_rows
):
    rows, scales = numbers(n_rows, n_columns, seed)
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n_columns, n_outputs)) / scales[:, None]
    product = ExactProduct(matrix)
    found = product(rows)
    for size in (1, 2, 5):
        parts = [product(rows[i : i + size]) for i in range(0, n_rows, size)]
        np.testing.assert_array_equal(np.concatenate(parts), found)
    np.testing.assert_array_equal(product(rows[::-1])[::-1], found)
    # Within 128 columns no sum is rounded: then their order does not show either.
    few = slice(0, 128)
    order = rng.permutation(len(matrix[few]))
    np.testing.assert_array_equal(
        ExactProduct(matrix[few][order])(rows[:, few][:, order]),
        ExactProduct(matrix[few])(rows[:, few]),
    )
    size = np.abs(rows).astype(np.float64) @ np.abs(matrix)
    assert (np.abs(found - rows.astype(np.float64) @ matrix) <= 1e-5 * size.max()).all()


def test_a_product_of_nothing_and_of_zeros_is_nothing_and_zero():
    product = ExactProduct(np.zeros((5, 2)))
    assert product(np.empty((0, 5), np.float32)).shape == (0, 2)
    np.testing.assert_array_equal(product(np.zeros((3, 5))), np.zeros((3, 2)))


ROWS, _ = numbers()
AGES = 40 + 10 * np.tanh(ROWS[:, 0] / np.abs(ROWS[:, 0]).max()) + np.arange(300) % 7


def trees():
    return XGBRegressor(n_estimators=60, learning_rate=0.3, n_jobs=1, random_state=0)


REGRESSORS = {
    "trees": trees,
    "catboost": lambda: CatBoostRegressor(60, verbose=False, allow_writing_files=False),
    "ridge": RidgeCV,
    "components and trees": lambda: make_pipeline(StandardScaler(), PCA(8, whiten=True), trees()),
    "components and vectors": lambda: make_pipeline(StandardScaler(), PCA(8), SVR(C=10)),
    "weighted vote": lambda: VotingRegressor([("a", trees()), ("b", RidgeCV())], weights=[1, 2]),
    "stack": lambda: AgeRegressor(
        KernelScores(5, n_centers=90, random_state=0), "blend", n_jobs=1, random_state=0
    ),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_row_has_the_same_age_alone_and_among_others_with_any_number_of_threads(name):
    regressor = steady_trees(REGRESSORS[name]().fit(ROWS, AGES), ROWS)
    expected = predict_rows(regressor, ROWS)
    np.testing.assert_allclose(expected, np.ravel(regressor.predict(ROWS)), atol=0.01)
    for size in (1, 3, 16, 17):
        found = [predict_rows(regressor, ROWS[i : i + size]) for i in range(0, 51, size)]
        np.testing.assert_array_equal(np.concatenate(found)[:51], expected[:51])
    single = SingleRows()
    found = [predict_rows(regressor, row[None], single) for row in ROWS]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    with threadpool_limits(1, user_api="blas"):
        np.testing.assert_array_equal(predict_rows(regressor, ROWS), expected)


BOOSTED = {
    "XGBoost": (True, lambda: XGBRegressor(n_estimators=9, max_depth=3)),
    "one tree": (True, lambda: XGBRegressor(n_estimators=1, max_depth=6)),
    "leaf by leaf": (True, lambda: XGBRegressor(grow_policy="lossguide", max_leaves=9)),
    "forest": (True, lambda: XGBRegressor(n_estimators=3, num_parallel_tree=4, subsample=0.5)),
    "with a link": (False, lambda: XGBRegressor(n_estimators=9, objective="reg:gamma")),
    "dropped trees": (False, lambda: XGBRegressor(n_estimators=9, booster="dart", rate_drop=0.5)),
    "lines": (False, lambda: XGBRegressor(n_estimators=9, booster="gblinear")),
    "CatBoost": (True, lambda: CatBoostRegressor(9, verbose=False, allow_writing_files=False)),
    "branches": (
        False,
        lambda: CatBoostRegressor(
            9, grow_policy="Depthwise", verbose=False, allow_writing_files=False
        ),
    ),
}


@pytest.mark.parametrize("name", BOOSTED)
def test_trees_are_taken_out_for_single_rows_where_they_answer_the_same(name):
    taken, make = BOOSTED[name]
    regressor = make().fit(ROWS, AGES)
    if name != "lines":
        steady_trees(regressor, ROWS)
    trees = SingleRows().trees(regressor, ROWS.shape[1])
    assert (trees is not None) == taken
    if trees is not None:
        expected = np.ravel(regressor.predict(ROWS)).astype(float).tolist()
        assert [trees(row) for row in ROWS] == expected


def test_trees_that_were_stopped_early_are_left_to_their_library():
    regressor = XGBRegressor(n_estimators=50, early_stopping_rounds=2, learning_rate=1)
    regressor.fit(ROWS[:200], AGES[:200], eval_set=[(ROWS[200:], AGES[200:])], verbose=False)
    assert SingleRows().trees(regressor, ROWS.shape[1]) is None


def test_trees_for_single_rows_are_those_of_today_and_go_into_no_file():
    regressor = AgeRegressor(None, "blend", interval_folds=None, n_jobs=1, random_state=0)
    for ages in (AGES, AGES[::-1]):
        regressor.fit(ROWS, ages)
        for each in (regressor, pickle.loads(pickle.dumps(regressor)), copy.copy(regressor)):
            alone = [each.predict(row[None])[0] for row in ROWS[:9]]
            assert alone == regressor.predict(ROWS)[:9].tolist()
    size = len(pickle.dumps(regressor))
    regressor.predict(ROWS[:1])
    assert len(pickle.dumps(regressor)) == size


@pytest.mark.parametrize("name", ["fast", "accurate"])
def test_leaves_of_catboost_in_a_model_that_was_read_are_rounded(name):
    [catboost] = [
        part
        for part in ageboost.load_pretrained(name).regressor_.estimators_
        if isinstance(part, CatBoostRegressor)
    ]
    leaves, (_, bias) = catboost.get_leaf_values(), catboost.get_scale_and_bias()
    unit = unit_of_leaves([*leaves, bias], catboost.tree_count_)
    assert ([*leaves, bias] == np.rint([*leaves / unit, bias / unit]) * unit).all()


@pytest.mark.parametrize(
    "transformer",
    [GroupedPCA(6), KernelScores(6, n_centers=70, random_state=0), PCA(6), StandardScaler(), None],
    ids=lambda part: type(part).__name__,
)
def test_a_row_is_transformed_alike_alone_and_among_others(transformer):
    if transformer is not None:
        transformer.fit(ROWS, AGES)
    expected = transform_rows(transformer, ROWS)
    alone = [transform_rows(transformer, ROWS[i : i + 1]) for i in range(50)]
    np.testing.assert_array_equal(np.concatenate(alone), expected[:50])


# As far as processors and libraries differ.
NOISE = np.float32(2e-6)


def nudged(rows, seed=1):
    signs = np.random.default_rng(seed).choice([-1, 0, 1], rows.shape).astype(np.float32)
    return rows * (1 + NOISE * signs)


def test_last_bits_decide_nothing_for_rows_that_trees_have_learnt_from():
    plain = trees().fit(ROWS, AGES)
    # The trouble: cuts stand on values.
    assert np.abs(plain.predict(nudged(ROWS)) - plain.predict(ROWS)).max() > 0.1
    steady = steady_trees(trees().fit(ROWS, AGES), ROWS)
    np.testing.assert_array_equal(steady.predict(ROWS), plain.predict(ROWS))
    np.testing.assert_array_equal(steady.predict(nudged(ROWS)), plain.predict(ROWS))


def test_cuts_of_a_file_of_before_are_moved_off_the_values_once_and_by_little(tmp_path):
    plain = trees().fit(ROWS, AGES)
    booster = Booster()
    load_between_values(booster, bytes(plain.get_booster().save_raw("ubj")))
    again = Booster()
    saved = bytes(booster.save_raw("ubj"))
    load_between_values(again, saved)
    assert bytes(again.save_raw("ubj")) == saved
    loaded = XGBRegressor()
    booster.save_model(tmp_path / "m.ubj")
    loaded.load_model(tmp_path / "m.ubj")
    expected = plain.predict(ROWS)

    def moved(regressor, rows):
        return np.mean(np.abs(regressor.predict(rows) - expected) > 1e-4)

    assert moved(loaded, ROWS) < 0.02
    assert moved(plain, nudged(ROWS)) > 0.2
    assert moved(loaded, nudged(ROWS)) < 0.05


def test_a_cut_between_neighbouring_numbers_stays_where_it_parts_them():
    low = np.float32(1)
    high = np.nextafter(low, np.float32(2))
    column = np.array([low] * 20 + [high] * 20)[:, None]
    ages = np.array([20.0] * 20 + [60.0] * 20)
    steady = steady_trees(trees().fit(column, ages), column)
    np.testing.assert_allclose(steady.predict(column), ages, atol=1)
