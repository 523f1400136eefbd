"""The features that a model reads: of photos as they come, and of photos whose ages are known."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from ageboost._device import check_device
from ageboost._progress import track
from ageboost.errors import PhotoError, PhotosError
from ageboost.faces.face import Quality
from ageboost.features import ExtractedBatch, FaceFeatures

__all__ = ["ExtractingFeatures", "KnownFaces"]

T = TypeVar("T")

_STAGE = "Looking at photos"


class KnownFaces(NamedTuple):
    """Features of the photos that show a face.

    Attributes
    ----------
    matrix : ndarray of shape (n_faces, n_features), float32
    rows : ndarray of shape (n_faces,)
        Positions of their photos.
    qualities : list of Quality of length n_faces
    failures : list of (int, PhotoError)
        Position and fault of each other photo.
    """

    matrix: npt.NDArray[np.float32]
    rows: npt.NDArray[np.intp]
    qualities: list[Quality]
    failures: list[tuple[int, PhotoError]]


class ExtractingFeatures:
    """The methods of :class:`AgeEstimator` that compute features, and estimate nothing."""

    # Of the estimator.
    features_: FaceFeatures
    on_error: str
    cache: str | os.PathLike[str] | None
    n_jobs: int | None
    device: str | None

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
        """Compute the features that this model reads, batch by batch.

        Uses the device, the cache and the processes that the model is set to now, which may differ
        from those with which it was fitted.

        Parameters
        ----------
        photos : iterable of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.
        all_faces : bool, default=False
            Whether to take every face of a photo, the main one first, instead of that alone.
        cache : path, optional
            Overrides the model's.
        n_jobs : int, optional
            Overrides the model's.

        Yields
        ------
        ageboost.features.ExtractedBatch
            Its ``matrix`` is for ``age_regressor_``.

        Examples
        --------
        >>> import ageboost
        >>> from skimage.data import astronaut
        >>> model = ageboost.load_pretrained("fast")
        >>> [batch] = model.extract([astronaut(), b"no photo"])
        >>> batch.owners, [position for position, _ in batch.failures]
        ([0], [1])
        >>> bool(model.age_regressor_.predict(batch.matrix) == model.predict([astronaut()]))
        True
        """
        features = self.features_now()
        for name, value in (("cache", cache), ("n_jobs", n_jobs)):
            if value is not None:
                setattr(features, name, value)
        batches = features.extract(photos, boxes=boxes, cropped=cropped, all_faces=all_faces)
        yield from track(batches, _STAGE, _count(photos), lambda batch: batch.n_photos)

    def answer_batches(
        self,
        answer: Callable[[ExtractedBatch], T],
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        all_faces: bool = False,
        sharpness: bool = True,
    ) -> Iterator[T]:
        """Call a function with the features of each batch, in the process that computes them.

        Parameters
        ----------
        answer : callable
            Takes an :class:`ageboost.features.ExtractedBatch`.
        photos : iterable of length n_photos
            As for :meth:`extract`.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.
        all_faces : bool, default=False
            As for :meth:`extract`.
        sharpness : bool, default=True
            As for :meth:`ageboost.features.FaceFeatures.answer`.

        Yields
        ------
        object
            What the function has returned.
        """
        answers = self.features_now().answer(answer, photos, boxes, cropped, all_faces, sharpness)
        for _, found in track(answers, _STAGE, _count(photos), lambda answered: answered[0]):
            yield found

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

    def extract_known(
        self, photos: list[object], boxes: Iterable[object] | None, cropped: bool, purpose: str
    ) -> KnownFaces:
        """Compute features of all photos at once, to learn from those that show a face.

        Parameters
        ----------
        photos : list of length n_photos
        boxes : sequence of length n_photos or None
        cropped : bool
        purpose : str
            What it is for, to be named in a warning.

        Returns
        -------
        KnownFaces

        Raises
        ------
        PhotosError
            If photos give no face and ``on_error="raise"``, or if none does.
        """
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
        return KnownFaces(matrix[: len(rows)], np.array(rows, dtype=np.intp), qualities, failures)


def _count(photos: Iterable[object]) -> int | None:
    return len(photos) if isinstance(photos, Sized) else None
