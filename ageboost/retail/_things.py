"""The table of all things and age groups: what is bought, how much oftener, and how surely."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse, stats

from ageboost.retail._rates import Redrawn, corrected_lifts, membership_moments, weighted_lifts
from ageboost.retail.counts import FEWEST_BUYERS, FEWEST_RECEIPTS
from ageboost.retail.groups import AgeGroups

__all__ = ["tabulate"]

_MIN_EXPECTED = 5.0
_DUST = 1e-9
_LEAST_P = 1e-15

Array = npt.NDArray[np.float64]


def tabulate(
    sold: pd.DataFrame,
    membership: Array,
    draws: Iterator[tuple[Array, Array]],
    groups: AgeGroups,
    by: str,
    *,
    clusters: npt.NDArray[np.intp] | None,
    correct: bool,
    coverage: float,
    min_receipts: int,
    fdr: float,
) -> tuple[pd.DataFrame, Array | None, int]:
    """Compare groups: the table, the mix of each draw, and how many things it does not show."""
    bought = sold[sold["pieces"] > 0]
    names = bought["thing"].cat.categories
    codes = bought["thing"].cat.codes.to_numpy().astype(np.intp)
    receipts = bought["receipt"].to_numpy()
    n_receipts = np.bincount(codes, minlength=len(names))
    n_buyers = n_receipts
    if clusters is not None:
        pairs = np.unique(codes * np.int64(clusters.max(initial=0) + 1) + clusters[receipts])
        n_buyers = np.bincount(pairs // (clusters.max(initial=0) + 1), minlength=len(names))
    there = (n_receipts >= FEWEST_RECEIPTS) & (n_buyers >= FEWEST_BUYERS)
    n_hidden = int(n_receipts[~there].sum())
    shown = there[codes]
    codes, receipts = codes[shown], receipts[shown]
    new = there.cumsum() - 1
    shape = (len(membership), int(there.sum()))
    ones = np.ones(len(codes))
    matrix = sparse.csr_array((ones, (receipts, new[codes])), shape=shape)
    all_codes = sold["thing"].cat.codes.to_numpy().astype(np.intp)
    keep = there[all_codes]
    spend = sparse.csr_array(
        (
            sold["spend"].to_numpy()[keep],
            (sold["receipt"].to_numpy()[keep], new[all_codes[keep]]),
        ),
        shape=shape,
    )
    n_priced = np.bincount(all_codes, sold["priced"], len(names))[there]
    spends = np.where(n_priced[:, None] > 0, np.asarray(spend.T @ membership), np.nan)
    moments = membership_moments(matrix, membership, clusters)
    drawn = [(one.sum(axis=0), np.asarray(matrix.T @ one), mix) for one, mix in draws]
    redrawn = mixes = None
    if drawn:
        mass, sums, mixes = (np.stack(part) for part in zip(*drawn, strict=True))
        redrawn = Redrawn(mass, sums)
    plain = weighted_lifts(moments, coverage, redrawn)
    lifts = corrected_lifts(moments, coverage, redrawn) if correct else plain
    n_things, n_groups = shape[1], len(groups)
    # A group that has a thing on every receipt.
    most = 1 / moments.rates[:, None]
    expected = moments.rates[:, None] * moments.mass
    enough = (moments.rates * shape[0] + 0.5 >= min_receipts)[:, None] & (expected >= _MIN_EXPECTED)
    # No normal distribution describes receipts so far out.
    p_value = np.where(enough, lifts.p_value.clip(_LEAST_P), np.nan)
    q_value = np.full_like(p_value, np.nan)
    if enough.any():
        q_value[enough] = stats.false_discovery_control(p_value[enough])
    table = pd.DataFrame(
        {
            by: np.repeat(np.asarray(names[there], dtype=object), n_groups),
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


def _without_dust(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Make nothing of what differs from it by less than sums of memberships are sure of."""
    return np.where(np.abs(values) < _DUST, 0.0, values)
