"""Where the rows come from that a model is trained on without holding them: always in blocks."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import joblib
import numpy as np
import numpy.typing as npt

from ageboost.batch._claims import Claims
from ageboost.batch._dask import is_collection, row_blocks_of
from ageboost.batch._parts import PLAN, Parts
from ageboost.batch._places import SharedPlaceError, open_place
from ageboost.batch.feature_shards import FEATURES_MARK, failure_facts
from ageboost.faces.face import Quality
from ageboost.models import AgeEstimator
from ageboost.models._checks import check_ages, check_weight
from ageboost.photos import check_photos, photo_name

__all__ = ["Block", "Source", "TrainingData", "open_source", "whole_blocks"]


class Block(NamedTuple):
    """Rows that come together.

    Attributes
    ----------
    matrix : ndarray of shape (n_rows, n_features), float32
    ages : ndarray of shape (n_rows,)
    weight : ndarray of shape (n_rows,) or None
    qualities : list of Quality of length n_rows, or None
    failures : list of (int, str, str)
        Photos that gave no row: position, kind of the error, message.
    """

    matrix: npt.NDArray[np.float32]
    ages: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64] | None
    qualities: list[Quality] | None
    failures: list[Any]


class TrainingData(NamedTuple):
    """What came with a source, in memory: it is small.

    Attributes
    ----------
    ages : array-like of shape (n_rows,), str or None
        Years; of a table the name of their column; None where they come with the rows.
    weight : array-like of shape (n_rows,) or None
    qualities : sequence of Quality of length n_rows, or None
    """

    ages: Any
    weight: Any
    qualities: Any


class Source:
    """Rows in blocks of any size, which can be gone through more than once.

    Attributes
    ----------
    identity : dict of str to JSON value
        What is known of it without reading rows.
    skips : bool
        Whether it can begin in the middle without computing what stands before.
    """

    identity: dict[str, Any]
    skips = False

    def blocks(self, start: int) -> Iterator[tuple[int, Block]]:
        """Give blocks, from one that holds the row ``start`` at the latest, each with its place.

        Parameters
        ----------
        start : int

        Yields
        ------
        int
            The row that the block begins with.
        Block
        """
        raise NotImplementedError


def open_source(given: Any, estimator: Any, known: TrainingData, n_block: int) -> Source:
    """Find out what somebody means to train on.

    Parameters
    ----------
    given : path, array, collection of Dask, photos or iterable of blocks
    estimator : AgeEstimator or AgeRegressor
    known : TrainingData
    n_block : int
        Rows of an array that are read at once.

    Returns
    -------
    Source

    Raises
    ------
    TypeError
        If it can be gone through only once, or is nothing of the kind.
    ValueError
        If ages are missing, or there are others in the source.
    """
    if isinstance(given, str | os.PathLike):
        _refuse_others(known, "shards of features")
        return _Shards(given, estimator)
    if is_collection(given):
        return _Collection(given, known)
    if getattr(given, "ndim", None) == 2:
        return _Matrix(given, known, n_block)
    if isinstance(given, Iterator) or not isinstance(given, Iterable):
        raise TypeError(
            f"the source is a {type(given).__name__}, which cannot be gone through more than once: "
            "pass a list, an object whose __iter__ begins anew, an array or a folder of shards"
        )
    if _holds_photos(given, estimator):
        return _Photos(given, estimator, known)
    _refuse_others(known._replace(qualities=None), "blocks of (matrix, ages) or more")
    return _Blocks(given, known.qualities)


def whole_blocks(
    source: Source,
    start: int,
    n_block: int,
    columns: Sequence[str] | int | None,
    strict_ages: bool,
) -> Iterator[tuple[int, Block]]:
    """Check blocks and cut them anew, so that all but the last have as many rows.

    Parameters
    ----------
    source : Source
    start : int
        The first row that is wanted, a multiple of ``n_block``.
    n_block : int
    columns : sequence of str, int or None
        Names or the number of columns that there must be. By default as many as come first.
    strict_ages : bool
        Whether ages must be from 0 to 120, as those of photos.

    Yields
    ------
    int
        The row that the block begins with.
    Block

    Raises
    ------
    LabelsError or ValueError
        If a block has other columns, or holds NaN, or ages that are none.
    """
    held: list[Block] = []
    place = n_held = 0
    for number, (first, block) in enumerate(source.blocks(start)):
        if source.skips and first < start >= first + len(block.ages):
            continue
        columns = block.matrix.shape[1] if columns is None else columns
        block = _check(block, number, first, columns, strict_ages)
        if not held:
            place = first
            if start > first and source.skips:
                block, place = _cut(block, start - first, None), start
        held.append(block)
        n_held += len(block.ages)
        while n_held >= n_block:
            together = _join(held)
            yield place, _cut(together, 0, n_block)
            place, held = place + n_block, [_cut(together, n_block, None)._replace(failures=[])]
            n_held -= n_block
    if held and (n_held or any(block.failures for block in held)):
        yield place, _join(held)


class _Shards(Source):
    skips = True

    def __init__(self, folder: Any, estimator: Any):
        self._folder, place = folder, open_place(folder)
        plan = json.loads(place.read(PLAN) or b"{}")
        if FEATURES_MARK not in plan:
            raise SharedPlaceError(
                f"{os.fspath(folder)!r} holds no features: pass a folder that write_features wrote"
            )
        names = getattr(estimator, "features_", None)
        if names is not None:
            columns = joblib.hash(names.get_feature_names_out().tolist())
            if columns != plan["columns"]:
                raise SharedPlaceError(
                    f"{os.fspath(folder)!r} holds other features than the estimator looks at: "
                    "write them with this estimator"
                )
        self._place = place
        self._parts = Parts(place, Claims(place, 60.0), plan["n_photos"], plan["n_shards"], "npy")
        self._facts = self._parts.facts()
        if len(self._facts) < plan["n_shards"]:
            raise SharedPlaceError(
                f"{os.fspath(folder)!r} holds {len(self._facts)} of {plan['n_shards']} shards: "
                "let write_features finish"
            )
        self.identity = {"plan": joblib.hash(plan), "shards": joblib.hash(self._facts)}

    def blocks(self, start: int) -> Iterator[tuple[int, Block]]:
        first = 0
        for number, facts in enumerate(self._facts):
            n_rows = len(facts["ages"])
            if first + n_rows > start or (n_rows == 0 and first >= start):
                name = self._parts.name(number)
                content = self._place.read(name) or b""
                if hashlib.sha256(content).hexdigest() != facts["sha256"]:
                    raise SharedPlaceError(
                        f"{name} in {os.fspath(self._folder)!r} is damaged: remove it, and let "
                        "write_features make it anew"
                    )
                matrix = np.load(io.BytesIO(content), allow_pickle=False)
                weight = facts["weight"]
                yield (
                    first,
                    Block(
                        matrix,
                        np.array(facts["ages"], np.float64),
                        None if weight is None else np.array(weight),
                        [Quality(*quality) for quality in facts["qualities"]],
                        facts["failures"],
                    ),
                )
            first += n_rows


class _Matrix(Source):
    """A matrix in memory or mapped into it."""

    skips = True

    def __init__(self, matrix: Any, known: TrainingData, n_block: int):
        self._matrix, self._n_block = matrix, n_block
        self._known = _check_known(known, len(matrix))
        self.identity = {"shape": list(matrix.shape), **_digests(self._known)}

    def blocks(self, start: int) -> Iterator[tuple[int, Block]]:
        for first in range(start - start % self._n_block, len(self._matrix), self._n_block):
            rows = slice(first, first + self._n_block)
            yield first, _block_of(np.asarray(self._matrix[rows]), self._known, rows)


class _Collection(Source):
    """An array or a table of Dask's, of which one block is computed at a time."""

    skips = True

    def __init__(self, collection: Any, known: TrainingData):
        self._collection, self._column = collection, None
        columns = getattr(collection, "columns", None)
        if isinstance(known.ages, str):
            if columns is None or known.ages not in columns:
                raise ValueError(f"ages={known.ages!r}: the source has no column of that name")
            self._column, known = known.ages, known._replace(ages=())
        self._known = _check_known(known, None)
        names = [] if columns is None else [str(name) for name in columns]
        self.identity = {"columns": joblib.hash(names), **_digests(self._known)}

    def blocks(self, start: int) -> Iterator[tuple[int, Block]]:
        first = 0
        for first, block in row_blocks_of(self._collection, start):
            rows = slice(first, first + len(block))
            if self._column is None:
                yield first, _block_of(np.asarray(block), self._known, rows)
            else:
                ages = block.pop(self._column).to_numpy()
                made = _block_of(block.to_numpy(), self._known._replace(ages=None), rows)
                yield first, made._replace(ages=ages)
            first = rows.stop
        ages = self._known.ages
        if self._column is None and first and len(ages) != first:
            raise ValueError(f"{first} rows but {len(ages)} ages: give one age for each row")


