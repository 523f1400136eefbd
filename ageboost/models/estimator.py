"""Photos to ages: the whole pipeline as one scikit-learn regressor."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence, Sized
from inspect import signature
from reprlib import repr as brief
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_array, check_is_fitted

from ageboost._arrays import returning_arrays, with_arrays
from ageboost._device import check_device
from ageboost._progress import stage, track
from ageboost.errors import LabelsError, PhotoError, PhotosError
from ageboost.faces import FaceFinder
from ageboost.faces.face import Quality
from ageboost.features import ExtractedBatch, FaceFeatures
from ageboost.features.extraction import FEATURE_SETS
from ageboost.models._cuts import steady_trees
from ageboost.models._named_parts import carry_over
from ageboost.models._rows import predict_rows, transform_rows
from ageboost.models.adaptation import AgeCorrection
from ageboost.models.calibration import MIN_PHOTOS, AgeCalibrator, calibration_of
from ageboost.models.distribution import OLDEST, AgeDistribution
from ageboost.models.early_stopping import with_trees_that_help
from ageboost.models.kernel import KernelScores
from ageboost.models.reduction import GroupedPCA, feature_groups
from ageboost.models.regressors import make_regressor, move_to_cpu
from ageboost.models.reliability import (
    LEAST_QUALITY,
    choose_quality_threshold,
    relative_errors,
)
from ageboost.models.second_opinion import SecondOpinion
from ageboost.models.terms import check_commercial, feature_terms
from ageboost.photos import check_photos, photo_name
from ageboost.terms import PartTerms, StatedTerms, Terms, photo_terms

__all__ = ["AgeEstimator"]

_REDUCTIONS = {"kernel": KernelScores, "pca": GroupedPCA}
_PARTS = ("features", "reduction", "regressor")


class AgeEstimator(RegressorMixin, BaseEstimator):
    """Estimates the age of people from photos of their faces.

    Finds the face in each photo, measures it, reduces the measurements and lets boosted trees tell
    the age. All of it is one scikit-learn regressor whose ``X`` is a list of photos.

    Parameters
    ----------
    features : {"all", "classical", "cnn", "shop", "open", "accurate", "fast"} or FaceFeatures, \
            default="all"
        ``"classical"`` is HOG, LBP and the geometry of the landmarks; ``"cnn"`` the inner levels of
        two public-domain networks; ``"all"`` both; ``"shop"`` a MobileNet as well, and nothing that
        forbids commercial use; ``"open"`` what two networks answer by themselves; ``"accurate"``
        and ``"fast"`` use networks that were trained on UTKFace, for non-commercial research only:
        see :class:`FaceFeatures`.
    reduction : {"kernel", "pca"}, transformer or None, default="kernel"
        What stands between features and regressor: ``"kernel"`` is :class:`KernelScores`, ``"pca"``
        is :class:`GroupedPCA`.
    regressor : {"xgboost", "catboost", "blend"} or regressor, default="xgboost"
        See :func:`make_regressor`. Any scikit-learn regressor on numbers.
    interval_folds : int or None, default=5
        Number of folds for the out-of-fold predictions from which it is learnt how far ages can be
        off; each is one more fit of the regressor. None leaves that out, which makes searches
        faster.
    early_stopping_rounds : int, optional
        Stop adding trees when this many in a row have not made ages better for a tenth of the
        photos, which is held out; then learn from all photos with as many trees as helped. The
        regressor's own number of trees, such as ``regressor__n_estimators``, is the most. For
        XGBoost and CatBoost. By default the number of trees is what the regressor says.
    on_error : {"raise", "nan"}, default="raise"
        What to do with photos that give no age. ``"raise"`` raises one error for all of them.
        ``"nan"`` gives them NaN in ``predict`` and leaves them out of ``fit`` with a warning.
    cache : path, optional
        Folder to keep features in, so that no photo is measured twice. Features tell who somebody
        is: treat it as personal data. Goes before the cache of ``features``.
    n_jobs : int, optional
        Processes for photos and threads for the regressor; -1 for all cores. By default one
        process, and the regressor's own default. Goes before that of ``features``.
    device : {"cpu", "cuda"}, optional
        Where networks run, and where trees grow if the regressor is given by name; fitted trees
        answer on the processor. CUDA needs the package onnxruntime-gpu in the place of onnxruntime
        if there are networks. Goes before that of ``features``. By default the processor.
    random_state : int or None, default=None
        Of the reduction and the regressor, where they are given by name, and of the folds. They
        follow it, and ``n_jobs`` and ``device``, in whatever order parameters are set.
    commercial : bool, default=False
        Whether to use nothing but what a business may use, and to refuse the rest by name: features
        given by name are aligned by 5 landmarks instead of 68, and photos count as the user's own
        unless their ``terms`` are stated.

    Attributes
    ----------
    features_ : FaceFeatures
    reduction_ : transformer or None
    regressor_ : regressor
    calibration_ : AgeCalibrator or None
        How far ages can be off.
    second_opinion_ : SecondOpinion or None
        Which other answer counts where a photo looks foreign; models that ship may have one.
    correction_ : AgeCorrection or None
        How ages are corrected for a camera that the model was adapted to.
    quality_threshold_ : float or None
        Faces of a lower quality should not be relied on; None if it is not known.
    n_photos_ : int
        How many photos the model has learnt from.
    photo_terms_ : list of PartTerms
        On what terms the photos may be used that the model has learnt from.
    left_out_ : list of (int, PhotoError)
        Position and fault of each photo that was left out of ``fit`` or ``calibrate``, whichever
        came last.

    See Also
    --------
    ageboost.load_pretrained : A model that is fitted already.

    Examples
    --------
    >>> import ageboost
    >>> from skimage.data import astronaut
    >>> model = ageboost.load_pretrained()
    >>> [age] = model.predict([astronaut()])
    >>> bool(20 < age < 50)
    True

    A search looks into every part by name:

    >>> from ageboost import AgeEstimator
    >>> estimator = AgeEstimator("classical", interval_folds=None)
    >>> estimator.set_params(features__hog__cell_size=8, regressor__max_depth=4)
    AgeEstimator(...)
    """

    # Models of earlier releases have none, nor have those that were not adapted.
    second_opinion_: SecondOpinion | None = None
    correction_: AgeCorrection | None = None

    # In place of X and y, which scikit-learn knows by these names only.
    __metadata_request__fit = {"photos": UNUSED, "ages": UNUSED}  # noqa: RUF012
    __metadata_request__predict = {"photos": UNUSED}  # noqa: RUF012
    __metadata_request__score = {"photos": UNUSED, "ages": UNUSED}  # noqa: RUF012

    def __init__(
        self,
        features="all",
        *,
        reduction="kernel",
        regressor="xgboost",
        interval_folds=5,
        early_stopping_rounds=None,
        on_error="raise",
        cache=None,
        n_jobs=None,
        device=None,
        random_state=None,
        commercial=False,
    ):
        self.features = features
        self.reduction = reduction
        self.regressor = regressor
        self.interval_folds = interval_folds
        self.early_stopping_rounds = early_stopping_rounds
        self.on_error = on_error
        self.cache = cache
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.commercial = commercial

    @property
    def terms(self) -> Terms:
        """On what terms the fitted model may be used: networks, landmarks and photos."""
        check_is_fitted(self, "regressor_")
        return Terms((*feature_terms(self.features_), *self._photo_terms_so_far()))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get parameters, those of the parts included, also of parts given by name.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict of str to object
        """
        params = super().get_params(deep=False)
        if deep:
            for name, part in self._parts().items():
                if hasattr(part, "get_params"):
                    params |= {f"{name}__{k}": v for k, v in part.get_params().items()}
        return params

    def set_params(self, **params: object) -> AgeEstimator:
        """Set parameters, those of the parts included, also of parts given by name.

        Parameters
        ----------
        **params : object

        Returns
        -------
        self
        """
        own = {name: value for name, value in params.items() if "__" not in name}
        inner = {name: value for name, value in params.items() if "__" in name}
        if not own.keys() <= super().get_params(deep=False).keys():
            return super().set_params(**own)
        # Parts that were put in the place of a name follow the seed, threads and device.
        follow = {
            part: (name, self._make(part, name))
            for part, (name, made) in self._parts_by_name().items()
            if part not in own and getattr(self, part) is made
        }
        for name, value in own.items():
            setattr(self, name, value)
        by_name = {}
        for part, (name, before) in follow.items():
            anew = carry_over(getattr(self, part), before, self._make(part, name))
            setattr(self, part, anew)
            by_name[part] = name, anew
        # A part given by name is a string: put the part there before its parameters are set.
        for part in {key.partition("__")[0] for key in inner} & {*_PARTS}:
            name = getattr(self, part)
            if isinstance(name, str):
                setattr(self, part, self._make(part, name))
                by_name[part] = name, getattr(self, part)
        self._by_name = by_name
        return super().set_params(**inner)

    def fit(
        self,
        photos: Iterable[object],
        ages: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        terms: StatedTerms = None,
    ) -> AgeEstimator:
        """Learn from photos of people whose ages are known.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        ages : array-like of shape (n_photos,)
            Years, from 0 to 120.
        sample_weight : array-like of shape (n_photos,), optional
        boxes : sequence of length n_photos, optional
            Faces found by another detector: left, top, right, bottom in pixels of the upright
            photo, for each photo; None for a photo where the face should be detected.
        cropped : bool, default=False
            Whether the photos are faces that another detector has cut out.
        terms : str, PartTerms or sequence of these, optional
            On what terms the photos may be used: ``"own"``, the name of a collection such as
            ``"utkface"``, or a record, as for :func:`ageboost.terms.photo_terms`.

        Returns
        -------
        self

        Raises
        ------
        LabelsError
            If an age is missing or not from 0 to 120.
        PhotosError
            If photos give no face and ``on_error="raise"``, or if none does.
        TermsError
            If ``commercial=True`` and photos, a network or landmarks are not for that.
        """
        self._check()
        photos = check_photos(photos)
        ages = _check_ages(ages, photos)
        weight = _check_weight(sample_weight, len(photos))
        self.features_ = clone(self._parts()["features"])
        self._check_terms(self.features_, terms)
        matrix, rows, qualities, failures = self._extract_known(photos, boxes, cropped, "fit")
        self.left_out_ = failures
        return self.fit_features(
            matrix, ages[rows], None if weight is None else weight[rows], qualities, terms
        )

    @with_arrays
    def fit_features(
        self,
        matrix: npt.ArrayLike,
        ages: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        qualities: Sequence[Quality] | None = None,
        terms: StatedTerms = None,
    ) -> AgeEstimator:
        """Learn from features that are there already.

        Parameters
        ----------
        matrix : array-like of shape (n_photos, n_features)
            The columns of ``features.get_feature_names_out()``, as ``features.transform`` gives
            them; no NaN.
        ages : array-like of shape (n_photos,)
            Years, from 0 to 120.
        sample_weight : array-like of shape (n_photos,), optional
        qualities : sequence of Quality of length n_photos, optional
            Of the faces, from which it is learnt which should not be relied on.
        terms : str, PartTerms or sequence of these, optional
            As for :meth:`fit`.

        Returns
        -------
        self

        Raises
        ------
        LabelsError
            If an age is missing or not from 0 to 120.
        ValueError
            If the matrix has other columns, or holds NaN.

        Examples
        --------
        >>> import numpy as np
        >>> from ageboost import AgeEstimator
        >>> from ageboost.features import FaceFeatures, LandmarkGeometry
        >>> features = FaceFeatures([("geometry", LandmarkGeometry())])
        >>> estimator = AgeEstimator(features, random_state=0)
        >>> matrix = np.random.default_rng(0).normal(size=(50, 136))
        >>> estimator.fit_features(matrix, 40 + matrix[:, 0]).predict_features(matrix).shape
        (50,)
        """
        self._check()
        parts = self._parts()
        self.features_ = clone(parts["features"])
        photos_allow = self._check_terms(self.features_, terms)
        self.second_opinion_ = self.correction_ = None
        rows = self._check_matrix(matrix)
        years = _check_ages(ages, [f"matrix row {row}" for row in range(len(rows))])
        weight = _check_weight(sample_weight, len(rows))
        rows = self._fit_reduction(rows, years, weight)
        regressor = parts["regressor"]
        if self.early_stopping_rounds is not None:
            patience = self.early_stopping_rounds
            with stage("Choosing the number of trees"):
                regressor = with_trees_that_help(
                    regressor, rows, years, weight, patience, self.random_state
                )
        fit_params = {} if weight is None else {"sample_weight": weight}
        # One for each fold takes nearly as long as the one that remains.
        with stage("Fitting regressors", 1 + (self.interval_folds or 0)) as advance:
            self.calibration_ = self._learn_calibration(regressor, rows, years, fit_params, advance)
            self._learn_quality_threshold(qualities)
            fitted = move_to_cpu(clone(regressor).fit(rows, years, **fit_params))
            self.regressor_ = steady_trees(fitted, rows)
            advance()
        self.n_photos_ = len(years)
        self.photo_terms_ = photos_allow
        return self

    def predict(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Estimate the age of the main person in each photo.

        That is the one with the largest face, where faces of which the detector is unsure count for
        less: see :meth:`ageboost.faces.FaceFinder.find`.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_photos,)
            Years.

        Raises
        ------
        PhotosError
            If photos give no age and ``on_error="raise"``; ``failures`` has all of them.
        """
        self._check_predict()
        parts = [np.empty(0)]
        failures: list[tuple[int, PhotoError]] = []
        n_photos = 0
        for batch in self.extract(photos, boxes, cropped):
            ages = np.full(batch.n_photos, np.nan)
            ages[_places(batch, n_photos)] = self._predict_matrix(batch.matrix)
            parts.append(ages)
            n_photos += batch.n_photos
            failures += batch.failures
        if failures and self.on_error == "raise":
            raise PhotosError(failures, n_photos)
        return np.concatenate(parts)

    def predict_features(self, matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Estimate ages from features that are there already.

        Parameters
        ----------
        matrix : array-like of shape (n_photos, n_features)
            As for :meth:`fit_features`.

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
        >>> bool(model.predict_features(matrix) == model.predict([astronaut()]))
        True
        """
        check_is_fitted(self, "regressor_")
        return self._predict_matrix(self._check_matrix(matrix))

    def predict_interval(
        self,
        photos: Iterable[object],
        coverage: float = 0.9,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Estimate between which ages the main person in each photo is.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        coverage : float, default=0.9
            Share of true ages that should lie inside.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_photos, 2)
            Lowest and highest age in years.

        Raises
        ------
        PhotosError
            If photos give no age and ``on_error="raise"``; ``failures`` has all of them.
        ValueError
            If the model was fitted without intervals.
        """
        return self.predict_distribution(photos, boxes, cropped).interval(coverage)

    def predict_over(
        self,
        photos: Iterable[object],
        age: npt.ArrayLike,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Tell how probable it is that the main person in each photo is of an age, or older.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        age : float or array-like of shape (n_ages,)
            Years, such as 18.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_photos,) or (n_photos, n_ages)
            Probabilities, which never rise with the age that is asked for.

        Raises
        ------
        PhotosError
            If photos give no age and ``on_error="raise"``; ``failures`` has all of them.
        ValueError
            If the model was fitted without ``interval_folds``.

        Examples
        --------
        >>> import ageboost
        >>> from skimage.data import astronaut
        >>> model = ageboost.load_pretrained()
        >>> model.predict_over([astronaut()], [12, 18, 60]).round(1).tolist()
        [[1.0, 1.0, 0.0]]
        """
        return self.predict_distribution(photos, boxes, cropped).over(age)

    def predict_quantiles(
        self,
        photos: Iterable[object],
        quantiles: npt.ArrayLike,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Tell the ages that a share of people who look like this are younger than.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        quantiles : array-like of shape (n_quantiles,)
            Shares above 0 and below 1.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_photos, n_quantiles)
            Years.

        Raises
        ------
        PhotosError
            If photos give no age and ``on_error="raise"``; ``failures`` has all of them.
        ValueError
            If the model was fitted without ``interval_folds``.
        """
        return self.predict_distribution(photos, boxes, cropped).quantiles(quantiles)

    def predict_distribution(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> AgeDistribution:
        """Tell all that is believed about the age of the main person in each photo.

        Intervals, quantiles and probabilities can be drawn from it without looking at the photos
        again.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        AgeDistribution
            Of n_photos faces; NaN for photos without an age.

        Raises
        ------
        PhotosError
            If photos give no age and ``on_error="raise"``; ``failures`` has all of them.
        ValueError
            If the model was fitted without ``interval_folds``.
        """
        self._check_predict()
        calibrator = calibration_of(self)
        parts = [np.empty((2, 0))]
        failures: list[tuple[int, PhotoError]] = []
        n_photos = 0
        for batch in self.extract(photos, boxes, cropped):
            found = self._distribution(batch.matrix)
            part = np.full((2, batch.n_photos), np.nan)
            part[:, _places(batch, n_photos)] = found.ages, found.scales
            parts.append(part)
            n_photos += batch.n_photos
            failures += batch.failures
        if failures and self.on_error == "raise":
            raise PhotosError(failures, n_photos)
        ages, scales = np.concatenate(parts, axis=1)
        return calibrator.distribution(ages, scales)

    def predict_distribution_features(self, matrix: npt.ArrayLike) -> AgeDistribution:
        """Tell what is believed about ages from features that are there already.

        Parameters
        ----------
        matrix : array-like of shape (n_photos, n_features)
            As for :meth:`fit_features`.

        Returns
        -------
        AgeDistribution

        Raises
        ------
        ValueError
            If the matrix has other columns, or holds NaN, or the model was fitted without
            ``interval_folds``.
        """
        check_is_fitted(self, "regressor_")
        return self._distribution(self._check_matrix(matrix))

    def calibrate(
        self,
        photos: Iterable[object],
        ages: npt.ArrayLike,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        terms: StatedTerms = None,
    ) -> AgeEstimator:
        """Learn anew how far ages can be off, from photos of one's own.

        Ages stay as they are; intervals and probabilities then hold for people and photos like
        these. Some hundred photos that the model has not learnt from are enough, taken where it
        will be used.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        ages : array-like of shape (n_photos,)
            Years, from 0 to 120.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.
        terms : str, PartTerms or sequence of these, optional
            As for :meth:`fit`; they are added to those of the model.

        Returns
        -------
        self

        Raises
        ------
        LabelsError
            If an age is missing or not from 0 to 120.
        PhotosError
            If photos give no face and ``on_error="raise"``, or if none does.
        ValueError
            If fewer than 20 photos are left.
        TermsError
            As for :meth:`fit`.
        """
        self._check_predict()
        photos = check_photos(photos)
        self._check_terms(self.features_, terms)
        years = _check_ages(ages, photos)
        matrix, rows, qualities, failures = self._extract_known(
            photos, boxes, cropped, "calibration"
        )
        self.left_out_ = failures
        return self.calibrate_features(matrix, years[rows], qualities, terms)

    def calibrate_features(
        self,
        matrix: npt.ArrayLike,
        ages: npt.ArrayLike,
        qualities: Sequence[Quality] | None = None,
        terms: StatedTerms = None,
    ) -> AgeEstimator:
        """Learn anew how far ages can be off, from features that are there already.

        Parameters
        ----------
        matrix : array-like of shape (n_photos, n_features)
            As for :meth:`fit_features`.
        ages : array-like of shape (n_photos,)
            Years, from 0 to 120.
        qualities : sequence of Quality of length n_photos, optional
            Of the faces. Without them, which faces are relied on stays as it is.
        terms : str, PartTerms or sequence of these, optional
            As for :meth:`calibrate`.

        Returns
        -------
        self

        Raises
        ------
        LabelsError
            If an age is missing or not from 0 to 120.
        ValueError
            If the matrix has other columns, or holds NaN, or has fewer than 20 rows.
        """
        check_is_fitted(self, "regressor_")
        photos_allow = self._check_terms(self.features_, terms, self._photo_terms_so_far())
        rows = self._check_matrix(matrix)
        years = _check_ages(ages, [f"matrix row {row}" for row in range(len(rows))])
        if len(rows) < MIN_PHOTOS:
            raise ValueError(
                f"{len(rows)} photos are too few to learn from how far ages are off: "
                f"give {MIN_PHOTOS} or, better, some hundred"
            )
        reduced, predictions = self._estimate(rows)
        if self.calibration_ is None:
            self.calibration_ = self._make_calibrator().fit(reduced, predictions, years)
        else:
            # What was fitted stays with copies of this model that share it.
            self.calibration_ = copy.copy(self.calibration_).refit(reduced, predictions, years)
        if qualities is not None:
            self._learn_quality_threshold(
                qualities, max(LEAST_QUALITY, self.quality_threshold_ or 0.0)
            )
        self.photo_terms_ = photos_allow
        return self

    def adapt(
        self,
        photos: Iterable[object],
        ages: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        terms: StatedTerms = None,
    ) -> AgeEstimator:
        """Adapt to one's own camera: correct ages, and learn anew how far they can be off.

        From 25 photos on. Ages are corrected as far as the photos bear it out, and not at all where
        a correction is no better in cross-validation: see :class:`AgeCorrection`. Ranges and
        probabilities then hold for people and photos like these. What an earlier call learnt is
        replaced.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays, taken where the model will be
            used, which it has not learnt from.
        ages : array-like of shape (n_photos,)
            Years, from 0 to 120.
        groups : array-like of shape (n_photos,), optional
            Who is in each photo, so that nobody both teaches and tests. By default everybody is in
            one photo.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.
        terms : str, PartTerms or sequence of these, optional
            As for :meth:`calibrate`.

        Returns
        -------
        self

        Raises
        ------
        LabelsError
            If an age is missing or not from 0 to 120.
        PhotosError
            If photos give no face and ``on_error="raise"``, or if none does.
        ValueError
            If fewer than 25 photos are left, or photos of fewer than 5 people.
        TermsError
            As for :meth:`fit`.

        See Also
        --------
        calibrate : Leaves ages as they are.
        """
        self._check_predict()
        photos = check_photos(photos)
        self._check_terms(self.features_, terms)
        years = _check_ages(ages, photos)
        people = _check_groups(groups, len(photos))
        matrix, rows, _, failures = self._extract_known(photos, boxes, cropped, "adaptation")
        self.left_out_ = failures
        people = None if people is None else people[rows]
        return self.adapt_features(matrix, years[rows], people, terms)

    def adapt_features(
        self,
        matrix: npt.ArrayLike,
        ages: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        terms: StatedTerms = None,
    ) -> AgeEstimator:
        """Adapt to one's own camera, from features that are there already.

        Parameters
        ----------
        matrix : array-like of shape (n_photos, n_features)
            As for :meth:`fit_features`.
        ages : array-like of shape (n_photos,)
            Years, from 0 to 120.
        groups : array-like of shape (n_photos,), optional
            As for :meth:`adapt`.
        terms : str, PartTerms or sequence of these, optional
            As for :meth:`adapt`.

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
        """
        check_is_fitted(self, "regressor_")
        photos_allow = self._check_terms(self.features_, terms, self._photo_terms_so_far())
        rows = self._check_matrix(matrix)
        years = _check_ages(ages, [f"matrix row {row}" for row in range(len(rows))])
        people = _check_groups(groups, len(rows))
        reduced = self._reduce(rows)
        told = self._first_ages(rows, reduced)
        scales = np.ones(len(rows))
        if self.calibration_ is not None:
            scales = self.calibration_.expect_errors(reduced, told)
        correction = AgeCorrection().fit(told, years, scales, people)
        # What was fitted stays with copies of this model that share it.
        calibrator = copy.copy(self.calibration_ or self._make_calibrator())
        self.calibration_ = calibrator.adapt(years - correction.errors_, years, scales)
        self.correction_ = correction
        self.photo_terms_ = photos_allow
        return self

    def analyze(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        coverage: float = 0.9,
    ) -> pd.DataFrame:
        """Tell all that is known about every face of every photo, in one table.

        Never raises for a photo: one that cannot be read or shows no face gets one row whose
        ``status`` says so.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`; several boxes for a photo give several rows.
        cropped : bool, default=False
            As for :meth:`fit`.
        coverage : float, default=0.9
            Share of true ages that should lie between ``age_low`` and ``age_high``.

        Returns
        -------
        DataFrame
            Missing values are ``NA``, so ``to_dict("records")`` and ``to_json`` give None and null.
            One row per face, in the order of the photos and in each photo the main face first.
            ``photo`` (name; bytes that are no text are escaped), ``face`` (0, 1, ...), ``left``,
            ``top``, ``width``, ``height`` (pixels of the upright photo), ``age``, ``age_low``,
            ``age_high`` (years), ``quality`` (0 to 1), ``reliable`` (False for a face that is seen
            so badly that ages of such faces are much further off than others, or that is turned,
            stretched, covered, too bright, in wrong colours or none), ``status`` (``"ok"``, ``"no
            face"``, ``"unreadable"`` or ``"too large"``), ``message`` (why there is no age, or why
            it is not reliable).
        """
        tables = [faces_table([]), *self.analyze_batches(photos, boxes, cropped, coverage)]
        return pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]

    def analyze_batches(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        coverage: float = 0.9,
    ) -> Iterator[pd.DataFrame]:
        """Make the table of :meth:`analyze` batch by batch, to keep rows as they come.

        Parameters
        ----------
        photos : sequence of length n_photos
            As for :meth:`analyze`.
        boxes : sequence of length n_photos, optional
            As for :meth:`analyze`.
        cropped : bool, default=False
            As for :meth:`fit`.
        coverage : float, default=0.9
            As for :meth:`analyze`.

        Yields
        ------
        DataFrame
            The rows of the next photos, as many as ``features_.batch_size`` or, at the end, fewer.

        Examples
        --------
        >>> import ageboost
        >>> from skimage.data import astronaut
        >>> model = ageboost.load_pretrained("fast")
        >>> [len(table) for table in model.analyze_batches([astronaut()] * 40)]
        [32, 8]
        """
        self._check_predict()
        first = 0
        for batch in self.extract(photos, boxes, cropped, all_faces=True):
            yield self._tabulate(batch, first, coverage)
            first += batch.n_photos

    def extract(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        all_faces: bool = False,
        *,
        cache: str | os.PathLike[str] | None = None,
        n_jobs: int | None = None,
    ) -> Iterator[ExtractedBatch]:
        """Compute the features that this model looks at, batch by batch.

        It does so on the device, with the cache and in the processes that the model is set to now,
        which may differ from those with which it was fitted.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.
        all_faces : bool, default=False
            Whether to take every face of a photo, the main one first, instead of that alone.
        cache : path, optional
            In the place of the model's.
        n_jobs : int, optional
            In the place of the model's.

        Yields
        ------
        ageboost.features.ExtractedBatch
            Its ``matrix`` is for :meth:`predict_features` and its like.

        Examples
        --------
        >>> import ageboost
        >>> from skimage.data import astronaut
        >>> model = ageboost.load_pretrained("fast")
        >>> [batch] = model.extract([astronaut(), b"no photo"])
        >>> batch.owners, [position for position, _ in batch.failures]
        ([0], [1])
        >>> bool(model.predict_features(batch.matrix) == model.predict([astronaut()]))
        True
        """
        features = self.features_now()
        for name, value in (("cache", cache), ("n_jobs", n_jobs)):
            if value is not None:
                setattr(features, name, value)
        batches = features.extract(photos, boxes=boxes, cropped=cropped, all_faces=all_faces)
        n_photos = len(photos) if isinstance(photos, Sized) else None
        yield from track(batches, "Looking at photos", n_photos, _count_photos)

    def features_now(self) -> FaceFeatures:
        """Take the fitted features, with the device, the cache and the processes of today.

        Returns
        -------
        FaceFeatures
            A copy of ``features_``.
        """
        check_is_fitted(self, "features_")
        features = copy.copy(self.features_)
        if self.cache is not None:
            features.cache = self.cache
        if self.n_jobs is not None:
            features.n_jobs = self.n_jobs
        if self.device is None:
            return features
        check_device(self.device)
        return features.on_device(self.device)

    def analyze_video(self, source: Any, **options: Any) -> pd.DataFrame:
        """Look at a video to its end, and give a row for each person.

        Parameters
        ----------
        source : path, int, str or iterable
            A film, a folder of stills, or pairs of time and frame: see
            :func:`ageboost.video.read_frames`.
        **options
            Of :func:`ageboost.video.analyze_video`: ``coverage``, ``began``, ``per_second`` and
            others.

        Returns
        -------
        DataFrame
            ``track``, ``start``, ``end``, ``n_frames``, ``n_used``, ``age``, ``age_low``,
            ``age_high``, ``p_under_18`` and more: see :func:`ageboost.video.analyze_video`.

        Raises
        ------
        VideoError
            If there is no video, or it cannot be read.

        Examples
        --------
        >>> import ageboost
        >>> from skimage.data import astronaut
        >>> film = [(number / 10, astronaut()) for number in range(12)]
        >>> table = ageboost.load_pretrained("fast").analyze_video(film)
        >>> table[["n_frames", "status"]].values.tolist()
        [[12, 'ok']]
        """
        from ageboost.video import analyze_video

        check_is_fitted(self, "regressor_")
        return analyze_video(self, source, **options)

    def score(
        self,
        photos: Iterable[object],
        ages: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> float:
        """Compute the coefficient of determination, over the photos that give an age.

        Parameters
        ----------
        photos : sequence of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        ages : array-like of shape (n_photos,)
            Years.
        sample_weight : array-like of shape (n_photos,), optional
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        float
        """
        photos = check_photos(photos)
        ages = _check_ages(ages, photos)
        predicted = self.predict(photos, boxes, cropped)
        known = ~np.isnan(predicted)
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return r2_score(ages[known], predicted[known], sample_weight=weight)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted model as one file that can be loaded without unpickling.

        A card is written beside it, in Markdown: what the model is, and how far off it was for
        photos that it had not learnt from.

        Parameters
        ----------
        path : path
            By custom, ending in ``.ageboost``.

        See Also
        --------
        ageboost.load : The way back.
        """
        from ageboost.models.persistence import save

        save(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> AgeEstimator:
        """Load a model that :meth:`save` wrote.

        Parameters
        ----------
        path : path

        Returns
        -------
        AgeEstimator

        Raises
        ------
        ModelFileError
            If the file is damaged, of another format, or holds types that are not trusted.
        """
        from ageboost.models.persistence import load

        return load(path)

    def _parts(self) -> dict[str, Any]:
        """Make the parts that are given by name; the others stay as they are."""
        given = {part: getattr(self, part) for part in _PARTS}
        return {
            part: self._make(part, value) if isinstance(value, str) else value
            for part, value in given.items()
        }

    def _make(self, part: str, name: str) -> Any:
        """Make a part by its name, with the seed, threads and device of today."""
        if part == "features":
            if name not in FEATURE_SETS:
                raise ValueError(
                    f"features={brief(name)}: pass one of {', '.join(map(repr, FEATURE_SETS))} or "
                    "FaceFeatures(...)"
                )
            return FaceFeatures(
                name, FaceFinder(landmarks=5, appearance=None) if self.commercial else None
            )
        if part == "reduction":
            if name not in _REDUCTIONS:
                raise ValueError(
                    f"reduction={brief(name)}: pass one of {', '.join(map(repr, _REDUCTIONS))}, "
                    "None or a transformer"
                )
            return _REDUCTIONS[name](random_state=self.random_state)
        return make_regressor(name, self.random_state, self.n_jobs, self.device or "cpu")

    def _parts_by_name(self) -> dict[str, tuple[str, Any]]:
        """Names of parts whose own parameters were set, and what was put in their place."""
        return getattr(self, "_by_name", {})

    def _check(self) -> None:
        if not isinstance(self.features, str | FaceFeatures):
            raise ValueError(
                f"features={brief(self.features)}: pass the name of a set or FaceFeatures(...)"
            )
        if self.on_error not in ("raise", "nan"):
            raise ValueError(f"on_error={self.on_error!r}: pass 'raise' or 'nan'")
        if self.interval_folds is not None and self.interval_folds < 2:
            raise ValueError(f"interval_folds={self.interval_folds!r}: pass None, 2 or more")
        if self.device is not None:
            check_device(self.device)
        if self.early_stopping_rounds is not None and self.early_stopping_rounds < 1:
            raise ValueError(
                f"early_stopping_rounds={self.early_stopping_rounds!r}: pass None, 1 or more"
            )

    def _photo_terms_so_far(self) -> Sequence[PartTerms]:
        # Files of earlier releases do not say which photos a model learnt from.
        return getattr(self, "photo_terms_", photo_terms(None))

    def _check_terms(
        self, features: FaceFeatures, terms: StatedTerms, before: Sequence[PartTerms] = ()
    ) -> list[PartTerms]:
        """Put terms of photos together with those before; refuse what is not for commercial use."""
        found = [*before, *photo_terms(terms)]
        if self.commercial:
            [not_stated], [own] = photo_terms(None), photo_terms("own")
            found = [own if part == not_stated else part for part in found]
            check_commercial([*feature_terms(features), *found])
        return list(dict.fromkeys(found))

    def _check_predict(self) -> None:
        check_is_fitted(self, "regressor_")
        self._check()

    def _extract_known(
        self, photos: list[object], boxes: Iterable[object] | None, cropped: bool, purpose: str
    ) -> tuple[
        npt.NDArray[np.float32],
        npt.NDArray[np.intp],
        list[Quality],
        list[tuple[int, PhotoError]],
    ]:
        """Compute features of photos whose ages are known, and their positions."""
        n_columns = len(self.features_.get_feature_names_out())
        matrix = np.empty((len(photos), n_columns), dtype=np.float32)
        rows: list[int] = []
        qualities: list[Quality] = []
        failures: list[tuple[int, PhotoError]] = []
        for batch in self.extract(photos, boxes, cropped):
            matrix[len(rows) : len(rows) + len(batch.owners)] = batch.matrix
            rows += batch.owners
            qualities += batch.qualities
            failures += batch.failures
        if failures and (self.on_error == "raise" or not rows):
            raise PhotosError(failures, len(photos))
        if failures:
            warnings.warn(
                f"{len(failures)} of {len(photos)} photos are left out of the {purpose}, "
                f"first: {failures[0][1]}",
                stacklevel=3,
            )
        return matrix[: len(rows)], np.array(rows, dtype=np.intp), qualities, failures

    def _check_matrix(self, matrix: npt.ArrayLike) -> npt.NDArray[np.float32]:
        checked = check_array(matrix, dtype=np.float32, ensure_min_samples=0)
        n_columns = len(self.features_.get_feature_names_out())
        if checked.shape[1] != n_columns:
            raise ValueError(
                f"the matrix has {checked.shape[1]} columns where {n_columns} features are "
                f"measured: pass what features.transform gives"
            )
        return checked

    @with_arrays
    def _fit_reduction(self, matrix, ages, weight) -> npt.NDArray[np.float32]:
        part = self._parts()["reduction"]
        reduction = self.reduction_ = None if part is None else returning_arrays(clone(part))
        if reduction is None:
            return matrix
        # What foretells ages must be fitted so that no photo is foretold by what has seen it.
        if hasattr(reduction, "cross_fit_transform"):
            fit, fit_transform = reduction.cross_fit_transform, reduction.cross_fit_transform
        else:
            fit, fit_transform = reduction.fit, reduction.fit_transform
        params = {
            "groups": feature_groups(self.features_.get_feature_names_out()),
            "sample_weight": weight,
        }
        taken = signature(fit).parameters
        return fit_transform(matrix, ages, **{k: v for k, v in params.items() if k in taken})

    def _learn_calibration(
        self, regressor, matrix, ages, fit_params, advance
    ) -> AgeCalibrator | None:
        if self.interval_folds is None or len(ages) < MIN_PHOTOS:
            return None
        folds = KFold(self.interval_folds, shuffle=True, random_state=self.random_state)
        predictions = np.empty(len(ages))
        for train, test in folds.split(matrix):
            weights = {name: values[train] for name, values in fit_params.items()}
            fitted = clone(regressor).fit(matrix[train], ages[train], **weights)
            predictions[test] = np.ravel(fitted.predict(matrix[test]))
            advance()
        return self._make_calibrator().fit(matrix, predictions.clip(0), ages)

    def _make_calibrator(self) -> AgeCalibrator:
        return AgeCalibrator(random_state=self.random_state, n_jobs=self.n_jobs)

    def _learn_quality_threshold(
        self, qualities: Sequence[Quality] | None, least: float = LEAST_QUALITY
    ) -> None:
        self.quality_threshold_: float | None = None
        if qualities is not None and self.calibration_ is not None:
            # Good photos alone do not show how bad ones can be: never lower than what was learnt
            # from photos that were made worse.
            learnt = choose_quality_threshold(
                relative_errors(self.calibration_.predictions_, self.calibration_.ages_),
                [quality.overall for quality in qualities],
            )
            self.quality_threshold_ = max(learnt, least)

    def _distribution(self, matrix: npt.NDArray[np.float32]) -> AgeDistribution:
        calibrator = calibration_of(self)
        if len(matrix) == 0:
            return calibrator.distribution(np.empty(0), np.empty(0))
        return calibrator.predict(*self._estimate(matrix))

    def _predict_matrix(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        if len(matrix) == 0:
            return np.empty(0)
        return self._estimate(matrix)[1]

    def _estimate(
        self, matrix: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """What the regressor reads in each face, and the ages that come of it."""
        reduced = self._reduce(matrix)
        ages = self._first_ages(matrix, reduced)
        return reduced, ages if self.correction_ is None else self.correction_.correct(ages)

    def _first_ages(self, matrix, reduced) -> npt.NDArray[np.float64]:
        """Ages before they are corrected for one camera."""
        ages = self._predict_reduced(reduced)
        return ages if self.second_opinion_ is None else self.second_opinion_.revise(matrix, ages)

    @with_arrays
    def _reduce(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return transform_rows(self.reduction_, matrix)

    @with_arrays
    def _predict_reduced(self, reduced: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return predict_rows(self.regressor_, reduced).clip(0)

    def _tabulate(self, batch: ExtractedBatch, first: int, coverage: float) -> pd.DataFrame:
        if self.calibration_ is None:
            ages = self._predict_matrix(batch.matrix)
            intervals = np.full((len(ages), 2), np.nan)
        else:
            distribution = self._distribution(batch.matrix)
            ages, intervals = distribution.ages, distribution.interval(coverage)
        least = self.quality_threshold_
        rows = []
        n_before: dict[int, int] = {}
        for owner, age, (low, high), box, quality in zip(
            batch.owners, ages, intervals, batch.boxes, batch.qualities, strict=True
        ):
            face = n_before[owner] = n_before.get(owner, -1) + 1
            place = (box.left, box.top, box.right - box.left, box.bottom - box.top)
            reliable = pd.NA if least is None else quality.is_reliable(least)
            if quality.defect:
                reliable = False
            seen, why = quality.overall, quality.explain(least or 0.0)
            rows.append((owner, face, *place, age, low, high, seen, reliable, "ok", why))
        blank = (np.nan,) * 8
        rows += [(owner, pd.NA, *blank, pd.NA, e.status, str(e)) for owner, e in batch.failures]
        rows.sort(key=lambda row: row[0])
        return faces_table(
            [
                (_as_text(batch.names[owner - first]), *rest, _as_text(message))
                for owner, *rest, message in rows
            ]
        )

    def __sklearn_clone__(self) -> AgeEstimator:
        cloned = super().__sklearn_clone__()
        cloned._by_name = {
            part: (name, getattr(cloned, part))
            for part, (name, made) in self._parts_by_name().items()
            if getattr(self, part) is made
        }
        return cloned

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_by_name"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Files of earlier releases lack what has been added since.
        added = {"early_stopping_rounds": None, "device": None, "commercial": False}
        super().__setstate__(added | state)
        # Nor do their finders know that there is a network that a business may not use.
        finder = getattr(getattr(self, "features_", None), "finder", None)
        if getattr(self, "commercial", False) and finder is not None:
            finder.set_params(appearance=None)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "regressor_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


_COLUMNS = {
    "photo": "str",
    "face": "Int64",
    "left": "Float64",
    "top": "Float64",
    "width": "Float64",
    "height": "Float64",
    "age": "Float64",
    "age_low": "Float64",
    "age_high": "Float64",
    "quality": "Float64",
    "reliable": "boolean",
    "status": "str",
    "message": "str",
}


def _places(batch: ExtractedBatch, first: int) -> npt.NDArray[np.intp]:
    """Positions of a batch's faces among its own photos, the first of which is at ``first``."""
    return np.array(batch.owners, dtype=np.intp) - first


def faces_table(rows: Sequence[Sequence[object]]) -> pd.DataFrame:
    """Make the table of :meth:`AgeEstimator.analyze` from its rows.

    Parameters
    ----------
    rows : sequence of sequences of length 13
        In the order of its columns.

    Returns
    -------
    DataFrame
    """
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def _count_photos(batch: ExtractedBatch) -> int:
    return len(set(batch.owners)) + len(batch.failures)


def _as_text(name: str) -> str:
    """Escape bytes of a file's name that are no text: not every table can hold them."""
    return name.encode("utf-8", "backslashreplace").decode()


def _check_weight(
    sample_weight: npt.ArrayLike | None, n_photos: int
) -> npt.NDArray[np.float64] | None:
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n_photos,):
        raise ValueError(f"sample_weight has shape {weight.shape} for {n_photos} photos")
    return weight


def _check_groups(groups: npt.ArrayLike | None, n_photos: int) -> npt.NDArray[np.object_] | None:
    if groups is None:
        return None
    people = np.asarray(groups, dtype=object).ravel()
    if len(people) != n_photos:
        raise ValueError(f"{n_photos} photos but {len(people)} groups: give one for each photo")
    missing = np.flatnonzero(pd.isna(people))
    if len(missing):
        raise ValueError(
            f"groups has no entry for {len(missing)} photos, the first in row {missing[0]}: "
            "name their people, or leave them out"
        )
    return people


def _check_ages(ages: npt.ArrayLike, photos: list[object]) -> npt.NDArray[np.float64]:
    given = np.asarray(ages, dtype=object).ravel()
    if len(given) != len(photos):
        raise ValueError(f"{len(photos)} photos but {len(given)} ages: give one age for each photo")
    numbers = np.asarray(pd.to_numeric(pd.Series(given), errors="coerce"), dtype=np.float64)
    bad = np.flatnonzero(~((numbers >= 0) & (numbers <= OLDEST)))
    if len(bad):
        problems = [
            (
                int(row),
                f"{photo_name(photos[row], int(row))}: age {brief(given[row])} is not from 0 to "
                f"{OLDEST}",
            )
            for row in bad
        ]
        raise LabelsError("ages", problems, "correct them, or leave these photos out")
    return numbers
