"""Whom to ask for a card so that few minors are waved through and few adults are bothered."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._notebook import ShownInNotebooks
from ageboost.evaluation import challenge_ages, share_interval
from ageboost.models import AgeCalibrator, AgeEstimator, BorrowedCalibrator
from ageboost.models.calibration import calibration_of

__all__ = ["ChallengeChoice", "choose_challenge_age"]

_OLDEST_ASKED = 60
_CERTAINTIES = tuple(np.round(1 - np.geomspace(0.5, 0.001, 60), 4).tolist())
_BY_AGE = "looks younger than"
_BY_PROBABILITY = "probability of legal age below"


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
        ``waved_high``, ``adults``, ``asked`` (share of adults who are), ``asked_low``,
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
            f"({row.waved_low:.1%} to {row.waved_high:.1%}) are waved through, and {row.asked:.1%} "
            f"of adults ({row.asked_low:.1%} to {row.asked_high:.1%}) are asked."
            if row.rule == _BY_AGE
            else f"Or ask everyone whose {row.rule} {row.threshold:.4g}: {row.waved_through:.1%} "
            f"of minors ({row.waved_low:.1%} to {row.waved_high:.1%}), {row.asked:.1%} of adults "
            f"({row.asked_low:.1%} to {row.asked_high:.1%})."
            for row in self.chosen.itertuples()
        ]
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
) -> ChallengeChoice:
    """Find the lowest challenge age that waves through as few minors as wanted.

    It is computed from answers of the model for people of known age whom it had not seen. Minors of
    a shop are not those of a collection of photos, in which many are small children, of whom every
    model is sure: so minors count from ``youngest`` on. Nor are its adults: ``age_weights`` says
    how old the people at the till are.

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

    Returns
    -------
    ChallengeChoice

    Raises
    ------
    ValueError
        If the model does not know how far its ages are off, there are no minors or no adults in its
        calibration, or a parameter makes no sense.

    Examples
    --------
    >>> import ageboost
    >>> from ageboost.retail import choose_challenge_age
    >>> choice = choose_challenge_age(ageboost.load_pretrained(), waved_through=0.05)
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
    calibration = calibration_of(model)
    use = calibration.ages_ >= youngest
    ages = calibration.ages_[use].astype(np.float64)
    if not (ages < legal_age).any() or not (ages >= legal_age).any():
        raise ValueError(
            f"the model was calibrated with nobody from {youngest:g} to {legal_age:g}, or with "
            "nobody older: calibrate it with photos of both"
        )
    if isinstance(calibration, BorrowedCalibrator):
        warnings.warn(
            "the model was never tried on people of known age at a camera like yours: these shares "
            "are what errors of adults elsewhere lead to expect; calibrate it with photos of your "
            "own, of minors and adults",
            stacklevel=2,
        )
    distribution = calibration.distribution(
        calibration.predictions_[use].astype(np.float64),
        calibration.scales_[use].astype(np.float64),
    )
    rules = {
        _BY_AGE: (distribution.ages, np.arange(np.floor(legal_age), _OLDEST_ASKED + 0.5, 0.5)),
        _BY_PROBABILITY: (distribution.over(legal_age), np.array(_CERTAINTIES)),
    }
    tables = []
    for rule, (estimates, thresholds) in rules.items():
        if age_weights is None:
            table = challenge_ages(ages, estimates, legal_age, thresholds.tolist())
        else:
            table = _weighted(ages, estimates, legal_age, thresholds, age_weights)
        table.insert(0, "rule", rule)
        tables.append(table)
    fits = [table[table["waved_through"] <= waved_through].head(1) for table in tables]
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
) -> pd.DataFrame:
    """Shares of people at the till; who stands for many makes intervals wider."""
    years = np.floor(ages)
    wanted = age_weights.astype("float64")
    if (wanted < 0).any() or wanted.isna().any():
        raise ValueError("age_weights holds a number below 0, or none: pass how many people come")
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
    return pd.DataFrame(rows, columns=[*names, "adults", "asked", "asked_low", "asked_high"])


def _share(
    counted: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """A weighted share, and Wilson's interval for as many people as the weights are worth."""
    share = float(np.average(counted, weights=weights))
    worth = weights.sum() ** 2 / (weights**2).sum()
    low, high = share_interval(share * worth, worth)
    return share, min(low, share), max(high, share)
