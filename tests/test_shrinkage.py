"""Ages drawn away from the middle, where predictions shrink towards it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

import ageboost
from ageboost.evaluation.explanation.contributions import feature_contributions
from ageboost.models import ShrinkageCorrection
from ageboost.models.adaptation import correct_ages, learn_correction


def people(n, shrunk, seed=0):
    rng = np.random.default_rng(seed)
    ages = rng.gamma(4, 9, n).clip(1, 95)
    return 33 + shrunk * (ages - 33) + rng.normal(0, 3, n), ages


@pytest.fixture(scope="module")
def learnt():
    return ShrinkageCorrection().fit(*people(4000, 0.7))


def test_bias_of_young_and_old_shrinks_and_errors_hardly_grow_on_other_people(learnt):
    predicted, ages = people(4000, 0.7, seed=1)
    corrected = learnt.correct(predicted)
    assert np.abs(corrected - ages).mean() <= 1.005 * np.abs(predicted - ages).mean()
    for band in ((ages >= 13) & (ages < 25), ages >= 60):
        before, after = (predicted - ages)[band].mean(), (corrected - ages)[band].mean()
        assert abs(after) < abs(before) / 2


def test_where_every_map_makes_errors_larger_nothing_is_corrected():
    ages = np.random.default_rng(0).uniform(1, 90, 2500)
    exact = ShrinkageCorrection().fit(ages, ages)
    assert np.abs(exact.correct(ages) - ages).max() < 0.01


@given(st.lists(st.floats(0, 120), min_size=2, max_size=30))
def test_corrected_ages_rise_with_predicted_ones(learnt, predicted):
    corrected = learnt.correct(np.sort(predicted))
    assert (np.diff(corrected) >= -1e-5).all()
    assert corrected.min() >= 0


def test_a_face_is_corrected_alike_alone_and_among_others_and_none_stays_none(learnt):
    predicted = np.array([3.0, 17.2, np.nan, 44.4, 101.0])
    together = learnt.correct(predicted)
    alone = [learnt.correct([one])[0] for one in predicted]
    assert np.array_equal(together, alone, equal_nan=True)
    assert np.isnan(together[2])


def test_few_photos_are_refused_and_the_folds_are_the_only_chance():
    predicted, ages = people(1999, 0.7)
    with pytest.raises(ValueError, match="1999 photos are too few"):
        ShrinkageCorrection().fit(predicted, ages)
    predicted, ages = people(2000, 0.7)
    first = ShrinkageCorrection(random_state=3)
    again = clone(first).fit(predicted, ages)
    assert np.array_equal(first.fit(predicted, ages).corrections_, again.corrections_)


def test_a_model_that_ships_draws_the_young_down_and_keeps_that_when_saved(face_variants, tmp_path):
    photos = face_variants[0][:3]
    model, without = ageboost.load_pretrained("fast"), ageboost.load_pretrained("fast")
    kept = model.calibration_.known_
    young = (kept.ages_ >= 18) & (kept.ages_ < 25)
    assert (kept.predictions_ - kept.ages_)[young].mean() < 3
    assert model.shrinkage_.correct([20.0])[0] < 20
    without.shrinkage_ = None
    ages = model.predict(photos)
    assert np.array_equal(model.shrinkage_.correct(without.predict(photos)), ages)
    model.save(tmp_path / "mine.ageboost")
    loaded = ageboost.load(tmp_path / "mine.ageboost")
    np.testing.assert_allclose(loaded.predict(photos), ages, atol=1e-3)
    matrix = model.features_.transform(photos)
    years, base = feature_contributions(model, matrix)
    np.testing.assert_allclose(base + years.sum(axis=1), ages, atol=0.1)


def test_a_camera_that_shows_the_young_as_they_are_is_corrected_from_plain_ages(learnt):
    rng = np.random.default_rng(5)
    ages = rng.uniform(12, 30, 150)
    everybody, scales = np.arange(150), np.ones(150)
    plain = ages + 4 + rng.normal(0, 2, 150)
    correction = learn_correction(plain, learnt, ages, scales, everybody)
    assert correction.replaces_shrinkage_
    assert np.abs(correct_ages(plain, learnt, correction) - ages).mean() < 2
    # Where ages are right once they are drawn apart, that stays, and nothing comes on top.
    known, truth = people(150, 0.7, seed=7)
    left = learn_correction(known, learnt, truth, scales, everybody)
    assert np.abs(correct_ages(known, learnt, left) - truth).mean() <= (
        np.abs(learnt.correct(known) - truth).mean() + 0.3
    )


def test_an_adapted_model_is_the_same_after_saving(face_variants, tmp_path):
    photos = face_variants[0] * 2
    model = ageboost.load_pretrained("fast")
    ages = np.linspace(20, 34, len(photos))
    model.adapt(photos[:30], ages[:30])
    model.save(tmp_path / "mine.ageboost")
    loaded = ageboost.load(tmp_path / "mine.ageboost")
    assert loaded.correction_.replaces_shrinkage_ == model.correction_.replaces_shrinkage_
    np.testing.assert_allclose(loaded.predict(photos[:3]), model.predict(photos[:3]), atol=1e-3)
