"""What a model said of buyers, each answer once, and who was given it.

All that is summed up over receipts follows from the answers: buyers of whom the same is said belong
to the same age groups. The order of answers and customers is one that does not depend on the order
in which receipts were read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

__all__ = ["Answers", "number_answers"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Distinct answers about buyers whose receipts are counted.

    Parameters
    ----------
    under : ndarray of shape (n_answers, n_edges)
        Probabilities of being younger than the edges of age groups.
    ages : ndarray of shape (n_answers,)
        Years.
    alone : ndarray of shape (n_answers,)
        Receipts of whom nobody knows whether the buyer came again.
    customers : csr_array of shape (n_answers, n_customers)
        Receipts of each known customer; customers are in the order of their names.
    """

    under: Array
    ages: Array
    alone: Array
    customers: sparse.csr_array

    @property
    def counts(self) -> Array:
        """How many receipts there are of each answer."""
        return self.alone + np.asarray(self.customers.sum(axis=1)).ravel()

    def draw_counts(self, rng: np.random.Generator) -> Array:
        """Draw customers anew, as by a Bayesian bootstrap: each counts as much as chance says."""
        known = self.customers @ rng.exponential(1.0, self.customers.shape[1])
        single = np.repeat(np.arange(len(self.alone)), self.alone.astype(np.int64))
        weights = rng.exponential(1.0, len(single))
        return known + np.bincount(single, weights, len(self.alone))


def number_answers(values: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Find the distinct rows, in rising order.

    Parameters
    ----------
    values : ndarray of shape (n_buyers, n_values)
        No NaN.

    Returns
    -------
    distinct : ndarray of shape (n_answers, n_values)
    numbers : ndarray of shape (n_buyers,), int
        Which of them each row is.
    """
    order = np.lexsort(values.T[::-1])
    ranked = values[order]
    first = np.ones(len(ranked), dtype=bool)
    first[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    numbers = np.empty(len(values), dtype=np.intp)
    numbers[order] = first.cumsum() - 1
    return ranked[first], numbers
