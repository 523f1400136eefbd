"""Predicted ages moved by a map of years: what both corrections of ages have in common."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.isotonic import isotonic_regression
from sklearn.utils.validation import check_is_fitted

from ageboost._age_bands import OLDEST

__all__ = ["AgeMap", "make_rising", "read_map"]


class AgeMap(BaseEstimator):
    """A map of predicted ages, straight between whole years.

    Attributes
    ----------
    corrections_ : ndarray of shape (121,), float32
        Years added at the predicted ages 0 to 120.
    """

    corrections_: npt.NDArray[np.float32]

    def correct(self, predictions: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Correct predicted ages.

        Parameters
        ----------
        predictions : array-like of shape (n_faces,)
            Years; NaN where there is none.

        Returns
        -------
        ndarray of shape (n_faces,)
            Years.
        """
        check_is_fitted(self)
        predicted = np.asarray(predictions, dtype=np.float64)
        return np.maximum(predicted + read_map(self.corrections_, predicted), 0)


def make_rising(corrections: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Change a map as little as it takes for corrected ages to rise from 0 on.

    Parameters
    ----------
    corrections : ndarray of shape (121,)
        Years to add at the ages 0 to 120.

    Returns
    -------
    ndarray of shape (121,)
        Years.
    """
    grid = np.arange(OLDEST + 1.0)
    return isotonic_regression(np.maximum(grid + corrections, 0)) - grid


def read_map(
    corrections: npt.NDArray[np.floating], predicted: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Read how many years a map adds.

    Parameters
    ----------
    corrections : ndarray of shape (121,)
        Years added at the ages 0 to 120.
    predicted : ndarray of shape (n_faces,)
        Years.

    Returns
    -------
    ndarray of shape (n_faces,)
        Years.
    """
    return np.interp(predicted, np.arange(OLDEST + 1.0), corrections)
