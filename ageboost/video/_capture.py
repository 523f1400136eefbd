"""OpenCV's reader in a thread of its own, which can be given up when it does not return."""

from __future__ import annotations

import atexit
import queue
import threading
import time
import weakref
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ageboost.errors import VideoError

__all__ = ["FilmReader", "FrameCounts", "LiveReader", "Pace", "Timeouts"]

# Frames that are decoded ahead of whoever looks at them.
_AHEAD = 3
# OpenCV gives up by itself after its own time-out; only then the thread is given up.
_GRACE_SECONDS = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
# Steps in time within this share of the usual one are regular.
_REGULAR = 0.1

Pixels = npt.NDArray[np.uint8]

# Readers that may be at work. A thread that is inside OpenCV when Python ends takes the process
# down with it, so they are waited for.
_at_work: weakref.WeakSet = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    readers = list(_at_work)
    for reader in readers:
        reader.close()
    for reader in readers:
        reader.wait_for_end()


@dataclass
class FrameCounts:
    """What became of the frames of a source.

    Attributes
    ----------
    read : int
        Frames that were given out.
    passed_over : int
        Frames that were left out as ``every``, ``per_second`` or a live source demand.
    broken : int
        Frames that could not be decoded, or stills that could not be read.
    missing_seconds : float
        How much earlier the film ends than its header says.
    reopened : int
        How often a live source was opened again.
    """

    read: int = 0
    passed_over: int = 0
    broken: int = 0
    missing_seconds: float = 0.0
    reopened: int = 0


@dataclass(frozen=True)
class Timeouts:
    """Seconds after which opening and reading are given up."""

    opening: float
    reading: float


class Pace:
    """Chooses every n-th frame, or so many a second."""

    def __init__(self, every: int, per_second: float | None):
        self._every = every
        self._step = None if per_second is None else 1 / per_second
        self._due = -np.inf

    def takes(self, number: int, seconds: float) -> bool:
        """Say whether the frame is wanted."""
        if number % self._every:
            return False
        if self._step is None:
            return True
        # A clock that was set back must not stop the camera.
        set_back = self._due - seconds > 2 * self._step
        if seconds < self._due and not set_back:
            return False
        due = self._due + self._step
        self._due = due if seconds < due <= seconds + self._step else seconds + self._step
        return True


def open_capture(source: str | int, name: str, timeouts: Timeouts, max_pixels: int):
    """Open a film, a camera or a stream.

    Raises
    ------
    VideoError
        If it cannot be opened, or its frames are too large.
    """
    if isinstance(source, int):
        capture = cv2.VideoCapture(source)
    else:
        capture = cv2.VideoCapture(
            source,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(timeouts.opening * 1e3)),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(timeouts.reading * 1e3)),
            ],
        )
    if not capture.isOpened():
        capture.release()
        raise VideoError(
            f"{name}: no video can be read there: check that it is a film, a camera or a stream, "
            f"and that it holds pictures, not sound alone"
        )
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if width * height > max_pixels:
        capture.release()
        raise VideoError(
            f"{name}: frames of {width:.0f} x {height:.0f} are more than {max_pixels:,} pixels: "
            f"reduce it first, or raise max_pixels"
        )
    return capture


class FilmReader:
    """Reads a film from its beginning to its end."""

    def __init__(
        self, source: str, name: str, pace: Pace, timeouts: Timeouts, max_pixels: int, first: int
    ):
        self.counts = FrameCounts()
        self.n_expected: int | None = None
        self.per_second: float | None = None
        self._name = name
        self._timeouts = timeouts
        self._items: queue.Queue = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._ended = False
        self._thread = threading.Thread(
            target=self._read, args=(source, pace, max_pixels, first), daemon=True
        )
        self._thread.start()
        _at_work.add(self)
        kind, *facts = self._take(timeouts.opening, "open it")
        if kind == "error":
            raise facts[0]
        self.n_expected, self.per_second = facts

    def next(self, wait: float | None = None) -> tuple[int, float, Pixels] | None:
        """Give the next frame; None at the end."""
        if self._ended:
            return None
        kind, *facts = self._take(self._timeouts.reading, "read its next frame")
        if kind == "frame":
            self.counts.read += 1
            return facts[0], facts[1], facts[2]
        self._ended = True
        if kind == "error":
            raise facts[0]
        return None

    @property
    def ended(self) -> bool:
        """Whether there is no more frame."""
        return self._ended

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._ended = True

    def wait_for_end(self) -> None:
        """Wait until the thread is out of OpenCV."""
        self._thread.join(self._timeouts.reading + _GRACE_SECONDS)

    def _take(self, seconds: float, what: str):
        try:
            return self._items.get(timeout=seconds + _GRACE_SECONDS)
        except queue.Empty:
            self._stop.set()
            self._ended = True
            raise VideoError(
                f"{self._name}: took more than {seconds:g} s to {what}: check the file, or the "
                f"network that it lies on"
            ) from None

    def _put(self, *item: object) -> None:
        while not self._stop.is_set():
            try:
                return self._items.put(item, timeout=0.2)
            except queue.Full:
                continue
        return None

    def _read(self, source: str, pace: Pace, max_pixels: int, first: int) -> None:
        try:
            capture = open_capture(source, self._name, self._timeouts, max_pixels)
        except Exception as error:
            return self._put("error", error)
        try:
            per_second = capture.get(cv2.CAP_PROP_FPS)
            self._put("opened", _frame_count(capture) or None, per_second or None)
            self._read_frames(capture, pace, first)
            self._put("end")
        except Exception as error:
            self._put("error", VideoError(f"{self._name}: cannot be read on: {error}"))
        finally:
            capture.release()
        return None

    def _read_frames(self, capture, pace: Pace, first: int) -> None:
        steps: list[float] = []
        number, before = -1, -np.inf
        while not self._stop.is_set() and capture.grab():
            number += 1
            seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            if not np.isfinite(seconds) or seconds < before:
                # A film without times, or with times that go back: they must rise.
                seconds = max(before, 0.0) + 1 / (capture.get(cv2.CAP_PROP_FPS) or 25.0)
            steps.append(seconds - before)
            if len(steps) > 1000:
                self._count_gaps(steps)
                steps = []
            before = seconds
            # Asked for all of them, so that who goes on sees the frames that he would have seen.
            if not pace.takes(number, seconds) or number < first:
                self.counts.passed_over += 1
                continue
            decoded, pixels = capture.retrieve()
            if decoded and pixels is not None and pixels.size:
                self._put("frame", number, seconds, _to_rgb(pixels))
            else:
                self.counts.broken += 1
        self._count_gaps(steps)
        if self._stop.is_set():
            return
        count, per_second = _frame_count(capture), capture.get(cv2.CAP_PROP_FPS)
        if number < 0:
            raise VideoError("no frame in it can be decoded")
        if count and per_second > 0:
            missing = count / per_second - (before + 1 / per_second)
            if missing > max(0.5, 0.02 * count / per_second):
                self.counts.missing_seconds = missing

    def _count_gaps(self, steps: list[float]) -> None:
        """Count frames that are not there, where frames come at a steady rate."""
        known = np.array([step for step in steps if np.isfinite(step)])
        if len(known) < 10:
            return
        usual = np.median(known)
        if usual <= 0 or np.mean(np.abs(known - usual) < _REGULAR * usual) < 0.9:
            return
        gaps = np.rint(known / usual) - 1
        self.counts.broken += int(gaps[gaps > 0].sum())


