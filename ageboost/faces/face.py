"""The record of one face: made once, read by every feature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import dlib
import numpy as np
import numpy.typing as npt

from ageboost.faces.alignment import extract_chip, five_of_68, to_detection

__all__ = ["DISTURBANCES", "Box", "Face", "Quality"]

# What a face can look like if not as usual, and what that is called in a message. The order is that
# of the network's answers, where the first is a face as usual.
DISTURBANCES = {
    "turned": "the face lies on its side or stands on its head, or its landmarks do not fit",
    "negative": "the photo is a negative",
    "stretched": "the photo is stretched: its width does not fit its height",
    "overexposed": "the face is too bright: light and skin cannot be separated",
    "covered": "part of the face is covered",
    "colours": "red and blue are exchanged: give RGB, for instance array[..., ::-1]",
    "none": "this does not look like a face",
}
_WORDS = list(DISTURBANCES)
# How it was chosen, and on which photos, is written in weights/README.md.
LEAST_LIKENESS = 0.72
# A long nose alone is no defect; one of faces that look less certain than 95 of 100 is.
_MOST_ASPECT, _CERTAIN_LIKENESS = 0.74, 0.95


class Box(NamedTuple):
    """A face's rectangle, in pixels of the upright photo at its original size."""

    left: float
    top: float
    right: float
    bottom: float


class Quality(NamedTuple):
    """How well a face can be seen.

    Attributes
    ----------
    size : float
        Side of the face's box, in pixels of the original photo.
    sharpness : float
        Root mean square of the Laplacian of the grey levels over the aligned face, in grey levels:
        under 5 is blurred, above 15 is sharp.
    yaw : float
        Estimated turn of the head, in degrees: 0 looks at the camera, positive turns the nose to
        the right of the photo.
    score : float
        Confidence of the detector, in its own units: dlib's starts at 0, and 1 is a clear face.
        NaN for faces that the caller located.
    roll : float
        How far the face is turned clockwise in the photo, in degrees from -180 to 180; by about 90
        or 180 where the photo lies on its side or stands on its head.
    contrast : float
        Standard deviation of the grey levels over the aligned face.
    burnt : float
        Share of the aligned face that is as bright as a photo can be.
    likeness : float
        How much it looks like a face as cameras see it, from 0 to 1: upright, its landmarks in
        their places, neither covered nor stretched nor negative.
    disturbance : float
        What it looks like if not that: the place in ``("turned", "negative", "stretched",
        "overexposed", "covered", "colours", "none")``, where ``"colours"`` means that red and blue
        are exchanged and ``"none"`` that it is no face.
    aspect : float
        How far the base of the nose is below the eyes, in distances between their outer corners:
        0.40 to 0.68 for 98 of 100 faces, more where a photo is made narrow.
    brightness : float
        Mean of the grey levels over the aligned face.
    chroma : float
        Mean difference between the strongest and the weakest of red, green and blue over the
        aligned face, in grey levels: 0 in a grey photo.

    Notes
    -----
    The last eight are NaN where they are not known.
    """

    size: float
    sharpness: float
    yaw: float
    score: float
    roll: float = float("nan")
    contrast: float = float("nan")
    burnt: float = float("nan")
    likeness: float = float("nan")
    disturbance: float = float("nan")
    aspect: float = float("nan")
    brightness: float = float("nan")
    chroma: float = float("nan")

    @property
    def defect(self) -> str:
        """What makes the face one not to rely on however sharp and large it is, or nothing.

        One of the words above, where ``likeness`` is lower than that of nearly all faces.
        """
        if self.likeness < LEAST_LIKENESS:
            return _WORDS[int(self.disturbance)]
        narrow = self.aspect > _MOST_ASPECT and self.likeness < _CERTAIN_LIKENESS
        return "stretched" if narrow else ""

    def is_reliable(self, threshold: float) -> bool:
        """Whether the face is seen well enough to rely on its age.

        Parameters
        ----------
        threshold : float
            The least ``overall`` that is enough: a model's ``quality_threshold_``.

        Returns
        -------
        bool
        """
        return not self.defect and self.overall >= threshold

    def explain(self, threshold: float) -> str:
        """Say in words why the face is not to be relied on.

        Parameters
        ----------
        threshold : float

        Returns
        -------
        str
            Empty for a face that is reliable.
        """
        if self.defect:
            return f"{self.defect}: {DISTURBANCES[self.defect]}"
        if self.overall >= threshold:
            return ""
        parts = self._parts()
        return min(parts, key=parts.__getitem__)

    @property
    def overall(self) -> float:
        """One number from 0 (useless) to 1 (nothing amiss): the worst of the first four parts."""
        return float(np.clip(min(self._parts().values()), 0, 1))

    def _parts(self) -> dict[str, float]:
        return {
            "too small": self.size / 80,
            "blurred or dark": self.sharpness / 8,
            "turned away": (75 - abs(self.yaw)) / 45,
            "barely looks like a face": 1.0 if np.isnan(self.score) else 0.4 + 1.2 * self.score,
        }


