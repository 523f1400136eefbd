"""The two times that features are gone through: to look at all of them, and to reduce them."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ageboost._partial import PartialTable
from ageboost._progress import track
from ageboost.batch._sources import Block, Source, whole_blocks
from ageboost.batch.feature_shards import quality_facts
from ageboost.errors import AgeboostError
from ageboost.faces.face import Quality
from ageboost.models._checks import check_weight
from ageboost.models._rows_on_disk import RowsOnDisk

__all__ = ["Looked", "Passes", "TrainingFolderError"]

_END = "end"


class TrainingFolderError(AgeboostError, ValueError):
    """A folder holds another training than the one that is to go on there."""


class Looked(NamedTuple):
    """What was seen of all rows.

    Attributes
    ----------
    ages : ndarray of shape (n_rows,)
    weight : ndarray of shape (n_rows,) or None
    qualities : list of Quality of length n_rows, or None
    failures : list of (int, str, str)
    sample : ndarray of shape (n_in_sample, n_features), float32
        Mapped from a file.
    sample_rows : ndarray of shape (n_in_sample,)
    """

    ages: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64] | None
    qualities: list[Quality] | None
    failures: list[Any]
    sample: npt.NDArray[np.float32]
    sample_rows: npt.NDArray[np.intp]


class Passes:
    """Goes through a source block by block, and writes down after each how far it has come.

    Parameters
    ----------
    source : Source
    folder : Path
    n_block : int
        Rows of a block, which is what a kill costs.
    columns : sequence of str, int or None
        As for :func:`whole_blocks`.
    strict_ages : bool
        As for :func:`whole_blocks`.
    """

    def __init__(
        self,
        source: Source,
        folder: Path,
        n_block: int,
        columns: Sequence[str] | int | None,
        strict_ages: bool,
    ):
        self._source, self._folder, self._n_block = source, folder, n_block
        self._columns, self._strict_ages = columns, strict_ages
        self._digests: list[int] = []

    def look(self, n_sample: int, seed: int) -> Looked:
        """See all rows once: check them, and draw a sample.

        Each row of so many has the same chance. Which rows these are depends on the seed and the
        number of the block alone, so a block that is looked at twice changes nothing.

        Parameters
        ----------
        n_sample : int
        seed : int

        Returns
        -------
        Looked
        """
        with PartialTable(self._folder / "looked", {}) as journal:
            seen = [(name, stamp[0], rows) for (name, stamp), rows in journal.rows.items()]
            if not seen or seen[-1][0] != _END:
                start = len(seen) * self._n_block
                digests = [digest for _, digest, _ in seen]
                for first, digest, block in self._blocks(start, digests, "Looking at features"):
                    places, rows = _places_in_sample(first, len(block.ages), n_sample, seed)
                    self._sample(n_sample, block.matrix.shape[1]).put(places, block.matrix[rows])
                    records = _records(block)
                    journal.append([(str(first), [digest], records)])
                    seen.append((str(first), digest, records))
                journal.append([(_END, [0], [])])
                seen.append((_END, 0, []))
        return self._put_together(seen[:-1], n_sample, seed)

    def reduce(
        self,
        name: str,
        n_rows: int,
        n_columns: int,
        transform: Callable[[npt.NDArray[np.float32]], npt.NDArray],
    ) -> RowsOnDisk:
        """See all rows again, and write what becomes of them.

        Parameters
        ----------
        name : str
            Of the file.
        n_rows : int
        n_columns : int
            Of the result.
        transform : callable
            From rows of features to as many rows.

        Returns
        -------
        RowsOnDisk
        """
        written = RowsOnDisk(self._folder / f"{name}.npy", n_rows, n_columns)
        with PartialTable(self._folder / name, {}) as journal:
            start = len(journal.rows) * self._n_block
            for first, _, block in self._blocks(start, self._digests, "Reducing features"):
                if first >= start and len(block.ages):
                    written.write(first, transform(block.matrix))
                    journal.append([(str(first), [0], [])])
        return written

    def _blocks(
        self, start: int, digests: list[int], doing: str
    ) -> Iterator[tuple[int, int, Block]]:
        """Blocks from a row on, each compared with what was seen there before."""
        blocks = self._whole_blocks(start if self._source.skips else 0)
        if start and self._source.skips:
            # What stands before is not looked at again, but for a block that stands for it.
            blocks = itertools.chain(itertools.islice(self._whole_blocks(0), 1), blocks)
        n_seen = 0
        for first, block in track(blocks, doing, None, lambda found: len(found[1].ages)):
            number, digest = first // self._n_block, _digest(block)
            if len(digests) > number and digests[number] != digest:
                raise TrainingFolderError(
                    f"rows {first:,} to {first + len(block.ages) - 1:,} are not what they were "
                    f"when this training began: name another folder than {str(self._folder)!r}, "
                    "or remove it"
                )
            n_seen = max(n_seen, number + 1)
            if first >= start or digests is self._digests:
                yield first, digest, block
        if digests is self._digests:
            n_before = start // self._n_block if self._source.skips else 0
            self._check_end(max(n_seen, n_before))

    def _whole_blocks(self, start: int) -> Iterator[tuple[int, Block]]:
        return whole_blocks(self._source, start, self._n_block, self._columns, self._strict_ages)

    def _check_end(self, n_seen: int) -> None:
        if n_seen != len(self._digests):
            raise TrainingFolderError(
                f"there were {len(self._digests)} blocks of {self._n_block:,} rows when this "
                f"training began, and now there are {n_seen}: name another folder than "
                f"{str(self._folder)!r}, or remove it"
            )

    def _sample(self, n_sample: int, n_columns: int) -> RowsOnDisk:
        return RowsOnDisk(self._folder / "sample.npy", n_sample, n_columns)

    def _put_together(self, seen: list[Any], n_sample: int, seed: int) -> Looked:
        self._digests = [digest for _, digest, _ in seen]
        records = [record for _, _, record in seen]
        if not records:
            raise ValueError("the source has no rows: give some")
        ages, weights, qualities, failures = zip(*records, strict=True)
        if len({weight is None for weight, age in zip(weights, ages, strict=True) if age}) > 1:
            raise ValueError("some blocks come with weights and some without: give all or none")
        years = np.array([age for some in ages for age in some], np.float64)
        weight = None
        if len(years) and weights[0] is not None:
            weight = check_weight([one for some in weights for one in some], len(years))
        known = None
        if len(years) and qualities[0] is not None:
            known = [Quality(*quality) for some in qualities for quality in some]
        rows = np.full(min(n_sample, len(years)), -1)
        for first, _, (some, *_) in seen:
            places, taken = _places_in_sample(int(first), len(some), n_sample, seed)
            rows[places] = int(first) + taken
        sample = np.load(self._folder / "sample.npy", mmap_mode="r")[: len(rows)]
        lost = {failure[0]: failure for some in failures for failure in some}
        return Looked(years, weight, known, list(lost.values()), sample, rows)


def _records(block: Block) -> list[Any]:
    qualities = None if block.qualities is None else quality_facts(block.qualities)
    weight = None if block.weight is None else block.weight.tolist()
    return [block.ages.tolist(), weight, qualities, block.failures]


def _places_in_sample(
    first: int, n_rows: int, n_sample: int, seed: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Which rows of a block go into the sample, and where (J. Vitter's algorithm R)."""
    numbers = np.arange(first, first + n_rows)
    drawn = np.random.default_rng([seed, first]).integers(0, numbers + 1)
    places = np.where(numbers < n_sample, numbers, drawn)
    rows = np.flatnonzero(places < n_sample)
    # Of two for one place, the later stays.
    places, last = np.unique(places[rows][::-1], return_index=True)
    return places, rows[::-1][last]


def _digest(block: Block) -> int:
    digest = zlib.crc32(np.ascontiguousarray(block.matrix).data)
    for values in (block.ages, block.weight):
        digest = zlib.crc32(b"" if values is None else values.tobytes(), digest)
    return digest
