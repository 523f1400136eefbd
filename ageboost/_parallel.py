"""Batches through joblib: in order, a few at a time, what works on them once in each process."""

from __future__ import annotations

import os
import pickle
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from ageboost._once import dumps, pack, unpack_once

__all__ = ["work_in_order"]

T = TypeVar("T")
R = TypeVar("R")

# Two for each process, one more that joblib takes ahead, and one for answers that wait.
_ITEMS_PER_PROCESS = 4


def work_in_order(
    tool: Callable[[T], R], items: Iterable[T], n_jobs: int | None, n_items: int | None = None
) -> Iterator[R]:
    """Work on items, in the processes that joblib has been told to use.

    Items are taken as they are needed: no more than four for each process are under way, those
    included whose answers nobody has asked for yet. The tool goes to each process once.

    Parameters
    ----------
    tool : callable
        Takes an item.
    items : iterable
        Gone through once, perhaps in another thread.
    n_jobs : int or None
        As for ``joblib.Parallel``.
    n_items : int, optional
        How many there are, if that is known.

    Yields
    ------
    object
        What the tool makes of each item, in their order.

    Raises
    ------
    Exception
        What the tool raises, or the items do: then, once all answers before it are given.

    Examples
    --------
    >>> from ageboost._parallel import work_in_order
    >>> list(work_in_order(abs, iter([-1, 2, -3]), n_jobs=1))
    [1, 2, 3]
    """
    backend, _ = get_active_backend()
    n_processes = effective_n_jobs(n_jobs)
    client = getattr(backend, "client", None)
    if client is not None:
        # Within a task of Dask, its place is left to those that it waits for.
        with backend.retrieval_context():
            yield from _work_on_dask(client, tool, items, _ITEMS_PER_PROCESS * n_processes)
        return
    n_processes = min(n_processes, n_processes if n_items is None else n_items)
    if n_processes <= 1:
        yield from map(tool, items)
        return
    shares_memory = getattr(backend, "supports_sharedmem", False)
    token, content = ("", tool) if shares_memory else _pack(tool)
    folder = _current_folder()
    pack_item = _pack_item if token else _leave
    under_way = _UnderWay(items, pack_item, _ITEMS_PER_PROCESS * n_processes)
    while not under_way.over:
        # joblib goes on for as long as there are items, whether or not its answers are taken. So
        # items end for it where too many are under way, and go on in another call.
        for answer in Parallel(
            n_jobs=n_processes, return_as="generator", batch_size=1, pre_dispatch=2 * n_processes
        )(delayed(_use)(token, content, item, folder) for item in under_way.take()):
            held = under_way.held.pop(under_way.n_answered, None)
            under_way.n_answered += 1
            yield answer if held is None else tool(held)
    if under_way.error is not None:
        raise under_way.error


def _work_on_dask(
    client: Any, tool: Callable[[T], R], items: Iterable[T], most: int
) -> Iterator[R]:
    """Keep some items with the workers of a client, with no pause while others catch up."""
    token, packed = _pack(tool)
    # The tool is sent to Dask once, passes from worker to worker, and if all that have it die, Dask
    # has it still: what is scattered would be lost.
    content = _submit(client, _same, packed, key=f"ageboost-{token}")
    # Otherwise the first worker to have it is given what the others could do.
    client.replicate([content])
    under_way = _UnderWay(items, _pack_item, most)
    futures: deque[Any] = deque()
    try:
        while True:
            if not under_way.over:
                for item in under_way.take():
                    futures.append(
                        None
                        if item is None
                        else _submit(client, _use, token, content, item, pure=False)
                    )
            if not futures:
                break
            future = futures.popleft()
            held = under_way.held.pop(under_way.n_answered, None)
            under_way.n_answered += 1
            yield future.result() if held is None else tool(held)
    finally:
        client.cancel([future for future in futures if future is not None])
    if under_way.error is not None:
        raise under_way.error


def _submit(client: Any, *task: Any, **options: Any) -> Any:
    """Send a task to Dask, which is wary of large arguments."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")
        return client.submit(*task, **options)


class _UnderWay(Generic[T]):
    """Items as long as not too many are under way; an error of theirs waits for its turn."""

    def __init__(self, items: Iterable[T], pack_item: Callable[[T], Any], most: int):
        self.most = most
        self.n_taken = self.n_answered = 0
        self.over = False
        self.error: Exception | None = None
        # By number, those that cannot be sent to another process. Their turn is kept for them.
        self.held: dict[int, T] = {}
        self._items, self._pack_item = iter(items), pack_item

    def take(self) -> Iterator[Any]:
        while self.n_taken - self.n_answered < self.most:
            try:
                item = next(self._items)
            except StopIteration:
                self.over = True
                return
            except Exception as error:
                self.over, self.error = True, error
                return
            packed = self._pack_item(item)
            if packed is None:
                self.held[self.n_taken] = item
            self.n_taken += 1
            yield packed


def _leave(item: T) -> T:
    return item


def _pack_item(item: object) -> bytes | None:
    """Pickle an item here, where it is known which cannot be: joblib and Dask may hang on it."""
    try:
        return dumps(item)
    except Exception:
        return None


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        # It was deleted meanwhile; photos may have whole names.
        return None


def _pack(tool: Callable[[Any], Any]) -> tuple[str, Any]:
    """Make of a tool what can be sent with every task, and by which it is known again."""
    token, packed = pack(tool)
    # joblib lays a large array down in a file that all processes on this machine map.
    return token, np.frombuffer(packed, dtype=np.uint8)


def _same(content: T) -> T:
    return content


def _use(token: str, content: Any, item: Any, folder: str | None = None) -> Any:
    if not token:
        return content(item)
    if folder is not None:
        # Processes are kept from call to call, and names of photos may begin where we are now.
        os.chdir(folder)
    return None if item is None else unpack_once(token, content)(pickle.loads(item))
