"""How far ages are off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["bootstrap_interval", "summarize_errors"]


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
        ``photos``, ``without an age``, ``MAE`` (mean absolute error), ``within 5 years`` (share),
        ``bias`` (mean of prediction less age), all in years.

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
        f"within {within:g} years": float((np.abs(errors) <= within).mean()),
        "bias": float(errors.mean()),
    }


def bootstrap_interval(
    values: npt.ArrayLike, coverage: float = 0.95, n_draws: int = 1000, random_state: int = 0
) -> tuple[float, float]:
    """Tell how far a mean over photos can be off, by drawing the photos again and again.

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
