"""Where the faces of a photo are."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable

import cv2
import dlib
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from ageboost.errors import NoFaceError
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

# A face is kept at this many pixels at most: well above any chip, and a batch stays small.
_KEPT_SIDE = 400
# Surroundings kept on each side of a face, in sides of its box: room for a rotated, padded chip.
_KEPT_MARGIN = 1.1


# dlib's detector writes into itself while it looks, and lets other threads run meanwhile.
_of_thread = threading.local()


def _detector():
    if not hasattr(_of_thread, "detector"):
        _of_thread.detector = dlib.get_frontal_face_detector()
    return _of_thread.detector


class FaceFinder(BaseEstimator):
    """Finds the faces in a photo: box, landmarks, quality, and the pixels to cut chips from.

    Boxes come from dlib's frontal face detector, run on the photo scaled down to a bounded size.
    Where nothing is found it looks again: around the borders, for a face that fills the frame, and
    at twice the scale, for a small one. Landmarks and chips are taken from the photo itself.

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

    See Also
    --------
    Face : The record of one face.

    References
    ----------
    N. Dalal and B. Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.
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

    def __init__(self, landmarks=68, max_side=800, threshold=0.0, max_pixels=128_000_000):
        self.landmarks = landmarks
        self.max_side = max_side
        self.threshold = threshold
        self.max_pixels = max_pixels

    def find(self, photo: object, boxes: object = None, cropped: bool = False) -> list[Face]:
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
        if not isinstance(photo, Photo):
            photo = load_photo(photo, max_pixels=self.max_pixels)
        predictor = load_predictor(self.landmarks)
        if cropped or boxes is not None:
            given = self._given_boxes(photo, boxes)
            located = [(_refine(predictor, photo.pixels, box), math.nan) for box in given]
        else:
            located = self._detect(photo)
        faces = [_make_face(photo, predictor, box, score) for box, score in located]
        return sorted(faces, key=_prominence, reverse=True)

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

    def _detect(self, photo: Photo) -> list[tuple[npt.NDArray[np.float64], float]]:
        pixels = photo.pixels
        height, width = pixels.shape[:2]
        scale = min(1.0, self.max_side / max(height, width))
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        border = max(pixels.shape[:2]) // 4
        framed = cv2.copyMakeBorder(pixels, border, border, border, border, cv2.BORDER_REPLICATE)
        # dlib finds faces of 80 pixels and more, whole: look closer only where it finds none.
        for view, offset, upsample in [(pixels, 0, 0), (framed, border, 0), (framed, border, 1)]:
            rectangles, scores, _ = _detector().run(view, upsample, self.threshold)
            found = [
                ((np.array([r.left(), r.top(), r.right() + 1, r.bottom() + 1]) - offset) / scale, s)
                for r, s in zip(rectangles, scores, strict=True)
            ]
            if found:
                return found
        raise NoFaceError(
            f"no face in {photo.name} ({photo.width} x {photo.height}): use a photo that shows a "
            f"face from the front, or pass boxes= from a detector of your own"
        )


def _prominence(face: Face) -> float:
    """Size, less for what the detector takes for a face only just."""
    score = face.quality.score
    return face.quality.size * (1.0 if math.isnan(score) else min(max(score, 0.0), 1.0))


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
