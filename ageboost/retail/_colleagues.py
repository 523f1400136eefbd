"""How often colleagues would have asked for a card in each sale.

What a photo says of a buyer goes into a logistic regression, and each cashier's sales are foretold
without them. Stores, tills and hours then move the answer by as much as colleagues there, again
without the cashier, ask more or less than the regression says.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["expected_checks"]

_RIDGE = 1.0
_STEPS = 12
# Cashiers differ by about this much (in log odds), and so do stores, tills and hours.
_SPREAD_OF_CASHIERS = 0.4
_SPREAD_OF_PLACES = 0.7
_LEAST = 0.004
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
    """Foretell each sale's check from what colleagues did.

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
    line = _columns(index, under_legal, under_challenge)
    starts = np.flatnonzero(np.diff(cashiers, prepend=-1))
    score = _score_without_own(line, asked, starts)
    for place in places:
        score = score + _offset_without_own(score, asked, cashiers, place)
    return _probability(score)


def _columns(index: Floats, under_legal: Floats, under_challenge: Floats) -> Floats:
    """A line that bends at quantiles of the answers, and what the till's buyers make of them."""
    knots = np.unique(np.quantile(index, _KNOTS))
    bends = [np.maximum(index - knot, 0) for knot in knots]
    columns = np.column_stack(
        [index, *bends, under_legal, under_challenge, under_legal * under_challenge]
    )
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
    for _ in range(_STEPS):
        chance = _probability(columns @ weights)
        spread = chance * (1 - chance)
        slope = columns.T @ (asked - chance) - ridge @ weights
        curve = columns.T @ (spread[:, None] * columns) + ridge
        step = np.linalg.solve(curve, slope)
        weights += np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-5:
            break
    chance = _probability(columns @ weights)
    spread = chance * (1 - chance)
    curve = columns.T @ (spread[:, None] * columns) + ridge
    score = np.empty(len(asked))
    for own in _slices(starts, len(asked)):
        mine = columns[own]
        others = curve - mine.T @ (spread[own, None] * mine)
        step = np.linalg.solve(others, mine.T @ (asked[own] - chance[own]))
        score[own] = mine @ (weights - np.clip(step, -3, 3))
    return score


def _offset_without_own(score: Floats, asked: Floats, cashiers: Codes, place: Codes) -> Floats:
    """How much more, in log odds, colleagues at the same place ask than they were foretold to."""
    chance = _probability(score)
    cells, which = np.unique(
        place.astype(np.int64) * (int(cashiers.max()) + 1) + cashiers, return_inverse=True
    )
    cell_place = cells // (int(cashiers.max()) + 1)
    surplus = np.bincount(which, asked - chance)
    spread = np.bincount(which, chance * (1 - chance))
    # Each colleague counts as one voice, however many sales they made.
    told = 1 / (1 + _SPREAD_OF_CASHIERS**2 * spread)
    sums = np.bincount(cell_place, surplus * told)[cell_place] - surplus * told
    voices = np.bincount(cell_place, spread * told)[cell_place] - spread * told
    return np.clip(sums / (voices + _SPREAD_OF_PLACES**-2), -2, 2)[which]


def _probability(score: Floats) -> Floats:
    return np.clip(1 / (1 + np.exp(-np.clip(score, -30, 30))), _LEAST, 1 - _LEAST)


def _slices(starts: Codes, n_rows: int) -> list[slice]:
    ends = np.append(starts[1:], n_rows)
    return [slice(start, end) for start, end in zip(starts, ends, strict=True)]
