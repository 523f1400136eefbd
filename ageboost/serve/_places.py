"""How many requests may be under way: whoever comes too many is sent away at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException

__all__ = ["RETRY", "Places"]

# Seconds after which a place is likely to be free.
RETRY = {"Retry-After": "1"}


class Places:
    """Places for requests, from before their photo is read until they are answered.

    Parameters
    ----------
    n_places : int
    per_client : int
        How many of them one client may take.
    """

    def __init__(self, n_places: int, per_client: int):
        self._n_places = n_places
        self._per_client = per_client
        self._taken: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        """Whether no place is free."""
        return self._taken.total() >= self._n_places

    @contextmanager
    def taken_by(self, client: str) -> Iterator[None]:
        """Hold a place.

        Parameters
        ----------
        client : str
            Such as an address.

        Raises
        ------
        HTTPException
            429 if the client has too many, 503 if there is none.
        """
        if self._taken[client] >= self._per_client:
            raise HTTPException(429, "too many requests of yours are under way", RETRY)
        if self.full:
            raise HTTPException(503, "too many requests are under way", RETRY)
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]
