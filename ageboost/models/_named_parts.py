"""Parts of an estimator that were given by name, once their own parameters have been set."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["carry_over"]


def carry_over(part: Any, made: Any, anew: Any) -> Any:
    """Set on a part that was made anew what has been changed on it since it was made before.

    A regressor given by name takes its seed, threads and device from the estimator. Where one of
    its own parameters was set first, and the estimator's seed after that, both must count.

    Parameters
    ----------
    part : estimator
        As it is, with parameters that have been set.
    made : estimator
        As it was made by name.
    anew : estimator
        Made by the same name, with the settings of today; it is changed.

    Returns
    -------
    estimator
        ``anew``.
    """
    before, now = made.get_params(), part.get_params()
    changed = {name: now[name] for name in now if not _same(before.get(name), now[name])}
    return anew.set_params(**changed)


def _same(one: Any, other: Any) -> bool:
    if hasattr(other, "get_params"):
        # What is in it has names of its own.
        return type(one) is type(other)
    if isinstance(other, list | tuple) and any(_holds_estimator(item) for item in other):
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    # NaN stands for itself: XGBoost's sign of what is missing.
    return bool(one == other) or (one != one and other != other)


def _holds_estimator(item: Any) -> bool:
    parts = item if isinstance(item, tuple | list) else (item,)
    return any(hasattr(part, "get_params") for part in parts)
