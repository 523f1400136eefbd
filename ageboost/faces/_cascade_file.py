"""Reads the trees of a shape predictor from the file in which dlib keeps them."""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ageboost._dlib_file import DlibFile

__all__ = ["Trees", "read_shape_predictor"]

# Columns that are read side by side: what is read next of each stays in the cache.
_SIDE_BY_SIDE = 2048
_WORD = 8
# Numbers in a file lie far below this, in sides of the box: larger ones are damage.
_LARGEST = 1000
# Leaves of a tree are counted in a byte.
_DEEPEST = 8
_Integers = npt.NDArray[np.int64]


class Trees(NamedTuple):
    """One step of the cascade: points to look at, and trees that compare how bright they are."""

    # Of shape (n_points,): the landmark next to which a point is.
    anchors: _Integers
    # Of shape (2, n_points): across and down from there, in sides of the box, of the mean face.
    offsets: npt.NDArray[np.float32]
    # Of shape (n_splits, n_trees), the root first, then level by level: two points, and the level
    # that the first has to be brighter by for a face to go left, rounded down.
    first: _Integers
    second: _Integers
    thresholds: npt.NDArray[np.int16]
    # Row of what the first leaf of the first tree adds to a shape; those of the others follow.
    first_row: int


def read_shape_predictor(
    path: Path,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[Trees]]:
    """Read a shape predictor.

    Parameters
    ----------
    path : Path

    Returns
    -------
    mean_shape : ndarray of shape (2, n_landmarks), float32
        Across and down, in sides of the box.
    moves : ndarray of shape (n_moves, 2 * n_landmarks), float32
        What leaves add to a shape: x and y of one landmark after the other.
    steps : list of Trees

    Raises
    ------
    ValueError
        If the file holds none.
    """
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return _Reader(content).predictor()
    except (IndexError, OverflowError) as error:
        raise ValueError("not a shape predictor of dlib's, or cut short") from error


