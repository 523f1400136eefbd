"""How far an age can be off, learnt from the errors of out-of-fold predictions."""

from __future__ import annotations

import copy
import hashlib
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from crepes import ConformalPredictiveSystem
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted
from xgboost import XGBRegressor

from ageboost.models._cuts import steady_trees
from ageboost.models._fitting import fit_rows, predict_folds
from ageboost.models._rows_on_disk import Rows, RowsOnDisk
from ageboost.models._stages import Stages
from ageboost.models.distribution import AgeDistribution
from ageboost.models.young_ages import YoungAges, knows_the_young

__all__ = ["MIN_PHOTOS", "AgeCalibrator", "calibration_of"]

MIN_PHOTOS = 20
_FOLDS = 3
# With fewer photos, which faces are hard cannot be learnt: errors of all count alike.
_MIN_PHOTOS_FOR_SCALES = 200
_MIN_PHOTOS_IN_BIN = 100
# Errors of elsewhere that go with those of few photos of one's own; tails need many.
_N_PRIOR = 100
# People who stand for all where it is asked how old these are together.
_N_BELIEVED = 500
# An error of less than half a year is as good as none.
_SMALL_ERROR = 0.5


class AgeCalibrator(BaseEstimator):
    """Predictive distributions of ages, as wide as errors were for such faces.

    Boosted trees learn how large an error to expect for a face, and errors of photos that the model
    had not seen are kept in this unit, apart for each bin of predicted ages. A new face's age is
    believed to be off as theirs were. So the distributions hold for children and for old people
    alike, and are wider for a face whose age is hard to estimate.

    Parameters
    ----------
    n_bins : int, default=10
        Bins of predicted age, with as many photos in each; fewer where there are less than a
        thousand photos.
    random_state : int or None, default=None
        Of the folds and of the trees.
    n_jobs : int, optional
        Threads; by default all cores.

    Attributes
    ----------
    scale_regressor_ : XGBRegressor or None
        Predicts the logarithm of the error to expect; None if there were too few photos.
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
    prior_errors_ : ndarray of shape (n_errors,) or None
        Errors, in units of those that were expected, which count beside those of the photos in
        every bin: what was known before the model was adapted to few photos.
    earlier_ : ndarray of shape (3, n_people) or None
        Predictions, ages and scales of people who were known before the model was adapted or
        calibrated anew, as they would be here: off as far together as those of the photos, and as
        far apart. They stand for ages of which there are few photos: see
        :func:`ageboost.models.known_people.known_people`.
    young_ : YoungAges or None
        What is known of the young; None where there were too few of them.
    fingerprint_ : str
        What identifies this calibration.

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

    # Where it was not adapted, and in files of earlier releases.
    prior_errors_: npt.NDArray[np.float32] | None = None
    earlier_: npt.NDArray[np.float32] | None = None
    young_: YoungAges | None = None

    def __init__(self, n_bins=10, random_state=None, n_jobs=None):
        self.n_bins = n_bins
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Rows,
        predictions: npt.NDArray[np.float64],
        ages: npt.NDArray[np.float64],
        stages: Stages | None = None,
    ) -> AgeCalibrator:
        """Learn from photos that the model had not seen.

        Parameters
        ----------
        X : ndarray of shape (n_photos, n_columns) or RowsOnDisk
            What the regressor saw.
        predictions : ndarray of shape (n_photos,)
            Years, from a regressor that had not learnt from the photo.
        ages : ndarray of shape (n_photos,)
            True ages in years.
        stages : Stages, optional
            What keeps the errors that were expected of each fold. By default nothing does.

        Returns
        -------
        self
        """
        stages = stages or Stages()
        columns = self._columns(X, predictions)
        targets = np.log(np.abs(ages - predictions) + _SMALL_ERROR)
        self.scale_regressor_ = None
        scales = np.ones(len(ages))
        if len(ages) >= _MIN_PHOTOS_FOR_SCALES:
            folds = KFold(_FOLDS, shuffle=True, random_state=self.random_state)
            logarithms = predict_folds(
                self._make_trees(), columns, targets, None, folds, stages, "expected-errors"
            )
            scales = np.exp(logarithms).astype(np.float64)
            trees = fit_rows(self._make_trees(), columns, targets)
            self.scale_regressor_ = steady_trees(trees, columns)
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
        before = copy.copy(self)
        self.keep(predictions, ages, self._scales(X, predictions))
        return self._pool(before)

    def expect_errors(
        self, X: npt.NDArray, predictions: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Expect errors of new faces, as large as they were for such faces.

        Parameters
        ----------
        X : ndarray of shape (n_faces, n_columns)
        predictions : ndarray of shape (n_faces,)
            Years.

        Returns
        -------
        ndarray of shape (n_faces,)
            Years.
        """
        return self._scales(X, predictions)

    def adapt(
        self,
        predictions: npt.NDArray[np.floating],
        ages: npt.NDArray[np.floating],
        scales: npt.NDArray[np.floating],
    ) -> AgeCalibrator:
        """Put errors of few photos of one camera in the place of those that are kept.

        Few photos say how large errors are there, and little of how far the largest go. So a
        hundred of the errors that were known before, made as large as those here, count beside
        them; the more photos there are, the less they matter.

        Parameters
        ----------
        predictions : ndarray of shape (n_photos,)
            Years, from a model that had not learnt from the photo.
        ages : ndarray of shape (n_photos,)
            True ages in years.
        scales : ndarray of shape (n_photos,)
            Errors that were expected, in years.

        Returns
        -------
        self
        """
        before = copy.copy(self) if hasattr(self, "ages_") else None
        self.keep(predictions, ages, scales)
        if before is not None:
            shares = (np.arange(_N_PRIOR) + 0.5) / _N_PRIOR
            shape = np.quantile(self._errors_here(before.own_people()), shares)
            self.prior_errors_ = shape.astype(np.float32)
            self._pool(before)
        return self

    def predict(self, X: npt.NDArray, predictions: npt.NDArray[np.float64]) -> AgeDistribution:
        """Predict distributions of the ages of new faces.

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
        errors = (self.ages_ - self.predictions_).astype(np.float64)
        units = self.scales_.astype(np.float64)
        kept_bins = self._bins(self.predictions_)
        if self.prior_errors_ is not None:
            n_bins = len(self.edges_) + 1
            errors = np.concatenate([errors, np.tile(self.prior_errors_, n_bins)])
            units = np.concatenate([units, np.ones(len(self.prior_errors_) * n_bins)])
            prior_bins = np.repeat(np.arange(n_bins), len(self.prior_errors_))
            kept_bins = np.concatenate([kept_bins, prior_bins])
        system = ConformalPredictiveSystem().fit(errors, units, kept_bins)
        return AgeDistribution(
            predictions,
            scales,
            self._bins(predictions),
            system,
            self.whole_years_,
            self.fingerprint_,
            self.young_,
        )

    def own_people(self) -> npt.NDArray[np.float32]:
        """Return predictions, ages and scales of the people in one's own photos.

        Returns
        -------
        ndarray of shape (3, n_people)
        """
        return np.stack([self.predictions_, self.ages_, self.scales_])

    def believed_ages(self) -> npt.NDArray[np.float64]:
        """Compute how old those who were learnt from are believed to be together.

        Returns
        -------
        ndarray of shape (121,)
            Shares of people of 0 to 120 years completed.
        """
        check_is_fitted(self)
        # Those from whom it was learnt what is said of the young.
        known = self.own_people() if knows_the_young(self.ages_) else self._everybody()
        return self._believe(known[0], known[2])

    def _believe(
        self, predictions: npt.NDArray[np.float32], scales: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        some = np.argsort(predictions, kind="stable")[:: -(-len(predictions) // _N_BELIEVED)]
        believed = self.distribution(
            predictions[some].astype(np.float64), scales[some].astype(np.float64)
        )
        return believed.of_each_age().mean(axis=0)

    @property
    def fingerprint_(self) -> str:
        """What identifies this calibration: 12 hexadecimal digits."""
        check_is_fitted(self)
        digest = hashlib.sha256()
        known = [self.predictions_, self.ages_, self.scales_]
        for errors in known if self.prior_errors_ is None else [*known, self.prior_errors_]:
            digest.update(np.ascontiguousarray(errors, dtype="<f4").tobytes())
        if self.young_ is not None:
            digest.update(np.ascontiguousarray(self.young_.levels_, dtype="<f4").tobytes())
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
        self.prior_errors_ = self.earlier_ = None
        self.whole_years_ = bool((self.ages_ == np.floor(self.ages_)).all())
        n_bins = max(1, min(self.n_bins, len(self.ages_) // _MIN_PHOTOS_IN_BIN))
        shares = np.arange(1, n_bins) / n_bins
        # Edges that are predictions themselves leave no bin empty.
        edges = np.unique(np.quantile(self.predictions_, shares, method="lower"))
        self.edges_ = edges[edges < self.predictions_.max()]
        self.young_ = None
        if knows_the_young(self.ages_):
            self._learn_young(self.predictions_, self.ages_, self.scales_)
        return self

    def _learn_young(
        self,
        predictions: npt.NDArray[np.float32],
        ages: npt.NDArray[np.float32],
        scales: npt.NDArray[np.float32],
    ) -> None:
        """Learn from people what is to be said of the young."""
        years, cuts = ages.astype(np.float64), YoungAges.cuts(self.whole_years_)
        self.young_ = None
        said = self.distribution(predictions.astype(np.float64), scales.astype(np.float64))
        self.young_ = YoungAges().fit(
            years, said.shares_below(years[:, None])[:, 0], said.shares_below(cuts[None])
        )

    def _pool(self, before: AgeCalibrator) -> AgeCalibrator:
        """Keep people known before, who count where one's own photos show few of their age.

        They count as this camera would have shown them: off as far together, and as far apart.
        """
        known = before._everybody()
        _, ages, scales = known
        together = np.median((self.ages_ - self.predictions_) / self.scales_)
        errors = (self._errors_here(known) + together) * scales
        self.earlier_ = np.stack([(ages - errors).clip(0), ages, scales]).astype(np.float32)
        if self.young_ is None:
            self.young_ = before.young_
            if knows_the_young(ages):
                self._learn_young(*self._everybody())
        return self

    def _everybody(self) -> npt.NDArray[np.float32]:
        """The same of all who are known."""
        own = self.own_people()
        return own if self.earlier_ is None else np.concatenate([own, self.earlier_], axis=1)

    def _errors_here(self, known: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Errors of known people, in units of those expected, as far apart as those here."""
        here, there = (
            errors - np.median(errors)
            for errors in (
                (ages - predictions) / scales
                for predictions, ages, scales in (self.own_people(), known)
            )
        )
        size, usual = (np.quantile(np.abs(errors), (0.5, 0.8)) for errors in (here, there))
        return there * np.divide(size, usual, out=np.ones(2), where=usual > 0).mean()

    def _bins(self, predictions: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
        return np.searchsorted(self.edges_, predictions.astype(np.float32))

    def _scales(self, X, predictions) -> npt.NDArray[np.float64]:
        if self.scale_regressor_ is None or not len(predictions):
            return np.ones(len(predictions))
        log_scales = self.scale_regressor_.predict(self._columns(X, predictions))
        return np.exp(log_scales).astype(np.float64)

    def _columns(self, X, predictions) -> Any:
        if isinstance(X, RowsOnDisk):
            return X.beside(predictions)
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


class Calibrated(Protocol):
    """A model that may know how far its ages are off, such as an :class:`AgeEstimator`."""

    @property
    def calibration_(self) -> AgeCalibrator | None:
        """What it knows of its errors."""


def calibration_of(model: Calibrated | AgeCalibrator) -> AgeCalibrator:
    """Return what a model knows of its errors.

    Parameters
    ----------
    model : AgeEstimator, AgeRegressor or AgeCalibrator
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
