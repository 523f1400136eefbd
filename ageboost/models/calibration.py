"""How far an age can be off, learnt from the errors of out-of-fold predictions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from crepes import ConformalPredictiveSystem
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted
from xgboost import XGBRegressor

from ageboost.models._cuts import steady_trees
from ageboost.models.distribution import AgeDistribution

if TYPE_CHECKING:
    from ageboost.models.estimator import AgeEstimator

__all__ = ["MIN_PHOTOS", "AgeCalibrator", "calibration_of"]

MIN_PHOTOS = 20
_FOLDS = 3
# With fewer photos, who is hard to tell cannot be learnt: errors of all count alike.
_MIN_PHOTOS_FOR_SCALES = 200
_MIN_PHOTOS_IN_BIN = 100
# An error of less than half a year is as good as none.
_SMALL_ERROR = 0.5


class AgeCalibrator(BaseEstimator):
    """Predictive distributions of ages, as wide as errors were for such faces.

    Boosted trees learn how large an error to expect for a face, and errors of photos that the model
    had not seen are kept in this unit, apart for each range of predicted ages. A new face's age is
    believed to be off as theirs were. So the distributions hold for children and for old people
    alike, and are wider for a face that is hard to tell.

    Parameters
    ----------
    n_bins : int, default=10
        Ranges of predicted age, with as many photos in each; fewer where there are less than a
        thousand photos.
    random_state : int or None, default=None
        Of the folds and of the trees.
    n_jobs : int, optional
        Threads; by default all cores.

    Attributes
    ----------
    scale_regressor_ : XGBRegressor or None
        Tells the logarithm of the error to expect; None if there were too few photos.
    predictions_ : ndarray of shape (n_photos,), float32
        Ages of photos that the model had not seen.
    ages_ : ndarray of shape (n_photos,), float32
        Their true ages.
    scales_ : ndarray of shape (n_photos,), float32
        Errors that were expected of them, each by trees that had not seen it.
    edges_ : ndarray of shape (n_bins - 1,), float32
        Predicted ages that part the bins.
    whole_years_ : bool
        Whether all ages are years completed.
    fingerprint_ : str
        What tells this calibration from any other.

    References
    ----------
    H. Papadopoulos, A. Gammerman and V. Vovk, "Normalized Nonconformity Measures for Regression
    Conformal Prediction", AIA 2008.
    H. Boström, "crepes: a Python Package for Generating Conformal Regressors and Predictive
    Systems", COPA 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models import AgeCalibrator
    >>> rng = np.random.default_rng(0)
    >>> predictions = rng.uniform(0, 80, 3000)
    >>> blur = rng.uniform(1, 5, 3000)
    >>> ages = rng.normal(predictions, blur).clip(0)
    >>> calibrator = AgeCalibrator(random_state=0).fit(blur[:, None], predictions, ages)
    >>> distribution = calibrator.predict(np.array([[1.0], [5.0]]), np.array([40.0, 40.0]))
    >>> (low, high), (low_if_blurred, high_if_blurred) = distribution.interval(0.9)
    >>> bool(high_if_blurred - low_if_blurred > 2 * (high - low))
    True
    """

    def __init__(self, n_bins=10, random_state=None, n_jobs=None):
        self.n_bins = n_bins
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self, X: npt.NDArray, predictions: npt.NDArray[np.float64], ages: npt.NDArray[np.float64]
    ) -> AgeCalibrator:
        """Learn from photos that the model had not seen.

        Parameters
        ----------
        X : ndarray of shape (n_photos, n_columns)
            What the regressor saw.
        predictions : ndarray of shape (n_photos,)
            Years, from a regressor that had not learnt from the photo.
        ages : ndarray of shape (n_photos,)
            True ages in years.

        Returns
        -------
        self
        """
        columns = self._columns(X, predictions)
        targets = np.log(np.abs(ages - predictions) + _SMALL_ERROR)
        self.scale_regressor_ = None
        scales = np.ones(len(ages))
        if len(ages) >= _MIN_PHOTOS_FOR_SCALES:
            folds = KFold(_FOLDS, shuffle=True, random_state=self.random_state)
            for train, test in folds.split(columns):
                trees = self._make_trees().fit(columns[train], targets[train])
                scales[test] = np.exp(trees.predict(columns[test]))
            self.scale_regressor_ = steady_trees(self._make_trees().fit(columns, targets), columns)
        return self.keep(predictions, ages, scales)

    def refit(
        self, X: npt.NDArray, predictions: npt.NDArray[np.float64], ages: npt.NDArray[np.float64]
    ) -> AgeCalibrator:
        """Learn how far off ages are from other photos; which faces are hard is known already.

        Parameters
        ----------
        X : ndarray of shape (n_photos, n_columns)
        predictions : ndarray of shape (n_photos,)
            Years.
        ages : ndarray of shape (n_photos,)
            True ages in years.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        return self.keep(predictions, ages, self._scales(X, predictions))

    def predict(self, X: npt.NDArray, predictions: npt.NDArray[np.float64]) -> AgeDistribution:
        """Tell what to believe about the ages of new faces.

        Parameters
        ----------
        X : ndarray of shape (n_faces, n_columns)
        predictions : ndarray of shape (n_faces,)
            Years.

        Returns
        -------
        AgeDistribution
        """
        check_is_fitted(self)
        return self.distribution(predictions, self._scales(X, predictions))

    def distribution(
        self, predictions: npt.NDArray[np.float64], scales: npt.NDArray[np.float64]
    ) -> AgeDistribution:
        """Put together distributions around ages, as wide as errors of these sizes make them.

        Parameters
        ----------
        predictions : ndarray of shape (n_faces,)
            Years; NaN where there is none.
        scales : ndarray of shape (n_faces,)
            Errors to expect, in years.

        Returns
        -------
        AgeDistribution
        """
        system = ConformalPredictiveSystem().fit(
            (self.ages_ - self.predictions_).astype(np.float64),
            self.scales_.astype(np.float64),
            self._bins(self.predictions_),
        )
        return AgeDistribution(
            predictions,
            scales,
            self._bins(predictions),
            system,
            self.whole_years_,
            self.fingerprint_,
        )

    @property
    def fingerprint_(self) -> str:
        """What tells this calibration from any other: 12 hexadecimal digits."""
        check_is_fitted(self)
        digest = hashlib.sha256()
        for errors in (self.predictions_, self.ages_, self.scales_):
            digest.update(np.ascontiguousarray(errors, dtype="<f4").tobytes())
        return digest.hexdigest()[:12]

    def keep(
        self,
        predictions: npt.NDArray[np.floating],
        ages: npt.NDArray[np.floating],
        scales: npt.NDArray[np.floating],
    ) -> AgeCalibrator:
        """Keep the errors of photos for which it is known how large an error was expected.

        Parameters
        ----------
        predictions : ndarray of shape (n_photos,)
            Years.
        ages : ndarray of shape (n_photos,)
            True ages in years.
        scales : ndarray of shape (n_photos,)
            Years.

        Returns
        -------
        self
        """
        self.predictions_ = np.asarray(predictions, dtype=np.float32)
        self.ages_ = np.asarray(ages, dtype=np.float32)
        self.scales_ = np.asarray(scales, dtype=np.float32)
        self.whole_years_ = bool((self.ages_ == np.floor(self.ages_)).all())
        n_bins = max(1, min(self.n_bins, len(self.ages_) // _MIN_PHOTOS_IN_BIN))
        shares = np.arange(1, n_bins) / n_bins
        # Edges that are predictions themselves leave no bin empty.
        edges = np.unique(np.quantile(self.predictions_, shares, method="lower"))
        self.edges_ = edges[edges < self.predictions_.max()]
        return self

    def _bins(self, predictions: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
        return np.searchsorted(self.edges_, predictions.astype(np.float32))

    def _scales(self, X, predictions) -> npt.NDArray[np.float64]:
        if self.scale_regressor_ is None or not len(predictions):
            return np.ones(len(predictions))
        told = self.scale_regressor_.predict(self._columns(X, predictions))
        return np.exp(told).astype(np.float64)

    def _columns(self, X, predictions) -> npt.NDArray[np.float32]:
        return np.column_stack([predictions, X]).astype(np.float32)

    def _make_trees(self) -> XGBRegressor:
        return XGBRegressor(
            n_estimators=100,
            learning_rate=0.06,
            max_depth=3,
            min_child_weight=50,
            subsample=0.7,
            colsample_bytree=0.5,
            tree_method="hist",
            random_state=self.random_state,
            n_jobs=self.n_jobs,
        )


def calibration_of(model: AgeEstimator | AgeCalibrator) -> AgeCalibrator:
    """Take from a model what it knows of its errors.

    Parameters
    ----------
    model : AgeEstimator or AgeCalibrator
        A model, or its ``calibration_``.

    Returns
    -------
    AgeCalibrator

    Raises
    ------
    ValueError
        If the model does not know how far its ages are off.
    """
    calibration = model if isinstance(model, AgeCalibrator) else model.calibration_
    if calibration is None:
        raise ValueError(
            "this model does not know how far its ages are off: fit it with interval_folds=5 and "
            f"at least {MIN_PHOTOS} photos, or call calibrate(photos, ages)"
        )
    return calibration