class _Reader(DlibFile):
    """Reads many trees side by side.

    A file has 16 million floats, each as long as it needs to be, in columns whose ends are known
    only when they have been read. Columns are found by how they begin, and all that lies between
    two of them has to be the splits of a tree: anything else is an error.
    """

    def __init__(self, content: mmap.mmap):
        super().__init__(content, "a shape predictor of dlib's")
        self._file = content
        n_words = max(0, len(content) - _WORD + 1)
        # Eight bytes from each place on.
        self._words: _Integers = np.ndarray((n_words,), "<i8", content, strides=(1,))

    def predictor(
        self,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[Trees]]:
        self._expect(self.integer(), 1)
        header_start = self.position
        n_values, _ = abs(self.integer()), self.integer()
        starts, ends, moves = self._columns(self.content[header_start : self.position], n_values)
        # The first column is the mean shape.
        self.position, row = int(ends[0]), 1
        forests = []
        for _ in range(self.integer()):
            splits = self._splits(starts, ends, row)
            forests.append((*splits, row))
            row += splits[0].size + splits[0].shape[1]
            self.position = int(ends[row - 1])
        self._expect(len(starts), row)
        anchors = [
            np.array([self.integer() for _ in range(self.integer())]) for _ in range(self.integer())
        ]
        offsets = [
            np.array([(self._float(), self._float()) for _ in range(self.integer())]).T
            for _ in range(self.integer())
        ]
        self._expect(self.position, len(self.content))
        self._expect([len(anchors), len(offsets)], len(forests))
        self._expect(np.abs(moves).max() < _LARGEST, True)
        points = zip(anchors, offsets, forests, strict=True)
        steps = [Trees(anchor, offset, *forest) for anchor, offset, forest in points]
        for trees in steps:
            self._check_points(trees, n_values // 2)
        return moves[0].reshape(-1, 2).T, moves, steps

    def _check_points(self, trees: Trees, n_landmarks: int) -> None:
        n_points = len(trees.anchors)
        for places, limit in (
            (trees.anchors, n_landmarks),
            (trees.first, n_points),
            (trees.second, n_points),
        ):
            self._expect((places >= 0) & (places < limit), True)
        self._expect(trees.offsets.shape, (2, n_points))
        self._expect(np.abs(trees.offsets) < _LARGEST, True)

    def _expect(self, read: npt.ArrayLike, expected: npt.ArrayLike) -> None:
        if not np.all(np.equal(read, expected)):
            raise ValueError(f"not {self.network}, or damaged")

    def _forget(self) -> None:
        """Let go of the pages of the file that have been read: they count as memory in use."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._file.madvise(mmap.MADV_DONTNEED)

    def _float(self) -> np.float32:
        mantissa = self.integer()
        return np.float32(math.ldexp(mantissa, self.integer()))

    def _columns(
        self, header: bytes, n_values: int
    ) -> tuple[_Integers, _Integers, npt.NDArray[np.float32]]:
        """Find and read all columns.

        Returns
        -------
        starts, ends : ndarray of shape (n_columns,)
            Where each begins with its header, and what is behind it.
        values : ndarray of shape (n_columns, n_values), float32
        """
        found = []
        start = self.content.find(header)
        while start >= 0:
            found.append(start)
            if len(found) % _SIDE_BY_SIDE == 0:
                self._forget()
            start = self.content.find(header, start + len(header))
        starts = np.array(found)
        ends = starts + len(header)
        values = np.empty((len(found), n_values), np.float32)
        for row in range(0, len(found), _SIDE_BY_SIDE):
            part = slice(row, min(row + _SIDE_BY_SIDE, len(found)))
            for value in values[part].T:
                value[:] = self._floats(ends[part])
            self._forget()
        return starts, ends, values

    def _splits(
        self, starts: _Integers, ends: _Integers, row: int
    ) -> tuple[_Integers, _Integers, npt.NDArray[np.int16]]:
        """Read the splits of all trees of one step, whose columns begin at this row."""
        n_trees, begin = self.integer(), self.position
        n_splits = self.integer()
        self._expect(n_splits in [2**depth - 1 for depth in range(1, _DEEPEST + 1)], True)
        rows = np.arange(row, row + n_trees * (n_splits + 1)).reshape(n_trees, n_splits + 1)
        self._expect(starts[rows[:, 1:]], ends[rows[:, :-1]])
        positions = np.concatenate([[begin], ends[rows[:-1, -1]]])
        self._expect(self._integers(positions), n_splits)
        first, second = np.empty((2, n_splits, n_trees), np.int64)
        thresholds = np.empty((n_splits, n_trees), np.int16)
        for split in range(n_splits):
            first[split] = self._integers(positions)
            second[split] = self._integers(positions)
            # Levels differ by whole numbers from -255 to 255.
            thresholds[split] = np.floor(self._floats(positions)).clip(-256, 255)
        self._expect(self._integers(positions), n_splits + 1)
        self._expect(positions, starts[rows[:, 0]])
        self._forget()
        return first, second, thresholds

    def _integers(self, positions: _Integers) -> _Integers:
        """Read an integer at each position, which is moved behind it."""
        value, n_bytes = _first_integer(self._words[positions])
        positions += n_bytes
        return value

    def _floats(self, positions: _Integers) -> npt.NDArray[np.float64]:
        """Read a mantissa and an exponent at each position, which is moved behind them."""
        words = self._words[positions]
        mantissa, n_bytes = _first_integer(words)
        exponent, n_more = _first_integer(words >> 8 * n_bytes)
        positions += n_bytes + n_more
        # Damaged files hold any exponent, and are noticed later.
        with np.errstate(over="ignore"):
            return np.ldexp(mantissa.astype(np.float64), exponent)


def _first_integer(words: _Integers) -> tuple[_Integers, _Integers]:
    """Read the integer that begins each word, and return how many bytes it takes, too.

    A mantissa of three bytes and an exponent of two, the longest that floats have, fit into one.
    """
    n_bytes = words & 0x0F
    value = (words >> 8) & ((1 << 8 * np.minimum(n_bytes, _WORD - 1)) - 1)
    return np.where(words & 0x80, -value, value), 1 + n_bytes
