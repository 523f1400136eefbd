"""XGBoost's trees in a file: looked at before XGBoost reads them.

XGBoost takes children, features and lengths from the file as they are, so numbers that do not fit
together lead it out of its memory.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from xgboost import Booster

from ageboost.errors import ModelFileError
from ageboost.models._cuts import load_between_values
from ageboost.models._ubjson import read_ubjson

__all__ = ["CheckedBooster", "check_xgboost"]

# SHAP values go down the trees by recursion.
_DEEPEST = 1_000
# XGBoost makes room for each of them, in each thread.
_MOST_FEATURES = 1_000_000
_NO_PARENT = 2**31 - 1
_ARRAYS = (np.ndarray, list)
_FLOATS = (np.dtype(">f4"),)
_CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_NODE_ARRAYS = {
    "left_children": (np.dtype(">i4"),),
    "right_children": (np.dtype(">i4"),),
    "parents": (np.dtype(">i4"),),
    "split_indices": (np.dtype(">i4"), np.dtype(">i8")),
    "split_conditions": _FLOATS,
    "split_type": (np.dtype("u1"),),
    "default_left": (np.dtype("u1"),),
    "base_weights": _FLOATS,
    "loss_changes": _FLOATS,
    "sum_hessian": _FLOATS,
}


class CheckedBooster:
    """What takes the place of a Booster while a file is read, and becomes one if all is well.

    Of how it was trained, the number of threads is kept; the rest has no part in its predictions.
    """

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Check the trees, and become a Booster that holds them.

        Parameters
        ----------
        state : mapping
            As of Booster. ``handle`` holds the trees.

        Raises
        ------
        ModelFileError
            If the trees are not as XGBoost writes them.
        """
        content = bytes(state["handle"])
        members, places = read_ubjson(content)
        _check_learner(_part(members, "Model"))
        threads = _part(members, "Config", "learner", "generic_param").get("nthread")
        booster: Any = self
        booster.__class__ = Booster
        booster.__init__({"nthread": _threads(threads)})
        load_between_values(booster, content[places["Model"]])


def check_xgboost(content: bytes) -> None:
    """Check a model that XGBoost has saved.

    Parameters
    ----------
    content : bytes
        Universal Binary JSON.

    Raises
    ------
    ModelFileError
        If it is not as XGBoost writes it, or not for one number per row of numbers.
    """
    members, _ = read_ubjson(content)
    _check_learner(members)


def _check_learner(model: Mapping[str, Any]) -> None:
    learner = _part(model, "learner")
    params = _part(learner, "learner_model_param")
    n_features = _count(params, "num_feature")
    if n_features > _MOST_FEATURES:
        raise ModelFileError(f"they are for more than {_MOST_FEATURES:,} features")
    if (params.get("num_class"), params.get("num_target")) != ("0", "1"):
        raise ModelFileError("they do not predict one number")
    _check_base_score(params.get("base_score"))
    objective = _part(learner, "objective").get("name")
    # Others turn what the trees say into classes or ranks, with numbers of their own.
    if not isinstance(objective, str) or not objective.startswith(("reg:", "count:")):
        raise ModelFileError(f"they were trained for {objective!r}, not for numbers")
    for name in ("feature_names", "feature_types"):
        if not _is_texts(learner.get(name)) or len(learner[name]) not in (0, n_features):
            raise ModelFileError(f"{name} is not a text for each feature")
    booster = _part(learner, "gradient_booster")
    kind = booster.get("name")
    if kind == "gblinear":
        weights = _part(booster, "model").get("weights")
        n_rounds = None
        if not _is_floats(weights, n_features + 1):
            raise ModelFileError("weights is not a number for each feature")
    elif kind == "gbtree":
        n_rounds = _check_trees(_part(booster, "model"), n_features)
    elif kind == "dart":
        trees = _part(booster, "gbtree", "model")
        n_rounds = _check_trees(trees, n_features)
        if not _is_floats(booster.get("weight_drop"), len(trees["trees"])):
            raise ModelFileError("weight_drop is not a number for each tree")
    else:
        raise ModelFileError(f"{kind!r} is no kind of booster")
    _check_attributes(_part(learner, "attributes"), n_rounds)


def _check_attributes(attributes: Mapping[str, Any], n_rounds: int | None) -> None:
    if not _is_texts(list(attributes.values())):
        raise ModelFileError("attributes holds something other than texts")
    if "best_iteration" in attributes and n_rounds is not None:
        best = _count(attributes, "best_iteration")
        if best >= n_rounds:
            raise ModelFileError(f"best_iteration is {best}, but there are {n_rounds}")


def _check_trees(model: Mapping[str, Any], n_features: int) -> int:
    """Check all trees, and count the rounds."""
    params = _part(model, "gbtree_model_param")
    trees = model.get("trees")
    n_trees = _count(params, "num_trees")
    if not isinstance(trees, list) or len(trees) != n_trees:
        raise ModelFileError(f"num_trees is {n_trees}, but trees has another length")
    groups, rounds = _numbers(model, "tree_info"), _numbers(model, "iteration_indptr")
    if len(groups) != n_trees or groups.any():
        raise ModelFileError("tree_info is not 0 for each tree")
    if not len(rounds) or rounds[0] != 0 or rounds[-1] != n_trees or (np.diff(rounds) < 1).any():
        raise ModelFileError("iteration_indptr does not divide the trees into rounds")
    if _count(params, "num_parallel_tree") < 1:
        raise ModelFileError("num_parallel_tree is 0")
    if any(_length(part) for part in model.get("cats", {}).values()):
        raise ModelFileError("cats holds categories, which features are never")
    if n_trees:
        _check_nodes([_nodes(tree, i, n_features) for i, tree in enumerate(trees)], n_features)
    return len(rounds) - 1


