"""A matrix that is too large for memory: on disk, written and read some rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ageboost._files import replacing

__all__ = ["Rows", "RowsOnDisk", "columns_of", "row_blocks", "take"]

# As many are in memory at once: 32 MB.
_NUMBERS_AT_ONCE = 1 << 23


class RowsOnDisk:
    """A matrix of float32 in a file of NumPy's.

    Each look at it opens the file and closes it again: pages that stay mapped would count as the
    memory of the process.

    Parameters
    ----------
    path : path
        Made if it is not there.
    n_rows, n_columns : int

    Attributes
    ----------
    shape : (int, int)

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from ageboost.models._rows_on_disk import RowsOnDisk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = RowsOnDisk(os.path.join(folder, "rows.npy"), 3, 2)
    ...     rows.write(1, np.ones((2, 2)))
    ...     rows.take(np.array([2, 0])).tolist(), rows.beside(np.arange(3)).shape
    ([[1.0, 1.0], [0.0, 0.0]], (3, 3))
    """

    def __init__(self, path: str | os.PathLike[str], n_rows: int, n_columns: int):
        self._path, self.shape = Path(path), (n_rows, n_columns)
        self._first: npt.NDArray[np.float32] | None = None
        if not self._path.exists():
            with replacing(self._path) as new:
                np.lib.format.open_memmap(new, "w+", np.float32, self.shape).flush()
        there = self._open()
        if there.shape != self.shape:
            raise ValueError(f"{str(path)!r} holds a matrix of {there.shape}, not {self.shape}")
        self._offset = there.offset

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self._path.parent

    def write(self, start: int, block: npt.NDArray) -> None:
        """Write rows: when this returns, they are on the disk.

        Parameters
        ----------
        start : int
            Where the first of them belongs.
        block : ndarray of shape (n, n_columns)
        """
        self._write([(start, np.ascontiguousarray(block, np.float32))])

    def put(self, index: npt.NDArray[np.intp], block: npt.NDArray) -> None:
        """Write rows wherever they belong.

        Parameters
        ----------
        index : ndarray of shape (n,)
        block : ndarray of shape (n, n_columns)
        """
        rows = np.ascontiguousarray(block, np.float32)
        self._write(zip(index.tolist(), rows, strict=True))

    def take(self, index: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Read rows, in any order.

        Parameters
        ----------
        index : ndarray of shape (n,)

        Returns
        -------
        ndarray of shape (n, n_columns), float32
        """
        block = np.asarray(self._open()[index])
        return block if self._first is None else np.column_stack([self._first[index], block])

    def columns(self, numbers: Sequence[int]) -> Iterator[npt.NDArray[np.float32]]:
        """Read columns one after another, several in each pass over the file.

        Parameters
        ----------
        numbers : sequence of int

        Yields
        ------
        ndarray of shape (n_rows,), float32
        """
        n_at_once = max(1, 4 * _NUMBERS_AT_ONCE // max(1, len(self)))
        for start in range(0, len(numbers), n_at_once):
            some = numbers[start : start + n_at_once]
            found = np.empty((len(some), len(self)), np.float32)
            for index, block in row_blocks(self):
                found[:, index] = block[:, some].T
            yield from found

    def beside(self, first: npt.NDArray[np.floating]) -> RowsOnDisk:
        """Put a column in front that is in memory.

        Parameters
        ----------
        first : ndarray of shape (n_rows,)

        Returns
        -------
        RowsOnDisk
            Of the same file, to be read only.
        """
        wider = RowsOnDisk(self._path, *self.shape)
        wider._first = np.asarray(first, np.float32)
        wider.shape = len(self), self.shape[1] + 1
        return wider

    def whole(self) -> npt.NDArray[np.float32]:
        """Give the matrix to what needs it as one: mapped into memory, as far as that goes.

        Returns
        -------
        ndarray of shape (n_rows, n_columns), float32
        """
        return self._open() if self._first is None else self.take(np.arange(len(self)))

    def _write(self, parts: Iterable[tuple[int, npt.NDArray[np.float32]]]) -> None:
        # Not through a mapping: where the disk is full, that ends the process without an error.
        with self._path.open("r+b") as file:
            for place, part in parts:
                file.seek(self._offset + place * self.shape[1] * part.itemsize)
                file.write(part.data)
            file.flush()
            os.fsync(file.fileno())

    def _open(self) -> np.memmap:
        opened: np.memmap = np.load(self._path, mmap_mode="r")
        return opened


Rows = npt.NDArray[np.float32] | RowsOnDisk


def take(rows: Rows, index: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
    """Copy rows into memory, in any order, wherever they are.

    Parameters
    ----------
    rows : ndarray or RowsOnDisk
    index : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (n, n_columns)
    """
    return rows.take(index) if isinstance(rows, RowsOnDisk) else rows[index]


def row_blocks(
    rows: Rows, index: npt.NDArray[np.intp] | None = None, n_rows: int | None = None
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]]:
    """Go through rows: those in memory all at once, those on disk some at a time.

    Parameters
    ----------
    rows : ndarray or RowsOnDisk
    index : ndarray of shape (n,), optional
        Which rows, in their order. By default all.
    n_rows : int, optional
        How many at a time. By default as many as make 32 MB.

    Yields
    ------
    index : ndarray of shape (n_some,)
    block : ndarray of shape (n_some, n_columns)
    """
    index = np.arange(len(rows)) if index is None else index
    if not isinstance(rows, RowsOnDisk):
        yield index, take(rows, index)
        return
    n_rows = n_rows or max(1, _NUMBERS_AT_ONCE // rows.shape[1])
    for start in range(0, len(index), n_rows):
        some = index[start : start + n_rows]
        yield some, rows.take(some)


def columns_of(
    rows: Rows | None, numbers: Sequence[int]
) -> Iterator[npt.NDArray[np.float32] | None]:
    """Go through columns, None for each where the rows are not known.

    Parameters
    ----------
    rows : ndarray, RowsOnDisk or None
    numbers : sequence of int

    Yields
    ------
    ndarray of shape (n_rows,) or None
    """
    if isinstance(rows, RowsOnDisk):
        yield from rows.columns(numbers)
    else:
        yield from (None if rows is None else rows[:, number] for number in numbers)
