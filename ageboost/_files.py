"""Files that are written whole or not at all, and those that changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["file_stamp", "replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under another name, and let it take its place once it is whole.

    Parameters
    ----------
    path : Path
        Where the file belongs. What is there stays if something goes wrong.

    Yields
    ------
    Path
        Where to write it, in the same folder.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def file_stamp(path: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    """Return what differs between a file and another that took its place.

    Parameters
    ----------
    path : path

    Returns
    -------
    tuple of int, or None
        None if there is no such file now.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
