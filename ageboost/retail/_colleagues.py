"""How often colleagues would have asked for a card in each sale.

What a photo says of a buyer goes into a logistic regression, and each cashier's sales are predicted
without them. Stores, tills and hours then move the answer by as much as colleagues there, again
without the cashier, ask more or less than the regression says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["expected_checks"]

_RIDGE = 1.0
_STEPS = 30
_HALVINGS = 12
# In units of the likelihood's logarithm, and of log odds.
_ENOUGH = 1e-4
_FURTHEST = 2.0
# Cashiers differ by about this much (in log odds), and so do stores, tills and hours.
_SPREAD_OF_CASHIERS = 0.4
_SPREAD_OF_PLACES = 0.5
_SPREAD_OF_SLOPES = 0.3
_LEAST = 0.001
_BENDS = (0.5, 0.85)
_KNOTS = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95)

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def expected_checks(
    index: Floats,
    under_legal: Floats,
    under_challenge: Floats,
    checked: npt.NDArray[np.bool_],
    cashiers: Codes,
    places: list[Codes],
) -> Floats:
    """Predict each sale's identity check from what colleagues did.

    Parameters
    ----------
    index : ndarray of shape (n_sales,)
        Answers of the model, on one line.
    under_legal, under_challenge : ndarray of shape (n_sales,)
        Probabilities, for the ages of this till's buyers.
    checked : ndarray of shape (n_sales,), bool
    cashiers : ndarray of shape (n_sales,), int
        In ascending order, from 0.
    places : list of ndarray of shape (n_sales,), int
        Store, till, hours: what sales have in common, from the widest to the narrowest.

    Returns
    -------
    ndarray of shape (n_sales,)
        Probabilities.
    """
    asked = checked.astype(np.float64)
    line = _columns(index, _KNOTS, *_log_odds(under_legal, under_challenge))
    starts = np.flatnonzero(np.diff(cashiers, prepend=-1))
    score = _score_without_own(line, asked, starts)
    bends = _columns(index, _BENDS)
    for place in places:
        score = score + _offset_without_own(score, asked, cashiers, place, bends)
    return _probability(score)


def _columns(index: Floats, knots: Sequence[float], *more: Floats) -> Floats:
    """One, a line that bends at quantiles of the answers, and more; each with a spread of one."""
    at = np.unique(np.quantile(index, knots))
    columns = np.column_stack([index, *(np.maximum(index - knot, 0) for knot in at), *more])
    spread = columns.std(axis=0)
    columns = (columns - columns.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]
    return np.column_stack([np.ones(len(index)), columns])


def _score_without_own(columns: Floats, asked: Floats, starts: Codes) -> Floats:
    """Log odds of a regression that leaves out the cashier of each sale (one Newton step)."""
    n_columns = columns.shape[1]
    # The intercept is free: how often cards are asked for differs between shops.
    ridge = _RIDGE * np.eye(n_columns)
    ridge[0, 0] = 1e-3
    weights = np.zeros(n_columns)
    share = np.clip(asked.mean(), 0.01, 0.99)
    weights[0] = np.log(share / (1 - share))
    cost = _cost(columns, asked, weights, ridge)
    for _ in range(_STEPS):
        chance = _probability(columns @ weights)
        spread = chance * (1 - chance)
        slope = columns.T @ (asked - chance) - ridge @ weights
        curve = columns.T @ (spread[:, None] * columns) + ridge
        step = np.linalg.solve(curve, slope)
        # A whole step can lead astray where hardly anybody is asked, or everybody.
        lower = np.inf
        for _ in range(_HALVINGS):
            lower = _cost(columns, asked, weights + step, ridge)
            if lower <= cost:
                break
            step = step / 2
        if not lower < cost - _ENOUGH:
            break
        weights, cost = weights + step, lower
    chance = _probability(columns @ weights)
    spread = chance * (1 - chance)
    curve = columns.T @ (spread[:, None] * columns) + ridge
    score = np.empty(len(asked))
    for own in _slices(starts, len(asked)):
        mine = columns[own]
        others = curve - mine.T @ (spread[own, None] * mine)
        step = np.linalg.solve(others, mine.T @ (asked[own] - chance[own]))
        score[own] = mine @ weights - np.clip(mine @ step, -_FURTHEST, _FURTHEST)
    return score


def _cost(columns: Floats, asked: Floats, weights: Floats, ridge: Floats) -> float:
    """Negative logarithm of the likelihood, and what the ridge adds."""
    score = columns @ weights
    surprise = np.logaddexp(0, score) - asked * score
    return float(surprise.sum() + weights @ ridge @ weights / 2)


def _offset_without_own(
    score: Floats, asked: Floats, cashiers: Codes, place: Codes, bends: Floats
) -> Floats:
    """How much more, in log odds, colleagues at the same place ask than was predicted.

    It may differ along the answers of the model: where buyers are younger, somebody who looks 22 to
    the model is younger, too.
    """
    chance = _probability(score)
    spread = chance * (1 - chance)
    n_cashiers = int(cashiers.max()) + 1
    cells, which = np.unique(place.astype(np.int64) * n_cashiers + cashiers, return_inverse=True)
    of_place = np.unique(cells // n_cashiers, return_inverse=True)[1]
    n_bends = bends.shape[1]
    slope: Floats = np.stack(
        [np.bincount(which, (asked - chance) * bend) for bend in bends.T], axis=1
    )
    curve = np.empty((len(cells), n_bends, n_bends))
    for row in range(n_bends):
        for column in range(row + 1):
            curve[:, row, column] = curve[:, column, row] = np.bincount(
                which, spread * bends[:, row] * bends[:, column]
            )
    # Each colleague counts as one voice, however many sales they made.
    voice = 1 / (1 + _SPREAD_OF_CASHIERS**2 * np.bincount(which, spread))
    slope = slope * voice[:, None]
    curve = curve * voice[:, None, None]
    others_slope, others_curve = -slope, -curve
    for total, part in ((others_slope, slope), (others_curve, curve)):
        whole = np.zeros((int(of_place.max()) + 1, *part.shape[1:]))
        np.add.at(whole, of_place, part)
        total += whole[of_place]
    prior = np.diag([_SPREAD_OF_PLACES**-2] + [_SPREAD_OF_SLOPES**-2] * (n_bends - 1))
    moved = np.linalg.solve(others_curve + prior, others_slope[:, :, None])[:, :, 0]
    return np.clip(np.einsum("ij,ij->i", bends, moved[which]), -3, 3)


def _probability(score: Floats) -> Floats:
    return np.clip(1 / (1 + np.exp(-np.clip(score, -30, 30))), _LEAST, 1 - _LEAST)


def _log_odds(*probabilities: Floats) -> list[Floats]:
    clipped = [np.clip(one, _LEAST, 1 - _LEAST) for one in probabilities]
    return [np.log(one / (1 - one)) for one in clipped]


def _slices(starts: Codes, n_rows: int) -> list[slice]:
    ends = np.append(starts[1:], n_rows)
    return [slice(start, end) for start, end in zip(starts, ends, strict=True)]
