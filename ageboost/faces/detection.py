"""Where the faces of a photo are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import cv2
import dlib
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from ageboost.errors import NoFaceError, PhotoError
from ageboost.faces._cnn_detector import find_with_cnn
from ageboost.faces._first_scan import Detection, detect, detect_main, prominence
from ageboost.faces.alignment import extract_chip
from ageboost.faces.face import Box, Face, Quality
from ageboost.faces.landmarks import (
    box_from_landmarks,
    load_predictor,
    predict_landmarks,
    yaw_from_landmarks,
)
from ageboost.photos import Photo, load_photo

__all__ = ["FaceFinder", "check_boxes"]

_Result = TypeVar("_Result")

# A face is kept at this many pixels at most: well above any chip, and a batch stays small.
_KEPT_SIDE = 400
# Photos are taken through each step together as far as they need no more bytes than this.
_BYTES_AT_ONCE = 16_000_000
# Surroundings kept on each side of a face, in sides of its box: room for a rotated, padded chip.
_KEPT_MARGIN = 1.1


class FaceFinder(BaseEstimator):
    """Finds the faces in a photo: box, landmarks, quality, and the pixels to cut chips from.

    Boxes come from dlib's frontal face detector, run on the photo scaled down to a bounded size.
    Where nothing is found it looks again: around the borders, for a face that fills the frame, at
    twice the scale, for a small one, and then with dlib's convolutional detector, which sees faces
    that are turned or half covered. Landmarks and chips are taken from the photo itself.

    Parameters
    ----------
    landmarks : {68, 5} or path, default=68
        dlib's predictor of 68 points, which was trained on data that excludes commercial use; its
        predictor of 5 points, which is free of that; or the path of a predictor of your own.
    max_side : int, default=800
        Longer side, in pixels, to which photos are scaled down for detection. The smallest face
        found in a larger photo is 80 pixels at this scale, or 40 if there is none of 80.
    threshold : float, default=0.0
        Least confidence of a detection, in dlib's units. Higher values find fewer faces, and fewer
        things that are none.
    max_pixels : int, default=128_000_000
        Photos of more pixels are refused before they are decoded.
    use_cnn : bool, default=True
        Whether to ask dlib's convolutional detector where the other finds no face.

    See Also
    --------
    Face : The record of one face.

    References
    ----------
    N. Dalal and B. Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.
    D. E. King, "Max-Margin Object Detection", arXiv:1502.00046, 2015.
    V. Kazemi and J. Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression
    Trees", CVPR 2014.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.faces import FaceFinder
    >>> [face] = FaceFinder().find(astronaut())
    >>> [round(edge, -1) for edge in face.box]
    [180.0, 80.0, 270.0, 170.0]
    """

    def __init__(
        self, landmarks=68, max_side=800, threshold=0.0, max_pixels=128_000_000, use_cnn=True
    ):
        self.landmarks = landmarks
        self.max_side = max_side
        self.threshold = threshold
        self.max_pixels = max_pixels
        self.use_cnn = use_cnn

    def find(
        self,
        photo: object,
        boxes: object = None,
        cropped: bool = False,
        main_only: bool = False,
    ) -> list[Face]:
        """Find the faces of one photo, the main one first.

        That is the largest, where faces of which the detector is unsure (a score under 1) count for
        less in proportion.

        Parameters
        ----------
        photo : path, bytes, binary file, PIL image, array or Photo
            As for :func:`ageboost.read_photo`.
        boxes : array-like of shape (4,) or (n_faces, 4), optional
            Faces found by another detector: left, top, right, bottom, in pixels of the upright
            photo. Detection is left out.
        cropped : bool, default=False
            Whether the photo is a face that another detector has cut out. Detection is left out.
        main_only : bool, default=False
            Whether to stop at the main face: the same face, found in a third of the time where it
            is large.

        Returns
        -------
        list of Face
            At least one.

        Raises
        ------
        NoFaceError
            If there is no face in the photo, or a box lies outside it.
        UnreadablePhotoError
            If the photo cannot be read.
        """
        photo, located = self._locate(self._load(photo), boxes, cropped, main_only)
        return self._make_faces(photo, located)

    def find_each(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        main_only: bool = False,
    ) -> Iterator[list[Face] | PhotoError]:
        """Find the faces of many photos: quicker than :meth:`find` for each, and none stops it.

        The detector and the tables of the landmarks push each other out of a core's cache, so some
        photos go through each step together.

        Parameters
        ----------
        photos : iterable of length n_photos
            Each as for :meth:`find`.
        boxes : iterable of length n_photos, optional
            For each photo as for :meth:`find`; None detects.
        cropped : bool, default=False
            As for :meth:`find`.
        main_only : bool, default=False
            As for :meth:`find`.

        Yields
        ------
        list of Face, or PhotoError
            For each photo in turn, its faces, or why there are none.

        Examples
        --------
        >>> from skimage.data import astronaut
        >>> from ageboost.faces import FaceFinder
        >>> faces, error = FaceFinder().find_each([astronaut(), "missing.jpg"])
        >>> len(faces), type(error).__name__
        (1, 'UnreadablePhotoError')
        """
        listed = list(photos)
        todo = zip(listed, check_boxes(boxes, len(listed)), strict=True)
        waiting: list[tuple[Photo | PhotoError, object]] = []
        n_bytes = 0
        for photo, given in todo:
            loaded = _or_error(self._load, photo)
            waiting.append((loaded, given))
            n_bytes += 0 if isinstance(loaded, PhotoError) else loaded.pixels.nbytes
            if n_bytes > _BYTES_AT_ONCE:
                yield from self._find_waiting(waiting, cropped, main_only)
                waiting, n_bytes = [], 0
        yield from self._find_waiting(waiting, cropped, main_only)

    def _find_waiting(
        self, waiting: list[tuple[Photo | PhotoError, object]], cropped: bool, main_only: bool
    ) -> list[list[Face] | PhotoError]:
        located = [
            photo
            if isinstance(photo, PhotoError)
            else _or_error(self._locate, photo, boxes, cropped, main_only)
            for photo, boxes in waiting
        ]
        return [
            found if isinstance(found, PhotoError) else _or_error(self._make_faces, *found)
            for found in located
        ]

    def _load(self, photo: object) -> Photo:
        return photo if isinstance(photo, Photo) else load_photo(photo, max_pixels=self.max_pixels)

    def _locate(
        self, photo: Photo, boxes: object, cropped: bool, main_only: bool
    ) -> tuple[Photo, list[Detection]]:
        predictor = load_predictor(self.landmarks)
        if cropped or boxes is not None:
            given = self._given_boxes(photo, boxes)
            located = [(_refine(predictor, photo.pixels, box), math.nan) for box in given]
        else:
            located = self._detect(photo, predictor, main_only)
        located = sorted(located, key=lambda found: prominence(*found), reverse=True)
        return photo, located[:1] if main_only else located

    def _make_faces(self, photo: Photo, located: list[Detection]) -> list[Face]:
        predictor = load_predictor(self.landmarks)
        return [_make_face(photo, predictor, box, score) for box, score in located]

    def _given_boxes(self, photo: Photo, boxes: object) -> npt.NDArray[np.float64]:
        height, width = photo.pixels.shape[:2]
        if boxes is None:
            return np.array([[0, 0, width, height]], dtype=np.float64)
        try:
            given = np.asarray(boxes, dtype=np.float64)
        except (TypeError, ValueError):
            given = np.array([np.nan])
        if given.ndim > 2 or given.shape[-1:] not in ((4,), (0,)) or not np.isfinite(given).all():
            raise NoFaceError(
                f"{photo.name}: boxes={boxes!r} are not numbers (left, top, right, bottom): "
                f"give four numbers for each face, in pixels"
            )
        if given.size == 0:
            raise NoFaceError(f"{photo.name}: its list of boxes is empty: leave the photo out")
        given = given.reshape(-1, 4)
        left, top, right, bottom = given.T
        bad = (right <= left) | (bottom <= top) | (right <= 0) | (bottom <= 0)
        bad |= (left >= photo.width) | (top >= photo.height)
        if bad.any():
            raise NoFaceError(
                f"{photo.name}: box {given[bad][0].tolist()} is empty or outside the photo "
                f"({photo.width} x {photo.height}): "
                f"give left, top, right, bottom in pixels of the upright photo"
            )
        return given * photo.scale

    def _detect(
        self, photo: Photo, predictor: dlib.shape_predictor, main_only: bool
    ) -> list[Detection]:
        pixels = photo.pixels
        height, width = pixels.shape[:2]
        scale = min(1.0, self.max_side / max(height, width))
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        main = detect_main(pixels, self.threshold) if main_only else None
        if main is not None:
            return [(main[0] / scale, main[1])]
        border = max(pixels.shape[:2]) // 4
        framed = cv2.copyMakeBorder(pixels, *(border,) * 4, cv2.BORDER_REPLICATE)
        # dlib finds faces of 80 pixels and more, whole: look closer only where it finds none.
        for view, offset, upsample in [(pixels, 0, 0), (framed, border, 0), (framed, border, 1)]:
            found = detect(view, upsample, self.threshold)
            if found:
                return [((box - offset) / scale, score) for box, score in found]
        if self.use_cnn:
            found = find_with_cnn(pixels, self.threshold)
            if found:
                return [
                    (_refine(predictor, photo.pixels, box / scale), score) for box, score in found
                ]
        raise nothing_found(photo.name, photo.width, photo.height)


def nothing_found(name: str, width: int, height: int) -> NoFaceError:
    """Say that detectors found no face in a photo.

    Parameters
    ----------
    name : str
    width, height : int
        Of the photo, in pixels.

    Returns
    -------
    NoFaceError
    """
    error = NoFaceError(
        f"no face in {name} ({width} x {height}): use a photo that shows a face from the front, "
        f"or pass boxes= from a detector of your own"
    )
    error.photo_size = width, height
    return error


def _or_error(step: Callable[..., _Result], *args: object) -> _Result | PhotoError:
    try:
        return step(*args)
    except PhotoError as error:
        return error


def _refine(
    predictor: dlib.shape_predictor, pixels: npt.NDArray[np.uint8], box: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Move another detector's box to where dlib's, on which the predictor was trained, would be."""
    for _ in range(2):
        box = box_from_landmarks(predict_landmarks(predictor, pixels, box))
    return box


