"""Memberships of age groups that suit the people who come to this shop.

A model's probabilities hold where people are as old as those it was calibrated with. A shop has
other customers. What the model says of a face of each age stays the same, so memberships follow
from the shop's own mix of ages, which is estimated by expectation maximisation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ageboost.models import AgeCalibrator
from ageboost.retail.groups import AgeGroups, probability_under

__all__ = ["adapt_memberships"]

_STEPS = 1000
_TOLERANCE = 1e-6
_MIN_PEOPLE = 10
_LEAST = 1e-3
_LEVELS = 40


def adapt_memberships(
    buyers: pd.DataFrame, groups: AgeGroups, calibration: AgeCalibrator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Estimate the shop's mix of groups, and what memberships are with it.

    Logistic regression on the photos that the model was calibrated with estimates how probable each
    group is, given all that the model says.

    Parameters
    ----------
    buyers : DataFrame
        Of known age: ``age`` and ``under_T`` for each edge.
    groups : AgeGroups
    calibration : AgeCalibrator
        Of the model that estimated the ages.

    Returns
    -------
    membership : ndarray of shape (n_buyers, n_groups)
        Rows sum to one.
    mix : ndarray of shape (n_groups,)
        Shares of the groups in the shop.

    Raises
    ------
    ValueError
        If the model was calibrated with too few people of a group.

    References
    ----------
    M. Saerens, P. Latinne and C. Decaestecker, "Adjusting the Outputs of a Classifier to New a
    Priori Probabilities", Neural Computation 2002.
    """
    known = groups.index(calibration.ages_)
    people = np.bincount(known, minlength=len(groups))
    for name, count in zip(groups.names, people, strict=True):
        if count < _MIN_PEOPLE:
            raise ValueError(
                f"the model was calibrated with {count} people of the group {name!r}, but needs "
                f"{_MIN_PEOPLE}: make the group wider, or pass adapt=False to go by its answers"
            )
    distribution = calibration.distribution(
        calibration.predictions_.astype(np.float64), calibration.scales_.astype(np.float64)
    )
    seen = _columns(1 - distribution.over(list(groups.edges)), distribution.ages)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, tol=1e-3)).fit(
        seen, known
    )
    answers = _columns(probability_under(buyers, groups.edges), buyers["age"].to_numpy(float))
    if not len(answers):
        return np.empty((0, len(groups))), people / people.sum()
    likelihood = classifier.predict_proba(answers) / people
    mix = _estimate_mix(likelihood, people / people.sum())
    parts = likelihood * mix
    return parts / parts.sum(axis=1, keepdims=True), mix


def _estimate_mix(
    likelihood: npt.NDArray[np.float64], start: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    # Faces of which much the same is said count as one, several times: of a million few are left.
    rows = likelihood / likelihood.sum(axis=1, keepdims=True)
    hashing = np.random.default_rng(0).integers(1, 2**62, size=rows.shape[1], dtype=np.uint64)
    keys = (rows * _LEVELS).round().astype(np.uint64) @ hashing
    cells, cell = np.unique(keys, return_inverse=True)
    counts = np.bincount(cell)
    means = [np.bincount(cell, column, len(cells)) / counts for column in rows.T]
    typical = np.column_stack(means)
    mix = start
    for _ in range(_STEPS):
        before, mix = mix, mix * ((counts / (typical @ mix)) @ typical) / len(rows)
        if np.abs(mix - before).max() < _TOLERANCE:
            break
    return mix


def _columns(
    under: npt.NDArray[np.float64], ages: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    clipped = under.clip(_LEAST, 1 - _LEAST)
    return np.column_stack([np.log(clipped / (1 - clipped)), ages / 10, (ages / 10) ** 2])
