"""Regressors fitted on rows in memory, or on rows on disk that are never in memory at once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost
from catboost import CatBoostRegressor, Pool
from catboost.utils import quantize
from sklearn.base import clone
from sklearn.ensemble import VotingRegressor
from sklearn.model_selection import KFold
from sklearn.utils import Bunch
from xgboost import XGBRegressor

from ageboost.models._rows_on_disk import Rows, RowsOnDisk, row_blocks, take
from ageboost.models._stages import Stages

__all__ = ["count_trees", "fit_rows", "predict_folds"]

_CUTS_OF_CATBOOST = (
    "border_count",
    "feature_border_type",
    "ignored_features",
    "max_bin",
    "nan_mode",
    "per_float_feature_quantization",
    "task_type",
)


def fit_rows(
    regressor: Any,
    rows: Rows,
    targets: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64] | None = None,
    index: npt.NDArray[np.intp] | None = None,
) -> Any:
    """Fit a clone of a regressor on some rows.

    On rows on disk the same trees grow as on rows in memory. XGBoost reads them block by block and
    keeps a byte for each number, CatBoost reads them from a file of its own and does the same. A
    vote passes them to its parts. Any other regressor gets a matrix: all rows are mapped into
    memory, some of them are copied.

    Parameters
    ----------
    regressor : regressor
        Left as it is.
    rows : ndarray of shape (n_rows, n_columns) or RowsOnDisk
    targets : ndarray of shape (n_rows,)
    weight : ndarray of shape (n_rows,), optional
    index : ndarray of shape (n,), optional
        Which rows, in their order. By default all.

    Returns
    -------
    regressor
    """
    if isinstance(rows, RowsOnDisk):
        if type(regressor) is VotingRegressor:
            return _fit_vote(regressor, rows, targets, weight, index)
        if _grows_from_blocks(regressor):
            return _fit_xgboost(regressor, rows, targets, weight, index)
        if isinstance(regressor, CatBoostRegressor):
            with _Pools(regressor, rows, targets, weight) as make:
                return clone(regressor).fit(make(index))
    if index is None:
        matrix = rows.whole() if isinstance(rows, RowsOnDisk) else rows
    else:
        matrix = take(rows, index)
    some = slice(None) if index is None else index
    params = {} if weight is None else {"sample_weight": weight[some]}
    return clone(regressor).fit(matrix, targets[some], **params)


def predict_folds(
    regressor: Any,
    rows: Rows,
    targets: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64] | None,
    folds: KFold,
    stages: Stages,
    name: str,
    advance: Callable[[], object] = lambda: None,
) -> npt.NDArray[np.floating]:
    """Predict each row by a clone that was fitted without its fold.

    Parameters
    ----------
    regressor : regressor
    rows : ndarray of shape (n_rows, n_columns) or RowsOnDisk
    targets : ndarray of shape (n_rows,)
    weight : ndarray of shape (n_rows,) or None
    folds : KFold
    stages : Stages
        What keeps the predictions of each fold.
    name : str
        Of these stages.
    advance : callable, optional
        Called when a fold is done.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    parts = []
    for fold, (train, test) in enumerate(folds.split(targets)):

        def predict(train=train, test=test) -> npt.NDArray:
            fitted = fit_rows(regressor, rows, targets, weight, train)
            blocks = [np.ravel(fitted.predict(block)) for _, block in row_blocks(rows, test)]
            return np.concatenate(blocks)

        parts.append((test, stages.array(f"{name}-{fold}", predict)))
        advance()
    predictions = np.empty(len(targets), parts[0][1].dtype)
    for test, found in parts:
        predictions[test] = found
    return predictions


def count_trees(
    regressor: XGBRegressor | CatBoostRegressor,
    rows: Rows,
    targets: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    train: npt.NDArray[np.intp],
    held: npt.NDArray[np.intp],
    patience: int,
) -> int:
    """Count the trees that are best for rows that are held out.

    Parameters
    ----------
    regressor : XGBRegressor or CatBoostRegressor
        Left as it is.
    rows : ndarray of shape (n_rows, n_columns) or RowsOnDisk
    targets, weight : ndarray of shape (n_rows,)
    train, held : ndarray of int
        Rows to learn from, and rows to look at.
    patience : int
        Stop when this many trees in a row have brought nothing.

    Returns
    -------
    int
    """
    if isinstance(regressor, CatBoostRegressor):
        if isinstance(rows, RowsOnDisk):
            with _Pools(regressor, rows, targets, weight) as make:
                known = make(train)
                return _count_catboost(regressor, known, make(held, known), patience)
        known, unknown = (Pool(take(rows, i), targets[i], weight=weight[i]) for i in (train, held))
        return _count_catboost(regressor, known, unknown, patience)
    if isinstance(rows, RowsOnDisk) and _grows_from_blocks(regressor):
        matrix = _quantized(regressor, rows, targets, weight, train)
        booster = xgboost.train(
            regressor.get_xgb_params(),
            matrix,
            regressor.get_num_boosting_rounds(),
            evals=[(_quantized(regressor, rows, targets, weight, held, matrix), "held")],
            early_stopping_rounds=patience,
            verbose_eval=False,
            callbacks=regressor.callbacks,
        )
        return int(booster.best_iteration) + 1
    trial = clone(regressor).set_params(early_stopping_rounds=patience)
    known, unknown = (take(rows, i) for i in (train, held))
    trial.fit(
        known,
        targets[train],
        sample_weight=weight[train],
        eval_set=[(unknown, targets[held])],
        sample_weight_eval_set=[weight[held]],
        verbose=False,
    )
    return int(trial.best_iteration) + 1


