"""Simulated buyers get real answers of a model for people as old as they are."""

import numpy as np
import pandas as pd
import pytest

import ageboost
from ageboost import RetailDataError
from ageboost.datasets import make_shop
from ageboost.retail import AgeGroups, simulate_buyers


@pytest.fixture(scope="module")
def model():
    return ageboost.load_pretrained("fast", camera="known")


def test_ages_are_as_far_off_as_the_model_says(model):
    truth = make_shop(5000, random_state=0).truth
    buyers = simulate_buyers(truth, model, random_state=0)
    assert (buyers["receipt_id"] == truth["receipt_id"]).all()
    inside = truth["age"].between(buyers["age_low"], buyers["age_high"])
    assert inside.mean() == pytest.approx(0.9, abs=0.03)
    assert np.abs(buyers["age"] - truth["age"]).mean() == pytest.approx(5, abs=1)


def test_a_seed_gives_the_same_buyers(model):
    truth = pd.DataFrame({"receipt_id": ["a", "b", "c"], "age": [9, 30, 70]})
    first, second = (simulate_buyers(truth, model, random_state=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_ages_that_nobody_has_get_the_nearest(model):
    truth = pd.DataFrame({"receipt_id": ["a", "b"], "age": [-5, 500]})
    young, old = simulate_buyers(truth, model, random_state=0)["age"]
    assert young < 10
    assert old > 60


def test_some_buyers_have_no_photo(model):
    truth = pd.DataFrame({"receipt_id": range(1000), "age": 40})
    buyers = simulate_buyers(truth, model, missing=0.2, random_state=0)
    lost = buyers["status"] == "no photo"
    assert lost.mean() == pytest.approx(0.2, abs=0.05)
    assert buyers.loc[lost, ["age", "under_18"]].isna().all(axis=None)


def test_groups_of_ones_own_get_their_probabilities(model):
    truth = pd.DataFrame({"receipt_id": ["a"], "age": [40]})
    groups = AgeGroups([21, 50])
    buyers = simulate_buyers(truth, model, groups, ages=[18], random_state=0)
    assert [name for name in buyers if name.startswith("under_")] == [
        "under_18",
        "under_21",
        "under_50",
    ]


def test_what_cannot_be_simulated_is_refused(model):
    with pytest.raises(RetailDataError, match="1 true ages are missing"):
        simulate_buyers(pd.DataFrame({"receipt_id": ["a"], "age": [np.nan]}), model)
    with pytest.raises(RetailDataError, match="age"):
        simulate_buyers(pd.DataFrame({"receipt_id": ["a"]}), model)
    unknowing = ageboost.load_pretrained("fast")
    unknowing.calibration_ = None
    with pytest.raises(ValueError, match="does not know how far its ages are off"):
        simulate_buyers(pd.DataFrame({"receipt_id": ["a"], "age": [4]}), unknowing)