def _nodes(tree: Any, position: int, n_features: int) -> list[npt.NDArray[Any]]:
    """Take out what is stored of each node of a tree."""
    params = _part(tree, "tree_param")
    n_nodes = _count(params, "num_nodes")
    if tree.get("id") != position:
        raise ModelFileError(f"tree {position} has another id")
    if params.get("num_feature") != str(n_features) or params.get("size_leaf_vector") != "1":
        raise ModelFileError(f"tree {position} is for other features or targets")
    if n_nodes < 1:
        raise ModelFileError(f"tree {position} has no node")
    found = []
    for name, kinds in _NODE_ARRAYS.items():
        array = tree.get(name)
        if not isinstance(array, np.ndarray) or array.dtype not in kinds or len(array) != n_nodes:
            raise ModelFileError(f"{name} of tree {position} is not a number for each node")
        found.append(array)
    if any(_length(tree.get(name)) for name in _CATEGORIES):
        raise ModelFileError(f"tree {position} asks for categories, which features are never")
    return [*found[:6], np.array([n_nodes, _count(params, "num_deleted")])]


def _check_nodes(nodes: list[list[npt.NDArray[Any]]], n_features: int) -> None:
    """Go down all trees at once, level by level, and count the nodes on the way.

    A node that is reached names the one above it as its parent. So no node is reached twice, and
    none leads in a circle.
    """
    sizes, n_deleted = np.array([tree[6] for tree in nodes]).T
    starts = np.cumsum(sizes) - sizes
    columns = [np.concatenate([tree[i] for tree in nodes]).astype(np.int64) for i in range(4)]
    left, right, parents, features = columns
    values = np.concatenate([tree[4] for tree in nodes])
    if np.concatenate([tree[5] for tree in nodes]).any():
        raise ModelFileError("a node asks for categories, which features are never")
    tree_of = np.repeat(np.arange(len(nodes)), sizes)
    for children in (left, right):
        if ((children < -1) | (children == 0) | (children >= sizes[tree_of])).any():
            raise ModelFileError("a node has a child that is no node of its tree")
    if (parents[starts] != _NO_PARENT).any():
        raise ModelFileError("a root has a parent")
    n_reached = np.zeros(len(nodes), np.int64)
    level = starts
    for _ in range(_DEEPEST):
        n_reached += np.bincount(tree_of[level], minlength=len(nodes))
        is_leaf = left[level] == -1
        leaves, level = level[is_leaf], level[~is_leaf]
        if not np.isfinite(values[leaves]).all():
            raise ModelFileError("a leaf holds no number")
        if not len(level):
            break
        if (right[level] == -1).any() or (left[level] == right[level]).any():
            raise ModelFileError("a node has one child")
        if ((features[level] < 0) | (features[level] >= n_features)).any():
            raise ModelFileError("a node asks for a feature that is not there")
        first = starts[tree_of[level]]
        below = np.concatenate([first + left[level], first + right[level]])
        if (parents[below] != np.tile(level - first, 2)).any():
            raise ModelFileError("a node has another parent than the one that leads to it")
        level = below
    else:
        raise ModelFileError(f"a tree is more than {_DEEPEST} levels deep")
    if (n_reached + n_deleted != sizes).any():
        raise ModelFileError("a tree has nodes that nothing leads to")


def _check_base_score(text: Any) -> None:
    try:
        finite = math.isfinite(float(text.removeprefix("[").removesuffix("]")))
    except (AttributeError, ValueError):
        finite = False
    if not finite:
        raise ModelFileError(f"base_score is {text!r}, not a number")


def _threads(text: Any) -> int:
    """Read how many threads to use: no more than there are cores, all for any other number."""
    n_cores = os.cpu_count() or 1
    return min(int(text), n_cores) if isinstance(text, str) and text.isdecimal() else 0


def _part(parent: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        parent = parent.get(name) if isinstance(parent, dict) else None
        if not isinstance(parent, dict):
            raise ModelFileError(f"they lack {name}")
    return parent


def _count(params: Mapping[str, Any], name: str) -> int:
    text = params.get(name)
    if not isinstance(text, str) or not text.isdecimal() or len(text) > 9:
        raise ModelFileError(f"{name} is {text!r}, not a count")
    return int(text)


def _numbers(model: Mapping[str, Any], name: str) -> npt.NDArray[np.int64]:
    found = model.get(name)
    if isinstance(found, list) and any(type(item) is not int for item in found):
        found = None
    if not isinstance(found, _ARRAYS) or np.asarray(found).dtype.kind == "f":
        raise ModelFileError(f"{name} holds something other than whole numbers")
    return np.asarray(found, np.int64)


def _length(found: Any) -> int:
    if not isinstance(found, _ARRAYS):
        raise ModelFileError("an array is missing")
    return len(found)


def _is_floats(found: Any, length: int) -> bool:
    if isinstance(found, list):
        found = np.array(found) if all(type(item) is float for item in found) else None
    is_array = isinstance(found, np.ndarray) and found.dtype.kind == "f"
    return is_array and len(found) == length and bool(np.isfinite(found).all())


def _is_texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(item, str) for item in found)
