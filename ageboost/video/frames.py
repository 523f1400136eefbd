"""Frames of a film, a camera, a stream, a folder of stills or a loop of your own, with times."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from ageboost.errors import PhotoError, VideoError
from ageboost.photos import load_photo
from ageboost.video._capture import FilmReader, FrameCounts, LiveReader, Pace, Timeouts

__all__ = ["Frame", "FrameCounts", "Frames", "Source", "read_frames"]

MAX_PIXELS = 64_000_000
_STILLS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}
_FILMS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".mpeg", ".wmv", ".flv"}
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_CAMERA = re.compile(r"/dev/video(\d+)")
_EXIF, _TIME_TAKEN, _FRACTION = 0x8769, 0x9003, 0x9291

Source: TypeAlias = str | os.PathLike[str] | int | Iterable[object]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Attributes
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        Upright, RGB.
    time : float
        Seconds from the beginning of a film; since 1970 for what is live, for stills, and for times
        given as datetimes.
    number : int
        Its place in the source, from 0, frames that were passed over counted.
    """

    pixels: npt.NDArray[np.uint8]
    time: float
    number: int


class Frames(Iterator[Frame]):
    """The frames of one source, one after the other: :func:`read_frames` makes it.

    It closes itself at the end; leave it early by :meth:`close`, or use it in a ``with`` statement.

    Attributes
    ----------
    name : str
        What errors and tables call the source.
    live : bool
        Whether frames come as they happen, and none is waited for.
    dated : bool
        Whether times are seconds since 1970, so that they name a day.
    """

    def __init__(self, reader, name: str, live: bool, dated: bool):
        self._reader = reader
        self.name = name
        self.live = live
        self.dated = dated

    @property
    def counts(self) -> FrameCounts:
        """What became of frames so far."""
        return self._reader.counts

    @property
    def n_expected(self) -> int | None:
        """How many frames a film says that it has."""
        return self._reader.n_expected

    @property
    def per_second(self) -> float | None:
        """How many frames a second a film says that it has."""
        return self._reader.per_second

    @property
    def ended(self) -> bool:
        """Whether no more frame will come."""
        return self._reader.ended

    def __next__(self) -> Frame:
        frame = self.wait()
        if frame is None:
            raise StopIteration
        return frame

    def wait(self, seconds: float | None = None) -> Frame | None:
        """Wait for the next frame of a live source, but not for ever.

        Parameters
        ----------
        seconds : float, optional
            By default, until there is one. What is not live is not waited for, whatever this says.

        Returns
        -------
        Frame or None
            None at the end, or when the time is over: see ``ended``.

        Raises
        ------
        VideoError
            If a film takes longer than its time-out.
        """
        found = self._reader.next(seconds)
        if found is None:
            if self._reader.ended:
                self.close()
            return None
        number, time, pixels = found
        return Frame(pixels, time, number)

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def __enter__(self) -> Frames:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read_frames(
    source: Source,
    *,
    every: int = 1,
    per_second: float | None = None,
    open_timeout: float = 10.0,
    read_timeout: float = 10.0,
    max_pixels: int = MAX_PIXELS,
    first: int = 0,
) -> Frames:
    """Read the frames of a video, each with the time at which it was shown.

    A film is decoded ahead in a thread, turned upright as its header says, and keeps the times that
    it was recorded with. A camera or stream is read in a thread, too, which keeps the newest frame
    alone: whoever is slower than the camera sees fewer frames, not older ones. When it goes away it
    is opened again, after pauses that grow from half a second to half a minute.

    Nothing goes over a network unless the source is an address.

    Parameters
    ----------
    source : path, int, str or iterable
        A film; a folder of stills, in the order in which they were taken (as EXIF says or, if one
        of them does not, as the times of files say); a camera's number; the address of a stream,
        such as ``rtsp://...``; or pairs of time and frame, times in rising seconds or datetimes,
        frames as for :func:`ageboost.read_photo` (RGB).
    every : int, default=1
        Take every n-th frame.
    per_second : float, optional
        Take so many frames a second at most.
    open_timeout : float, default=10.0
        Seconds after which it is given up to open the source.
    read_timeout : float, default=10.0
        Seconds after which it is given up to wait for a frame: a film raises an error, a stream is
        opened again.
    max_pixels : int, default=64_000_000
        A video with larger frames is refused.
    first : int, default=0
        Begin with the frame of this number; for films.

    Returns
    -------
    Frames
        An iterator of :class:`Frame`.

    Raises
    ------
    VideoError
        If there is no such file, no video in it, no camera or no stream. A stream that was open
        once is waited for.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.video import read_frames
    >>> film = [(seconds, np.zeros((90, 160, 3), np.uint8)) for seconds in (0.0, 0.5, 1.0)]
    >>> [frame.time for frame in read_frames(film, every=2)]
    [0.0, 1.0]
    """
    if every < 1:
        raise ValueError(f"every={every!r}: pass 1 or more")
    if per_second is not None and not per_second > 0:
        raise ValueError(f"per_second={per_second!r}: pass more than 0")
    pace = Pace(every, per_second)
    timeouts = Timeouts(open_timeout, read_timeout)
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        camera = _CAMERA.fullmatch(text)
        if camera:
            return read_frames(
                int(camera[1]),
                every=every,
                per_second=per_second,
                open_timeout=open_timeout,
                read_timeout=read_timeout,
                max_pixels=max_pixels,
            )
        if _ADDRESS.match(text):
            # Errors and tables must not show a camera's password.
            name = _without_password(text)
            if Path(urlsplit(text).path).suffix.lower() in _FILMS:
                film = FilmReader(text, name, pace, timeouts, max_pixels, first)
                return Frames(film, name, live=False, dated=False)
            stream = LiveReader(text, name, pace, timeouts, max_pixels)
            return Frames(stream, name, live=True, dated=True)
        if os.path.isdir(text):
            stills = _list_stills(text)
            return Frames(_GivenReader(stills, pace), text, live=False, dated=True)
        _check_file(text)
        # An absolute path cannot be taken for an address or for an option.
        film = FilmReader(os.path.abspath(text), text, pace, timeouts, max_pixels, first)
        return Frames(film, text, live=False, dated=False)
    if isinstance(source, int):
        name = f"camera {source}"
        camera_reader = LiveReader(source, name, pace, timeouts, max_pixels)
        return Frames(camera_reader, name, live=True, dated=True)
    if isinstance(source, np.ndarray) or not isinstance(source, Iterable):
        raise TypeError(
            f"a {type(source).__name__} is not a video: pass a video file, a folder of stills, the "
            f"number of a camera, an address, or pairs of time and frame"
        )
    given = _GivenReader(source, pace)
    return Frames(given, "frames", live=False, dated=given.dated)


