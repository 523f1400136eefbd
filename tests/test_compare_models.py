"""Two models on the same photos: a paired difference, and people drawn with all their photos."""

import numpy as np
import pytest

from ageboost.evaluation import compare_models


@pytest.fixture(scope="module")
def errors():
    """Hard photos are hard for both; the second model is better by a third of a year."""
    rng = np.random.default_rng(0)
    ages = rng.uniform(5, 80, 400)
    shared = rng.normal(0, 5, 400)
    return ages, ages + shared + np.sign(shared) * 0.33, ages + shared + rng.normal(0, 0.5, 400)


def mae(table):
    return table.set_index("metric").loc["MAE"]


def test_a_small_difference_on_the_same_photos_is_certain(errors):
    ages, rough, fine = errors
    found = mae(compare_models(ages, rough, fine))
    assert found["a"] == pytest.approx(np.abs(rough - ages).mean())
    assert found["b"] == pytest.approx(np.abs(fine - ages).mean())
    assert found["low"] < found["difference"] < found["high"] < 0
    assert found["certain"]
    # Each figure by itself is known ten times less well.
    assert found["high"] - found["low"] < 0.3 * (np.abs(rough - ages).std() / 20 * 4)


def test_models_that_do_not_differ_are_not_told_apart(errors):
    ages, rough, _ = errors
    rng = np.random.default_rng(1)
    table = compare_models(ages, rough + rng.normal(0, 1, 400), rough + rng.normal(0, 1, 400))
    assert not table.query("metric in ['MAE', 'RMSE', 'bias']")["certain"].any()
    assert "which may be chance (95 % interval: -" in table.attrs["sentence"]
    same = compare_models(ages, rough, rough)
    assert (same[["difference", "low", "high"]] == 0).all().all()
    assert same.attrs["sentence"] == "The ages of a and b are the same."


def test_the_sentence_names_the_better_model_whichever_comes_first(errors):
    ages, rough, fine = errors
    forth, back = (
        compare_models(ages, *pair, coverage=0.9).attrs["sentence"]
        for pair in ((rough, fine), (fine, rough))
    )
    gain = np.abs(rough - ages).mean() - np.abs(fine - ages).mean()
    said = f"is better: off by {gain:.2f} years less than"
    assert forth.startswith(f"b {said} a on average (90 % interval: 0.")
    assert back.startswith(f"a {said} b on average (90 % interval: 0.")


def test_four_photos_of_each_person_say_no_more_than_one(errors):
    ages, rough, fine = errors
    once = mae(compare_models(ages, rough, fine))
    who = np.repeat(np.arange(400), 4)
    arguments = [np.repeat(values, 4) for values in errors]
    by_person = mae(compare_models(*arguments, groups=who))
    by_photo = mae(compare_models(*arguments))
    width = once["high"] - once["low"]
    assert by_person["high"] - by_person["low"] == pytest.approx(width, rel=0.1)
    assert by_photo["high"] - by_photo["low"] == pytest.approx(width / 2, rel=0.1)
    assert (by_person["people"], by_person["photos"]) == (400, 1600)


def test_intervals_hold_the_true_difference_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        shift = rng.normal(0.5, 1, 60)
        arguments = (np.zeros(60), np.full(60, 9.0), 9 + shift)
        found = mae(compare_models(*arguments, n_draws=500, random_state=seed))
        held += found["low"] <= 0.5 <= found["high"]
    assert 0.9 <= held / 200 <= 0.99


def test_photos_without_an_age_by_both_are_left_out(errors):
    ages, rough, fine = (values[:10].copy() for values in errors)
    rough[0], fine[1] = np.nan, np.nan
    groups = ["ann", "bob", None, None, np.nan, "ann", "bob", "cid", "cid", "cid"]
    found = mae(compare_models(ages, rough, fine, groups=groups))
    assert found["photos"] == 8
    # Ann, Bob, Cid, and three whose name is not known.
    assert found["people"] == 6
    with pytest.raises(ValueError, match="no photo for which both models give an age"):
        compare_models([1.0], [np.nan], [1.0])


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError, match="2 ages but 3 predictions_b"):
        compare_models([1, 2], [1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="2 photos but 1 groups"):
        compare_models([1, 2], [1, 2], [1, 2], groups=["a"])
