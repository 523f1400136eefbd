"""Early stopping: the number of trees that gives the best ages for photos that are held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from xgboost import XGBRegressor

from ageboost.models._fitting import count_trees
from ageboost.models._rows_on_disk import Rows
from ageboost.models._stages import Stages

__all__ = ["check_stops_early", "choose_number_of_trees"]

_HELD_OUT = 0.1


def choose_number_of_trees(
    regressor: Any,
    rows: Rows,
    ages: npt.NDArray,
    sample_weight: npt.NDArray | None,
    patience: int,
    random_state: Any,
    stages: Stages,
) -> Any:
    """Choose the number of trees by photos that are held out, a tenth of all.

    Parameters
    ----------
    regressor : XGBRegressor or CatBoostRegressor
        Its own number of trees is the most that are tried.
    rows : ndarray of shape (n_photos, n_columns) or RowsOnDisk
    ages : ndarray of shape (n_photos,)
        Years.
    sample_weight : ndarray of shape (n_photos,) or None
    patience : int
        Stop when this many trees in a row have brought nothing.
    random_state : int, RandomState or None
        Of the choice of photos.
    stages : Stages
        What keeps the number.

    Returns
    -------
    XGBRegressor or CatBoostRegressor
        Not fitted, with that number of trees.

    Raises
    ------
    ValueError
        If it is another regressor.
    """
    check_stops_early(regressor)
    weight = np.ones(len(ages)) if sample_weight is None else sample_weight
    train, held = train_test_split(
        np.flatnonzero(weight > 0), test_size=_HELD_OUT, random_state=random_state
    )

    def count() -> npt.NDArray:
        return np.array(count_trees(regressor, rows, ages, weight, train, held, patience))

    name = "n_estimators" if isinstance(regressor, XGBRegressor) else "iterations"
    return clone(regressor).set_params(**{name: int(stages.array("trees", count))})


def check_stops_early(regressor: Any) -> None:
    """Check that a regressor can stop early.

    Parameters
    ----------
    regressor : regressor

    Raises
    ------
    ValueError
        If it is neither XGBoost nor CatBoost.
    """
    if not isinstance(regressor, XGBRegressor | CatBoostRegressor):
        raise ValueError(
            f"early_stopping_rounds works with XGBoost and CatBoost, and the regressor is "
            f"{type(regressor).__name__}: pass regressor='xgboost' or 'catboost', or leave it out"
        )
