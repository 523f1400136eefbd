"""Batches through joblib: in order, a few at a time, what works on them once in each process."""

from __future__ import annotations

import pickle
import warnings
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
    if _client_of(backend) is None:
        n_processes = min(n_processes, n_processes if n_items is None else n_items)
        if n_processes <= 1:
            yield from map(tool, items)
            return
    token, content = _pack(tool, backend)
    pack_item = _pack_item if token else _leave
    under_way = _UnderWay(items, pack_item, _ITEMS_PER_PROCESS * n_processes)
    while not under_way.over:
        # joblib goes on for as long as there are items, whether or not its answers are taken. So
        # items end for it where too many are under way, and go on in another call.
        for answer in Parallel(
            n_jobs=n_processes, return_as="generator", batch_size=1, pre_dispatch=2 * n_processes
        )(delayed(_use)(token, content, item) for item in under_way.take()):
            held = under_way.held.pop(under_way.n_answered, None)
            under_way.n_answered += 1
            yield answer if held is None else tool(held)
    if under_way.error is not None:
        raise under_way.error


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
    """Pickle an item here, where it is known which one cannot be: joblib or Dask may hang on it."""
    try:
        return dumps(item)
    except Exception:
        return None


def _client_of(backend: Any) -> Any:
    """Dask's client, where joblib works through Dask."""
    return getattr(backend, "client", None)


def _pack(tool: Callable[[Any], Any], backend: Any) -> tuple[str, Any]:
    """Make of a tool what can be sent with every task, and by which it is known again."""
    if getattr(backend, "supports_sharedmem", False):
        return "", tool
    token, packed = pack(tool)
    # joblib lays a large array down in a file that all processes on this machine map.
    content = np.frombuffer(packed, dtype=np.uint8)
    client = _client_of(backend)
    if client is None:
        return token, content
    with warnings.catch_warnings():
        # Dask is wary of large arguments. This one is sent to it once, passes from worker to
        # worker, and if all that have it die, Dask has it still: what is scattered would be lost.
        warnings.filterwarnings("ignore", message="Sending large graph")
        return token, client.submit(_same, content, key=f"ageboost-{token}")


def _same(content: T) -> T:
    return content


def _use(token: str, content: Any, item: Any) -> Any:
    if not token:
        return content(item)
    if not isinstance(content, np.ndarray):
        # One worker is left, so joblib works here, where Dask puts nothing in a future's place.
        content = content.result()
    return None if item is None else unpack_once(token, content)(pickle.loads(item))
