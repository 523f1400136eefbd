"""Memberships of age groups that suit the people who come to this shop.

A model's probabilities hold where people are as old as those it was calibrated with. A shop has
other customers. What the model says of a face of each age stays the same, so memberships follow
from the shop's own mix of ages, which is estimated by expectation maximisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ageboost._age_bands import AgeBands
from ageboost.models import AgeCalibrator
from ageboost.retail._answers import Answers
from ageboost.retail.groups import AgeGroups

__all__ = ["Adapted", "adapt_memberships"]

_STEPS = 1000
_TOLERANCE = 1e-6
_MIN_PEOPLE = 10
_LEAST = 1e-3
_LEVELS = 40
_PRIOR_RECEIPTS = 50.0

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Adapted:
    """Memberships that suit a shop.

    Attributes
    ----------
    membership : ndarray of shape (n_answers, n_groups)
        Rows sum to one.
    mix : ndarray of shape (n_groups,)
        Shares of the groups in the shop.
    draws : iterator of (ndarray, ndarray)
        Both again, with the photos behind the calibration and the customers drawn anew.
    """

    membership: Array
    mix: Array
    draws: Iterator[tuple[Array, Array]]


def adapt_memberships(
    answers: Answers,
    groups: AgeGroups,
    calibration: AgeCalibrator,
    n_draws: int = 0,
    random_state: int = 0,
    classes: AgeBands | None = None,
) -> Adapted:
    """Estimate the shop's mix of groups, and what memberships are with it.

    Logistic regression on the photos that the model was calibrated with says how probable each
    group is, given all that the model says.

    Parameters
    ----------
    answers : Answers
        What the model said of the buyers.
    groups : AgeGroups
    calibration : AgeCalibrator
        Of the model that estimated the ages.
    n_draws : int, default=0
        How often the photos and the customers are drawn anew.
    random_state : int, default=0
        Of these draws.
    classes : AgeBands, optional
        What the mix and memberships are of; by default ``groups``, whose edges the answers are
        about. Within narrow classes it does not matter that people of the shop are of other ages
        than those in the photos.

    Returns
    -------
    Adapted

    Raises
    ------
    ValueError
        If the model was calibrated with too few people of a group.

    References
    ----------
    M. Saerens, P. Latinne and C. Decaestecker, "Adjusting the Outputs of a Classifier to New a
    Priori Probabilities", Neural Computation 2002.
    """
    classes = groups if classes is None else classes
    known = classes.index(calibration.ages_)
    people = np.bincount(known, minlength=len(classes))
    for name, count in zip(classes.names, people, strict=True):
        if count < _MIN_PEOPLE:
            raise ValueError(
                f"the model was calibrated with {count} people of the group {name!r}, but needs "
                f"{_MIN_PEOPLE}: make the group wider, or pass adapt=False to go by its answers"
            )
    distribution = calibration.distribution(
        calibration.predictions_.astype(np.float64), calibration.scales_.astype(np.float64)
    )
    seen = _columns(1 - distribution.over(list(groups.edges)), distribution.ages)
    told = _columns(answers.under, answers.ages)
    if not len(told):
        empty = np.empty((0, len(classes)))
        return Adapted(empty, people / people.sum(), iter(()))

    scaler = StandardScaler().fit(seen)
    seen, told = scaler.transform(seen), scaler.transform(told)
    # Each fit begins where the last one ended.
    classifier = LogisticRegression(max_iter=300, tol=1e-3, warm_start=True)

    def adapt(photos: Array, receipts: Array) -> tuple[Array, Array]:
        use = photos > 0
        classifier.fit(seen[use], known[use], photos[use])
        people = np.bincount(known, photos, len(classes))
        likelihood = classifier.predict_proba(told) / people
        mix = _estimate_mix(likelihood, people / people.sum(), receipts)
        parts = likelihood * mix
        return parts / parts.sum(axis=1, keepdims=True), mix

    membership, mix = adapt(np.ones(len(known)), answers.counts)
    rng = np.random.default_rng(random_state)

    def draws() -> Iterator[tuple[Array, Array]]:
        for _ in range(n_draws):
            photos = np.zeros(len(known))
            for group, count in enumerate(people):
                # Of each group as many, so that none is lost.
                drawn = rng.choice(np.flatnonzero(known == group), count)
                photos += np.bincount(drawn, minlength=len(known))
            yield adapt(photos, answers.draw_counts(rng))

    return Adapted(membership, mix, draws())


def _estimate_mix(likelihood: Array, start: Array, weights: Array) -> Array:
    # Faces of which much the same is said count as one, several times: of a million few are left.
    rows = likelihood / likelihood.sum(axis=1, keepdims=True)
    hashing = np.random.default_rng(0).integers(1, 2**62, size=rows.shape[1], dtype=np.uint64)
    keys = (rows * _LEVELS).round().astype(np.uint64) @ hashing
    cells, cell = np.unique(keys, return_inverse=True)
    counts = np.bincount(cell, weights)
    means = [np.bincount(cell, weights * column, len(cells)) / counts for column in rows.T]
    typical = np.column_stack(means)
    # Where there is little to go by, the mix stays near the model's own.
    prior = _PRIOR_RECEIPTS * start
    mix = start
    for _ in range(_STEPS):
        before = mix
        found = mix * ((counts / (typical @ mix)) @ typical) + prior
        mix = found / found.sum()
        if np.abs(mix - before).max() < _TOLERANCE:
            break
    return mix


def _columns(under: Array, ages: Array) -> Array:
    clipped = under.clip(_LEAST, 1 - _LEAST)
    return np.column_stack([np.log(clipped / (1 - clipped)), ages / 10, (ages / 10) ** 2])
