"""Memberships of age groups that suit the people who come to this shop.

A model's probabilities hold where people are as old as those it was calibrated with. A shop has
other customers, and within a group, too, they are of other ages. How often people of each year of
age are given each answer stays the same, so memberships follow from the shop's own mix of ages,
which is estimated, year by year, by expectation maximisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ageboost._age_bands import AgeBands
from ageboost.errors import RetailDataError
from ageboost.models import AgeCalibrator
from ageboost.models.known_people import KnownPeople, known_people
from ageboost.retail._answers import Answers
from ageboost.retail.counts import enumerate_words

__all__ = [
    "FEWEST_PEOPLE",
    "Adapted",
    "adapt_memberships",
    "names_known_before",
    "people_of_groups",
    "say_known_before",
]

FEWEST_PEOPLE = 10
_YEARS = np.arange(101)
# Answers are told apart in steps of so many years, in wider ones where few photos were seen.
_STEP, _WIDEST_STEP, _MANY_PHOTOS = 2.0, 8.0, 2000
# What is said of people of one age is learnt from so many who are of about that age.
_NEIGHBOURS, _NARROWEST = 100, 1.0
# Of all photos so many are of any answer: none is impossible.
_RARE = 1e-3
# Where there is little to go by, the mix stays near the model's own. Steps are few for the same
# reason: many more would follow every chance of the answers.
_PRIOR_RECEIPTS, _STEPS = 10.0, 400

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


def people_of_groups(calibration: AgeCalibrator, groups: AgeBands) -> KnownPeople:
    """Find the people who say how those of each group are answered.

    Parameters
    ----------
    calibration : AgeCalibrator
        Of the model that estimated the ages.
    groups : AgeBands

    Returns
    -------
    KnownPeople

    Raises
    ------
    RetailDataError
        If the model knows too few people of a group, also from before it was adapted.
    """
    people = known_people(calibration, groups.edges, FEWEST_PEOPLE)
    for name, count in zip(groups.names, people.count(groups.edges), strict=True):
        if count < FEWEST_PEOPLE:
            wider = ", ".join(map(str, _edges_with_people(groups.edges, people)))
            ways_out = ["adapt it with photos of such people"] * 2
            if wider:
                ways_out[0] += f", or pass wider groups: AgeGroups([{wider}])"
                ways_out[1] += f", or pass wider groups: --groups {wider.replace(' ', '')}"
            raise RetailDataError(
                f"the model was calibrated with {count} people of the group {name!r}, and "
                f"{FEWEST_PEOPLE} are needed to estimate how many of them come",
                *ways_out,
            )
    return people


def names_known_before(people: KnownPeople, groups: AgeBands) -> tuple[str, ...]:
    """Name the groups that rest on what a model knew before it was adapted.

    Parameters
    ----------
    people : KnownPeople
        Of the groups.
    groups : AgeBands

    Returns
    -------
    tuple of str
    """
    return tuple(
        name for name, before in zip(groups.names, people.known_before, strict=True) if before
    )


def say_known_before(names: Sequence[str]) -> str:
    """Say which groups rest on what a model knew before it was adapted, and what to do about it.

    Parameters
    ----------
    names : sequence of str
        As :func:`names_known_before` gives them.

    Returns
    -------
    str
        Nothing where there is no such group.
    """
    if not names:
        return ""
    return (
        f"The model was adapted with fewer than {FEWEST_PEOPLE} people of the age "
        f"group{'s' if len(names) > 1 else ''} {enumerate_words(names)}: what is said of them "
        "rests on what it knew before, as if this camera showed them as well or as badly as the "
        "others. Ranges do not allow for an error in that. Photos of such people replace it "
        "(ageboost adapt)."
    )


def _edges_with_people(edges: Sequence[int], people: KnownPeople) -> list[int]:
    """Leave out edges until each group has people enough; all of them where none would do."""
    kept = list(edges)
    while kept and (counts := people.count(kept)).min() < FEWEST_PEOPLE:
        least = int(counts.argmin())
        # The group joins the one beside it of which fewer people are known.
        to_left = least > 0 and (least == len(kept) or counts[least - 1] <= counts[least + 1])
        kept.pop(least - 1 if to_left else least)
    return kept


def adapt_memberships(
    answers: Answers,
    groups: AgeBands,
    calibration: AgeCalibrator,
    people: KnownPeople,
    n_draws: int = 0,
    random_state: int = 0,
) -> Adapted:
    """Estimate the shop's mix of groups, and what memberships are with it.

    The photos that the model was calibrated with say how often people of each age are given each
    age.

    Parameters
    ----------
    answers : Answers
        What the model said of the buyers.
    groups : AgeBands
        What the mix and memberships are of.
    calibration : AgeCalibrator
        Of the model that estimated the ages.
    people : KnownPeople
        Of the groups, or of wider ones.
    n_draws : int, default=0
        How often the photos and the customers are drawn anew.
    random_state : int, default=0
        Of these draws.

    Returns
    -------
    Adapted

    References
    ----------
    M. Saerens, P. Latinne and C. Decaestecker, "Adjusting the Outputs of a Classifier to New a
    Priori Probabilities", Neural Computation 2002.
    W. H. Richardson, "Bayesian-Based Iterative Method of Image Restoration", Journal of the Optical
    Society of America 1972.
    """
    group_of = np.eye(len(groups))[groups.index(_YEARS)]
    if not len(answers.ages):
        shares = np.bincount(groups.index(people.ages), people.weights, len(groups))
        return Adapted(np.empty((0, len(groups))), shares / shares.sum(), iter(()))
    seen = _Seen(calibration, people)
    place = seen.place(answers.ages)

    def adapt(photos: Array, receipts: Array) -> tuple[Array, Array]:
        said, believed = seen.learn(photos)
        answered = np.bincount(place, receipts, said.shape[1]).astype(np.float64)
        years = _estimate_years(said, believed, answered)
        parts = (said.T * years) @ group_of
        membership = parts / parts.sum(axis=1, keepdims=True)
        return membership[place], years @ group_of

    membership, mix = adapt(people.weights, answers.counts)
    rng = np.random.default_rng(random_state)

    def draws() -> Iterator[tuple[Array, Array]]:
        for _ in range(n_draws):
            photos = people.weights * rng.exponential(1.0, len(people.ages))
            yield adapt(photos, answers.draw_counts(rng))

    return Adapted(membership, mix, draws())


class _Seen:
    """What a model says of people of each age, learnt from those whom it knows.

    People of neighbouring ages are given neighbouring answers: those of somebody two years older,
    moved by two years, serve for somebody of that age.
    """

    def __init__(self, calibration: AgeCalibrator, people: KnownPeople):
        ages = people.ages
        told = calibration.distribution(people.predictions, people.scales).ages
        # Ages of the old are estimated too low, and those of the young too high.
        slope = np.polyfit(ages, told, 1)[0] if np.ptp(ages) else 1.0
        step = min(_STEP * max(1.0, _MANY_PHOTOS / len(ages)) ** (1 / 3), _WIDEST_STEP)
        low, high = np.quantile(told, [0.005, 0.995])
        self._edges = np.arange(low, max(high, low + step), step)
        years = np.floor(ages).clip(0, _YEARS[-1]).astype(np.intp)
        self._n_places = len(self._edges) + 1
        self._widths = _widths(np.bincount(years, minlength=len(_YEARS)))
        person, year, weight = [], [], []
        for one, width in zip(_YEARS, self._widths, strict=True):
            near = np.flatnonzero(np.abs(years - one) <= 3 * width)
            person.append(near)
            year.append(np.full(len(near), one))
            weight.append(np.exp(-0.5 * ((years[near] - one) / width) ** 2))
        self._person, year_of = np.concatenate(person), np.concatenate(year)
        self._weight = np.concatenate(weight)
        moved = told[self._person] + slope * (year_of - years[self._person])
        self._cell = year_of * self._n_places + self.place(moved)

    def place(self, ages: Array) -> npt.NDArray[np.intp]:
        """Sort estimated ages into the steps that are told apart."""
        return np.searchsorted(self._edges, ages)

    def learn(self, photos: Array) -> tuple[Array, Array]:
        """Learn from photos, of which each counts as much as is said.

        Returns
        -------
        shares : ndarray of shape (n_years, n_places)
            How often people of each year are given each answer.
        believed : ndarray of shape (n_years,)
            Shares of years among those the model was calibrated with.
        """
        shape = len(_YEARS), self._n_places
        weights = self._weight * photos[self._person]
        cells: Array = np.bincount(self._cell, weights, shape[0] * shape[1]).astype(np.float64)
        counts = cells.reshape(shape)
        near = counts.sum(axis=1)
        found = counts / np.where(near > 0, near, 1.0)[:, None]
        # Each year has its own width: the sums of narrow ones and of wide ones are made alike.
        believed = near / self._widths
        return (1 - _RARE) * found + _RARE / self._n_places, believed / believed.sum()


def _widths(people: npt.NDArray[np.intp]) -> Array:
    """How far around each year to look, for neighbours enough."""
    distance = np.abs(_YEARS[:, None] - _YEARS)
    order = np.argsort(distance, axis=1, kind="stable")
    reached = people[order].cumsum(axis=1) >= min(_NEIGHBOURS, people.sum())
    far = np.take_along_axis(distance, order, axis=1)[_YEARS, reached.argmax(axis=1)]
    return np.maximum(_NARROWEST, far / 2.0)


def _estimate_years(said: Array, start: Array, receipts: Array) -> Array:
    years = start
    for _ in range(_STEPS):
        found = years * (said @ (receipts / (years @ said))) + _PRIOR_RECEIPTS * start
        years = found / found.sum()
    return years
