"""What earlier releases wrote, as it is today."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ageboost.models.age_regressor import AgeRegressor

__all__ = ["RENAMED_MODULES", "earlier_modules", "modernize"]

#: Modules whose classes are in files of earlier releases, and what they are called today.
RENAMED_MODULES = {"ageboost.features.hog": "ageboost.features.gradients"}

# What has been added since, and what moved from the estimator to the regressor in it.
_ADDED = {"early_stopping_rounds": None, "device": None, "commercial": False}
_MOVED = (
    *("reduction_", "regressor_", "calibration_", "second_opinion_", "correction_"),
    *("quality_threshold_", "n_photos_", "photo_terms_"),
)


@contextmanager
def earlier_modules() -> Iterator[None]:
    """Let pickles find modules under the names that they had."""
    missing = {old: new for old, new in RENAMED_MODULES.items() if old not in sys.modules}
    sys.modules.update({old: import_module(new) for old, new in missing.items()})
    try:
        yield
    finally:
        for old in missing:
            del sys.modules[old]


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
        regressor.__setstate__({name: state.pop(name) for name in _MOVED if name in state})
        state["age_regressor_"] = regressor
    # Nor did finders know that there is a network that a business may not use.
    finder = getattr(state.get("features_"), "finder", None)
    if state["commercial"] and finder is not None:
        finder.set_params(appearance=None)
    return state
