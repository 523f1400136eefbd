"""Many correlated features to fewer: components of each group, and ages estimated by kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from ageboost._progress import track
from ageboost.models._exact import ExactProduct

__all__ = ["GroupedPCA", "feature_groups"]


class GroupedPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Standardise features and reduce each group of them by PCA, to scores of unit mean length.

    One analysis over everything would give the components to whatever group is largest. Here HOG,
    LBP, geometry and each level of a network get their own, and the trees behind them look at
    hundreds of columns instead of thousands.

    Parameters
    ----------
    n_components : int, default=200
        Components per group; a smaller group gives as many as it has features.
    random_state : int, RandomState or None, default=None
        Of the randomised decomposition that large groups use.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_features_in_group, n_components_of_group), float32
        The scaling of features and of groups is part of them.
    offsets_ : list of ndarray of shape (n_components_of_group,), float32
        Scores of a face of only zeros, with the sign turned.
    columns_ : list of ndarray of int
        Features of each group.
    n_features_in_ : int

    References
    ----------
    N. Halko, P.-G. Martinsson and J. Tropp, "Finding Structure with Randomness", SIAM Review 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models import GroupedPCA
    >>> X = np.random.default_rng(0).normal(size=(100, 12))
    >>> GroupedPCA(n_components=3).fit(X, groups=["a"] * 6 + ["b"] * 6).transform(X).shape
    (100, 6)
    """

    def __init__(self, n_components=200, random_state=None):
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: object = None, groups: object = None) -> GroupedPCA:
        """Learn scaling and components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        groups : sequence of length n_features, optional
            The group of each feature. By default all are in one.

        Returns
        -------
        self
        """
        X = validate_data(self, X, dtype=[np.float32, np.float64], ensure_min_samples=2)
        if self.n_components < 1:
            raise ValueError(f"n_components={self.n_components!r}: pass 1 or more")
        labels = np.zeros(X.shape[1], int) if groups is None else np.asarray(groups)
        if labels.shape != (X.shape[1],):
            raise ValueError(f"groups has shape {labels.shape} for {X.shape[1]} features")
        random_state = check_random_state(self.random_state)
        _, first = np.unique(labels, return_index=True)
        self.columns_ = [np.flatnonzero(labels == label) for label in labels[np.sort(first)]]
        self.components_, self.offsets_ = [], []
        for columns in track(self.columns_, "Finding components", len(self.columns_)):
            block = X[:, columns]
            mean, deviation = block.mean(axis=0), block.std(axis=0)
            # A feature that never changes is of no use; dividing by it would give noise or worse.
            constant = deviation <= 10 * np.finfo(X.dtype).eps * np.abs(mean)
            scale = np.where(constant, 0, 1 / np.where(constant, 1, deviation))
            directions = self._directions((block - mean) * scale, random_state)
            components = directions * scale[:, None]
            # Groups count alike, whatever their size: the mean squared length of their scores is 1.
            scores = (block - mean) @ components
            components /= max(np.sqrt((scores**2).sum(axis=1).mean()), np.finfo(X.dtype).tiny)
            self.components_.append(components.astype(np.float32))
            self.offsets_.append((mean @ components).astype(np.float32))
        self._prepare_products()
        return self

    def _directions(self, block: npt.NDArray, random_state: np.random.RandomState) -> npt.NDArray:
        n_components = min(self.n_components, *block.shape)
        if n_components < 0.5 * min(block.shape) and min(block.shape) > 200:
            _, _, rows = randomized_svd(
                block, n_components, n_iter=4, random_state=random_state, flip_sign=True
            )
        else:
            _, _, rows = linalg.svd(block, full_matrices=False)
            rows = rows[:n_components]
            # Signs of singular vectors are arbitrary: fix them, so that fits can be compared.
            largest = np.abs(rows).argmax(axis=1)
            rows = rows * np.sign(rows[np.arange(len(rows)), largest])[:, None]
        return rows.T

    def transform(self, X: Any) -> npt.NDArray[np.floating]:
        """Compute scores, group after group.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components_of_all_groups)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        return self.transform_checked(X)

    def transform_checked(self, X: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Do as :meth:`transform` with rows that were checked before.

        scikit-learn's check of a single row takes as long as its scores.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components_of_all_groups)
        """
        scores = [
            (product(X[:, columns]) - offset).astype(X.dtype)
            for columns, product, offset in zip(
                self._places, self._products, self.offsets_, strict=True
            )
        ]
        return np.concatenate(scores, axis=1)

    def to_arrays(self) -> dict[str, npt.NDArray]:
        """Give what was learnt as arrays, to be kept by one who knows the parameters.

        Returns
        -------
        dict of str to ndarray
        """
        check_is_fitted(self)
        kinds: dict[str, list[npt.NDArray]] = {
            "columns": self.columns_,
            "components": self.components_,
            "offsets": self.offsets_,
        }
        return {
            f"{kind}-{i}": array for kind, arrays in kinds.items() for i, array in enumerate(arrays)
        }

    def from_arrays(self, arrays: Mapping[str, npt.NDArray]) -> GroupedPCA:
        """Take what :meth:`to_arrays` has given as learnt.

        Parameters
        ----------
        arrays : mapping of str to ndarray

        Returns
        -------
        self
        """
        n_groups = sum(name.startswith("columns-") for name in arrays)
        self.columns_, self.components_, self.offsets_ = (
            [arrays[f"{kind}-{i}"] for i in range(n_groups)]
            for kind in ("columns", "components", "offsets")
        )
        self.n_features_in_ = sum(map(len, self.columns_))
        self._prepare_products()
        return self

    def _prepare_products(self) -> None:
        self._products = [ExactProduct(components) for components in self.components_]
        self._places = [_in_one_piece(columns) for columns in self.columns_]

    def __getstate__(self):
        made = ("_products", "_places")
        return {k: v for k, v in super().__getstate__().items() if k not in made}

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "components_"):
            self._prepare_products()

    @property
    def _n_features_out(self) -> int:
        return sum(components.shape[1] for components in self.components_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32", "float64"]
        return tags


def _in_one_piece(columns: npt.NDArray[np.intp]) -> slice | npt.NDArray[np.intp]:
    """Take columns that lie beside each other as a slice, which copies nothing."""
    start, stop = int(columns[0]), int(columns[-1]) + 1
    return slice(start, stop) if (np.diff(columns) == 1).all() else columns


def feature_groups(names: npt.ArrayLike) -> list[str]:
    """Find which features belong together, by their names.

    Parameters
    ----------
    names : array-like of str
        As ``FaceFeatures.get_feature_names_out`` gives them.

    Returns
    -------
    list of str
        The transformer's name, and for a network the level's too.

    Examples
    --------
    >>> from ageboost.models.reduction import feature_groups
    >>> feature_groups(["lbp__row0_col0_pattern1", "cnn__level4_row0_col0_channel3"])
    ['lbp', 'cnn__level4']
    """
    groups = []
    for name in np.asarray(names).tolist():
        transformer, _, rest = name.partition("__")
        level, has_channel, _ = rest.rpartition("_channel")
        level = level.partition("_row")[0] if has_channel else ""
        groups.append(f"{transformer}__{level}" if level else transformer)
    return groups
