"""Standard streams that are closed, full or of few letters: one line and a status, no traceback."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import IO

__all__ = ["OutputError", "abandon_output", "guard_streams"]


class OutputError(Exception):
    """Standard output cannot be written; no kind of OSError, lest a file be blamed for it."""


class _Guarded(io.RawIOBase):
    """Bytes on their way to a stream, each piece flushed."""

    def __init__(self, stream: IO[str] | None, *, forgiving: bool):
        self._buffer = getattr(stream, "buffer", None)
        self._stream, self._forgiving = stream, forgiving

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._stream is None:
            raise io.UnsupportedOperation("closed")
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def write(self, content) -> int:  # type: ignore[override]
        try:
            if self._buffer is None:
                raise OSError("it is closed")
            self._buffer.write(content)
            self._buffer.flush()
        except (OSError, ValueError) as error:
            if not self._forgiving:
                raise OutputError(getattr(error, "strerror", None) or str(error)) from error
        return len(content)


def guard_streams() -> None:
    """Put guards before standard output and standard error.

    What standard output cannot take raises :class:`OutputError`; what standard error cannot take is
    lost, and the exit status remains. Letters that a console does not have are written as escapes.
    """
    sys.stdout = _guard(sys.stdout, forgiving=False)
    sys.stderr = _guard(sys.stderr, forgiving=True)


def abandon_output() -> None:
    """Let nothing that is still buffered be tried again when the process ends."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
    # The guards themselves hold text that they could not pass on.
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def _guard(stream: IO[str] | None, *, forgiving: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(_Guarded(stream, forgiving=forgiving)),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",
        # A message must not wait for the end.
        line_buffering=forgiving or (stream is not None and stream.isatty()),
        write_through=False,
    )
