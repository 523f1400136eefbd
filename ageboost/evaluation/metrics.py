"""How far ages are off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["summarize_errors"]


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
