"""Early stopping: the number of trees that gives the best ages for photos that are held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor, Pool
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from xgboost import XGBRegressor

__all__ = ["choose_number_of_trees"]

_HELD_OUT = 0.1


def choose_number_of_trees(
    regressor: Any,
    rows: npt.NDArray,
    ages: npt.NDArray,
    sample_weight: npt.NDArray | None,
    patience: int,
    random_state: Any,
) -> Any:
    """Choose the number of trees by photos that are held out, a tenth of all.

    Parameters
    ----------
    regressor : XGBRegressor or CatBoostRegressor
        Its own number of trees is the most that are tried.
    rows : ndarray of shape (n_photos, n_columns)
    ages : ndarray of shape (n_photos,)
        Years.
    sample_weight : ndarray of shape (n_photos,) or None
    patience : int
        Stop when this many trees in a row have brought nothing.
    random_state : int, RandomState or None
        Of the choice of photos.

    Returns
    -------
    XGBRegressor or CatBoostRegressor
        Not fitted, with that number of trees.

    Raises
    ------
    ValueError
        If it is another regressor.
    """
    weight = np.ones(len(ages)) if sample_weight is None else sample_weight
    known = weight > 0
    train, held, train_ages, held_ages, train_weight, held_weight = train_test_split(
        rows[known],
        ages[known],
        weight[known],
        test_size=_HELD_OUT,
        random_state=random_state,
    )
    trial = clone(regressor)
    if isinstance(trial, XGBRegressor):
        trial.set_params(early_stopping_rounds=patience)
        trial.fit(
            train,
            train_ages,
            sample_weight=train_weight,
            eval_set=[(held, held_ages)],
            sample_weight_eval_set=[held_weight],
            verbose=False,
        )
        return clone(regressor).set_params(n_estimators=trial.best_iteration + 1)
    if isinstance(trial, CatBoostRegressor):
        trial.fit(
            Pool(train, train_ages, weight=train_weight),
            eval_set=Pool(held, held_ages, weight=held_weight),
            early_stopping_rounds=patience,
        )
        return clone(regressor).set_params(iterations=trial.get_best_iteration() + 1)
    raise ValueError(
        f"early_stopping_rounds works with XGBoost and CatBoost, and the regressor is "
        f"{type(regressor).__name__}: pass regressor='xgboost' or 'catboost', or leave it out"
    )
