"""Kernels and trees as one regressor, for features that are numbers already."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ageboost._arrays import returning_arrays, with_arrays
from ageboost.models._cuts import steady_trees
from ageboost.models._rows import predict_rows
from ageboost.models.kernel import KernelScores
from ageboost.models.regressors import make_regressor

__all__ = ["StackedAgeRegressor"]


class StackedAgeRegressor(RegressorMixin, BaseEstimator):
    """Ages that kernels tell, corrected by boosted trees.

    What :class:`AgeEstimator` does behind its features, for those who have a matrix: kernel ridge
    regression on components of each group of features, whose cross-fitted ages join the first
    components as the features of the last regressor.

    Parameters
    ----------
    scores : KernelScores, optional
        By default ``KernelScores()`` with this ``random_state``.
    regressor : {"blend", "xgboost", "catboost"} or regressor, default="blend"
        What stands last: see :func:`make_regressor`.
    n_jobs : int, optional
        Threads of a regressor given by name; by default all cores.
    random_state : int or None, default=None

    Attributes
    ----------
    scores_ : KernelScores
    regressor_ : regressor
    n_features_in_ : int

    See Also
    --------
    AgeEstimator : From photos to ages.

    References
    ----------
    D. Wolpert, "Stacked Generalization", Neural Networks 1992.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models import StackedAgeRegressor
    >>> X = np.random.default_rng(0).normal(size=(300, 8))
    >>> ages = 40 + 10 * np.sin(X[:, 0]) + 5 * X[:, 1]
    >>> stack = StackedAgeRegressor(regressor="xgboost", random_state=0)
    >>> stack.fit(X, ages, groups=["hog"] * 4 + ["lbp"] * 4).score(X, ages) > 0.8
    True
    """

    def __init__(self, scores=None, regressor="blend", n_jobs=None, random_state=None):
        self.scores = scores
        self.regressor = regressor
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_arrays
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
        groups: object = None,
    ) -> StackedAgeRegressor:
        """Learn kernels, and the regressor from ages of kernels that have not seen the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Years.
        sample_weight : array-like of shape (n_samples,), optional
        groups : sequence of str of length n_features, optional
            The group of each feature, as for :meth:`KernelScores.fit`.

        Returns
        -------
        self
        """
        X, y = validate_data(
            self, X, y, dtype=[np.float32, np.float64], ensure_min_samples=2, y_numeric=True
        )
        scores, regressor = self.scores, self.regressor
        if scores is None:
            scores = KernelScores(random_state=self.random_state)
        if isinstance(regressor, str):
            regressor = make_regressor(regressor, self.random_state, self.n_jobs)
        weight = None
        if sample_weight is not None:
            weight = np.asarray(_check_sample_weight(sample_weight, X))
            if not weight.any():
                raise ValueError("sample_weight is zero for all rows: give some of them weight")
        self.scores_ = returning_arrays(clone(scores))
        rows = self.scores_.cross_fit_transform(X, y, groups=groups, sample_weight=weight)
        fit_params = {} if weight is None else {"sample_weight": weight}
        self.regressor_ = steady_trees(clone(regressor).fit(rows, y, **fit_params), rows)
        return self

    @with_arrays
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
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        return predict_rows(self.regressor_, self.scores_.transform(X))
