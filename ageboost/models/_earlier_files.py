"""States of estimators that earlier releases wrote, as those of today."""

from __future__ import annotations

from typing import Any

from ageboost.models.age_regressor import AgeRegressor

__all__ = ["modernize"]

# What has been added since, and what moved from the estimator to the regressor in it.
_ADDED = {"early_stopping_rounds": None, "device": None, "commercial": False}
_MOVED = (
    *("reduction_", "regressor_", "calibration_", "second_opinion_", "correction_"),
    *("quality_threshold_", "n_photos_", "photo_terms_"),
)


def modernize(state: dict[str, Any]) -> dict[str, Any]:
    """Convert the state of an ``AgeEstimator`` of any release.

    Parameters
    ----------
    state : dict of str to object
        Its attributes.

    Returns
    -------
    dict of str to object
    """
    state = _ADDED | state
    if "regressor_" in state:
        regressor = AgeRegressor()
        for name in regressor.get_params(deep=False):
            setattr(regressor, name, state[name])
        for name in _MOVED:
            if name in state:
                setattr(regressor, name, state.pop(name))
        state["age_regressor_"] = regressor
    # Nor did finders know that there is a network that a business may not use.
    finder = getattr(state.get("features_"), "finder", None)
    if state["commercial"] and finder is not None:
        finder.set_params(appearance=None)
    return state
