"""What each column gives to an age, in years: trees, and back through what stands before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor, Pool
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import DMatrix, XGBRegressor

from ageboost._arrays import with_arrays
from ageboost.models import (
    AgeRegressor,
    GroupedPCA,
    KernelScores,
    OpinionPool,
)
from ageboost.models._rows import predict_rows, transform_rows, voting_weights
from ageboost.models.adaptation import correct_ages

__all__ = ["feature_contributions", "share_out"]

# Below this ratio of net to gross, shares go over from proportional to absolute ones.
_COHERENCE = 0.1
# Kernels of faces are smooth on the way from the mean face: more nodes change nothing.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_TIMES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
# Years by which contributions may miss the prediction before they are taken for wrong.
_TOLERANCE = 0.05
_ROUNDS = 10
# Of components, with which they were found: the same model explains many photos.
_RECONSTRUCTIONS: WeakKeyDictionary[GroupedPCA, tuple[list, list]] = WeakKeyDictionary()


class _Owed(NamedTuple):
    """What ages owe to columns: ``slopes * column + years`` to each, and ``base`` to none of them.

    A straight line is passed on by the chain rule, whatever stands before it. What a tree gives to
    a column is no line: it is shared out.
    """

    slopes: npt.NDArray[np.float64]  # (n, n_columns)
    years: npt.NDArray[np.float64]  # (n, n_columns)
    base: npt.NDArray[np.float64]  # (n,)


@with_arrays
def feature_contributions(
    model: AgeRegressor, matrix: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Take predictions apart into what each feature gives to them.

    Trees: the exact Shapley values of XGBoost and CatBoost. Linear stages: coefficient times
    distance from the mean. Kernels: the gradient's mean on the straight way from the mean face
    (integrated gradients). Means of regressors: the mean of their contributions. Components: see
    :func:`share_out`; what stands for a feature's distance from its mean there is its
    reconstruction from the components, which is all that the model sees of it.

    Parameters
    ----------
    model : AgeRegressor
        Fitted.
    matrix : ndarray of shape (n_photos, n_features), float32

    Returns
    -------
    contributions : ndarray of shape (n_photos, n_features)
        Years.
    base_values : ndarray of shape (n_photos,)
        Years. With the sum of the contributions, the prediction before ages under 0 are set to 0.

    Raises
    ------
    ValueError
        If there is a stage that cannot be taken apart.

    References
    ----------
    S. Lundberg et al., "From Local Explanations to Global Understanding with Explainable AI for
    Trees", Nature Machine Intelligence 2020.
    M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
    """
    owed = _owed_by_stages([model.reduction_, model.regressor_], matrix, None)
    contributions = owed.years + owed.slopes * matrix
    predictions = predict_rows(model.regressor_, transform_rows(model.reduction_, matrix))
    missing = predictions - owed.base - contributions.sum(axis=1)
    if np.abs(missing).max(initial=0) > _TOLERANCE:
        raise ValueError(
            f"contributions miss the prediction by {np.abs(missing).max():.2f} years: the model's "
            f"{type(model.regressor_).__name__} does not add up in years: use an objective "
            f"without a link function, such as reg:absoluteerror"
        )
    # Rounding, in single precision, of whatever stands in between.
    weights = np.abs(contributions) + np.finfo(np.float64).tiny
    contributions += weights * (missing / weights.sum(axis=1))[:, None]
    # No column gives what a second opinion moves ages by, nor what corrections of ages do.
    final = predictions
    if model.second_opinion_ is not None:
        final = model.second_opinion_.revise(matrix, final)
    final = correct_ages(final, model.shrinkage_, model.correction_)
    return contributions, owed.base + final - predictions


