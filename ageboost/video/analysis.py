"""From a video to one row for each person: the loop that is otherwise written anew each time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ageboost.faces import Face
from ageboost.models.estimator import AgeEstimator
from ageboost.video._mirror import mirror_face
from ageboost.video.combination import TrackErrors
from ageboost.video.frames import Frame, Frames, Source, read_frames
from ageboost.video.person import COLUMNS, BestFrames, Measured, PersonTrack, people_table
from ageboost.video.tracking import FaceTracker

__all__ = [
    "Moment",
    "VideoAnalyzer",
    "analyze_video",
    "date_table",
    "moments",
    "source_faults",
    "watch_video",
]

# While no frame comes, it is looked so often whether somebody has left.
_HEARTBEAT = 0.5


@dataclass(frozen=True)
class Moment:
    """One frame of a video, and who is there.

    Attributes
    ----------
    frame : Frame or None
        None while a live source gives no frame.
    people : list of PersonTrack
        Whose faces were found in this frame. A person goes on to learn from later frames.
    finished : list of PersonTrack
        Who has left since the frame before, or at the end of the video is still there.
    """

    frame: Frame | None
    people: list[PersonTrack]
    finished: list[PersonTrack]


class VideoAnalyzer:
    """Follows people from frame to frame, and learns their ages while they stand there.

    For those who have frames in hand; :func:`watch_video` reads them as well.

    Parameters
    ----------
    model : AgeEstimator
        Fitted.
    tracker : FaceTracker, optional
        By default one that places landmarks as the model does.
    n_best : int, default=8
        From how many frames an age is combined, at most.
    errors : TrackErrors, optional
        How errors shrink with the number of frames; by default as learnt from clips.

    Examples
    --------
    >>> import ageboost
    >>> from skimage.data import astronaut
    >>> from ageboost.video import Frame, VideoAnalyzer
    >>> analyzer = VideoAnalyzer(ageboost.load_pretrained("fast"))
    >>> for number in range(20):
    ...     moment = analyzer.update(Frame(astronaut(), number / 10, number))
    >>> [person] = moment.people
    >>> bool(15 < person.age < 50), person.n_frames
    (True, 20)
    """

    def __init__(
        self,
        model: AgeEstimator,
        tracker: FaceTracker | None = None,
        n_best: int = 8,
        errors: TrackErrors | None = None,
    ):
        if n_best < 1:
            raise ValueError(f"n_best={n_best!r}: pass 1 or more")
        self.model = model
        self.tracker = FaceTracker(model.features_.get_finder()) if tracker is None else tracker
        self.n_best = n_best
        self.errors = errors
        self._features = model.features_now()
        self._people: dict[int, PersonTrack] = {}

    def update(self, frame: Frame) -> Moment:
        """Look at the next frame.

        Parameters
        ----------
        frame : Frame

        Returns
        -------
        Moment
        """
        people = []
        due: list[tuple[PersonTrack, float, Face]] = []
        for number, face, alone in self.tracker.update(frame.pixels, frame.time):
            person = self._people.get(number)
            if person is None:
                person = self._people[number] = PersonTrack(
                    number,
                    frame.time,
                    frame.time,
                    face.box,
                    self.model,
                    BestFrames(self.n_best),
                    self.errors,
                )
            person.end, person.box = frame.time, face.box
            person.n_frames += 1
            if alone:
                chosen = person.best.offer(face, frame.time)
                if chosen is not None:
                    due.append((person, *chosen))
            people.append(person)
        self._measure(due)
        return Moment(frame, people, self._pop_finished())

    def pass_time(self, seconds: float) -> Moment:
        """Say how late it is while no frame comes, so that who was there can have left.

        Parameters
        ----------
        seconds : float

        Returns
        -------
        Moment
        """
        self.tracker.pass_time(seconds)
        return Moment(None, [], self._pop_finished())

    def finish(self) -> Moment:
        """End with the people who are still there: there are no more frames.

        Returns
        -------
        Moment
        """
        self.tracker.finish()
        return Moment(None, [], self._pop_finished())

    @property
    def is_idle(self) -> bool:
        """Whether nobody is there, so that all that comes is independent of what was before."""
        return self.tracker.n_open == 0

    def _pop_finished(self) -> list[PersonTrack]:
        ended = [
            (self._people.pop(number), was_person)
            for number, was_person in self.tracker.pop_ended()
            if number in self._people
        ]
        finished = [person for person, was_person in ended if was_person]
        self._measure(
            [(person, *last) for person in finished if (last := person.best.take()) is not None]
        )
        return finished

    def _measure(self, due: Sequence[tuple[PersonTrack, float, Face]]) -> None:
        if not due:
            return
        faces = [face for _, _, face in due]
        matrix = self._features.transform_faces(faces + [mirror_face(face) for face in faces])
        if self.model.calibration_ is None:
            ages, scales = self.model.age_regressor_.predict(matrix), np.ones(len(matrix))
        else:
            found = self.model.age_regressor_.predict_distribution(matrix)
            ages, scales = found.ages, found.scales
        ages, scales = (both.reshape(2, -1).mean(axis=0) for both in (ages, scales))
        for (person, seen, face), age, scale in zip(due, ages, scales, strict=True):
            person.best.keep(Measured(seen, float(age), float(scale), face.quality, face.box))


def watch_video(
    model: AgeEstimator,
    source: Source | Frames,
    *,
    tracker: FaceTracker | None = None,
    n_best: int = 8,
    **options,
) -> Iterator[Moment]:
    """Look at a video frame by frame, while it runs.

    Parameters
    ----------
    model : AgeEstimator
        Fitted.
    source : path, int, str, iterable or Frames
        As for :func:`read_frames`, or what it gives.
    tracker : FaceTracker, optional
        As for :class:`VideoAnalyzer`.
    n_best : int, default=8
        As for :class:`VideoAnalyzer`.
    **options
        Of :func:`read_frames`, such as ``per_second``.

    Yields
    ------
    Moment
        One for each frame, one every half a second while a live source gives none, and one at the
        end, with the people who are still there.

    Raises
    ------
    VideoError
        If the source cannot be read.

    Examples
    --------
    >>> import ageboost
    >>> from skimage.data import astronaut
    >>> from ageboost.video import watch_video
    >>> film = [(number / 10, astronaut()) for number in range(12)]
    >>> moments = list(watch_video(ageboost.load_pretrained("fast"), film))
    >>> len(moments[5].people), len(moments[-1].finished)
    (1, 1)
    """
    frames = source if isinstance(source, Frames) else read_frames(source, **options)
    analyzer = VideoAnalyzer(model, tracker, n_best)
    with frames:
        yield from moments(frames, analyzer)


def moments(frames: Frames, analyzer: VideoAnalyzer) -> Iterator[Moment]:
    """Look at each frame, and end with those who are still there.

    Parameters
    ----------
    frames : Frames
    analyzer : VideoAnalyzer

    Yields
    ------
    Moment
        As for :func:`watch_video`.
    """
    while True:
        frame = frames.wait(_HEARTBEAT)
        if frame is not None:
            yield analyzer.update(frame)
        elif frames.ended:
            break
        else:
            yield analyzer.pass_time(time.time())
    yield analyzer.finish()


def analyze_video(
    model: AgeEstimator,
    source: Source | Frames,
    *,
    coverage: float = 0.9,
    began: object = None,
    tracker: FaceTracker | None = None,
    n_best: int = 8,
    **options,
) -> pd.DataFrame:
    """Look at a video to its end, and give a row for each person.

    Parameters
    ----------
    model : AgeEstimator
        Fitted.
    source : path, int, str, iterable or Frames
        As for :func:`watch_video`. A live source has no end: use :func:`watch_video`.
    coverage : float, default=0.9
        Share of true ages that should lie between ``age_low`` and ``age_high``.
    began : datetime or str, optional
        When a film began, so that ``start`` and ``end`` name a day.
    tracker : FaceTracker, optional
        As for :class:`VideoAnalyzer`.
    n_best : int, default=8
        As for :class:`VideoAnalyzer`.
    **options
        Of :func:`read_frames`, such as ``per_second``.

    Returns
    -------
    DataFrame
        One row for each person, by the time at which they left: ``track`` (a number), ``start``
        and ``end`` (seconds of the film, or datetimes where the source or ``began`` names a day),
        ``n_frames`` (that show the face), ``n_used`` (that the age comes from), ``left``, ``top``,
        ``width``, ``height`` (the face in the best frame, in pixels), ``age``, ``age_low``,
        ``age_high`` (years), ``p_under_18``, ``scale`` (how large an error to expect, in years:
        with the age, all that ``model.calibration_.distribution`` asks for), ``quality`` (0 to 1),
        ``reliable``, ``status`` and ``message`` (why an age is not reliable, such as that the face
        was covered in all frames). The status is ``"ok"``, ``"no age"``, or, in rows
        without a track at the end, ``"broken frames"`` or ``"cut short"``.

    Raises
    ------
    VideoError
        If the source cannot be read.
    """
    frames = source if isinstance(source, Frames) else read_frames(source, **options)
    if frames.live:
        frames.close()
        raise ValueError(
            f"{frames.name} has no end: go through ageboost.video.watch_video(model, source), or "
            f"run ageboost watch"
        )
    parts = [
        people_table(moment.finished, coverage)
        for moment in watch_video(model, frames, tracker=tracker, n_best=n_best)
        if moment.finished
    ]
    parts.append(source_faults(frames))
    table = pd.concat(parts, ignore_index=True)
    return date_table(table, frames.dated, began)


def date_table(table: pd.DataFrame, dated: bool, began: object = None) -> pd.DataFrame:
    """Make datetimes of seconds where it is known from when they count.

    Parameters
    ----------
    table : DataFrame
        With ``start`` and ``end`` in seconds.
    dated : bool
        Whether these are seconds since 1970.
    began : datetime or str, optional
        From when they count, if they are not.

    Returns
    -------
    DataFrame
    """
    if not dated and began is None:
        return table
    origin = pd.Timestamp(0, tz="UTC") if dated else pd.Timestamp(began)
    times = {
        column: origin + pd.to_timedelta(table[column], unit="s").dt.round("ms")
        for column in ("start", "end")
    }
    return table.assign(**times)


def source_faults(frames: Frames) -> pd.DataFrame:
    """Make a row of what could not be seen of a video; none if nothing was lost.

    Parameters
    ----------
    frames : Frames
        At their end.

    Returns
    -------
    DataFrame
        With the columns of :func:`analyze_video`.
    """
    counts = frames.counts
    rows = []
    if counts.missing_seconds:
        message = f"{frames.name} ends {counts.missing_seconds:.1f} s before its stated end"
        rows.append({"status": "cut short", "message": message})
    if counts.broken:
        message = f"{counts.broken:,} frames of {frames.name} could not be decoded"
        rows.append({"status": "broken frames", "message": message})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