class _Photos(Source):
    """Photos whose features the cache of their estimator keeps."""

    def __init__(self, photos: Any, estimator: AgeEstimator, known: TrainingData):
        if estimator.cache is None and estimator.features_.cache is None:
            raise ValueError(
                "photos are gone through twice: name a folder to keep their features in, "
                "set_params(cache=...), or write them by write_features"
            )
        self._photos, self._estimator = check_photos(photos), estimator
        ages = check_ages(known.ages, self._photos)
        self._known = known._replace(
            ages=ages, weight=check_weight(known.weight, len(self._photos))
        )
        names = [photo_name(photo, position) for position, photo in enumerate(self._photos)]
        self.identity = {"photos": joblib.hash(names), **_digests(self._known)}

    def blocks(self, start: int) -> Iterator[tuple[int, Block]]:
        first = 0
        for batch in self._estimator.extract(self._photos):
            block = _block_of(batch.matrix, self._known, batch.owners)
            failures = [failure_facts(failure) for failure in batch.failures]
            yield first, block._replace(qualities=batch.qualities, failures=failures)
            first += len(batch.owners)


class _Blocks(Source):
    """Whatever gives tuples, and gives them again."""

    def __init__(self, blocks: Iterable[Any], qualities: Sequence[Quality] | None):
        self._blocks, self._qualities = blocks, qualities
        self.identity = {"qualities": joblib.hash(qualities)}

    def blocks(self, start: int) -> Iterator[tuple[int, Block]]:
        first = 0
        for number, given in enumerate(self._blocks):
            if not isinstance(given, tuple | list) or len(given) not in (2, 3):
                raise ValueError(
                    f"block {number} is no tuple of a matrix, ages and perhaps weights: give these"
                )
            matrix, ages, *weights = given
            matrix = np.asarray(matrix)
            rows = slice(first, first + len(matrix))
            known = TrainingData(None, None, self._qualities)
            weight = None if not weights else np.asarray(weights[0], np.float64)
            block = _block_of(matrix, known, rows)
            yield first, block._replace(ages=np.asarray(ages), weight=weight)
            first = rows.stop
        if self._qualities is not None and len(self._qualities) != first:
            raise ValueError(f"{first} rows but {len(self._qualities)} qualities: give as many")


