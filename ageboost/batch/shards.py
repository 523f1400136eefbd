"""write_shards: one table in parts, by any number of workers that share nothing but a folder."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from ageboost._versions import package_version
from ageboost.batch._claims import Claims
from ageboost.batch._parts import Parts, agree, check_mounted, digest_names
from ageboost.batch._places import SharedPlaceError, open_place

__all__ = ["ShardsSummary", "write_shards"]

_VERSION = 1


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
    agree(place, _plan(photos, n_shards, given), claims.worker, folder)
    parts = Parts(place, claims, len(photos), n_shards, "parquet")
    n_own = 0
    with closing(parts.work()) as work:
        for number, lost in work:
            some = photos[parts.range_of(number)]
            tables = []
            for table in model.analyze_batches(some, coverage=coverage):
                if lost.is_set():
                    break
                tables.append(table if prepare is None else prepare(table))
            else:
                parts.put(number, *_content(some, pd.concat(tables, ignore_index=True)))
                n_own += 1
                if tell is not None:
                    tell(f"shard {number + 1} of {n_shards}: {len(some):,} photos")
    facts = parts.facts()
    n_photos, n_rows, n_without = (
        sum(fact[key] for fact in facts) for key in ("photos", "rows", "without_age")
    )
    return ShardsSummary(n_shards, n_photos, n_rows, n_without, n_own)


def _content(photos: Sequence[str], table: pd.DataFrame) -> tuple[bytes, dict[str, int]]:
    """Make the file of a shard, and what its marker says of it."""
    n_failed = int((table["status"] != "ok").sum())
    check_mounted(photos, n_failed)
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    facts = {"photos": len(photos), "rows": len(table), "without_age": n_failed}
    return buffer.getvalue(), facts


def _plan(photos: Sequence[str], n_shards: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what the shards are of."""
    return {
        "ageboost shards": _VERSION,
        "n_shards": n_shards,
        "n_photos": len(photos),
        "photos": digest_names(photos),
        # Files of other versions may differ in a few bytes.
        **{package: package_version(package) for package in ("ageboost", "pandas", "pyarrow")},
        **settings,
    }
