"""What sales say of each cashier beside colleagues: an excess, its p value, and what it stands on.

Only sales in which the photo leaves it possible that the buyer was a minor say anything of how
minors are dealt with; the others are left out of the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost.models import AgeCalibrator
from ageboost.retail._age_mix import estimate_age_mix, index_of
from ageboost.retail._colleagues import expected_checks
from ageboost.retail._excess import Excess, find_excess
from ageboost.retail._facts import Facts
from ageboost.retail.policy import AlcoholPolicy

__all__ = ["Evidence", "compare_with_colleagues", "sales_that_count"]

# Of whom the photo says that he or she is of age, the photo says nothing of minors.
_POSSIBLE = 0.05
# A name stands on as many sales without a check, and on as many days, or it does not stand.
FEWEST_SALES = 5
FEWEST_DAYS = 3
_SHARE_OF_HEAVIEST = 0.1

Codes = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What is found of each cashier who can be compared.

    Parameters
    ----------
    who : ndarray of shape (n_compared,)
        Places of these cashiers among all.
    rows : ndarray of shape (n_rows,)
        Places of the sales that were compared, in the order of cashiers.
    starts : ndarray of shape (n_compared,)
        Where in ``rows`` the sales of each cashier begin.
    expected : ndarray of shape (n_rows,)
        How probable it is that colleagues would have asked.
    minor : ndarray of shape (n_rows,)
        How probable a minor is, for the ages of this till's buyers.
    excess : Excess
    unchecked, days : ndarray of shape (n_compared,), int
        How many sales without a check, and days, the excess stands on.
    """

    who: Codes
    rows: Codes
    starts: Codes
    expected: Floats
    minor: Floats
    excess: Excess
    unchecked: Codes
    days: Codes

    @property
    def enough(self) -> npt.NDArray[np.bool_]:
        """Whose excess stands on enough sales and days for a name."""
        return (self.unchecked >= FEWEST_SALES) & (self.days >= FEWEST_DAYS)

    def total(self, values: Floats) -> Floats:
        """Sum up over the sales of each cashier."""
        return np.add.reduceat(values, self.starts)


def compare_with_colleagues(
    facts: Facts,
    calibration: AgeCalibrator,
    policy: AlcoholPolicy,
    fdr: float,
    rng: np.random.Generator,
) -> Evidence | None:
    """Compare the checks of each cashier with those of colleagues.

    Parameters
    ----------
    facts : Facts
    calibration : AgeCalibrator
    policy : AlcoholPolicy
    fdr : float
        False discovery rate at which cashiers no longer count among the honest.
    rng : Generator

    Returns
    -------
    Evidence or None
        None where nobody can be compared.
    """
    known = np.flatnonzero(facts.compare)
    if not len(known):
        return None
    index = index_of(facts.legal[known], facts.challenge[known])
    tills = pd.factorize(facts.tills[known], sort=True)[0]
    mix = estimate_age_mix(
        calibration, policy.legal_age, policy.challenge_age, index, tills, 0, rng
    )
    possible = np.flatnonzero(facts.legal[known] >= _POSSIBLE)
    if not len(possible):
        return None
    # Sums are drawn, and must not depend on the order in which sales were given.
    ties = (facts.checked, facts.hours, facts.tills, facts.legal, facts.cashiers)
    possible = possible[np.lexsort([key[known[possible]] for key in ties])]
    rows, index, tills = known[possible], index[possible], tills[possible]
    bins = mix.bins(index)
    minor, young = mix.under_legal[0, tills, bins], mix.under_challenge[0, tills, bins]
    who, codes = np.unique(facts.cashiers[rows], return_inverse=True)
    checked = facts.checked[rows]
    places = [facts.stores[rows], facts.tills[rows], facts.hours[rows]]
    expected = expected_checks(index, minor, young, checked, codes, places)
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    excess = find_excess(expected, checked, facts.legal[rows], starts, fdr, rng)
    blame = np.where(checked, 0.0, excess.weights * expected)
    counts = (blame > 0) & sales_that_count(blame, starts)
    n_days = int(facts.days.max(initial=0)) + 1
    pairs = np.unique(codes[counts] * n_days + facts.days[rows[counts]])
    return Evidence(
        who,
        rows,
        starts,
        expected,
        minor,
        excess,
        np.bincount(codes[counts], minlength=len(who)),
        np.bincount(pairs // n_days, minlength=len(who)),
    )


def sales_that_count(weights: Floats, starts: Codes) -> npt.NDArray[np.bool_]:
    """Find the sales that weigh a tenth of their cashier's heaviest, or more.

    A name has to stand on several of these, and so never on one photo.

    Parameters
    ----------
    weights : ndarray of shape (n_rows,)
        In the order of cashiers.
    starts : ndarray of shape (n_compared,)
        Where the sales of each cashier begin.

    Returns
    -------
    ndarray of shape (n_rows,), bool
    """
    most = np.maximum.reduceat(weights, starts)
    n_sales = np.diff(np.append(starts, len(weights)))
    return weights >= _SHARE_OF_HEAVIEST * np.repeat(most, n_sales)
