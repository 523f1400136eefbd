"""Age groups, and how far each buyer belongs to each of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._age_bands import AgeBands
from ageboost.errors import RetailDataError

__all__ = ["AgeGroups", "probability_under"]


class AgeGroups(AgeBands):
    """Age groups that follow each other without a gap.

    Parameters
    ----------
    edges : iterable of int, default=(12, 18, 25, 35, 45, 55, 65)
        The first year of each group but the youngest, rising.
    names : iterable of str, optional
        One more than edges. By default such as ``"up to 11"``, ``"12-17"``, ``"65+"``.

    Attributes
    ----------
    edges : tuple of int
    names : tuple of str

    Examples
    --------
    >>> from ageboost.retail import AgeGroups
    >>> AgeGroups().names
    ('up to 11', '12-17', '18-24', '25-34', '35-44', '45-54', '55-64', '65+')
    >>> AgeGroups([18, 65], ["young", "grown up", "old"]).index([17, 18, 70]).tolist()
    [0, 1, 2]
    """

    def membership(self, buyers: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Compute how probable it is that each buyer is of each group.

        Parameters
        ----------
        buyers : DataFrame
            With a column ``under_T`` for each edge T, as :func:`estimate_buyers` gives it.

        Returns
        -------
        ndarray of shape (n_buyers, n_groups)
            Rows sum to one; NaN for a buyer of unknown age.

        Raises
        ------
        RetailDataError
            If there is no column for an edge.

        Examples
        --------
        >>> import pandas as pd
        >>> from ageboost.retail import AgeGroups
        >>> AgeGroups([18, 65]).membership(pd.DataFrame({"under_18": [0.25], "under_65": [1.0]}))
        array([[0.25, 0.75, 0.  ]])
        """
        return self.share_out(probability_under(buyers, self.edges))

    def share_out(self, under: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Compute how probable each group is from probabilities of being younger than the edges.

        Parameters
        ----------
        under : ndarray of shape (n_buyers, n_edges)
            NaN for a buyer of unknown age.

        Returns
        -------
        ndarray of shape (n_buyers, n_groups)
            As :meth:`membership` gives it.

        Examples
        --------
        >>> import numpy as np
        >>> from ageboost.retail import AgeGroups
        >>> AgeGroups([18, 65]).share_out(np.array([[0.25, 1.0]]))
        array([[0.25, 0.75, 0.  ]])
        """
        # The last places of probabilities that were written to a file may contradict each other.
        under = np.maximum.accumulate(under.clip(0, 1), axis=1)
        unknown = np.isnan(under).any(axis=1)
        under[unknown] = np.nan
        ends = np.ones((len(under), 1))
        return np.diff(np.hstack([0 * ends, under, ends]), axis=1) + 0 * under[:, :1]


def probability_under(buyers: pd.DataFrame, thresholds: Iterable[float]) -> npt.NDArray[np.float64]:
    """Take the probabilities of being younger than some ages out of a table of buyers.

    Parameters
    ----------
    buyers : DataFrame
        As :func:`estimate_buyers` gives it.
    thresholds : iterable of float
        Years.

    Returns
    -------
    ndarray of shape (n_buyers, n_thresholds)
        NaN for a buyer of unknown age.

    Raises
    ------
    RetailDataError
        If there is no column for a threshold.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.retail import probability_under
    >>> probability_under(pd.DataFrame({"under_18": [0.2]}), [18])
    array([[0.2]])
    """
    names = [f"under_{age:g}" for age in thresholds]
    missing = [name for name in names if name not in buyers.columns]
    if missing:
        there = [name for name in map(str, buyers.columns) if name.startswith("under_")]
        raise RetailDataError(
            f"buyers have no column {', '.join(missing)}, only {', '.join(there) or 'none'}",
            f"pass ages=({', '.join(name[6:] for name in missing)},) or the same groups to "
            "estimate_buyers",
            "estimate them anew with the same --groups: --photos in place of --buyers",
        )
    return buyers[names].to_numpy(dtype=np.float64)