def _holds_photos(given: Iterable[Any], estimator: Any) -> bool:
    """Whether it is a list of photos: blocks are tuples, and no photo is one."""
    if not isinstance(estimator, AgeEstimator):
        return False
    return not isinstance(next(iter(given), ()), tuple)


def _refuse_others(known: TrainingData, what: str) -> None:
    given = [name for name, value in zip(known._fields, known, strict=True) if value is not None]
    if given:
        raise ValueError(f"{what} hold their own {' and '.join(given)}: leave them out here")


def _check_known(known: TrainingData, n_rows: int | None) -> TrainingData:
    if known.ages is None:
        raise ValueError("ages are missing: give one for each row, ages=...")
    ages = np.asarray(known.ages)
    n_ages = len(ages)
    if n_rows is not None and n_ages != n_rows:
        raise ValueError(f"{n_rows} rows but {n_ages} ages: give one age for each row")
    weight = known.weight
    if weight is not None:
        weight = np.asarray(weight, np.float64)
        if len(ages):
            weight = check_weight(weight, n_ages)
    if known.qualities is not None and n_rows is not None and len(known.qualities) != n_rows:
        raise ValueError(f"{n_rows} rows but {len(known.qualities)} qualities: give as many")
    return TrainingData(ages, weight, known.qualities)


