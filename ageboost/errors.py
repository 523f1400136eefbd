"""Every error that ageboost raises on purpose, under one base class.

Errors about photos carry the photo's name, so that a run over a thousand photos can say which
ones failed and go on with the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "AgeboostError",
    "CacheError",
    "DeviceError",
    "LabelsError",
    "ModelFileError",
    "NoFaceError",
    "PhotoError",
    "PhotoTooLargeError",
    "PhotosError",
    "ProtocolError",
    "RetailDataError",
    "TableError",
    "TermsError",
    "UnreadablePhotoError",
    "VideoError",
]


# Of a message, in characters: it may be shown to somebody, or kept in a log.
_LONGEST, _LONGEST_OF_PHOTO = 500, 380


class AgeboostError(Exception):
    """Base class of all errors raised by ageboost."""

    @property
    def for_command(self) -> str:
        """The message for somebody who uses the command line: options, not Python."""
        return str(self)


class DeviceError(AgeboostError, RuntimeError):
    """The accelerator that was asked for cannot be used here."""


class PhotoError(AgeboostError, ValueError):
    """One photo gives no age.

    Attributes
    ----------
    status : str
        What is wrong, in the words of the ``status`` column of ``AgeEstimator.analyze``.
    """

    status = "error"

    def __init__(self, message: str = ""):
        # A message is shown to a cashier and kept in logs: whatever is wrong with a photo must fit.
        if len(message) > _LONGEST_OF_PHOTO:
            message = f"{message[: _LONGEST_OF_PHOTO - 4]} ..."
        super().__init__(message)


class UnreadablePhotoError(PhotoError):
    """The photo is missing, empty, damaged, or not a photo."""

    status = "unreadable"


class PhotoTooLargeError(UnreadablePhotoError):
    """The photo has more pixels than the caller allows to decode."""

    status = "too large"


class NoFaceError(PhotoError):
    """The photo can be read, but no face was found in it.

    Attributes
    ----------
    photo_size : (int, int) or None
        Width and height of a photo in which detectors found nothing.
    """

    status = "no face"
    photo_size: tuple[int, int] | None = None


class VideoError(AgeboostError, ValueError):
    """A film, camera or stream cannot be read; the message says why, and what to do."""


class PhotosError(AgeboostError, ValueError):
    """Some photos of a batch give no age; the message names as many as it has room for.

    Attributes
    ----------
    failures : list of (int, PhotoError)
        The position of every such photo in the input, and what is wrong with it.
    """

    def __init__(self, failures: Sequence[tuple[int, PhotoError]], n_photos: int):
        self.failures = list(failures)
        self.n_photos = n_photos
        lines = [f"  {position}: {error}" for position, error in self.failures]
        head = (
            f"{len(self.failures)} of {n_photos} photos give no age "
            '(pass on_error="nan" to continue without them):'
        )
        super().__init__(_as_many_as_fit(head, lines, "failures"))

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes send errors back pickled; the default would pass the message alone.
        return type(self), (self.failures, self.n_photos)


class LabelsError(AgeboostError, ValueError):
    """Some rows of a labels table cannot be used; the message names as many as it has room for.

    Attributes
    ----------
    problems : list of (int, str)
        Every such row (0 is the first below the header) and what is wrong with it.
    places : list of str
        What each of these rows is called in the message: ``"line 3"`` of a CSV file, as an editor
        or a spreadsheet counts it, or ``"row 1"`` of labels in memory.
    """

    def __init__(
        self,
        source: str,
        problems: Sequence[tuple[int, str]],
        way_out: str = 'pass on_error="drop" to continue without them',
        places: Sequence[str] | None = None,
    ):
        self.source = source
        self.problems = list(problems)
        self.way_out = way_out
        self.places = [f"row {row}" for row, _ in problems] if places is None else list(places)
        lines = [
            f"  {place}: {problem}"
            for place, (_, problem) in zip(self.places, self.problems, strict=True)
        ]
        head = f"{len(self.problems)} unusable rows in {source} ({way_out}):"
        super().__init__(_as_many_as_fit(head, lines, "problems"))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, self.problems, self.way_out, self.places)


class ModelFileError(AgeboostError, ValueError):
    """A model file cannot be loaded, or should not be."""


class CacheError(AgeboostError, OSError):
    """Features cannot be kept in the folder that was named for them."""


def _as_many_as_fit(head: str, lines: Sequence[str], attribute: str) -> str:
    """Join lines to a message of at most 500 characters, and count those that are left out."""
    message = "\n".join([head, *lines])
    if len(message) <= _LONGEST:
        return message
    room = _LONGEST - len(head) - len(f"\n  and {len(lines):,} more: see error.{attribute}")
    kept: list[str] = []
    for line in lines:
        shortened = line if len(line) < _LONGEST // 2 else f"{line[: _LONGEST // 2 - 4]} ..."
        room -= len(shortened) + 1
        if room < 0:
            break
        kept.append(shortened)
    n_more = len(lines) - len(kept)
    more = [f"  and {n_more:,} more: see error.{attribute}"] if n_more else []
    return "\n".join([head, *kept, *more])


class ProtocolError(AgeboostError, ValueError):
    """An evaluation would not mean what it seems to mean."""


class TableError(AgeboostError, ValueError):
    """A table cannot be used as it is; the message says why.

    Parameters
    ----------
    problem : str
    way_out : str, optional
        What to do about it.
    option : str, optional
        The same on the command line, where that differs.
    """

    def __init__(self, problem: str, way_out: str = "", option: str = ""):
        super().__init__(problem, way_out, option)

    def __str__(self) -> str:
        problem, way_out, _ = self.args
        return f"{problem}: {way_out}" if way_out else problem

    @property
    def for_command(self) -> str:
        """The message with the command's option in place of Python's way out."""
        problem, _, option = self.args
        return f"{problem}: {option}" if option else str(self)


class RetailDataError(TableError):
    """A table of receipts, lines, photos or buyers cannot be used as it is."""


class TermsError(AgeboostError, ValueError):
    """Something may not be used for what it was to be used for; the message names it."""
