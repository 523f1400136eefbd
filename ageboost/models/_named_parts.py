"""Estimators whose parts can be given by name, and parts whose own parameters have been set."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

__all__ = ["AttributeOf", "NamedParts"]


class AttributeOf:
    """An attribute of a part, to be read and set on the whole as well.

    Parameters
    ----------
    part : str
        The attribute of the whole that holds the part.
    """

    def __init__(self, part: str):
        self._part = part

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, whole: Any, owner: type) -> Any:
        return self if whole is None else getattr(getattr(whole, self._part), self._name)

    def __set__(self, whole: Any, value: object) -> None:
        # Shallow copies of the whole share the part.
        part = copy.copy(getattr(whole, self._part))
        setattr(part, self._name, value)
        setattr(whole, self._part, part)


class NamedParts(BaseEstimator):
    """A base of estimators some of whose parameters are estimators or names of such.

    ``regressor="xgboost"`` can be searched by ``regressor__max_depth`` like an ``XGBRegressor``.
    What is made by name follows the estimator's seed, threads and device, in whatever order
    parameters are set.
    """

    _part_names: tuple[str, ...] = ()

    def make_part(self, part: str, name: str) -> Any:
        """Make a part by its name, with the current seed, threads and device.

        Parameters
        ----------
        part : str
            The parameter.
        name : str
            Its value.

        Returns
        -------
        estimator

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        raise NotImplementedError

    def parts(self) -> dict[str, Any]:
        """Make the parts that are given by name; the others stay as they are.

        Returns
        -------
        dict of str to estimator
        """
        given = {part: getattr(self, part) for part in self._part_names}
        return {
            part: self.make_part(part, value) if isinstance(value, str) else value
            for part, value in given.items()
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get parameters, those of the parts included, also of parts given by name.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict of str to object
        """
        params = super().get_params(deep=False)
        if deep:
            for name, part in self.parts().items():
                if hasattr(part, "get_params"):
                    params |= {f"{name}__{k}": v for k, v in part.get_params().items()}
        return params

    def set_params(self, **params: object) -> Self:
        """Set parameters, those of the parts included, also of parts given by name.

        Parameters
        ----------
        **params : object

        Returns
        -------
        self
        """
        own = {name: value for name, value in params.items() if "__" not in name}
        inner = {name: value for name, value in params.items() if "__" in name}
        if not own.keys() <= super().get_params(deep=False).keys():
            return super().set_params(**own)
        # Parts that were put in the place of a name follow the seed, threads and device.
        follow = {
            part: (name, self.make_part(part, name))
            for part, (name, made) in self._made_by_name().items()
            if part not in own and getattr(self, part) is made
        }
        for name, value in own.items():
            setattr(self, name, value)
        by_name = {}
        for part, (name, before) in follow.items():
            anew = _carry_over(getattr(self, part), before, self.make_part(part, name))
            setattr(self, part, anew)
            by_name[part] = name, anew
        # A part given by name is a string: put the part there before its parameters are set.
        for part in {key.partition("__")[0] for key in inner} & {*self._part_names}:
            name = getattr(self, part)
            if isinstance(name, str):
                setattr(self, part, self.make_part(part, name))
                by_name[part] = name, getattr(self, part)
        self._by_name = by_name
        return super().set_params(**inner)

    def _made_by_name(self) -> dict[str, tuple[str, Any]]:
        """Names of parts whose own parameters were set, and what was put in their place."""
        return getattr(self, "_by_name", {})

    def __sklearn_clone__(self) -> Self:
        cloned = super().__sklearn_clone__()
        cloned._by_name = {
            part: (name, getattr(cloned, part))
            for part, (name, made) in self._made_by_name().items()
            if getattr(self, part) is made
        }
        return cloned

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_by_name"}


def _carry_over(part: Any, made: Any, anew: Any) -> Any:
    """Set on ``anew`` what was changed on ``part`` since it was ``made``.

    A regressor given by name takes its seed, threads and device from the estimator. Where one of
    its own parameters was set first, and the estimator's seed after that, both must count.
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
