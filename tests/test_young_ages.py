"""What is said of minors and young adults: ranges by true age, probabilities that come true."""

import copy

import numpy as np
import pandas as pd
import pytest

import ageboost
from ageboost.evaluation import calibration_error, interval_coverage
from ageboost.models import AgeCalibrator, write_card

YOUNG = range(13, 25)


def photographed(ages, rng, shift=0.0):
    """What a model says that is less sure of some than of others, and draws all to 28 years."""
    scales = rng.uniform(1, 4, len(ages))
    drawn = ages + (28 - ages) * scales / 10 + rng.normal(0, 1.5 * scales)
    return (drawn + shift).clip(0), ages, scales


def people(n_people, seed=0, shift=0.0):
    """People as they are in collections: some of every age, most of them about 28."""
    rng = np.random.default_rng(seed)
    any_age, usual = rng.uniform(0, 70, n_people), rng.normal(28, 4, n_people)
    ages = np.floor(np.where(rng.random(n_people) < 0.4, any_age, usual))
    return photographed(ages, rng, shift)


def young(seed=1, shift=0.0, youngest=8, oldest=35):
    """As many people of each age."""
    rng = np.random.default_rng(seed)
    return photographed(np.floor(rng.uniform(youngest, oldest, 6000)), rng, shift)


def inside(calibrator, seen, coverage=0.9):
    predictions, ages, scales = seen
    low, high = calibrator.distribution(predictions, scales).interval(coverage).T
    return (low <= ages) & (ages <= high)


@pytest.fixture(scope="module")
def calibrator():
    return AgeCalibrator(random_state=0).keep(*people(12_000))


@pytest.fixture(scope="module")
def before(calibrator):
    """The same as files of earlier releases have it."""
    earlier = copy.copy(calibrator)
    earlier.young_ = None
    return earlier


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_ranges_hold_at_every_true_age_of_the_young(calibrator, before, coverage):
    seen = young()
    held = inside(calibrator, seen, coverage)
    without = inside(before, seen, coverage)
    for age in YOUNG:
        assert held[seen[1] == age].mean() > coverage - 0.05
    assert without[seen[1] == 17].mean() < coverage - 0.05


def test_ranges_are_wider_and_still_hold_the_old_ones(calibrator, before):
    predictions, _, scales = young()
    wide, narrow = (
        one.distribution(predictions, scales).interval(0.9) for one in (calibrator, before)
    )
    assert (wide[:, 0] <= narrow[:, 0]).all()
    assert (wide[:, 1] >= narrow[:, 1]).all()
    changed = (wide != narrow).any(axis=1)
    assert 0.1 < changed.mean() < 0.9
    # Nobody who is surely old gets a range that reaches down to the young.
    old = calibrator.distribution(np.full(5, 65.0), np.full(5, 2.0)).interval(0.9)
    np.testing.assert_array_equal(
        old, before.distribution(np.full(5, 65.0), np.full(5, 2.0)).interval(0.9)
    )


def test_ends_of_ranges_stay_quantiles_and_the_middle_stays_where_it_was(calibrator, before):
    distribution = calibrator.distribution(*young()[::2])
    for coverage in (0.2, 0.5, 0.8, 0.9, 0.99):
        shares = [(1 - coverage) / 2, (1 + coverage) / 2]
        np.testing.assert_array_equal(
            distribution.interval(coverage), distribution.quantiles(shares)
        )
    rising = distribution.quantiles([0.01, 0.05, 0.1, 0.2, 0.45, 0.5, 0.55, 0.9, 0.99])
    assert (np.diff(rising, axis=1) >= 0).all()
    middle = before.distribution(*young()[::2]).quantiles(0.5)
    np.testing.assert_array_equal(distribution.quantiles(0.5), middle)


@pytest.mark.parametrize("age", [16, 18, 21, 25])
def test_probabilities_that_are_not_sure_come_true(calibrator, age):
    predictions, ages, scales = people(20_000, seed=1)
    said = calibrator.distribution(predictions, scales).over(age)
    assert calibration_error(ages >= age, said, sure=0.02) < 0.03


def test_errors_of_a_whole_bin_say_probabilities_roughly(calibrator, before):
    predictions, ages, scales = people(20_000, seed=1)
    right, rough = (
        calibration_error(ages >= 18, one.distribution(predictions, scales).over(18), sure=0.02)
        for one in (calibrator, before)
    )
    assert right < 0.7 * rough


def test_no_age_is_more_probable_than_a_younger_one(calibrator):
    distribution = calibrator.distribution(*young()[::2])
    for ages in (np.arange(122), np.linspace(9.5, 31, 200)):
        over = distribution.over(ages)
        assert (np.diff(over, axis=1) <= 0).all()
        assert ((over >= 0) & (over <= 1)).all()
    each = distribution.of_each_age()
    np.testing.assert_allclose(each.sum(axis=1), 1)
    np.testing.assert_allclose(each[:, 18:].sum(axis=1), distribution.over(18))


