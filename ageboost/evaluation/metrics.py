"""How far ages are off, and how often probabilities come true."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "bootstrap_interval",
    "calibration_error",
    "reliability_curve",
    "share_interval",
    "summarize_errors",
]


def summarize_errors(
    ages: npt.ArrayLike, predictions: npt.ArrayLike, within: float = 5.0
) -> dict[str, float]:
    """Summarise the errors of predicted ages; photos without one are counted apart.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        True ages in years.
    predictions : array-like of shape (n_photos,)
        Predicted ages in years; NaN where there is none.
    within : float, default=5.0
        Years that an error may have to count as near.

    Returns
    -------
    dict of str to float
        ``photos``, ``without an age``, ``MAE`` (mean absolute error), ``RMSE`` (root of the mean
        squared error), ``within 5 years`` (share), ``bias`` (mean of prediction less age), all in
        years.

    Examples
    --------
    >>> from ageboost.evaluation import summarize_errors
    >>> summarize_errors([20, 30, 40], [22, 39, float("nan")])["MAE"]
    5.5
    """
    ages = np.asarray(ages, dtype=np.float64)
    predictions = np.asarray(predictions, dtype=np.float64)
    if ages.shape != predictions.shape:
        raise ValueError(f"{len(ages)} ages but {len(predictions)} predictions")
    known = ~np.isnan(predictions)
    errors = predictions[known] - ages[known]
    if not len(errors):
        errors = np.array([np.nan])
    return {
        "photos": len(ages),
        "without an age": int((~known).sum()),
        "MAE": float(np.abs(errors).mean()),
        "RMSE": float(np.sqrt((errors**2).mean())),
        f"within {within:g} years": float((np.abs(errors) <= within).mean()),
        "bias": float(errors.mean()),
    }


def bootstrap_interval(
    values: npt.ArrayLike, coverage: float = 0.95, n_draws: int = 1000, random_state: int = 0
) -> tuple[float, float]:
    """Compute how far a mean over photos can be off, by drawing photos again and again (bootstrap).

    Parameters
    ----------
    values : array-like of shape (n_photos,)
        One value for each photo, such as its absolute error; NaN is left out.
    coverage : float, default=0.95
        Share of draws whose mean lies inside.
    n_draws : int, default=1000
    random_state : int, default=0

    Returns
    -------
    low, high : float

    References
    ----------
    B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993.

    Examples
    --------
    >>> from ageboost.evaluation import bootstrap_interval
    >>> low, high = bootstrap_interval([1.0, 2.0, 3.0] * 100)
    >>> low < 2 < high
    True
    """
    given = np.asarray(values, dtype=np.float64)
    known = given[~np.isnan(given)]
    if not len(known):
        return float("nan"), float("nan")
    rng = np.random.default_rng(random_state)
    means = [known[rng.integers(len(known), size=len(known))].mean() for _ in range(n_draws)]
    low, high = np.quantile(means, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def share_interval(n_counted: float, n_photos: float) -> tuple[float, float]:
    """Compute Wilson's interval of a share, which holds for few photos, too.

    Parameters
    ----------
    n_counted : float
    n_photos : float
        A whole number or, where photos are weighted, as many as the weights are worth.

    Returns
    -------
    low, high : float
        The true share lies between them with a probability of 95 %.

    References
    ----------
    E. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927.

    Examples
    --------
    >>> from ageboost.evaluation import share_interval
    >>> low, high = share_interval(0, 50)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.071)
    """
    if n_photos == 0:
        return float("nan"), float("nan")
    # SciPy's takes whole numbers only.
    z = 1.959964
    share = n_counted / n_photos
    middle = share + z**2 / (2 * n_photos)
    reach = z * np.sqrt(share * (1 - share) / n_photos + z**2 / (4 * n_photos**2))
    scale = 1 + z**2 / n_photos
    low, high = float((middle - reach) / scale), float((middle + reach) / scale)
    # Where everybody counts, or nobody, rounding could leave the share itself outside.
    return min(max(0.0, low), share), max(min(1.0, high), share)


def reliability_curve(
    happened: npt.ArrayLike, probabilities: npt.ArrayLike, n_bins: int = 10
) -> pd.DataFrame:
    """Compare how probable something was said to be with how often it happened.

    Parameters
    ----------
    happened : array-like of shape (n_photos,), bool
        Such as ``ages >= 18``.
    probabilities : array-like of shape (n_photos,)
        Such as ``distribution.over(18)``; NaN is left out.
    n_bins : int, default=10
        Equal parts between 0 and 1.

    Returns
    -------
    DataFrame
        One row for each part that has photos: ``probability`` (mean of what was said), ``share``
        (of photos for which it happened), ``low`` and ``high`` (95 % interval of the share),
        ``photos``.

    Examples
    --------
    >>> from ageboost.evaluation import reliability_curve
    >>> curve = reliability_curve([False, True, True, True], [0.25, 0.25, 0.75, 0.75], n_bins=2)
    >>> curve[["probability", "share"]].values.tolist()
    [[0.25, 0.5], [0.75, 1.0]]
    """
    said = np.asarray(probabilities, dtype=np.float64)
    known = ~np.isnan(said)
    said, truth = said[known], np.asarray(happened, dtype=bool)[known]
    bins = np.minimum((said * n_bins).astype(int), n_bins - 1)
    rows = []
    for number in np.unique(bins):
        part = bins == number
        low, high = share_interval(int(truth[part].sum()), int(part.sum()))
        rows.append((said[part].mean(), truth[part].mean(), low, high, int(part.sum())))
    return pd.DataFrame(rows, columns=["probability", "share", "low", "high", "photos"])


def calibration_error(
    happened: npt.ArrayLike, probabilities: npt.ArrayLike, n_bins: int = 10, sure: float = 0.0
) -> float:
    """Mean distance between how probable something was said to be and how often it happened.

    The expected calibration error: the distance of each part of :func:`reliability_curve`, weighted
    by its photos.

    Parameters
    ----------
    happened : array-like of shape (n_photos,), bool
    probabilities : array-like of shape (n_photos,)
    n_bins : int, default=10
    sure : float, default=0.0
        Leave out what was said surely: probabilities of ``sure`` or less, and of ``1 - sure`` or
        more. Of 18 years most people are sure, and these hide how right the others are; 0.02 leaves
        those that matter.

    Returns
    -------
    float
        From 0 to 1; NaN where nothing is left.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    >>> from ageboost.evaluation import calibration_error
    >>> calibration_error([False, True, True, True], [0.25, 0.25, 0.75, 0.75])
    0.25
    """
    said = np.asarray(probabilities, dtype=np.float64)
    if sure > 0:
        said = np.where((said > sure) & (said < 1 - sure), said, np.nan)
    curve = reliability_curve(happened, said, n_bins)
    if not len(curve):
        return float("nan")
    distances = (curve["probability"] - curve["share"]).abs()
    return float(np.average(distances, weights=curve["photos"]))
