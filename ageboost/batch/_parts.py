"""Work in numbered parts that workers share: whose turn it is, what is there, what is missing."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from threading import Event
from typing import Any

from ageboost.batch._claims import Claims
from ageboost.batch._places import Place, SharedPlaceError

__all__ = ["PLAN", "Parts", "agree", "as_json", "check_mounted", "differing_keys", "digest_names"]

PLAN = "_plan.json"


class Parts:
    """The parts of one piece of work in a place.

    Parameters
    ----------
    place : Place
    claims : Claims
        Of this worker.
    n_photos : int
        What the work is cut into parts of.
    n_parts : int
    suffix : str
        Of the files of the parts.
    """

    def __init__(self, place: Place, claims: Claims, n_photos: int, n_parts: int, suffix: str):
        self._place, self._claims, self._suffix = place, claims, suffix
        self.n_photos, self.n_parts = n_photos, n_parts
        # Workers that begin in different places rarely want the same.
        start = random.randrange(n_parts)
        self._order = [*range(start, n_parts), *range(start)]

    def work(self) -> Generator[tuple[int, Event]]:
        """Claim parts until all are there, waiting for those that others have.

        To be closed after an error: until then, the part that was begun stays claimed.

        Yields
        ------
        int
            The number of a part that is to be made and :meth:`put`.
        Event
            Set once another worker has taken it over.
        """
        while left := self._left():
            number = next((n for n in left if self._claims.take(self._claim(n))), None)
            if number is None:
                self._claims.pause()
                continue
            with self._claims.hold(self._claim(number)) as lost:
                # Perhaps it was finished between the look and the claim.
                if not self.is_done(number):
                    yield number, lost
        self._tidy()

    def is_done(self, number: int) -> bool:
        return {_marker(number), self.name(number)} <= self._place.names()

    def range_of(self, number: int) -> slice:
        """Which photos a part is of."""
        first, end = (self.n_photos * n // self.n_parts for n in (number, number + 1))
        return slice(first, end)

    def put(self, number: int, content: bytes, facts: Mapping[str, Any]) -> None:
        """Write a part, then the marker that says that it is there, and what is in it."""
        digest = hashlib.sha256(content).hexdigest()
        try:
            self._place.write(self.name(number), content, self._claims.worker)
            marker = as_json({**facts, "sha256": digest})
            self._place.write(_marker(number), marker, self._claims.worker)
        except FileNotFoundError:
            # Another worker has done the same, and tidied up.
            if not self.is_done(number):
                raise

    def facts(self) -> list[dict[str, Any]]:
        """Read what the markers of all parts say."""
        markers = [self._place.read(_marker(number)) for number in range(self.n_parts)]
        return [json.loads(marker) for marker in markers if marker is not None]

    def name(self, number: int) -> str:
        return f"part-{number:05}.{self._suffix}"

    def _left(self) -> list[int]:
        """Numbers of the parts that are not there, those that nobody has claimed first."""
        names = self._place.names()
        left = [n for n in self._order if not {_marker(n), self.name(n)} <= names]
        return sorted(left, key=lambda number: self._claim(number) in names)

    def _tidy(self) -> None:
        """Remove what workers that died have left behind."""
        for name in self._place.names():
            if name.endswith((".claim", ".partial")):
                self._place.remove(name)

    def _claim(self, number: int) -> str:
        return f"_part-{number:05}.claim"


def agree(
    place: Place, plan: Mapping[str, Any], worker: str, folder: str | os.PathLike[str]
) -> None:
    """Write down what the parts are of; refuse a place where they are of something else."""
    place.create(PLAN, as_json(plan), worker)
    while not (content := place.read(PLAN)):
        # Some file systems show a file before it is whole.
        time.sleep(0.1)
    differing = differing_keys(plan, json.loads(content))
    if differing:
        raise SharedPlaceError(
            f"{os.fspath(folder)!r} holds shards of another run, with other "
            f"{', '.join(differing)}: name another folder, or remove that one"
        )


def differing_keys(ours: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Find what differs between a plan and one that was read from JSON."""
    ours = json.loads(as_json(ours))
    return sorted(key for key in {*ours, *there} if ours.get(key) != there.get(key))


def digest_names(names: Iterable[str]) -> str:
    """Digest names of photos, in their order."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(os.fsencode(name) + b"\0")
    return digest.hexdigest()


def check_mounted(photos: Sequence[object], n_failed: int) -> None:
    """Refuse a part of whose photos none is here: it would say that there are none at all."""
    if len(photos) < 2 or n_failed < len(photos):
        return
    named = [photo for photo in photos if isinstance(photo, str | os.PathLike)]
    if len(named) == len(photos) and not any(map(os.path.lexists, named)):
        raise SharedPlaceError(
            f"none of the {len(photos):,} photos of a shard is here, {str(named[0])!r} and more: "
            f"is their folder mounted on this machine?"
        )


def as_json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True).encode()


# Who reads the folder as one table passes over names that begin so.
def _marker(number: int) -> str:
    return f"_part-{number:05}.done"
