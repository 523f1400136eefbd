"""Ages from what several networks answer by themselves, corrected as far as few photos bear it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

__all__ = ["OpinionPool", "PoolSpread"]

# Labels that networks learnt from are off by this much, so neighbouring years are much the same.
_BLUR = 2.0
# No answer is taken to be impossible.
_LEAST = 1e-5
# Errors above this many years count in proportion, not squared.
_LARGE_ERROR = 2.0
_ROUNDS = 50
# Slopes under this would map two ages onto one.
_FLATTEST = 0.1
_UNIT = 20.0
# Of the way from knowing nothing to the answer; more change nothing.
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(32)


class OpinionPool(RegressorMixin, BaseEstimator):
    """The mean of a logarithmic opinion pool, with a straight-line correction of adults' ages.

    Each network says how probable each year is. The pool multiplies these probabilities, each
    raised to a power, so that a network that is sure of a face counts for more there. What is
    learnt from photos is one slope: how much further a person is from the age at which the
    correction begins than was estimated. A penalty pulls it to no change. Ages below are not
    changed.

    Parameters
    ----------
    powers : sequence of float, default=(0.25, 1.0)
        One for each network.
    start : float, default=20.0
        Years at which the correction begins: where the youngest are of the photos learnt from.
    alpha : float, default=30.0
        Photos that speak for no change, each of somebody 20 years above the start.

    Attributes
    ----------
    slope_ : float
        What each year above the start is multiplied by.
    n_features_in_ : int

    See Also
    --------
    ageboost.features.NetworkAges : The columns that it reads, network after network.

    References
    ----------
    C. Genest and J. Zidek, "Combining Probability Distributions: A Critique and an Annotated
    Bibliography", Statistical Science 1986.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models import OpinionPool
    >>> years = np.arange(101)
    >>> shares = np.exp(-((years - np.array([[30.0], [50.0]])) ** 2) / 50)
    >>> pool = OpinionPool(powers=(1.0,)).fit(shares, [30, 54])
    >>> bool(pool.slope_ > 1)
    True
    """

    def __init__(self, powers=(0.25, 1.0), start=20.0, alpha=30.0):
        self.powers = powers
        self.start = start
        self.alpha = alpha

    def fit(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> OpinionPool:
        """Learn the slope.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As many columns for each network, one for each year from 0 on.
        y : array-like of shape (n_samples,)
            Years.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        if X.shape[1] % len(self.powers):
            raise ValueError(
                f"{X.shape[1]} columns for {len(self.powers)} powers: give each network's years "
                "as many columns, and one power for each network"
            )
        weight = np.asarray(_check_sample_weight(sample_weight, X))
        pooled = pool_mean(pool_shares(X, self.powers))
        above = np.maximum(pooled - self.start, 0)
        missing = y - pooled
        extra, counted = 0.0, weight
        for _ in range(_ROUNDS):
            before = extra
            extra = float(
                (counted * above * missing).sum()
                / ((counted * above**2).sum() + self.alpha * _UNIT**2)
            )
            if abs(extra - before) < 1e-9:
                break
            counted = (
                weight * _LARGE_ERROR / np.maximum(np.abs(missing - extra * above), _LARGE_ERROR)
            )
        self.slope_ = max(1 + extra, _FLATTEST)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Estimate ages.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            Years.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self._correct(pool_mean(pool_shares(X, self.powers)))

    def contributions(self, X: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Take ages apart into what each column gives, on the way from knowing nothing.

        Integrated gradients in the logarithms of the probabilities, from all years alike.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features)
            Years.
        base_values : ndarray of shape (n_samples,)
            Years. With the sum of the contributions, the prediction.

        References
        ----------
        M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        terms = _log_shares(X, self.powers)
        logits = terms.sum(axis=1)
        years = np.arange(logits.shape[1], dtype=np.float64)
        parts = np.zeros_like(terms)
        for time, step in zip((_NODES + 1) / 2, _NODE_WEIGHTS / 2, strict=True):
            shares = _normalized(time * logits)
            distance = years - (shares @ years)[:, None]
            parts += step * (shares * distance)[:, None] * terms
        nothing = years.mean()
        pooled = nothing + parts.sum(axis=(1, 2))
        base = np.full(len(X), float(self._correct(np.array([nothing]))[0]))
        way = pooled - nothing
        moved = self._correct(pooled) - base
        parts *= np.where(way == 0, 1.0, moved / np.where(way == 0, 1.0, way))[:, None, None]
        return parts.reshape(len(X), -1), base

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # It reads probabilities of years; of other numbers it can make nothing.
        tags.regressor_tags.poor_score = True
        return tags

    def _correct(self, pooled: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return pooled + (self.slope_ - 1) * np.maximum(pooled - self.start, 0)


class PoolSpread(BaseEstimator):
    """How large an error to expect of a face: the spread of the pool, as a regressor of its log.

    It stands where :class:`AgeCalibrator` has trees, for models that saw too few photos for these.

    Parameters
    ----------
    powers : sequence of float, default=(0.25, 1.0)
        As for :class:`OpinionPool`.
    least : float, default=2.0
        Years that are added, in squares: networks that are sure are off all the same.
    """

    def __init__(self, powers=(0.25, 1.0), least=2.0):
        self.powers = powers
        self.least = least

    def predict(self, columns: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Estimate the logarithm of the error to expect.

        Parameters
        ----------
        columns : ndarray of shape (n_faces, 1 + n_features)
            The age that was predicted, then the columns that the pool reads.

        Returns
        -------
        ndarray of shape (n_faces,), float32
        """
        shares = pool_shares(columns[:, 1:].astype(np.float64), self.powers)
        years = np.arange(shares.shape[1], dtype=np.float64)
        mean = pool_mean(shares)
        variance = np.maximum(shares @ years**2 - mean**2, 0)
        # In single precision the order in which sums were taken does not show.
        return (np.log(variance + self.least**2) / 2).astype(np.float32)


def pool_shares(X: npt.NDArray[np.float64], powers: Any) -> npt.NDArray[np.float64]:
    """Pool what networks answer.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_networks * n_years), float64
    powers : sequence of float of length n_networks

    Returns
    -------
    ndarray of shape (n_samples, n_years)
        Probabilities of each year.
    """
    return _normalized(_log_shares(X, powers).sum(axis=1))


def pool_mean(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Compute the mean age of each row of probabilities.

    Parameters
    ----------
    shares : ndarray of shape (n_samples, n_years)

    Returns
    -------
    ndarray of shape (n_samples,)
        Years.
    """
    return shares @ np.arange(shares.shape[1], dtype=np.float64)


def _log_shares(X: npt.NDArray[np.float64], powers: Any) -> npt.NDArray[np.float64]:
    answers = np.maximum(X, 0).reshape(len(X), len(powers), -1)
    years = np.arange(answers.shape[2])
    blur = np.exp(-(((years[:, None] - years) / _BLUR) ** 2) / 2)
    blurred = answers @ (blur / blur.sum(axis=0)).T
    return np.log(blurred + _LEAST) * np.asarray(powers, dtype=np.float64)[:, None]


def _normalized(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
