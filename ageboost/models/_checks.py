"""Checks of parameters, of rows, and of what comes with photos: ages, weights, who is on them."""

from __future__ import annotations

from collections.abc import Sequence
from reprlib import repr as brief

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from ageboost._age_bands import OLDEST
from ageboost._device import check_device
from ageboost.errors import LabelsError
from ageboost.photos import photo_name

__all__ = [
    "check_ages",
    "check_people",
    "check_regressor",
    "check_rows",
    "check_weight",
    "row_names",
]


def check_ages(ages: npt.ArrayLike, photos: Sequence[object]) -> npt.NDArray[np.float64]:
    """Check that each photo has an age from 0 to 120.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        Years.
    photos : sequence of length n_photos
        To name them in an error.

    Returns
    -------
    ndarray of shape (n_photos,)

    Raises
    ------
    LabelsError
        If an age is missing or not from 0 to 120; it names all of them.
    ValueError
        If there are more photos than ages, or fewer.
    """
    given = np.asarray(ages, dtype=object).ravel()
    if len(given) != len(photos):
        raise ValueError(f"{len(photos)} photos but {len(given)} ages: give one age for each photo")
    numbers = np.asarray(pd.to_numeric(pd.Series(given), errors="coerce"), dtype=np.float64)
    bad = np.flatnonzero(~((numbers >= 0) & (numbers <= OLDEST)))
    if len(bad):
        problems = [
            (row, f"{photo_name(photos[row], row)}: {_age_problem(given[row], numbers[row])}")
            for row in bad.tolist()
        ]
        raise LabelsError("ages", problems, "correct them, or leave these photos out")
    return numbers


def _age_problem(given: object, age: float) -> str:
    """Say what is wrong with an age in the words that readers of labels use."""
    if pd.api.types.is_scalar(given) and (pd.isna(given) or given == ""):
        return "no age is given"
    if np.isnan(age):
        return f"age {brief(given)} is not a number"
    return f"age {brief(given)} is not from 0 to {OLDEST}"


def check_people(groups: npt.ArrayLike | None, n_photos: int) -> npt.NDArray[np.object_] | None:
    """Check that it is known of each photo who is on it.

    Parameters
    ----------
    groups : array-like of shape (n_photos,) or None
    n_photos : int

    Returns
    -------
    ndarray of shape (n_photos,) or None

    Raises
    ------
    ValueError
        If there are more photos than groups, or fewer, or some are missing.
    """
    if groups is None:
        return None
    people = np.asarray(groups, dtype=object).ravel()
    if len(people) != n_photos:
        raise ValueError(f"{n_photos} photos but {len(people)} groups: give one for each photo")
    missing = np.flatnonzero(pd.isna(people))
    if len(missing):
        raise ValueError(
            f"groups has no entry for {len(missing)} photos, the first in row {missing[0]}: "
            "name their people, or leave them out"
        )
    return people


def check_weight(
    sample_weight: npt.ArrayLike | None, n_photos: int
) -> npt.NDArray[np.float64] | None:
    """Check that each photo has a weight, if any has.

    Parameters
    ----------
    sample_weight : array-like of shape (n_photos,) or None
    n_photos : int

    Returns
    -------
    ndarray of shape (n_photos,) or None

    Raises
    ------
    ValueError
        If there are more photos than weights, or fewer, or all weights are zero.
    """
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n_photos,):
        raise ValueError(f"sample_weight has shape {weight.shape} for {n_photos} photos")
    if n_photos and not weight.any():
        raise ValueError("sample_weight is zero for all photos: give some of them weight")
    return weight


def row_names(n_rows: int) -> list[object]:
    """Name the rows of a matrix, for errors that name photos."""
    return [f"matrix row {row}" for row in range(n_rows)]


def check_rows(regressor: BaseEstimator, X: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Check that a regressor is fitted, and rows what it was fitted on.

    Parameters
    ----------
    regressor : regressor
    X : array-like of shape (n_rows, n_features)

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32

    Raises
    ------
    NotFittedError
        If it is not fitted.
    ValueError
        If the matrix has other columns, or holds NaN.
    """
    check_is_fitted(regressor, "regressor_")
    # For one face, scikit-learn's checks take a millisecond.
    if (
        type(X) is np.ndarray
        and X.dtype == np.float32
        and X.shape[1:] == (regressor.n_features_in_,)
        and not hasattr(regressor, "feature_names_in_")
        and np.isfinite(X).all()
    ):
        return X
    return validate_data(regressor, X, dtype=np.float32, reset=False, ensure_min_samples=0)


def check_regressor(
    interval_folds: int | None, early_stopping_rounds: int | None, device: str | None
) -> None:
    """Check parameters of a regressor that can be wrong by themselves.

    Parameters
    ----------
    interval_folds, early_stopping_rounds, device
        As of :class:`AgeRegressor`.

    Raises
    ------
    ValueError
        For the first that is.
    """
    if interval_folds is not None and interval_folds < 2:
        raise ValueError(f"interval_folds={interval_folds!r}: pass None, 2 or more")
    if device is not None:
        check_device(device)
    if early_stopping_rounds is not None and early_stopping_rounds < 1:
        raise ValueError(f"early_stopping_rounds={early_stopping_rounds!r}: pass None, 1 or more")
