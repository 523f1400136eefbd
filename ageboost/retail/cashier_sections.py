"""The parts of a shop manager's page about sales of restricted goods, and whom to talk to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ageboost._pages.blocks import Section, Table
from ageboost.retail.cashiers import MINORS_KNOWN_BEFORE, CashierReview
from ageboost.retail.counts import FEWEST_RECEIPTS
from ageboost.retail.sales import AlcoholSales

__all__ = ["cashier_sections"]


def cashier_sections(
    sales: AlcoholSales, review: CashierReview, names: bool = False
) -> list[Section]:
    """Write whom to talk to, and how sales of restricted goods went.

    Parameters
    ----------
    sales : AlcoholSales
    review : CashierReview
    names : bool, default=False
        Whether cashiers are named; otherwise they are letters.

    Returns
    -------
    list of Section
    """
    return [_cashiers(review, names), _checks(sales, review)]


def _checks(sales: AlcoholSales, review: CashierReview) -> Section:
    table, whole, policy = sales.table, review.overall.iloc[0], review.policy
    if np.isnan(whole["share_asked"]):
        return Section(
            "checks",
            "Alcohol: who was asked for a card",
            f"Nothing can be reported: of {len(table):,} sales, none has a usable face and a "
            "record of whether a card was asked for.",
        )
    finding = (
        f"Of buyers under {policy.challenge_age:g} in {len(table):,} sales, "
        f"{whole['share_asked_low']:.0%} to {whole['share_asked_high']:.0%} were asked for a card. "
        "A narrower range is not possible, because a cashier sees more than a photo shows."
    )
    if review.minors_known_before:
        finding += f" {MINORS_KNOWN_BEFORE}"
    required = table["required"]
    asked = table["id_checked"].fillna(False).astype(bool)
    rows = [
        (
            {"ask": "ask for a card", "sell": "sell", "cannot tell": "no usable face"}[name],
            _count(int((required == name).sum())),
            _count(int((asked & (required == name)).sum())),
        )
        for name in ("ask", "sell", "cannot tell")
    ]
    return Section(
        "checks",
        "Alcohol: who was asked for a card",
        finding,
        [
            Table(
                "Sales of restricted goods",
                ["what the rule requires, by the photo", "sales", "asked for a card"],
                rows,
            ),
        ],
    )


def _cashiers(review: CashierReview, names: bool) -> Section:
    named = review.to_talk_to
    compared = int(review.table["p_value"].notna().sum())
    if not compared:
        return Section("cashiers", "Whom to talk to", "No cashier can be compared with colleagues.")
    if review.withheld:
        finding = "Nobody is named, because the photos do not look like those that the model knows."
    elif named.empty:
        finding = f"These figures name nobody: none of {compared} cashiers stands out."
    else:
        finding = (
            f"{len(named)} of {compared} cashiers asked buyers who look like minors clearly less "
            "often than colleagues would have. This is a reason to talk and to look closer, not a "
            f"proof. {review.promise}"
        )
    finding += f" {review.reach}"
    columns = [
        "cashier",
        "sales",
        "possible minors asked for a card",
        "colleagues would have",
        f"more minors not asked than by colleagues, with {review.coverage:.0%} range",
        "probability that the name is false",
        "chance of being found, if half of the minors were spared",
    ]
    rows = [
        (
            _who(row) if names else f"cashier {_letters(place)}",
            f"{row.sales:,}",
            f"{row.asked:,} of {row.compared:,}",
            _number(row.colleagues_would_ask),
            f"{_number(row.excess_minors)} ({_number(row.excess_minors_low)} to "
            f"{_number(row.excess_minors_high)})",
            f"{row.local_rate:.1%}",
            f"{row.power:.0%}",
        )
        for place, row in enumerate(named.itertuples())
    ]
    return Section(
        "cashiers",
        "Whom to talk to",
        finding,
        [Table("Cashiers to talk to", columns, rows)] if rows else [],
    )


def _who(row: Any) -> str:
    return str(row.cashier) if pd.isna(row.store) else f"{row.cashier} of store {row.store}"


def _letters(place: int) -> str:
    more, last = divmod(place, 26)
    return (_letters(more - 1) if more else "") + chr(ord("A") + last)


def _count(n: int) -> str:
    return f"{n:,}" if n == 0 or n >= FEWEST_RECEIPTS else f"fewer than {FEWEST_RECEIPTS}"


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.0f}".replace("-0", "0")
