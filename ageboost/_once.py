"""What a process makes once, however many tasks need it."""

from __future__ import annotations

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

try:
    from cloudpickle import dumps
except ImportError:
    # Releases of joblib before 1.6 have it inside.
    from joblib.externals.cloudpickle import dumps

__all__ = ["dumps", "once_per_process", "pack", "unpack_once"]

T = TypeVar("T")

# Models take a hundred megabytes.
_MOST_KEPT = 2
_kept: OrderedDict[str, Any] = OrderedDict()
_lock = Lock()


def once_per_process(key: str, make: Callable[[], T]) -> T:
    """Make an object, or take the one that this process has made for this key.

    Parameters
    ----------
    key : str
    make : callable
        Called in one thread; others wait.

    Returns
    -------
    object

    Examples
    --------
    >>> from ageboost._once import once_per_process
    >>> first = once_per_process("an example", list)
    >>> once_per_process("an example", list) is first
    True
    """
    with _lock:
        if key not in _kept:
            _kept[key] = make()
            while len(_kept) > _MOST_KEPT:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key]


def pack(tool: object) -> tuple[str, bytes]:
    """Pickle an object, classes of a notebook included.

    Parameters
    ----------
    tool : object

    Returns
    -------
    key : str
        The same for the same content.
    content : bytes
    """
    content = dumps(tool)
    return hashlib.blake2b(content, digest_size=16).hexdigest(), content


def unpack_once(key: str, content: Any) -> Any:
    """Unpickle what :func:`pack` has made, the first time that this process sees it.

    Parameters
    ----------
    key : str
    content : bytes or array of bytes
        From the same user's program, which sends it to the processes that work for it.

    Returns
    -------
    object
    """
    return once_per_process(key, lambda: pickle.loads(memoryview(content)))