@dataclass(eq=False)
class Face:
    """One face of one photo, and the pixels around it.

    Attributes
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        The part of the photo that holds the face and its surroundings, RGB. Faces larger than 400
        pixels are kept at 400, so that a face never holds more than a few megabytes.
    landmarks : ndarray of shape (68, 2) or (5, 2), float64
        Points of the face as x and y in ``pixels``, in dlib's order.
    box : Box
        Where the face is in the original photo.
    quality : Quality
        How well it can be seen.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.faces import FaceFinder
    >>> [face] = FaceFinder().find(astronaut())
    >>> face.landmarks.shape
    (68, 2)
    >>> face.chip(150, padding=0.25).shape
    (150, 150, 3)
    """

    pixels: npt.NDArray[np.uint8]
    landmarks: npt.NDArray[np.float64]
    box: Box
    quality: Quality
    _chips: dict[tuple[int, float, int], npt.NDArray[np.uint8]] = field(
        default_factory=dict, repr=False
    )
    # Its landmarks as dlib takes them, by their number.
    _detections: dict[int, dlib.full_object_detection] = field(
        default_factory=dict, repr=False, init=False
    )
    # What networks that begin alike have computed of it.
    _begun: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict, repr=False, init=False)

    def chip(
        self, size: int, padding: float = 0.25, n_landmarks: int | None = None
    ) -> npt.NDArray[np.uint8]:
        """Cut out the face, upright and scaled; each kind of chip is made once.

        Parameters
        ----------
        size : int
            Side of the chip in pixels.
        padding : float, default=0.25
            Surroundings to include, as a share of the face's size on each side.
        n_landmarks : {5, 68}, optional
            Align by this many landmarks. By default, all that the face has. Five of them are taken
            out of 68; a face that has five is aligned by these in any case.

        Returns
        -------
        ndarray of shape (size, size, 3), uint8
            RGB. What lies outside the photo is black.
        """
        n_landmarks = min(n_landmarks or 68, len(self.landmarks))
        key = (size, padding, n_landmarks)
        chip = self._chips.get(key)
        if chip is None:
            chip = extract_chip(self.pixels, self._detection(n_landmarks), size, padding)
            self._chips[key] = chip
        return chip

    def _detection(self, n_landmarks: int) -> dlib.full_object_detection:
        detection = self._detections.get(n_landmarks)
        if detection is None:
            points = five_of_68(self.landmarks) if n_landmarks == 5 else self.landmarks
            detection = self._detections[n_landmarks] = to_detection(self.pixels, points)
        return detection

    def __getstate__(self) -> dict[str, object]:
        # These are quicker to make again than to send to another process.
        return {**self.__dict__, "_chips": {}, "_detections": {}, "_begun": {}}
