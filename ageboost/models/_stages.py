"""What a long fit has computed so far, kept in a folder so that a killed one can go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ageboost._files import replacing

__all__ = ["Stages"]


class Stages:
    """Arrays by the name of the stage that computes them.

    Parameters
    ----------
    folder : Path, optional
        Where they are kept. By default nowhere: each is computed when it is asked for.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from ageboost.models._stages import Stages
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for value in (1, 2):
    ...         Stages(Path(folder)).array("first", lambda value=value: np.full(2, value))
    array([1, 1])
    array([1, 1])
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder

    def arrays(
        self, name: str, compute: Callable[[], Mapping[str, npt.NDArray]]
    ) -> Mapping[str, npt.NDArray]:
        """Look up arrays, or compute and keep them.

        Parameters
        ----------
        name : str
            Of the stage.
        compute : callable
            Gives arrays by their names.

        Returns
        -------
        mapping of str to ndarray
        """
        if self.folder is None:
            return compute()
        path = self.folder / f"{name}.npz"
        if path.exists():
            with np.load(path) as kept:
                return dict(kept)
        computed = compute()
        with replacing(path) as new, new.open("wb") as file:
            np.savez(file, allow_pickle=False, **computed)
        return computed

    def array(self, name: str, compute: Callable[[], npt.NDArray]) -> npt.NDArray:
        """Look up one array, or compute and keep it.

        Parameters
        ----------
        name : str
        compute : callable

        Returns
        -------
        ndarray
        """
        return self.arrays(name, lambda: {"values": compute()})["values"]

    def forget(self, pattern: str) -> None:
        """Remove what later stages do not need.

        Parameters
        ----------
        pattern : str
            Of names, with ``*``.
        """
        if self.folder is not None:
            for path in self.folder.glob(f"{pattern}.npz"):
                path.unlink()
