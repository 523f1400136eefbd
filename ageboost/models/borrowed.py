"""Errors for ages and cameras that no photo was seen of, borrowed from those that were seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ageboost.models.calibration import AgeCalibrator
from ageboost.models.new_camera import errors_at_a_new_camera

__all__ = ["BorrowedCalibrator"]

# Errors that stand for those of people of one age.
_N_ERRORS = 40
_OLDEST = 100


class BorrowedCalibrator(AgeCalibrator):
    """Distributions of ages for a camera of which no photo was seen, and for ages as well.

    A few photos of several sources say how far ages are off, in units of what the model expects of
    each face, combined by :func:`errors_at_a_new_camera`. They are taken to be the same at every
    age, and the unit to be no smaller for children than for the youngest who were seen.

    What it keeps are no photos but people who are made up in this way, as many of each age, so that
    whatever asks a model how it answers for people of an age gets an answer. ``refit`` on photos of
    one's own puts an :class:`AgeCalibrator` with real people in their place.

    Parameters
    ----------
    n_bins : int, default=10
        As for :class:`AgeCalibrator`.
    random_state : int or None, default=None
    n_jobs : int, optional

    Attributes
    ----------
    n_borrowed_ : int
        How many photos the errors were learnt from.
    sources_ : list of str
        Where these are from.
    predictions_, ages_, scales_ : ndarray of shape (n_people,), float32
        Of the people who are made up.

    Examples
    --------
    >>> import ageboost
    >>> calibration = ageboost.load_pretrained("open").calibration_
    >>> calibration.n_borrowed_, calibration.sources_
    (310, ['congress', 'congress_grey', 'london'])
    """

    def borrow(
        self,
        predictions: npt.NDArray[np.float64],
        ages: npt.NDArray[np.float64],
        scale_regressor: Any,
        X: npt.NDArray[np.floating],
        sources: npt.NDArray[np.object_],
    ) -> BorrowedCalibrator:
        """Learn from photos of several sources.

        Parameters
        ----------
        predictions : ndarray of shape (n_photos,)
            Years, each from a model that had not learnt from the photo's source.
        ages : ndarray of shape (n_photos,)
            True ages in years.
        scale_regressor : regressor
            Predicts the logarithm of the error to expect, from predictions and what the model saw.
        X : ndarray of shape (n_photos, n_columns)
            What the model saw.
        sources : ndarray of shape (n_photos,)
            Where each photo is from: two or more.

        Returns
        -------
        self
        """
        self.scale_regressor_ = scale_regressor
        scales = self._scales(X, predictions)
        drawn = errors_at_a_new_camera((ages - predictions) / scales, sources, _N_ERRORS)
        self.n_borrowed_, self.sources_ = len(ages), sorted({str(source) for source in sources})
        slope, level = np.polyfit(predictions, scales, 1)
        years = np.arange(_OLDEST + 1.0)
        units = level + slope * np.maximum(years, np.quantile(ages, 0.05))
        made_up = (years[:, None] - drawn * units[:, None]).clip(0)
        return self.keep(made_up.ravel(), np.repeat(years, _N_ERRORS), np.repeat(units, _N_ERRORS))

    def refit(
        self, X: npt.NDArray, predictions: npt.NDArray[np.float64], ages: npt.NDArray[np.float64]
    ) -> AgeCalibrator:
        """Put real people, of photos of one's own, in the place of those who are made up.

        Parameters
        ----------
        X : ndarray of shape (n_photos, n_columns)
        predictions : ndarray of shape (n_photos,)
            Years.
        ages : ndarray of shape (n_photos,)
            True ages in years.

        Returns
        -------
        AgeCalibrator
            Another one.
        """
        real = self._without_people()
        real.keep(predictions, ages, self._scales(X, predictions))
        return real._pool(self)

    def adapt(
        self,
        predictions: npt.NDArray[np.floating],
        ages: npt.NDArray[np.floating],
        scales: npt.NDArray[np.floating],
    ) -> AgeCalibrator:
        """Put real people, of few photos of one camera, in the place of those who are made up.

        Parameters
        ----------
        predictions : ndarray of shape (n_photos,)
            Years.
        ages : ndarray of shape (n_photos,)
            True ages in years.
        scales : ndarray of shape (n_photos,)
            Errors that were expected, in years.

        Returns
        -------
        AgeCalibrator
            Another one.
        """
        real = self._without_people()
        # What is known of how errors spread still counts beside few photos.
        real.keep(self.predictions_, self.ages_, self.scales_)
        return real.adapt(predictions, ages, scales)

    def _without_people(self) -> AgeCalibrator:
        """Make a calibrator for real people, still to come, which expects the same errors."""
        real = AgeCalibrator(random_state=self.random_state, n_jobs=self.n_jobs)
        real.scale_regressor_ = self.scale_regressor_
        return real
