"""Minors beyond what colleagues would have let through, and how surprising they are.

Each sale that was not checked although colleagues would have counts, and counts the more the surer
the photo is that the buyer was a minor: there, habits of honest cashiers matter least. How much
honest cashiers differ all the same is estimated from the middle of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

__all__ = ["Excess", "false_discovery_rates", "find_excess"]

Floats = npt.NDArray[np.float64]

# The median of a squared standard normal number.
_MEDIAN = 0.4549364
# What an estimate from the median is worth, beside one from all squares.
_WORTH_OF_MEDIAN = 0.37
_STEPS = 40
_LIKELY = 0.5


@dataclass(frozen=True)
class Excess:
    """What is found for each cashier; arrays of shape (n_cashiers,) but for ``weights``.

    Parameters
    ----------
    weights : ndarray of shape (n_sales,)
        What a sale that was not checked counts.
    total : ndarray
        Sum of weights times (expected less made) checks.
    variance : ndarray
        Of the total, if the cashier is like colleagues.
    z, p : ndarray
    rest : float
        Standard deviation, between honest cashiers, of the share of minors let through.
    """

    weights: Floats
    total: Floats
    variance: Floats
    z: Floats
    p: Floats
    rest: float


def find_excess(
    expected: Floats,
    checked: npt.NDArray[np.bool_],
    minors: Floats,
    sure: Floats,
    starts: npt.NDArray[np.intp],
) -> Excess:
    """Compare each cashier's checks of minors with those of colleagues.

    Parameters
    ----------
    expected : ndarray of shape (n_sales,)
        Probability that colleagues would have asked, strictly between 0 and 1.
    checked : ndarray of shape (n_sales,), bool
    minors : ndarray of shape (n_sales,)
        Probability that the buyer was a minor and would have been asked.
    sure : ndarray of shape (n_sales,)
        Probability of a minor by the photo alone.
    starts : ndarray of shape (n_cashiers,), int
        Where the sales of each cashier begin.

    Returns
    -------
    Excess
    """

    def total(values: Floats) -> Floats:
        return np.add.reduceat(values, starts)

    spread = expected * (1 - expected)
    # Without the square it would see the most if all honest cashiers were alike; with it, habits
    # with young adults, which differ between them, hide less.
    weights = sure**2 * minors / spread
    # In units that keep sums of small numbers from vanishing.
    weights /= max(weights.max(initial=0.0), 1e-300)
    found, by_chance = total(weights * (expected - checked)), total(weights**2 * spread)
    reach = total(weights * minors)
    rest = _between(found, by_chance, reach**2)
    between = (rest * reach) ** 2
    variance = np.maximum(by_chance + between, 1e-300)
    z = found / np.sqrt(variance)
    p = norm.sf(z)
    ends = np.append(starts[1:], len(expected))
    for place in np.flatnonzero(z > _LIKELY):
        own = slice(starts[place], ends[place])
        p[place] = _tail(found[place], weights[own], expected[own], between[place])
    # Few cashiers tell little of how honest ones differ.
    doubt = np.clip(between / variance, 1e-3, 1)
    freedom = np.maximum(_WORTH_OF_MEDIAN * (len(starts) - 1), 1.0) / doubt**2
    p = t.sf(norm.isf(np.clip(p, 1e-300, 1 - 1e-12)), freedom)
    return Excess(weights, found, variance, z, p, rest)


def false_discovery_rates(p: Floats) -> Floats:
    """Adjust p values for their number (Benjamini and Hochberg).

    References
    ----------
    Y. Benjamini and Y. Hochberg, "Controlling the False Discovery Rate", JRSS B 1995.
    """
    if not len(p):
        return p
    order = np.argsort(p)
    adjusted = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum.accumulate(adjusted[::-1])[::-1].clip(max=1)
    return q


def _between(found: Floats, ordinary: Floats, per_unit: Floats) -> float:
    """How much cashiers differ beyond chance, as the middle one of them tells.

    The standard deviation for which the median of ``found**2 / (ordinary + sd**2 * per_unit)`` is
    that of a squared standard normal number: some dishonest cashiers hardly move it.
    """
    use = per_unit > 0
    if use.sum() < 2:
        return 0.0
    square, ordinary, per_unit = found[use] ** 2, ordinary[use], per_unit[use]

    def above(sd: float) -> bool:
        return bool(np.median(square / (ordinary + sd**2 * per_unit)) > _MEDIAN)

    if not above(0.0):
        return 0.0
    low, high = 0.0, 1.0
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
