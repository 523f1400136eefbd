"""Reads networks from the files in which dlib keeps them."""

from __future__ import annotations

from mmap import mmap

import numpy as np
import numpy.typing as npt

__all__ = ["DlibFile"]


class DlibFile:
    """Reads dlib's serialised integers, tensors and layers, front to back.

    Parameters
    ----------
    content : bytes or mmap
        Of a ``.dat`` file.
    network : str
        What errors call it.
    """

    def __init__(self, content: bytes | mmap, network: str):
        self.content = content
        self.network = network
        self.position = 0

    def seek(self, *markers: str) -> str:
        """Go behind the next occurrence of one of these serialised strings, and return which it is.

        Parameters
        ----------
        *markers : str

        Returns
        -------
        str
        """
        found = {}
        for marker in markers:
            serialised = bytes([1, len(marker)]) + marker.encode()
            start = self.content.find(serialised, self.position)
            if start >= 0:
                found[start + len(serialised)] = marker
        if not found:
            raise ValueError(f"not {self.network}: no {markers[0]!r} where expected")
        self.position = min(found)
        return found[self.position]

    def integer(self) -> int:
        """Read an integer: one byte that holds its length and sign, then its bytes."""
        control = self.content[self.position]
        n_bytes = control & 0x0F
        start = self.position + 1
        self.position = start + n_bytes
        value = int.from_bytes(self.content[start : self.position], "little")
        return -value if control & 0x80 else value

    def tensor(self) -> npt.NDArray[np.float32]:
        """Read a tensor.

        Returns
        -------
        ndarray of shape (n_values,), float32
        """
        version = self.integer()
        if version != 2:
            raise ValueError(f"not {self.network}: tensor version {version}")
        shape = [self.integer() for _ in range(4)]
        values = np.frombuffer(self.content, "<f4", int(np.prod(shape)), self.position)
        self.position += values.nbytes
        return values

    def convolution(
        self, normalised: bool = True
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Read a convolution, and fold the affine or batch normalisation behind it into it.

        Parameters
        ----------
        normalised : bool, default=True
            Whether there is one behind it.

        Returns
        -------
        tuple of ndarray of shape (filters, channels, rows, columns) and of shape (filters,)
            Weights and bias.
        """
        self.seek("con_4")
        values = self.tensor()
        filters, rows, columns = (self.integer() for _ in range(3))
        weights = values[:-filters].reshape(filters, -1, rows, columns)
        bias = values[-filters:]
        if not normalised:
            return weights, bias
        kind = self.seek("affine_", "bn_con2")
        gamma, beta = self.tensor().reshape(2, filters)
        if kind == "bn_con2":
            for _ in range(2 * 5):
                self.integer()  # the sizes of gamma and beta
            # Means and inverse deviations of the last batch, then what is known of all batches.
            _, _, means, variances = (self.tensor() for _ in range(4))
            gamma = gamma / np.sqrt(variances + _BATCH_NORM_EPS)
            beta = beta - gamma * means
        return weights * gamma[:, None, None, None], bias * gamma + beta


# What dlib adds to variances unless set otherwise.
_BATCH_NORM_EPS = np.float32(0.0001)