def share_out(
    years: npt.NDArray[np.float64], terms: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Share years among the terms of a sum that they were given for; the sum is kept.

    In proportion to the terms, which is the rescale rule of DeepLIFT. Where terms cancel, their sum
    is nearly zero and proportions grow without limit; so the less is left of them, the more shares
    go over to proportions of the absolute terms. With c the ratio of the net to the gross sum, the
    former count for ``c^2 / (c^2 + 0.01)``: shares never sum to more than 5.6 times the years in
    absolute value. If all terms are zero, the years are shared equally.

    Parameters
    ----------
    years : ndarray of shape (n_sums,)
    terms : ndarray of shape (n_terms, n_sums)

    Returns
    -------
    ndarray of shape (n_terms, n_sums)

    References
    ----------
    A. Shrikumar, P. Greenside and A. Kundaje, "Learning Important Features Through Propagating
    Activation Differences", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.evaluation.explanation.contributions import share_out
    >>> share_out(np.array([8.0]), np.array([[3.0], [1.0]])).ravel().round(2).tolist()
    [6.0, 2.0]
    >>> share_out(np.array([8.0]), np.array([[3.0], [-3.0]])).ravel().round(2).tolist()
    [4.0, 4.0]
    """
    gross = np.abs(terms).sum(axis=0, dtype=np.float64)
    known = gross > 0
    parts = terms / np.where(known, gross, 1)
    coherence = parts.sum(axis=0)
    scale = years / (coherence**2 + _COHERENCE**2)
    shares = parts * (coherence * scale) + np.abs(parts) * (_COHERENCE**2 * scale)
    return np.where(known, shares, years / len(terms))


def _owed_by_stages(stages: Sequence[Any], rows: Any, center: Any) -> _Owed:
    """Follow ages back through transformers that stand before a regressor."""
    first: Any = stages[0]
    others = list(stages[1:])
    if others and isinstance(first, Pipeline):
        return _owed_by_stages([step for _, step in first.steps] + others, rows, center)
    if others and (first is None or first == "passthrough"):
        return _owed_by_stages(others, rows, center)
    if not others:
        return _owed_by_regressor(first, rows, center)
    kind = next((kind for kind in _TRANSFORMERS if isinstance(first, kind)), None)
    if kind is None:
        raise _cannot_explain(first)
    center_behind, owed_before = _TRANSFORMERS[kind]
    behind = _owed_by_stages(others, transform_rows(first, rows), center_behind(first))
    return owed_before(first, rows, behind)


def _owed_by_regressor(regressor: Any, rows: Any, center: Any) -> _Owed:
    if isinstance(regressor, Pipeline):
        return _owed_by_stages([step for _, step in regressor.steps], rows, center)
    if isinstance(regressor, AgeRegressor):
        return _owed_by_stages([regressor.reduction_, regressor.regressor_], rows, center)
    if isinstance(regressor, VotingRegressor):
        return _mean_owed(regressor, rows, center)
    if isinstance(regressor, OpinionPool):
        years, base = regressor.contributions(rows)
        return _Owed(np.zeros_like(years), years, base)
    if isinstance(regressor, XGBRegressor):
        stopped = regressor.early_stopping_rounds is not None
        years = regressor.get_booster().predict(
            DMatrix(rows, nthread=regressor.n_jobs),
            pred_contribs=True,
            iteration_range=(0, regressor.best_iteration + 1) if stopped else (0, 0),
        )
    elif isinstance(regressor, CatBoostRegressor):
        years = regressor.get_feature_importance(
            Pool(rows),
            type="ShapValues",
            thread_count=regressor.get_params().get("thread_count", -1),
        )
    elif hasattr(regressor, "coef_") and hasattr(regressor, "intercept_"):
        slopes = np.ravel(regressor.coef_).astype(np.float64)
        if center is None:
            center = np.zeros(len(slopes))
        base = float(np.ravel(regressor.intercept_)[0]) + slopes @ center
        return _Owed(
            np.tile(slopes, (len(rows), 1)),
            np.tile(-slopes * center, (len(rows), 1)),
            np.full(len(rows), base),
        )
    else:
        raise _cannot_explain(regressor)
    years = np.asarray(years, dtype=np.float64)
    return _Owed(np.zeros_like(years[:, :-1]), years[:, :-1], years[:, -1])


def _mean_owed(regressor: VotingRegressor, rows: Any, center: Any) -> _Owed:
    weights = voting_weights(regressor)
    owed = [_owed_by_regressor(part, rows, center) for part in regressor.estimators_]
    return _Owed(*(np.average(parts, axis=0, weights=weights) for parts in zip(*owed, strict=True)))


def _before_scaler(scaler: StandardScaler, rows: Any, behind: _Owed) -> _Owed:
    scale = 1.0 if scaler.scale_ is None else scaler.scale_
    mean = 0.0 if scaler.mean_ is None else scaler.mean_
    slopes = behind.slopes / scale
    return _Owed(slopes, behind.years - slopes * mean, behind.base)


def _before_pca(pca: PCA, rows: Any, behind: _Owed) -> _Owed:
    components = pca.components_.T.astype(np.float64)
    if pca.whiten:
        components = components / np.sqrt(pca.explained_variance_)
    mean = pca.mean_.astype(np.float64)
    slopes = behind.slopes @ components.T
    years = [
        share_out(years, ((row - mean)[:, None] * components)).sum(axis=1)
        for row, years in zip(rows, behind.years, strict=True)
    ]
    return _Owed(slopes, np.array(years) - slopes * mean, behind.base)


def _before_components(pca: GroupedPCA, rows: Any, behind: _Owed) -> _Owed:
    scores = np.asarray(pca.transform(rows), dtype=np.float64)
    none = np.zeros((len(scores), 0, scores.shape[1]))
    return _spread(pca, scores, behind.slopes, behind.years, none, none[:, :, 0], behind.base)


def _before_kernels(kernels: KernelScores, rows: Any, behind: _Owed) -> _Owed:
    scores = np.asarray(kernels.pca_.transform(rows), dtype=np.float64)
    n_kernels = len(kernels.coefs_)
    gradients = _mean_gradients(kernels, scores)
    # Distances from the mean face are what components measure; ages are no distances yet.
    origin = _ages_of_mean_face(kernels)
    line_years = behind.slopes[:, :n_kernels] * origin
    slopes = np.einsum("nk,nkj->nj", behind.slopes[:, :n_kernels], gradients)
    years = np.zeros_like(slopes)
    slopes[:, kernels.kept_] += behind.slopes[:, n_kernels:]
    years[:, kernels.kept_] = behind.years[:, n_kernels:]
    kernel_years = behind.years[:, :n_kernels] + line_years
    return _spread(kernels.pca_, scores, slopes, years, gradients, kernel_years, behind.base)


def _ages_of_mean_face(kernels: KernelScores) -> npt.NDArray[np.float64]:
    ages = []
    for columns, unit, coefs in zip(
        kernels.kernel_columns_, kernels.kernel_units_, kernels.coefs_, strict=True
    ):
        centers = kernels.centers_[:, columns].astype(np.float32)
        squares = np.einsum("ij,ij->i", centers, centers, dtype=np.float64)
        ages.append(np.exp(squares * (-kernels.gamma / 2 / unit)) @ coefs + kernels.intercept_)
    return np.array(ages)


def _center_behind_kernels(kernels: KernelScores) -> npt.NDArray[np.float64]:
    return np.concatenate([_ages_of_mean_face(kernels), np.zeros(len(kernels.kept_))])


def _mean_gradients(
    kernels: KernelScores, scores: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Mean gradient of each kernel's age between the mean face and each face.

    On the way ``t s`` to the scores s, distances to a centre c are ``t^2 s.s - 2 t s.c + c.c``: one
    product with the centres gives them for all t.
    """
    gradients = np.zeros((len(scores), len(kernels.coefs_), scores.shape[1]))
    for i, (columns, unit, coefs) in enumerate(
        zip(kernels.kernel_columns_, kernels.kernel_units_, kernels.coefs_, strict=True)
    ):
        centers = kernels.centers_[:, columns].astype(np.float32)
        squares = np.einsum("ij,ij->i", centers, centers, dtype=np.float64)
        narrowness = kernels.gamma / unit
        for n, row in enumerate(scores[:, columns]):
            products = (centers @ row.astype(np.float32)).astype(np.float64)
            distances = (
                _TIMES[:, None] ** 2 * (row @ row) - 2 * _TIMES[:, None] * products + squares
            )
            likeness = np.exp(distances * (-narrowness / 2)) * coefs
            towards = (_WEIGHTS @ likeness).astype(np.float32) @ centers
            away = (_WEIGHTS * _TIMES) @ likeness.sum(axis=1)
            gradients[n, i, columns] = narrowness * (towards - away * row)
    return gradients


def _spread(
    pca: GroupedPCA,
    scores: npt.NDArray[np.float64],
    slopes: npt.NDArray[np.float64],
    years: npt.NDArray[np.float64],
    kernel_slopes: npt.NDArray[np.float64],
    kernel_years: npt.NDArray[np.float64],
    base: npt.NDArray[np.float64],
) -> _Owed:
    """Pass on to features what lines, components and kernels' ages are owed."""
    n_kernels = kernel_slopes.shape[1]
    spread = np.zeros((len(scores), pca.n_features_in_))
    ends = np.cumsum([components.shape[1] for components in pca.components_])
    used = np.flatnonzero(years.any(axis=0))
    for n in range(len(scores)):
        kernel_terms = np.zeros((pca.n_features_in_, n_kernels), np.float32)
        for columns, components, end, reconstruction in zip(
            pca.columns_, pca.components_, ends, _reconstructions(pca), strict=True
        ):
            part = slice(end - components.shape[1], end)
            distances = reconstruction @ scores[n, part]
            spread[n, columns] += distances * (components @ slopes[n, part])
            own = used[(used >= part.start) & (used < end)]
            terms = distances.astype(np.float32)[:, None] * components[:, own - part.start]
            spread[n, columns] += share_out(years[n, own], terms).sum(axis=1)
            towards = components @ kernel_slopes[n, :, part].T.astype(np.float32)
            kernel_terms[columns] = distances[:, None] * towards
        if n_kernels:
            spread[n] += share_out(kernel_years[n], kernel_terms).sum(axis=1)
    return _Owed(np.zeros_like(spread), spread, base)


def _reconstructions(pca: GroupedPCA) -> list[npt.NDArray[np.float32]]:
    known = _RECONSTRUCTIONS.get(pca)
    if known is None or known[0] is not pca.components_:
        found = [_reconstruction(components) for components in pca.components_]
        known = _RECONSTRUCTIONS[pca] = pca.components_, found
    return known[1]


def _reconstruction(components: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Matrix from scores to distances of features from their means, as the components see them.

    Components C are orthonormal directions times scales of features, which are not kept; but
    ``C' D C`` is a multiple of one for their inverse squares D, and D can be found by that: the
    iteration is Titterington's for optimal designs, which never moves away. Whatever D it has come
    to, scores of the reconstruction are the scores.
    """
    loadings = components.astype(np.float64)
    lengths = np.einsum("ij,ij->i", loadings, loadings)
    present = lengths > 0
    loadings, lengths = loadings[present], lengths[present]
    weights = 1 / lengths
    for _ in range(_ROUNDS if len(loadings) > loadings.shape[1] else 0):
        inverse = np.linalg.pinv((loadings.T * weights) @ loadings, hermitian=True)
        weights *= np.einsum("ij,ij->i", loadings @ inverse, loadings) / lengths
    reconstruction = np.zeros(components.shape, np.float32)
    root = np.sqrt(weights)[:, None]
    reconstruction[present] = root * np.linalg.pinv(root * loadings).T
    return reconstruction


def _zeros_behind_pca(pca: PCA) -> npt.NDArray[np.float64]:
    return np.zeros(len(pca.components_))


def _zeros_behind_components(pca: GroupedPCA) -> npt.NDArray[np.float64]:
    return np.zeros(sum(components.shape[1] for components in pca.components_))


def _center_behind_scaler(scaler: StandardScaler) -> npt.NDArray[np.float64] | None:
    return None if scaler.mean_ is None else np.zeros(scaler.n_features_in_)


_TRANSFORMERS: dict[type, tuple[Callable[..., Any], Callable[..., _Owed]]] = {
    StandardScaler: (_center_behind_scaler, _before_scaler),
    PCA: (_zeros_behind_pca, _before_pca),
    GroupedPCA: (_zeros_behind_components, _before_components),
    KernelScores: (_center_behind_kernels, _before_kernels),
}


def _cannot_explain(part: object) -> ValueError:
    return ValueError(
        f"a {type(part).__name__} cannot be taken apart into contributions: use XGBRegressor, "
        f"CatBoostRegressor, a linear model with coef_, AgeRegressor, or a VotingRegressor "
        f"or Pipeline of these, behind KernelScores, GroupedPCA, PCA, StandardScaler or nothing"
    )
