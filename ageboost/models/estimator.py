"""Photos to ages: features and the regressor behind them as one scikit-learn estimator."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from reprlib import repr as brief
from typing import Any

import numpy.typing as npt
from sklearn.base import RegressorMixin, clone
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_array, check_is_fitted

from ageboost.faces import FaceFinder
from ageboost.faces.face import Quality
from ageboost.features import FaceFeatures
from ageboost.features.extraction import FEATURE_SETS
from ageboost.models._checks import check_ages, check_people, check_weight, row_names
from ageboost.models._earlier_files import modernize
from ageboost.models._named_parts import AttributeOf, NamedParts
from ageboost.models._photo_methods import PhotoMethods
from ageboost.models.age_regressor import AgeRegressor
from ageboost.models.model_terms import add_photo_terms, feature_terms
from ageboost.models.reduction import feature_groups
from ageboost.photos import check_photos
from ageboost.terms import PartTerms, StatedTerms, Terms

__all__ = ["AgeEstimator"]


class AgeEstimator(PhotoMethods, RegressorMixin, NamedParts):
    """Estimates the age of people from photos of their faces.

    Finds the face in each photo, computes features of it, reduces them and estimates the age by
    boosted trees. All of it is one scikit-learn regressor whose ``X`` is a list of photos: features
    and, behind them, an :class:`AgeRegressor`.

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
        Number of folds for the out-of-fold predictions that calibrate ranges; each is one more fit
        of the regressor. None leaves ranges out, which makes searches faster.
    early_stopping_rounds : int, optional
        Stop adding trees when this many in a row have not made ages better for a tenth of the
        photos, which is held out; then learn from all photos with as many trees as helped. The
        regressor's own number of trees, such as ``regressor__n_estimators``, is the most. For
        XGBoost and CatBoost. By default the number of trees is what the regressor says.
    on_error : {"raise", "nan"}, default="raise"
        What to do with photos that give no age. ``"raise"`` raises one error for all of them.
        ``"nan"`` gives them NaN in ``predict`` and leaves them out of ``fit`` with a warning.
    cache : path, optional
        Folder to keep features in, so that no photo is measured twice. Features identify
        people: treat it as personal data. Overrides the cache of ``features``.
    n_jobs : int, optional
        Processes for photos and threads for the regressor; -1 for all cores. By default one
        process, and the regressor's own default. Overrides that of ``features``.
    device : {"cpu", "cuda"}, optional
        Where networks run, and where trees grow if the regressor is given by name; fitted trees
        predict on the processor. CUDA needs the package onnxruntime-gpu in the place of onnxruntime
        if there are networks. Overrides that of ``features``. By default the processor.
    random_state : int or None, default=None
        Of the reduction and the regressor, where they are given by name, and of the folds. They
        follow it, and ``n_jobs`` and ``device``, in whatever order parameters are set.
    commercial : bool, default=False
        Whether to use nothing but what a business may use, and to refuse the rest by name: features
        given by name are aligned by 5 landmarks instead of 68, and photos count as the user's own
        unless their ``terms`` are stated. The model ``"open"`` that ships is fitted with True.

    Attributes
    ----------
    features_ : FaceFeatures
        From photos to a matrix.
    age_regressor_ : AgeRegressor
        From the matrix to ages. Its ``reduction_``, ``regressor_``, ``calibration_``,
        ``second_opinion_``, ``shrinkage_``, ``correction_``, ``quality_threshold_``, ``looks_``,
        ``n_photos_`` and ``photo_terms_`` are attributes of the estimator as well.
    left_out_ : list of (int, PhotoError)
        Position and fault of each photo left out of ``fit`` or ``calibrate``, whichever came last.

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

    Parameters of every part can be searched by name:

    >>> from ageboost import AgeEstimator
    >>> estimator = AgeEstimator("classical", interval_folds=None)
    >>> estimator.set_params(features__hog__cell_size=8, regressor__max_depth=4)
    AgeEstimator(...)
    """

    reduction_ = AttributeOf("age_regressor_")
    regressor_ = AttributeOf("age_regressor_")
    calibration_ = AttributeOf("age_regressor_")
    second_opinion_ = AttributeOf("age_regressor_")
    shrinkage_ = AttributeOf("age_regressor_")
    correction_ = AttributeOf("age_regressor_")
    quality_threshold_ = AttributeOf("age_regressor_")
    looks_ = AttributeOf("age_regressor_")
    n_photos_ = AttributeOf("age_regressor_")
    photo_terms_ = AttributeOf("age_regressor_")

    _part_names = ("features", "reduction", "regressor")

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
        check_is_fitted(self, "age_regressor_")
        return Terms((*feature_terms(self.features_), *self.photo_terms_))

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
            ``"own"``, a collection's name or a record: see :func:`ageboost.terms.photo_terms`.
            Unstated terms are unknown, as the card says, unless ``commercial=True``: see there.

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
        self.check_settings()
        photos = check_photos(photos)
        years = check_ages(ages, photos)
        weight = check_weight(sample_weight, len(photos))
        self.features_ = clone(self.parts()["features"])
        allowed = self._check_terms((), terms)
        known = self.extract_known(photos, boxes, cropped, "fit")
        self.left_out_ = known.failures
        return self.fit_features(
            known.matrix,
            years[known.rows],
            None if weight is None else weight[known.rows],
            known.qualities,
            allowed,
        )

    def fit_features(
        self,
        matrix: npt.ArrayLike,
        ages: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        qualities: Sequence[Quality] | None = None,
        terms: StatedTerms = None,
    ) -> AgeEstimator:
        """Learn from the matrix that ``features`` would compute.

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
        >>> estimator.fit_features(matrix, 40 + matrix[:, 0]).age_regressor_.predict(matrix).shape
        (50,)
        """
        self.check_settings()
        self.features_ = clone(self.parts()["features"])
        allowed = self._check_terms((), terms)
        rows = check_array(matrix, dtype="float32", ensure_min_samples=0)
        names = self.features_.get_feature_names_out()
        if rows.shape[1] != len(names):
            raise ValueError(
                f"the matrix has {rows.shape[1]} columns where {len(names)} features are "
                f"measured: pass what features.transform gives"
            )
        years = check_ages(ages, row_names(len(rows)))
        weight = check_weight(sample_weight, len(rows))
        self.age_regressor_ = self._with_settings(AgeRegressor()).fit(
            rows, years, weight, feature_groups(names), qualities, allowed
        )
        return self

    def calibrate(
        self,
        photos: Iterable[object],
        ages: npt.ArrayLike,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        terms: StatedTerms = None,
    ) -> AgeEstimator:
        """Learn anew how far ages can be off, from photos of one's own.

        Ages stay as they are; ranges and probabilities then hold for people and photos like
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
        self.check_fitted()
        photos = check_photos(photos)
        self._check_terms(self.photo_terms_, terms)
        years = check_ages(ages, photos)
        known = self.extract_known(photos, boxes, cropped, "calibration")
        self.left_out_ = known.failures
        # Copies of this model share its regressor: change a copy.
        regressor = self._with_settings(copy.copy(self.age_regressor_))
        self.age_regressor_ = regressor.calibrate(
            known.matrix, years[known.rows], known.qualities, terms
        )
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
        self.check_fitted()
        photos = check_photos(photos)
        self._check_terms(self.photo_terms_, terms)
        years = check_ages(ages, photos)
        people = check_people(groups, len(photos))
        known = self.extract_known(photos, boxes, cropped, "adaptation")
        self.left_out_ = known.failures
        # Copies of this model share its regressor: change a copy.
        regressor = self._with_settings(copy.copy(self.age_regressor_))
        self.age_regressor_ = regressor.adapt(
            known.matrix,
            years[known.rows],
            None if people is None else people[known.rows],
            terms,
            known.qualities,
        )
        return self

    def check_settings(self) -> None:
        """Check parameters that can be wrong by themselves, and raise for the first that is."""
        if not isinstance(self.features, str | FaceFeatures):
            raise ValueError(
                f"features={brief(self.features)}: pass the name of a set or FaceFeatures(...)"
            )
        if self.on_error not in ("raise", "nan"):
            raise ValueError(f"on_error={self.on_error!r}: pass 'raise' or 'nan'")
        self._with_settings(AgeRegressor()).check_settings()

    def make_part(self, part: str, name: str) -> Any:
        """Make features, reduction or regressor by name: see :class:`NamedParts`."""
        if part != "features":
            return self._with_settings(AgeRegressor()).make_part(part, name)
        if name not in FEATURE_SETS:
            raise ValueError(
                f"features={brief(name)}: pass one of {', '.join(map(repr, FEATURE_SETS))} or "
                "FaceFeatures(...)"
            )
        finder = FaceFinder(landmarks=5, appearance=None) if self.commercial else None
        return FaceFeatures(name, finder)

    def _with_settings(self, regressor: AgeRegressor) -> AgeRegressor:
        for name in vars(AgeRegressor()):  # a new one has its parameters alone
            setattr(regressor, name, getattr(self, name))
        return regressor

    def _check_terms(self, before: Sequence[PartTerms], terms: StatedTerms) -> list[PartTerms]:
        """Add terms of photos to those before; refuse what is not for commercial use."""
        others = feature_terms(self.features_) if self.commercial else ()
        return add_photo_terms(before, terms, self.commercial, others)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(modernize(state))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "age_regressor_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags
