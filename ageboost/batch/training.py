"""fit_stream: training on features that do not fit into memory, which can be killed and goes on."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any, TypeVar

import joblib
import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from ageboost._arrays import returning_arrays, with_arrays
from ageboost._files import replacing
from ageboost._versions import package_version
from ageboost.batch._parts import differing_keys
from ageboost.batch._passes import Looked, Passes, TrainingFolderError
from ageboost.batch._sources import TrainingData, open_source
from ageboost.batch.feature_shards import restore_failure
from ageboost.errors import PhotosError
from ageboost.models import AgeEstimator, AgeRegressor, GroupedPCA, KernelScores
from ageboost.models._rows import fit_reduction, transform_rows
from ageboost.models._rows_on_disk import RowsOnDisk
from ageboost.models._stages import Stages
from ageboost.models.early_stopping import check_stops_early
from ageboost.models.kernel import cross_fit_on_disk
from ageboost.models.model_terms import add_photo_terms, feature_terms
from ageboost.models.reduction import feature_groups
from ageboost.terms import StatedTerms

__all__ = ["fit_stream"]

T = TypeVar("T", AgeEstimator, AgeRegressor)

_VERSION = 1
_PLAN = "plan.json"
_PACKAGES = ("ageboost", "catboost", "numpy", "scikit-learn", "scipy", "xgboost")
# They change nothing that is learnt, or are known by what features are called.
_LISTS_OF_PARTS = ("estimators", "steps", "transformers", "transformer_list")
_PASSED_OVER = ("cache", "features", "n_jobs", "on_error", "thread_count")


def fit_stream(
    estimator: T,
    source: Any,
    folder: str | os.PathLike[str],
    ages: npt.ArrayLike | str | None = None,
    *,
    sample_weight: npt.ArrayLike | None = None,
    qualities: Any = None,
    groups: Any = None,
    terms: StatedTerms = None,
    n_sample: int = 16384,
    n_block: int = 1024,
) -> T:
    """Fit an estimator without ever holding the matrix of features.

    Features are gone through twice, a block at a time. Components are learnt from a sample, sums of
    the kernels are taken over blocks, and what is left of each row, some hundred numbers, goes to a
    file from which trees grow. It is the model that ``fit`` would give, up to the last bits of
    sums, where there are no more rows than the sample holds; where there are more, components come
    from the sample alone.

    All that was computed is kept in a folder. After a kill, the same call goes on: with the next
    block, or the next fit of a regressor.

    Parameters
    ----------
    estimator : AgeEstimator or AgeRegressor
        Is fitted. Its reduction is KernelScores, or a transformer that transforms each row by
        itself; such a one is fitted on the sample, with its ages and without weights.
    source : path, array, collection of Dask, sequence of photos, or iterable
        Where features come from:

        - the folder, or the address of a bucket, that :func:`write_features` wrote;
        - an array of shape (n_rows, n_features), such as one that ``numpy.load(mmap_mode="r")``
          maps, or an array or DataFrame of Dask's, whose blocks are computed one after another;
        - photos, for an AgeEstimator that has a ``cache``;
        - whatever gives tuples of a matrix, ages and, perhaps, weights each time that it is gone
          through: a list, or an object with ``__iter__``.
    folder : path
        For what is computed, on a disk of this machine; made if it is not there. Only one process
        at a time may train in it. With kernels on ``accurate`` it takes 13 KB a row, 7 KB more
        while CatBoost reads them, and 2 GB for sample and sums. Features identify people: treat it
        as personal data, and remove it once the model is saved.
    ages : array-like of shape (n_rows,) or str, optional
        Years, or the column of a DataFrame that holds them; with shards and iterables they come
        with the rows.
    sample_weight : array-like of shape (n_rows,), optional
    qualities : sequence of Quality of length n_rows, optional
        Of the faces. Shards and photos bring their own.
    groups : sequence of str of length n_features, optional
        For an AgeRegressor, as for its ``fit``.
    terms : str, PartTerms or sequence of these, optional
        As for :meth:`ageboost.AgeEstimator.fit`.
    n_sample : int, default=16384
        Rows that components are learnt from.
    n_block : int, default=1024
        Rows of a block.

    Returns
    -------
    AgeEstimator or AgeRegressor
        The same object.

    Raises
    ------
    TrainingFolderError
        If the folder holds another training: of other rows, ages or settings.
    SharedPlaceError
        If shards of features are missing, damaged, or of another estimator.
    ClusterError
        If a collection of Dask comes where Dask is not installed.
    PhotosError
        If photos gave no face and the estimator has ``on_error="raise"``, or if none did.
    LabelsError or ValueError
        If a block has other columns, holds NaN, or ages that are none; it names block and row.
    TypeError
        If the source can be gone through only once.

    See Also
    --------
    write_features : For features that several machines compute.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from ageboost.batch import fit_stream
    >>> from ageboost.models import AgeRegressor
    >>> class Rows:
    ...     def __iter__(self):
    ...         for seed in range(5):
    ...             block = np.random.default_rng(seed).normal(size=(100, 8))
    ...             yield block, 40 + 10 * block[:, 0]
    >>> regressor = AgeRegressor(random_state=0, interval_folds=None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit_stream(regressor, Rows(), folder).n_photos_
    500
    """
    if n_sample < 2 or n_block < 1:
        raise ValueError(f"n_sample={n_sample!r}, n_block={n_block!r}: pass 2 and 1, or more")
    regressor, columns, allowed = _begin(estimator, groups, terms)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    opened = open_source(source, estimator, TrainingData(ages, sample_weight, qualities), n_block)
    plan = {
        "n_sample": n_sample,
        "n_block": n_block,
        "columns": joblib.hash(None if columns is None else [str(name) for name in columns]),
        **{package: package_version(package) for package in _PACKAGES},
        **_settings(regressor),
        **opened.identity,
    }
    seed = _agree(place, plan, regressor.random_state)
    worker = _seeded(regressor, seed)
    names = columns if isinstance(estimator, AgeEstimator) else None
    n_columns = names if names is not None else None if groups is None else len(groups)
    passes = Passes(opened, place, n_block, n_columns, isinstance(estimator, AgeEstimator))
    looked = passes.look(n_sample, seed)
    if isinstance(estimator, AgeEstimator):
        _leave_out(estimator, looked)
    if len(looked.ages) < 2:
        raise ValueError(f"{len(looked.ages)} rows are too few to learn from: give 2 or more")
    stages = Stages(place)
    labels = groups if names is None else feature_groups(names)
    reduction, reduced = _reduce(worker.parts()["reduction"], passes, looked, labels, stages)
    worker.n_features_in_ = looked.sample.shape[1]
    worker.fit_reduced(
        reduction, reduced, looked.ages, looked.weight, looked.qualities, allowed, stages
    )
    for name, value in vars(worker).items():
        if name.endswith("_"):
            setattr(regressor, name, value)
    if isinstance(estimator, AgeEstimator):
        estimator.age_regressor_ = regressor
    return estimator


def _begin(estimator: Any, groups: Any, terms: StatedTerms) -> tuple[AgeRegressor, Any, Any]:
    """Check what can be wrong before any row is read."""
    if isinstance(estimator, AgeEstimator):
        if groups is not None:
            raise ValueError("groups are for an AgeRegressor: features have their own")
        estimator.check_settings()
        estimator.features_ = clone(estimator.parts()["features"])
        others = feature_terms(estimator.features_) if estimator.commercial else ()
        allowed = add_photo_terms((), terms, estimator.commercial, others)
        settings = AgeRegressor().get_params(deep=False)
        regressor = AgeRegressor(**{name: getattr(estimator, name) for name in settings})
        columns = estimator.features_.get_feature_names_out()
    elif isinstance(estimator, AgeRegressor):
        estimator.check_settings()
        allowed = add_photo_terms((), terms, estimator.commercial)
        regressor, columns = estimator, groups
    else:
        raise TypeError(
            f"{type(estimator).__name__} cannot be trained so: pass an AgeEstimator or AgeRegressor"
        )
    parts = regressor.parts()
    reduction = parts["reduction"]
    if hasattr(reduction, "cross_fit_transform") and type(reduction) is not KernelScores:
        raise ValueError(
            f"{type(reduction).__name__} is cross-fitted in a way that is not known here: pass "
            "'kernel', 'pca', None or a transformer that transforms each row by itself"
        )
    if regressor.early_stopping_rounds is not None:
        check_stops_early(parts["regressor"])
    for name, value in regressor.get_params().items():
        if isinstance(value, np.random.RandomState):
            raise ValueError(
                f"{name} is a RandomState, which is another one after a kill: pass an int"
            )
    return regressor, columns, allowed


def _settings(regressor: AgeRegressor) -> dict[str, Any]:
    """All that the model depends on apart from the rows, in JSON."""
    found = {}
    for name, value in regressor.get_params().items():
        if name.rpartition("__")[2] in _PASSED_OVER:
            continue
        if hasattr(value, "get_params"):
            value = type(value).__name__
        elif name.rpartition("__")[2] in _LISTS_OF_PARTS:
            value = len(value)
        elif isinstance(value, float) and value != value:
            value = "NaN"
        elif not isinstance(value, str | int | float | bool | None):
            value = joblib.hash(value)
        found[name] = value
    return found


def _agree(folder: Path, plan: dict[str, Any], seed: int | None) -> int:
    """Write down what is trained in a folder, or refuse another training there.

    Returns
    -------
    int
        The seed, or one for what has none: the same after a kill.
    """
    path = folder / _PLAN
    plan = {"ageboost training": _VERSION, **plan}
    if not path.exists():
        if any(folder.iterdir()):
            raise TrainingFolderError(f"{str(folder)!r} holds other things: name an empty folder")
        if seed is None:
            seed = int(np.random.default_rng().integers(2**31))
        with replacing(path) as new:
            new.write_text(json.dumps({"seed": seed, **plan}, sort_keys=True), "utf-8")
    there = json.loads(path.read_text("utf-8"))
    kept: int = there.pop("seed")
    differing = differing_keys(plan, there)
    if differing:
        raise TrainingFolderError(
            f"{str(folder)!r} holds another training, with other {', '.join(differing)}: name "
            "another folder, or remove that one"
        )
    return kept


def _seeded(regressor: AgeRegressor, seed: int) -> AgeRegressor:
    """Make a copy in which nothing is drawn anew after a kill."""
    worker = clone(regressor)
    if worker.random_state is None:
        worker.set_params(random_state=seed)
    missing = [
        name
        for name, value in worker.get_params().items()
        if name.endswith("__random_state") and value is None
    ]
    return worker.set_params(**dict.fromkeys(missing, seed))


def _leave_out(estimator: AgeEstimator, looked: Looked) -> None:
    """Treat photos that gave no face as ``fit`` does."""
    failures = [restore_failure(failure) for failure in looked.failures]
    n_photos = len(looked.ages) + len(failures)
    if failures and (estimator.on_error == "raise" or not len(looked.ages)):
        raise PhotosError(failures, n_photos)
    if failures:
        warnings.warn(
            f"{len(failures)} of {n_photos} photos are left out of the fit, "
            f"first: {failures[0][1]}",
            stacklevel=3,
        )
    estimator.left_out_ = failures


@with_arrays
def _reduce(
    reduction: Any, passes: Passes, looked: Looked, groups: Any, stages: Stages
) -> tuple[Any, RowsOnDisk]:
    """Fit a reduction, and write what a regressor behind it is to be fitted on."""
    n_rows = len(looked.ages)
    if type(reduction) is KernelScores:
        fitted = returning_arrays(clone(reduction))

        def write_scores(pca: GroupedPCA) -> RowsOnDisk:
            return passes.reduce("scores", n_rows, pca._n_features_out, pca.transform)

        return fitted, cross_fit_on_disk(
            fitted, looked.sample, write_scores, looked.ages, groups, looked.weight, stages
        )
    ages = looked.ages[looked.sample_rows]
    fitted, some = fit_reduction(reduction, looked.sample, ages, None, groups)
    n_columns = some.shape[1]
    return fitted, passes.reduce(
        "reduced", n_rows, n_columns, lambda block: transform_rows(fitted, block)
    )
