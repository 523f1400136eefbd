"""What is believed about ages, once a model has looked at the faces."""

from __future__ import annotations

import warnings
from reprlib import repr as brief

import numpy as np
import numpy.typing as npt
import pandas as pd
from crepes import ConformalPredictiveSystem

from ageboost._age_bands import OLDEST
from ageboost._notebook import show_table
from ageboost.models.young_ages import YOUNG, YoungAges

__all__ = ["AgeDistribution"]

_N_SHOWN = 10


class AgeDistribution:
    """The predictive distribution of each face's age.

    :meth:`AgeEstimator.predict_distribution` makes it. The ends of a 90 % range are its quantiles
    0.05 and 0.95, at any coverage, and the probability of an age of 18 or more never rises when 18
    becomes 19. All ages lie between 0 and 120 years.

    Of the young it says two things more, where enough of them were learnt from, and each is true by
    itself (:class:`YoungAges`): ranges of 80 % or more hold their share of people of every age from
    13 to 24, so their ends are further out than probabilities are small; and probabilities of being
    of an age, from 11 to 29, come true among people of all ages.

    Parameters
    ----------
    ages : ndarray of shape (n_faces,)
        Predicted ages in years; NaN where there is none.
    scales : ndarray of shape (n_faces,)
        How large errors are expected to be, in years.
    bins : ndarray of shape (n_faces,), int
        Whose errors each face is compared with.
    system : crepes.ConformalPredictiveSystem
        Fitted on errors in units of these scales, and on these bins.
    whole_years : bool
        Whether ages are counted in years completed, so that nobody is 17.5.
    calibration : str, optional
        The fingerprint of the calibration that it comes from.
    young : YoungAges, optional
        What is known of the young. By default nothing.

    Attributes
    ----------
    ages : ndarray of shape (n_faces,)
    scales : ndarray of shape (n_faces,)
    calibration : str or None

    References
    ----------
    H. Boström, U. Johansson and T. Löfström, "Mondrian Conformal Predictive Distributions",
    COPA 2021.

    Examples
    --------
    >>> import ageboost
    >>> from skimage.data import astronaut
    >>> distribution = ageboost.load_pretrained().predict_distribution([astronaut()])
    >>> [[low, high]] = distribution.interval(0.9)
    >>> bool(low < distribution.ages[0] < high)
    True
    >>> bool(distribution.over(12)[0] > 0.99 > distribution.over(40)[0])
    True
    """

    def __init__(
        self,
        ages: npt.NDArray[np.float64],
        scales: npt.NDArray[np.float64],
        bins: npt.NDArray[np.intp],
        system: ConformalPredictiveSystem,
        whole_years: bool,
        calibration: str | None = None,
        young: YoungAges | None = None,
    ):
        self.ages = ages
        self.scales = scales
        self._bins = bins
        self._system = system
        self._whole_years = whole_years
        self.calibration = calibration
        self._young = young

    def __repr__(self) -> str:
        faces = self[:3]
        shown = [
            "unknown" if np.isnan(age) else f"{age:.0f} ({low:.0f}-{high:.0f})"
            for age, (low, high) in zip(faces.ages, faces.interval(0.9), strict=True)
        ]
        more = ", ..." if len(self) > len(faces) else ""
        noun = "face" if len(self) == 1 else "faces"
        return f"<AgeDistribution of {len(self):,} {noun}, in years: {', '.join(shown)}{more}>"

    def _repr_html_(self) -> str:
        faces = self[:_N_SHOWN]
        low, high = faces.interval(0.9).T
        table = pd.DataFrame(
            {
                "age": faces.ages,
                "90 % from": low,
                "to": high,
                "18 or older": faces.over(18),
            }
        )
        # The rows that are left out are counted, and not computed.
        return show_table("AgeDistribution", table.reindex(range(len(self))))

    def __len__(self) -> int:
        return len(self.ages)

    def __getitem__(self, faces: slice | npt.NDArray) -> AgeDistribution:
        """Take some of the faces, by a slice, a mask or positions."""
        return AgeDistribution(
            self.ages[faces],
            self.scales[faces],
            self._bins[faces],
            self._system,
            self._whole_years,
            self.calibration,
            self._young,
        )

    def interval(self, coverage: float = 0.9) -> npt.NDArray[np.float64]:
        """Compute ranges that leave out equal shares below and above.

        Where errors lean to one side, a narrow range need not hold the predicted age: it is
        where the true age is believed to be.

        Parameters
        ----------
        coverage : float, default=0.9
            Share of true ages that should lie inside, above 0 and below 1.

        Returns
        -------
        ndarray of shape (n_faces, 2)
            Lowest and highest age in years; 0 and 120 where there are too few errors to say more.
        """
        if not 0 < coverage < 1:
            raise ValueError(f"coverage={brief(coverage)}: pass a share above 0 and below 1")
        return self.quantiles([(1 - coverage) / 2, (1 + coverage) / 2])

    def quantiles(self, quantiles: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Compute the ages that a share of people like this are younger than.

        Parameters
        ----------
        quantiles : array-like of shape (n_quantiles,)
            Shares above 0 and below 1.

        Returns
        -------
        ndarray of shape (n_faces, n_quantiles)
            Years; 0 or 120 where there are too few errors to say more.
        """
        shares = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
        if not ((shares > 0) & (shares < 1)).all():
            raise ValueError(f"quantiles={brief(quantiles)}: pass shares above 0 and below 1")
        order = np.argsort(shares)
        # Tails are rounded outwards, so that ranges are never too narrow.
        lower = [100 * share for share in shares[order] if share < 0.5]
        higher = [100 * share for share in shares[order] if share >= 0.5]
        found = np.empty((len(self), len(shares)))
        if len(self):
            with warnings.catch_warnings():
                # The ends of what is possible say it.
                warnings.filterwarnings("ignore", message="the no. of calibration examples")
                drawn = self._system.predict_percentiles(
                    *(self.ages, self.scales, self._bins, lower, higher),
                    y_min=0.0,
                    y_max=float(OLDEST),
                )
            # One quantile comes as a flat array.
            found[:, order] = drawn.reshape(len(self), -1)
        if self._young is not None:
            found = self._hold_the_young(found, shares, self._young)
        found = found.clip(0, OLDEST)
        found[np.isnan(self.ages)] = np.nan
        return found

    def over(self, age: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Compute how probable it is that somebody is of an age, or older.

        Parameters
        ----------
        age : float or array-like of shape (n_ages,)
            Years.

        Returns
        -------
        ndarray of shape (n_faces,) or (n_faces, n_ages)
            Probabilities; NaN for a face without an age.
        """
        cuts = np.atleast_1d(np.asarray(age, dtype=np.float64))
        if self._whole_years:
            # Who is 18 or older is not 17 or younger: the middle between them parts the two.
            cuts = np.ceil(cuts) - 0.5
        below = self.shares_below(cuts[None])
        if self._young is not None:
            below = self._put_right(below, cuts, self._young)
        below[np.isnan(self.ages)] = np.nan
        # All are born, and nobody is older than that.
        below[:, cuts <= 0] *= 0
        below[:, cuts > OLDEST] = np.where(np.isnan(self.ages), np.nan, 1.0)[:, None]
        return 1 - (below[:, 0] if np.ndim(age) == 0 else below)

    def of_each_age(self) -> npt.NDArray[np.float64]:
        """Compute how probable each age in years completed is.

        Returns
        -------
        ndarray of shape (n_faces, 121)
            Probabilities of 0 to 120 years, which sum to one; NaN for a face without an age.
        """
        return -np.diff(self.over(np.arange(OLDEST + 2)), axis=1)

    def shares_below(self, ages: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Compute the shares of known errors that would make faces younger than ages.

        All answers start from them; what is known of the young is not in them yet.

        Parameters
        ----------
        ages : ndarray of shape (1, n_ages) or (n_faces, n_ages)
            Years, the same for all faces or others for each.

        Returns
        -------
        ndarray of shape (n_faces, n_ages)
        """
        below = np.empty((len(self), ages.shape[1]))
        ages = np.broadcast_to(ages, below.shape)
        for label, scores in zip(*self._system.binned_alphas, strict=True):
            faces = self._bins == label
            places = (ages[faces] - self.ages[faces, None]) / self.scales[faces, None]
            n_below = np.searchsorted(scores, places, side="left")
            n_level = np.searchsorted(scores, places, side="right") - n_below
            below[faces] = (n_below + (n_level + 1) / 2) / (len(scores) + 1)
        return below

    def _put_right(
        self, below: npt.NDArray[np.float64], cuts: npt.NDArray[np.float64], young: YoungAges
    ) -> npt.NDArray[np.float64]:
        """Put probabilities right at the ages of the young, and in between as they lie there."""
        known = young.cuts(self._whole_years)
        columns = np.flatnonzero((known[0] < cuts) & (cuts < known[-1]))
        if not len(columns):
            return below
        before = self.shares_below(known[None])
        after = young.probabilities(before)
        for column in columns:
            place = np.searchsorted(known, cuts[column], side="right") - 1
            (low, high), (start, end) = (v[:, place : place + 2].T for v in (before, after))
            share = (below[:, column] - low) / np.where(high > low, high - low, 1.0)
            below[:, column] = start + share * (end - start)
        return below

    def _hold_the_young(
        self, found: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], young: YoungAges
    ) -> npt.NDArray[np.float64]:
        """Move ends of ranges out to the years of the young that belong to them."""
        middle, last = (0.0, 0.0) if self._whole_years else (0.5, 1.0)
        ends = young.ends(self.shares_below(YOUNG[None] + middle), shares)
        upper = shares >= 0.5
        found[:, ~upper] = np.fmin(found[:, ~upper], ends[:, ~upper])
        found[:, upper] = np.fmax(found[:, upper], ends[:, upper] + last)
        return found
