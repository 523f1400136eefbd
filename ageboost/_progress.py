"""How far long work has come, stage by stage, for those who wait for it.

The code that does the work names its stages (:func:`stage`, :func:`track`) and knows nothing of who
looks on. Nothing is shown unless somebody asked for it (:func:`show_progress`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

__all__ = ["show_progress", "stage", "track"]

T = TypeVar("T")

_SECONDS_BETWEEN_LINES = 30.0


class Advance(Protocol):
    """Called when some of a stage is done."""

    def __call__(self, n_done: int = 1, note: str = "") -> None: ...


class _Reporter(Protocol):
    def begin(self, title: str, total: int | None) -> tuple[Advance, Callable[[], None]]:
        """Begin a stage; return what to call when some of it, and all of it, is done."""


_REPORTER: ContextVar[_Reporter | None] = ContextVar("reporter", default=None)


@contextmanager
def stage(title: str, total: int | None = None) -> Iterator[Advance]:
    """Name a stage of the work.

    Parameters
    ----------
    title : str
        Such as ``"Looking at photos"``.
    total : int, optional
        How many steps it has, if that is known.

    Yields
    ------
    callable
        To be called with the number of steps that were done, and perhaps a note.
    """
    reporter = _REPORTER.get()
    if reporter is None:
        yield lambda n_done=1, note="": None
        return
    advance, end = reporter.begin(title, total)
    try:
        yield advance
    finally:
        end()


def track(
    items: Iterable[T], title: str, total: int | None = None, size: Callable[[T], int] = lambda _: 1
) -> Iterator[T]:
    """Yield items as a stage of the work.

    Parameters
    ----------
    items : iterable
    title : str
    total : int, optional
        How many steps there are, if that is known.
    size : callable, optional
        How many steps an item stands for; by default one.

    Yields
    ------
    object
    """
    with stage(title, total) as advance:
        for item in items:
            yield item
            advance(size(item))


@contextmanager
def show_progress(silent_when_piped: bool = False) -> Iterator[None]:
    """Show stages on standard error: bars on a terminal, else lines for a log.

    Parameters
    ----------
    silent_when_piped : bool, default=False
        Whether to show nothing where there is no terminal.
    """
    from rich.console import Console

    with ExitStack() as stack:
        console = Console(stderr=True)
        reporter: _Reporter | None = None
        if _REPORTER.get() is not None:
            reporter = _REPORTER.get()
        elif console.is_terminal:
            reporter = _Bars(console, stack)
        elif not silent_when_piped:
            reporter = _Lines()
        token = _REPORTER.set(reporter)
        try:
            yield
        finally:
            _REPORTER.reset(token)


class _Bars:
    """A bar for each stage, with the time that it has taken and may still take.

    Bars of stages within a stage go when these are over: a search has hundreds of them.
    """

    def __init__(self, console: Any, stack: ExitStack):
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._depth = 0
        self._bars = stack.enter_context(
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left:"),
                TimeRemainingColumn(),
                console=console,
                # A fold of a fit takes minutes.
                speed_estimate_period=3600,
            )
        )

    def begin(self, title: str, total: int | None) -> tuple[Advance, Callable[[], None]]:
        bar = self._bars.add_task(title, total=total)
        self._depth += 1

        def advance(n_done: int = 1, note: str = "") -> None:
            self._bars.update(bar, advance=n_done, description=f"{title}{note and f', {note}'}")

        def end() -> None:
            self._depth -= 1
            if self._depth:
                self._bars.remove_task(bar)
                return
            done = self._bars.tasks[self._bars.task_ids.index(bar)].completed
            # What was of unknown length is over, whatever was stopped keeps where it stood.
            if total is None:
                self._bars.update(bar, total=max(done, 1), completed=max(done, 1))
            self._bars.stop_task(bar)

        return advance, end


class _Lines:
    """Lines for a log: where a stage begins, how far it is now and then, and when it is over.

    Of stages within a stage, only how far they are: a search has hundreds of them.
    """

    def __init__(self) -> None:
        self._depth = 0

    def begin(self, title: str, total: int | None) -> tuple[Advance, Callable[[], None]]:
        began = said = time.monotonic()
        so_far = 0
        if not self._depth:
            _write_line(title if total is None else f"{title}: {total:,}")
        self._depth += 1

        def advance(n_done: int = 1, note: str = "") -> None:
            nonlocal so_far, said
            so_far += n_done
            now = time.monotonic()
            if now - said >= _SECONDS_BETWEEN_LINES:
                said = now
                _write_line(f"{title}: {_so_far(so_far, total, now - began)}{note and f', {note}'}")

        def end() -> None:
            self._depth -= 1
            if not self._depth:
                _write_line(f"{title}: {_duration(time.monotonic() - began)}")

        return advance, end


def _so_far(n_done: int, total: int | None, seconds: float) -> str:
    if total is None or not n_done:
        return f"{n_done:,} so far"
    left = seconds / n_done * max(total - n_done, 0)
    return f"{n_done:,} of {total:,}, about {_duration(left)} left"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _write_line(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
