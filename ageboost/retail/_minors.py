"""How many young people were asked for a card and how many were not, as far as photos say it.

Who sees a buyer knows more than a photo shows, so whether somebody was asked is not independent of
the age, given the photo. Nor is it independent of the photo, given the age. The truth lies between
what follows from the one and from the other, and both are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from ageboost.models import AgeCalibrator
from ageboost.retail._age_mix import AgeMix, estimate_age_mix, index_of
from ageboost.retail._facts import Facts
from ageboost.retail.policy import AlcoholPolicy

__all__ = ["Range", "YoungBuyers", "count_young_buyers"]

_N_DRAWS = 200

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Range:
    """Estimates with their intervals; arrays of one length."""

    middle: Floats
    low: Floats
    high: Floats

    def columns(self, name: str) -> dict[str, Floats]:
        return {name: self.middle, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True)
class YoungBuyers:
    """What photos say of checks of young buyers.

    Parameters
    ----------
    share_asked : Range
        Of buyers under the challenge age, for each cashier.
    unchecked_minors : Range
        Sales to minors without a check, for each cashier.
    share_of_shop, unchecked_of_shop : Range
        The same for all cashiers together, of length one.
    mix : AgeMix
        Of each till.
    bins, tills : ndarray of shape (n_used,)
        Where in ``mix`` each used sale stands.
    """

    share_asked: Range
    unchecked_minors: Range
    share_of_shop: Range
    unchecked_of_shop: Range
    mix: AgeMix
    bins: Codes
    tills: Codes


@dataclass(frozen=True)
class _Sums:
    """Sums of probabilities and of their variances: (n_cashiers, 1 + n_draws)."""

    mean: Floats
    variance: Floats

    def together(self) -> _Sums:
        return _Sums(self.mean.sum(axis=0, keepdims=True), self.variance.sum(axis=0, keepdims=True))

    def draw(self, rng: np.random.Generator) -> Floats:
        """Draw numbers of people: sums of independent, unequal chances."""
        # A binomial number of the same mean and variance stands for it.
        mean, variance = self.mean[:, 1:], self.variance[:, 1:]
        chance = np.clip(1 - variance / np.maximum(mean, 1e-12), 1e-6, 1)
        tries = np.ceil(mean / chance)
        share = np.clip(mean / np.maximum(tries, 1), 0, 1)
        return rng.binomial(tries.astype(np.int64), share).astype(np.float64)


def count_young_buyers(
    facts: Facts,
    calibration: AgeCalibrator,
    policy: AlcoholPolicy,
    coverage: float,
    rng: np.random.Generator,
) -> YoungBuyers:
    """Estimate how many young buyers were asked, and how many minors were not.

    Parameters
    ----------
    facts : Facts
        With a sale that can be used, at least.
    calibration : AgeCalibrator
    policy : AlcoholPolicy
    coverage : float
        Of the intervals.
    rng : Generator

    Returns
    -------
    YoungBuyers
    """
    rows = np.flatnonzero(facts.use)
    index = index_of(facts.legal[rows], facts.challenge[rows])
    cashiers, checked = facts.cashiers[rows], facts.checked[rows]
    tills = np.unique(facts.tills[rows], return_inverse=True)[1]
    n_cashiers = len(facts.names)

    def mix_of(chosen: npt.NDArray[np.bool_] | slice, groups: Codes) -> AgeMix:
        return estimate_age_mix(
            calibration,
            policy.legal_age,
            policy.challenge_age,
            *(index[chosen], groups[chosen], _N_DRAWS, rng),
        )

    mix = mix_of(slice(None), tills)
    bins = mix.bins(index)

    def sums(chosen: npt.NDArray[np.bool_], which: str) -> tuple[_Sums, _Sums]:
        """As the photos of all buyers of a till have it, and as those of a cashier's own do."""
        own = mix_of(chosen, cashiers)
        return (
            _add_up(getattr(mix, which), bins, tills, cashiers, chosen, n_cashiers),
            _add_up(getattr(own, which), own.bins(index), cashiers, cashiers, chosen, n_cashiers),
        )

    tails = [(1 - coverage) / 2, (1 + coverage) / 2]
    minors = sums(~checked, "under_legal")
    asked, unasked = sums(checked, "under_challenge"), sums(~checked, "under_challenge")

    def numbers(add: Callable[[_Sums], _Sums]) -> Range:
        # A minor who is not asked looks older than others, so the larger number is given.
        each = [add(one) for one in minors]
        found = [_limits(one.mean[:, 0], one.draw(rng), tails) for one in each]
        return Range(
            np.maximum(found[0].middle, found[1].middle),
            np.minimum(found[0].low, found[1].low),
            np.maximum(found[0].high, found[1].high),
        )

    def shares(add: Callable[[_Sums], _Sums]) -> Range:
        found = []
        for yes, no in zip(asked, unasked, strict=True):
            yes, no = add(yes), add(no)
            drawn = yes.draw(rng) + 0.5
            share = _share(yes.mean[:, 0], no.mean[:, 0])
            found.append(_limits(share, drawn / (drawn + no.draw(rng) + 0.5), tails))
        return Range(
            (found[0].middle + found[1].middle) / 2,
            np.fmin(found[0].low, found[1].low),
            np.fmax(found[0].high, found[1].high),
        )

    return YoungBuyers(
        shares(lambda one: one),
        numbers(lambda one: one),
        shares(_Sums.together),
        numbers(_Sums.together),
        mix,
        bins,
        tills,
    )


def _add_up(
    chances: Floats,
    bins: Codes,
    groups: Codes,
    cashiers: Codes,
    chosen: npt.NDArray[np.bool_],
    n_cashiers: int,
) -> _Sums:
    n_bins = chances.shape[2]
    flat = chances.reshape(len(chances), -1)
    cells = (cashiers[chosen], groups[chosen] * n_bins + bins[chosen])
    counts = csr_matrix((np.ones(len(cells[0])), cells), shape=(n_cashiers, flat.shape[1]))
    return _Sums(counts @ flat.T, counts @ (flat * (1 - flat)).T)


def _share(yes: Floats, no: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return yes / (yes + no)


def _limits(middle: Floats, drawn: Floats, tails: list[float]) -> Range:
    low, high = np.quantile(drawn, tails, axis=1)
    return Range(middle, np.fmin(low, middle), np.fmax(high, middle))
