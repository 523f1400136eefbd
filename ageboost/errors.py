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
    "UnreadablePhotoError",
]


_LONGEST_MESSAGE = 380


class AgeboostError(Exception):
    """Base class of all errors raised by ageboost."""


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
        if len(message) > _LONGEST_MESSAGE:
            message = f"{message[: _LONGEST_MESSAGE - 4]} ..."
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


class PhotosError(AgeboostError, ValueError):
    """Some photos of a batch give no age; the message names every one of them.

    Attributes
    ----------
    failures : list of (int, PhotoError)
        The position of each such photo in the input, and what is wrong with it.
    """

    def __init__(self, failures: Sequence[tuple[int, PhotoError]], n_photos: int):
        self.failures = list(failures)
        self.n_photos = n_photos
        lines = [f"  {position}: {error}" for position, error in self.failures]
        super().__init__(
            f"{len(self.failures)} of {n_photos} photos give no age "
            f'(pass on_error="nan" to go on without them):\n' + "\n".join(lines)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes send errors back pickled; the default would pass the message alone.
        return type(self), (self.failures, self.n_photos)


class LabelsError(AgeboostError, ValueError):
    """Some rows of a labels table cannot be used; the message names every one of them.

    Attributes
    ----------
    problems : list of (int, str)
        The row (0 is the first below the header) and what is wrong with it.
    """

    def __init__(
        self,
        source: str,
        problems: Sequence[tuple[int, str]],
        way_out: str = 'pass on_error="drop" to go on without them',
    ):
        self.source = source
        self.problems = list(problems)
        self.way_out = way_out
        lines = [f"  row {row}: {problem}" for row, problem in self.problems]
        super().__init__(
            f"{len(self.problems)} unusable rows in {source} ({way_out}):\n" + "\n".join(lines)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, self.problems, self.way_out)


class ModelFileError(AgeboostError, ValueError):
    """A model file cannot be loaded, or should not be."""


class CacheError(AgeboostError, OSError):
    """Features cannot be kept in the folder that was named for them."""


class ProtocolError(AgeboostError, ValueError):
    """An evaluation would not mean what it seems to mean."""


class RetailDataError(AgeboostError, ValueError):
    """A table of receipts, lines or photos cannot be used as it is; the message says why."""
