"""How far ages can be off at a camera that was never met, from sources that were left out."""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from ageboost.models.calibration import AgeCalibrator

__all__ = ["NewCameraCalibrator", "errors_at_a_new_camera"]

# How finely the shift of a camera is drawn, and each source's scatter described.
_N_SHIFTS, _N_SCATTER = 39, 199


def errors_at_a_new_camera(
    errors: npt.NDArray[np.floating], sources: npt.NDArray, n_errors: int
) -> npt.NDArray[np.float64]:
    """Combine errors of several sources into those to expect at another one.

    A source's errors are a shift that all of its photos share, and a scatter around it. A new
    source has the mean scatter of the others and a shift of its own, drawn from Student's
    distribution with one degree of freedom less than there are sources.

    Parameters
    ----------
    errors : ndarray of shape (n_photos,)
        True less predicted ages, in any unit, each from a model that had not learnt from the
        photo's source.
    sources : ndarray of shape (n_photos,)
        Where each photo is from: two sources or more.
    n_errors : int
        How many errors to return.

    Returns
    -------
    ndarray of shape (n_errors,)
        Errors that are equally probable, sorted.

    Raises
    ------
    ValueError
        If all photos are of one source.

    References
    ----------
    J. Higgins, S. Thompson and D. Spiegelhalter, "A Re-evaluation of Random-effects Meta-analysis",
    Journal of the Royal Statistical Society A 2009.
    R. Dunn, L. Wasserman and A. Ramdas, "Distribution-Free Prediction Sets for Two-Layer
    Hierarchical Models", JASA 2022.
    """
    names, shifts = _shifts(errors, sources)
    parts = [errors[sources == name] for name in names]
    spread = shifts.std(ddof=1) * np.sqrt(1 + 1 / len(names))
    levels = (np.arange(_N_SHIFTS) + 0.5) / _N_SHIFTS
    new_shifts = shifts.mean() + spread * t.ppf(levels, len(names) - 1)
    # As many errors of each source, so that none drowns.
    shares = (np.arange(_N_SCATTER) + 0.5) / _N_SCATTER
    scatter = [np.quantile(part - shift, shares) for part, shift in zip(parts, shifts, strict=True)]
    together = np.add.outer(np.concatenate(scatter), new_shifts)
    return np.quantile(together, (np.arange(n_errors) + 0.5) / n_errors)


def _shifts(
    errors: npt.NDArray[np.floating], sources: npt.NDArray
) -> tuple[npt.NDArray, npt.NDArray[np.float64]]:
    """Names of the sources, and the median error of each."""
    names = np.unique(sources)
    if len(names) < 2:
        raise ValueError("errors at a new camera are learnt from two sources or more")
    return names, np.array([np.median(errors[sources == name]) for name in names])


class NewCameraCalibrator(AgeCalibrator):
    """Distributions of ages for a camera that was never met.

    An :class:`AgeCalibrator` promises ranges for photos like those it learnt from. At another
    camera, ages are off by a shift as well that all of its photos share. How large such shifts are
    is learnt from sources that were left out, one by one, of all that was fitted; a new camera's is
    drawn from Student's distribution around zero, with as many degrees of freedom as there were
    sources.

    What it keeps are the people of the known calibrator, as a new camera would have shown them: so
    whatever asks a model how it answers for people of an age gets an answer for a new camera.
    What is said of the young (:class:`YoungAges`) is true of the people as they were photographed:
    at sources left out, allowing twice for a shift made ranges of old people wider, and
    probabilities no better.

    ``refit`` and ``adapt`` begin from ``known_``, for then the camera is no longer new.

    Parameters
    ----------
    n_bins : int, default=10
        As for :class:`AgeCalibrator`.
    random_state : int or None, default=None
        Of who is shown with which shift.
    n_jobs : int, optional

    Attributes
    ----------
    known_ : AgeCalibrator
        The other promise: for photos like those learnt from.
    shift_ : float
        Root mean square of the shifts of sources left out, in years.
    sources_ : list of str
        The sources.
    predictions_, ages_, scales_ : ndarray of shape (n_photos,), float32
        Of the people, as a new camera would show them.

    References
    ----------
    R. Dunn, L. Wasserman and A. Ramdas, "Distribution-Free Prediction Sets for Two-Layer
    Hierarchical Models", JASA 2022.

    Examples
    --------
    >>> import ageboost
    >>> calibration = ageboost.load_pretrained().calibration_
    >>> calibration.sources_
    ['congress', 'fgnet', 'london']
    >>> import numpy as np
    >>> age, scale = np.array([10.0]), np.array([2.0])
    >>> [[low, high]] = calibration.known_.distribution(age, scale).interval(0.9)
    >>> [[low_there, high_there]] = calibration.distribution(age, scale).interval(0.9)
    >>> bool(low_there < low < high < high_there)
    True
    """

    def move(
        self,
        known: AgeCalibrator,
        predictions: npt.NDArray[np.floating],
        ages: npt.NDArray[np.floating],
        sources: npt.NDArray,
    ) -> NewCameraCalibrator:
        """Learn from sources that were left out how a new camera differs from the known ones.

        Parameters
        ----------
        known : AgeCalibrator
            For photos like those learnt from.
        predictions : ndarray of shape (n_photos,)
            Years, each from a model that had not learnt from the photo's source.
        ages : ndarray of shape (n_photos,)
            True ages in years.
        sources : ndarray of shape (n_photos,)
            Where each photo is from: two sources or more.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If all photos are of one source.
        """
        names, shifts = _shifts(np.asarray(ages - predictions, dtype=np.float64), sources)
        self.sources_ = [str(name) for name in names]
        self.shift_ = float(np.sqrt((shifts**2).mean()))
        return self.around(known)

    def around(self, known: AgeCalibrator) -> NewCameraCalibrator:
        """Allow for the shifts that were learnt around what is known of photos.

        Parameters
        ----------
        known : AgeCalibrator
            For photos like those learnt from.

        Returns
        -------
        self
        """
        n_people = len(known.ages_)
        self.known_ = known
        self.scale_regressor_ = known.scale_regressor_
        # Each person is shown with one of the shifts; all shifts are equally frequent.
        levels = (np.random.default_rng(self.random_state).permutation(n_people) + 0.5) / n_people
        moved = known.predictions_ - self.shift_ * t.ppf(levels, len(self.sources_))
        self.keep(moved.clip(0), known.ages_, known.scales_)
        if self.young_ is not None:
            self._learn_young(known.predictions_, known.ages_, known.scales_)
        return self

    def refit(
        self, X: npt.NDArray, predictions: npt.NDArray[np.float64], ages: npt.NDArray[np.float64]
    ) -> AgeCalibrator:
        """Learn how far ages are off from photos of one's own, whose camera is known then.

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
        return copy.copy(self.known_).refit(X, predictions, ages)

    def adapt(
        self,
        predictions: npt.NDArray[np.floating],
        ages: npt.NDArray[np.floating],
        scales: npt.NDArray[np.floating],
    ) -> AgeCalibrator:
        """Put errors of few photos of one camera, which is known then, in the place of all others.

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
        return copy.copy(self.known_).adapt(predictions, ages, scales)

    def believed_ages(self) -> npt.NDArray[np.float64]:
        """Compute how old those who were learnt from are believed to be, in photos as they are.

        Returns
        -------
        ndarray of shape (121,)
            Shares of people of 0 to 120 years completed.
        """
        return self._believe(self.known_.predictions_, self.known_.scales_)
