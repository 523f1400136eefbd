"""The parts of a shop manager's page: plain words first, then figures, then how it was done."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ageboost._pages.blocks import Gallery, GalleryItem, Note, Picture, Section, Table
from ageboost._pages.figures import plain_text, report_figure
from ageboost._pages.thumbnails import make_thumbnails
from ageboost.retail.cashiers import CashierReview
from ageboost.retail.policy import AlcoholPolicy
from ageboost.retail.purchases import Purchases
from ageboost.retail.sales import AlcoholSales
from ageboost.retail.tables import ShopTables

__all__ = [
    "buyer_photos_section",
    "cashier_sections",
    "counts_section",
    "method_section",
    "purchase_sections",
    "report_facts",
]

_N_OFFERS = 5
_N_THINGS = 25
_N_FACES = 24
_DASH = "\N{EN DASH}"


def report_facts(
    shop: ShopTables,
    purchases: Purchases,
    sales: AlcoholSales | None,
    review: CashierReview | None,
) -> list[tuple[str, str]]:
    """Count what the page is about.

    Parameters
    ----------
    shop : ShopTables
    purchases : Purchases
    sales : AlcoholSales or None
    review : CashierReview or None

    Returns
    -------
    list of (str, str)
    """
    facts = [
        ("receipts", f"{len(shop.receipts):,}"),
        ("of them with the age of the buyer", f"{_n_used(purchases):,}"),
        ("lines of receipts", f"{len(shop.lines):,}"),
        (
            f"{_plural(purchases.by)} that some age group buys more or less of",
            f"{purchases.table.loc[purchases.table['significant'], purchases.by].nunique():,}",
        ),
    ]
    if sales is not None and review is not None:
        facts += [
            ("receipts with restricted goods", f"{len(sales.table):,}"),
            ("cashiers", f"{len(review.table):,}"),
            ("cashiers to talk to", f"{len(review.to_talk_to):,}"),
        ]
    return facts


def purchase_sections(purchases: Purchases, restricted: Collection[str] = ()) -> list[Section]:
    """Write who the customers are, what they buy and what to offer them.

    Parameters
    ----------
    purchases : Purchases
    restricted : collection of str, default=()
        Products or categories that are offered to nobody.

    Returns
    -------
    list of Section
    """
    return [_customers(purchases), _differences(purchases), _offers(purchases, restricted)]


def cashier_sections(sales: AlcoholSales, review: CashierReview) -> list[Section]:
    """Write how sales of restricted goods went, and with whom to talk.

    Parameters
    ----------
    sales : AlcoholSales
    review : CashierReview

    Returns
    -------
    list of Section
    """
    return [_checks(sales, review), _cashiers(review)]


def buyer_photos_section(buyers: pd.DataFrame) -> Section:
    """Show some buyers with their estimated ages, drawn by chance.

    Parameters
    ----------
    buyers : DataFrame
        As ``estimate_buyers`` gives it.

    Returns
    -------
    Section
    """
    seen = buyers[(buyers["status"] == "ok") & buyers["photo"].notna()]
    drawn = seen.sample(min(_N_FACES, len(seen)), random_state=0).sort_values("age")
    pictures = make_thumbnails(drawn["photo"].tolist(), [None] * len(drawn))
    items = [
        GalleryItem(
            [Picture(picture, f"a buyer, estimated to be {row.age:.0f}")] if picture else [],
            [f"{row.age:.0f} years", f"{row.age_low:.0f}{_DASH}{row.age_high:.0f}"],
        )
        for row, picture in zip(drawn.itertuples(), pictures, strict=True)
    ]
    return Section(
        "faces",
        "Some of the buyers",
        "Look whether the camera sees faces well: photos that are dark, blurred or taken from the "
        "side give poor ages."
        if items
        else "There is no photo to show.",
        [Gallery(f"{len(items)} buyers, drawn by chance", items)] if items else [],
    )


def counts_section(counts: Sequence[pd.DataFrame]) -> Section:
    """Report what became of each row that was given.

    Parameters
    ----------
    counts : sequence of DataFrame
        Each ``of``, ``outcome``, ``rows``.

    Returns
    -------
    Section
    """
    rows = [
        (str(row.of), str(row.outcome), f"{row.rows:,}")
        for part in counts
        for row in part.itertuples()
        if row.rows
    ]
    return Section(
        "counts",
        "What was counted, and what was not",
        "Nothing is left out in silence: the rows of each table add up to what was given.",
        [Table("Rows by what became of them", ["what", "became", "rows"], rows, texts=(0, 1))],
    )


def method_section(buyers: pd.DataFrame, policy: AlcoholPolicy | None) -> Section:
    """Describe how the page was made, and what it cannot say.

    Parameters
    ----------
    buyers : DataFrame
    policy : AlcoholPolicy or None

    Returns
    -------
    Section
    """
    width = (buyers["age_high"] - buyers["age_low"]).replace(np.inf, np.nan).median()
    notes = [
        "Ages. The age of a buyer is estimated from the photo of the till's camera. With it comes "
        f"a range that should hold the true age nine times in ten; here it is {width:.0f} years "
        "wide for the buyer in the middle. Nobody is put into one age group: a receipt counts for "
        "each group as much as it is probable that the buyer is of that group.",
        "Age groups. A model's probabilities suit people as old as those in the photos that it "
        "learnt from. The shop's own mix of ages is estimated first, and the probabilities are "
        "adapted to it. Since ages are estimated with an error, what one group buys also shows in "
        "its neighbours; that is undone, as far as the number of receipts bears it.",
        "Chance. Hundreds of goods are compared in several groups, so that some would differ by "
        "chance alone. What is called a difference is chosen so that one in twenty of them, on "
        "average, is not one. Offers are ranked by what their lift exceeds with 75 % confidence.",
    ]
    if policy is not None:
        notes += [
            "Checks. Cashiers are compared with their colleagues, on the same tills and at the "
            "same hours, for buyers who look alike. A cashier sees the person and may know him or "
            "her: that a card was not asked for is no fault in itself. Who asks less than "
            "colleagues where buyers look like minors stands on the list; differences in how "
            "often careful people ask are allowed for. What all cashiers do alike cannot be seen "
            "in this way.",
            f"The rule. Nobody under {policy.legal_age:g} may buy "
            f"{', '.join([*policy.categories, *policy.products])}; who looks younger than "
            f"{policy.challenge_age:g} is to be asked for a card.",
        ]
    notes.append(
        "Limits. Errors of ages were measured on photos that are not from this shop. Light, lenses "
        "and people differ: some hundred photos of buyers whose ages are known set it right "
        "(ageboost calibrate). Errors also differ between groups of people: see the card of the "
        "model. No law is satisfied by an estimate where it asks for an identity card."
    )
    return Section(
        "method",
        "How this was worked out, and its limits",
        "For those who want to check it.",
        [Note(note) for note in notes],
    )


def _customers(purchases: Purchases) -> Section:
    mix = purchases.mix
    largest = mix.sort_values(ascending=False)
    finding = (
        f"The largest group are those of {largest.index[0]} years, with "
        f"{largest.iloc[0]:.0%} of all receipts, before those of {largest.index[1]} "
        f"({largest.iloc[1]:.0%})."
        if _n_used(purchases) and len(mix) > 1
        else "The ages of the customers are not known."
    )
    with report_figure((6.4, 2.6)) as figure:
        axes = figure.subplots()
        bars = axes.bar(list(map(plain_text, mix.index)), 100 * mix.fillna(0), color="0.45")
        axes.bar_label(bars, fmt="%.0f%%", padding=2, fontsize="small")
        axes.set(xlabel="age group (years)", ylabel="share of receipts (%)")
    described = ", ".join(f"{name}: {share:.0%}" for name, share in mix.items())
    return Section(
        "customers",
        "Who the customers are",
        finding,
        [Picture.of_figure(figure, f"Bars of the share of each age group: {described}.")],
    )


def _differences(purchases: Purchases) -> Section:
    table = purchases.table
    sure = table[table["significant"]]
    if sure.empty:
        return Section(
            "differences",
            "What age groups buy more of",
            "Nothing was found that one age group plainly buys more of than others. There may be "
            f"too few receipts: {int(table['supported'].sum()):,} comparisons could be made.",
        )
    top = sure.sort_values("lift_low", ascending=False).iloc[0]
    finding = (
        f"{sure[purchases.by].nunique():,} {_plural(purchases.by)} are bought plainly more or less "
        f"by some age group. The largest difference: buyers aged {top['group']} have "
        f"{top[purchases.by]} on the receipt {_times(top['lift'])} as often as all buyers."
    )
    with report_figure((7.2, 1.6 + 0.24 * _N_THINGS)) as figure:
        purchases.plot_heatmap(_N_THINGS, figure.subplots())
    return Section(
        "differences",
        "What age groups buy more of",
        finding,
        [
            Picture.of_figure(
                figure,
                "A table in shades of how much more each age group buys of the "
                f"{_plural(purchases.by)} that groups differ most in; the same numbers are in the "
                "table of all differences.",
            ),
            Table(
                f"All {len(sure):,} differences",
                [purchases.by, "age group", "times as often", "range", "receipts"],
                [
                    (
                        str(row[purchases.by]),
                        str(row["group"]),
                        f"{row['lift']:.2f}",
                        f"{row['lift_low']:.2f}{_DASH}{row['lift_high']:.2f}",
                        f"{row['receipts']:,.0f}",
                    )
                    for row in sure.sort_values(["group", "lift"], ascending=[True, False]).to_dict(
                        "records"
                    )
                ],
                texts=(0, 1),
                folded=True,
            ),
        ],
    )


def _offers(purchases: Purchases, restricted: Collection[str]) -> Section:
    blocks: list[Picture | Table] = []
    rows, drawn = [], []
    allowed = ~purchases.table[purchases.by].isin(list(restricted))
    purchases = replace(purchases, table=purchases.table[allowed])
    for group in purchases.mix.index:
        best = purchases.offers(group, _N_OFFERS)
        best = best[best["significant"]]
        if len(best):
            drawn.append((group, best))
        for row in best.to_dict("records"):
            rows.append(
                (
                    str(row[purchases.by]),
                    str(group),
                    f"{row['lift']:.1f}",
                    f"{row['lift_low']:.1f}{_DASH}{row['lift_high']:.1f}",
                    f"{row['share']:.1%}",
                )
            )
    for group, best in drawn:
        with report_figure((6.4, 1.3 + 0.32 * max(len(best), 3))) as figure:
            axes = purchases.plot_offers(group, _N_OFFERS, figure.subplots())
            axes.set_title(f"{plain_text(group)} (dark: significant after correction)")
        described = "; ".join(
            f"{row[purchases.by]} {row['lift']:.1f} times as often"
            for row in best.to_dict("records")
        )
        blocks.append(Picture.of_figure(figure, f"What to offer to {group}: {described}."))
    if rows:
        blocks.append(
            Table(
                "What to offer to whom",
                [
                    purchases.by,
                    "age group",
                    "times as often as all buyers",
                    "range",
                    "share of the group's receipts",
                ],
                rows,
                texts=(0, 1),
            )
        )
    without = [name for name in purchases.mix.index if name not in {group for group, _ in drawn}]
    finding = (
        "For each age group, what it buys most plainly more of than others, without what everybody "
        "buys anyway."
        if rows
        else "Nothing stands out that could be offered to one age group."
    )
    if rows and without:
        finding += f" Nothing stands out for the age group {_join(without)}."
    if restricted:
        finding += " Restricted goods are offered to nobody."
    return Section("offers", "What to offer", finding, blocks)


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
        f"Of buyers under {policy.challenge_age:g}, about {whole['share_asked']:.0%} "
        f"({whole['share_asked_low']:.0%} to {whole['share_asked_high']:.0%}) were asked for a "
        f"card, in {len(table):,} sales."
    )
    required = table["required"]
    asked = table["id_checked"].fillna(False).astype(bool)
    rows = [
        (
            {"ask": "ask for a card", "sell": "sell", "cannot tell": "no usable face"}[name],
            f"{(required == name).sum():,}",
            f"{(asked & (required == name)).sum():,}",
        )
        for name in ("ask", "sell", "cannot tell")
    ]
    with report_figure((5.4, 5.0)) as figure:
        review.plot_checks(figure.subplots())
    return Section(
        "checks",
        "Alcohol: who was asked for a card",
        finding,
        [
            Table(
                "Sales of restricted goods", ["the rule, by the photo", "sales", "card asked"], rows
            ),
            Picture.of_figure(
                figure,
                "One point for each cashier: cards asked for, over those that colleagues would "
                "have asked for; the same numbers are in the table of all cashiers.",
            ),
        ],
    )


def _cashiers(review: CashierReview) -> Section:
    named = review.to_talk_to
    compared = int(review.table["p_value"].notna().sum())
    if not compared:
        return Section(
            "cashiers", "With whom to talk", "No cashier can be compared with colleagues."
        )
    if named.empty:
        finding = (
            f"With nobody on account of these figures: none of {compared} cashiers stands out from "
            "colleagues."
        )
    else:
        finding = (
            f"{len(named)} of {compared} cashiers asked buyers who look like minors plainly less "
            "often than colleagues would have: "
            f"{_join([str(name) for name in named['cashier']])}. This is a reason to talk and to "
            f"look closer, not a proof. Of cashiers on such lists, {review.fdr:.0%} are no "
            "different from their colleagues."
        )
    columns = [
        "cashier",
        "sales",
        "asked for a card",
        "colleagues would have",
        f"minors not asked beyond colleagues, with {review.coverage:.0%} range",
        "to talk to",
    ]
    rows = [
        (
            str(row.cashier),
            f"{row.sales:,}",
            f"{row.asked:,}",
            _number(row.colleagues_would_ask),
            f"{_number(row.excess_minors)} ({_number(row.excess_minors_low)} to "
            f"{_number(row.excess_minors_high)})",
            "yes" if row.talk_to else "",
        )
        for row in review.table.itertuples()
    ]
    with report_figure((6.4, 1.4 + 0.22 * min(compared, 30))) as figure:
        review.plot_excess(ax=figure.subplots())
    return Section(
        "cashiers",
        "With whom to talk",
        finding,
        [
            Picture.of_figure(
                figure,
                "For each cashier, how many more likely minors were not asked than colleagues "
                "would have had; the same numbers are in the table of all cashiers.",
            ),
            Table("All cashiers", columns, rows, folded=True),
        ],
    )


def _n_used(purchases: Purchases) -> int:
    counts = purchases.counts
    used = (counts["of"] == "receipts") & (counts["outcome"] == "used")
    return int(counts.loc[used, "rows"].sum())


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.0f}".replace("-0", "0")


def _times(lift: float) -> str:
    return "twice" if 1.95 <= lift < 2.05 else f"{lift:.1f} times"


def _plural(by: str) -> str:
    return {"product": "products", "category": "categories"}[by]


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
