"""The part of a shop manager's page about when and where customers of each age group come."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from scipy import stats

from ageboost._pages.blocks import Note, Picture, Section, Table
from ageboost._pages.figures import report_figure
from ageboost.retail._rates import excludes_one, widen_chosen
from ageboost.retail.counts import FEWEST_RECEIPTS
from ageboost.retail.customers import NO_STORE, Customers

__all__ = ["visit_sections"]

_SURE = 0.95
_DASH = "\N{EN DASH}"
_EXPLAINED = (
    "Bold shares are above (or below) the group's share of all receipts with a probability of "
    "95 %, each by itself. Buyers whose age is not known are assumed to be like the others. "
    "Ranges do not include errors that all shares have in common: compare times and places, but do "
    "not rely on a single share."
)


def visit_sections(visits: Sequence[Customers]) -> list[Section]:
    """Write when and where customers of each age group come.

    Parameters
    ----------
    visits : sequence of Customers
        Each by one column.

    Returns
    -------
    list of Section
        None where there is nothing to write about.
    """
    shown = [one for one in visits if len(one.table)]
    if not shown:
        return []
    blocks: list[Picture | Table | Note] = []
    for one in shown:
        [column] = one.by
        with report_figure((9.0, 4.2)) as figure:
            one.plot(figure.subplots())
        table = one.table
        blocks += [
            Picture.of_figure(
                figure,
                f"Share of each age group by {column}, from {100 * table['share'].min():.0f} to "
                f"{100 * table['share'].max():.0f} %, with ranges.",
            ),
            Table(
                f"Customers by {column}, with {one.coverage:.0%} ranges",
                [
                    column,
                    "age group",
                    "receipts of all groups",
                    "customers",
                    "share",
                    "probability that the share is above (or below) the group's share of all "
                    "receipts",
                ],
                [
                    (
                        f"{row[0]}:00" if column == "hour" else str(row[0]),
                        str(row.group),
                        f"{row.receipts:,}",
                        f"{row.customers:.0f} ({row.customers_low:.0f}{_DASH}"
                        f"{row.customers_high:.0f})",
                        f"{row.share:.0%} ({row.share_low:.0%}{_DASH}{row.share_high:.0%})",
                        f"{row.sure:.0%}",
                    )
                    for row in table.set_index(column).itertuples()
                ],
                texts=(0, 1),
                folded=True,
            ),
        ]
    title = "When they come" if shown[-1].by != ("store",) else "When and where they come"
    return [Section("visits", title, f"{_most_unusual(shown)} {_EXPLAINED}", blocks)]


def _most_unusual(visits: Sequence[Customers]) -> str:
    """Name what is clearly above a group's share of all receipts by the most, if anything is."""
    rows = pd.concat([_clear(one, len(visits)) for one in visits], ignore_index=True)
    if rows.empty:
        return "No age group clearly comes more often at one time or place than another."
    best = rows.loc[rows["low"].idxmax()]
    return (
        f"Customers aged {best['group']} stand out most {_place(best['part'], best['cell'])}: "
        f"{best['low']:.1f} to {best['high']:.1f} times their share of all receipts "
        f"(a {visits[0].coverage:.0%} range, widened because the clearest of many is named)."
    )


def _clear(one: Customers, n_kinds: int) -> pd.DataFrame:
    """Find shares that are clearly above those of all: the largest of many is mostly luck."""
    [column] = one.by
    rows = one.table.assign(
        part=column,
        cell=one.table[column].astype("str"),
        lift=one.table["relative"],
        lift_low=one.table["relative"] * one.table["share_low"] / one.table["share"],
    )
    q_values = stats.false_discovery_control(2 * (1 - rows["sure"]))
    chosen = rows[q_values <= (1 - _SURE) / n_kinds]
    low, high = widen_chosen(chosen, one.coverage, n_kinds * len(rows))
    above = (low > 1) & excludes_one(low, high) & (chosen["customers"] >= FEWEST_RECEIPTS)
    return chosen.assign(low=low, high=high)[above]


def _place(part: str, cell: str) -> str:
    if part == "hour":
        return f"from {cell}:00 to {cell}:59"
    if part == "weekday":
        return f"on {cell}"
    return "where no store is named" if cell == NO_STORE else f"in store {cell}"
