"""Minors beyond what colleagues would have let through, and how surprising they are.

A sale that was not checked although colleagues would have asked counts, and the more the surer the
photo is that the buyer was a minor: there, habits of honest cashiers matter least. What honest
cashiers have in common, and how much they differ, is estimated from the middle of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import false_discovery_control, norm, t

__all__ = ["Excess", "find_excess"]

Floats = npt.NDArray[np.float64]

# Beyond this many standard deviations a cashier counts no more than one just there (Huber's second
# proposal), which is what such a square is on average, and what the estimate is worth beside one
# from all squares in full.
_BEND = 1.5
_BENT = 0.7785
_WORTH = 0.85
# Honest cashiers differ at least by this share of minors let through, however little it shows.
_LEAST_REST = 0.035
_STEPS = 40
_POWER = 6
_POWER_OF_ASKING = 16
# Nobody asks more surely than this: who believes that colleagues never forget is too surprised.
_SUREST = 0.95
_LIKELY = 0.5
_ROUNDS = 6
# With fewer sales of equal weight the sum is drawn, since no formula describes it.
_FEW_SALES = 20
_N_DRAWS = 20_000
_DRAWS_AT_ONCE = 1000
_AS_LARGE = 50
_LEAST_WEIGHT = 1e-4
# Honest cashiers differ by about so much in how often they ask, in log odds.
_HABIT = 0.4


@dataclass(frozen=True)
class Excess:
    """What is found for each cashier; arrays of shape (n_cashiers,) but for ``weights``.

    Parameters
    ----------
    weights : ndarray of shape (n_sales,)
        What a sale that was not checked counts.
    total : ndarray
        Sum of weights times (expected less made) checks, less that of the middle cashier.
    variance : ndarray
        Of the total, if the cashier is like colleagues.
    z, p : ndarray
    freedom : ndarray
        Degrees of freedom of ``z``: few cashiers tell little of how honest ones differ.
    rest : float
        Standard deviation, between honest cashiers, of the share of minors let through.
    """

    weights: Floats
    total: Floats
    variance: Floats
    z: Floats
    p: Floats
    freedom: Floats
    rest: float


def find_excess(
    expected: Floats,
    checked: npt.NDArray[np.bool_],
    sure: Floats,
    starts: npt.NDArray[np.intp],
    fdr: float,
    rng: np.random.Generator,
) -> Excess:
    """Compare each cashier's checks of likely minors with those of colleagues.

    Parameters
    ----------
    expected : ndarray of shape (n_sales,)
        Probability that colleagues would have asked, strictly between 0 and 1.
    checked : ndarray of shape (n_sales,), bool
    sure : ndarray of shape (n_sales,)
        Probability of a minor by the photo alone.
    starts : ndarray of shape (n_cashiers,), int
        Where the sales of each cashier begin.
    fdr : float
        False discovery rate at which cashiers no longer count among the honest.
    rng : Generator
        Draws sums of few sales.

    Returns
    -------
    Excess
    """

    def total(values: Floats) -> Floats:
        return np.add.reduceat(values, starts)

    expected = np.minimum(expected, _SUREST)
    spread = expected * (1 - expected)
    # The probability itself would see the most if all honest cashiers were alike. They differ in
    # how they deal with young adults: a high power leaves little weight to these, and costs little.
    # Where colleagues often do not ask, cameras see people younger than cashiers do, or habits
    # differ; no more than a little follows from a sale there.
    weights = sure**_POWER * (expected / _SUREST) ** _POWER_OF_ASKING
    # In units that keep sums of small numbers from vanishing.
    weights /= max(weights.max(initial=0.0), 1e-300)
    found = total(weights * (expected - checked))
    by_chance = np.maximum(total(weights**2 * spread), 1e-200)
    reach = np.maximum(total(weights * sure * expected), 1e-100)
    ends = np.append(starts[1:], len(expected))
    slices = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
    sales = (weights, expected, sure, checked)
    ordinary = np.ones(len(starts), dtype=bool)
    for _ in range(_ROUNDS):
        result = _compare(found, by_chance, reach, ordinary, sales, slices, rng)
        odd = false_discovery_control(result.p) <= fdr
        if not (odd & ordinary).any() or (ordinary & ~odd).sum() < len(starts) / 2:
            break
        # What is not by chance does not tell how honest cashiers differ.
        ordinary &= ~odd
    return result


def _compare(
    found: Floats,
    by_chance: Floats,
    reach: Floats,
    ordinary: npt.NDArray[np.bool_],
    sales: tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]],
    slices: list[slice],
    rng: np.random.Generator,
) -> Excess:
    weights, expected, sure, checked = sales
    # Colleagues who spare minors make the others look better than they are: the middle cashier is
    # the measure.
    worth = reach**2 / by_chance
    middle = _middle((found / reach)[ordinary], worth[ordinary])
    above = found - middle * reach
    rest = _between(above[ordinary], by_chance[ordinary], reach[ordinary] ** 2)
    between = (rest**2 + np.pi / 2 / worth[ordinary].sum()) * reach**2
    variance = by_chance + between
    z = above / np.sqrt(variance)
    p = norm.sf(z)
    for place in np.flatnonzero(z > _LIKELY):
        own = slices[place]
        if weights[own].sum() ** 2 < _FEW_SALES * (weights[own] ** 2).sum():
            usual = expected[own] * (1 - middle * sure[own])
            tail = _drawn_tail(weights[own], usual, checked[own], between[place], rng)
        else:
            tail = _tail(above[place], weights[own], expected[own], between[place])
        p[place] = tail
    # Few cashiers tell little of how honest ones differ.
    doubt = np.clip(between / variance, 1e-3, 1)
    freedom = np.maximum(_WORTH * (ordinary.sum() - 1), 1.0) / doubt**2
    p = t.sf(norm.isf(np.clip(p, 1e-300, 1 - 1e-12)), freedom)
    return Excess(weights, above, variance, z, p, freedom, rest)


def _drawn_tail(
    weights: Floats,
    expected: Floats,
    checked: npt.NDArray[np.bool_],
    between: float,
    rng: np.random.Generator,
) -> float:
    """P(sum of weights without a check >= the one that was found), drawn for an honest cashier.

    A habit moves the log odds of asking, so that who asks almost always can only ask less. No more
    is drawn than it takes to see that the sum is nothing special.

    References
    ----------
    E. Marshall and D. Spiegelhalter, "Identifying Outliers in Bayesian Hierarchical Models",
    Bayesian Analysis 2007.

    J. Besag and P. Clifford, "Sequential Monte Carlo p-Values", Biometrika 1991.
    """
    counts = weights > _LEAST_WEIGHT * weights.max()
    weights, middle = weights[counts], logit(expected[counts].clip(0.01, 0.99))
    found = weights[~checked[counts]].sum() * (1 - 1e-9)
    as_large = n_draws = 0
    while n_draws < _N_DRAWS and as_large < _AS_LARGE:
        habits = _HABIT * rng.standard_normal((_DRAWS_AT_ONCE, 1))
        missed = rng.random((_DRAWS_AT_ONCE, len(weights))) > expit(middle + habits)
        sums = missed @ weights
        # Sums of few sales are often equal, and an equal one is as large.
        sums += np.sqrt(between) * rng.standard_normal(_DRAWS_AT_ONCE).clip(0)
        as_large += int((sums >= found).sum())
        n_draws += _DRAWS_AT_ONCE
    return (as_large + 1) / (n_draws + 1)


def _middle(values: Floats, weights: Floats) -> float:
    """Weighted median."""
    order = np.argsort(values)
    summed = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(weights.sum() / 2, summed, values[order]))


def _between(found: Floats, ordinary: Floats, per_unit: Floats) -> float:
    """How much cashiers differ beyond chance.

    The standard deviation for which ``found**2 / (ordinary + sd**2 * per_unit)`` is as large as for
    normal numbers, where large ones are cut off, so that a few dishonest cashiers move it little.

    References
    ----------
    P. Huber, "Robust Statistics", 1981.
    """

    def above(sd: float) -> bool:
        squares = found**2 / (ordinary + sd**2 * per_unit)
        return bool(np.minimum(squares, _BEND**2).mean() > _BENT)

    if not above(_LEAST_REST):
        return _LEAST_REST
    low, high = _LEAST_REST, 1.0
    while above(high) and high < 1e3:
        high *= 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if above(middle) else (low, middle)
    return high


def _tail(found: float, weights: Floats, expected: Floats, between: float) -> float:
    """P(sum of weights * (expected - checked) + Gaussian of variance ``between`` > found).

    By the saddlepoint, since few sales of likely minors make the sum lean to one side.

    References
    ----------
    R. Lugannani and S. Rice, "Saddle Point Approximation for the Distribution of the Sum of
    Independent Random Variables", Advances in Applied Probability 1980.
    """
    # In units in which the sum has a variance of one.
    unit = np.sqrt(np.sum(weights**2 * expected * (1 - expected)) + between)
    steps, between, found = weights / unit, between / unit**2, found / unit

    def cumulant(u: float) -> tuple[float, float, float]:
        tilted = expected * np.exp(np.clip(-u * steps, -700, 700))
        whole = 1 - expected + tilted
        chance = tilted / whole
        value = np.sum(np.log(whole) + u * steps * expected) + between * u**2 / 2
        slope = np.sum(steps * (expected - chance)) + between * u
        curve = np.sum(steps**2 * chance * (1 - chance)) + between
        return float(value), float(slope), float(curve)

    # The slope rises with u: halve an interval that holds the saddlepoint.
    low, high = 0.0, 1.0
    while cumulant(high)[1] < found:
        high *= 2
        if high > 1e4:
            return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if cumulant(middle)[1] < found else (low, middle)
    value, _, curve = cumulant(high)
    w = np.sqrt(max(2 * (high * found - value), 1e-16))
    v = high * np.sqrt(curve)
    if w < 1e-4:
        return float(norm.sf(found))
    return float(np.clip(norm.sf(w) + norm.pdf(w) * (1 / v - 1 / w), 0, 1))