class _GivenReader:
    """Frames that somebody else reads, or stills: decoded when they are asked for."""

    def __init__(self, pairs: Iterable[object], pace: Pace):
        self.counts = FrameCounts()
        self.n_expected = len(pairs) if isinstance(pairs, list) else None
        self.per_second = None
        self.ended = False
        self._pairs = enumerate(pairs)
        self._pace = pace
        self._before = -np.inf
        self._waiting = next(self._pairs, None)
        time = self._waiting and _pair(*self._waiting)[0]
        self.dated = isinstance(time, datetime)

    def next(self, wait: float | None = None) -> tuple[int, float, npt.NDArray[np.uint8]] | None:
        while (item := self._next_item()) is not None:
            number, pair = item
            time, picture = _pair(number, pair)
            seconds = _seconds(time, number)
            if seconds < self._before:
                raise VideoError(
                    f"frame {number}: its time, {time}, is before that of the frame before: give "
                    f"frames in the order of their times"
                )
            self._before = seconds
            if not self._pace.takes(number, seconds):
                self.counts.passed_over += 1
                continue
            try:
                pixels = load_photo(picture, name=f"frame {number}").pixels
            except PhotoError:
                self.counts.broken += 1
                continue
            self.counts.read += 1
            return number, seconds, pixels
        self.ended = True
        return None

    def close(self) -> None:
        self.ended = True

    def _next_item(self) -> tuple[int, object] | None:
        if self.ended:
            return None
        item, self._waiting = self._waiting or next(self._pairs, None), None
        return item


def _pair(number: int, pair: object) -> tuple[object, object]:
    if isinstance(pair, Frame):
        return pair.time, pair.pixels
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise TypeError(
            f"frame {number} is a {type(pair).__name__}: give pairs of time and frame, such as "
            f"(0.04, pixels)"
        )
    return pair


def _seconds(time: object, number: int) -> float:
    if isinstance(time, datetime):
        return time.timestamp()
    seconds = float(time)  # type: ignore[arg-type]
    if not np.isfinite(seconds):
        raise VideoError(f"frame {number}: its time is {seconds}: give seconds")
    return seconds


def _check_file(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise VideoError(f"{path}: no such file or address: check the path") from error
    if not stat.S_ISREG(mode):
        raise VideoError(f"{path}: a pipe or a device, not a film: pass a file or a number")
    if os.path.getsize(path) == 0:
        raise VideoError(f"{path}: empty, 0 bytes: copy it again from where it came from")


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return address
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _list_stills(folder: str) -> list[tuple[datetime, str]]:
    """List the stills of a folder in the order in which they were taken."""
    paths = sorted(
        (path for path in Path(folder).iterdir() if path.suffix.lower() in _STILLS), key=_natural
    )
    if not paths:
        raise VideoError(f"{folder}: a folder without stills: it must hold photos, or name a film")
    taken = [_time_taken(path) for path in paths]
    times = [time for time in taken if time is not None]
    if len(times) < len(paths):
        times = [datetime.fromtimestamp(path.stat().st_mtime) for path in paths]
    ordered = sorted(zip(times, paths, strict=True), key=lambda still: still[0])
    return [(time, str(path)) for time, path in ordered]


def _natural(path: Path) -> list[object]:
    """Sort 9.jpg before 10.jpg."""
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _time_taken(path: Path) -> datetime | None:
    from PIL import Image

    try:
        with Image.open(path) as opened:
            facts = opened.getexif().get_ifd(_EXIF)
        time = datetime.strptime(str(facts[_TIME_TAKEN]), "%Y:%m:%d %H:%M:%S")
        fraction = str(facts.get(_FRACTION, "")).strip()
        return time.replace(microsecond=int(fraction[:6].ljust(6, "0")) if fraction else 0)
    except Exception:
        # What has no time, or is no photo, says nothing.
        return None
