"""Rows of numbers through what stands behind features, each as if it came alone."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBRegressor

from ageboost._arrays import returning_arrays, with_arrays
from ageboost.models._exact import ExactProduct
from ageboost.models._one_row import SingleRows
from ageboost.models.kernel import KernelScores
from ageboost.models.reduction import GroupedPCA

__all__ = ["fit_reduction", "predict_rows", "transform_rows", "voting_weights"]

_BOOSTED = XGBRegressor, CatBoostRegressor
# Trees look at one row at a time, and ours do as these functions do.
_TREES = (
    *_BOOSTED,
    DecisionTreeRegressor,
    ExtraTreesRegressor,
    RandomForestRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
)
_EXACT_TRANSFORMERS = (GroupedPCA, KernelScores)


@with_arrays
def fit_reduction(
    reduction: Any,
    rows: npt.NDArray[np.float32],
    ages: npt.NDArray[np.float64],
    sample_weight: npt.NDArray[np.float64] | None = None,
    groups: Sequence[str] | None = None,
) -> tuple[Any, npt.NDArray[np.float32]]:
    """Fit a reduction, and compute what a regressor behind it is to be fitted on.

    A reduction that predicts ages is cross-fitted: no photo is predicted by kernels that were
    fitted on it.

    Parameters
    ----------
    reduction : transformer or None
        Left as it is; a clone is fitted.
    rows : ndarray of shape (n_photos, n_features)
    ages : ndarray of shape (n_photos,)
        Years.
    sample_weight : ndarray of shape (n_photos,), optional
    groups : sequence of str of length n_features, optional
        The group of each feature.

    Returns
    -------
    fitted : transformer or None
    reduced : ndarray of shape (n_photos, n_columns)
    """
    if reduction is None:
        return None, rows
    fitted = returning_arrays(clone(reduction))
    if hasattr(fitted, "cross_fit_transform"):
        fit, fit_transform = fitted.cross_fit_transform, fitted.cross_fit_transform
    else:
        fit, fit_transform = fitted.fit, fitted.fit_transform
    params = {"groups": groups, "sample_weight": sample_weight}
    taken = signature(fit).parameters
    return fitted, fit_transform(rows, ages, **{k: v for k, v in params.items() if k in taken})


@with_arrays
def predict_rows(
    regressor: BaseEstimator, rows: npt.NDArray, single: SingleRows | None = None
) -> npt.NDArray[np.float64]:
    """Predict, so that a row's age does not depend on what other rows there are.

    Libraries for matrix products round differently for few rows than for many. So lines, and what
    stands before a regressor in a pipeline, are computed by :class:`ExactProduct`. Trees look at
    each row apart. Any other regressor predicts one row at a time, in double precision.

    Parameters
    ----------
    regressor : regressor
        Fitted.
    rows : ndarray of shape (n_rows, n_columns)
    single : SingleRows, optional
        Where trees are kept for single rows. By default, their libraries are asked for these, too.

    Returns
    -------
    ndarray of shape (n_rows,)
        Rounded to single precision.
    """
    if len(rows) == 0:
        return np.empty(0)
    return _predict(regressor, rows, single).astype(np.float32).astype(np.float64)


@with_arrays
def transform_rows(transformer: Any, rows: npt.NDArray) -> npt.NDArray:
    """Transform rows, so that what becomes of one does not depend on what others there are.

    Parameters
    ----------
    transformer : transformer, "passthrough" or None
        Fitted.
    rows : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    ndarray of shape (n_rows, n_columns_behind)
    """
    if transformer is None or transformer == "passthrough" or len(rows) == 0:
        return rows
    if isinstance(transformer, _EXACT_TRANSFORMERS):
        return transformer.transform_checked(rows)
    if isinstance(transformer, StandardScaler):
        return np.asarray(transformer.transform(rows))
    if isinstance(transformer, PCA):
        return _principal_components(transformer, rows)
    alone = [transformer.transform(rows[i : i + 1]) for i in range(len(rows))]
    return np.concatenate([np.asarray(row) for row in alone])


def voting_weights(regressor: VotingRegressor) -> list[float]:
    """Look up how much each part of a vote counts for.

    Parameters
    ----------
    regressor : VotingRegressor
        Fitted.

    Returns
    -------
    list of float
        One for each of ``estimators_``.
    """
    if regressor.weights is None:
        return [1.0] * len(regressor.estimators_)
    parts = zip(regressor.estimators, regressor.weights, strict=True)
    return [weight for (_, part), weight in parts if part != "drop"]


def _predict(
    regressor: Any, rows: npt.NDArray, single: SingleRows | None
) -> npt.NDArray[np.float64]:
    if isinstance(regressor, VotingRegressor):
        weights = voting_weights(regressor)
        parts = zip(weights, regressor.estimators_, strict=True)
        total = sum(weight * _predict(part, rows, single) for weight, part in parts)
        return np.asarray(total / sum(weights))
    if isinstance(regressor, Pipeline):
        for _, step in regressor.steps[:-1]:
            rows = transform_rows(step, rows)
        return _predict(regressor.steps[-1][1], rows, single)
    if getattr(regressor, "_computes_rows_apart", False):
        # An AgeRegressor inside another.
        return regressor.predict(rows)
    if isinstance(regressor, _TREES):
        if single is not None and len(rows) == 1 and isinstance(regressor, _BOOSTED):
            trees = single.trees(regressor, rows.shape[1])
            if trees is not None:
                return np.array([trees(np.asarray(rows[0], np.float32))])
        return np.ravel(regressor.predict(rows)).astype(np.float64)
    coefs = np.ravel(getattr(regressor, "coef_", ()))
    if len(coefs) == rows.shape[1] and hasattr(regressor, "intercept_"):
        line = ExactProduct(coefs.astype(np.float64)[:, None])
        return line(rows)[:, 0] + float(np.ravel(regressor.intercept_)[0])
    rows = rows.astype(np.float64)
    alone = [np.ravel(regressor.predict(rows[i : i + 1])) for i in range(len(rows))]
    return np.concatenate(alone).astype(np.float64)


def _principal_components(pca: PCA, rows: npt.NDArray) -> npt.NDArray:
    components = pca.components_.T.astype(np.float64)
    if pca.whiten:
        components = components / np.sqrt(pca.explained_variance_)
    return ExactProduct(components)(rows - pca.mean_).astype(np.asarray(rows).dtype)
