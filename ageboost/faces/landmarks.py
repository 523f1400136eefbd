"""The points of a face: dlib's shape predictors, and how their points show the head is turned."""

from __future__ import annotations

import math
import os
import platform
import threading
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import dlib
import numpy as np
import numpy.typing as npt

from ageboost.faces._cascade import Cascade
from ageboost.faces.alignment import five_of_68

__all__ = [
    "ShapePredictor",
    "aspect_from_landmarks",
    "box_from_landmarks",
    "dlib_weights",
    "load_predictor",
    "predict_landmarks",
    "roll_from_landmarks",
    "yaw_from_landmarks",
]

_PREDICTORS = {
    68: "shape_predictor_68_face_landmarks.dat",
    5: "shape_predictor_5_face_landmarks.dat",
}

# Whoever has so many faces at once has more.
_MANY = 16
# After so many of these, reading the trees again takes less time than dlib has lost already.
_PAYS = 512
# Processors on which compilers do not fuse products and sums unless asked to. Where they do, as for
# ARM, dlib's last bits differ, and then a point in a thousand would.
_AS_WRITTEN = "x86_64", "AMD64"

# How dlib's detector draws its box around the landmarks of the same face: medians over 800 photos
# of UTKFace. Side over the points' spread, and the centre's shift down, by the number of points.
_SIDE_BY_SPREAD = {68: 3.88, 5: 5.99}
_SHIFT_BY_SIDE = {68: -0.01, 5: 0.18}

# The nose stands this far before the plane of the eyes, in distances between their outer corners:
# its base, which is one of dlib's five points.
_NOSE_DEPTH = 0.30


@lru_cache(maxsize=8)
def dlib_weights(file_name: str) -> Path:
    """Find one of dlib's weights files in the installed ``face_recognition_models``.

    Parameters
    ----------
    file_name : str

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If the package is not installed, or has no such file.
    """
    # Importing the package needs pkg_resources, which recent setuptools no longer have.
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"no weights {file_name!r}: install the package face_recognition_models, "
            f"or name a file of your own"
        )
    path = Path(spec.origin).parent / "models" / file_name
    if not path.is_file():
        raise FileNotFoundError(f"no weights {file_name!r} in {path.parent}: reinstall the package")
    return path


@lru_cache(maxsize=4)
def load_predictor(landmarks: int | str | os.PathLike[str]) -> ShapePredictor:
    """Load a shape predictor once per process.

    Parameters
    ----------
    landmarks : {68, 5} or path
        dlib's predictor of that many points, or a file of the user's own in dlib's format with 68
        or 5 points in dlib's order.

    Returns
    -------
    ShapePredictor

    Raises
    ------
    ValueError
        If it is another number; a file is read when it is needed.
    """
    if isinstance(landmarks, int):
        if landmarks not in _PREDICTORS:
            raise ValueError(f"landmarks={landmarks}: pass 68, 5 or the path of a predictor")
        return ShapePredictor(dlib_weights(_PREDICTORS[landmarks]))
    return ShapePredictor(Path(landmarks))


class ShapePredictor:
    """Places the landmarks of faces: of a few by dlib, of many together.

    A ``Cascade`` of the same trees gives the same points. It is quicker for many faces, but takes
    longer to read, so it is taken when many come at once, or have come. Only one of the two is kept
    in memory.

    Parameters
    ----------
    path : Path
        Of a shape predictor in dlib's format, which is read when it is needed.
    """

    def __init__(self, path: Path):
        self._path = path
        self._predictor: dlib.shape_predictor | Cascade | None = None
        self._n_left = _PAYS if platform.machine() in _AS_WRITTEN else math.inf
        self._lock = threading.Lock()

    def predict(
        self, pixels: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[npt.NDArray[np.float64]]
    ) -> list[npt.NDArray[np.float64]]:
        """Place the landmarks of one face in each photo.

        Parameters
        ----------
        pixels : sequence of ndarray of shape (height, width, 3), uint8
        boxes : sequence of ndarray of shape (4,)
            Left, top, right, bottom, in pixels.

        Returns
        -------
        list of ndarray of shape (68, 2) or (5, 2), float64
            Whole pixels.

        Raises
        ------
        ValueError
            If the file is not a shape predictor of dlib's.
        """
        predictor = self._choose(len(boxes))
        if isinstance(predictor, Cascade):
            return predictor.predict(pixels, boxes)
        return [_predict(predictor, *one) for one in zip(pixels, boxes, strict=True)]

    def _choose(self, n_faces: int) -> dlib.shape_predictor | Cascade:
        with self._lock:
            if n_faces >= _MANY and not isinstance(self._predictor, Cascade):
                self._n_left -= n_faces
                if self._n_left <= 0 or (self._predictor is None and self._n_left < math.inf):
                    self._predictor = self._read_cascade()
            if self._predictor is None:
                self._predictor = self._read_by_dlib()
            return self._predictor

    def _read_cascade(self) -> dlib.shape_predictor | Cascade | None:
        try:
            return Cascade(self._path)
        except (OSError, ValueError):
            # dlib may be able to read it, and says what is wrong if not.
            self._n_left = math.inf
            return self._predictor

    def _read_by_dlib(self) -> dlib.shape_predictor:
        try:
            return dlib.shape_predictor(os.fspath(self._path))
        except RuntimeError as error:
            raise ValueError(
                f"landmarks={os.fspath(self._path)!r} is not a readable dlib shape predictor: "
                f"{error}"
            ) from error


