"""What the sales of a shop could have shown of somebody who spares minors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import poisson, t

from ageboost.retail._evidence import FEWEST_SALES, Evidence, sales_that_count

__all__ = ["power_of_each"]

Floats = npt.NDArray[np.float64]


def power_of_each(evidence: Evidence, spared: float, level: float, root: float = 1.0) -> Floats:
    """Compute how probably each cashier would be named who spared a share of the minors.

    Parameters
    ----------
    evidence : Evidence
    spared : float
        Share of the minors whom colleagues would have asked.
    level : float
        The p value that a single name needs.
    root : float, default=1
        What standard scores are multiplied with before they are compared with the level.

    Returns
    -------
    ndarray of shape (n_compared,)
    """
    excess = evidence.excess
    weights = excess.weights
    chance = spared * evidence.minor * evidence.expected
    more = evidence.total(weights * chance)
    # Who spares asks less, and how many minors there were is chance as well.
    asked = evidence.expected - chance
    own = evidence.total(weights**2 * asked * (1 - asked))
    usual = evidence.total(weights**2 * evidence.expected * (1 - evidence.expected))
    spread = np.sqrt(np.maximum(excess.variance - usual + own, 1e-200))
    needed = t.isf(level, excess.freedom) / root * np.sqrt(np.maximum(excess.variance, 1e-200))
    found = t.sf((needed - more) / spread, excess.freedom)
    # Nor would anybody be named on few sales, of those that weigh enough to count.
    counts = sales_that_count(weights * evidence.expected, evidence.starts)
    enough = poisson.sf(FEWEST_SALES - 1, evidence.total(np.where(counts, 1 - asked, 0.0)))
    return np.minimum(found, enough)
