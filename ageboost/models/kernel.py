"""Ages estimated by kernels, for trees to correct: smooth functions of many features."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from ageboost._arrays import with_arrays
from ageboost._progress import track
from ageboost.models._exact import ExactProduct, bits_that_fit, round_to_bits
from ageboost.models._rows_on_disk import Rows, RowsOnDisk, row_blocks, take
from ageboost.models._stages import Stages
from ageboost.models.reduction import GroupedPCA

__all__ = ["KernelScores", "cross_fit_on_disk"]

# Numbers of centres are copied to double precision so many at a time: they stay in the processor's
# cache, and calls are few for a single row, too.
_NUMBERS_AT_ONCE = 1 << 18
# So many rows that are on disk are compared with the centres at once.
_ROWS_AT_ONCE = 1 << 12


class KernelScores(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Components of each group of features, and ages that kernel ridge regression reads from them.

    A face's age is a smooth function of hundreds of components, each of which says a little. Trees
    cut along one axis at a time and need many photos for that; a kernel compares whole faces. One
    kernel looks at each kind of feature and one at all of them; their ages join the first
    components, and trees correct them where they know better.

    Ages of the photos that a kernel learnt from look better than they are. So regressors behind
    this must be fitted on :meth:`cross_fit_transform`, where each photo's ages come from kernels
    that have not seen it.

    Parameters
    ----------
    n_components : int, default=200
        Components of each group that the kernels look at.
    n_kept : int, default=40
        Components of each group that are passed on beside the ages.
    n_centers : int, default=3000
        Photos, drawn at random, that faces are compared with (Nystrom's method).
    gamma : float, default=1.5
        Narrowness of the kernel ``exp(-gamma d^2 / 2)``, where d is the distance in units of the
        root mean squared length of the components.
    alpha : float, default=0.3
        Strength of the ridge penalty.
    n_folds : int, default=5
        Of the cross-fitting.
    random_state : int, RandomState or None, default=None
        Of the components, the centres and the folds.

    Attributes
    ----------
    pca_ : GroupedPCA
    centers_ : ndarray of shape (n_centers, n_components_of_all_groups), float16
    coefs_ : ndarray of shape (n_kernels, n_centers), float32
    intercept_ : float
    kernel_columns_ : list of ndarray of int
        Components that each kernel looks at.
    kernel_units_ : ndarray of shape (n_kernels,), float32
        Mean squared length of these components.
    kept_ : ndarray of int
        Components that are passed on.
    n_features_in_ : int

    References
    ----------
    C. Williams and M. Seeger, "Using the Nystrom Method to Speed Up Kernel Machines", NIPS 2000.
    D. Wolpert, "Stacked Generalization", Neural Networks 1992.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models import KernelScores
    >>> X = np.random.default_rng(0).normal(size=(200, 12))
    >>> scores = KernelScores(n_kept=2, random_state=0)
    >>> groups = ["hog"] * 6 + ["lbp"] * 6
    >>> scores.cross_fit_transform(X, X[:, 0], groups=groups).shape
    (200, 7)
    """

    def __init__(
        self,
        n_components=200,
        n_kept=40,
        n_centers=3000,
        gamma=1.5,
        alpha=0.3,
        n_folds=5,
        random_state=None,
    ):
        self.n_components = n_components
        self.n_kept = n_kept
        self.n_centers = n_centers
        self.gamma = gamma
        self.alpha = alpha
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        groups: object = None,
    ) -> KernelScores:
        """Learn components and kernels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        groups : sequence of str of length n_features, optional
            The group of each feature. Groups whose names agree up to ``"__"`` share a kernel.

        Returns
        -------
        self
        """
        self._fit(X, y, groups, None)
        return self

    def cross_fit_transform(
        self,
        X: Any,
        y: Any,
        groups: object = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.float32]:
        """Fit, and give each row the ages of kernels that were fitted without its fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        groups : sequence of str of length n_features, optional
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        ndarray of shape (n_samples, n_columns), float32
        """
        scores, ages = self._fit(X, y, groups, sample_weight)
        return np.hstack([ages, scores[:, self.kept_]]).astype(np.float32)

    @with_arrays
    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """Compute ages and components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_columns), float32
            The ages of each kernel, then the components of each group.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        return self.transform_checked(X)

    def transform_checked(self, X: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Do as :meth:`transform` with rows that were checked before.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_columns), float32
        """
        scores = self.pca_.transform_checked(X).astype(np.float32, copy=False)
        ages = np.empty((len(scores), len(self.coefs_)), np.float32)
        for i, squares in enumerate(self._all_squares(scores)):
            sums = self._products[i](self._likeness(i, squares))
            ages[:, i] = sums[:, 0] + self.intercept_
        return np.hstack([ages, scores[:, self.kept_]])

    @with_arrays
    def _fit(self, X, y, groups, sample_weight):
        X, y = validate_data(
            self, X, y, dtype=[np.float32, np.float64], ensure_min_samples=2, y_numeric=True
        )
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
        random_state = check_random_state(self.random_state)
        self.pca_ = self._learn_components(X, groups, random_state)
        self._lay_out_kernels(groups)
        scores = self.pca_.transform(X).astype(np.float32, copy=False)
        chosen, fold_of = self._draw(len(scores), random_state)
        return scores, self._learn_kernels(scores, y, weight, chosen, fold_of, Stages())

    def _learn_components(self, X, groups, random_state) -> GroupedPCA:
        labels = np.zeros(X.shape[1], int) if groups is None else np.asarray(groups)
        return GroupedPCA(self.n_components, random_state=random_state).fit(X, groups=labels)

    def _lay_out_kernels(self, groups) -> None:
        """Find which components each kernel looks at, and which are passed on."""
        n_columns = sum(len(columns) for columns in self.pca_.columns_)
        labels = np.zeros(n_columns, int) if groups is None else np.asarray(groups)
        kinds = [str(labels[columns[0]]).partition("__")[0] for columns in self.pca_.columns_]
        widths = [components.shape[1] for components in self.pca_.components_]
        owner = np.repeat(kinds, widths)
        self.kernel_columns_ = [np.flatnonzero(owner == kind) for kind in dict.fromkeys(kinds)]
        # Scores of each group have a mean squared length of 1, so this is a kernel's unit.
        n_groups = [kinds.count(kind) for kind in dict.fromkeys(kinds)]
        if len(n_groups) > 1:
            self.kernel_columns_.append(np.arange(len(owner)))
            n_groups.append(len(kinds))
        self.kernel_units_ = np.array(n_groups, dtype=np.float32)
        starts = np.cumsum([0, *widths[:-1]])
        self.kept_ = np.concatenate(
            [
                start + np.arange(min(w, self.n_kept))
                for start, w in zip(starts, widths, strict=True)
            ]
        )

    def _draw(self, n_rows: int, random_state) -> tuple[npt.NDArray[np.intp], npt.NDArray]:
        """Draw the rows that become centres, and the fold of each row."""
        chosen = np.sort(random_state.permutation(n_rows)[: min(self.n_centers, n_rows)])
        folds = KFold(min(self.n_folds, n_rows), shuffle=True, random_state=random_state)
        fold_of = np.empty(n_rows, np.int32)
        for fold, (_, test) in enumerate(folds.split(fold_of)):
            fold_of[test] = fold
        return chosen, fold_of

    def _learn_kernels(
        self, scores: Rows, y, weight, chosen, fold_of, stages: Stages
    ) -> npt.NDArray[np.float64]:
        """Fit all kernels, and give each row the ages of those fitted without its fold."""
        self.centers_ = take(scores, chosen).astype(np.float16)
        self._prepare_centers()
        self.intercept_ = float(np.average(y, weights=weight))
        parts = [np.flatnonzero(fold_of == fold) for fold in range(fold_of.max() + 1)]
        n_kernels = len(self.kernel_columns_)
        ages = np.empty((len(y), n_kernels))
        self.coefs_ = np.empty((n_kernels, len(chosen)), np.float32)
        for i in track(range(n_kernels), "Fitting kernels", n_kernels):
            fit = partial(self._fit_kernel, i, scores, y - self.intercept_, weight, parts, stages)
            fitted = stages.arrays(f"kernel-{i}", fit)
            self.coefs_[i], ages[:, i] = fitted["coefs"], fitted["ages"]
            stages.forget(f"sums-{i}-*")
        self._prepare_products()
        return ages + self.intercept_

    def _fit_kernel(
        self, i: int, scores: Rows, targets, weight, parts, stages: Stages
    ) -> Mapping[str, npt.NDArray]:
        """Fit one kernel on everything and, from the same sums, without each fold."""
        penalty = self._kernel(i, self.centers_).astype(np.float64) * self.alpha
        # Centres can lie so near to each other that rounding makes the matrix singular.
        penalty[np.diag_indices(len(penalty))] += 1e-5 * len(targets)
        sums = []
        for fold, part in enumerate(parts):
            sum_up = partial(self._sum_up, i, scores, part, targets, weight)
            sums.append(stages.arrays(f"sums-{i}-{fold}", sum_up))
        gram = sum(fold["gram"] for fold in sums) + penalty
        moment = sum(fold["moment"] for fold in sums)
        ages = np.empty(len(targets))
        for part, without in zip(parts, sums, strict=True):
            coefs = linalg.solve(gram - without["gram"], moment - without["moment"], assume_a="pos")
            for rows, block in row_blocks(scores, part, _ROWS_AT_ONCE):
                ages[rows] = self._kernel(i, block) @ coefs
        return {"coefs": linalg.solve(gram, moment, assume_a="pos"), "ages": ages}

    def _sum_up(self, i: int, scores: Rows, part, targets, weight) -> Mapping[str, npt.NDArray]:
        """Sum up what a kernel's regression needs to know of the rows of a fold."""
        gram, moment = 0.0, 0.0
        for rows, block in row_blocks(scores, part, _ROWS_AT_ONCE):
            kernel = self._kernel(i, block).astype(np.float64)
            weighted = kernel.T * weight[rows]
            gram = gram + weighted @ kernel
            moment = moment + weighted @ targets[rows]
        return {"gram": np.asarray(gram), "moment": np.asarray(moment)}

    def _kernel(self, i: int, scores: npt.NDArray) -> npt.NDArray[np.float32]:
        """Likeness of faces to the centres, from 0 to 1, as one of the kernels sees it."""
        if i < len(self._rounded_centers):
            return self._likeness(i, self._squares(i, scores))
        # The last of them; each of the others would take as much memory.
        return self._likeness(i, deque(self._all_squares(scores), maxlen=1).pop())

    def _all_squares(self, scores: npt.NDArray) -> Iterator[npt.NDArray[np.float32]]:
        """Squared distances of faces from the centres for each kernel, that of all groups last."""
        total: npt.NDArray[np.float32] | None = None
        for i in range(len(self._rounded_centers)):
            squares = self._squares(i, scores)
            if len(self._rounded_centers) > 1:
                total = squares.copy() if total is None else np.add(total, squares, out=total)
            yield squares
        if total is not None:
            yield total

    def _squares(self, i: int, scores: npt.NDArray) -> npt.NDArray[np.float32]:
        """Squared distances of faces from the centres in the columns of a group.

        Scores and centres have so few bits that no sum is rounded: see :class:`ExactProduct`.
        """
        centers, lengths, n_bits = self._rounded_centers[i]
        rows = round_to_bits(scores[:, self.kernel_columns_[i]], n_bits, axis=1)
        own = np.einsum("ij,ij->i", rows, rows)[:, None]
        squares = np.empty((len(rows), len(centers)), np.float32)
        n_centers = max(1, _NUMBERS_AT_ONCE // max(centers.shape[1], len(rows)))
        for start in range(0, len(centers), n_centers):
            part = slice(start, start + n_centers)
            products = (-2 * rows) @ centers[part].astype(np.float64).T
            products += own
            products += lengths[part]
            squares[:, part] = products
        return squares

    def _likeness(self, i: int, squares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        squares *= -self.gamma / 2 / self.kernel_units_[i]
        return np.exp(squares, out=squares)

    def _prepare_centers(self) -> None:
        """Keep each group's centres as they are multiplied, with their squared lengths.

        To make them of ``centers_`` takes longer than to look at a photo.
        """
        n_groups = max(1, len(self.kernel_columns_) - 1)
        self._rounded_centers = []
        for columns in self.kernel_columns_[:n_groups]:
            # Of the square of a row, too, no sum is rounded.
            n_bits = bits_that_fit(len(columns), 0) // 2
            centers = round_to_bits(self.centers_[:, columns].astype(np.float32), n_bits, axis=1)
            lengths = np.einsum("ij,ij->i", centers, centers)
            self._rounded_centers.append((centers.astype(np.float32), lengths, n_bits))

    def _prepare_products(self) -> None:
        self._products = [ExactProduct(coefs[:, None]) for coefs in self.coefs_]

    def __getstate__(self):
        made = ("_rounded_centers", "_products")
        return {k: v for k, v in super().__getstate__().items() if k not in made}

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "centers_"):
            self._prepare_centers()
            self._prepare_products()

    @property
    def _n_features_out(self) -> int:
        return len(self.coefs_) + len(self.kept_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def cross_fit_on_disk(
    reduction: KernelScores,
    sample: npt.NDArray[np.float32],
    write_scores: Callable[[GroupedPCA], RowsOnDisk],
    ages: npt.NDArray[np.float64],
    groups: object,
    sample_weight: npt.NDArray[np.float64] | None,
    stages: Stages,
) -> RowsOnDisk:
    """Do as :meth:`KernelScores.cross_fit_transform`, with all that grows with rows on disk.

    Where the sample is everything, components and centres are the same.

    Parameters
    ----------
    reduction : KernelScores
        Is fitted.
    sample : ndarray of shape (n_in_sample, n_features)
        What components are learnt from.
    write_scores : callable
        Takes the components, and gives the scores of all rows.
    ages : ndarray of shape (n_rows,)
        Years.
    groups : sequence of str of length n_features, or None
    sample_weight : ndarray of shape (n_rows,) or None
    stages : Stages

    Returns
    -------
    RowsOnDisk
        Of shape (n_rows, n_columns).
    """
    weight = np.ones(len(ages)) if sample_weight is None else sample_weight

    def learn_components() -> Mapping[str, npt.NDArray]:
        random_state = check_random_state(reduction.random_state)
        kept = reduction._learn_components(sample, groups, random_state).to_arrays()
        chosen, fold_of = reduction._draw(len(ages), random_state)
        return {**kept, "chosen": chosen, "fold_of": fold_of}

    known = stages.arrays("components", learn_components)
    reduction.pca_ = GroupedPCA(reduction.n_components).from_arrays(known)
    reduction.n_features_in_ = reduction.pca_.n_features_in_
    reduction._lay_out_kernels(groups)
    scores = write_scores(reduction.pca_)
    found = reduction._learn_kernels(
        scores, ages, weight, known["chosen"], known["fold_of"], stages
    )
    n_columns = reduction._n_features_out
    reduced = RowsOnDisk(scores.folder / "reduced.npy", len(ages), n_columns)
    for index, block in row_blocks(scores):
        part = np.hstack([found[index], block[:, reduction.kept_]])
        reduced.write(index[0], part.astype(np.float32))
    return reduced
