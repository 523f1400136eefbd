"""Which of the workers that share a place has which shard, without a clock that they share.

A claim is a file that its holder writes again and again. Who sees one that has not changed for as
long as a lease, by its own clock, takes the shard over. Two may come to work on one shard, because
the first was only slow: both write the same, so that costs time and nothing else.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from ageboost.batch._places import Place

__all__ = ["Claims"]

_BEATS_PER_LEASE = 5


class Claims:
    """The claims of one worker.

    Parameters
    ----------
    place : Place
    lease : float
        Seconds without a sign of life after which a worker counts as dead.

    Attributes
    ----------
    worker : str
        Its name, which no other has.
    """

    def __init__(self, place: Place, lease: float):
        self.worker = uuid.uuid4().hex[:12]
        self._place, self._lease = place, lease
        # What was in each claim when it was last seen to change, and when that was.
        self._seen: dict[str, tuple[bytes | None, float]] = {}

    def take(self, name: str) -> bool:
        """Claim a shard, if nobody has it or who had it is dead.

        Parameters
        ----------
        name : str
            Of the file of the claim.

        Returns
        -------
        bool
            Whether it is this worker's.
        """
        if self._place.create(name, self._sign(0), self.worker):
            return True
        now, content = time.monotonic(), self._place.read(name)
        if name not in self._seen or content != self._seen[name][0]:
            self._seen[name] = content, now
            return False
        if now - self._seen[name][1] < self._lease:
            return False
        try:
            self._place.write(name, self._sign(0), self.worker)
        except FileNotFoundError:
            # Somebody who saw all shards done has tidied up meanwhile.
            return False
        # Of several who saw the same, the last to write has it.
        time.sleep(random.uniform(0.5, 1.0) * min(0.2, self._lease / 10))
        return self._is_mine(name)

    @contextmanager
    def hold(self, name: str) -> Iterator[Event]:
        """Give signs of life while a shard is worked on, and let go of it afterwards.

        Parameters
        ----------
        name : str
            Of the file of the claim, which :meth:`take` has given.

        Yields
        ------
        Event
            Set once another worker has taken the shard over.
        """
        lost, over = Event(), Event()
        beating = Thread(target=self._beat, args=(name, lost, over), daemon=True)
        beating.start()
        try:
            yield lost
        finally:
            over.set()
            beating.join()
            if self._is_mine(name):
                self._place.remove(name)

    def pause(self) -> None:
        """Wait before the next look at what others do."""
        time.sleep(random.uniform(0.5, 1.0) * min(2.0, self._lease / _BEATS_PER_LEASE))

    def _beat(self, name: str, lost: Event, over: Event) -> None:
        n_beats = 0
        while not over.wait(self._lease / _BEATS_PER_LEASE):
            n_beats += 1
            try:
                if not self._is_mine(name):
                    return lost.set()
                self._place.write(name, self._sign(n_beats), self.worker)
            except OSError:
                # The place may be away for a moment; if it stays so, writing the shard says it.
                continue
        return None

    def _sign(self, n_beats: int) -> bytes:
        return f"{self.worker} {n_beats}\n".encode()

    def _is_mine(self, name: str) -> bool:
        content = self._place.read(name)
        return content is not None and content.startswith(f"{self.worker} ".encode())
