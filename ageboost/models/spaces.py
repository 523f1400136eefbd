"""What a search may vary, declared as data: read, checked against an estimator, and drawn from."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from importlib.resources import files
from inspect import signature
from pathlib import Path
from reprlib import repr as brief
from typing import Any, NoReturn

from sklearn.base import clone

from ageboost.models.estimator import AgeEstimator
from ageboost.models.regressors import REGRESSORS, make_regressor

__all__ = ["SearchSpace", "has_parameter", "search_space"]

Entries = dict[str, dict[str, Any]]

_PARTS = ("features", "reduction", "regressor")
_KEYS = {
    "int": {"type", "low", "high", "log", "when", "start"},
    "float": {"type", "low", "high", "log", "when", "start"},
    "categorical": {"type", "choices", "when", "start"},
}
_NEEDED = {"int": {"low", "high"}, "float": {"low", "high"}, "categorical": {"choices"}}


def search_space(regressor: str) -> Entries:
    """Read the search space that ships for a regressor, to change or to pass on.

    Parameters
    ----------
    regressor : {"xgboost", "catboost", "blend"}

    Returns
    -------
    dict of str to dict
        For each parameter of :class:`AgeEstimator` its ``type`` (``"int"``, ``"float"`` or
        ``"categorical"``), its range from ``low`` to ``high`` (``log``: whether to draw it evenly
        in the logarithm) or its ``choices``. ``when`` names parameters, and the values of theirs
        that make this one matter. ``start`` is what the first trial has where the estimator
        leaves the parameter to its library.

    Raises
    ------
    ValueError
        If there is none for this regressor.

    Examples
    --------
    >>> from ageboost.models import search_space
    >>> space = search_space("xgboost")
    >>> del space["features"]  # search among the settings of the estimator's own features
    >>> space["regressor__max_depth"]
    {'type': 'int', 'low': 3, 'high': 9}
    """
    shipped = json.loads((files("ageboost.models") / "search_spaces.json").read_text("utf-8"))
    if regressor not in shipped:
        raise ValueError(
            f"no search space for {brief(regressor)}: pass one of {', '.join(map(repr, shipped))}"
        )
    return shipped[regressor]


class SearchSpace:
    """Parameters of an estimator and the values that a search may give them.

    Parameters
    ----------
    estimator : AgeEstimator
    space : mapping, path or None
        As :func:`search_space` gives it, by itself or by the name of its regressor, or a JSON file
        of that. None is the one that ships for the estimator's regressor, less what the estimator
        does not have.

    Attributes
    ----------
    entries : dict of str to dict

    Raises
    ------
    ValueError
        If an entry cannot be understood, or the estimator lacks a parameter; it names the entry.
    """

    def __init__(self, estimator: AgeEstimator, space: Any = None):
        self._estimator = estimator
        self._given = estimator.get_params()
        name = _regressor_name(estimator)
        if space is None:
            if name is None:
                raise ValueError(
                    f"no search space ships for regressor={brief(estimator.regressor)}: pass space="
                )
            self.entries = search_space(name)
            # Features made by hand have a finder and transformers that no name stands for.
            if not isinstance(estimator.features, str):
                del self.entries["features"]
            self.entries = {
                entry_name: entry
                for entry_name, entry in self.entries.items()
                if self._can_matter(entry) and self._lacks(entry_name, entry) is None
            }
        else:
            self.entries = _read(space, name)
        earlier: set[str] = set()
        for entry_name, entry in self.entries.items():
            _check_entry(entry_name, entry)
            self._check_when(entry_name, entry, earlier)
            self._check_parameter(entry_name, entry)
            earlier.add(entry_name)

    def draw(self, trial: Any) -> dict[str, Any]:
        """Ask a trial of Optuna for a value of each parameter that matters in it.

        Parameters
        ----------
        trial : optuna.Trial

        Returns
        -------
        dict of str to object
            For ``AgeEstimator.set_params``.
        """
        drawn: dict[str, Any] = {}
        for name, entry in self.entries.items():
            if not self._matters(entry, drawn):
                continue
            if entry["type"] == "categorical":
                values = {_label(choice): choice for choice in entry["choices"]}
                chosen = values[trial.suggest_categorical(name, list(values))]
                drawn[name] = tuple(chosen) if isinstance(chosen, list) else chosen
            else:
                suggest = trial.suggest_int if entry["type"] == "int" else trial.suggest_float
                drawn[name] = suggest(
                    name, entry["low"], entry["high"], log=entry.get("log", False)
                )
        return drawn

    def start(self) -> dict[str, Any]:
        """Find the estimator's own settings, as far as they lie in the space.

        Returns
        -------
        dict of str to object
            For ``optuna.Study.enqueue_trial``.
        """
        start = {}
        for name, entry in self.entries.items():
            value = self._given.get(name)
            if value is None:
                value = entry.get("start")
            if entry["type"] == "categorical":
                labels = [_label(choice) for choice in entry["choices"]]
                if _label(value) in labels:
                    start[name] = _label(value)
            elif _is_number(value) and entry["low"] <= value <= entry["high"]:
                start[name] = value
        return start

    def _matters(self, entry: dict[str, Any], drawn: dict[str, Any]) -> bool:
        settings = drawn | {k: v for k, v in self._given.items() if k not in self.entries}
        return all(
            name in settings and settings[name] in values
            for name, values in entry.get("when", {}).items()
        )

    def _check_when(self, name: str, entry: dict[str, Any], earlier: set[str]) -> None:
        when = entry.get("when", {})
        if not isinstance(when, dict) or not all(isinstance(v, list) for v in when.values()):
            _refuse(name, f"when={when!r}: write it as {{parameter: [values]}}")
        for other, values in when.items():
            if other in self.entries and other not in earlier:
                _refuse(name, f"when looks at {other!r}: put that entry before this one")
            if other not in self.entries and other not in self._given:
                _refuse(name, f"when looks at {other!r}, which is neither in the space nor set")
            choices: Any = self.entries.get(other, {}).get("choices", values)
            if any(value not in choices for value in values):
                _refuse(name, f"when={when!r}: {other!r} has only the choices {choices}")

    def _check_parameter(self, name: str, entry: dict[str, Any]) -> None:
        part = name.partition("__")[0]
        if part not in _PARTS:
            _refuse(name, "only features, reduction and regressor, and what is in them, can vary")
        lacks = self._lacks(name, entry)
        if lacks is not None:
            way_out = (
                f'say in "when" with which {part} it matters'
                if part in self.entries
                else "correct the name, or leave it out"
            )
            _refuse(name, f"there is no such parameter with {part}={lacks!r}: {way_out}")

    def _lacks(self, name: str, entry: dict[str, Any]) -> object:
        """Find a value of the part that the parameter is in with which there is none."""
        part, _, rest = name.partition("__")
        if not self._can_matter(entry):
            return None
        if part not in self.entries or not rest:
            return None if has_parameter(self._estimator, name) else self._given[part]
        for value in entry.get("when", {}).get(part, self.entries[part].get("choices", [])):
            changed = clone(self._estimator)
            if not has_parameter(changed.set_params(**{part: value}), name):
                return value
        return None

    def _can_matter(self, entry: dict[str, Any]) -> bool:
        return all(
            other in self.entries or self._given.get(other) in values
            for other, values in entry.get("when", {}).items()
        )


def has_parameter(estimator: AgeEstimator, name: str) -> bool:
    """Check whether an estimator has a parameter, also one that it leaves to a library.

    Parameters
    ----------
    estimator : AgeEstimator
    name : str

    Returns
    -------
    bool
    """
    if name in estimator.get_params():
        return True
    part, _, rest = name.partition("__")
    # CatBoost lists only the parameters that are set.
    return part == "regressor" and rest in signature(type(estimator.parts()[part])).parameters


def _regressor_name(estimator: AgeEstimator) -> str | None:
    if isinstance(estimator.regressor, str):
        return estimator.regressor
    classes = {type(make_regressor(name)): name for name in REGRESSORS}
    return classes.get(type(estimator.regressor))


def _read(space: Any, regressor: str | None) -> Entries:
    if isinstance(space, str | os.PathLike):
        try:
            space = json.loads(Path(space).read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{os.fspath(space)!r} is not a JSON file: {error}") from error
    if not isinstance(space, Mapping) or not space:
        raise ValueError(
            f"space={brief(space)}: pass a dict of parameters, such as search_space('xgboost') "
            "gives"
        )
    if set(space) <= set(REGRESSORS):
        if regressor not in space:
            raise ValueError(
                f"the space is for {', '.join(space)}: the estimator's regressor is another"
            )
        space = space[regressor]
    return dict(space)


def _check_entry(name: str, entry: Any) -> None:
    if not isinstance(entry, dict) or entry.get("type") not in _KEYS:
        _refuse(name, f'{entry!r}: its "type" must be one of {", ".join(_KEYS)}')
    kind = entry["type"]
    unknown = entry.keys() - _KEYS[kind]
    if unknown:
        _refuse(name, f"unknown {sorted(unknown)}: it may have {', '.join(sorted(_KEYS[kind]))}")
    missing = _NEEDED[kind] - entry.keys()
    if missing:
        _refuse(name, f"{', '.join(sorted(missing))} missing: give it")
    if kind == "categorical":
        if not isinstance(entry["choices"], list) or not entry["choices"]:
            _refuse(name, f"choices={entry['choices']!r}: give a list of at least one")
        try:
            json.dumps(entry["choices"])
        except TypeError as error:
            _refuse(name, f"{error}: give choices that JSON can hold")
        return
    low, high = entry["low"], entry["high"]
    for bound in (low, high):
        if not _is_number(bound) or (kind == "int" and not isinstance(bound, int)):
            _refuse(name, f"low={low!r}, high={high!r}: they must be of type {kind}")
    if low > high:
        _refuse(name, f"low={low} is above high={high}: swap them")
    if entry.get("log", False) and low <= 0:
        _refuse(name, f"low={low} has no logarithm: pass one above 0, or log=false")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _label(choice: object) -> Any:
    """Stand for a choice in a study on disk, which holds no lists."""
    return json.dumps(choice) if isinstance(choice, list | tuple) else choice


def _refuse(name: str, message: str) -> NoReturn:
    raise ValueError(f"space[{name!r}]: {message}")
