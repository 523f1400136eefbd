"""All that is said of a face's age is drawn from one distribution: no two answers contradict."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ageboost.models import AgeCalibrator

coverages = st.floats(0.001, 0.999)


@lru_cache
def seen(n_photos=190, whole_years=False, lean=2.0):
    """Faces that are 2 years older than they look, so that no error is 0 on average."""
    rng = np.random.default_rng(0)
    predictions = rng.uniform(5, 80, n_photos)
    ages = (predictions + lean + rng.normal(0, 4, n_photos)).clip(0, 110)
    ages = ages.round() if whole_years else ages
    columns = np.zeros((n_photos, 1))
    calibrator = AgeCalibrator(random_state=0).fit(columns, predictions, ages)
    return calibrator.predict(columns, predictions)


@pytest.fixture(scope="module", params=[True, False], ids=["whole years", "any ages"])
def distribution(request):
    return seen(whole_years=request.param)


@given(coverages)
def test_the_ends_of_an_interval_are_its_quantiles_at_any_coverage(distribution, coverage):
    shares = [(1 - coverage) / 2, (1 + coverage) / 2]
    np.testing.assert_array_equal(distribution.interval(coverage), distribution.quantiles(shares))


def test_a_narrow_interval_lies_where_the_true_age_is_believed_to_be():
    distribution = seen()
    low, high = distribution.interval(0.1).T
    assert ((high - low) < 3).all()
    assert (low > distribution.ages).mean() > 0.9


@given(coverages, coverages)
def test_a_wider_coverage_holds_the_interval_of_a_narrower_one(distribution, one, other):
    inner, outer = (distribution.interval(share) for share in sorted([one, other]))
    assert (outer[:, 0] <= inner[:, 0]).all()
    assert (inner[:, 0] <= inner[:, 1]).all()
    assert (inner[:, 1] <= outer[:, 1]).all()


@given(coverages)
def test_probabilities_at_the_ends_are_those_of_the_quantiles(coverage):
    distribution = seen()
    [faces] = {len(scores) for scores in distribution._system.binned_alphas[1]}
    possible = 2 / (faces + 1)
    low, high = distribution.interval(coverage).T
    for ends, share in ((low, (1 - coverage) / 2), (high, (1 + coverage) / 2)):
        inside = (ends > 0) & (ends < 120)
        younger = 1 - np.diag(distribution.over(ends))
        assert (np.abs(younger - share)[inside] <= possible).all()


@given(st.floats(0.001, 0.999), st.integers(20, 40))
def test_ages_stay_between_birth_and_120_years(coverage, n_photos):
    distribution = seen(n_photos)
    assert distribution.interval(coverage).min() >= 0
    assert distribution.interval(coverage).max() <= 120
    assert (distribution.over(0) == 1).all()
    assert (distribution.over(121) == 0).all()
