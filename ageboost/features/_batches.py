"""Batches of photos: what is computed of each, kept in a cache, and put together to rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ageboost._arrays import with_arrays
from ageboost.errors import NoFaceError, PhotoError
from ageboost.faces import Box, Face, FaceFinder, Quality
from ageboost.faces._boxes import check_boxes
from ageboost.faces.detection import nothing_found
from ageboost.features._base import FaceTransformer
from ageboost.features._cache import FeatureCache
from ageboost.photos import photo_digest, photo_name, take_content

__all__ = [
    "BatchWork",
    "ExtractedBatch",
    "Job",
    "in_batches",
    "look_up",
    "pair_with_boxes",
    "read_open_file",
    "store",
]

# In the place of boxes and qualities, the width and height of a photo that shows no face are kept.
_SIZE_COLUMNS = 2
# The name of these in a cache: another one whenever a quality has other parts.
_FACES = "faces with brightness and chroma"


# So many photos go through each transformer together.
_JOBS_AT_ONCE = 16


@dataclass
class ExtractedBatch:
    """Features of the faces of some consecutive photos.

    Attributes
    ----------
    matrix : ndarray of shape (n_faces, n_features), float32
    owners : list of int of length n_faces
        For each face, the position of its photo in the input.
    boxes : list of Box of length n_faces
    qualities : list of Quality of length n_faces
    failures : list of (int, PhotoError)
        Position of each photo without a face, and why.
    n_photos : int
        How many photos these are of, those without a face included.
    first : int
        The position of the first of them in the input.
    names : list of str of length n_photos
        What tables call them.
    """

    matrix: npt.NDArray[np.float32]
    owners: list[int]
    boxes: list[Box]
    qualities: list[Quality]
    failures: list[tuple[int, PhotoError]]
    n_photos: int
    first: int
    names: list[str]


@dataclass
class Job:
    """One photo on its way: where it stands in the input, and what is known of it already."""

    position: int
    photo: object
    boxes: object
    blocks: list[Any]
    name: str = ""
    error: PhotoError | None = None
    keys: list[bytes] = field(default_factory=list)
    stored: set[bytes] = field(default_factory=set)


def pair_with_boxes(
    photos: Iterable[object], boxes: Iterable[object] | None
) -> Iterator[tuple[object, object]]:
    """Pair photos with their boxes, also where nobody knows yet how many there are."""
    if isinstance(photos, list):
        yield from zip(photos, check_boxes(boxes, len(photos)), strict=True)
    elif boxes is None:
        yield from ((photo, None) for photo in photos)
    else:
        try:
            yield from zip(photos, boxes, strict=True)
        except ValueError as error:
            raise ValueError(
                "boxes has more or fewer entries than there are photos: give one entry per photo, "
                "None where the photo's faces should be detected"
            ) from error


def read_open_file(job: Job) -> Job:
    """Read an open file once, here: it cannot go to another process, or be read again there."""
    job.name = photo_name(job.photo, job.position)
    try:
        job.photo = take_content(job.photo)
    except PhotoError as error:
        job.photo, job.error = None, error
    return job


def in_batches(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    """Take jobs a batch at a time."""
    jobs = iter(jobs)
    while batch := list(islice(jobs, size)):
        yield batch


@dataclass
class BatchWork:
    """All that is done with a batch of photos where its features are computed.

    Attributes
    ----------
    finder : FaceFinder
    transformers : list of FaceTransformer
    cropped : bool
        Whether the photos are faces that another detector has cut out.
    all_faces : bool
        Whether to take every face of a photo.
    answer : callable or None
        What is made of the batch, in the place of its features.
    keep_blocks : bool
        Whether blocks are given back as well, to be put into a cache.
    sharpness : bool
        Whether to measure how sharp faces are.
    """

    finder: FaceFinder
    transformers: Sequence[FaceTransformer]
    cropped: bool
    all_faces: bool
    answer: Callable[[ExtractedBatch], Any] | None
    keep_blocks: bool
    sharpness: bool

    def __call__(self, batch: list[Job]) -> tuple[int, Any, list[Job]]:
        """Return how many photos a batch has, the answer, and what is to be put into a cache."""
        jobs, failures = _compute_batch(
            batch, self.finder, self.transformers, self.cropped, self.all_faces, self.sharpness
        )
        extracted = _assemble(jobs, failures, self._count_columns)
        answer = extracted if self.answer is None else self.answer(extracted)
        return len(batch), answer, jobs if self.keep_blocks else []

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        # In a process of its own, which has one core; OpenCV would start threads for all of them.
        cv2.setNumThreads(1)

    def _count_columns(self) -> int:
        return sum(len(part.get_feature_names_out()) for part in self.transformers)


@with_arrays
def _compute_batch(
    batch: list[Job],
    finder: FaceFinder,
    transformers: Sequence[FaceTransformer],
    cropped: bool,
    all_faces: bool,
    sharpness: bool,
) -> tuple[list[Job], list[tuple[int, PhotoError]]]:
    """Fill in the blocks that each job lacks, one call into each transformer for some of them."""
    failures: list[tuple[int, PhotoError]] = []
    found: dict[int, list[Face]] = {}
    for job in batch:
        if job.error is not None:
            failures.append((job.position, job.error))
        elif (size := _size_without_face(job)) is not None:
            failures.append(
                (job.position, nothing_found(photo_name(job.photo), size[0], size[1], finder))
            )
    known = {position for position, _ in failures}
    lacking = [
        job
        for job in batch
        if job.position not in known and any(block is None for block in job.blocks)
    ]
    results = finder.find_each(
        [job.photo for job in lacking],
        boxes=[job.boxes for job in lacking],
        cropped=cropped,
        main_only=not all_faces,
        sharpness=sharpness,
    )
    for job, faces in zip(lacking, results, strict=True):
        if isinstance(faces, PhotoError):
            failures.append((job.position, faces))
            if isinstance(faces, NoFaceError) and faces.photo_size is not None:
                job.blocks[0] = np.array([faces.photo_size], dtype=np.float32)
            continue
        found[job.position] = faces
        job.blocks[0] = np.array([[*face.box, *face.quality] for face in faces], dtype=np.float32)
    for part in in_batches((job for job in lacking if job.position in found), _JOBS_AT_ONCE):
        # Chips, and what networks have begun, are kept with a face: not for longer than needed.
        _transform([(job, found.pop(job.position)) for job in part], transformers)
    for job in batch:
        # Pixels need not travel back.
        job.photo = None
    return batch, sorted(failures, key=lambda failure: failure[0])


def _transform(
    known: list[tuple[Job, list[Face]]], transformers: Sequence[FaceTransformer]
) -> None:
    """Fill in what some jobs lack of the features of their faces."""
    for index, transformer in enumerate(transformers, start=1):
        todo = [(job, faces) for job, faces in known if job.blocks[index] is None]
        if not todo:
            continue
        every_face = [face for _, faces in todo for face in faces]
        matrix = np.asarray(transformer.transform(every_face), dtype=np.float32)
        ends = np.cumsum([len(faces) for _, faces in todo])
        for (job, _), block in zip(todo, np.split(matrix, ends[:-1]), strict=True):
            job.blocks[index] = block


def _size_without_face(job: Job) -> list[int] | None:
    """Width and height of a photo of which it is known already that it shows no face."""
    located = job.blocks[0]
    if located is None or located.shape[1] != _SIZE_COLUMNS:
        return None
    return located[0].astype(int).tolist()


def _assemble(
    batch: list[Job],
    failures: list[tuple[int, PhotoError]],
    count_columns: Callable[[], int],
) -> ExtractedBatch:
    """Put the blocks of a batch together to one matrix."""
    failed = {position for position, _ in failures}
    done = [job for job in batch if job.position not in failed]
    owners = [job.position for job in done for _ in job.blocks[0]]
    widths = [block.shape[1] for block in done[0].blocks[1:]] if done else []
    # To count columns takes as long as to compute some of them: only where there is no face.
    matrix = np.empty((len(owners), sum(widths) if done else count_columns()), np.float32)
    if done:
        for index, columns in enumerate(np.split(matrix, np.cumsum(widths)[:-1], axis=1), start=1):
            np.concatenate([job.blocks[index] for job in done], out=columns)
    located = [face.tolist() for job in done for face in job.blocks[0]]
    return ExtractedBatch(
        matrix=matrix,
        owners=owners,
        boxes=[Box(*face[:4]) for face in located],
        qualities=[Quality(*face[4:]) for face in located],
        failures=failures,
        n_photos=len(batch),
        first=batch[0].position,
        names=[job.name for job in batch],
    )


def look_up(
    cache: FeatureCache, batch: list[Job], digests: list[str], *, cropped: bool, all_faces: bool
) -> list[Job]:
    """Take from the cache what it has of a batch."""
    for job in batch:
        if job.error is not None:
            continue
        try:
            photo = photo_digest(job.photo)
        except PhotoError:
            # Reading it again for its face gives the same error, in its place.
            continue
        boxes = np.asarray(job.boxes, dtype=object).tolist()
        look = f"{photo} {digests[0]} {boxes} {cropped} {all_faces}"
        job.keys = [
            hashlib.blake2b(f"{look} {part}".encode(), digest_size=16).digest()
            for part in [_FACES, *digests[1:]]
        ]
    stored = cache.get([key for job in batch for key in job.keys])
    for job in batch:
        job.blocks = [stored.get(key) for key in job.keys] or job.blocks
        job.stored = stored.keys() & job.keys
    return batch


def store(cache: FeatureCache, batch: list[Job]) -> None:
    """Put into the cache what was computed of a batch."""
    cache.put(
        {
            key: block
            for job in batch
            for key, block in zip(job.keys, job.blocks, strict=False)
            if block is not None and key not in job.stored
        }
    )
