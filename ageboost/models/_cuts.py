"""Cuts of trees that lie between the numbers they part, so that a last bit decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.pipeline import Pipeline
from xgboost import Booster, XGBRegressor

from ageboost.models._rows_on_disk import Rows, columns_of
from ageboost.models._ubjson import read_ubjson

__all__ = ["load_between_values", "round_leaves", "steady_trees", "unit_of_leaves"]

# What a booster says of itself whose cuts have been moved.
_MARK = {"ageboost_cuts": "between values"}
# How far below a value a cut is moved where values are not known, as a share of how far the cuts
# of the column reach. Processors differ by a hundredth of that.
_SHARE = 1e-5
_LEAF_BITS = 52


def steady_trees(regressor: Any, rows: Rows | None) -> Any:
    """Make trees answer alike to numbers that differ in their last bits.

    XGBoost puts a cut on a value of a row that it has learnt from. Another processor or library
    computes that value a last bit smaller, and the row goes down the other branch. So cuts are
    moved to the middle between this value and the next smaller one: all rows that were learnt from
    stay on their sides. CatBoost and scikit-learn cut there anyway.

    CatBoost adds leaves in another order for few rows than for many. So leaves are rounded, to so
    few bits that sums of them are not.

    Parameters
    ----------
    regressor : regressor
        Fitted. Trees in a vote or at the end of a pipeline are found.
    rows : ndarray of shape (n_rows, n_columns), RowsOnDisk or None
        What it has learnt from. None if that is not known: cuts are moved by a little then.

    Returns
    -------
    regressor
        The same object.
    """
    if isinstance(regressor, VotingRegressor):
        for part in regressor.estimators_:
            steady_trees(part, rows)
    elif isinstance(regressor, Pipeline):
        # Steps give other last bits when they are asked than while they were fitted.
        steady_trees(regressor.steps[-1][1], None)
    elif isinstance(regressor, XGBRegressor):
        _move_cuts_of(regressor, rows)
    elif isinstance(regressor, CatBoostRegressor):
        round_leaves(regressor)
    return regressor


def load_between_values(booster: Booster, content: bytes) -> None:
    """Let a booster read trees, with cuts moved off the values that they are on.

    Parameters
    ----------
    booster : Booster
    content : bytes
        As XGBoost saves it, in Universal Binary JSON, and checked.
    """
    moved = bytearray(content)
    _move_cuts(moved, None)
    booster.load_model(moved)
    booster.set_attr(**_MARK)


def round_leaves(regressor: CatBoostRegressor) -> None:
    """Round leaves to so few bits that no sum of them is rounded, in whatever order.

    Parameters
    ----------
    regressor : CatBoostRegressor
        Fitted.
    """
    leaves = regressor.get_leaf_values()
    scale, bias = regressor.get_scale_and_bias()
    unit = unit_of_leaves([*leaves, bias], regressor.tree_count_)
    regressor.set_leaf_values(np.rint(leaves / unit) * unit)
    regressor.set_scale_and_bias(scale, float(np.rint(bias / unit) * unit))


def unit_of_leaves(numbers: npt.ArrayLike, n_trees: int) -> float:
    """Choose what leaves are to be multiples of, so that no sum of them is rounded.

    Parameters
    ----------
    numbers : array-like
        All leaves, and what is added to each sum.
    n_trees : int

    Returns
    -------
    float
    """
    largest = np.abs(numbers).max() * (n_trees + 1)
    return float(2.0 ** (np.frexp(largest)[1] - _LEAF_BITS))


def _move_cuts_of(regressor: XGBRegressor, rows: Rows | None) -> None:
    booster = regressor.get_booster()
    content = bytearray(booster.save_raw("ubj"))
    _move_cuts(content, rows)
    booster.load_model(content)
    booster.set_attr(**_MARK)


def _move_cuts(content: bytearray, rows: Rows | None) -> None:
    """Move cuts in place, unless that has been done before."""
    # Arrays of a bytearray are written where they stand.
    members, _ = read_ubjson(content)
    learner = members["learner"]
    booster: Mapping[str, Any] = learner["gradient_booster"]
    trees = booster.get("gbtree", booster).get("model", {}).get("trees", [])
    if not trees or _MARK.items() <= learner["attributes"].items():
        return
    inner = [tree["left_children"] != -1 for tree in trees]
    columns = np.concatenate([t["split_indices"][i] for t, i in zip(trees, inner, strict=True)])
    cuts = np.concatenate([t["split_conditions"][i] for t, i in zip(trees, inner, strict=True)])
    moved = cuts.astype(np.float32)
    order = np.argsort(columns, kind="stable")
    starts = np.flatnonzero(np.diff(columns[order], prepend=-1))
    numbers = columns[order[starts]].tolist()
    of_columns = np.split(order, starts[1:])
    for places, values in zip(of_columns, columns_of(rows, numbers), strict=False):
        moved[places] = _below(moved[places], values)
    ends = np.cumsum([mask.sum() for mask in inner])[:-1]
    for tree, mask, new in zip(trees, inner, np.split(moved, ends), strict=True):
        tree["split_conditions"][mask] = new


def _below(cuts: npt.NDArray[np.float32], values: npt.NDArray | None) -> npt.NDArray[np.float32]:
    """Middles between each cut and the value below it, or a place a little below the cut."""
    known = np.unique(cuts if values is None else values.astype(np.float32))
    position = np.searchsorted(known, cuts)
    below = np.where(position > 0, known[np.maximum(position, 1) - 1], cuts).astype(np.float64)
    distance = (cuts - below) / 2
    if values is None:
        reach = np.ptp(known) or np.abs(known).max()
        distance = np.where(position > 0, np.minimum(distance, reach * _SHARE), reach * _SHARE)
    moved = (cuts - distance).astype(np.float32)
    # A value below stays below, also where the two are neighbours.
    return np.where((position > 0) & (moved <= below), cuts, moved)
