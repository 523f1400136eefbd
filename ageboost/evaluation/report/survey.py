"""What is seen in each photo of a table: a face, its quality, and hashes that copies share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed

from ageboost.errors import PhotoError
from ageboost.faces import Box, FaceFinder
from ageboost.faces.alignment import extract_chip, to_detection
from ageboost.faces.landmarks import load_predictor, predict_landmarks
from ageboost.features import ExtractedBatch
from ageboost.photos import load_photo, photo_digest, photo_name

__all__ = ["look_at_photos", "photo_names", "survey_faces"]

# Differences between neighbours in a grid of 16 x 17 grey levels.
_HASH_SIDE = 16
_CHIP_SIDE = 120
_PHOTOS_AT_ONCE = 64
_QUALITY = ("face_size", "sharpness", "yaw", "score", "quality")


def photo_names(photos: Sequence[object], folder: str | os.PathLike[str] | None) -> list[str]:
    """Name photos without a word about the machine that they are on.

    Parameters
    ----------
    photos : sequence of length n_photos
    folder : path or None
        Where names begin. By default, and for photos that are elsewhere, the deepest folder that
        holds all of them.

    Returns
    -------
    list of str
        Control characters are replaced: they could make a name read as another one.

    Examples
    --------
    >>> from ageboost.evaluation.report.survey import photo_names
    >>> photo_names(["/home/ann/photos/till 3/a.jpg", "/home/ann/photos/b.jpg"], None)
    ['till 3/a.jpg', 'b.jpg']
    """
    paths = [
        PurePath(os.path.abspath(os.fsdecode(photo)))
        if isinstance(photo, str | os.PathLike)
        else None
        for photo in photos
    ]
    known = [path for path in paths if path is not None]
    base = None if folder is None else PurePath(os.path.abspath(folder))
    if base is None or not all(path.is_relative_to(base) for path in known):
        base = _common_folder(known)
    names = []
    for position, (photo, path) in enumerate(zip(photos, paths, strict=True)):
        if path is None:
            name = PurePath(photo_name(photo, position)).name
        else:
            name = path.name if base is None else path.relative_to(base).as_posix()
        names.append(_printable(name))
    return names


def survey_faces(
    batches: Iterator[ExtractedBatch], photos: Sequence[object], names: Sequence[str]
) -> Iterator[tuple[pd.DataFrame, npt.NDArray[np.float32]]]:
    """Report of each photo whether its face was found, and how well it is seen.

    Parameters
    ----------
    batches : iterator of ExtractedBatch
        Of the main faces.
    photos : sequence of length n_photos
    names : sequence of str of length n_photos

    Yields
    ------
    rows : DataFrame
        Indexed by the position of the photo: ``status``, ``message``, ``box``, ``face_size``
        (pixels), ``sharpness``, ``yaw`` (degrees), ``score``, ``quality`` (0 to 1).
    matrix : ndarray of shape (n_faces, n_features), float32
        Features of those whose status is ``"ok"``, in the same order.
    """
    for batch in batches:
        found = pd.DataFrame(
            [[*quality[:4], quality.overall] for quality in batch.qualities],
            columns=list(_QUALITY),
            index=batch.owners,
            dtype="float64",
        )
        found.insert(0, "box", pd.Series(batch.boxes, index=batch.owners, dtype=object))
        found.insert(0, "message", "")
        found.insert(0, "status", "ok")
        lost = pd.DataFrame(
            {
                "status": [error.status for _, error in batch.failures],
                "message": [
                    _reason(error, photos[position], names[position])
                    for position, error in batch.failures
                ],
            },
            index=[position for position, _ in batch.failures],
        )
        parts = [part for part in (found, lost) if len(part)]
        yield pd.concat(parts) if len(parts) > 1 else parts[0], batch.matrix


def look_at_photos(
    photos: Sequence[object],
    boxes: Sequence[Box | None],
    finder: FaceFinder,
    n_jobs: int | None = None,
) -> tuple[pd.DataFrame, npt.NDArray[np.uint64]]:
    """Read each photo once more for its size, a digest, and hashes that copies nearly share.

    The hash is the one known as dHash: whether grey levels rise from left to right, at 256 places.
    Scaling, compression and light hardly change it. One looks at the upright face, since photos of
    one till share everything else; one at the photo, since upright faces are alike.

    Parameters
    ----------
    photos : sequence of length n_photos
    boxes : sequence of Box or None of length n_photos
        None where there is no face.
    finder : FaceFinder
        Whose landmarks bring faces upright.
    n_jobs : int, optional
        Processes; -1 for all cores.

    Returns
    -------
    table : DataFrame
        ``width``, ``height`` (pixels of the upright photo) and ``digest``; missing for a photo
        that cannot be read.
    hashes : ndarray of shape (n_photos, 2, 4), uint64
        Of the face and of the photo; 0 where there is no face.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.evaluation.report.survey import look_at_photos
    >>> from ageboost.faces import Box, FaceFinder
    >>> boxes = [Box(180, 80, 270, 170)]
    >>> table, hashes = look_at_photos([astronaut()], boxes, FaceFinder(landmarks=5))
    >>> table.loc[0, ["width", "height"]].tolist()
    [512, 512]
    """
    starts = range(0, len(photos), _PHOTOS_AT_ONCE)
    looked = Parallel(n_jobs=n_jobs)(
        delayed(_hash_photos)(
            photos[i : i + _PHOTOS_AT_ONCE], boxes[i : i + _PHOTOS_AT_ONCE], finder.landmarks
        )
        for i in starts
    )
    rows = [row for part, _ in looked for row in part]
    table = pd.DataFrame(rows, columns=["width", "height", "digest"])
    table = table.astype({"width": "Int64", "height": "Int64"})
    return table, np.concatenate([hashes for _, hashes in looked])


def _hash_photos(photos, boxes, landmarks):
    rows: list[tuple[int | None, int | None, str | None]] = []
    hashes = np.zeros((len(photos), 2, _HASH_SIDE**2 // 64), np.uint64)
    for i, (photo, box) in enumerate(zip(photos, boxes, strict=True)):
        try:
            loaded = load_photo(photo)
            rows.append((loaded.width, loaded.height, photo_digest(photo)))
        except PhotoError:
            rows.append((None, None, None))
            continue
        if box is not None:
            place = np.multiply(box, loaded.scale)
            points = predict_landmarks(load_predictor(landmarks), loaded.pixels, place)
            aligned = to_detection(loaded.pixels, points)
            chip = extract_chip(loaded.pixels, aligned, _CHIP_SIDE, 0.25)
            hashes[i] = _difference_hash(chip), _difference_hash(loaded.pixels)
    return rows, hashes


def _difference_hash(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    grid = cv2.resize(grey, (_HASH_SIDE + 1, _HASH_SIDE), interpolation=cv2.INTER_AREA)
    return np.packbits(grid[:, 1:] > grid[:, :-1]).view(np.uint64)


def _common_folder(paths: Sequence[PurePath]) -> PurePath | None:
    try:
        common = PurePath(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # on several drives
        return None
    # Names that begin at the root would give away all of the path.
    return None if common == PurePath(common.anchor) else common


def _printable(name: str) -> str:
    name = os.fsencode(name).decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)


def _reason(error: PhotoError, photo: object, name: str) -> str:
    given = photo_name(photo)
    return _printable(str(error).replace(given, name))