def _digests(known: TrainingData) -> dict[str, str]:
    names = ("ages", "sample_weight", "qualities")
    return {name: joblib.hash(value) for name, value in zip(names, known, strict=True)}


def _block_of(matrix: Any, known: TrainingData, rows: Any) -> Block:
    """Put what is known of rows beside them."""
    qualities = known.qualities
    if qualities is not None:
        qualities = list(qualities[rows])
    return Block(
        matrix,
        np.empty(0) if known.ages is None else known.ages[rows],
        None if known.weight is None else known.weight[rows],
        qualities,
        [],
    )


def _check(block: Block, number: int, first: int, columns: Any, strict_ages: bool) -> Block:
    """Check what a block holds, and convert it."""
    where = f"block {number} (rows from {first:,} on)"
    try:
        matrix = np.ascontiguousarray(block.matrix, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} is no matrix of numbers: {error}") from error
    n_columns = columns if isinstance(columns, int) else len(columns)
    if matrix.ndim != 2 or matrix.shape[1] != n_columns:
        raise ValueError(
            f"{where} has shape {matrix.shape} where {n_columns} columns are expected: "
            "give all blocks the same columns"
        )
    if len(block.ages) != len(matrix):
        raise ValueError(f"{where} has {len(matrix)} rows but {len(block.ages)} ages: give as many")
    if block.weight is not None and block.weight.shape != (len(matrix),):
        raise ValueError(
            f"{where} has {len(matrix)} rows but weights of shape {block.weight.shape}: "
            "give one for each row"
        )
    bad = ~np.isfinite(matrix)
    if bad.any():
        row, column = (int(place) for place in np.argwhere(bad)[0])
        name = f"column {column}" if isinstance(columns, int) else repr(str(columns[column]))
        raise ValueError(
            f"{where}: {name} of row {row} of the block, row {first + row:,} in all, is "
            f"{matrix[row, column]}: leave the row out, or compute it anew"
        )
    names = [f"block {number}, row {row}" for row in range(len(matrix))]
    ages = check_ages(block.ages, names) if strict_ages else _ages_of_any_size(block, where)
    return block._replace(matrix=matrix, ages=ages)


def _ages_of_any_size(block: Block, where: str) -> npt.NDArray[np.float64]:
    ages = np.asarray(block.ages, np.float64).ravel()
    bad = np.flatnonzero(~(np.isfinite(ages) & (ages >= 0)))
    if len(bad):
        raise ValueError(f"{where}: the age of row {bad[0]} is {ages[bad[0]]:g}: correct it")
    return ages


def _join(blocks: Sequence[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    weights = [block.weight for block in blocks if block.weight is not None]
    qualities = [block.qualities for block in blocks if block.qualities is not None]
    if len(weights) not in (0, len(blocks)):
        raise ValueError("some blocks come with weights and some without: give all or none")
    return Block(
        np.concatenate([block.matrix for block in blocks]),
        np.concatenate([block.ages for block in blocks]),
        np.concatenate(weights) if weights else None,
        [one for some in qualities for one in some] if qualities else None,
        [failure for block in blocks for failure in block.failures],
    )


def _cut(block: Block, start: int, stop: int | None) -> Block:
    rows = slice(start, stop)
    return Block(
        block.matrix[rows],
        block.ages[rows],
        None if block.weight is None else block.weight[rows],
        None if block.qualities is None else block.qualities[rows],
        block.failures,
    )
