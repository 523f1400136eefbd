"""Whether two tables belong together: if (almost) nothing joins, that is no result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost.errors import RetailDataError

__all__ = ["check_join", "customers_of", "is_among"]

_LEAST = 0.01
_SHOWN = 1000
_FORMS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "without zeros in front": lambda ids: ids.str.replace(r"^0+(?=.)", "", regex=True),
    "in one case": lambda ids: ids.str.casefold(),
    'without ".0" at the end': lambda ids: ids.str.replace(r"[.,]0+$", "", regex=True),
    "without what is no letter or digit": lambda ids: ids.str.replace(r"\W|_", "", regex=True),
    "without what stands before the last number": lambda ids: ids.str.extract(r"0*(\d+)\D*$")[0],
}


def is_among(first: pd.Series, second: pd.Series) -> npt.NDArray[np.bool_]:
    """Whether each of the first names is one of the second; a missing one is not."""
    # Names as numbers: pandas' own isin looks at texts one by one.
    codes, names = pd.factorize(pd.concat([second, first], ignore_index=True))
    known = np.zeros(len(names) + 1, dtype=bool)
    known[codes[: len(second)]] = True
    known[-1] = False
    return known[codes[len(second) :]]


def check_join(
    first: pd.Series,
    second: pd.Series,
    first_kind: str,
    second_kind: str,
    column: str = "receipt_id",
) -> None:
    """Refuse two tables of which (almost) no row joins, and say why.

    That a table has rows beside those that join is no matter: it may cover more days. So hardly
    anything must join of either.

    Parameters
    ----------
    first, second : Series of str
        What the tables are joined by.
    first_kind, second_kind : str
        What the tables hold.
    column : str, default="receipt_id"
        What the error calls it.

    Raises
    ------
    RetailDataError
        If less than 1 % of both join.
    """
    if not len(first) or not len(second):
        return
    known = is_among(first, second)
    if known.mean() >= _LEAST:
        return
    if known.any() and is_among(second, first).mean() >= _LEAST:
        return
    some = "none" if not known.any() else f"only {int(known.sum()):,}"
    problem = (
        f"{some} of {len(first):,} {first_kind} belong to one of {len(second):,} {second_kind}"
    )
    for kind, values in ((first_kind, first), (second_kind, second)):
        if values.isna().all():
            raise RetailDataError(f"{problem}: {column} is empty in all {kind}")
    problem += (
        f": {column} looks like {first.dropna().iloc[0]!r} in {first_kind}, and "
        f"{second.dropna().iloc[0]!r} in {second_kind}"
    )
    for words, change in _FORMS.items():
        ours = change(first.dropna().drop_duplicates().head(_SHOWN)).dropna()
        theirs = change(second.dropna().drop_duplicates()).dropna()
        if len(ours) and ours.isin(theirs).mean() > 0.5:
            raise RetailDataError(f"{problem}; {words} they would join: write them alike")
    raise RetailDataError(
        f"{problem}: check that both are of the same days, and that the right column is read"
    )


def customers_of(buyers: pd.DataFrame, receipts: pd.DataFrame) -> npt.NDArray | None:
    """Look up who each buyer is.

    Parameters
    ----------
    buyers : DataFrame
        With ``receipt_id``.
    receipts : DataFrame
        With ``receipt_id`` and, perhaps, ``customer``.

    Returns
    -------
    ndarray of shape (n_buyers,) or None
        None where receipts do not say who came again.
    """
    if "customer" not in receipts or receipts["customer"].isna().all():
        return None
    places = pd.Index(receipts["receipt_id"]).get_indexer(buyers["receipt_id"])
    return receipts["customer"].to_numpy(dtype=object)[places]
