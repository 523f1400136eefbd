"""Ages in bands: those that errors are measured by, and those of a shop."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["MEASURED_BANDS", "SHOP_EDGES", "AgeBands"]

SHOP_EDGES = (12, 18, 25, 35, 45, 55, 65)


class AgeBands:
    """Ages in bands that follow each other without a gap.

    Parameters
    ----------
    edges : iterable of int, default=(12, 18, 25, 35, 45, 55, 65)
        The first year of each band but the youngest, rising.
    names : iterable of str, optional
        One more than edges. By default such as ``"up to 11"``, ``"12-17"``, ``"65+"``.

    Attributes
    ----------
    edges : tuple of int
    names : tuple of str
    """

    def __init__(self, edges: Iterable[int] = SHOP_EDGES, names: Iterable[str] | None = None):
        self.edges = tuple(edges)
        if not self.edges:
            raise ValueError("edges is empty: pass one age at least, such as [18]")
        if any(not isinstance(edge, int | np.integer) or edge < 1 for edge in self.edges):
            raise ValueError(f"edges={self.edges!r}: pass whole years, of 1 or more")
        if any(first >= second for first, second in pairwise(self.edges)):
            raise ValueError(f"edges={self.edges!r}: pass years that rise")
        self.names = self._name() if names is None else tuple(names)
        if len(self.names) != len(self.edges) + 1 or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"names={self.names!r}: pass {len(self.edges) + 1} different names, "
                "one more than edges"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(edges={self.edges!r}, names={self.names!r})"

    def __len__(self) -> int:
        return len(self.names)

    def index(self, ages: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Find the group of each age.

        Parameters
        ----------
        ages : array-like of shape (n_people,)
            Years; no NaN.

        Returns
        -------
        ndarray of shape (n_people,), int
            Positions in ``names``.
        """
        return np.searchsorted(self.edges, np.asarray(ages, dtype=np.float64), side="right")

    def _name(self) -> tuple[str, ...]:
        middle = [
            f"{first}-{second - 1}" if second - first > 1 else str(first)
            for first, second in pairwise(self.edges)
        ]
        youngest = f"up to {self.edges[0] - 1}" if self.edges[0] > 1 else "0"
        return youngest, *middle, f"{self.edges[-1]}+"


#: What errors are reported by: children, teenagers, and adults.
MEASURED_BANDS = AgeBands(
    (13, 18, 25, 35, 45, 60), ("0-12", "13-17", "18-24", "25-34", "35-44", "45-59", "60+")
)
