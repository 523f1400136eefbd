"""Who bought, as callers may say it: one name for each buyer, a column, or the receipts."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._tables.database import Query
from ageboost.errors import RetailDataError
from ageboost.retail._joins import check_join, customers_of
from ageboost.retail._repeated import check_unique
from ageboost.retail.tables import Source, need_columns, read_table

__all__ = ["WhoBought", "given_customers"]

# An array of names, a column of buyers, or a table of receipts.
WhoBought: TypeAlias = npt.ArrayLike | Source | None

_WAYS = (
    "pass the receipts, customers=shop.receipts, or one customer for each buyer, or the name of a "
    "column of buyers"
)


def given_customers(customers: WhoBought, buyers: pd.DataFrame) -> npt.NDArray[np.object_] | None:
    """Take the customers that were given for buyers, one for each.

    Parameters
    ----------
    customers : array-like of shape (n_buyers,), table of receipts, str or None
        As for :func:`purchases_by_age_group`.
    buyers : DataFrame

    Returns
    -------
    ndarray of shape (n_buyers,), object, or None
        None where nothing is known.

    Raises
    ------
    RetailDataError
        If there are more or fewer, or a column is missing.
    """
    if customers is None:
        return None
    if isinstance(customers, str):
        if customers not in buyers:
            raise RetailDataError(f"no column {customers!r} in the table of buyers", _WAYS)
        return buyers[customers].to_numpy(dtype=object)
    if isinstance(customers, Query) or hasattr(customers, "columns"):
        receipts = read_table(customers, "receipts")  # type: ignore[arg-type]
        need_columns(receipts, ["customer"], "receipts")
        check_unique(receipts)
        check_join(buyers["receipt_id"], receipts["receipt_id"], "buyers", "receipts")
        return customers_of(buyers, receipts)
    given = np.asarray(customers, dtype=object)
    if given.shape != (len(buyers),):
        n_given = (
            f"{len(given):,} customers" if given.ndim == 1 else f"customers of shape {given.shape}"
        )
        raise RetailDataError(f"{n_given} but {len(buyers):,} buyers", _WAYS)
    return given
