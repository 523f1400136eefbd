"""A model adapted to one's own camera: corrected ages, and ranges that hold there."""

import copy
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ageboost
from ageboost.evaluation import feature_importance
from ageboost.evaluation.explanation.contributions import feature_contributions
from ageboost.models import AgeCalibrator, AgeCorrection, write_card


def people(n_photos, seed=0, off=0.0, noise=4.0):
    rng = np.random.default_rng(seed)
    ages = np.floor(rng.uniform(13, 70, n_photos))
    return ages + off + rng.normal(0, noise, n_photos), ages


def test_ages_that_are_all_too_high_come_down():
    estimated, ages = people(100, off=5)
    new, truth = people(2000, seed=1, off=5)
    correction = AgeCorrection().fit(estimated, ages)
    assert abs((correction.correct(new) - truth).mean()) < 1.5


def test_a_bias_of_the_young_alone_leaves_the_old_as_they_were():
    estimated, ages = people(400)
    estimated = np.where(ages < 25, estimated + 7, estimated)
    correction = AgeCorrection().fit(estimated, ages)
    assert correction.correct([22.0])[0] < 19
    assert abs(correction.correct([60.0])[0] - 60) < 1.5


def test_where_nothing_is_wrong_almost_nothing_is_changed():
    unchanged = 0
    for seed in range(12):
        estimated, ages = people(50, seed=seed)
        correction = AgeCorrection().fit(estimated, ages)
        new, truth = people(2000, seed=100 + seed)
        lost = np.abs(correction.correct(new) - truth).mean() - np.abs(new - truth).mean()
        assert lost < 0.5
        unchanged += correction.strength_ == 0
    assert unchanged >= 8


def test_one_wrong_label_does_not_move_the_others():
    estimated, ages = people(60)
    estimated[7] = 100
    assert abs(AgeCorrection().fit(estimated, ages).correct([40.0])[0] - 40) < 1.5


@settings(max_examples=15)
@given(st.integers(0, 200), st.floats(-15, 15), st.floats(0.5, 12))
def test_corrected_ages_rise_with_predicted_ages_and_are_never_negative(seed, off, noise):
    correction = AgeCorrection().fit(*people(30, seed, off, noise))
    corrected = correction.correct(np.linspace(0, 120, 400))
    assert (np.diff(corrected) >= -1e-4).all()
    assert corrected.min() >= 0


def test_photos_of_one_person_are_not_taken_for_evidence_of_many():
    estimated, ages = people(100, off=0.0, noise=0.5)
    who = np.arange(100) % 5
    estimated += np.array([6.0, -6.0, 5.0, -5.0, 1.0])[who]
    assert AgeCorrection().fit(estimated, ages, groups=who).strength_ == 0


def test_a_printed_correction_says_what_it_does_and_its_repr_stays_scikit_learns():
    moving, still = AgeCorrection().fit(*people(100, off=5)), AgeCorrection().fit(*people(50))
    assert re.fullmatch(r"moves ages by up to \d\.\d years", str(moving))
    assert str(still) == "none, as no correction was better in cross-validation"
    assert repr(moving) == repr(still) == str(AgeCorrection()) == "AgeCorrection()"


def test_too_few_photos_or_people_are_an_error_that_says_how_many_are_needed():
    estimated, ages = people(30)
    with pytest.raises(ValueError, match=r"24 photos of 24 people .* give 25 photos"):
        AgeCorrection().fit(estimated[:24], ages[:24])
    with pytest.raises(ValueError, match="30 photos of 2 people"):
        AgeCorrection().fit(estimated, ages, groups=["ann", "bob"] * 15)


@pytest.fixture(scope="module")
def adapted(fitted, face_variants):
    """A model whose ages were seven years too high at one's own camera."""
    model = copy.copy(fitted)
    return model.adapt(face_variants[0], np.maximum(fitted.predict(face_variants[0]) - 7, 0))


def test_an_adapted_model_gives_corrected_ages_everywhere(fitted, adapted, face_variants):
    photos = face_variants[0]
    before, after = fitted.predict(photos), adapted.predict(photos)
    assert np.median(after - before) == pytest.approx(-7, abs=1.5)
    np.testing.assert_array_equal(adapted.predict_distribution(photos).ages, after)
    table, uncorrected = adapted.analyze(photos[:3]), fitted.analyze(photos[:3])
    expected = adapted.correction_.correct(uncorrected["age"])
    np.testing.assert_allclose(table["age"], expected, atol=1e-3)
    [low, high] = adapted.predict_interval(photos[:1])[0]
    assert low <= after[0] <= high


def test_the_model_that_was_copied_is_not_adapted(fitted, adapted):
    assert fitted.correction_ is None
    assert fitted.calibration_ is not adapted.calibration_
    assert fitted.calibration_.prior_errors_ is None


def test_an_adapted_model_is_the_same_after_saving_and_its_card_says_what_was_done(
    adapted, face_variants, tmp_path
):
    adapted.save(tmp_path / "mine.ageboost")
    loaded = ageboost.load(tmp_path / "mine.ageboost")
    photos = face_variants[0][:4]
    np.testing.assert_allclose(loaded.predict(photos), adapted.predict(photos), atol=1e-3)
    np.testing.assert_allclose(
        loaded.predict_interval(photos), adapted.predict_interval(photos), atol=1e-3
    )
    assert f"adapted to 30 photos of one camera (correction: {adapted.correction_})" in write_card(
        loaded
    )


def test_fitting_anew_forgets_the_camera(adapted, fitted, face_variants):
    model = copy.copy(adapted)
    matrix = adapted.features_.transform(face_variants[0])
    assert model.fit_features(matrix, face_variants[1]).correction_ is None


def test_reasons_add_up_to_the_corrected_age(adapted, face_variants):
    matrix = adapted.features_.transform(face_variants[0][:3])
    years, base = feature_contributions(adapted, matrix)
    np.testing.assert_allclose(
        base + years.sum(axis=1), adapted.age_regressor_.predict(matrix), atol=0.1
    )
    assert feature_importance(adapted, face_variants[0][:2]).n_photos == 2


def test_few_photos_of_ones_own_give_ranges_that_hold_there():
    estimated, ages = people(3000, noise=3)
    shipped = AgeCalibrator().keep(estimated, ages, np.full(3000, 2.4))
    held = []
    for seed in range(25):
        here, truth = people(50, seed=seed, noise=8)
        calibrator = copy.copy(shipped).adapt(here, truth, np.full(50, 2.4))
        new, new_truth = people(500, seed=1000 + seed, noise=8)
        low, high = calibrator.distribution(new, np.full(500, 2.4)).interval(0.9).T
        held.append(((low <= new_truth) & (new_truth <= high)).mean())
    assert 0.87 < np.mean(held) < 0.94
    assert min(held) > 0.75


def test_groups_of_another_length_or_without_a_name_are_an_error(fitted, face_variants):
    with pytest.raises(ValueError, match="30 photos but 2 groups"):
        copy.copy(fitted).adapt(*face_variants, groups=["ann", "bob"])
    with pytest.raises(ValueError, match="no entry for 1 photos, the first in row 29"):
        copy.copy(fitted).adapt(*face_variants, groups=[*range(29), None])
