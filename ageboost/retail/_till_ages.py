"""Probabilities for a till at which people are as old as somebody knows."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._age_bands import OLDEST
from ageboost.models import AgeCalibrator, AgeDistribution

__all__ = ["check_age_weights", "over_at_till"]

# Nobody of an age is rarer among those who were learnt from: shares of people are divided by it.
_RAREST = 1e-6


def check_age_weights(age_weights: pd.Series, ages: npt.ArrayLike = ()) -> pd.Series:
    """Check how many people of each age come.

    Parameters
    ----------
    age_weights : Series
        For each age in whole years (the index), how many people of that age come.
    ages : array-like of shape (n_ages,)
        Years that somebody must be younger than, and somebody must be of or older.

    Returns
    -------
    Series
        Of float64.

    Raises
    ------
    ValueError
        If a number is missing or below 0, or all people are on one side of one of ``ages``.
    """
    wanted = age_weights.astype("float64")
    if (wanted < 0).any() or wanted.isna().any():
        raise ValueError("age_weights holds a number below 0, or none: pass how many people come")
    come = np.floor(wanted.index[wanted.to_numpy() > 0].to_numpy(dtype=np.float64))
    come = come[(come >= 0) & (come <= OLDEST)]
    for age in np.ravel(ages):
        older = come >= np.ceil(age)
        if older.all() or not older.any():
            raise ValueError("age_weights gives no weight to minors, or none to adults: list both")
    return wanted


def over_at_till(
    distribution: AgeDistribution,
    calibration: AgeCalibrator,
    ages: npt.ArrayLike,
    age_weights: pd.Series,
) -> npt.NDArray[np.float64]:
    """Compute how probable it is that buyers are of an age or older, at a till.

    A model's probabilities come true where people are as old as those it was calibrated with. Among
    others, a face of the same looks is of an age more often the more people of that age come, and
    the fewer of them the model was calibrated with.

    Parameters
    ----------
    distribution : AgeDistribution
        Of the buyers.
    calibration : AgeCalibrator
        That it comes from.
    ages : array-like of shape (n_ages,)
        Years.
    age_weights : Series
        As for :func:`check_age_weights`.

    Returns
    -------
    ndarray of shape (n_faces, n_ages)

    Raises
    ------
    ValueError
        As for :func:`check_age_weights`.

    References
    ----------
    M. Saerens, P. Latinne and C. Decaestecker, "Adjusting the Outputs of a Classifier to New a
    Priori Probabilities", Neural Computation 2002.
    """
    wanted = check_age_weights(age_weights, ages)
    each = distribution.of_each_age()
    years = np.arange(each.shape[1])
    come = wanted.groupby(np.floor(wanted.index)).sum().reindex(years).fillna(0.0).to_numpy()
    [cuts] = np.atleast_2d(np.asarray(ages, dtype=np.float64))
    older = years >= np.ceil(cuts)[:, None]
    believed = _believed_ages(calibration, calibration.fingerprint_)
    likely = each * (come / np.maximum(believed, _RAREST))
    total = likely.sum(axis=1, keepdims=True)
    # Of who looks like nobody who comes, no more is known than before.
    usual = distribution.over(cuts)
    return np.where(total > 0, likely @ older.T / np.where(total > 0, total, 1.0), usual)


@lru_cache(maxsize=4)
def _believed_ages(calibration: AgeCalibrator, fingerprint: str) -> npt.NDArray[np.float64]:
    """Ask once, not for each buyer; the fingerprint changes where a calibrator learns anew."""
    return calibration.believed_ages()