def _count_catboost(regressor, known: Pool, unknown: Pool, patience: int) -> int:
    trial = clone(regressor).fit(known, eval_set=unknown, early_stopping_rounds=patience)
    return int(trial.get_best_iteration()) + 1


def _fit_vote(vote, rows, targets, weight, index) -> VotingRegressor:
    fitted = clone(vote)
    parts = {
        name: part if part == "drop" else fit_rows(part, rows, targets, weight, index)
        for name, part in fitted.estimators
    }
    fitted.estimators_ = [part for part in parts.values() if part != "drop"]
    fitted.named_estimators_ = Bunch(**parts)
    return fitted


def _grows_from_blocks(regressor: Any) -> bool:
    """Whether XGBoost would look at the same cuts, and at nothing that only its wrapper knows."""
    return (
        isinstance(regressor, XGBRegressor)
        and regressor.tree_method in (None, "auto", "hist")
        and regressor.booster in (None, "gbtree", "dart")
        and not callable(regressor.objective)
        and regressor.feature_weights is None
        and regressor.early_stopping_rounds is None
    )


def _fit_xgboost(regressor, rows, targets, weight, index) -> XGBRegressor:
    booster = xgboost.train(
        regressor.get_xgb_params(),
        _quantized(regressor, rows, targets, weight, index),
        regressor.get_num_boosting_rounds(),
        callbacks=regressor.callbacks,
    )
    fitted = clone(regressor)
    fitted.load_model(bytearray(booster.save_raw("ubj")))
    # Loading puts what was learnt, such as the first guess, in the place of what was asked for.
    return fitted.set_params(**regressor.get_params())


def _quantized(regressor, rows, targets, weight, index, ref=None) -> xgboost.QuantileDMatrix:
    return xgboost.QuantileDMatrix(
        _Blocks(rows, targets, weight, index),
        ref=ref,
        missing=regressor.missing,
        nthread=regressor.n_jobs,
        max_bin=regressor.max_bin,
    )


class _Blocks(xgboost.DataIter):
    """Rows on disk as XGBoost asks for them."""

    def __init__(self, rows, targets, weight, index):
        self._rows, self._targets, self._weight, self._index = rows, targets, weight, index
        self._left = row_blocks(rows, index)
        super().__init__()

    def reset(self) -> None:
        self._left = row_blocks(self._rows, self._index)

    def next(self, input_data: Callable[..., Any]) -> bool:
        for index, block in self._left:
            weight = None if self._weight is None else self._weight[index]
            input_data(data=block, label=self._targets[index], weight=weight)
            return True
        return False


class _Pools:
    """Files of rows for CatBoost, for as long as one fit takes.

    It reads text, in which 17 and 9 digits are enough for each number to come out as it went in.
    """

    def __init__(self, regressor, rows, targets, weight):
        self._rows, self._targets, self._weight = rows, targets, weight
        params = regressor.get_params()
        self._settings = {
            name: params[name] for name in _CUTS_OF_CATBOOST if params.get(name) is not None
        }
        self._settings["thread_count"] = params.get("thread_count") or -1

    def __enter__(self) -> _Pools:
        self._folder = tempfile.TemporaryDirectory(dir=self._rows.folder, prefix="catboost-")
        return self

    def __exit__(self, *exception: object) -> None:
        self._folder.cleanup()

    def __call__(self, index: npt.NDArray[np.intp] | None, like: Pool | None = None) -> Pool:
        folder = Path(self._folder.name)
        path, kinds, borders = folder / "rows.tsv", folder / "rows.cd", folder / "borders"
        with path.open("w", encoding="ascii") as file:
            file.writelines(self._lines(index))
        kinds.write_text("0\tLabel\n" + ("" if self._weight is None else "1\tWeight\n"), "ascii")
        settings = dict(self._settings)
        if like is not None:
            like.save_quantization_borders(str(borders))
            settings = {"thread_count": settings["thread_count"], "input_borders": str(borders)}
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            pool = quantize(str(path), column_description=str(kinds), log_cout=nowhere, **settings)
        path.unlink()
        return pool

    def _lines(self, index: npt.NDArray[np.intp] | None) -> Iterator[str]:
        n_first = 1 if self._weight is None else 2
        line = "\t".join(["%.17g"] * n_first + ["%.9g"] * self._rows.shape[1]) + "\n"
        for some, block in row_blocks(self._rows, index):
            known = [self._targets] if self._weight is None else [self._targets, self._weight]
            first = np.column_stack([values[some] for values in known]).tolist()
            for facts, numbers in zip(first, block.tolist(), strict=True):
                yield line % (*facts, *numbers)
