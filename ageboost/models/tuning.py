"""Search features, reduction and regressor together for the settings whose ages are nearest."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone

from ageboost._arrays import with_arrays
from ageboost._progress import show_progress, stage
from ageboost.errors import PhotoError, PhotosError
from ageboost.models._checks import check_ages
from ageboost.models._rows import fit_reduction, predict_rows, transform_rows
from ageboost.models._study import (
    check_same_search,
    choose_seed,
    complete_trials,
    digest_settings,
    import_optuna,
    next_trial,
    open_study,
    quiet,
)
from ageboost.models.estimator import AgeEstimator
from ageboost.models.folds import Fold, digests_of, keep_together, split_photos
from ageboost.models.reduction import feature_groups
from ageboost.models.spaces import SearchSpace
from ageboost.models.tuning_result import TuningResult
from ageboost.photos import check_photos

if TYPE_CHECKING:
    import optuna

__all__ = ["tune"]

_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def tune(
    estimator: AgeEstimator,
    photos: Iterable[object],
    ages: npt.ArrayLike,
    *,
    space: Any = None,
    n_trials: int = 50,
    timeout: float | None = None,
    cv: Any = 3,
    groups: Iterable[object] | None = None,
    study: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    random_state: Any = None,
    progress: bool = False,
    n_jobs: int | None = None,
    boxes: Iterable[object] | None = None,
    cropped: bool = False,
) -> TuningResult:
    """Search for the settings whose ages come nearest to the true ones in cross-validation.

    Features, reduction and regressor vary together; Optuna's tree of Parzen estimators proposes
    settings, and those that are worse than the median after a fold are given up. The first trial
    has the estimator's own settings, as far as they lie in the space, so the best are seldom worse
    than they. Features are computed once for each of their settings, not for each trial.

    Parameters
    ----------
    estimator : AgeEstimator
        Where the search begins; it is not changed.
    photos : sequence of length n_photos
        Paths, bytes, open binary files, PIL images or arrays.
    ages : array-like of shape (n_photos,)
        Years, from 0 to 120.
    space : dict or path, optional
        What may vary: see :func:`search_space`. By default the space that ships for the
        estimator's regressor, less what the estimator does not have; its ``features`` vary if they
        are given by name.
    n_trials : int, default=50
        How many trials there are in all, those that ``study`` holds already included.
    timeout : float, optional
        Seconds after which no other trial begins.
    cv : int or scikit-learn splitter, default=3
        Folds. A number makes shuffled folds that keep groups together.
    groups : sequence of length n_photos, optional
        Who is on each photo. All photos of a person are on the same side of each fold. Photos of
        identical content are anyway.
    study : path, optional
        SQLite file to keep the trials in. A search that was stopped, or killed, goes on from there.
        Only one process at a time may use it. By default nothing is kept.
    cache : path, optional
        Folder to keep features in: see :class:`AgeEstimator`. Without one, the features of each
        setting stay in memory.
    random_state : int, RandomState or None, default=None
        Of the folds and the proposals. For the same result again, give the estimator one too.
    progress : bool, default=False
        Whether to show on standard error how far it is: a bar on a terminal, else lines.
    n_jobs : int, optional
        Overrides that of the estimator. Trials run one after the other.
    boxes, cropped
        As for ``AgeEstimator.fit``.

    Returns
    -------
    TuningResult

    Raises
    ------
    ImportError
        If optuna is not installed.
    LabelsError
        If an age is missing or not from 0 to 120.
    PhotosError
        If photos give no face and the estimator has ``on_error="raise"``, or if none does.
    ValueError
        If the space cannot be understood, the study is of another search, or no trial gives a
        score.
    OSError
        If the study cannot be written to, as on a full disk; the trials that it holds are kept.

    Warns
    -----
    UserWarning
        If photos are left out, a trial fails, or the search is stopped from the keyboard after a
        trial was complete.

    References
    ----------
    T. Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019.
    J. Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost import AgeEstimator
    >>> from ageboost.features import FaceFeatures, LandmarkGeometry
    >>> from ageboost.models import tune
    >>> from skimage.data import astronaut
    >>> photos = [astronaut()[:300, i : i + 400] for i in range(6)]
    >>> features = FaceFeatures([("geometry", LandmarkGeometry())])
    >>> estimator = AgeEstimator(features, reduction="pca", random_state=0)
    >>> space = {
    ...     "regressor__n_estimators": {"type": "int", "low": 1, "high": 9},
    ...     "reduction__n_components": {"type": "categorical", "choices": [2, 4]},
    ... }
    >>> ages = [20, 30, 40, 50, 60, 70]
    >>> result = tune(estimator, photos, ages, space=space, n_trials=3, random_state=0)
    >>> sorted(result.best_params)
    ['reduction__n_components', 'regressor__n_estimators']
    >>> len(result.trials)
    3
    """
    optuna = import_optuna()
    if n_trials < 1:
        raise ValueError(f"n_trials={n_trials!r}: pass 1 or more")
    photos = check_photos(photos)
    years = check_ages(ages, photos)
    boxes = None if boxes is None else list(boxes)
    base = clone(estimator)
    if cache is not None:
        base.set_params(cache=cache)
    if n_jobs is not None:
        base.set_params(n_jobs=n_jobs)
    base.check_settings()
    searched = SearchSpace(base, space)
    digests = digests_of(photos)
    together = keep_together(digests, groups)
    with quiet(optuna), open_study(optuna, study) as opened:
        seed = choose_seed(opened, random_state)
        folds = split_photos(together, years, cv, seed)
        check_same_search(
            opened,
            study,
            {
                "random_state": seed,
                "photos, boxes or ages": joblib.hash((digests, years, repr(boxes), cropped)),
                "folds or groups": joblib.hash(folds),
                "space": json.dumps(searched.entries),
                "estimator": digest_settings(base),
            },
        )
        objective = _Objective(base, searched, photos, years, folds, boxes, cropped)
        if not opened.trials:
            opened.enqueue_trial(searched.start())
        interrupted = _run(optuna, opened, objective, seed, n_trials, timeout, progress)
        return _summarize(optuna, opened, clone(estimator), searched, objective, interrupted)


class _Objective:
    """Mean absolute error of a trial's settings; keeps what other trials can use again.

    Features of all settings are kept, or of the latest alone if a cache on disk has the others,
    and the reduced rows of each fold of the latest setting.
    """

    def __init__(self, estimator, space, photos, ages, folds, boxes, cropped):
        self.estimator, self.space, self.photos, self.ages = estimator, space, photos, ages
        self.folds: list[Fold] = folds
        self.boxes, self.cropped = boxes, cropped
        self.left_out: list[tuple[int, PhotoError]] = []
        self._has_cache = any(
            part.cache is not None for part in (estimator, estimator.parts()["features"])
        )
        self._features: dict[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]] = {}
        self._reduced: dict[int, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]] = {}
        self._reduced_key = ""

    def __call__(self, trial: optuna.Trial) -> Iterator[float]:
        """Yield the error in years over the folds so far, after each."""
        params = self.space.draw(trial)
        model = clone(self.estimator).set_params(**params)
        parts = model.parts()
        model.features_ = clone(parts["features"])
        rows = self._extract(model, params)[1]
        key = _key({k: v for k, v in params.items() if k.partition("__")[0] != "regressor"})
        if key != self._reduced_key:
            self._reduced, self._reduced_key = {}, key
        errors: list[npt.NDArray[np.float64]] = []
        for number, (train, test) in enumerate(self.folds):
            train, test = np.intersect1d(train, rows), np.intersect1d(test, rows)
            if len(test):
                learnt, tested = self._reduce(model, params, number, train, test)
                fit = with_arrays(clone(parts["regressor"]).fit)
                ages = predict_rows(fit(learnt, self.ages[train]), tested).clip(0)
                errors.append(np.abs(ages - self.ages[test]))
            yield float(np.concatenate(errors).mean()) if errors else np.nan

    def _extract(self, model: AgeEstimator, params: dict[str, Any]):
        key = _key({k: v for k, v in params.items() if k.partition("__")[0] == "features"})
        if key not in self._features:
            if self._has_cache:
                self._features.clear()
            known = model.extract_known(self.photos, self.boxes, self.cropped, "search")
            self.left_out = known.failures
            self._features[key] = known.matrix, known.rows
        return self._features[key]

    def _reduce(self, model, params, number, train, test):
        if number not in self._reduced:
            matrix, rows = self._extract(model, params)
            fitted, learnt = fit_reduction(
                model.parts()["reduction"],
                matrix[np.searchsorted(rows, train)],
                self.ages[train],
                groups=feature_groups(model.features_.get_feature_names_out()),
            )
            self._reduced[number] = (
                learnt,
                transform_rows(fitted, matrix[np.searchsorted(rows, test)]),
            )
        return self._reduced[number]


def _run(
    optuna: Any,
    study: optuna.Study,
    objective: _Objective,
    seed: int,
    n_trials: int,
    timeout: float | None,
    progress: bool,
) -> bool:
    """Run trials until there are enough; return whether the keyboard stopped it."""
    deadline = np.inf if timeout is None else time.monotonic() + timeout
    try:
        with show_progress() if progress else nullcontext(), stage("Trials", n_trials) as advance:
            advance(sum(trial.state.is_finished() for trial in study.trials))
            while time.monotonic() < deadline or not complete_trials(study):
                trial = next_trial(optuna, study, seed, n_trials)
                if trial is None:
                    break
                _run_trial(optuna, study, trial, objective)
                best = min((trial.value for trial in complete_trials(study)), default=None)
                advance(1, "" if best is None else f"best {best:.2f} years")
    except KeyboardInterrupt:
        if not complete_trials(study):
            raise
        n_done = sum(trial.state.is_finished() for trial in study.trials)
        warnings.warn(f"stopped after {n_done} of {n_trials} trials", stacklevel=3)
        return True
    if not complete_trials(study):
        last = study.trials[-1].user_attrs.get("error", "")
        raise ValueError(f"none of {len(study.trials)} trials gives a score, the last one: {last}")
    return False


def _run_trial(
    optuna: Any, study: optuna.Study, trial: optuna.Trial, objective: _Objective
) -> None:
    reported = study.trials[trial.number].intermediate_values
    try:
        for fold, score in enumerate(objective(trial)):
            if fold not in reported:
                trial.report(score, fold)
            if fold + 1 < len(objective.folds) and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return
    except (PhotosError, optuna.exceptions.StorageInternalError):
        # No trial can do better: it is left to be taken up when photos or disk are in order.
        raise
    except Exception as error:
        trial.set_user_attr("error", str(error))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        warnings.warn(f"trial {trial.number} with {trial.params} fails: {error}", stacklevel=4)
        return
    study.tell(trial, score)


def _summarize(optuna, study, estimator, space, objective, interrupted) -> TuningResult:
    best = study.best_trial
    rows = []
    for trial in study.trials:
        if trial.state.is_finished():
            rows.append(
                {
                    "trial": trial.number,
                    "state": _STATES[trial.state.name],
                    "score": trial.value if trial.state.name == "COMPLETE" else np.nan,
                    "folds": len(trial.intermediate_values),
                    "seconds": trial.duration.total_seconds(),
                    **trial.params,
                }
            )
    return TuningResult(
        estimator=estimator,
        best_params=space.draw(optuna.trial.FixedTrial(best.params)),
        best_score=best.value,
        trials=pd.DataFrame(rows),
        importances=_importances(optuna, study),
        left_out=objective.left_out,
        interrupted=interrupted,
    )


def _importances(optuna: Any, study: optuna.Study) -> pd.Series:
    scores = {trial.value for trial in complete_trials(study)}
    # One score, or always the same, says nothing of parameters.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*may be inaccurate")
        shares = optuna.importance.get_param_importances(study) if len(scores) > 1 else {}
    return pd.Series(shares, dtype="float64", name="importance")


def _key(params: dict[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)
