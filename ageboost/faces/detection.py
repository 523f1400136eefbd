"""Where the faces of a photo are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import TypeVar

from sklearn.base import BaseEstimator

from ageboost.errors import NoFaceError, PhotoError
from ageboost.faces._boxes import boxes_in_pixels, check_boxes, views_of_boxes
from ageboost.faces._dlib_search import views_by_dlib
from ageboost.faces._first_scan import prominence
from ageboost.faces._located import Located, Search, View
from ageboost.faces._make_face import (
    is_upright,
    measure_appearance,
    measure_sharpness,
    place_face,
    place_landmarks,
)
from ageboost.faces._network_search import views_by_network
from ageboost.faces.face import Face
from ageboost.faces.landmarks import load_predictor
from ageboost.photos import MAX_SIDE, Photo, load_photo, shorten

__all__ = ["FaceFinder", "nothing_found"]

_Result = TypeVar("_Result")

# Photos are taken through each step together as far as they need no more bytes than this.
_BYTES_AT_ONCE = 16_000_000
# dlib finds faces of this many pixels and more.
_WINDOW = 80
_PERHAPS_TURNED = ("turned", "none")
# In a photo that was turned, what looks odd, or may do so, is a face from this confidence on.
_SURE = 0.3
# Below that it is better than none if it looks at all like a face.
_LIKELY = 0.25
_DETECTORS = {"blazeface": views_by_network, "dlib": views_by_dlib}


class FaceFinder(BaseEstimator):
    """Finds the faces in a photo: box, landmarks, quality, and the pixels to cut chips from.

    A small network, BlazeFace, looks at a small copy of the photo, and where it finds nothing at
    larger ones; whatever it is not sure of it looks at again, closely and upright. It knows how far
    a face is turned, so landmarks are placed on an upright one, at any angle. Boxes are drawn as
    dlib's frontal detector, on which landmarks were trained, would draw them. Landmarks and chips
    are taken from the photo itself.

    Where the network saw something but found no face, dlib's detectors are asked; with
    ``detector="dlib"`` they are the only ones. The frontal detector runs on the photo scaled down
    to a bounded size. Where it finds nothing it looks again: around the borders, for a face that
    fills the frame, at twice the scale, for a small one. Then comes dlib's convolutional detector,
    which sees faces that are turned or half covered, and last, in a large photo, a look at a larger
    scale.

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
        Least confidence of a detection, in dlib's units, in which a clear face has 1. Higher values
        find fewer faces, and fewer things that are none.
    max_pixels : int, default=128_000_000
        Photos of more pixels are refused before they are decoded.
    use_cnn : bool, default=True
        Whether to ask dlib's convolutional detector where those before it find no face.
    appearance : "shipped", path or None, default="shipped"
        A small network that knows a face as it should look, upright and uncovered. The one that
        ships was trained on UTKFace, for non-commercial research only; it has no part in any age.
        With None, nothing is known of ``Quality.likeness``, and dlib's detector turns no photos.
    detector : {"blazeface", "dlib"}, default="blazeface"
        What looks for faces first: the small network, or dlib's frontal detector.

    See Also
    --------
    Face : The record of one face.

    References
    ----------
    V. Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs",
    arXiv:1907.05047, 2019.
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
    [180.0, 80.0, 280.0, 180.0]
    """

    def __init__(
        self,
        landmarks=68,
        max_side=800,
        threshold=0.0,
        max_pixels=128_000_000,
        use_cnn=True,
        appearance="shipped",
        detector="blazeface",
    ):
        self.landmarks = landmarks
        self.max_side = max_side
        self.threshold = threshold
        self.max_pixels = max_pixels
        self.use_cnn = use_cnn
        self.appearance = appearance
        self.detector = detector

    def __setstate__(self, state: dict[str, object]) -> None:
        # Files of earlier releases lack what has been added since.
        super().__setstate__({"appearance": "shipped", "detector": "dlib"} | state)

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
        faces = self._choose(loaded, self._views(loaded, boxes, cropped, main_only))
        return [measure_sharpness(face) for face in faces]

    def find_each(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        main_only: bool = False,
        sharpness: bool = True,
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
        sharpness : bool, default=True
            Whether to measure ``Quality.sharpness``, which nothing else that is found depends on.
            Without it, it is NaN, and a twentieth of the time of a small model is saved.

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
        for faces in self._find_in_parts(list(photos), boxes, cropped, main_only):
            if sharpness and not isinstance(faces, PhotoError):
                faces = [measure_sharpness(face) for face in faces]
            yield faces

    def _find_in_parts(
        self, photos: list[object], boxes: Iterable[object] | None, cropped: bool, main_only: bool
    ) -> Iterator[list[Face] | PhotoError]:
        todo = zip(photos, check_boxes(boxes, len(photos)), strict=True)
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
        begun: list[tuple[Photo, list[View], Iterator[View]] | PhotoError] = []
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

    def _views(self, photo: Photo, boxes: object, cropped: bool, main_only: bool) -> Iterator[View]:
        """Yield what can be seen in a photo, the likeliest first, each only if it is asked for."""
        if cropped or boxes is not None:
            given = boxes_in_pixels(photo, boxes)
            located = [Located(box, math.nan) for box in given]
            found = views_of_boxes(photo, located, self.landmarks)
        else:
            found = _DETECTORS[self._detector()](photo, self._search(main_only))
        for view in found:
            located, beside = (
                sorted(faces, key=lambda one: prominence(one.box, one.score), reverse=True)
                for faces in (view.located, view.beside)
            )
            yield replace(view, located=located[:1] if main_only else located + beside, beside=[])

    def _choose(self, photo: Photo, views: Iterable[View]) -> list[Face]:
        """Take the first view whose main face looks as a face should, or else the likeliest."""
        instead = perhaps = None
        for view in views:
            faces = _or_error(self._make_faces, view)
            if isinstance(faces, PhotoError):
                if view.quarters:
                    continue
                raise faces
            quality = faces[0].quality
            sure = not view.quarters or (view.any_tilt and quality.score >= _SURE)
            known = sure or not (view.any_tilt and math.isnan(quality.likeness))
            if known and not quality.defect and (view.any_tilt or is_upright(faces[0])):
                return faces
            if not sure:
                if perhaps is None and view.any_tilt and quality.likeness >= _LIKELY:
                    perhaps = faces
            elif instead is None:
                instead = faces
                # A face that is covered or too bright is so whichever way it is turned.
                if quality.defect not in _PERHAPS_TURNED:
                    break
        if chosen := instead or perhaps:
            return chosen
        raise nothing_found(photo.name, photo.width, photo.height, self)

    def _make_faces(self, view: View) -> list[Face]:
        [faces] = self._place_faces([view]) if view.faces is None else [view.faces]
        if isinstance(faces, PhotoError):
            raise faces
        return [measure_appearance(face, self.appearance) for face in faces]

    def _place_faces(self, views: list[View]) -> list[list[Face] | PhotoError]:
        """Place the faces of several photos, whose landmarks are found together."""
        placed = iter(
            place_landmarks(
                load_predictor(self.landmarks),
                [view.photo for view in views for _ in view.located],
                [one for view in views for one in view.located],
            )
        )
        points = [[next(placed) for _ in view.located] for view in views]
        return [
            _or_error(
                lambda view, points: [
                    place_face(view.photo, view.quarters, place, one.box, one.score)
                    for place, one in zip(points, view.located, strict=True)
                ],
                *one,
            )
            for one in zip(views, points, strict=True)
        ]

    def _detector(self) -> str:
        if self.detector not in _DETECTORS:
            known = " or ".join(map(repr, _DETECTORS))
            raise ValueError(f"detector={self.detector!r}: pass {known}")
        return self.detector

    def _search(self, main_only: bool) -> Search:
        return Search(self.landmarks, self.max_side, self.threshold, self.use_cnn, main_only)

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
        search = self._search(main_only=False)
        enlarge = search.enlargement(height / reduction, width / reduction)
        return _WINDOW / max(2 * min(1.0, self.max_side / longest), enlarge / reduction)


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
        f"no face of {finder.smallest_face(width, height):.0f} pixels or more in {shorten(name)} "
        f"({width} x {height}): {way_out}, "
        f"or pass boxes= from a detector of your own"
    )
    error.photo_size = width, height
    return error


def _or_error(step: Callable[..., _Result], *args: object) -> _Result | PhotoError:
    try:
        return step(*args)
    except PhotoError as error:
        return error