def test_ages_that_have_fractions_are_held_as_well():
    predictions, ages, scales = people(12_000)
    fractions = np.random.default_rng(9).random(12_000)
    exact = AgeCalibrator().keep(predictions, ages + fractions, scales)
    predictions, ages, scales = young()
    there = ages + np.random.default_rng(8).random(len(ages))
    held = inside(exact, (predictions, there, scales))
    assert min(held[ages == age].mean() for age in YOUNG) > 0.85
    over = exact.distribution(predictions, scales).over(np.linspace(9, 32, 70))
    assert (np.diff(over, axis=1) <= 0).all()


def test_with_few_minors_and_nothing_known_before_nothing_is_promised_of_them():
    few = AgeCalibrator().keep(*people(500))
    assert few.young_ is None
    seen = young()
    assert inside(few, seen)[seen[1] == 17].mean() < 0.85


@pytest.mark.parametrize("n_photos", [60, 400])
def test_few_minors_of_ones_own_are_pooled_with_those_known_before(calibrator, n_photos):
    shift, held = -4.0, []
    for seed in range(5):
        own = people(n_photos, seed=10 + seed, shift=shift)
        mine = copy.copy(calibrator).adapt(*own)
        assert mine.young_ is not None
        np.testing.assert_array_equal(mine.ages_, own[1].astype(np.float32))
        seen = young(seed=100 + seed, shift=shift)
        minors = (seen[1] >= 13) & (seen[1] < 18)
        held.append(inside(mine, seen)[minors].mean())
    assert np.mean(held) > 0.86


def test_recalibrating_pools_few_minors_and_replaces_them_by_many(calibrator):
    start = copy.copy(calibrator)
    start.scale_regressor_ = None
    predictions, ages, _ = people(300, seed=3)
    few = copy.copy(start).refit(np.zeros((300, 1)), predictions, ages)
    assert few.young_ is not None
    assert few.fingerprint_ != AgeCalibrator().keep(predictions, ages, np.ones(300)).fingerprint_
    predictions, ages, _ = people(6000, seed=3)
    many = copy.copy(start).refit(np.zeros((6000, 1)), predictions, ages)
    alone = AgeCalibrator().keep(predictions, ages, np.ones(6000))
    assert many.fingerprint_ == alone.fingerprint_


def test_tables_count_the_young_by_true_age(calibrator):
    predictions, ages, scales = young()
    table = interval_coverage(ages, calibrator.distribution(predictions, scales), [0.9])
    table = table[table["by"] == "true age"].set_index("group")
    assert [*table.index] == [str(age) for age in range(13, 26)]
    part = ages == 17
    assert table["photos"]["17"] == part.sum()
    assert table["bias"]["17"] == pytest.approx((predictions - ages)[part].mean())
    assert table["bias"]["17"] > 0.5


def test_only_what_is_not_sure_can_be_counted():
    said = np.array([0.0, 0.01, 0.5, 0.5, 0.99, 1.0])
    happened = np.array([False, False, True, False, True, True])
    assert calibration_error(happened, said) < 0.01
    assert calibration_error(happened, said, sure=0.02) == 0
    assert calibration_error(~happened, said, sure=0.02) == 0
    assert np.isnan(calibration_error(happened[:2], said[:2], sure=0.02))


@pytest.mark.parametrize("camera", ["new", "known"])
@pytest.mark.parametrize("name", ["accurate", "fast", "classical"])
def test_models_that_ship_hold_minors_and_young_adults(name, camera):
    """Their own photos: on others, docs/trust-accurate.md and docs/elsewhere.md have it."""
    calibration = ageboost.load_pretrained(name, camera=camera).calibration_
    kept = ageboost.load_pretrained(name, camera="known").calibration_
    seen = tuple(v.astype(float) for v in (kept.predictions_, kept.ages_, kept.scales_))
    held, ages = inside(calibration, seen), seen[1]
    assert held[(ages >= 13) & (ages < 18)].mean() > 0.9
    assert held[(ages >= 18) & (ages < 25)].mean() > 0.9
    said = calibration.distribution(seen[0], seen[2]).over(18)
    assert calibration_error(ages >= 18, said, sure=0.02) < 0.02


def test_cards_say_each_year_of_the_young():
    card = write_card(ageboost.load_pretrained("fast"))
    assert "hold at each true age from 13 to 24" in card
    rows = [line for line in card.splitlines() if line.startswith("| 17 |")]
    assert len(rows) == 1
    share = float(rows[0].split("|")[5].strip().rstrip("%"))
    assert share > 86


def test_a_till_where_people_are_of_other_ages_gets_probabilities_of_its_own(calibrator):
    from ageboost.retail._till_ages import over_at_till

    predictions, ages, scales = young(youngest=15, oldest=30)
    distribution = calibrator.distribution(predictions, scales)
    come = pd.Series(1.0, index=np.arange(15, 30))
    [said] = over_at_till(distribution, calibrator, [18], come).T
    adapted = calibration_error(ages >= 18, said, sure=0.02)
    assert adapted < 0.03
    assert adapted < 0.7 * calibration_error(ages >= 18, distribution.over(18), sure=0.02)
