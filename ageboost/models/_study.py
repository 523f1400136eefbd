"""Optuna's study behind a search: opened, taken up again, and never of another search."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_random_state

if TYPE_CHECKING:
    import optuna

__all__ = [
    "check_same_search",
    "choose_seed",
    "complete_trials",
    "digest_settings",
    "import_optuna",
    "next_trial",
    "open_study",
    "quiet",
]

_STUDY_NAME = "ageboost"
# Settings that change how fast ages come, not which.
_SPEED_ONLY = (
    "cache",
    "n_jobs",
    "device",
    "thread_count",
    "batch_size",
    "on_error",
    "interval_folds",
)


def import_optuna() -> Any:
    """Import optuna, which is only there if an extra was installed."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError('tuning needs optuna: pip install "ageboost[tune]"') from error
    return optuna


@contextmanager
def open_study(optuna: Any, path: str | os.PathLike[str] | None) -> Iterator[optuna.Study]:
    """Open the study in a file, or one that is kept nowhere."""
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    if path is None:
        yield optuna.create_study(direction="minimize", pruner=pruner)
        return
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import DatabaseError

    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(f"{os.fspath(path)!r}: there is no such folder: make it first")
    try:
        storage = optuna.storages.RDBStorage(
            URL.create("sqlite", database=os.fspath(path)).render_as_string()
        )
        study = optuna.create_study(
            storage=storage,
            study_name=_STUDY_NAME,
            direction="minimize",
            pruner=pruner,
            load_if_exists=True,
        )
    except (DatabaseError, optuna.exceptions.StorageInternalError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} cannot be used as a study ({_database_message(error)}): "
            f"name another file"
        ) from error
    try:
        yield study
    except (DatabaseError, optuna.exceptions.StorageInternalError) as error:
        raise OSError(
            f"{os.fspath(path)!r}: the study cannot be written to: {_database_message(error)}; "
            f"the trials that it holds are kept"
        ) from error
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def quiet(optuna: Any) -> Iterator[None]:
    """Silence Optuna for as long as the search lasts."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def choose_seed(study: optuna.Study, random_state: Any) -> int:
    """Choose the seed that is given, else the one that the study began with, else a new one."""
    if isinstance(random_state, int):
        return random_state
    if random_state is None and "search" in study.user_attrs:
        return study.user_attrs["search"]["random_state"]
    return int(check_random_state(random_state).randint(2**31 - 1))


def check_same_search(
    study: optuna.Study, path: str | os.PathLike[str] | None, search: dict[str, Any]
) -> None:
    """Refuse a study of other photos, folds or settings: scores cannot be compared."""
    before = study.user_attrs.get("search")
    if before is None:
        study.set_user_attr("search", search)
        return
    differ = [name for name, value in search.items() if before.get(name) != value]
    if differ:
        raise ValueError(
            f"{os.fspath(path or '')!r} holds a search that differs in {'; '.join(differ)}: "
            "go on with what it began with, or name another file"
        )


def digest_settings(estimator: BaseEstimator) -> str:
    """Digest what an estimator's ages depend on, the same in every process."""
    settings = {}
    for name, value in estimator.get_params().items():
        if name.rpartition("__")[2] not in _SPEED_ONLY:
            plain = isinstance(value, str | int | float | tuple | None)
            settings[name] = repr(value) if plain else type(value).__qualname__
    return joblib.hash(settings)


def next_trial(optuna: Any, study: optuna.Study, seed: int, n_trials: int) -> optuna.Trial | None:
    """Take up the trial that a killed process left, or begin another if there are not enough."""
    trials = study.get_trials(deepcopy=False)
    left = [trial for trial in trials if trial.state.name == "RUNNING"]
    waiting = [trial for trial in trials if trial.state.name == "WAITING"]
    if not left and not waiting and len(trials) >= n_trials:
        return None
    number = [*left, *waiting][0].number if left or waiting else len(trials)
    # A sampler that counted on from one run to the next would propose the same again after a stop.
    trial_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=trial_seed, multivariate=False)
    return optuna.trial.Trial(study, left[0]._trial_id) if left else study.ask()


def complete_trials(study: optuna.Study) -> list[Any]:
    """List the trials that have a score."""
    return [trial for trial in study.trials if trial.state.name == "COMPLETE"]


def _database_message(error: Exception) -> object:
    """What the database itself says, without the words of the two libraries that passed it on."""
    cause = error.__cause__ or error
    return getattr(cause, "orig", cause)
