"""How old the buyers of a shop are, learnt from what a model says of them.

A model's probabilities hold for people as old as those whose errors it was calibrated with. A shop
has another mix: hardly a buyer of beer is a child, and a till near a university has many who are
20. What does carry over is how often people of a certain age are given a certain answer. So the mix
of each till is estimated by expectation maximisation, and the probabilities follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ageboost.models import AgeCalibrator
from ageboost.models.known_people import known_people

__all__ = ["AgeMix", "estimate_age_mix", "index_of"]

_N_BINS = 14
_STEPS = 80
# Sales that the mix of the whole shop counts for in that of one till.
_PRIOR_SALES = 100.0
_LEAST = 1e-3
_MIN_PHOTOS = 20


@dataclass(frozen=True)
class AgeMix:
    """Probabilities for each till and each bin of answers.

    Parameters
    ----------
    edges : ndarray of shape (n_bins - 1,)
        Part the bins of the index.
    under_legal, under_challenge : ndarray of shape (1 + n_draws, n_tills, n_bins)
        Probabilities; the first are the estimates, the others show how far these may be off.
    minors_known_before : bool
        Whether the model was adapted with too few minors who might buy: what is said of them rests
        on what it knew before.
    """

    edges: npt.NDArray[np.float64]
    under_legal: npt.NDArray[np.float64]
    under_challenge: npt.NDArray[np.float64]
    minors_known_before: bool

    def bins(self, index: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
        """Sort answers into bins."""
        return np.searchsorted(self.edges, index)


def index_of(
    under_legal: npt.NDArray[np.float64], under_challenge: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Put answers on one line, from those for old people to those for children."""
    return _logit(under_legal) + _logit(under_challenge)


def estimate_age_mix(
    calibration: AgeCalibrator,
    legal_age: float,
    challenge_age: float,
    index: npt.NDArray[np.float64],
    tills: npt.NDArray[np.intp],
    n_draws: int,
    rng: np.random.Generator,
) -> AgeMix:
    """Estimate the mix of each till.

    Parameters
    ----------
    calibration : AgeCalibrator
        Of the model that gave the answers.
    legal_age, challenge_age : float
        Years.
    index : ndarray of shape (n_sales,)
        Answers, by :func:`index_of`.
    tills : ndarray of shape (n_sales,), int
        Till of each sale, from 0.
    n_draws : int
        Times that photos and sales are drawn again, to see how far the estimates may be off.
    rng : Generator

    Returns
    -------
    AgeMix

    Raises
    ------
    ValueError
        If the calibration has too few people on either side of the legal age.

    References
    ----------
    M. Saerens, P. Latinne and C. Decaestecker, "Adjusting the Outputs of a Classifier to New a
    Priori Probabilities", Neural Computation 2002.
    """
    known = _known_answers(calibration, calibration.fingerprint_, legal_age, challenge_age)
    edges, starts, counts = known.edges, known.starts, known.counts
    n_bins, n_classes = len(edges) + 1, len(starts) + 1
    n_tills = int(tills.max()) + 1 if len(tills) else 1
    cells = tills * n_bins + np.searchsorted(edges, index)
    sales = np.bincount(cells, minlength=n_tills * n_bins).reshape(n_tills, n_bins).astype(float)

    answers = np.concatenate(
        [_shares(counts)[None], _shares(rng.gamma(counts + 1e-3, size=(n_draws, *counts.shape)))]
    )
    drawn = np.concatenate([sales[None], rng.poisson(sales, (n_draws, *sales.shape))])
    whole = _mix(answers, drawn.sum(axis=1, keepdims=True), np.full(n_classes, 1.0))
    each = _mix(answers, drawn, _PRIOR_SALES * whole)
    joint = each[..., None] * answers[:, None]
    joint /= joint.sum(axis=2, keepdims=True)
    lows = np.concatenate([[0.0], starts])
    return AgeMix(
        edges,
        joint[:, :, lows < legal_age].sum(axis=2),
        joint[:, :, lows < challenge_age].sum(axis=2),
        known.minors_known_before,
    )


@dataclass(frozen=True)
class _KnownAnswers:
    """What people of known ages are answered.

    Parameters
    ----------
    edges : ndarray of shape (n_bins - 1,)
        Part the bins of answers.
    starts : ndarray of shape (n_classes - 1,)
        Ages at which classes begin, but for the first.
    counts : ndarray of shape (n_classes, n_bins)
        People of each class with each answer.
    minors_known_before : bool
        As of :class:`AgeMix`.
    """

    edges: npt.NDArray[np.float64]
    starts: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]
    minors_known_before: bool


