"""Products of matrices that come out the same in any batch, with any threads, on any processor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ExactProduct", "bits_that_fit", "round_to_bits"]

# What double precision holds without rounding.
_ROOM = 53
# Sums of so many products are never rounded, where each factor has so many bits.
_TERMS_AT_ONCE = 128
_N_BITS = 23
_LEAST_EXPONENT = -900
_ROWS_AT_ONCE = 256


class ExactProduct:
    """A matrix that rows are multiplied by without any sum being rounded.

    A sum of floating-point numbers depends on its order, and a library for matrix products chooses
    the order by the number of rows, the number of threads and the processor. So both factors are
    rounded first, to so few bits that double precision holds every product and every sum of 128 of
    them as it is: then no order gives another result. Longer sums are put together of such in one
    order, number by number. The bits are 23, as many as single precision has, less one.

    Parameters
    ----------
    matrix : ndarray of shape (n_columns, n_outputs)

    References
    ----------
    K. Ozaki, T. Ogita, S. Oishi and S. Rump, "Error-Free Transformations of Matrix Multiplication
    by Using Fast Routines of Matrix Multiplication and Its Applications", Numerical Algorithms
    2012.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models._exact import ExactProduct
    >>> rng = np.random.default_rng(0)
    >>> rows, matrix = rng.normal(size=(10, 300)), rng.normal(size=(300, 4))
    >>> product = ExactProduct(matrix)
    >>> found = product(rows)
    >>> bool(np.allclose(found, rows @ matrix, atol=1e-4))
    True
    >>> bool((found[7] == product(rows[7:8])).all())
    True
    >>> bool((found == product(rows[:, ::-1].copy()[:, ::-1])).all())
    True
    """

    def __init__(self, matrix: npt.NDArray[np.floating]):
        # Columns of rows can be of any scale, which the matrix undoes: powers of two take it out.
        scales = _power_of_two_above(np.asarray(matrix, np.float64), axis=1)
        self._scales = scales.ravel()
        rounded = round_to_bits(matrix / scales, _N_BITS, axis=0)
        n_whole = len(rounded) // _TERMS_AT_ONCE * _TERMS_AT_ONCE
        # Sums that are never rounded, side by side, and the shorter one that is left.
        self._blocks = rounded[:n_whole].reshape(-1, _TERMS_AT_ONCE, rounded.shape[1])
        self._rest = rounded[n_whole:]

    def __call__(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Multiply rows by the matrix.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
        """
        parts = [
            self._multiply(rows[start : start + _ROWS_AT_ONCE])
            for start in range(0, max(len(rows), 1), _ROWS_AT_ONCE)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _multiply(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        rounded = round_to_bits(rows * self._scales, _N_BITS, axis=1)
        n_blocks, n_terms, _ = self._blocks.shape
        split = rounded[:, : n_blocks * n_terms].reshape(len(rows), n_blocks, n_terms)
        # Along the first axis numpy adds in order.
        product = np.add.reduce(split.transpose(1, 0, 2) @ self._blocks, axis=0)
        if len(self._rest):
            product += rounded[:, n_blocks * n_terms :] @ self._rest
        return product


def bits_that_fit(n_terms: int, n_bits: int) -> int:
    """Count the bits that one factor may have, so that sums of products are never rounded.

    Parameters
    ----------
    n_terms : int
        Of each sum.
    n_bits : int
        Of the other factor.

    Returns
    -------
    int
    """
    return _ROOM - n_bits - (max(n_terms, 2) - 1).bit_length()


def round_to_bits(
    matrix: npt.NDArray[np.floating], n_bits: int, axis: int
) -> npt.NDArray[np.float64]:
    """Round to multiples of a power of two, which has so many bits less than the largest value.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns)
    n_bits : int
    axis : int
        1 to take the largest value of each row, 0 for that of each column.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64
    """
    units = 2.0**-n_bits * _power_of_two_above(matrix, axis)
    rounded = np.multiply(matrix, 1 / units, dtype=np.float64)
    np.rint(rounded, out=rounded)
    rounded *= units
    return rounded


def _power_of_two_above(matrix: npt.NDArray[np.floating], axis: int) -> npt.NDArray[np.float64]:
    largest = np.maximum(
        matrix.max(axis=axis, keepdims=True, initial=0),
        -matrix.min(axis=axis, keepdims=True, initial=0),
    ).astype(np.float64)
    return np.ldexp(1.0, np.maximum(np.frexp(largest)[1], _LEAST_EXPONENT))
