"""Dask, where it is installed and asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import joblib

from ageboost.errors import AgeboostError

__all__ = ["ClusterError", "on_dask"]


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