def _make_face(
    photo: Photo, predictor: dlib.shape_predictor, box: npt.NDArray[np.float64], score: float
) -> Face:
    landmarks = predict_landmarks(predictor, photo.pixels, box)
    if len(landmarks) not in (5, 68):
        raise ValueError(f"the shape predictor gives {len(landmarks)} points: it must give 68 or 5")
    pixels, landmarks = _surroundings(photo.pixels, landmarks)
    if not (landmarks.std(axis=0).min() > 0):
        raise NoFaceError(f"no face in the box given for {photo.name}: its landmarks fall together")
    original = box / photo.scale
    quality = Quality(
        size=float(math.sqrt(np.prod(original[2:] - original[:2]))),
        sharpness=_sharpness(extract_chip(pixels, landmarks, 100, 0.0)),
        yaw=yaw_from_landmarks(landmarks),
        score=score,
    )
    return Face(pixels, landmarks, Box(*original.tolist()), quality)


def _surroundings(
    pixels: npt.NDArray[np.uint8], landmarks: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Keep of a photo what chips of the face can need, at a bounded size."""
    left, top, right, bottom = box_from_landmarks(landmarks)
    side = right - left
    margin = _KEPT_MARGIN * side
    height, width = pixels.shape[:2]
    x0, x1 = (int(np.clip(x, 0, width)) for x in (left - margin, right + margin))
    y0, y1 = (int(np.clip(y, 0, height)) for y in (top - margin, bottom + margin))
    if x0 >= x1 or y0 >= y1:
        return pixels[:1, :1], np.zeros_like(landmarks)
    kept = pixels[y0:y1, x0:x1]
    landmarks = landmarks - (x0, y0)
    if side > _KEPT_SIDE:
        scale = _KEPT_SIDE / side
        size = (max(1, round(kept.shape[1] * scale)), max(1, round(kept.shape[0] * scale)))
        kept = cv2.resize(kept, size, interpolation=cv2.INTER_AREA)
        return kept, np.rint(landmarks * scale)
    return (kept if kept.shape == pixels.shape else kept.copy()), landmarks


def _sharpness(chip: npt.NDArray[np.uint8]) -> float:
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    return float(np.sqrt(np.mean(cv2.Laplacian(grey, cv2.CV_32F) ** 2)))


def check_boxes(boxes: Iterable[object] | None, n_photos: int) -> list[object]:
    """Check that there is one entry of boxes for each photo.

    Parameters
    ----------
    boxes : iterable of length n_photos, or None
        For each photo, four numbers or several times four; None detects.
    n_photos : int

    Returns
    -------
    list of length n_photos

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    if boxes is None:
        return [None] * n_photos
    listed = list(boxes)
    if len(listed) != n_photos:
        raise ValueError(
            f"boxes has {len(listed)} entries for {n_photos} photos: give one entry per photo, "
            f"None where the photo's faces should be detected"
        )
    return listed
