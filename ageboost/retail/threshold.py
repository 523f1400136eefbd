"""Whom to ask for a card so that few minors are waved through and few adults are bothered."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import beta

from ageboost._notebook import ShownInNotebooks
from ageboost.evaluation import challenge_ages, share_interval
from ageboost.models import AgeCalibrator, AgeEstimator, BorrowedCalibrator
from ageboost.models.calibration import MIN_PHOTOS, calibration_of
from ageboost.models.known_people import known_people
from ageboost.retail._till_ages import check_age_weights

__all__ = ["ChallengeChoice", "choose_challenge_age"]

_OLDEST_ASKED = 60
_CERTAINTIES = tuple(np.round(1 - np.geomspace(0.5, 0.001, 60), 4).tolist())
_BY_AGE = "looks younger than"
_BY_PROBABILITY = "probability of legal age below"
_RULES = {_BY_AGE: "the challenge age", _BY_PROBABILITY: "the probability"}


@dataclass(frozen=True, repr=False)
class ChallengeChoice(ShownInNotebooks):
    """Whom to ask for a card, by two rules, and what comes of each.

    Attributes
    ----------
    challenge_age : float
        Ask who is estimated to be younger. NaN where no such age waves as few through.
    certainty : float
        Or: ask who is of legal age with a smaller probability. NaN where there is none.
    chosen : DataFrame
        One row for each rule: ``rule``, ``threshold``, ``minors`` (people under the legal age in
        the calibration), ``waved_through`` (share of minors who are not asked), ``waved_low``,
        ``waved_high``, ``waved_bound`` (which the share for all such minors is below, as sure as
        was wanted), ``adults``, ``asked`` (share of adults who are), ``asked_low``,
        ``asked_high``. Intervals are of 95 %.
    table : DataFrame
        The same for all thresholds that were tried.
    """

    challenge_age: float
    certainty: float
    chosen: pd.DataFrame
    table: pd.DataFrame

    def __str__(self) -> str:
        lines = [
            f"Ask who {row.rule} {row.threshold:g}: {row.waved_through:.1%} of minors "
            f"(no more than {row.waved_bound:.1%} of all) are waved through, and {row.asked:.1%} "
            f"of adults ({row.asked_low:.1%} to {row.asked_high:.1%}) are asked."
            if row.rule == _BY_AGE
            else f"Or ask everyone whose {row.rule} {row.threshold:.4g}: {row.waved_through:.1%} "
            f"of minors (no more than {row.waved_bound:.1%}), {row.asked:.1%} of adults "
            f"({row.asked_low:.1%} to {row.asked_high:.1%})."
            for row in self.chosen.itertuples()
        ]
        if len(lines) < len(_RULES):
            minors = int(self.table["minors"].max())
            lines.append(
                f"For {_join_rules(self.chosen)}, no threshold is known to wave so few through: "
                f"the model was calibrated with {minors} minors of these ages, too few to say it."
            )
        lines.append(
            "These shares hold for people as old as those of the calibration, unless weights say "
            "how old the buyers of the shop are."
        )
        return "\n".join(lines)


def choose_challenge_age(
    model: AgeEstimator | AgeCalibrator,
    legal_age: float = 18,
    waved_through: float = 0.01,
    youngest: float = 13,
    age_weights: pd.Series | None = None,
    confidence: float = 0.99,
) -> ChallengeChoice:
    """Find the lowest challenge age that surely waves through as few minors as wanted.

    The share in the photos at hand is not the share of all minors: it was often smaller by chance
    where a threshold was chosen for it. So an upper bound has to be as small as wanted. Thresholds
    are tried from the strictest on, until the first that fails, so that trying many costs nothing.

    It is computed from answers of the model for people of known age whom it had not seen. Minors
    of a shop are not those of a collection of photos, in which many are small children, of whom
    every model is sure: so minors count from ``youngest`` on. Nor are its adults: ``age_weights``
    says how old the people at the till are.

    Parameters
    ----------
    model : AgeEstimator or AgeCalibrator
        A model that knows how far its ages are off, or its ``calibration_``.
    legal_age : float, default=18
        Years.
    waved_through : float, default=0.01
        Share of minors, at most, who are not asked for a card.
    youngest : float, default=13
        Years, under ``legal_age``. Nobody younger is taken to try.
    age_weights : Series, optional
        For each age in whole years (the index), how many people of that age come to the till. Ages
        that are not listed count for nothing. Intervals allow for the unequal weights.
    confidence : float, default=0.99
        How sure it should be that no more minors are waved through than wanted, from 0.5.

    Returns
    -------
    ChallengeChoice

    Raises
    ------
    ValueError
        If the model does not know how far its ages are off, there are no minors or no adults in its
        calibration, or a parameter makes no sense.

    References
    ----------
    C. Clopper and E. Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of
    the Binomial", Biometrika 1934.

    A. Angelopoulos, S. Bates, E. Candes, M. Jordan and L. Lei, "Learn then Test: Calibrating
    Predictive Algorithms to Achieve Risk Control", Annals of Applied Statistics 2025.

    Examples
    --------
    >>> import ageboost
    >>> from ageboost.retail import choose_challenge_age
    >>> choice = choose_challenge_age(ageboost.load_pretrained(camera="known"), waved_through=0.05)
    >>> 25 <= choice.challenge_age <= 30
    True
    >>> by_age, by_probability = choice.chosen["asked"]
    >>> bool(by_probability < by_age)
    True
    """
    if not 0 < waved_through < 1:
        raise ValueError(f"waved_through={waved_through!r}: pass a share above 0 and below 1")
    if not 0 <= youngest < legal_age:
        raise ValueError(f"youngest={youngest!r}: pass years below legal_age={legal_age!r}")
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence={confidence!r}: pass 0.5 or more, and less than 1")
    calibration = calibration_of(model)
    people = known_people(calibration, (youngest, legal_age), MIN_PHOTOS)
    use = people.ages >= youngest
    ages = people.ages[use]
    if not (ages < legal_age).any() or not (ages >= legal_age).any():
        raise ValueError(
            f"the model was calibrated with nobody from {youngest:g} to {legal_age:g}, or with "
            "nobody older: adapt it with photos of both"
        )
    if isinstance(calibration, BorrowedCalibrator):
        warnings.warn(
            "the model was never tried on people of known age at a camera like yours: these shares "
            "are what errors of adults elsewhere lead to expect; adapt it with photos of your "
            "own, of minors and adults",
            stacklevel=2,
        )
    if people.known_before[1:].any():
        warnings.warn(
            f"the model was adapted with fewer than {MIN_PHOTOS} minors from {youngest:g} years on "
            "or as few adults: these shares are of people whom it knew before, as if this camera "
            "showed them as well or as badly as the others; adapt it with photos of such people",
            stacklevel=2,
        )
    distribution = calibration.distribution(people.predictions[use], people.scales[use])
    rules = {
        _BY_AGE: (distribution.ages, np.arange(np.floor(legal_age), _OLDEST_ASKED + 0.5, 0.5)),
        _BY_PROBABILITY: (distribution.over(legal_age), np.array(_CERTAINTIES)),
    }
    tables = []
    for rule, (estimates, thresholds) in rules.items():
        if age_weights is None:
            table = challenge_ages(ages, estimates, legal_age, thresholds.tolist())
            worth = table["minors"].to_numpy(float)
        else:
            table, worth = _weighted(ages, estimates, legal_age, thresholds, age_weights)
        bound = _upper_bound(table["waved_through"].to_numpy(), worth, confidence)
        table.insert(table.columns.get_loc("waved_high") + 1, "waved_bound", bound)
        table.insert(0, "rule", rule)
        tables.append(table)
    fits = []
    for table in tables:
        # From the strictest on, until the first that fails.
        passed = np.logical_and.accumulate((table["waved_bound"] <= waved_through)[::-1])[::-1]
        fits.append(table[passed].head(1))
    found = [float(fit["threshold"].iloc[0]) if len(fit) else float("nan") for fit in fits]
    return ChallengeChoice(
        found[0],
        found[1],
        pd.concat(fits, ignore_index=True),
        pd.concat(tables, ignore_index=True),
    )


def _weighted(
    ages: npt.NDArray[np.float64],
    estimates: npt.NDArray[np.float64],
    legal_age: float,
    thresholds: npt.NDArray[np.float64],
    age_weights: pd.Series,
) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Shares of people at the till; who stands for many makes intervals wider.

    Beside them, how many minors of equal weight these are worth.
    """
    years = np.floor(ages)
    wanted = check_age_weights(age_weights)
    photos = pd.Series(years).value_counts()
    each = (wanted / photos.reindex(wanted.index)).reindex(years).fillna(0.0).to_numpy()
    minor = ages < legal_age
    if each[minor].sum() == 0 or each[~minor].sum() == 0:
        raise ValueError("age_weights gives no weight to minors, or none to adults: list both")
    rows = []
    for threshold in thresholds:
        asked = ~(estimates >= threshold)
        rows.append(
            (
                threshold,
                int(minor.sum()),
                *_share(~asked[minor], each[minor]),
                int((~minor).sum()),
                *_share(asked[~minor], each[~minor]),
            )
        )
    names = ["threshold", "minors", "waved_through", "waved_low", "waved_high"]
    table = pd.DataFrame(rows, columns=[*names, "adults", "asked", "asked_low", "asked_high"])
    return table, np.full(len(table), _worth(each[minor]))


def _upper_bound(
    shares: npt.NDArray[np.float64], people: npt.NDArray[np.float64], confidence: float
) -> npt.NDArray[np.float64]:
    """Clopper and Pearson's bound of a share."""
    counted = shares * people
    bound = beta.ppf(confidence, counted + 1, np.maximum(people - counted, 1e-9))
    return np.where(shares < 1, bound, 1.0)


def _worth(weights: npt.NDArray[np.float64]) -> float:
    return float(weights.sum() ** 2 / (weights**2).sum())


def _share(
    counted: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """A weighted share, and Wilson's interval for as many people as the weights are worth."""
    share = float(np.average(counted, weights=weights))
    worth = _worth(weights)
    low, high = share_interval(share * worth, worth)
    return share, min(low, share), max(high, share)


def _join_rules(chosen: pd.DataFrame) -> str:
    return " and ".join(name for rule, name in _RULES.items() if rule not in set(chosen["rule"]))
