"""A matrix of features to ages: reduction, trees and calibration as one regressor."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from reprlib import repr as brief
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.model_selection import KFold
from sklearn.utils.validation import validate_data

from ageboost._arrays import with_arrays
from ageboost._progress import stage
from ageboost.faces.face import Quality
from ageboost.models._checks import (
    check_ages,
    check_people,
    check_regressor,
    check_rows,
    check_weight,
    row_names,
)
from ageboost.models._cuts import steady_trees
from ageboost.models._fitting import fit_rows, predict_folds
from ageboost.models._named_parts import NamedParts
from ageboost.models._one_row import SingleRows
from ageboost.models._rows import fit_reduction, predict_rows, transform_rows
from ageboost.models._rows_on_disk import Rows
from ageboost.models._stages import Stages
from ageboost.models.adaptation import AgeCorrection, correct_ages, learn_correction
from ageboost.models.calibration import MIN_PHOTOS, AgeCalibrator, calibration_of
from ageboost.models.distribution import AgeDistribution
from ageboost.models.early_stopping import choose_number_of_trees
from ageboost.models.familiarity import Looks
from ageboost.models.kernel import KernelScores
from ageboost.models.model_terms import add_photo_terms
from ageboost.models.reduction import GroupedPCA
from ageboost.models.regressors import make_regressor, move_to_cpu
from ageboost.models.reliability import LEAST_QUALITY, learn_quality_threshold
from ageboost.models.second_opinion import SecondOpinion
from ageboost.models.shrinkage import ShrinkageCorrection
from ageboost.terms import PartTerms, StatedTerms, photo_terms

__all__ = ["AgeRegressor"]

_REDUCTIONS = {"kernel": KernelScores, "pca": GroupedPCA}


class AgeRegressor(RegressorMixin, NamedParts):
    """Ages, and how far each may be off, from a matrix of features.

    What :class:`AgeEstimator` does behind its features, for those who have a matrix: a reduction,
    boosted trees on what it returns, and a calibration of their errors from out-of-fold
    predictions. Computes in single precision.

    Parameters
    ----------
    reduction : {"kernel", "pca"}, transformer or None, default="kernel"
        What stands between features and regressor: ``"kernel"`` is :class:`KernelScores`, ``"pca"``
        is :class:`GroupedPCA`.
    regressor : {"xgboost", "catboost", "blend"} or regressor, default="xgboost"
        See :func:`make_regressor`. Any scikit-learn regressor on numbers.
    interval_folds : int or None, default=5
        Number of folds for the out-of-fold predictions that calibrate ranges; each is one more fit
        of the regressor. None leaves ranges out, which makes searches faster.
    early_stopping_rounds : int, optional
        See :class:`AgeEstimator`.
    n_jobs : int, optional
        Threads of a regressor given by name; by default all cores.
    device : {"cpu", "cuda"}, optional
        Where trees grow if the regressor is given by name. By default the processor.
    random_state : int or None, default=None
        Of the reduction and the regressor, where they are given by name, and of the folds.
    commercial : bool, default=False
        Whether to refuse photos that a business may not use; those without stated terms are
        taken to be the user's own.

    Attributes
    ----------
    reduction_ : transformer or None
    regressor_ : regressor
    calibration_ : AgeCalibrator or None
        How far ages can be off.
    second_opinion_ : SecondOpinion or None
        Which other answer counts where a photo looks foreign; models that ship may have one.
    shrinkage_ : ShrinkageCorrection or None
        How ages are drawn away from the middle; models that ship may have one.
    correction_ : AgeCorrection or None
        How ages are corrected for a camera that the model was adapted to.
    quality_threshold_ : float or None
        Faces of a lower quality should not be relied on; None if it is not known.
    looks_ : Looks or None
        What the photos look like that its ranges hold for; None if their qualities are not known.
    n_photos_ : int
        How many photos it was trained on.
    photo_terms_ : list of PartTerms
        On what terms the photos may be used that it was trained on.
    n_features_in_ : int

    See Also
    --------
    AgeEstimator : From photos to ages.

    References
    ----------
    D. Wolpert, "Stacked Generalization", Neural Networks 1992.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models import AgeRegressor
    >>> X = np.random.default_rng(0).normal(size=(300, 8))
    >>> ages = 40 + 10 * np.sin(X[:, 0]) + 5 * X[:, 1]
    >>> regressor = AgeRegressor(random_state=0)
    >>> regressor.fit(X, ages, groups=["hog"] * 4 + ["lbp"] * 4).score(X, ages) > 0.8
    True
    >>> regressor.predict_distribution(X).interval(0.9).shape
    (300, 2)
    """

    # Models that were neither adapted nor given another network's answer, and earlier releases'.
    second_opinion_: SecondOpinion | None = None
    shrinkage_: ShrinkageCorrection | None = None
    correction_: AgeCorrection | None = None
    looks_: Looks | None = None
    photo_terms_: Sequence[PartTerms] = photo_terms(None)

    _single: SingleRows | None = None
    _part_names = ("reduction", "regressor")
    # Each row's age is the same, whatever other rows come with it.
    _computes_rows_apart = True

    def __init__(
        self,
        reduction="kernel",
        regressor="xgboost",
        *,
        interval_folds=5,
        early_stopping_rounds=None,
        n_jobs=None,
        device=None,
        random_state=None,
        commercial=False,
    ):
        self.reduction = reduction
        self.regressor = regressor
        self.interval_folds = interval_folds
        self.early_stopping_rounds = early_stopping_rounds
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.commercial = commercial

    def make_part(self, part: str, name: str) -> Any:
        """Make reduction or regressor by name: see :class:`NamedParts`."""
        if part == "regressor":
            return make_regressor(name, self.random_state, self.n_jobs, self.device or "cpu")
        if name not in _REDUCTIONS:
            raise ValueError(
                f"reduction={brief(name)}: pass one of {', '.join(map(repr, _REDUCTIONS))}, "
                "None or a transformer"
            )
        return _REDUCTIONS[name](random_state=self.random_state)

    def check_settings(self) -> None:
        """Check parameters that can be wrong by themselves, and raise for the first that is."""
        check_regressor(self.interval_folds, self.early_stopping_rounds, self.device)

    @with_arrays
    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        groups: Sequence[str] | None = None,
        qualities: Sequence[Quality] | None = None,
        terms: StatedTerms = None,
    ) -> AgeRegressor:
        """Learn from features of people whose ages are known.

        Parameters
        ----------
        X : array-like of shape (n_photos, n_features)
            No NaN.
        y : array-like of shape (n_photos,)
            Years.
        sample_weight : array-like of shape (n_photos,), optional
        groups : sequence of str of length n_features, optional
            The group of each feature, as for :meth:`KernelScores.fit`: see
            :func:`ageboost.models.reduction.feature_groups`.
        qualities : sequence of Quality of length n_photos, optional
            Of the faces, from which it is learnt which should not be relied on.
        terms : str, PartTerms or sequence of these, optional
            As for :meth:`AgeEstimator.fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the matrix or the ages hold NaN, or an age is below 0.
        TermsError
            If ``commercial=True`` and the photos are not for that.
        """
        self.check_settings()
        photos_allow = add_photo_terms((), terms, self.commercial)
        rows, years = validate_data(
            self, X, y, dtype=np.float32, y_numeric=True, ensure_min_samples=2
        )
        if years.min() < 0:
            raise ValueError(f"y holds ages below 0, the lowest {years.min():g}: correct them")
        years = years.astype(np.float64)
        weight = check_weight(sample_weight, len(rows))
        reduction = self.parts()["reduction"]
        reduction, reduced = fit_reduction(reduction, rows, years, weight, groups)
        return self.fit_reduced(reduction, reduced, years, weight, qualities, photos_allow)

    @with_arrays
    def fit_reduced(
        self,
        reduction: Any,
        rows: Rows,
        years: npt.NDArray[np.float64],
        weight: npt.NDArray[np.float64] | None,
        qualities: Sequence[Quality] | None,
        photos_allow: Sequence[PartTerms],
        stages: Stages | None = None,
    ) -> AgeRegressor:
        """Learn behind a reduction that is fitted, from what has been checked: see :meth:`fit`.

        Parameters
        ----------
        reduction : transformer or None
        rows : ndarray of shape (n_photos, n_columns) or RowsOnDisk
            What the regressor is fitted on.
        years, weight : ndarray of shape (n_photos,)
            The weight may be None, and qualities, too.
        qualities : sequence of Quality of length n_photos
        photos_allow : sequence of PartTerms
        stages : Stages, optional
            What keeps predictions of each fold, so that a killed fit goes on. By default nothing.

        Returns
        -------
        self
        """
        stages = stages or Stages()
        self._single = SingleRows()
        self.second_opinion_ = self.shrinkage_ = self.correction_ = None
        self.reduction_ = reduction
        regressor = self.parts()["regressor"]
        if (patience := self.early_stopping_rounds) is not None:
            with stage("Choosing the number of trees"):
                regressor = choose_number_of_trees(
                    regressor, rows, years, weight, patience, self.random_state, stages
                )
        # One for each fold takes nearly as long as the one that remains.
        with stage("Fitting regressors", 1 + (self.interval_folds or 0)) as advance:
            self.calibration_ = self._calibrate(regressor, rows, years, weight, advance, stages)
            self.quality_threshold_: float | None = None
            if qualities is not None and (found := self.calibration_) is not None:
                self.quality_threshold_ = learn_quality_threshold(
                    found.predictions_, found.ages_, qualities
                )
            self._learn_looks(rows, years, qualities)
            fitted = move_to_cpu(fit_rows(regressor, rows, years, weight))
            self.regressor_ = steady_trees(fitted, rows)
            advance()
        self.n_photos_ = len(years)
        self.photo_terms_ = photos_allow
        return self

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Estimate ages.

        Parameters
        ----------
        X : array-like of shape (n_photos, n_features)

        Returns
        -------
        ndarray of shape (n_photos,)
            Years.

        Raises
        ------
        ValueError
            If the matrix has other columns, or holds NaN.

        Examples
        --------
        >>> import ageboost
        >>> from skimage.data import astronaut
        >>> model = ageboost.load_pretrained()
        >>> matrix = model.features_.transform([astronaut()])
        >>> bool(model.age_regressor_.predict(matrix) == model.predict([astronaut()]))
        True
        """
        return self._estimate(check_rows(self, X))[1]

    def predict_distribution(self, X: npt.ArrayLike) -> AgeDistribution:
        """Estimate ages with how far each may be off.

        Parameters
        ----------
        X : array-like of shape (n_photos, n_features)

        Returns
        -------
        AgeDistribution
            For ranges, quantiles and probabilities.

        Raises
        ------
        ValueError
            If the matrix has other columns, or holds NaN, or the model was fitted without
            ``interval_folds``.
        """
        rows = check_rows(self, X)
        return calibration_of(self).predict(*self._estimate(rows))

    def calibrate(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        qualities: Sequence[Quality] | None = None,
        terms: StatedTerms = None,
    ) -> AgeRegressor:
        """Learn anew how far ages can be off, from photos that the model was not trained on.

        Parameters
        ----------
        X : array-like of shape (n_photos, n_features)
        y : array-like of shape (n_photos,)
            Years, from 0 to 120.
        qualities : sequence of Quality of length n_photos, optional
            Of the faces. Without them, the threshold of quality stays as it is.
        terms : str, PartTerms or sequence of these, optional
            As for :meth:`fit`; they are added to those of the model.

        Returns
        -------
        self

        Raises
        ------
        LabelsError
            If an age is missing or not from 0 to 120.
        ValueError
            If the matrix has other columns, or holds NaN, or has fewer than 20 rows.
        TermsError
            As for :meth:`fit`.
        """
        rows = check_rows(self, X)
        photos_allow = add_photo_terms(self.photo_terms_, terms, self.commercial)
        years = check_ages(y, row_names(len(rows)))
        if len(rows) < MIN_PHOTOS:
            raise ValueError(
                f"{len(rows)} photos are too few to learn from how far ages are off: "
                f"give {MIN_PHOTOS} or, better, some hundred"
            )
        reduced, predictions = self._estimate(rows)
        if self.calibration_ is None:
            self.calibration_ = self._make_calibrator().fit(reduced, predictions, years)
        else:
            # Copies of this regressor share what was fitted: change a copy of it.
            self.calibration_ = copy.copy(self.calibration_).refit(reduced, predictions, years)
        if qualities is not None:
            least = max(LEAST_QUALITY, self.quality_threshold_ or 0.0)
            found = self.calibration_
            self.quality_threshold_ = learn_quality_threshold(
                found.predictions_, found.ages_, qualities, least
            )
            self._learn_looks(rows, predictions, qualities)
        self.photo_terms_ = photos_allow
        return self

    def adapt(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        terms: StatedTerms = None,
        qualities: Sequence[Quality] | None = None,
    ) -> AgeRegressor:
        """Correct ages for one camera, and learn anew how far they can be off.

        Parameters
        ----------
        X : array-like of shape (n_photos, n_features)
        y : array-like of shape (n_photos,)
            Years, from 0 to 120.
        groups : array-like of shape (n_photos,), optional
            Who is on each photo. By default everybody is on one photo.
        terms : str, PartTerms or sequence of these, optional
            As for :meth:`calibrate`.
        qualities : sequence of Quality of length n_photos, optional
            Of the faces, so that the model knows the camera again.

        Returns
        -------
        self

        Raises
        ------
        LabelsError
            If an age is missing or not from 0 to 120.
        ValueError
            If the matrix has other columns, or holds NaN, or has fewer than 25 rows, or rows of
            fewer than 5 people.
        TermsError
            As for :meth:`fit`.
        """
        rows = check_rows(self, X)
        photos_allow = add_photo_terms(self.photo_terms_, terms, self.commercial)
        years = check_ages(y, row_names(len(rows)))
        people = check_people(groups, len(rows))
        reduced, plain = self._plain_ages(rows)
        scales = np.ones(len(rows))
        if self.calibration_ is not None:
            scales = self.calibration_.expect_errors(reduced, plain)
        correction = learn_correction(plain, self.shrinkage_, years, scales, people)
        # Copies of this regressor share what was fitted: change a copy of it.
        calibrator = copy.copy(self.calibration_ or self._make_calibrator())
        self.calibration_ = calibrator.adapt(years - correction.errors_, years, scales)
        self.correction_ = correction
        if qualities is not None:
            self._learn_looks(rows, correct_ages(plain, self.shrinkage_, correction), qualities)
        self.photo_terms_ = photos_allow
        return self

    def texture(self, X: npt.NDArray[np.floating]) -> npt.NDArray[np.float64] | None:
        """Compute how foreign photos look in texture, for :class:`Looks`.

        Parameters
        ----------
        X : ndarray of shape (n_photos, n_features)

        Returns
        -------
        ndarray of shape (n_photos,) or None
            None where there is no second opinion.
        """
        opinion = self.second_opinion_
        return None if opinion is None else opinion.log_odds(X)

    def _estimate(
        self, rows: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Compute the columns that the regressor reads, and the ages."""
        reduced, plain = self._plain_ages(rows)
        return reduced, correct_ages(plain, self.shrinkage_, self.correction_)

    def _plain_ages(self, rows) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Compute the same, before ages are corrected."""
        reduced = transform_rows(self.reduction_, rows)
        ages = predict_rows(self.regressor_, reduced, self._single).clip(0)
        if self.second_opinion_ is not None and len(rows):
            ages = self.second_opinion_.revise(rows, ages)
        return reduced, ages

    def _calibrate(self, regressor, rows, ages, weight, advance, stages) -> AgeCalibrator | None:
        if self.interval_folds is None or len(ages) < MIN_PHOTOS:
            return None
        folds = KFold(self.interval_folds, shuffle=True, random_state=self.random_state)
        found = predict_folds(regressor, rows, ages, weight, folds, stages, "predictions", advance)
        predictions = found.astype(np.float64).clip(0)
        return self._make_calibrator().fit(rows, predictions, ages, stages)

    def _make_calibrator(self) -> AgeCalibrator:
        return AgeCalibrator(random_state=self.random_state, n_jobs=self.n_jobs)

    def _learn_looks(self, rows, ages, qualities: Sequence[Quality] | None) -> None:
        self.looks_ = None
        if qualities is not None:
            self.looks_ = Looks().fit(qualities, ages, self.texture(rows))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_single"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._single = SingleRows()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags
