"""Where the faces of a photo are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from ageboost.errors import NoFaceError, PhotoError
from ageboost.faces._boxes import boxes_in_pixels, check_boxes, refine_box
from ageboost.faces._cnn_detector import find_with_cnn
from ageboost.faces._first_scan import (
    Detection,
    detect,
    detect_filling,
    detect_main,
    prominence,
    with_border,
)
from ageboost.faces._make_face import is_upright, measure_appearance, place_face
from ageboost.faces._turns import TURNS, box_turned, turn_photo
from ageboost.faces.face import Face
from ageboost.faces.landmarks import load_predictor
from ageboost.photos import MAX_SIDE, Photo, load_photo, shorten

__all__ = ["FaceFinder", "nothing_found"]

_Result = TypeVar("_Result")

# Photos are taken through each step together as far as they need no more bytes than this.
_BYTES_AT_ONCE = 16_000_000
# dlib finds faces of this many pixels and more.
_WINDOW = 80
# A group in a photo of so many pixels and more, whose smallest face is hardly larger than the
# detector's window: there may be others that are smaller still. At this scale creases of cloth pass
# for faces more often, mostly with confidences close to 0: what is added has to be surer.
_GROUP_SIDE, _SMALL_FACE, _SURE = 400, 100, 0.5
# The last look at a large photo is at so many pixels, which takes a second or two.
_LARGEST_VIEW = 8_000_000
_MOST_ENLARGED = 2.0
# It is left out where the photo is small, or the look before was as large.
_LARGE_PHOTO, _LEAST_GAIN = 1_500_000, 1.0
# A view whose levels differ by no more than this shows nothing: a covered or broken camera.
_NOTHING_TO_SEE = 4
_PERHAPS_TURNED = ("turned", "none")


class FaceFinder(BaseEstimator):
    """Finds the faces in a photo: box, landmarks, quality, and the pixels to cut chips from.

    Boxes come from dlib's frontal face detector, run on the photo scaled down to a bounded size.
    Where nothing is found it looks again: around the borders, for a face that fills the frame, at
    twice the scale, for a small one, and then with dlib's convolutional detector, which sees faces
    that are turned or half covered, and last, in a large photo, at a larger scale. Landmarks and
    chips are taken from the photo itself.

    Where nothing is found, or the main face does not look like one, the photo is looked at turned
    by 90, 270 and 180 degrees as well. A turned one is taken if its main face looks as it should:
    then faces are upright, while their boxes stay in pixels of the photo as it was given.

    Parameters
    ----------
    landmarks : {68, 5} or path, default=68
        dlib's predictor of 68 points, which was trained on data that excludes commercial use; its
        predictor of 5 points, which is free of that; or the path of a predictor of your own.
    max_side : int, default=800
        Longer side, in pixels, to which photos are scaled down for detection. The smallest face
        found in a larger photo is 80 pixels at this scale, or 40 if there is none of 80, or if all
        faces of a group are asked for and the smallest found is below 100; about 100 in a photo of
        4,000, if there is none at all. Higher values find smaller faces beside larger ones, and
        take more time: twice the value, four times as long.
    threshold : float, default=0.0
        Least confidence of a detection, in dlib's units. Higher values find fewer faces, and fewer
        things that are none.
    max_pixels : int, default=128_000_000
        Photos of more pixels are refused before they are decoded.
    use_cnn : bool, default=True
        Whether to ask dlib's convolutional detector where the other finds no face.
    appearance : "shipped", path or None, default="shipped"
        A small network that knows a face as it should look, upright and uncovered. The one that
        ships was trained on UTKFace, for non-commercial research only; it has no part in any age.
        With None, photos are not turned, and nothing is known of ``Quality.likeness``.

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
        self,
        landmarks=68,
        max_side=800,
        threshold=0.0,
        max_pixels=128_000_000,
        use_cnn=True,
        appearance="shipped",
    ):
        self.landmarks = landmarks
        self.max_side = max_side
        self.threshold = threshold
        self.max_pixels = max_pixels
        self.use_cnn = use_cnn
        self.appearance = appearance

    def __setstate__(self, state: dict[str, object]) -> None:
        # Files of earlier releases lack what has been added since.
        super().__setstate__({"appearance": "shipped"} | state)

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
        loaded = self._load(photo)
        return self._choose(loaded, self._views(loaded, boxes, cropped, main_only))

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
        begun: list[tuple[Photo, list[_View], Iterator[_View]] | PhotoError] = []
        for photo, boxes in waiting:
            if isinstance(photo, PhotoError):
                begun.append(photo)
                continue
            views = self._views(photo, boxes, cropped, main_only)
            seen = _or_error(lambda views: list(islice(views, 1)), views)
            begun.append(seen if isinstance(seen, PhotoError) else (photo, seen, views))
        first = [view for one in begun if not isinstance(one, PhotoError) for view in one[1]]
        placed = iter(self._place_faces(first))
        return [
            one
            if isinstance(one, PhotoError)
            else _or_error(
                self._choose,
                one[0],
                chain([replace(view, faces=next(placed)) for view in one[1]], one[2]),
            )
            for one in begun
        ]

    def _load(self, photo: object) -> Photo:
        if isinstance(photo, Photo):
            return photo
        return load_photo(photo, max_pixels=self.max_pixels, max_side=max(MAX_SIDE, self.max_side))

    def _views(
        self, photo: Photo, boxes: object, cropped: bool, main_only: bool
    ) -> Iterator[_View]:
        """Yield what can be seen in a photo, the likeliest first, each only if it is asked for."""
        if cropped or boxes is not None:
            given = boxes_in_pixels(photo, boxes)
            found = self._views_of_boxes(photo, [(box, math.nan) for box in given])
        else:
            found = self._views_by_detectors(photo, main_only)
        for view in found:
            located, beside = (
                sorted(faces, key=lambda one: prominence(*one), reverse=True)
                for faces in (view.located, view.beside)
            )
            yield replace(view, located=located[:1] if main_only else located + beside, beside=[])

    def _choose(self, photo: Photo, views: Iterable[_View]) -> list[Face]:
        """Take the first view whose main face looks as a face should, or else the upright one."""
        upright = None
        for view in views:
            faces = _or_error(self._make_faces, view)
            if isinstance(faces, PhotoError):
                if view.quarters:
                    continue
                raise faces
            if not faces[0].quality.defect and (view.any_tilt or is_upright(faces[0])):
                return faces
            if upright is None and not view.quarters:
                upright = faces
                # A face that is covered or too bright is so whichever way it is turned.
                if faces[0].quality.defect not in _PERHAPS_TURNED:
                    break
        if upright is None:
            raise nothing_found(photo.name, photo.width, photo.height, self)
        return upright

    def _make_faces(self, view: _View) -> list[Face]:
        [faces] = self._place_faces([view]) if view.faces is None else [view.faces]
        if isinstance(faces, PhotoError):
            raise faces
        return [measure_appearance(face, self.appearance) for face in faces]

    def _place_faces(self, views: list[_View]) -> list[list[Face] | PhotoError]:
        """Place the faces of several photos, whose landmarks are found together."""
        located = [(view, box) for view in views for box, _ in view.located]
        placed = iter(
            load_predictor(self.landmarks).predict(
                [view.photo.pixels for view, _ in located], [box for _, box in located]
            )
        )
        points = [[next(placed) for _ in view.located] for view in views]
        return [
            _or_error(
                lambda view, points: [
                    place_face(view.photo, view.quarters, *one)
                    for one in zip(points, *zip(*view.located, strict=True), strict=True)
                ],
                *one,
            )
            for one in zip(views, points, strict=True)
        ]

    def _views_of_boxes(self, photo: Photo, located: list[Detection]) -> Iterator[_View]:
        """See the faces in boxes of another detector, and then in the photo turned."""
        predictor = load_predictor(self.landmarks)
        height, width = photo.pixels.shape[:2]
        for quarters in (0, *TURNS):
            turned = turn_photo(photo, quarters)
            boxes = [box_turned(box, quarters, width, height) for box, _ in located]
            refined = [
                (refine_box(predictor, turned.pixels, box), score)
                for box, (_, score) in zip(boxes, located, strict=True)
            ]
            yield _View(quarters, turned, refined)

    def _views_by_detectors(self, photo: Photo, main_only: bool) -> Iterator[_View]:
        pixels = photo.pixels
        height, width = pixels.shape[:2]
        scale = min(1.0, self.max_side / max(height, width))
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        if np.ptp(pixels[::8, ::8]) <= _NOTHING_TO_SEE and np.ptp(pixels) <= _NOTHING_TO_SEE:
            return
        main = detect_main(pixels, self.threshold) if main_only else None
        upright = [main] if main is not None else detect_filling(pixels, self.threshold)
        if upright:
            beside = [] if main_only else self._detect_smaller(photo, pixels, upright)
            yield _View(
                0,
                photo,
                [(box / scale, score) for box, score in upright],
                beside=[(box / scale, score) for box, score in beside],
            )
        turned: list[tuple[float, int, list[Detection]]] = []
        for quarters in TURNS:
            view = np.rot90(pixels, quarters).copy()
            # The second detector finds one that fills the frame, for less.
            if found := detect(view, 0, self.threshold):
                best = max(prominence(*one) for one in found)
                turned.append((best, quarters, found))
        for _, quarters, found in sorted(turned, key=lambda one: -one[0]):
            located = [(box / scale, score) for box, score in found]
            yield _View(quarters, turn_photo(photo, quarters), located, any_tilt=False)
        if upright:
            return
        located = self._detect_with_border(pixels)
        if located:
            yield _View(0, photo, [(box / scale, score) for box, score in located])
        elif self.use_cnn and (located := find_with_cnn(pixels, self.threshold)):
            # Its boxes are about as good whichever way the face is turned.
            yield from self._views_of_boxes(photo, [(box / scale, s) for box, s in located])
        elif located := self._detect_enlarged(photo):
            yield _View(0, photo, located)

    def _detect_with_border(self, pixels: npt.NDArray[np.uint8]) -> list[Detection]:
        framed, border = with_border(pixels)
        found = detect(framed, 1, self.threshold)
        return [(box - border, score) for box, score in found]

    def _detect_smaller(
        self, photo: Photo, pixels: npt.NDArray[np.uint8], found: list[Detection]
    ) -> list[Detection]:
        """Look at a group at twice the scale, for faces that are too small beside those found."""
        height, width = pixels.shape[:2]
        smallest = min(math.sqrt((box[2] - box[0]) * (box[3] - box[1])) for box, _ in found)
        if len(found) < 2 or max(height, width) < _GROUP_SIDE or smallest >= _SMALL_FACE:
            return []
        view = cv2.resize(photo.pixels, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
        larger = [(box / 2, score) for box, score in detect(view, 0, self.threshold + _SURE)]
        return [
            (box, score)
            for box, score in larger
            if not any(_one_face(box, one) for one, _ in found)
        ]

    def _detect_enlarged(self, photo: Photo) -> list[Detection]:
        """Look for small faces in a photo that was made smaller for all that came before."""
        height, width = photo.pixels.shape[:2]
        enlarge = self._enlargement(height, width)
        if enlarge == 0:
            return []
        size = (round(width * enlarge), round(height * enlarge))
        view = cv2.resize(photo.pixels, size, interpolation=cv2.INTER_LINEAR)
        return [(box / enlarge, score) for box, score in detect(view, 0, self.threshold)]

    def smallest_face(self, width: int, height: int) -> float:
        """Compute how large a face must be to be found where there is no other.

        Parameters
        ----------
        width, height : int
            Of the photo, in pixels.

        Returns
        -------
        float
            Pixels.
        """
        longest = max(width, height)
        reduction = max(1, longest // max(MAX_SIDE, self.max_side))
        enlarge = self._enlargement(height / reduction, width / reduction)
        return _WINDOW / max(2 * min(1.0, self.max_side / longest), enlarge / reduction)

    def _enlargement(self, height: float, width: float) -> float:
        """How much larger than a decoded photo its last view is; 0 if there is none."""
        enlarge = min(_MOST_ENLARGED, math.sqrt(_LARGEST_VIEW / (height * width)))
        gain = enlarge * max(height, width) / (2 * self.max_side)
        thin = max(height, width) >= 2 * min(height, width)
        large = height * width >= _LARGE_PHOTO or (thin and max(height, width) >= MAX_SIDE)
        return enlarge if large and gain >= _LEAST_GAIN else 0.0


def nothing_found(name: str, width: int, height: int, finder: FaceFinder) -> NoFaceError:
    """Make the error that detectors found no face in a photo.

    Parameters
    ----------
    name : str
    width, height : int
        Of the photo, in pixels.
    finder : FaceFinder
        Who looked.

    Returns
    -------
    NoFaceError
    """
    way_out = "use a photo that shows a face from the front"
    if max(width, height) > finder.max_side:
        way_out += f", look for smaller faces with a larger max_side (here {finder.max_side})"
    error = NoFaceError(
        f"no face in {shorten(name)} ({width} x {height}), of "
        f"{finder.smallest_face(width, height):.0f} pixels or more: {way_out}, "
        f"or pass boxes= from a detector of your own"
    )
    error.photo_size = width, height
    return error


@dataclass(frozen=True)
class _View:
    """Faces that were located in a photo turned against the clock by so many quarters."""

    quarters: int
    photo: Photo
    located: list[Detection]
    # Whether a head that is tilted by half of a right angle is no sign that it is the wrong view.
    any_tilt: bool = True
    # Faces that a closer look added: none of them is the main one, which is found without it.
    beside: list[Detection] = field(default_factory=list)
    # Where they have been placed already, or why they cannot be.
    faces: list[Face] | PhotoError | None = None


def _one_face(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
    """Whether the centre of either box is inside the other: of faces side by side none is."""
    return any(
        bool((box[:2] < centre).all() and (centre < box[2:]).all())
        for box, centre in ((one, (other[:2] + other[2:]) / 2), (other, (one[:2] + one[2:]) / 2))
    )


def _or_error(step: Callable[..., _Result], *args: object) -> _Result | PhotoError:
    try:
        return step(*args)
    except PhotoError as error:
        return error
