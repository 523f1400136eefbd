"""Boosted trees asked for one face at a time, as a till does.

XGBoost and CatBoost are made for tables: for one row, what surrounds their trees takes ten times as
long as the trees do. Here all trees go down level by level together, and give the same number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor
from xgboost import XGBRegressor

from ageboost.models._catboost_file import Levels, read_levels, save_catboost
from ageboost.models._ubjson import read_ubjson

__all__ = ["SingleRows"]

Row = npt.NDArray[np.float32]
_N_PROBES = 16


class SingleRows:
    """Regressors' trees, taken out when each is first asked for a single row."""

    def __init__(self) -> None:
        self._known: list[tuple[object, Callable[[Row], float] | None]] = []

    def trees(
        self, regressor: XGBRegressor | CatBoostRegressor, n_columns: int
    ) -> Callable[[Row], float] | None:
        """Take the trees out of a regressor.

        Parameters
        ----------
        regressor : XGBRegressor or CatBoostRegressor
            Fitted, once and for all.
        n_columns : int
            Of the rows that it is asked for.

        Returns
        -------
        callable or None
            Takes a row of numbers, and returns what the regressor predicts for it, to the last bit.
            None where its trees are not of the usual kind, or do not answer the same.
        """
        for known, trees in self._known:
            if known is regressor:
                return trees
        taken = _take_out(regressor, n_columns)
        self._known.append((regressor, taken))
        return taken


def _take_out(regressor: XGBRegressor | CatBoostRegressor, n_columns: int) -> _Trees | None:
    trees: _Trees | None
    if isinstance(regressor, XGBRegressor):
        trees = _Branches.read(regressor.get_booster().save_raw("ubj"))
    else:
        trees = _Levels.read(save_catboost(regressor))
    if trees is None:
        return None
    probes = trees.probes(n_columns)
    expected = np.ravel(regressor.predict(probes)).astype(np.float64)
    return trees if [trees(probe) for probe in probes] == expected.tolist() else None


class _Trees:
    """Trees, as the columns that they ask for and where they cut these."""

    def __init__(self, columns: npt.NDArray[np.intp], cuts: npt.NDArray[np.float32]):
        self._columns, self._cuts = columns, cuts

    def __call__(self, row: Row) -> float:
        """Answer for a row."""
        raise NotImplementedError

    def probes(self, n_columns: int) -> npt.NDArray[np.float32]:
        """Make rows on which to compare answers: of numbers at cuts, and right below them."""
        rng = np.random.default_rng(0)
        probes = rng.normal(size=(_N_PROBES, n_columns)).astype(np.float32)
        for column in np.unique(self._columns):
            chosen = rng.choice(self._cuts[self._columns == column], _N_PROBES)
            probes[::2, column] = chosen[::2]
            probes[1::2, column] = np.nextafter(chosen[1::2], np.float32(-np.inf))
        return probes


class _Branches(_Trees):
    """XGBoost's trees, each node of which asks for a column of its own.

    A leaf has its number in the place of a cut, and itself for children.
    """

    def __init__(self, columns, cuts, children, roots, base):
        super().__init__(columns, cuts)
        self._children, self._roots, self._base = children, roots, base
        self._depth, level = 0, roots
        while len(level := level[children[2 * level] != level]):
            level = children[np.concatenate([2 * level, 2 * level + 1])]
            self._depth += 1

    @classmethod
    def read(cls, content: bytearray) -> _Branches | None:
        members, _ = read_ubjson(content)
        learner = members["learner"]
        booster = learner["gradient_booster"]
        if booster["name"] != "gbtree" or "best_iteration" in learner["attributes"]:
            return None
        trees = booster["model"]["trees"]
        if not trees:
            return None
        columns, cuts, left, right = (
            np.concatenate([tree[name] for tree in trees])
            for name in ("split_indices", "split_conditions", "left_children", "right_children")
        )
        n_nodes = [len(tree["left_children"]) for tree in trees]
        roots = np.cumsum([0, *n_nodes[:-1]])
        first = np.repeat(roots, n_nodes)
        itself, is_leaf = np.arange(len(left)), left == -1
        children = np.where(is_leaf, itself, np.stack([left, right]) + first).T.ravel()
        base = np.float32(learner["learner_model_param"]["base_score"].strip("[]"))
        return cls(np.where(is_leaf, 0, columns), cuts.astype(np.float32), children, roots, base)

    def __call__(self, row: Row) -> float:
        nodes = self._roots
        for _ in range(self._depth):
            right = row[self._columns[nodes]] >= self._cuts[nodes]
            nodes = self._children[2 * nodes + right]
        # In single precision and in order, as XGBoost adds them up.
        leaves = self._cuts[nodes]
        leaves[0] += self._base
        return float(leaves.cumsum(dtype=np.float32)[-1])


class _Levels(_Trees):
    """CatBoost's trees, all nodes of a level of which ask the same."""

    def __init__(self, levels: Levels):
        super().__init__(levels.columns, levels.borders)
        self._levels = levels
        sizes = levels.sizes
        starts = np.cumsum(sizes) - sizes
        self._starts, self._steps = starts, 1 << (np.arange(sizes.sum()) - np.repeat(starts, sizes))
        self._first_leaves = np.cumsum(1 << sizes) - (1 << sizes)

    @classmethod
    def read(cls, content: bytes) -> _Levels | None:
        levels = read_levels(content)
        return None if levels is None else cls(levels)

    def __call__(self, row: Row) -> float:
        above = (row[self._columns] > self._cuts) * self._steps
        leaves = self._first_leaves + np.add.reduceat(above, self._starts)
        total = self._levels.leaves[leaves].sum()
        return float(total * self._levels.scale + self._levels.bias)
