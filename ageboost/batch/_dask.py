"""Dask, where it is installed and asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib

from ageboost.errors import AgeboostError

__all__ = ["ClusterError", "is_collection", "on_dask", "row_blocks_of"]


class ClusterError(AgeboostError, RuntimeError):
    """A cluster cannot be used; the message says why, and what to do."""


@contextmanager
def on_dask(address: str) -> Iterator[None]:
    """Let ``n_jobs`` mean the workers of a cluster.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.5:8786``.

    Raises
    ------
    ClusterError
        If Dask is not installed, or there is no scheduler, or it has no workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError('a cluster of Dask needs Dask: pip install "ageboost[dask]"') from error
    try:
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(f"no scheduler of Dask at {address!r}: {error}") from error
    with client:
        if not client.ncores():
            raise ClusterError(
                f"the scheduler at {address!r} has no workers: start some, dask worker {address}"
            )
        with joblib.parallel_config("dask", client=client, n_jobs=-1):
            yield


def is_collection(data: object) -> bool:
    """Whether something is an array or a table of Dask's, without importing Dask."""
    return type(data).__module__.partition(".")[0].startswith("dask")


def row_blocks_of(collection: Any, start: int = 0) -> Iterator[Any]:
    """Compute a collection some rows at a time, as it is divided.

    Parameters
    ----------
    collection : dask.array.Array or dask.dataframe.DataFrame
    start : int, default=0
        Blocks that end before this row are not computed, where Dask knows how long they are.

    Yields
    ------
    (int, ndarray or DataFrame)
        Where the block begins, and what is in it.

    Raises
    ------
    ClusterError
        If Dask is not installed.
    """
    try:
        import dask
    except ImportError as error:
        raise ClusterError(
            'a collection of Dask needs Dask: pip install "ageboost[dask]"'
        ) from error
    is_table = hasattr(collection, "npartitions") and hasattr(collection, "columns")
    blocks = collection.partitions if is_table else collection.blocks
    n_blocks = collection.npartitions if is_table else collection.numblocks[0]
    lengths = [None] * n_blocks if is_table else collection.chunks[0]
    first = 0
    for number, length in zip(range(n_blocks), lengths, strict=True):
        # Lengths that Dask does not know are NaN.
        if length == length and length is not None and first + length <= start:
            first += int(length)
            continue
        [block] = dask.compute(blocks[number])
        yield first, block
        first += len(block)
