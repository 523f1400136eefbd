"""What is said of the young, made true: ranges by true age, probabilities year by year."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ageboost.models._venn_abers import venn_abers

__all__ = ["YOUNG", "YoungAges", "knows_the_young"]

# Years completed of those whose ranges hold by true age, and ages that probabilities are learnt of.
YOUNG = np.arange(13.0, 25.0)
_CUTS = np.arange(10.0, 31.0)
_MINORS = (13, 17)
_MIN_MINORS = 100
# People of nearby years stand in for each other, so that there are as many at least.
_MIN_PEOPLE, _MAX_REACH = 50, 3
# Shares in either tail; narrower ranges than those of the last but one promise less and less.
_SHARES: npt.NDArray[np.float64] = np.append(np.linspace(0, 0.1, 41), 0.5)


def knows_the_young(ages: npt.NDArray[np.floating]) -> bool:
    """Whether there are enough people from 13 to 17 to learn from what is said of them."""
    first, last = _MINORS
    return int(((ages >= first) & (ages < last + 1)).sum()) >= _MIN_MINORS


class YoungAges(BaseEstimator):
    """Corrects what a distribution of ages says of people from 13 to 24.

    Distributions are right for all who look alike, whatever their ages. Who is 17 and looks 17 is
    among people of whom most are 17, more or less; but who is 17 and looks 25 is among people of
    whom hardly anybody is, so no range holds the age, and a model that draws the young upwards
    makes many of these. So ranges are widened: a year belongs to a range unless the face would be
    among the rarest of people of that very age (label-conditional conformal prediction).

    The probability of being of an age or older is another promise: it comes true among all people
    who were learnt from. Errors of a whole bin of faces say it only roughly, where there are as few
    people as near 18; so from 11 to 29 years it is put right by Venn-Abers predictors.

    Attributes
    ----------
    levels_ : ndarray of shape (2, 12, 42)
        For each year from 13 to 24 and each share of a tail, the probability of being younger, or
        older, that this share of people of that age does not reach.
    knots_ : list of ndarray of shape (2, n_knots)
        For each age from 11 to 29, the probability of being younger: as the distribution says it,
        and as it is.

    References
    ----------
    V. Vovk, "Conditional Validity of Inductive Conformal Predictors", Machine Learning 2013.

    V. Vovk, I. Petej and V. Fedorova, "Large-scale Probabilistic Predictors with and without
    Guarantees of Validity", NeurIPS 2015.
    """

    @staticmethod
    def cuts(whole_years: bool) -> npt.NDArray[np.float64]:
        """Return where probabilities are put right, and at both ends of these where they stay."""
        return _CUTS - (0.5 if whole_years else 0.0)

    def fit(
        self,
        ages: npt.NDArray[np.floating],
        younger: npt.NDArray[np.float64],
        below: npt.NDArray[np.float64],
    ) -> YoungAges:
        """Learn from people whom the model had not seen.

        Parameters
        ----------
        ages : ndarray of shape (n_people,)
            True ages in years.
        younger : ndarray of shape (n_people,)
            How probable it was said to be that each is younger than he or she is.
        below : ndarray of shape (n_people, 21)
            How probable it was said to be that each is younger than 10 to 30 years.

        Returns
        -------
        self
        """
        self.levels_ = np.array(
            [[_tail(values, ages, year) for year in YOUNG] for values in (younger, 1 - younger)]
        )
        self.knots_ = []
        for place in range(1, len(_CUTS) - 1):
            # Probabilities at neighbouring ages are off alike: three ages together say how.
            three = slice(place - 1, place + 2)
            younger_than = ages[:, None] < _CUTS[three]
            self.knots_.append(venn_abers(below[:, three].ravel(), younger_than.ravel()))
        return self

    def probabilities(self, below: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Put probabilities right.

        Parameters
        ----------
        below : ndarray of shape (n_faces, 21)
            Of being younger than 10 to 30 years, as the distribution says them.

        Returns
        -------
        ndarray of shape (n_faces, 21)
            As they are. They rise with the age, and stay as they were at both ends.
        """
        check_is_fitted(self)
        said = below.copy()
        for place, knots in enumerate(self.knots_, start=1):
            said[:, place] = np.interp(below[:, place], *knots)
        return np.maximum.accumulate(said.clip(below[:, :1], below[:, -1:]), axis=1)

    def ends(
        self, younger: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Compute how far out the years are that belong to ranges by true age.

        Parameters
        ----------
        younger : ndarray of shape (n_faces, 12)
            How probable it is said to be that each is younger than 13 to 24.
        shares : ndarray of shape (n_shares,)
            Shares below the ends: under a half for lower ones.

        Returns
        -------
        ndarray of shape (n_faces, n_shares)
            The youngest year for lower ends and the oldest for upper ones; NaN where none does.
        """
        check_is_fitted(self)
        found = np.full((len(younger), len(shares)), np.nan)
        for column, share in enumerate(shares):
            upper = int(share >= 0.5)
            tail = 1 - share if upper else share
            levels = np.array([np.interp(tail, _SHARES, year) for year in self.levels_[upper]])
            inside = (1 - younger if upper else younger) >= levels
            years = np.where(inside, YOUNG, -np.inf if upper else np.inf)
            end = years.max(axis=1) if upper else years.min(axis=1)
            found[:, column] = np.where(np.isfinite(end), end, np.nan)
        return found


def _tail(
    values: npt.NDArray[np.float64], ages: npt.NDArray[np.floating], year: float
) -> npt.NDArray[np.float64]:
    """What people of an age have, at each share from the lowest; never more than the share."""
    for reach in range(1, _MAX_REACH + 1):
        near = np.sort(values[np.abs(np.floor(ages) - year) <= reach])
        if len(near) >= _MIN_PEOPLE:
            break
    else:
        return _SHARES.copy()
    places = _SHARES * (len(near) + 1)
    found = np.interp(places, np.arange(len(near) + 1), np.concatenate([[0.0], near]))
    found[-1] = _SHARES[-1]
    return np.minimum(found, _SHARES)
