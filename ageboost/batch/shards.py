"""write_shards: one table in parts, by any number of workers that share nothing but a folder."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from ageboost._versions import package_version
from ageboost.batch._claims import Claims
from ageboost.batch._places import Place, SharedPlaceError, open_place

__all__ = ["ShardsSummary", "write_shards"]

_VERSION = 1
_PLAN = "_plan.json"


class _Analyzes(Protocol):
    def analyze_batches(
        self, photos: Sequence[str], *, coverage: float
    ) -> Iterator[pd.DataFrame]: ...


@dataclass(frozen=True)
class ShardsSummary:
    """What is in the shards once all are there.

    Attributes
    ----------
    n_shards : int
    n_photos : int
    n_rows : int
    n_without_age : int
        Photos that gave no age; their rows say why.
    n_own : int
        Shards that this worker has made.
    """

    n_shards: int
    n_photos: int
    n_rows: int
    n_without_age: int
    n_own: int


def write_shards(
    model: _Analyzes,
    photos: Sequence[str],
    folder: str | os.PathLike[str],
    n_shards: int,
    *,
    coverage: float = 0.9,
    settings: Mapping[str, Any] | None = None,
    lease: float = 60.0,
    prepare: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    tell: Callable[[str], None] | None = None,
) -> ShardsSummary:
    """Write the table of :meth:`ageboost.AgeEstimator.analyze` as parts of a folder.

    Start it on as many machines as you like, with the same photos, model and folder. Each takes a
    shard that nobody has, and returns once all are there. A shard whose worker died is taken over,
    and a worker that is started again goes on with what is left. The parts are the same, byte for
    byte, as one worker would have written. Read them as one table: ``pandas.read_parquet(folder)``.

    Parameters
    ----------
    model : AgeEstimator
    photos : sequence of str
        Paths that every worker sees under the same name.
    folder : path or str
        A folder that all workers share, or the address of one in a bucket, such as
        ``s3://bucket/ages`` (with fsspec, and its part for such addresses).
    n_shards : int
        In how many parts. What a worker that dies has begun is done again: at most one shard.
    coverage : float, default=0.9
        Share of true ages that should lie between ``age_low`` and ``age_high``.
    settings : mapping of str to JSON value, optional
        What the rows depend on besides, such as a digest of the model. Workers must agree on it.
    lease : float, default=60.0
        Seconds without a sign of life after which a worker counts as dead. Every worker gives
        five in that time, also while it looks at a photo.
    prepare : callable, optional
        Changes each table before it is written.
    tell : callable, optional
        Called with a line when a shard is done.

    Returns
    -------
    ShardsSummary

    Raises
    ------
    SharedPlaceError
        If the folder cannot be used, holds shards of other photos or settings, or if no photo of a
        shard exists here.
    ValueError
        If there are no photos, or fewer than one shard.

    Examples
    --------
    >>> import os, tempfile
    >>> import ageboost, pandas as pd
    >>> from ageboost.batch import write_shards
    >>> model = ageboost.load_pretrained("fast")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     photos = [os.path.join(folder, f"{i}.jpg") for i in range(5)]
    ...     for photo in photos:
    ...         _ = open(photo, "wb").write(b"no photo")
    ...     summary = write_shards(model, photos, os.path.join(folder, "ages"), 2)
    ...     table = pd.read_parquet(os.path.join(folder, "ages"))
    >>> summary.n_shards, summary.n_without_age, len(table)
    (2, 5, 5)
    """
    if n_shards < 1 or not photos:
        raise ValueError(f"n_shards={n_shards!r} of {len(photos)} photos: give one or more of both")
    n_shards = min(n_shards, len(photos))
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise SharedPlaceError(
            'shards are Parquet files, which need pyarrow: pip install "ageboost[parquet]"'
        ) from error
    place = open_place(folder)
    claims = Claims(place, lease)
    given = {"coverage": coverage, **(settings or {})}
    _agree(place, photos, n_shards, given, claims.worker, folder)
    shards = _Shards(place, photos, n_shards, claims.worker)
    n_own = 0
    while left := shards.left():
        number = next((number for number in left if claims.take(_claim(number))), None)
        if number is None:
            claims.pause()
            continue
        with claims.hold(_claim(number)) as lost:
            # Perhaps it was finished between the look and the claim.
            if shards.is_done(number):
                continue
            tables = []
            for table in model.analyze_batches(shards.photos_of(number), coverage=coverage):
                if lost.is_set():
                    break
                tables.append(table if prepare is None else prepare(table))
            else:
                shards.put(number, pd.concat(tables, ignore_index=True))
                n_own += 1
                if tell is not None:
                    n_photos = len(shards.photos_of(number))
                    tell(f"shard {number + 1} of {n_shards}: {n_photos:,} photos")
    shards.tidy()
    return shards.summary(n_own)


class _Shards:
    """The parts of one table in a place: what is there, what is missing."""

    def __init__(self, place: Place, photos: Sequence[str], n_shards: int, worker: str):
        self._place, self._photos, self._worker = place, photos, worker
        self._n_shards = n_shards
        # Workers that begin in different places rarely want the same.
        start = random.randrange(n_shards)
        self._order = [*range(start, n_shards), *range(start)]

    def left(self) -> list[int]:
        """Numbers of the shards that are not there, those that nobody has claimed first."""
        names = self._place.names()
        left = [n for n in self._order if not {_marker(n), _part(n)} <= names]
        return sorted(left, key=lambda number: _claim(number) in names)

    def is_done(self, number: int) -> bool:
        return {_marker(number), _part(number)} <= self._place.names()

    def photos_of(self, number: int) -> Sequence[str]:
        first, end = (len(self._photos) * n // self._n_shards for n in (number, number + 1))
        return self._photos[first:end]

    def put(self, number: int, table: pd.DataFrame) -> None:
        """Write a shard, then the marker that says that it is there."""
        photos = self.photos_of(number)
        failed = table["status"] != "ok"
        if len(photos) > 1 and failed.all() and not any(map(os.path.lexists, photos)):
            raise SharedPlaceError(
                f"none of the {len(photos):,} photos of a shard is here, {photos[0]!r} and more: "
                f"is their folder mounted on this machine?"
            )
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        content = buffer.getvalue()
        facts = {
            "photos": len(photos),
            "rows": len(table),
            "without_age": int(failed.sum()),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        try:
            self._place.write(_part(number), content, self._worker)
            self._place.write(_marker(number), _as_json(facts), self._worker)
        except FileNotFoundError:
            # Another worker has done the same, and tidied up.
            if not self.is_done(number):
                raise

    def tidy(self) -> None:
        """Remove what workers that died have left behind."""
        for name in self._place.names():
            if name.endswith((".claim", ".partial")):
                self._place.remove(name)

    def summary(self, n_own: int) -> ShardsSummary:
        """Sum up what the markers say."""
        markers = [self._place.read(_marker(number)) for number in range(self._n_shards)]
        facts = [json.loads(marker) for marker in markers if marker is not None]
        sums = {key: sum(fact[key] for fact in facts) for key in ("photos", "rows", "without_age")}
        return ShardsSummary(
            self._n_shards, sums["photos"], sums["rows"], sums["without_age"], n_own
        )


def _agree(
    place: Place,
    photos: Sequence[str],
    n_shards: int,
    settings: Mapping[str, Any],
    worker: str,
    folder: str | os.PathLike[str],
) -> None:
    """Write down what the shards are of; refuse a place where they are of something else."""
    names = hashlib.sha256()
    for photo in photos:
        names.update(os.fsencode(photo) + b"\0")
    plan = {
        "ageboost shards": _VERSION,
        "n_shards": n_shards,
        "n_photos": len(photos),
        "photos": names.hexdigest(),
        # Files of other versions may differ in a few bytes.
        **{package: package_version(package) for package in ("ageboost", "pandas", "pyarrow")},
        **settings,
    }
    place.create(_PLAN, _as_json(plan), worker)
    while not (content := place.read(_PLAN)):
        # Some file systems show a file before it is whole.
        time.sleep(0.1)
    there = json.loads(content)
    ours = json.loads(_as_json(plan))
    differing = sorted(key for key in {*ours, *there} if ours.get(key) != there.get(key))
    if differing:
        raise SharedPlaceError(
            f"{os.fspath(folder)!r} holds shards of another run, with other "
            f"{', '.join(differing)}: name another folder, or remove that one"
        )


def _part(number: int) -> str:
    return f"part-{number:05}.parquet"


# Who reads the folder as one table passes over names that begin so.
def _marker(number: int) -> str:
    return f"_part-{number:05}.done"


def _claim(number: int) -> str:
    return f"_part-{number:05}.claim"


def _as_json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True).encode()