class LiveReader:
    """Keeps the newest frame of a camera or stream, and opens it again when it goes away."""

    def __init__(
        self, source: str | int, name: str, pace: Pace, timeouts: Timeouts, max_pixels: int
    ):
        self.counts = FrameCounts()
        self.n_expected = self.per_second = None
        self._arguments = (source, name, pace, timeouts, max_pixels)
        self._name, self._timeouts = name, timeouts
        self._changed = threading.Condition()
        self._newest: tuple[int, float, Pixels] | None = None
        self._number = -1
        self._error: Exception | None = None
        self._opened = False
        self.ended = False
        self._start()
        with self._changed:
            self._changed.wait_for(
                lambda: self._opened or self._error, timeouts.opening + _GRACE_SECONDS
            )
        if not self._opened:
            self.close()
            raise self._error or VideoError(
                f"{name}: took more than {timeouts.opening:g} s to open: check the address, and "
                f"that the camera is on"
            )

    def next(self, wait: float | None = None) -> tuple[int, float, Pixels] | None:
        """Give the newest frame, as soon as there is one; None if there is none for so long."""
        deadline = None if wait is None else time.monotonic() + wait
        while not self.ended:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self.ended, 0.5)
                frame, self._newest = self._newest, None
            if frame is not None:
                self.counts.read += 1
                return frame
            if time.monotonic() > self._busy_until:
                # The thread hangs: leave it behind.
                self._stop.set()
                self._start()
            if deadline is not None and time.monotonic() > deadline:
                return None
        return None

    def close(self) -> None:
        """Stop reading."""
        self.ended = True
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    def wait_for_end(self) -> None:
        """Wait until the thread is out of OpenCV."""
        self._thread.join(self._timeouts.opening + self._timeouts.reading + _GRACE_SECONDS)

    def _start(self) -> None:
        self._stop = threading.Event()
        self._busy_until = np.inf
        self._thread = threading.Thread(target=self._run, args=(self._stop,), daemon=True)
        self._thread.start()
        _at_work.add(self)

    def _busy_for(self, seconds: float) -> None:
        self._busy_until = time.monotonic() + seconds + _GRACE_SECONDS

    def _run(self, stop: threading.Event) -> None:
        source, name, pace, timeouts, max_pixels = self._arguments
        pause = _FIRST_PAUSE
        while not stop.is_set():
            try:
                self._busy_for(timeouts.opening)
                capture = open_capture(source, name, timeouts, max_pixels)
            except Exception as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                if not self._opened:
                    return
            else:
                with self._changed:
                    self._opened = True
                    self._changed.notify_all()
                try:
                    if self._read(capture, pace, stop):
                        pause = _FIRST_PAUSE
                finally:
                    capture.release()
            self._busy_for(pause)
            stop.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            self.counts.reopened += not stop.is_set()

    def _read(self, capture, pace: Pace, stop: threading.Event) -> bool:
        some = False
        while not stop.is_set():
            self._busy_for(self._timeouts.reading)
            if not capture.grab():
                break
            now = time.time()
            self._number += 1
            if not pace.takes(self._number, now):
                self.counts.passed_over += 1
                continue
            decoded, pixels = capture.retrieve()
            if not decoded or pixels is None or not pixels.size:
                self.counts.broken += 1
                continue
            some = True
            frame = self._number, now, _to_rgb(pixels)
            with self._changed:
                self.counts.passed_over += self._newest is not None
                self._newest = frame
                self._changed.notify_all()
        return some


def _frame_count(capture) -> int:
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if 0 < count < 1e9 else 0


def _to_rgb(pixels: Pixels) -> Pixels:
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