def _predict(
    predictor: dlib.shape_predictor, pixels: npt.NDArray[np.uint8], box: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    left, top, right, bottom = (round(edge) for edge in box.tolist())
    # dlib counts the last row and column as inside.
    shape = predictor(pixels, dlib.rectangle(left, top, right - 1, bottom - 1))
    return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)


def predict_landmarks(
    predictor: ShapePredictor, pixels: npt.NDArray[np.uint8], box: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Place the landmarks of the face in a box.

    Parameters
    ----------
    predictor : ShapePredictor
    pixels : ndarray of shape (height, width, 3), uint8
    box : ndarray of shape (4,)
        Left, top, right, bottom, in pixels.

    Returns
    -------
    ndarray of shape (68, 2) or (5, 2), float64
    """
    return predictor.predict([pixels], [box])[0]


def box_from_landmarks(landmarks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Draw the box that dlib's detector would draw around these landmarks.

    Parameters
    ----------
    landmarks : ndarray of shape (68, 2) or (5, 2)

    Returns
    -------
    ndarray of shape (4,), float64
        Left, top, right, bottom.
    """
    n_landmarks = len(landmarks)
    # Every face passes here, and mean() and std() cost more than the sums that they take.
    centre = np.add.reduce(landmarks) / n_landmarks
    apart = landmarks - centre
    across, down = np.sqrt(np.add.reduce(apart * apart) / n_landmarks).tolist()
    side = _SIDE_BY_SPREAD[n_landmarks] * ((across + down) / 2)
    centre[1] += _SHIFT_BY_SIDE[n_landmarks] * side
    return np.concatenate([centre - side / 2, centre + side / 2])


def yaw_from_landmarks(landmarks: npt.NDArray[np.float64]) -> float:
    """Estimate how far the head is turned, from the nose's place between the eyes.

    The nose's base stands before the plane of the eyes, so it moves to the side when the head
    turns, while the distance between the eyes shrinks: the ratio is the tangent of the angle.

    Parameters
    ----------
    landmarks : ndarray of shape (68, 2) or (5, 2)

    Returns
    -------
    float
        Degrees; positive when the nose points to the right of the photo.
    """
    across, below_eyes = _eyes_and_nose(landmarks)
    width = math.sqrt(across[0] ** 2 + across[1] ** 2)
    if width == 0:
        return 90.0
    aside = (below_eyes[0] * across[0] + below_eyes[1] * across[1]) / width**2
    return math.degrees(math.atan(aside / _NOSE_DEPTH))


def roll_from_landmarks(landmarks: npt.NDArray[np.float64]) -> float:
    """Measure how far the line through the eyes is turned clockwise.

    Parameters
    ----------
    landmarks : ndarray of shape (68, 2) or (5, 2)

    Returns
    -------
    float
        Degrees.
    """
    across, _ = _eyes_and_nose(landmarks)
    return math.degrees(math.atan2(across[1], across[0]))


def aspect_from_landmarks(landmarks: npt.NDArray[np.float64]) -> float:
    """Measure how far the base of the nose is below the eyes.

    Parameters
    ----------
    landmarks : ndarray of shape (68, 2) or (5, 2)

    Returns
    -------
    float
        In distances between the outer corners of the eyes.
    """
    across, below_eyes = _eyes_and_nose(landmarks)
    squared = across[0] ** 2 + across[1] ** 2
    if squared == 0:
        return math.nan
    return (below_eyes[1] * across[0] - below_eyes[0] * across[1]) / squared


def _eyes_and_nose(
    landmarks: npt.NDArray[np.float64],
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Measure from outer corner to outer corner of the eyes, and from their middle to the nose."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy), (x, y) = five_of_68(landmarks).tolist()
    return (ax - cx, ay - cy), (x - (ax + bx + cx + dx) / 4, y - (ay + by + cy + dy) / 4)
