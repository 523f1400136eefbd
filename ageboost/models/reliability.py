"""Which faces are seen too badly to be relied on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from ageboost._arrays import with_arrays
from ageboost.faces.face import Quality

__all__ = [
    "LEAST_QUALITY",
    "choose_quality_threshold",
    "learn_quality_threshold",
    "relative_errors",
    "risk_coverage_curve",
]

# Learnt for the models that ship, from photos of UTKFace and copies of them that were made small,
# blurred or dark. Whose own photos are all good has not seen how bad ones can be.
LEAST_QUALITY = 0.32
_N_NEIGHBORS = 500
_MIN_PHOTOS = 20


def relative_errors(
    predictions: npt.ArrayLike, ages: npt.ArrayLike, n_neighbors: int = _N_NEIGHBORS
) -> npt.NDArray[np.float64]:
    """Divide each error by the mean error of photos of about the same predicted age.

    An old person's age is estimated less exactly than a child's, on the best of photos. So photos
    can be compared only with others of such people.

    Parameters
    ----------
    predictions : array-like of shape (n_photos,)
        Years.
    ages : array-like of shape (n_photos,)
        True ages in years.
    n_neighbors : int, default=500
        Photos that the mean is taken over.

    Returns
    -------
    ndarray of shape (n_photos,)
        1 is an error as usual.

    Examples
    --------
    >>> from ageboost.models import relative_errors
    >>> relative_errors([10, 11], [11, 13]).round(2).tolist()
    [0.67, 1.33]
    """
    predictions = np.asarray(predictions, dtype=np.float64)
    errors = np.abs(predictions - np.asarray(ages, dtype=np.float64))
    k = min(n_neighbors, len(errors))
    order = np.argsort(predictions, kind="stable")
    sums = np.concatenate([[0], np.cumsum(errors[order])])
    start = np.clip(np.arange(len(errors)) - k // 2, 0, len(errors) - k)
    usual = np.empty(len(errors))
    usual[order] = (sums[start + k] - sums[start]) / k
    return errors / np.maximum(usual, np.finfo(float).tiny)


def risk_coverage_curve(
    errors: npt.ArrayLike, qualities: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Compute how the mean error falls as the worst photos are left out.

    Parameters
    ----------
    errors : array-like of shape (n_photos,)
    qualities : array-like of shape (n_photos,)
        Higher is better.

    Returns
    -------
    coverage : ndarray of shape (n_qualities,)
        Share of photos that have at least each quality, from all of them down.
    risk : ndarray of shape (n_qualities,)
        Their mean error.
    threshold : ndarray of shape (n_qualities,)
        The quality.

    References
    ----------
    R. El-Yaniv and Y. Wiener, "On the Foundations of Noise-free Selective Classification", JMLR
    2010.

    Examples
    --------
    >>> from ageboost.models import risk_coverage_curve
    >>> coverage, risk, threshold = risk_coverage_curve([9, 3, 1, 1], [0.1, 0.5, 0.9, 0.9])
    >>> coverage.tolist(), risk.round(2).tolist()
    ([1.0, 0.75, 0.5], [3.5, 1.67, 1.0])
    """
    errors = np.asarray(errors, dtype=np.float64)
    qualities = np.asarray(qualities, dtype=np.float64)
    order = np.argsort(-qualities, kind="stable")
    means = np.cumsum(errors[order]) / np.arange(1, len(errors) + 1)
    # Photos of one quality are kept or left out together.
    ends = np.flatnonzero(np.diff(qualities[order], append=-np.inf))[::-1]
    return (ends + 1) / len(errors), means[ends], qualities[order][ends]


@with_arrays
def choose_quality_threshold(
    errors: npt.ArrayLike, qualities: npt.ArrayLike, tolerance: float = 1.5
) -> float:
    """Choose the quality under which a face should not be relied on.

    The slope of the curve of :func:`risk_coverage_curve` is the error of the photos that are left
    out next. It is made to fall with quality, and photos are left out for as long as it is above
    the tolerance.

    Parameters
    ----------
    errors : array-like of shape (n_photos,)
        Relative to what is usual: see :func:`relative_errors`.
    qualities : array-like of shape (n_photos,)
        From 0 to 1.
    tolerance : float, default=1.5
        How much larger than usual errors have to be.

    Returns
    -------
    float
        0 where no twenty photos are that bad.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models import choose_quality_threshold
    >>> qualities = np.linspace(0, 1, 1001)
    >>> choose_quality_threshold(np.where(qualities < 0.2, 3.0, 1.0), qualities)
    0.2
    """
    qualities = np.asarray(qualities, dtype=np.float64)
    falling = IsotonicRegression(increasing=False)
    bad = falling.fit_transform(qualities, np.asarray(errors, dtype=np.float64)) >= tolerance
    if bad.sum() < _MIN_PHOTOS:
        return 0.0
    return float(qualities[~bad].min(initial=1.0))


def learn_quality_threshold(
    predictions: npt.ArrayLike,
    ages: npt.ArrayLike,
    qualities: Sequence[Quality],
    least: float = LEAST_QUALITY,
) -> float:
    """Choose the quality from photos of one source, which may all be good.

    Parameters
    ----------
    predictions : array-like of shape (n_photos,)
        Years.
    ages : array-like of shape (n_photos,)
        True ages in years.
    qualities : sequence of Quality of length n_photos
    least : float, default=0.32
        Good photos alone do not show how bad ones can be: never lower than this, which was learnt
        from photos that were made worse.

    Returns
    -------
    float
    """
    errors = relative_errors(predictions, ages)
    return max(choose_quality_threshold(errors, [one.overall for one in qualities]), least)
