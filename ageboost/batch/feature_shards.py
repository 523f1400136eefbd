"""write_features: features of labelled photos in parts, by workers that share a folder."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from ageboost._versions import package_version
from ageboost.batch._claims import Claims
from ageboost.batch._parts import Parts, agree, check_mounted, digest_names
from ageboost.batch._places import open_place
from ageboost.errors import NoFaceError, PhotoError, PhotoTooLargeError, UnreadablePhotoError
from ageboost.faces.face import Quality
from ageboost.features._cache import settings_digest
from ageboost.models import AgeEstimator
from ageboost.models._checks import check_ages, check_weight
from ageboost.photos import photo_name

__all__ = [
    "FEATURES_MARK",
    "FeaturesSummary",
    "failure_facts",
    "quality_facts",
    "restore_failure",
    "write_features",
]

FEATURES_MARK = "ageboost features"
_VERSION = 1
_UNREADABLE = (UnreadablePhotoError, PhotoTooLargeError)


@dataclass(frozen=True)
class FeaturesSummary:
    """What is in shards of features once all are there.

    Attributes
    ----------
    n_shards : int
    n_photos : int
    n_faces : int
        Rows of all shards: one for each photo that shows a face.
    failures : list of (int, PhotoError)
        Position and fault of each other photo.
    n_own : int
        Shards that this worker has made.
    """

    n_shards: int
    n_photos: int
    n_faces: int
    failures: list[tuple[int, PhotoError]] = field(repr=False)
    n_own: int


def write_features(
    estimator: AgeEstimator,
    photos: Sequence[object],
    ages: npt.ArrayLike,
    folder: str | os.PathLike[str],
    n_shards: int,
    *,
    sample_weight: npt.ArrayLike | None = None,
    boxes: Sequence[object] | None = None,
    cropped: bool = False,
    lease: float = 60.0,
    tell: Callable[[str], None] | None = None,
) -> FeaturesSummary:
    """Write features of photos whose ages are known as parts of a folder, for :func:`fit_stream`.

    Start it on as many machines as you like, with the same photos, estimator and folder: each takes
    a shard that nobody has, as in :func:`write_shards`. A kill costs the shard that was begun.
    Features identify people: treat the folder as personal data.

    Parameters
    ----------
    estimator : AgeEstimator
        Its features, cache, processes and device are used. It need not be fitted.
    photos : sequence of length n_photos
        Paths that every worker sees under the same name; on one machine whatever ``fit`` takes.
    ages : array-like of shape (n_photos,)
        Years, from 0 to 120.
    folder : path or str
        A folder, or the address of one in a bucket.
    n_shards : int
        In how many parts; ``accurate`` takes 76 MB for a thousand photos. Each part is in memory
        once while it is written or read.
    sample_weight : array-like of shape (n_photos,), optional
    boxes : sequence of length n_photos, optional
        As for :meth:`ageboost.AgeEstimator.fit`.
    cropped : bool, default=False
        As for :meth:`ageboost.AgeEstimator.fit`.
    lease : float, default=60.0
        Seconds without a sign of life after which a worker counts as dead.
    tell : callable, optional
        Called with a line when a shard is done.

    Returns
    -------
    FeaturesSummary

    Raises
    ------
    LabelsError
        If an age is missing or not from 0 to 120.
    SharedPlaceError
        If the folder cannot be used, or holds features of other photos, ages or settings.
    ValueError
        If there are no photos, or fewer than one shard.

    Examples
    --------
    >>> import os, tempfile
    >>> from skimage.data import astronaut
    >>> from ageboost import AgeEstimator
    >>> from ageboost.batch import write_features
    >>> from ageboost.features import FaceFeatures, LandmarkGeometry
    >>> estimator = AgeEstimator(FaceFeatures([("geometry", LandmarkGeometry())]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     where = os.path.join(folder, "features")
    ...     write_features(estimator, [astronaut(), b"no photo"], [40, 50], where, n_shards=2)
    FeaturesSummary(n_shards=2, n_photos=2, n_faces=1, n_own=2)
    """
    if n_shards < 1 or not len(photos):
        raise ValueError(f"n_shards={n_shards!r} of {len(photos)} photos: give one or more of both")
    n_shards = min(n_shards, len(photos))
    estimator.check_settings()
    worker = copy.copy(estimator)
    worker.features_ = clone(worker.parts()["features"])
    years = check_ages(ages, photos)
    weight = check_weight(sample_weight, len(photos))
    place = open_place(folder)
    claims = Claims(place, lease)
    plan = _plan(worker, photos, n_shards) | {
        "ages": joblib.hash(years),
        "sample_weight": joblib.hash(weight),
        "boxes": joblib.hash((boxes, cropped)),
    }
    agree(place, plan, claims.worker, folder)
    parts = Parts(place, claims, len(photos), n_shards, "npy")
    n_own = 0
    with closing(parts.work()) as work:
        for number, lost in work:
            some = parts.range_of(number)
            found = _extract(worker, photos[some], boxes and boxes[some], cropped, lost)
            if found is None:
                continue
            matrix, owners, facts = found
            owners = [some.start + owner for owner in owners]
            facts["ages"] = years[owners].tolist()
            facts["weight"] = None if weight is None else weight[owners].tolist()
            facts["failures"] = [
                [some.start + position, *rest] for position, *rest in facts["failures"]
            ]
            check_mounted(photos[some], len(facts["failures"]))
            content = io.BytesIO()
            np.save(content, matrix, allow_pickle=False)
            parts.put(number, content.getvalue(), facts)
            n_own += 1
            if tell is not None:
                n_photos = some.stop - some.start
                tell(f"shard {number + 1} of {n_shards}: {n_photos:,} photos")
    facts_of_all = parts.facts()
    failures = [restore_failure(fact) for facts in facts_of_all for fact in facts["failures"]]
    n_faces = sum(len(facts["ages"]) for facts in facts_of_all)
    return FeaturesSummary(n_shards, len(photos), n_faces, failures, n_own)


def quality_facts(qualities: Iterable[Quality]) -> list[list[float]]:
    """Say in JSON how good faces look; ``Quality(*facts)`` makes one again."""
    return [[float(value) for value in quality] for quality in qualities]


def failure_facts(failure: tuple[int, PhotoError]) -> list[Any]:
    """Say in JSON which photo gave no face, and why."""
    position, error = failure
    return [position, type(error).__name__, str(error)]


def restore_failure(facts: Sequence[Any]) -> tuple[int, PhotoError]:
    """Make an error again of what :func:`failure_facts` said."""
    position, kind, message = facts
    kinds = {error.__name__: error for error in (NoFaceError, *_UNREADABLE)}
    return position, kinds.get(kind, PhotoError)(message)


def _extract(worker, photos, boxes, cropped, lost) -> tuple[Any, list[int], dict[str, Any]] | None:
    """Compute the features of a shard, unless another worker takes it over meanwhile."""
    n_columns = len(worker.features_.get_feature_names_out())
    blocks, owners = [np.empty((0, n_columns), np.float32)], []
    qualities: list[list[float]] = []
    failures: list[list[Any]] = []
    for batch in worker.extract(photos, boxes, cropped):
        if lost.is_set():
            return None
        blocks.append(batch.matrix)
        owners += batch.owners
        qualities += quality_facts(batch.qualities)
        failures += map(failure_facts, batch.failures)
    facts = {"qualities": qualities, "failures": failures}
    return np.concatenate(blocks), owners, facts


def _plan(worker: AgeEstimator, photos: Sequence[object], n_shards: int) -> dict[str, Any]:
    names = [photo_name(photo, position) for position, photo in enumerate(photos)]
    features = worker.features_
    parts = [features.get_finder(), *(part for _, part in features.get_transformers())]
    return {
        FEATURES_MARK: _VERSION,
        "n_shards": n_shards,
        "n_photos": len(photos),
        "photos": digest_names(names),
        "features": joblib.hash([settings_digest(part) for part in parts]),
        "columns": joblib.hash(features.get_feature_names_out().tolist()),
        "ageboost": package_version("ageboost"),
    }
