import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from ageboost import AgeEstimator, LabelsError, load
from ageboost.faces.face import Quality
from ageboost.features import FaceFeatures, LandmarkGeometry
from ageboost.models import (
    AgeCalibrator,
    choose_quality_threshold,
    relative_errors,
    risk_coverage_curve,
    write_card,
)
from ageboost.models.reliability import LEAST_QUALITY

FEATURES = FaceFeatures([("geometry", LandmarkGeometry())])
SHARES = (0.5, 0.8, 0.9, 0.95)


def people(n_photos, seed=0, noise=1.0, shift=0.0):
    """Faces whose first column is the age, whose second shows how far it may be off."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n_photos, 136))
    matrix[:, 0] = rng.uniform(5, 85, n_photos)
    matrix[:, 1] = rng.uniform(1, 4, n_photos)
    ages = rng.normal(matrix[:, 0] + shift, noise * matrix[:, 1]).clip(0, 110).round()
    return matrix.astype(np.float32), ages


def plain(**params):
    return AgeEstimator(
        FEATURES, reduction=None, regressor=LinearRegression(), random_state=0, **params
    )


@pytest.fixture(scope="module")
def model():
    return plain().fit_features(*people(3000))


@pytest.fixture(scope="module")
def fresh():
    return people(3000, seed=1)


def coverage(interval, ages):
    return ((interval[:, 0] <= ages) & (ages <= interval[:, 1])).mean()


@pytest.mark.parametrize("share", SHARES)
def test_intervals_hold_their_share_of_people_not_seen_before(model, fresh, share):
    matrix, ages = fresh
    interval = model.age_regressor_.predict_distribution(matrix).interval(share)
    assert abs(coverage(interval, ages) - share) < 0.02


def test_intervals_hold_their_share_in_every_decade(model, fresh):
    matrix, ages = fresh
    distribution = model.age_regressor_.predict_distribution(matrix)
    interval = distribution.interval(0.9)
    for decade in range(1, 8):
        part = distribution.ages // 10 == decade
        assert 0.85 < coverage(interval[part], ages[part]) < 0.95


def test_intervals_are_wider_for_faces_that_are_hard_to_tell(model, fresh):
    matrix, _ = fresh
    low, high = model.age_regressor_.predict_distribution(matrix).interval(0.9).T
    easy, hard = matrix[:, 1] < 1.5, matrix[:, 1] > 3.5
    assert (high - low)[hard].mean() > 1.6 * (high - low)[easy].mean()


def test_probabilities_are_as_frequent_as_they_say(model, fresh):
    matrix, ages = fresh
    for age in (12, 18, 40, 65):
        probable = model.age_regressor_.predict_distribution(matrix).over(age)
        for low, high in [(0.0, 0.1), (0.3, 0.7), (0.9, 1.0)]:
            part = (low <= probable) & (probable <= high)
            if part.sum() > 50:
                frequent = (ages[part] >= age).mean()
                assert abs(probable[part].mean() - frequent) < 1.5 / np.sqrt(part.sum())


def test_all_answers_of_a_distribution_agree(model, fresh):
    distribution = model.age_regressor_.predict_distribution(fresh[0][:50])
    interval = distribution.interval(0.8)
    np.testing.assert_allclose(interval, distribution.quantiles([0.1, 0.9]))
    np.testing.assert_allclose(distribution.quantiles([0.9, 0.1]), interval[:, ::-1])
    assert (np.diff(distribution.quantiles([0.05, 0.2, 0.5, 0.8, 0.95]), axis=1) >= 0).all()
    some = distribution[[3, 1]]
    np.testing.assert_array_equal(some.interval(0.8), interval[[3, 1]])
    assert len(distribution[distribution.ages > 1000]) == 0
    assert distribution[:0].interval(0.8).shape == (0, 2)


@settings(max_examples=50, deadline=None)
@given(ages=st.lists(st.floats(0, 120), min_size=2, max_size=5))
def test_the_probability_of_an_age_never_rises_with_the_age(model, fresh, ages):
    over = model.age_regressor_.predict_distribution(fresh[0][:100]).over(sorted(ages))
    assert (np.diff(over, axis=1) <= 0).all()
    assert ((over >= 0) & (over <= 1)).all()


def test_everybody_is_zero_or_older(model, fresh):
    assert (model.age_regressor_.predict_distribution(fresh[0][:20]).over(0) == 1).all()


def test_years_completed_are_told_from_ages_that_have_fractions():
    matrix, ages = people(500)
    whole = plain().fit_features(matrix, ages).age_regressor_.predict_distribution(matrix)
    np.testing.assert_array_equal(whole.over(17.2), whole.over(18))
    exact = plain().fit_features(matrix, ages + 0.25).age_regressor_.predict_distribution(matrix)
    assert (exact.over(17.2) > exact.over(18)).any()


def test_photos_give_what_their_features_give(fitted, face_variants):
    photos = face_variants[0][:4]
    distribution = fitted.predict_distribution(photos)
    np.testing.assert_array_equal(distribution.ages, fitted.predict(photos))
    np.testing.assert_array_equal(distribution.interval(0.5), fitted.predict_interval(photos, 0.5))
    matrix = fitted.features_.transform(photos)
    again = fitted.age_regressor_.predict_distribution(matrix)
    np.testing.assert_allclose(again.over([18, 60]), fitted.predict_over(photos, [18, 60]))
    np.testing.assert_allclose(again.quantiles(0.5), fitted.predict_quantiles(photos, 0.5))
    assert fitted.predict_over(photos, 18).shape == (4,)


def test_a_photo_without_a_face_has_no_distribution_and_the_others_keep_theirs(
    fitted, portrait, bad_photos
):
    model = copy.copy(fitted).set_params(on_error="nan")
    photos = [portrait, bad_photos["black"][0], portrait]
    distribution = model.predict_distribution(photos)
    for numbers in (distribution.interval(0.5), distribution.over([18, 21])):
        assert np.isnan(numbers[1]).all()
        assert np.isfinite(numbers[[0, 2]]).all()


def test_a_model_can_be_calibrated_on_other_people(model, fresh):
    strangers, ages = people(1500, seed=2, noise=2.0, shift=4.0)
    before = model.age_regressor_.predict_distribution(strangers)
    assert coverage(before.interval(0.9), ages) < 0.75
    moved = copy.copy(model.age_regressor_).calibrate(strangers[:700], ages[:700])
    after = moved.predict_distribution(strangers[700:])
    assert abs(coverage(after.interval(0.9), ages[700:]) - 0.9) < 0.04
    np.testing.assert_array_equal(after.ages, before.ages[700:])
    # The model that it was copied from says what it said.
    again = model.age_regressor_.predict_distribution(strangers)
    np.testing.assert_array_equal(again.interval(0.9), before.interval(0.9))


def test_a_model_is_calibrated_by_photos(fitted, face_variants, portrait):
    photos, ages = face_variants
    moved = copy.copy(fitted).calibrate(photos, ages + 30)
    assert (moved.predict_quantiles(photos, 0.5) > fitted.predict_quantiles(photos, 0.5)).all()
    np.testing.assert_array_equal(moved.predict(photos), fitted.predict(photos))


def test_calibration_gives_intervals_to_a_model_that_has_none(fresh):
    matrix, ages = fresh
    model = plain(interval_folds=None).fit_features(*people(500))
    with pytest.raises(ValueError, match=r"interval_folds=5.*calibrate"):
        model.age_regressor_.predict_distribution(matrix)
    model.age_regressor_.calibrate(matrix[:1000], ages[:1000])
    interval = model.age_regressor_.predict_distribution(matrix[1000:]).interval(0.9)
    assert abs(coverage(interval, ages[1000:]) - 0.9) < 0.03


def test_calibration_refuses_what_it_cannot_learn_from(model):
    matrix, ages = people(30)
    with pytest.raises(ValueError, match="10 photos are too few"):
        model.age_regressor_.calibrate(matrix[:10], ages[:10])
    with pytest.raises(LabelsError, match="not from 0 to 120"):
        model.age_regressor_.calibrate(matrix, ages - 200)


def test_few_photos_give_open_ends_and_no_error():
    model = plain().fit_features(*people(30))
    interval = model.age_regressor_.predict_distribution(people(5)[0]).interval(0.99)
    assert (interval[:, 0] == 0).all()
    assert (interval[:, 1] == 120).all()


@pytest.mark.parametrize("share", [0, 1, -0.5, 90])
def test_a_coverage_that_is_no_share_is_refused(model, fresh, share):
    distribution = model.age_regressor_.predict_distribution(fresh[0][:2])
    with pytest.raises(ValueError, match="above 0 and below 1"):
        distribution.interval(share)
    with pytest.raises(ValueError, match="above 0 and below 1"):
        distribution.quantiles([0.5, share])


def test_a_saved_model_believes_what_it_believed(model, fresh, tmp_path):
    model.save(tmp_path / "model.ageboost")
    for loaded in (load(tmp_path / "model.ageboost"), pickle.loads(pickle.dumps(model))):
        found = loaded.age_regressor_.predict_distribution(fresh[0])
        expected = model.age_regressor_.predict_distribution(fresh[0])
        np.testing.assert_array_equal(found.interval(0.9), expected.interval(0.9))
        np.testing.assert_array_equal(found.over(18), expected.over(18))


def test_equal_predictions_leave_no_bin_empty():
    predictions = np.repeat([20.0, 30.0], 600)
    ages = predictions + np.tile(np.arange(-3.0, 3.0), 200)
    calibrator = AgeCalibrator(random_state=0).fit(np.zeros((1200, 1)), predictions, ages)
    distribution = calibrator.predict(np.zeros((3, 1)), np.array([0.0, 20.0, 99.0]))
    assert np.isfinite(distribution.interval(0.9)).all()


def test_bad_photos_are_marked_when_they_foretell_errors():
    matrix, ages = people(2000)
    blurred = np.random.default_rng(0).random(2000) < 0.1
    ages[blurred] = (ages[blurred] + np.where(matrix[blurred, 2] > 0, 15, -15)).clip(0)
    qualities = [
        Quality(size=200, sharpness=2.0 if blur else 20.0, yaw=0, score=1.0) for blur in blurred
    ]
    model = plain().fit_features(matrix, ages, qualities=qualities)
    assert 0.25 < model.quality_threshold_ <= 1
    good = [Quality(size=200, sharpness=20.0, yaw=0, score=1.0)] * 2000
    assert plain().fit_features(matrix, ages, qualities=good).quality_threshold_ == LEAST_QUALITY
    assert plain().fit_features(matrix, ages).quality_threshold_ is None


def test_analyze_marks_faces_that_should_not_be_relied_on(fitted, portrait, bad_photos):
    strict = copy.copy(fitted)
    strict.quality_threshold_ = 2.0
    photos = [portrait, bad_photos["black"][0]]
    assert strict.analyze(photos)["reliable"].tolist()[0] is False
    assert fitted.analyze(photos)["reliable"].tolist()[0] is True
    strict.quality_threshold_ = None
    assert strict.analyze(photos)["reliable"].isna().all()
    assert fitted.analyze(photos)["reliable"].isna().tolist() == [False, True]


def test_errors_are_compared_with_those_of_people_of_such_an_age():
    rng = np.random.default_rng(0)
    predictions = rng.uniform(0, 80, 4000)
    ages = predictions + rng.normal(0, 1 + predictions / 10)
    relative = relative_errors(predictions, ages)
    young, old = relative[predictions < 20].mean(), relative[predictions > 60].mean()
    assert abs(young - 1) < 0.1
    assert abs(old - 1) < 0.1


def test_risk_falls_as_bad_photos_are_left_out():
    rng = np.random.default_rng(0)
    qualities = rng.uniform(0, 1, 500)
    errors = rng.exponential(2 - qualities)
    shares, risk, thresholds = risk_coverage_curve(errors, qualities)
    assert shares[0] == 1
    assert risk[0] == pytest.approx(errors.mean())
    assert risk[250] < risk[0]
    kept = qualities >= thresholds[100]
    assert shares[100] == kept.mean()
    assert risk[100] == pytest.approx(errors[kept].mean())


def test_the_threshold_parts_good_photos_from_bad_ones():
    rng = np.random.default_rng(0)
    qualities = rng.uniform(0, 1, 3000)
    errors = rng.exponential(np.where(qualities < 0.3, 2.5, 1.0))
    assert choose_quality_threshold(errors, qualities) == pytest.approx(0.3, abs=0.05)
    assert choose_quality_threshold(np.ones(3000), qualities) == 0


def test_the_card_beside_a_saved_model_holds_measured_figures(model, tmp_path):
    model.save(tmp_path / "mine.ageboost")
    card = (tmp_path / "mine.md").read_text()
    assert card == write_card(model)
    errors = np.abs(model.calibration_.predictions_ - model.calibration_.ages_)
    assert f"| {errors.mean():.2f} years |" in card
    inside = float(card.partition("inside the 90 % range | ")[2].partition("%")[0])
    assert abs(inside - 90) < 2
    assert "Learnt from 3,000 photos" in card
    bare = write_card(plain(interval_folds=None).fit_features(*people(50)))
    assert "Not measured" in bare
