"""What each frame of a made clip says of its person, kept so that rules can be compared on it."""

from __future__ import annotations

import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _clips import make_clip

from ageboost import AgeEstimator
from ageboost.faces import Quality
from ageboost.photos import load_photo
from ageboost.video import FaceTracker, read_frames
from ageboost.video._mirror import mirror_face


@dataclass
class ClipRecord:
    """The sightings of one clip.

    Attributes
    ----------
    age : float
        True age.
    times : ndarray of shape (n_sightings,)
    tracks : ndarray of shape (n_sightings,)
    qualities : list of Quality of length n_sightings
    matrix, mirrored : ndarray of shape (n_sightings, n_features)
        Features of each face, and of its mirror image.
    """

    age: float
    times: npt.NDArray[np.float64]
    tracks: npt.NDArray[np.intp]
    qualities: list[Quality]
    matrix: npt.NDArray[np.float32]
    mirrored: npt.NDArray[np.float32]


def record_clip(photo: str, age: float, seed: int, model: AgeEstimator) -> ClipRecord:
    """Make a clip of a photo, compress it, read it, and measure the face in every frame of it."""
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(load_photo(photo).pixels, Path(folder) / "clip", seed)
        tracker = FaceTracker(model.features_.get_finder())
        with read_frames(clip) as frames:
            seen = [
                (frame.time, sighting)
                for frame in frames
                for sighting in tracker.update(frame.pixels, frame.time)
            ]
    faces = [sighting.face for _, sighting in seen]
    return ClipRecord(
        age,
        np.array([time for time, _ in seen]),
        np.array([sighting.track for _, sighting in seen], dtype=np.intp),
        [face.quality for face in faces],
        model.features_.transform_faces(faces),
        model.features_.transform_faces([mirror_face(face) for face in faces]),
    )


def record_clips(
    photos, ages, model: AgeEstimator, cache: Path | None, first: int = 0
) -> list[ClipRecord]:
    """Record clips of photos, from the first on; those in the cache are taken from it."""
    records = []
    for seed, (photo, age) in list(enumerate(zip(photos, ages, strict=True)))[first:]:
        kept = None if cache is None else cache / f"{Path(photo).name}-{seed}.pickle"
        if kept is not None and kept.exists():
            records.append(pickle.loads(kept.read_bytes()))
            continue
        record = record_clip(photo, float(age), seed, model)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(pickle.dumps(record))
        records.append(record)
    return records
