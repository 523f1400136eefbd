"""Labels that are probably wrong: ages far from what all other photos make one expect."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

__all__ = ["estimate_out_of_fold", "rank_labels", "usual_errors"]

_N_FOLDS = 5
_N_CENTERS = 500
_N_NEIGHBORS = 300
# Less than this is no error of anybody's: labels are whole years.
_LEAST_USUAL = 1.0


def estimate_out_of_fold(
    matrix: npt.NDArray[np.float32],
    ages: npt.NDArray[np.float64],
    groups: npt.NDArray[np.intp],
) -> npt.NDArray[np.float64]:
    """Estimate each photo's age by kernel ridge regression on the photos of other groups.

    Parameters
    ----------
    matrix : ndarray of shape (n_photos, n_features)
        In units that make features comparable.
    ages : ndarray of shape (n_photos,)
        Years.
    groups : ndarray of shape (n_photos,)
        Photos that must not vouch for each other, such as copies.

    Returns
    -------
    ndarray of shape (n_photos,)
        Years; NaN if there are fewer than five groups.

    References
    ----------
    C. Williams and M. Seeger, "Using the Nystrom Method to Speed Up Kernel Machines", NIPS 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.evaluation.report.suspects import estimate_out_of_fold
    >>> matrix = np.random.default_rng(0).normal(size=(300, 3))
    >>> estimates = estimate_out_of_fold(matrix, 40 + 9 * matrix[:, 0], np.arange(300))
    >>> bool(np.abs(estimates - 40 - 9 * matrix[:, 0]).mean() < 2)
    True
    """
    if len(np.unique(groups)) < _N_FOLDS:
        return np.full(len(ages), np.nan)
    spread = float(matrix.var(axis=0).sum()) or 1.0
    n_centers = min(_N_CENTERS, len(ages) // 2)
    kernel = Nystroem(gamma=0.75 / spread, n_components=n_centers, random_state=0)
    folds = GroupKFold(_N_FOLDS, shuffle=True, random_state=0)
    center = ages.mean()
    estimates = cross_val_predict(
        make_pipeline(kernel, Ridge(0.3)), matrix, ages - center, groups=groups, cv=folds
    )
    return (estimates + center).clip(0)


def usual_errors(
    ages: npt.NDArray[np.float64], errors: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Compute for each photo the median error of those nearest to it in age.

    Parameters
    ----------
    ages : ndarray of shape (n_photos,)
        Years, estimated or true.
    errors : ndarray of shape (n_photos,)
        Absolute errors in years.

    Returns
    -------
    ndarray of shape (n_photos,)
        Years, at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.evaluation.report.suspects import usual_errors
    >>> usual_errors(np.array([20.0, 30.0, 40.0]), np.array([2.0, 3.0, 40.0])).tolist()
    [3.0, 3.0, 3.0]
    """
    order = np.argsort(ages, kind="stable")
    n_near = min(_N_NEIGHBORS, len(ages))
    windows = np.lib.stride_tricks.sliding_window_view(errors[order], n_near)
    start = np.clip(np.arange(len(ages)) - n_near // 2, 0, len(ages) - n_near)
    usual = np.empty(len(ages))
    usual[order] = np.median(windows, axis=1)[start]
    return np.maximum(usual, _LEAST_USUAL)


def rank_labels(ages: npt.NDArray[np.float64], estimates: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Rank labels by how far they are from estimates, in units of what is usual at such ages.

    Usual is what photos have whose labels are such, or whose estimates are, whichever is more:
    estimates of rare ages lean to the middle, which says nothing against the labels.

    Parameters
    ----------
    ages : ndarray of shape (n_photos,)
        Labels, in years.
    estimates : ndarray of shape (n_photos,)
        Years.

    Returns
    -------
    DataFrame
        The most doubtful first, indexed by position: ``age``, ``estimate``, ``usual_error``
        (years), ``times`` (the error in such units).

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.evaluation.report.suspects import rank_labels
    >>> ages = np.arange(10.0, 60.0)
    >>> estimates = ages + 2
    >>> ages[30] = 5
    >>> int(rank_labels(ages, estimates).index[0])
    30
    """
    errors = np.abs(ages - estimates)
    usual = np.maximum(usual_errors(ages, errors), usual_errors(estimates, errors))
    table = pd.DataFrame(
        {"age": ages, "estimate": estimates, "usual_error": usual, "times": errors / usual}
    )
    return table.sort_values("times", ascending=False, kind="stable")
