"""Which face of a frame belongs to the same person as which face of the frame before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ageboost.errors import NoFaceError
from ageboost.faces import Face, FaceFinder
from ageboost.faces._first_scan import Detection, detect
from ageboost.faces._make_face import make_face
from ageboost.faces.landmarks import load_predictor
from ageboost.photos import Photo
from ageboost.video._motion import Trace, assign, crowded, overlap

__all__ = ["FaceTracker", "Sighting"]

# dlib finds faces of this many pixels and more.
_DETECTED_SIDE = 80
_SMALLEST_SHARE = 1 / 7
# In a region around a known face, it is brought to this side.
_REGION_SIDE = 95
_LARGEST_ENLARGEMENT = 2.0
# Surroundings that are searched, in sides of the face: when it was just seen, and at most.
_MARGIN, _WIDEST_MARGIN = 0.5, 1.0
# Near a known face, less will do to take something for a face.
_EASIER = 0.2
# What is taken for a face with no more confidence than this, again and again, is none. A track
# begins with less, and counts once it was as clear.
_CLEAR, _BEGINNING = 0.4, 0.2
_SAME = 0.35
# Who was not seen for so many frames may be gone, however long these take.
_FEWEST_MISSED = 3
_FEWEST_SEEN, _CLEAR_SHARE = 3, 0.5


class Sighting(NamedTuple):
    """One face of one frame, and whose it is.

    Attributes
    ----------
    track : int
        Number of the track, from 0.
    face : Face
    alone : bool
        Whether no other track's face should be in the same place, so that it is plain whose it is.
    """

    track: int
    face: Face
    alone: bool


@dataclass
class _Track:
    number: int
    trace: Trace
    best_score: float
    n_seen: int = 1
    n_missed: int = 0
    n_frames: int = 1


class FaceTracker:
    """Follows faces from frame to frame, by place, size and motion alone.

    A known face is looked for near where it should be by now, which takes a few milliseconds; the
    whole frame is searched now and then, for those who come. Boxes are given to tracks so that
    overlap, distance and size fit best together (the Hungarian method). A track goes on through
    frames in which its face is turned away or covered, and ends when it was not seen for a while or
    has left the frame. Nothing that would know a person again is computed: who comes back begins
    another track.

    Parameters
    ----------
    finder : FaceFinder, optional
        How landmarks are placed, and from what confidence on something is a face. By default with 5
        landmarks.
    smallest : float, optional
        Side of the smallest face to look for, in pixels of the frame; not below 40. Half of it
        takes four times as long. By default, a seventh of the frame's shorter side.
    scan_seconds : float, default=0.4
        How often the whole frame is searched.
    patience : float, default=1.5
        Seconds without being seen after which a track ends; three frames at least.

    Attributes
    ----------
    n_tracks : int
        How many tracks have begun.

    References
    ----------
    H. W. Kuhn, "The Hungarian Method for the Assignment Problem", Naval Research Logistics 1955.
    A. Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from skimage.data import astronaut
    >>> from ageboost.video import FaceTracker
    >>> tracker = FaceTracker()
    >>> for number in range(5):
    ...     [sighting] = tracker.update(np.roll(astronaut(), 4 * number, axis=1), number / 25)
    >>> sighting.track, tracker.n_tracks
    (0, 1)
    """

    def __init__(
        self,
        finder: FaceFinder | None = None,
        *,
        smallest: float | None = None,
        scan_seconds: float = 0.4,
        patience: float = 1.5,
    ):
        if (smallest is not None and smallest <= 0) or scan_seconds < 0 or patience < 0:
            raise ValueError("smallest must be above 0, scan_seconds and patience 0 or more")
        self.finder = FaceFinder(landmarks=5) if finder is None else finder
        self.smallest = smallest
        self.scan_seconds = scan_seconds
        self.patience = patience
        self.n_tracks = 0
        self._tracks: list[_Track] = []
        self._ended: list[_Track] = []
        self._scanned = -math.inf

    def update(self, pixels: npt.NDArray[np.uint8], seconds: float) -> list[Sighting]:
        """Look at the next frame.

        Parameters
        ----------
        pixels : ndarray of shape (height, width, 3), uint8
            RGB.
        seconds : float
            Its time, not before that of the frame before.

        Returns
        -------
        list of Sighting
            The faces in it, by track; without what has not been seen clearly yet, and may be none.
        """
        found = self._look(pixels, seconds)
        boxes = np.array([box for box, _ in found]).reshape(-1, 4)
        traces = [track.trace for track in self._tracks]
        crowd = crowded(traces, seconds)
        whose = assign(traces, boxes, seconds)
        seen: list[tuple[_Track, int, bool]] = []
        for track, box, in_crowd in zip(self._tracks, whose, crowd.tolist(), strict=True):
            track.n_frames += 1
            if box < 0:
                track.n_missed += 1
                continue
            track.trace.update(boxes[box], seconds, in_crowd)
            track.n_seen, track.n_missed = track.n_seen + 1, 0
            track.best_score = max(track.best_score, found[box][1])
            seen.append((track, box, not in_crowd))
        for box in sorted(set(range(len(found))) - set(whose)):
            if found[box][1] >= self.finder.threshold + _BEGINNING:
                track = _Track(self.n_tracks, Trace.start(boxes[box], seconds), found[box][1])
                self.n_tracks += 1
                self._tracks.append(track)
                seen.append((track, box, True))
        self._end_tracks(pixels.shape[1::-1], seconds)
        photo = Photo(pixels, pixels.shape[1], pixels.shape[0], "a frame")
        sightings = []
        for track, box, alone in seen:
            if track.best_score < self.finder.threshold + _CLEAR:
                continue
            # A box on the very edge may hold no landmarks.
            for face in self._describe(photo, found[box]):
                sightings.append(Sighting(track.number, face, alone))
        return sightings

    def pass_time(self, seconds: float) -> None:
        """Say how late it is while no frame comes, so that tracks can end."""
        for track in self._tracks:
            if seconds - track.trace.seen > self.patience:
                track.n_missed = max(track.n_missed, _FEWEST_MISSED)
        self._end_tracks(None, seconds)

    def pop_ended(self) -> list[tuple[int, bool]]:
        """Take the tracks that have ended since this was last asked.

        Returns
        -------
        list of (int, bool)
            The number of each, and whether it was a person; what a detector took for a face once
            and not again, or never with confidence, is none.
        """
        least = self.finder.threshold + _CLEAR
        ended = [
            (track.number, _was_steady(track) and track.best_score >= least)
            for track in self._ended
        ]
        self._ended = []
        return ended

    def finish(self) -> None:
        """End all tracks: there are no more frames."""
        self._ended += self._tracks
        self._tracks = []

    @property
    def n_open(self) -> int:
        """How many tracks have not ended."""
        return len(self._tracks)

    def _look(self, pixels: npt.NDArray[np.uint8], seconds: float) -> list[Detection]:
        found: list[Detection] = []
        for track in self._tracks:
            found += self._look_near(pixels, track, seconds)
        if not 0 <= seconds - self._scanned < self.scan_seconds:
            self._scanned = seconds
            smallest = self.smallest or min(pixels.shape[:2]) * _SMALLEST_SHARE
            scale = min(_DETECTED_SIDE / smallest, _LARGEST_ENLARGEMENT)
            found += _detect_scaled(pixels, scale, (0, 0), self.finder.threshold)
        # The surer of two boxes around one face.
        found.sort(key=lambda face: face[1], reverse=True)
        kept: list[Detection] = []
        for box, score in found:
            others = np.array([other for other, _ in kept]).reshape(-1, 4)
            if not (overlap(box[None], others) > _SAME).any():
                kept.append((box, score))
        return kept

    def _look_near(
        self, pixels: npt.NDArray[np.uint8], track: _Track, seconds: float
    ) -> list[Detection]:
        height, width = pixels.shape[:2]
        left, top, right, bottom = track.trace.predict(seconds)
        margin = min(_MARGIN + 0.1 * track.n_missed, _WIDEST_MARGIN) * track.trace.side
        x0, y0 = max(0, int(left - margin)), max(0, int(top - margin))
        x1, y1 = min(width, math.ceil(right + margin)), min(height, math.ceil(bottom + margin))
        if x1 - x0 < track.trace.side / 2 or y1 - y0 < track.trace.side / 2:
            return []
        scale = min(_REGION_SIDE / track.trace.side, _LARGEST_ENLARGEMENT)
        threshold = self.finder.threshold - _EASIER
        return _detect_scaled(pixels[y0:y1, x0:x1], scale, (x0, y0), threshold)

    def _describe(self, photo: Photo, found: Detection) -> list[Face]:
        try:
            predictor = load_predictor(self.finder.landmarks)
            return [make_face(photo, 0, predictor, *found, self.finder.appearance)]
        except NoFaceError:
            return []

    def _end_tracks(self, size: tuple[int, int] | None, seconds: float) -> None:
        going: list[_Track] = []
        for track in self._tracks:
            late = seconds - track.trace.seen > self.patience and track.n_missed >= _FEWEST_MISSED
            once = track.n_seen < _FEWEST_SEEN and track.n_missed > 2 * _FEWEST_MISSED
            box = track.trace.predict(seconds)
            centre = (box[:2] + box[2:]) / 2
            gone = (
                size is not None
                and track.n_missed > 0
                and bool((centre < 0).any() or (centre > size).any())
            )
            (self._ended if late or gone or once else going).append(track)
        if self._tracks and not going:
            # Nobody is there: what comes does not depend on what was, so runs can go on from here.
            self._scanned = -math.inf
        self._tracks = going


def _was_steady(track: _Track) -> bool:
    return track.n_seen >= _FEWEST_SEEN or track.n_seen >= _CLEAR_SHARE * track.n_frames


def _detect_scaled(
    pixels: npt.NDArray[np.uint8], scale: float, corner: tuple[int, int], threshold: float
) -> list[Detection]:
    """Find faces on a scaled copy; boxes are in pixels of the frame."""
    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size != (width, height):
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        pixels = cv2.resize(pixels, size, interpolation=how)
    # dlib reads rows that follow each other.
    pixels = np.ascontiguousarray(pixels)
    return [
        (box / scale + (*corner, *corner), score) for box, score in detect(pixels, 0, threshold)
    ]
