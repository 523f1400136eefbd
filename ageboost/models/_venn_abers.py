"""Probabilities that come true, from scores that rise with them: Venn-Abers predictors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

__all__ = ["venn_abers"]

# Scores closer than this, in units of log-odds, count as one; none is surer than this.
_STEP, _SUREST = 0.05, 10.0


def venn_abers(
    scores: npt.NDArray[np.float64], happened: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Learn how probable something is where a score says so.

    Isotonic regression has steps. In the middle of each it is fitted twice more: as if it had
    happened to one more person of that score, and as if it had not. The two answers enclose the
    probability, and are combined into one. Between the middles, probabilities rise in straight
    lines, so that no two scores get the same one.

    Parameters
    ----------
    scores : ndarray of shape (n_people,)
        From 0 to 1.
    happened : ndarray of shape (n_people,)
        Whether it did.

    Returns
    -------
    ndarray of shape (2, n_knots)
        Scores, from 0 to 1, and the probability at each; for :func:`numpy.interp`.

    References
    ----------
    V. Vovk, I. Petej and V. Fedorova, "Large-scale Probabilistic Predictors with and without
    Guarantees of Validity", NeurIPS 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models._venn_abers import venn_abers
    >>> rng = np.random.default_rng(0)
    >>> scores = rng.random(2000)
    >>> knots = venn_abers(scores, rng.random(2000) < scores**2)
    >>> bool(abs(np.interp(0.5, *knots) - 0.25) < 0.05)
    True
    """
    steps = (logit(scores).clip(-_SUREST, _SUREST) / _STEP).round()
    levels, places, people = np.unique(steps, return_inverse=True, return_counts=True)
    share = np.bincount(places, happened) / people
    starts = isotonic_regression(share, weights=people).blocks[:-1]
    middles = np.add.reduceat(levels * people, starts) / np.add.reduceat(people, starts)
    asked = np.searchsorted(levels, middles)
    said = []
    for place in asked:
        counts, shares = people.copy(), share.copy()
        counts[place] += 1
        bounds = []
        for last in (0.0, 1.0):
            shares[place] = (share[place] * people[place] + last) / counts[place]
            bounds.append(isotonic_regression(shares, weights=counts).x[place])
        never, ever = bounds
        said.append(ever / (1 - never + ever))
    knots = np.array([expit(levels[asked] * _STEP), np.maximum.accumulate(said)])
    return np.column_stack([[0.0, 0.0], knots, [1.0, 1.0]])
