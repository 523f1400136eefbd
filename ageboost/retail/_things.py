"""The table of all things and age groups: what is bought, how much oftener, and how surely."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from ageboost.retail._rates import Redrawn, corrected_lifts, membership_moments, weighted_lifts
from ageboost.retail._sums import Sums
from ageboost.retail.counts import FEWEST_BUYERS, FEWEST_RECEIPTS
from ageboost.retail.groups import AgeGroups

__all__ = ["tabulate"]

_MIN_EXPECTED = 5.0
_DUST = 1e-9
_LEAST_P = 1e-15
_NUMBERS_AT_ONCE = 20_000_000

Array = npt.NDArray[np.float64]


def tabulate(
    sums: Sums,
    membership: Array,
    draws: Iterator[tuple[Array, Array]],
    groups: AgeGroups,
    by: str,
    *,
    correct: bool,
    coverage: float,
    min_receipts: int,
    fdr: float,
) -> tuple[pd.DataFrame, Array | None, int]:
    """Compare groups: the table, the mix of each draw, and how many things it does not show."""
    there = (sums.n_receipts >= FEWEST_RECEIPTS) & (sums.n_buyers >= FEWEST_BUYERS)
    n_hidden = int(sums.n_receipts[~there].sum())
    names = sums.names[there]
    spends = np.where(sums.n_priced[there, None] > 0, sums.spent(membership)[there], np.nan)
    moments = membership_moments(sums, membership).of(there)
    redrawn, mixes = _redraw(sums, draws, there)
    plain = weighted_lifts(moments, coverage, redrawn)
    lifts = corrected_lifts(moments, coverage, redrawn) if correct else plain
    n_things, n_groups = len(names), len(groups)
    # A group that has a thing on every receipt.
    most = 1 / moments.rates[:, None]
    expected = moments.rates[:, None] * moments.mass
    enough = (moments.rates * moments.n_receipts + 0.5 >= min_receipts)[:, None] & (
        expected >= _MIN_EXPECTED
    )
    # No normal distribution describes receipts so far out.
    p_value = np.where(enough, lifts.p_value.clip(_LEAST_P), np.nan)
    q_value = np.full_like(p_value, np.nan)
    if enough.any():
        q_value[enough] = stats.false_discovery_control(p_value[enough])
    table = pd.DataFrame(
        {
            by: np.repeat(names, n_groups),
            "group": np.tile(np.asarray(groups.names, dtype=object), n_things),
            "receipts": _without_dust(moments.bought).ravel(),
            "spend": _without_dust(spends).ravel(),
            "share": (lifts.lift * moments.rates[:, None]).clip(0, 1).ravel(),
            "lift": lifts.lift.ravel(),
            "lift_low": _without_dust(lifts.low).ravel(),
            "lift_high": np.maximum(lifts.lift, np.minimum(lifts.high, most)).ravel(),
            "uncorrected_lift": plain.lift.ravel(),
            "uncorrected_low": _without_dust(plain.low).ravel(),
            "p_value": p_value.ravel(),
            "q_value": q_value.ravel(),
            "significant": (q_value <= fdr).ravel(),
            "supported": enough.ravel(),
        }
    ).astype({by: "str", "group": "str"})
    return table, mixes, n_hidden


def _redraw(
    sums: Sums, draws: Iterator[tuple[Array, Array]], there: npt.NDArray[np.bool_]
) -> tuple[Redrawn | None, Array | None]:
    """Sum up with other memberships; several draws at once, since each sum passes all lines."""
    counts, n_answers = sums.answers.counts, max(len(sums.answers.alone), 1)
    mass, bought, mixes = [], [], []
    while True:
        part = list(islice(draws, max(1, _NUMBERS_AT_ONCE // (n_answers * 8))))
        if not part:
            break
        mass += [counts @ membership for membership, _ in part]
        mixes += [mix for _, mix in part]
        found = sums.bought(np.hstack([membership for membership, _ in part]))[there]
        bought += np.split(found, len(part), axis=1)
    if not mixes:
        return None, None
    return Redrawn(np.stack(mass), np.stack(bought)), np.stack(mixes)


def _without_dust(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Make nothing of what differs from it by less than sums of memberships are sure of."""
    return np.where(np.abs(values) < _DUST, 0.0, values)
