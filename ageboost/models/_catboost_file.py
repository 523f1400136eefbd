"""CatBoost's trees in a file: looked at before CatBoost reads them.

CatBoost checks that the parts of a file lie within it, but not that their numbers fit together.

References
----------
The schema is ``catboost/libs/model/flatbuffers/model.fbs`` in CatBoost's source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor

from ageboost.errors import ModelFileError
from ageboost.models._cuts import unit_of_leaves
from ageboost.models._flatbuffer import Table

__all__ = [
    "CheckedCatBoost",
    "Levels",
    "check_catboost",
    "checked_catboost",
    "read_levels",
    "save_catboost",
]

_MAGIC = b"CBM1"
# So it is spelt.
_FORMAT = "FlabuffersModel_v1"
_CORE = {"format": 0, "trees": 1, "facts": 2, "parts": 3}
_TREES = {
    "dimension": 0,
    "splits": 1,
    "sizes": 2,
    "starts": 3,
    "float features": 5,
    "leaf values": 8,
    "leaf weights": 9,
    "steps": 10,
    "leaf of each node": 11,
    "scale": 14,
    "bias": 15,
    "biases": 16,
    "bins": 17,
}
_OTHER_FEATURES = {
    "categories": 4,
    "one-hot categories": 6,
    "statistics of categories": 7,
    "texts": 12,
    "estimates": 13,
    "embeddings": 18,
}
_FEATURE = {"has nans": 0, "index": 1, "flat index": 2, "borders": 3, "name": 4, "nans": 5}
# What CatBoost can do, and a little more.
_DEEPEST = 16
_LARGEST_DIMENSION = 1_000
_BORDERS_IN_A_BUCKET = 254
_STEP = np.dtype([("left", "<u2"), ("right", "<u2")])
_BIN = np.dtype([("bucket", "<u2"), ("mask", "u1"), ("split", "u1")])
# The facts are JSON, which is read by recursion. A hundred brackets are usual.
_MOST_BRACKETS = 1_000


class CheckedCatBoost:
    """What takes the place of a CatBoostRegressor while a file is read, and becomes one."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Check the trees, and become a regressor that holds them.

        Parameters
        ----------
        state : mapping
            As of CatBoostRegressor. ``__model`` holds the trees, if there are any.

        Raises
        ------
        ModelFileError
            If the trees are not as CatBoost writes them.
        """
        state = dict(state)
        if "__model" in state:
            state["__model"] = checked_catboost(bytes(state["__model"]))
        regressor: Any = self
        regressor.__class__ = CatBoostRegressor
        regressor.__setstate__(state)


def checked_catboost(content: bytes) -> bytes:
    """Check a model that CatBoost has saved, and round its leaves, as :func:`round_leaves` does.

    CatBoost takes trees from memory, so that no file is needed, but cannot change them then.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    bytes

    Raises
    ------
    ModelFileError
        If it is not as CatBoost writes it, or looks at features other than numbers.
    """
    check_catboost(content)
    body = bytearray(content[8:])
    trees = _trees(body)
    # These are written where they stand.
    leaves, biases = (trees.array(_TREES[name], "<f8") for name in ("leaf values", "biases"))
    bias = trees.number(_TREES["bias"], "<d", 0)
    unit = unit_of_leaves([*leaves, *biases, bias], len(trees.array(_TREES["sizes"], "<i4")))
    for numbers in (leaves, biases):
        numbers[:] = np.rint(numbers / unit) * unit
    return content[:8] + bytes(body)


def save_catboost(regressor: CatBoostRegressor) -> bytes:
    """Return trees as CatBoost saves them, without a file.

    Parameters
    ----------
    regressor : CatBoostRegressor
        Fitted.

    Returns
    -------
    bytes
    """
    return bytes(regressor.__getstate__()["__model"])


def check_catboost(content: bytes) -> None:
    """Check a model that CatBoost has saved.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    ModelFileError
        If it is not as CatBoost writes it, or looks at features other than numbers.
    """
    if content[:4] != _MAGIC or int.from_bytes(content[4:8], "little") != len(content) - 8:
        raise ModelFileError("they do not begin as CatBoost's do, or are cut short")
    core = Table(content[8:])
    trees = core.table(_CORE["trees"])
    if core.text(_CORE["format"]) != _FORMAT or trees is None:
        raise ModelFileError("they are of a format that CatBoost does not write")
    if len(core.array(_CORE["parts"], "<u4")):
        raise ModelFileError("they have parts that trees of numbers do not need")
    n_bytes = 0
    for fact in core.tables(_CORE["facts"]):
        name, value = fact.text(0), fact.text(1)
        n_bytes += len(name or "") + len(value or "")
        if n_bytes > core.n_bytes:
            raise ModelFileError("facts overlap")
        if name is None or value is None or name in ("class_params", "multiclass_params"):
            raise ModelFileError(f"{name!r} is no fact of a regressor")
        if value.count("[") + value.count("{") > _MOST_BRACKETS:
            raise ModelFileError(f"{name!r} has more than {_MOST_BRACKETS} brackets")
    for name, field in _OTHER_FEATURES.items():
        if len(trees.array(field, "<u4")):
            raise ModelFileError(f"they look at {name}, which features never are")
    _check_trees(trees)


class Levels(NamedTuple):
    """Trees that ask the same in all nodes of a level, one after the other.

    Attributes
    ----------
    sizes : ndarray of shape (n_trees,), int64
        How many levels each has.
    columns, borders : ndarray of shape (n_levels,)
        Whether the number in a column is above a border. What a level adds to the number of the
        leaf is twice that of the level before.
    leaves : ndarray of shape (n_leaves,), float64
    scale, bias : float
        What the sum of leaves is multiplied by, and what is added then.
    """

    sizes: npt.NDArray[np.int64]
    columns: npt.NDArray[np.intp]
    borders: npt.NDArray[np.float32]
    leaves: npt.NDArray[np.float64]
    scale: float
    bias: float


def read_levels(content: bytes) -> Levels | None:
    """Read the trees of a model that CatBoost has saved, and which is not a stranger's.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    Levels or None
        None where trees are not of that kind, or predict several numbers.
    """
    trees = _trees(content[8:])
    if trees.number(_TREES["dimension"], "<i", 0) != 1:
        return None
    sizes = trees.array(_TREES["sizes"], "<i4").astype(np.int64)
    splits = trees.array(_TREES["splits"], "<i4")
    biases = trees.array(_TREES["biases"], "<f8")
    if len(trees.array(_TREES["steps"], _STEP)) or not len(sizes) or not sizes.all():
        return None
    of_features = [
        feature.array(_FEATURE["borders"], "<f4")
        for feature in trees.tables(_TREES["float features"])
    ]
    columns = np.repeat(np.arange(len(of_features)), [len(borders) for borders in of_features])
    return Levels(
        sizes,
        columns[splits],
        np.concatenate(of_features)[splits],
        trees.array(_TREES["leaf values"], "<f8").copy(),
        trees.number(_TREES["scale"], "<d", 1),
        float(biases[0]) if len(biases) else trees.number(_TREES["bias"], "<d", 0),
    )


def _trees(body: bytes | bytearray) -> Table:
    """Find the trees of a model that was checked."""
    trees = Table(body).table(_CORE["trees"])
    assert trees is not None
    return trees


def _check_trees(trees: Table) -> None:
    dimension = trees.number(_TREES["dimension"], "<i", 0)
    if not 1 <= dimension <= _LARGEST_DIMENSION:
        raise ModelFileError(f"they predict {dimension} numbers")
    sizes = trees.array(_TREES["sizes"], "<i4").astype(np.int64)
    starts = trees.array(_TREES["starts"], "<i4").astype(np.int64)
    splits = trees.array(_TREES["splits"], "<i4").astype(np.int64)
    if (sizes < 0).any() or sizes.sum() != len(splits):
        raise ModelFileError("the sizes of trees do not add up")
    if not np.array_equal(starts, np.cumsum(sizes) - sizes):
        raise ModelFileError("a tree does not begin where the one before ends")
    _check_splits(trees, splits)
    steps = trees.array(_TREES["steps"], _STEP)
    leaf_of = trees.array(_TREES["leaf of each node"], "<u4").astype(np.int64)
    if len(steps) or len(leaf_of):
        n_leaves = _check_steps(steps, leaf_of, sizes, starts, dimension)
    elif (sizes > _DEEPEST).any():
        raise ModelFileError(f"a tree is more than {_DEEPEST} levels deep")
    else:
        n_leaves = int((1 << sizes).sum())
    _check_values(trees, n_leaves, dimension)


def _check_splits(trees: Table, splits: npt.NDArray[np.int64]) -> None:
    """Check that each split is a border of a feature, and that what is derived of it fits."""
    n_borders, n_bytes = [], 0
    for position, feature in enumerate(trees.tables(_TREES["float features"])):
        places = [feature.number(_FEATURE[name], "<i", -1) for name in ("index", "flat index")]
        if places != [position, position]:
            raise ModelFileError(f"feature {position} says that it is another")
        if feature.number(_FEATURE["has nans"], "B", 0) > 1:
            raise ModelFileError(f"feature {position} may be missing, or not: it does not say")
        if feature.number(_FEATURE["nans"], "B", 0) > 2:
            raise ModelFileError(f"feature {position} treats missing values in an unknown way")
        borders = feature.array(_FEATURE["borders"], "<f4")
        if np.isnan(borders).any() or (borders[1:] < borders[:-1]).any():
            raise ModelFileError(f"borders of feature {position} are not in order")
        n_borders.append(len(borders))
        n_bytes += borders.nbytes
        if n_bytes > trees.n_bytes:
            raise ModelFileError("borders overlap")
    counts = np.array(n_borders, np.int64)
    n_bins = int(counts.sum())
    bins = trees.array(_TREES["bins"], _BIN)
    if len(bins) not in (0, len(splits)):
        raise ModelFileError("bins are not given for each split")
    if n_bins == 0:
        # Trees of a leaf each, whose nodes all name the first border.
        if splits.any() or bins.tobytes().strip(b"\0"):
            raise ModelFileError("a node asks for a border where there is none")
        return
    if ((splits < 0) | (splits >= n_bins)).any():
        raise ModelFileError("a node asks for a border that is not there")
    buckets = -(-counts // _BORDERS_IN_A_BUCKET)
    within = np.arange(n_bins) - np.repeat(np.cumsum(counts) - counts, counts)
    bucket = np.repeat(np.cumsum(buckets) - buckets, counts) + within // _BORDERS_IN_A_BUCKET
    expected = np.zeros(len(bins), _BIN)
    if len(bins):
        expected["bucket"] = bucket[splits]
        expected["split"] = within[splits] % _BORDERS_IN_A_BUCKET + 1
    if not np.array_equal(bins, expected):
        raise ModelFileError("bins are other than those of the splits")


def _check_steps(
    steps: npt.NDArray[np.void],
    leaf_of: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    dimension: int,
) -> int:
    """Check trees whose levels may ask for several features, and count their leaves."""
    if not len(steps) == len(leaf_of) == sizes.sum() or (sizes == 0).any():
        raise ModelFileError("steps are not given for each node")
    tree_of = np.repeat(np.arange(len(sizes)), sizes)
    ends = (starts + sizes)[tree_of]
    nodes = np.arange(len(steps))
    depths = np.zeros(len(steps), np.int64)
    below = []
    for side in ("left", "right"):
        led = steps[side] > 0
        targets = nodes[led] + steps[side][led]
        if (targets >= ends[led]).any():
            raise ModelFileError("a node leads out of its tree")
        below.append((nodes[led], targets))
    sources, targets = (np.concatenate(part) for part in zip(*below, strict=True))
    n_times = np.bincount(targets, minlength=len(steps))
    if n_times[starts].any() or (np.delete(n_times, starts) != 1).any():
        raise ModelFileError("a node is led to by none, or by several")
    # All steps lead forwards, so each round settles one more level.
    for _ in range(_DEEPEST):
        depths[targets] = depths[sources] + 1
    if (depths[targets] != depths[sources] + 1).any():
        raise ModelFileError(f"a tree is more than {_DEEPEST} levels deep")
    is_leaf = (steps["left"] == 0) | (steps["right"] == 0)
    leaves = leaf_of[is_leaf]
    # Within a tree, leaves may be in any order.
    in_order = leaves[np.lexsort((leaves, tree_of[is_leaf]))]
    if not np.array_equal(in_order, np.arange(len(leaves)) * dimension):
        raise ModelFileError("leaves are not counted from the first to the last")
    return len(leaves)


def _check_values(trees: Table, n_leaves: int, dimension: int) -> None:
    values = trees.array(_TREES["leaf values"], "<f8")
    weights = trees.array(_TREES["leaf weights"], "<f8")
    biases = trees.array(_TREES["biases"], "<f8")
    if len(values) != n_leaves * dimension or len(weights) not in (0, n_leaves):
        raise ModelFileError("values are not given for each leaf")
    if len(biases) not in (0, dimension):
        raise ModelFileError("biases are not given for each number")
    rest = [trees.number(_TREES["scale"], "<d", 1), trees.number(_TREES["bias"], "<d", 0)]
    if not all(np.isfinite(part).all() for part in (values, weights, biases, rest)):
        raise ModelFileError("a leaf holds no number")
