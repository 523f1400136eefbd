"""Numbers to age: XGBoost and CatBoost, with settings that suit it."""

from __future__ import annotations

import os
from reprlib import repr as brief
from typing import Any

import numpy as np
from catboost import CatBoostRegressor
from sklearn.base import RegressorMixin
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits
from xgboost import XGBRegressor

__all__ = ["make_regressor", "move_to_cpu"]

REGRESSORS = ("xgboost", "catboost", "blend")


def _use_one_thread() -> None:
    threadpool_limits(1, user_api="openmp")


# A forked process waits for ever for threads that OpenMP had in its parent, unless it needs none.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)


def make_regressor(
    name: str,
    random_state: int | None = None,
    n_jobs: int | None = None,
    device: str = "cpu",
) -> RegressorMixin:
    """Make a regressor by name, with the settings that measured best for age.

    XGBoost minimises the absolute error, which is what the error in years is. CatBoost's ordered
    trees came nearer with squared errors, also when counted in years. ``"blend"`` is the mean of
    both and of ridge regression: behind ages that kernels have estimated already, the three err in
    different directions.

    Parameters
    ----------
    name : {"xgboost", "catboost", "blend"}
    random_state : int, optional
    n_jobs : int, optional
        Threads; by default all cores.
    device : {"cpu", "cuda"}, default="cpu"
        Where trees grow. They are not quite the same trees everywhere.

    Returns
    -------
    XGBRegressor, CatBoostRegressor or VotingRegressor

    Raises
    ------
    ValueError
        If there is none of that name.

    References
    ----------
    T. Chen and C. Guestrin, "XGBoost: A Scalable Tree Boosting System", KDD 2016.
    L. Prokhorenkova et al., "CatBoost: Unbiased Boosting with Categorical Features", NeurIPS 2018.

    Examples
    --------
    >>> from ageboost.models import make_regressor
    >>> make_regressor("xgboost", random_state=0).objective
    'reg:absoluteerror'
    """
    if name == "xgboost":
        return XGBRegressor(
            objective="reg:absoluteerror",
            n_estimators=600,
            learning_rate=0.03,
            max_depth=5,
            subsample=0.7,
            colsample_bytree=0.3,
            tree_method="hist",
            random_state=random_state,
            n_jobs=n_jobs,
            device=device if device != "cpu" else None,
        )
    if name == "catboost":
        return CatBoostRegressor(
            loss_function="RMSE",
            iterations=600,
            learning_rate=0.04,
            depth=6,
            random_seed=random_state,
            thread_count=-1 if n_jobs is None else n_jobs,
            verbose=False,
            allow_writing_files=False,
            # On an accelerator it would cut columns more coarsely by default.
            **({"task_type": "GPU", "border_count": 254} if device == "cuda" else {}),
        )
    if name == "blend":
        trees = [
            (part, make_regressor(part, random_state, n_jobs, device)) for part in REGRESSORS[:2]
        ]
        return VotingRegressor([*trees, ("ridge", RidgeCV(np.logspace(-1, 5, 13)))])
    raise ValueError(
        f"regressor={brief(name)}: pass one of {', '.join(map(repr, REGRESSORS))} or a regressor"
    )


def move_to_cpu(regressor: Any) -> Any:
    """Let trees that grew on an accelerator answer on the processor.

    A model must be of use on machines without one, and for a batch of faces the way to the
    accelerator takes longer than the trees.

    Parameters
    ----------
    regressor : regressor
        Fitted.

    Returns
    -------
    regressor
        The same object.
    """
    for part in getattr(regressor, "estimators_", [regressor]):
        if isinstance(part, XGBRegressor) and part.device not in (None, "cpu"):
            part.set_params(device="cpu")
    return regressor
