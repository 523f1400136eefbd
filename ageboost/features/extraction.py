"""From photos to a matrix: in batches, in parallel, and from a cache where there is one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from reprlib import repr as brief
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.metaestimators import _BaseComposition

from ageboost._arrays import with_arrays
from ageboost._parallel import work_in_order
from ageboost.errors import PhotoError, PhotosError
from ageboost.faces import Face, FaceFinder
from ageboost.features._base import FaceTransformer
from ageboost.features._batches import (
    BatchWork,
    ExtractedBatch,
    Job,
    in_batches,
    look_up,
    pair_with_boxes,
    read_open_file,
    store,
)
from ageboost.features._cache import FeatureCache, settings_digest
from ageboost.features._sets import (
    EARLIER_SETS,
    FEATURE_SETS,
    make_earlier_transformers,
    make_finder,
    make_transformers,
)
from ageboost.photos import iterate_photos

__all__ = ["FEATURE_SETS", "ExtractedBatch", "FaceFeatures"]

T = TypeVar("T")

_ON_ERROR = ("raise", "nan")
# Counts up when the parts of a set change.
_SETS = 2


class FaceFeatures(TransformerMixin, _BaseComposition):
    """Turns photos into a matrix with named columns, one row per photo.

    Each photo is decoded once and its face found once; every transformer reads the same record.
    Work goes in batches, so that memory does not grow with the number of photos, and several
    processes share it (``n_jobs``). Nothing is learnt from the photos, so ``fit`` does nothing, and
    the row of a photo is the same in every fold of a cross-validation.

    Parameters
    ----------
    transformers : str or list of (str, FaceTransformer), default="all"
        A list of your own, or a set by name: ``"classical"`` is HOG, LBP and the geometry of the
        landmarks; ``"cnn"`` the inner levels of two public-domain networks, dlib's face recognition
        and dlib's age network; ``"all"`` both of these; ``"accurate"`` is ``"classical"``, inner
        levels of dlib's face recognition network and of a MobileNet, and the ages that a network
        trained on UTKFace estimates; ``"fast"`` those of a smaller one. The last two are for
        non-commercial research only. ``"open"`` is what two networks answer by themselves that a
        business may use, ``"shop"`` is ``"all"`` and a MobileNet, with nothing that forbids
        commercial use.
    finder : FaceFinder, optional
        How faces are found. By default ``FaceFinder()``, for ``"fast"``, ``"open"`` and ``"shop"``
        with ``landmarks=5``: the tables of the 68 exceed a core's cache, and they were trained on
        data that excludes commercial use.
    batch_size : int, default=32
        Photos per batch.
    n_jobs : int, optional
        Processes; -1 for all cores. By default one, unless a joblib backend says otherwise.
    cache : path, optional
        Folder to keep features in. They are found again by the content of the photo, boxes, all
        parameters, and versions of packages. Features identify people: treat the folder as
        personal data. By default nothing is kept.
    on_error : {"raise", "nan"}, default="raise"
        Whether a photo that gives no face raises an error that names it, or gets a row of NaN.

    See Also
    --------
    ageboost.AgeEstimator : Features and regressor in one.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.features import HOG, FaceFeatures, LandmarkGeometry
    >>> features = FaceFeatures([("hog", HOG(cell_size=32)), ("geometry", LandmarkGeometry())])
    >>> features.fit_transform([astronaut()]).shape
    (1, 460)
    >>> features.get_feature_names_out()[-1]
    'geometry__mouth19_y'
    """

    def __init__(
        self,
        transformers="all",
        finder=None,
        batch_size=32,
        n_jobs=None,
        cache=None,
        on_error="raise",
    ):
        self.transformers = transformers
        self.finder = finder
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.cache = cache
        self.on_error = on_error

    def __getstate__(self) -> dict[str, object]:
        # By which detector photos are searched where no finder is given, and which parts a set has.
        detector = self.get_finder().detector
        return {**super().__getstate__(), "detector": detector, "sets": _SETS}

    def __setstate__(self, state: dict[str, object]) -> None:
        # Features of earlier releases came from dlib's detector: what learnt from them keeps it.
        # The same holds for the parts of a set.
        state = {"detector": "dlib", "sets": 1} | state
        detector, sets = state.pop("detector"), state.pop("sets")
        super().__setstate__(state)
        if self.finder is None and self.get_finder().detector != detector:
            self.finder = self.get_finder().set_params(detector=detector)
        if (
            sets != _SETS
            and isinstance(self.transformers, str)
            and self.transformers in EARLIER_SETS
        ):
            self.finder = self.get_finder()
            self.transformers = make_earlier_transformers(self.transformers, self._n_landmarks())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get parameters, those of the finder and of each transformer (by its name) included.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict of str to object
        """
        params = dict(BaseEstimator.get_params(self, deep=False))
        if deep:
            params |= dict(self.get_transformers())
            parts: list[tuple[str, BaseEstimator]] = [("finder", self.get_finder())]
            for name, part in [*parts, *self.get_transformers()]:
                params |= {f"{name}__{key}": value for key, value in part.get_params().items()}
        return params

    def set_params(self, **params: object) -> FaceFeatures:
        """Set parameters, those of the finder and of each transformer (by its name) included.

        Parameters
        ----------
        **params : object

        Returns
        -------
        self
        """
        # A set named by a string has no objects to set parameters on: put them there first.
        own = set(BaseEstimator.get_params(self, deep=False))
        nested = {key.partition("__")[0] for key in params if key not in own}
        # Which finder there is by default depends on the set.
        for name in ("transformers", "finder"):
            if name in params:
                setattr(self, name, params.pop(name))
        if "finder" in nested:
            self.finder = self.get_finder()
        if nested - {"finder"}:
            self.finder, self.transformers = self.get_finder(), self.get_transformers()
        self._set_params("transformers", **params)
        return self

    def fit(self, photos: object, y: object = None, boxes: object = None) -> FaceFeatures:
        """Check the parameters; nothing is learnt.

        Parameters
        ----------
        photos : ignored
        y : ignored
        boxes : ignored

        Returns
        -------
        self
        """
        self._check()
        return self

    def transform(
        self, photos: Iterable[object], boxes: Iterable[object] | None = None, cropped: bool = False
    ) -> npt.NDArray[np.float32]:
        """Compute the features of the main face of each photo: see :meth:`FaceFinder.find`.

        Parameters
        ----------
        photos : sequence of length n_photos
            Each as for :func:`ageboost.read_photo`.
        boxes : sequence of length n_photos, optional
            Faces found by another detector: for each photo left, top, right, bottom in pixels of
            the upright photo, or several times four, or None to detect.
        cropped : bool, default=False
            Whether the photos are faces that another detector has cut out.

        Returns
        -------
        ndarray of shape (n_photos, n_features), float32

        Raises
        ------
        PhotosError
            If photos give no face and ``on_error="raise"``.
        """
        blocks: list[npt.NDArray[np.float32]] = []
        failures: list[tuple[int, PhotoError]] = []
        n_photos = 0
        for _, batch in self._work(None, photos, boxes, cropped, all_faces=False, sharpness=False):
            block = np.full((batch.n_photos, batch.matrix.shape[1]), np.nan, np.float32)
            block[np.array(batch.owners, dtype=np.intp) - n_photos] = batch.matrix
            blocks.append(block)
            n_photos += batch.n_photos
            failures += batch.failures
        if failures and self.on_error == "raise":
            raise PhotosError(failures, n_photos)
        if not blocks:
            return np.empty((0, self._count_columns()), np.float32)
        return np.concatenate(blocks)

    def extract(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        all_faces: bool = False,
    ) -> Iterator[ExtractedBatch]:
        """Compute features batch by batch, in the order of the photos.

        Parameters
        ----------
        photos : iterable of length n_photos
            Each as for :func:`ageboost.read_photo`. They are taken as they are needed: a batch at a
            time, a few batches ahead with several processes.
        boxes : sequence of length n_photos, optional
            As for :meth:`transform`.
        cropped : bool, default=False
            As for :meth:`transform`.
        all_faces : bool, default=False
            Whether to take every face of a photo, the main one first, instead of that alone.

        Yields
        ------
        ExtractedBatch
        """
        for _, batch in self._work(None, photos, boxes, cropped, all_faces, sharpness=True):
            yield batch

    def answer(
        self,
        answer: Callable[[ExtractedBatch], T],
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        all_faces: bool = False,
        sharpness: bool = True,
    ) -> Iterator[tuple[int, T]]:
        """Call a function with the features of each batch, in the process that computes them.

        Features of a photo may be many times as large as what is made of them, and to make it may
        take as long as a tenth of the features do: with many processes, neither must be left to
        the one that waits for them all.

        Parameters
        ----------
        answer : callable
            Takes an :class:`ExtractedBatch`. It is sent to each process once.
        photos : iterable of length n_photos
            As for :meth:`extract`.
        boxes : sequence of length n_photos, optional
            As for :meth:`transform`.
        cropped : bool, default=False
            As for :meth:`transform`.
        all_faces : bool, default=False
            As for :meth:`extract`.
        sharpness : bool, default=True
            Whether ``qualities`` are needed with their sharpness: see :meth:`FaceFinder.find_each`.

        Yields
        ------
        n_photos : int
            How many photos the batch is of.
        object
            What the function has returned.

        Examples
        --------
        >>> from skimage.data import astronaut
        >>> from ageboost.features import FaceFeatures, LandmarkGeometry
        >>> features = FaceFeatures([("geometry", LandmarkGeometry())], batch_size=2)
        >>> list(features.answer(lambda batch: batch.matrix.shape, [astronaut()] * 3))
        [(2, (2, 136)), (1, (1, 136))]
        """
        yield from self._work(answer, photos, boxes, cropped, all_faces, sharpness)

    @with_arrays
    def transform_faces(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        """Compute the features of faces that have been found already.

        Parameters
        ----------
        faces : sequence of Face of length n_faces

        Returns
        -------
        ndarray of shape (n_faces, n_features), float32
        """
        self._check()
        if not faces:
            return np.empty((0, self._count_columns()), np.float32)
        blocks = [transformer.transform(faces) for _, transformer in self.get_transformers()]
        return np.concatenate([np.asarray(block, np.float32) for block in blocks], axis=1)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Name each column by its transformer and where on the face it comes from.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        return np.array(
            [
                f"{name}__{column}"
                for name, part in self.get_transformers()
                for column in part.get_feature_names_out()
            ],
            dtype=object,
        )

    def _count_columns(self) -> int:
        return len(self.get_feature_names_out())

    def _work(self, answer, photos, boxes, cropped, all_faces, sharpness):
        self._check()
        listed = iterate_photos(photos)
        finder, transformers = self.get_finder(), [part for _, part in self.get_transformers()]
        cache = None if self.cache is None else FeatureCache(self.cache)
        digests = [settings_digest(part) for part in [finder, *transformers]] if cache else []
        jobs = (
            Job(position, photo, photo_boxes, [None] * (len(transformers) + 1))
            for position, (photo, photo_boxes) in enumerate(pair_with_boxes(listed, boxes))
        )
        batches = in_batches(map(read_open_file, jobs), self.batch_size)
        if cache:
            batches = (
                look_up(cache, batch, digests, cropped=cropped, all_faces=all_faces)
                for batch in batches
            )
        # What a cache keeps is for everybody.
        kept = cache is not None
        work = BatchWork(
            finder, transformers, cropped, all_faces, answer, kept, sharpness=sharpness or kept
        )
        n_photos = len(photos) if isinstance(photos, Sized) else None
        n_batches = None if n_photos is None else -(-n_photos // self.batch_size)
        for size, found, computed in work_in_order(work, batches, self.n_jobs, n_batches):
            if cache:
                store(cache, computed)
            yield size, found

    def on_device(self, device: str) -> FaceFeatures:
        """Make a copy whose networks run elsewhere.

        Parameters
        ----------
        device : {"cpu", "cuda"}

        Returns
        -------
        FaceFeatures
        """
        moved = copy.copy(self)
        moved.finder = self.get_finder()
        moved.transformers = [
            (name, clone(part).set_params(device=device) if hasattr(part, "device") else part)
            for name, part in self.get_transformers()
        ]
        return moved

    def get_finder(self) -> FaceFinder:
        """Return the finder, that of the set where none is given.

        Returns
        -------
        FaceFinder
        """
        if self.finder is not None:
            return self.finder
        if isinstance(self.transformers, str):
            return make_finder(self.transformers)
        return FaceFinder()

    def get_transformers(self) -> list[tuple[str, FaceTransformer]]:
        """Return the transformers, those of the set where it is given by name.

        Returns
        -------
        list of (str, FaceTransformer)
        """
        if not isinstance(self.transformers, str):
            return list(self.transformers)
        return make_transformers(self.transformers, self._n_landmarks())

    def _n_landmarks(self) -> int:
        return 5 if self.get_finder().landmarks == 5 else 68

    def _check(self) -> None:
        if isinstance(self.transformers, str) and self.transformers not in FEATURE_SETS:
            raise ValueError(
                f"transformers={brief(self.transformers)}: "
                f"pass one of {', '.join(map(repr, FEATURE_SETS))} or a list of (name, transformer)"
            )
        names = [name for name, _ in self.get_transformers()]
        if not names:
            raise ValueError("transformers is empty: give at least one (name, transformer)")
        self._validate_names(names)
        if self.on_error not in _ON_ERROR:
            raise ValueError(f"on_error={self.on_error!r}: pass 'raise' or 'nan'")
        if self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size!r}: pass 1 or more")

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags
