"""How often age groups buy things, when it is only probable who is of which group.

If a buyer's memberships w are calibrated, the share of such buyers who buy a thing is the mean of
the groups' shares, weighted by w. So weighted shares mix those of neighbouring groups, and least
squares over all buyers part them again. Parting magnifies chance, the more the less is known of a
thing, so it is done as far as the data bear it: relative differences between groups are taken to be
normal, and how large they are and how they go together is estimated from all things that are sold
(empirical Bayes).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from ageboost.retail._sums import Sums

__all__ = [
    "Lifts",
    "Moments",
    "Redrawn",
    "clear_offers",
    "corrected_lifts",
    "excludes_one",
    "membership_moments",
    "weighted_lifts",
    "widen_chosen",
]

_STEPS = 60
_USUAL_SPREAD = 0.1
_MOST_THINGS = 2000
_LEAST_LIFT = 0.02
_LEAST_NOISE = 1e-6
_DUST = 1e-9

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sums over receipts that all answers follow from.

    Attributes
    ----------
    n_receipts : int
    mass : ndarray of shape (n_groups,)
        Sums of memberships.
    gram : ndarray of shape (n_groups, n_groups)
        Sums of products of two memberships.
    bought : ndarray of shape (n_things, n_groups)
        Sums of memberships over receipts with the thing.
    rates : ndarray of shape (n_things,)
        Shares of all receipts.
    scatter : ndarray of shape (n_things, n_groups, n_groups)
        Covariance of what ``bought`` exceeds its expectation by if all groups bought alike.
    """

    n_receipts: int
    mass: Array
    gram: Array
    bought: Array
    rates: Array
    scatter: Array

    def of(self, things: npt.NDArray[np.bool_]) -> Moments:
        """Keep some of the things."""
        kept = {name: getattr(self, name)[things] for name in ("bought", "rates", "scatter")}
        return replace(self, **kept)


@dataclass(frozen=True)
class Lifts:
    """Shares of each group relative to the shares of all.

    Attributes
    ----------
    lift, low, high : ndarray of shape (n_things, n_groups)
    p_value : ndarray of shape (n_things, n_groups)
        Of a lift of one.
    """

    lift: Array
    low: Array
    high: Array
    p_value: Array


def membership_moments(sums: Sums, membership: Array) -> Moments:
    """Sum up over receipts.

    Parameters
    ----------
    sums : Sums
    membership : ndarray of shape (n_answers, n_groups)
        Rows sum to one.

    Returns
    -------
    Moments
    """
    answers, n_groups = sums.answers, membership.shape[1]
    counts = answers.counts
    n_receipts = int(counts.sum())
    rates = sums.n_receipts / max(n_receipts, 1)
    # Of buyers who come once, a customer's total is the membership itself.
    first, second = np.triu_indices(n_groups)
    alone = sums.bought(membership[:, first] * membership[:, second], alone=True)
    squares, crossed = np.zeros((2, len(rates), n_groups, n_groups))
    for one in (squares, crossed):
        one[:, first, second] = one[:, second, first] = alone
    whole = (membership * answers.alone[:, None]).T @ membership
    if answers.customers.shape[1]:
        totals = np.asarray(answers.customers.T @ membership)
        whole += totals.T @ totals
        squares_of_known, crossed_of_known = sums.by_customer(membership, totals)
        squares += squares_of_known
        crossed += crossed_of_known
    shares = rates[:, None, None]
    scatter = squares - shares * (crossed + crossed.transpose(0, 2, 1)) + shares**2 * whole
    return Moments(
        n_receipts,
        counts @ membership,
        (membership * counts[:, None]).T @ membership,
        sums.bought(membership),
        rates,
        scatter,
    )


@dataclass(frozen=True)
class Redrawn:
    """Sums with memberships that were drawn anew; the first axis is that of draws.

    Attributes
    ----------
    mass : ndarray of shape (n_draws, n_groups)
    bought : ndarray of shape (n_draws, n_things, n_groups)
    """

    mass: Array
    bought: Array


def weighted_lifts(moments: Moments, coverage: float, redrawn: Redrawn | None = None) -> Lifts:
    """Weight receipts by membership; groups that look alike are mixed."""
    mass, rates = moments.mass.clip(1e-12), moments.rates[:, None]
    lift = moments.bought / mass / rates
    n = max(moments.n_receipts, 1)
    # What a group has in excess is weighed against all, of which it is a part.
    variance = _quadratic(moments.scatter, np.eye(len(mass)) - mass[:, None] / n)
    errors = np.sqrt(variance.clip(0)) / mass / rates
    more = np.zeros_like(errors)
    if redrawn is not None:
        drawn = redrawn.bought / redrawn.mass[:, None].clip(1e-12) / rates
        more = drawn.var(axis=0, ddof=1)
    return _summarize_lifts(lift, lift - 1, errors, more, coverage)


def corrected_lifts(moments: Moments, coverage: float, redrawn: Redrawn | None = None) -> Lifts:
    """Part the groups that memberships mix, as far as the data bear it.

    The result is how much more each group bought on these receipts, as if its members were known.
    For a thing that is hardly ever bought this is the weighted lift, since chance differs between
    groups more than taste; the more it is bought, the nearer it is to least squares. The interval
    is of the lift among all customers of whom these are some: it adds to the error of ages the
    chance that would be there if they were known.
    """
    n_groups = len(moments.mass)
    n = max(moments.n_receipts, 1)
    # A group without anybody leaves the sums singular.
    gram = moments.gram + 1e-9 * n * np.eye(n_groups)
    excess = moments.bought / moments.rates[:, None] - moments.mass
    noise = _noise(moments)
    taste = _estimate_taste(excess, gram, noise)
    chance = noise[:, None, None] * np.diag(1 / moments.mass.clip(1.0))
    spread = taste + chance
    seen = gram @ taste + noise[:, None, None] * np.eye(n_groups)
    gain = spread @ np.linalg.inv(seen)
    difference = np.einsum("pgh,ph->pg", gain, excess)
    remaining = spread - gain @ gram @ spread + chance
    errors = np.sqrt(np.diagonal(remaining, axis1=1, axis2=2).clip(0))
    more = np.zeros_like(errors)
    if redrawn is not None:
        # With other memberships, other excesses would be undone.
        others = redrawn.bought / moments.rates[:, None] - redrawn.mass[:, None]
        more = np.einsum("pgh,dph->dpg", gain, others).var(axis=0, ddof=1)
    return _summarize_lifts(1 + difference, difference, errors, more, coverage)


def widen_chosen(rows: pd.DataFrame, coverage: float, n_compared: int) -> tuple[Array, Array]:
    """Widen intervals of lifts that were chosen for what they are: part of them is luck.

    Parameters
    ----------
    rows : DataFrame
        What was chosen: ``lift``, ``lift_low`` and ``share``.
    coverage : float
        Of the intervals.
    n_compared : int
        How many lifts they were chosen from. The fewer are chosen of many, the wider.

    Returns
    -------
    low, high : ndarray of shape (n_rows,)

    References
    ----------
    Y. Benjamini and D. Yekutieli, "False Discovery Rate-Adjusted Multiple Confidence Intervals for
    Selected Parameters", JASA 2005.
    """
    chosen = len(rows) / max(n_compared, 1)
    wider = stats.norm.isf((1 - coverage) * chosen / 2) / stats.norm.isf((1 - coverage) / 2)
    lift = rows["lift"].to_numpy(float)
    with np.errstate(divide="ignore"):
        reach = (lift / rows["lift_low"].to_numpy(float)) ** wider
    # A group that has the thing on every receipt.
    most = lift / rows["share"].to_numpy(float).clip(_DUST)
    return lift / reach, np.maximum(lift, np.minimum(lift * reach, most))


def clear_offers(offers: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Say which of the offers are clear: significant, with a widened interval that excludes 1.

    Parameters
    ----------
    offers : DataFrame
        As :meth:`Purchases.offers` gives it.

    Returns
    -------
    ndarray of shape (n_offers,)
    """
    wide = excludes_one(offers["offer_low"], offers["offer_high"])
    return offers["significant"].to_numpy(bool) & wide


def excludes_one(low: Array | pd.Series, high: Array | pd.Series) -> npt.NDArray[np.bool_]:
    """Say which intervals are above or below a lift of 1, also as they are printed: to 0.01."""
    return (np.asarray(low).round(2) > 1) | (np.asarray(high).round(2) < 1)


def _noise(moments: Moments) -> Array:
    """Variance of one receipt's excess, larger where receipts of one customer are alike."""
    alone = (1 - moments.rates) / moments.rates
    seen = np.trace(moments.scatter, axis1=1, axis2=2) / moments.rates**2
    noise = np.maximum(alone, seen / max(np.trace(moments.gram), 1e-12))
    # What is on every receipt has none, and would be divided by.
    return noise.clip(_LEAST_NOISE)


def _estimate_taste(excess: Array, gram: Array, noise: Array) -> Array:
    """Estimate by expectation maximisation how much groups differ, over all things."""
    most = np.argsort(noise, kind="stable")[:_MOST_THINGS]
    excess, noise = excess[most], noise[most]
    start = _USUAL_SPREAD**2 * np.eye(len(gram))
    taste = start
    for _ in range(_STEPS):
        covariance = np.linalg.inv(gram / noise[:, None, None] + np.linalg.inv(taste))
        mean = np.einsum("pgh,ph->pg", covariance, excess / noise[:, None])
        taste = (covariance.sum(axis=0) + mean.T @ mean + start) / (len(most) + 1)
    return taste


def _summarize_lifts(
    lift: Array, difference: Array, errors: Array, more: Array, coverage: float
) -> Lifts:
    """Put intervals around lifts, and test them; ``more`` is the variance of memberships."""
    lift = lift.clip(_LEAST_LIFT)
    # Groups that buy alike do so whatever the memberships, so that the test need not doubt these.
    reach = stats.norm.ppf((1 + coverage) / 2) * np.sqrt(errors**2 + more) / lift
    with np.errstate(over="ignore"):
        z = np.divide(np.abs(difference), errors, out=np.zeros_like(lift), where=errors > 0)
        return Lifts(lift, lift * np.exp(-reach), lift * np.exp(reach), 2 * stats.norm.sf(z))


def _quadratic(scatter: Array, columns: Array) -> Array:
    """Variance of each column's combination."""
    return np.einsum("gk,pgh,hk->pk", columns, scatter, columns, optimize=True)
