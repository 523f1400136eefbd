"""Receipts that are there more than once: the same again, or another one of the same number."""

from __future__ import annotations

import pandas as pd

from ageboost._tables.names import list_names
from ageboost.errors import RetailDataError

__all__ = ["check_unique", "drop_repeated", "repeated_rows"]


def drop_repeated(receipts: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Keep each receipt once; refuse different receipts of one ``receipt_id``."""
    again = receipts["receipt_id"].duplicated()
    if not again.any():
        return receipts, 0
    differs = again & ~receipts.duplicated()
    if differs.any():
        ids = receipts.loc[differs, "receipt_id"].unique()
        one = receipts[receipts["receipt_id"] == ids[0]]
        columns = [name for name in one if one[name].duplicated().sum() < len(one) - 1]
        raise RetailDataError(
            f"{len(ids):,} receipt_ids stand for different receipts, such as {ids[0]!r}, with "
            f"several values of {list_names(columns)}: make them unique, for instance by putting "
            "store, till and day before the number"
        )
    return receipts[~again].reset_index(drop=True), int(again.sum())


def check_unique(table: pd.DataFrame, kind: str = "receipts") -> None:
    """Refuse receipts, or buyers, that are there more than once."""
    again = table["receipt_id"].duplicated()
    if again.any():
        example = table.loc[again, "receipt_id"].iloc[0]
        raise repeated_rows(int(again.sum()), len(table), example, kind)


def repeated_rows(n_again: int, n_rows: int, example: object, kind: str) -> RetailDataError:
    """Make the error that rows stand for receipts that are there already."""
    return RetailDataError(
        f"{n_again:,} of {n_rows:,} {kind} have a receipt_id that is there already, such as "
        f"{example!r}",
        "read_shop(receipts, lines) keeps equal ones once and counts them"
        if kind == "receipts"
        else "give one row for each receipt",
    )
