"""Steps of our own pass arrays on, whatever scikit-learn has been asked to return to its users."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sklearn import config_context

__all__ = ["returning_arrays", "with_arrays"]

P = ParamSpec("P")
T = TypeVar("T")


def with_arrays(function: Callable[P, T]) -> Callable[P, T]:
    """Let transformers inside a function return arrays.

    ``sklearn.set_config(transform_output="pandas")`` holds for every transformer, those included
    that a user never sees. What the function itself returns is converted as the user wishes, since
    scikit-learn does that outside of it.

    Parameters
    ----------
    function : callable
        No generator: the setting would last for as long as its caller waits for the next item.

    Returns
    -------
    callable
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with config_context(transform_output="default"):
            return function(*args, **kwargs)

    return wrapped


def returning_arrays(transformer: Any) -> Any:
    """Have a transformer return arrays even where ``set_output`` asked it for something else.

    Parameters
    ----------
    transformer : transformer
        Of our own, such as a clone of the one that the user gave.

    Returns
    -------
    transformer
        The same object.
    """
    if hasattr(transformer, "set_output"):
        transformer.set_output(transform="default")
    return transformer
