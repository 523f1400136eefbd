"""Whom a list names: false discoveries, a local rate beside each name, and the least evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import false_discovery_control
from sklearn.isotonic import IsotonicRegression

from ageboost.retail._evidence import FEWEST_DAYS, FEWEST_SALES, Evidence
from ageboost.retail._facts import Facts
from ageboost.retail._power import power_of_each
from ageboost.retail.looks import ReviewPeriod

__all__ = ["SPARED", "Named", "label_of", "local_rates", "name_cashiers"]

# Shares of minors spared, for which the power of the list is computed.
SPARED = (0.1, 0.25, 0.5, 1.0)
_HALF = SPARED.index(0.5)
_FEW = f"on fewer than {FEWEST_SALES} sales or {FEWEST_DAYS} days"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Named:
    """What the list says of each cashier who is compared; arrays of shape (n_compared,).

    Parameters
    ----------
    p, q, local : ndarray
        P values that hold at all looks, false discovery rates, and local ones.
    talk_to : ndarray
    power : ndarray
        Of finding this cashier, had he or she spared half of the minors.
    note : ndarray of str
        Why somebody is not named of whom the numbers alone would say it.
    powers : DataFrame
        ``spared``, and ``found``, the mean power over cashiers.
    """

    p: Floats
    q: Floats
    local: Floats
    talk_to: npt.NDArray[np.bool_]
    power: Floats
    note: npt.NDArray
    powers: pd.DataFrame


def name_cashiers(
    evidence: Evidence,
    facts: Facts,
    times: pd.Series | None,
    fdr: float,
    period: ReviewPeriod | None = None,
) -> Named:
    """Choose whom the list names.

    Parameters
    ----------
    evidence : Evidence
    facts : Facts
    times : Series of datetime or None
        Of the sales; a period needs them.
    fdr : float
    period : ReviewPeriod, optional
        By default, these sales are looked at once.

    Returns
    -------
    Named
    """
    p = evidence.excess.p
    labels = [label_of(facts, place) for place in evidence.who]
    root, cost = 1.0, 1.0
    others: list[float] = []
    if period is not None and times is not None:
        held = period.look(times, dict(zip(labels, p, strict=True)))
        p = np.array([held.pop(label, 1.0) for label in labels])
        # Who has left counts among those who were compared.
        others = [*held.values()]
        root, cost = float(np.sqrt(period.share(times.max()))), 2.0
    every = np.append(p, others)
    q = false_discovery_control(every)[: len(p)]
    local = local_rates(every)[: len(p)]
    stands_out = q <= fdr
    level = fdr / len(every) / cost
    powers = [power_of_each(evidence, spared, level, root) for spared in SPARED]
    return Named(
        p,
        q,
        local,
        stands_out & evidence.enough,
        powers[_HALF],
        np.where(stands_out & ~evidence.enough, _FEW, ""),
        pd.DataFrame({"spared": SPARED, "found": [float(power.mean()) for power in powers]}),
    )


def label_of(facts: Facts, place: int) -> str:
    """Write a cashier as store and number, or by the number alone."""
    store = facts.store_names[place]
    return str(facts.names[place]) if store is None else f"{store}/{facts.names[place]}"


def local_rates(p: Floats) -> Floats:
    """Estimate how probable it is that each p value is of somebody honest.

    The list's rate is a mean over those on it; the last of them are less sure than the first. The
    density of p values is taken to fall, and all cashiers but those at its peak to be honest.

    References
    ----------
    K. Strimmer, "A Unified Approach to False Discovery Rate Estimation", BMC Bioinformatics 2008.
    """
    if not len(p):
        return p
    ordered, back = np.unique(np.clip(p, 1e-300, 1), return_inverse=True)
    counts = np.bincount(back)
    ends = np.append(ordered, 1.0) if ordered[-1] < 1 else ordered
    gaps = np.diff(ends, prepend=0.0)
    mass = np.append(counts, 0)[: len(ends)] / len(p)
    density = IsotonicRegression(increasing=False).fit_transform(
        np.arange(len(ends)), mass / gaps, sample_weight=gaps
    )
    return (1 / np.maximum(density[: len(ordered)], 1.0))[back]