@lru_cache(maxsize=4)
def _known_answers(
    calibration: AgeCalibrator, fingerprint: str, legal_age: float, challenge_age: float
) -> _KnownAnswers:
    """Ask once, not at each look; the fingerprint changes where a calibrator learns anew."""
    wanted = _wanted_starts(legal_age, challenge_age)
    people = known_people(calibration, wanted, _MIN_PHOTOS)
    ages = people.ages
    over = calibration.distribution(people.predictions, people.scales).over(
        [legal_age, challenge_age]
    )
    index = index_of(1 - over[:, 0], 1 - over[:, 1])
    starts = _age_classes(ages, legal_age, challenge_age)
    edges = _edges(index, ages, legal_age, challenge_age)
    counts = np.zeros((len(starts) + 1, len(edges) + 1))
    np.add.at(
        counts, (np.searchsorted(starts, ages, side="right"), np.searchsorted(edges, index)), 1
    )
    # The band before the legal age: those who are nearly adults.
    before = bool(people.known_before[wanted.index(legal_age)])
    return _KnownAnswers(edges, starts, counts, before)


def _edges(
    index: npt.NDArray[np.float64],
    ages: npt.NDArray[np.float64],
    legal_age: float,
    challenge_age: float,
) -> npt.NDArray[np.float64]:
    """Part answers where those for minors who might buy differ, and those for young adults."""
    parts = []
    for low, high in ((legal_age - 3, legal_age), (legal_age, challenge_age + 10)):
        part = index[(ages >= low) & (ages < high)]
        if len(part):
            parts.append(np.quantile(part, np.arange(1, _N_BINS) / _N_BINS))
    return np.unique(np.concatenate(parts))


def _age_classes(
    ages: npt.NDArray[np.float64], legal_age: float, challenge_age: float
) -> npt.NDArray[np.float64]:
    """Ages at which classes begin, but for the first; each has enough people to know its answers.

    Minors who try to buy are nearly adults: children are kept apart, since they look otherwise.
    """
    needed = {legal_age, challenge_age}
    for age in sorted(needed):
        below, above = int((ages < age).sum()), int((ages >= age).sum())
        if min(below, above) < _MIN_PHOTOS:
            raise ValueError(
                f"the model was calibrated with {below} people under {age:g} and {above} of that "
                f"age or older, but needs {_MIN_PHOTOS} of each to separate them: "
                "adapt it with more photos"
            )
    kept: list[float] = []
    for start in _wanted_starts(legal_age, challenge_age):
        low = kept[-1] if kept else -np.inf
        people = ((ages >= low) & (ages < start)).sum()
        if people >= _MIN_PHOTOS and (ages >= start).sum() >= _MIN_PHOTOS:
            kept.append(start)
        elif start in needed:
            # This boundary must stay: the one before it goes.
            kept = [one for one in kept if one in needed and one < start] + [start]
    return np.array(kept)


def _wanted_starts(legal_age: float, challenge_age: float) -> list[float]:
    """Ages at which classes begin where there are people enough."""
    middle = float(np.ceil((legal_age + challenge_age) / 2))
    return sorted(
        {legal_age - 3, legal_age, middle, challenge_age, challenge_age + 5, challenge_age + 15}
    )


def _shares(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shares of each bin, none of them impossible."""
    # To blur them over neighbouring bins would make minors of the rare answers vanish.
    filled = counts + 0.005 * counts.sum(axis=-1, keepdims=True) / counts.shape[-1]
    return filled / filled.sum(axis=-1, keepdims=True)


def _mix(answers, sales, prior) -> npt.NDArray[np.float64]:
    """Shares of classes by expectation maximisation: (n_draws, n_tills, n_classes)."""
    n_classes = answers.shape[1]
    shares = np.full((*sales.shape[:2], n_classes), 1 / n_classes)
    for _ in range(_STEPS):
        ratio = sales / np.maximum(shares @ answers, 1e-12)
        found = shares * (ratio @ answers.transpose(0, 2, 1)) + prior
        shares = found / found.sum(axis=2, keepdims=True)
    return shares


def _logit(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    clipped = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return np.log(clipped / (1 - clipped))
