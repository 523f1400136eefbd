"""The parts of a shop manager's page: plain words first, then figures, then how it was done."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ageboost._pages.blocks import Gallery, GalleryItem, Note, Picture, Section, Table
from ageboost._pages.figures import plain_text, report_figure
from ageboost._pages.thumbnails import make_thumbnails
from ageboost.retail._rates import clear_offers, excludes_one, widen_chosen
from ageboost.retail.cashiers import CashierReview
from ageboost.retail.counts import enumerate_words
from ageboost.retail.policy import AlcoholPolicy
from ageboost.retail.purchases import Purchases
from ageboost.retail.tables import ShopTables

__all__ = [
    "buyer_photos_section",
    "counts_section",
    "method_section",
    "purchase_sections",
    "report_facts",
]

_N_OFFERS = 5
_N_THINGS = 25
_N_FACES = 24
_N_STORES = 10
_DASH = "\N{EN DASH}"
_MORE_OF = "What age groups buy more of"


def report_facts(
    tables: ShopTables,
    purchases: Purchases,
    review: CashierReview | None,
    shop: str | None,
    model: str,
) -> list[tuple[str, str]]:
    """Say what the page is about: the shop, the period, the stores, the model, and how much.

    Parameters
    ----------
    tables : ShopTables
    purchases : Purchases
    review : CashierReview or None
    shop : str or None
        What the shop is called.
    model : str
        Its name.

    Returns
    -------
    list of (str, str)
    """
    receipts, significant = tables.receipts, _significant(purchases)
    clear = significant[significant["clear"]]
    facts = [
        ("shop", "not named" if shop is None else shop),
        ("period", _period(receipts)),
        ("stores", _stores(receipts)),
        ("model", model),
        ("receipts", f"{len(receipts):,}"),
        ("receipts with the age of the buyer", f"{_n_used(purchases):,}"),
        ("returning customers", "known" if purchases.customers_known else "not known"),
        (
            f"{_plural(purchases.by)} that some age group clearly buys more or less of",
            f"{clear[purchases.by].nunique():,}",
        ),
    ]
    if review is not None:
        facts.append(("cashiers to talk to", f"{len(review.to_talk_to):,}"))
    return facts


def _period(receipts: pd.DataFrame) -> str:
    times = receipts["time"].dropna() if "time" in receipts else pd.Series(dtype="datetime64[s]")
    if times.empty:
        return "not known: receipts have no time"
    return f"{times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}"


def _stores(receipts: pd.DataFrame) -> str:
    names = sorted(receipts["store"].dropna().unique()) if "store" in receipts else []
    if not names:
        return "not named"
    more = f" and {len(names) - _N_STORES} more" if len(names) > _N_STORES else ""
    return ", ".join(map(str, names[:_N_STORES])) + more


def purchase_sections(purchases: Purchases, restricted: Collection[str] = ()) -> list[Section]:
    """Write what to offer to customers, what they buy more of than others, and who they are.

    Parameters
    ----------
    purchases : Purchases
    restricted : collection of str, default=()
        Products or categories that are offered to nobody.

    Returns
    -------
    list of Section
    """
    return [_offers(purchases, restricted), _differences(purchases), _customers(purchases)]


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
        "Check whether the camera sees faces well: ages are unreliable if photos are dark, blurred "
        "or taken from the side."
        if items
        else "There is no photo to show.",
        [Gallery(f"{len(items)} buyers, chosen at random", items)] if items else [],
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
        "Nothing is left out silently: the rows of each table add up to what was given.",
        [Table("What happened to each row", ["table", "outcome", "rows"], rows, texts=(0, 1))],
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
        "Ages. The age of a buyer is estimated from a photo by the till's camera, with a range "
        f"that should contain the true age nine times in ten; its median width here is {width:.0f} "
        "years. No buyer is assigned to a single age group: a receipt counts for each group in "
        "proportion to the probability that the buyer belongs to it.",
        "Age groups. A model's probabilities are right for a population with the same mix of ages "
        "as its calibration photos. So the shop's own mix of ages is estimated first, and the "
        "probabilities are adapted to it. Since estimated ages have errors, what one group buys "
        "also shows up in neighbouring groups; this is corrected as far as the number of receipts "
        "allows.",
        "Chance. Hundreds of goods are compared in several groups, so some would differ by chance "
        "alone. The threshold is chosen so that, on average, at most one in twenty of the "
        "differences shown is false. Offers are ranked by the value that their lift exceeds with "
        "75 % confidence, and their ranges are wider because they were selected. How often these "
        "ranges contain the truth, and how many differences are false, was measured in simulated "
        'shops: "Do ages estimated from photos lead to the same offers as true ages?" in the '
        "documentation.",
    ]
    if policy is not None:
        notes += [
            "Checks. Cashiers are compared with their colleagues, at the same tills and the same "
            "hours, for buyers who look alike. A cashier sees the buyer and may know the person: "
            "not asking for a card is not a fault in itself. If customers are known, only the "
            "first sale of a cashier to each customer counts. Cashiers who ask buyers who look "
            "like minors less often than their colleagues do are listed; differences in how often "
            "careful people ask are allowed for. Nobody is listed for fewer than five sales "
            "without a check. Habits that all cashiers share cannot be found in this way. How "
            "many names on these lists are false was measured in simulated chains of shops: "
            '"Which cashiers to talk to" in the documentation.',
            f"The rule. Nobody under {policy.legal_age:g} may buy "
            f"{', '.join([*policy.categories, *policy.products])}; whoever looks younger "
            f"than {policy.challenge_age:g} is to be asked for a card.",
        ]
    notes.append(
        "Limits. Unless the model was calibrated or adapted here, its errors were measured on "
        "photos from elsewhere. Light, lenses and people differ: a few hundred photos of buyers "
        "with known ages correct this (ageboost adapt). Errors also differ between groups of "
        "people: see the card of the model. Where the law requires an identity card, an estimate "
        "does not replace it."
    )
    return Section(
        "method",
        "How this was worked out, and its limits",
        "For those who want to check it.",
        [Note(note) for note in notes],
    )


def _offers(purchases: Purchases, restricted: Collection[str]) -> Section:
    by = purchases.by
    rows, pictures, without = [], [], []
    allowed = ~purchases.table[by].isin(list(restricted))
    purchases = replace(purchases, table=purchases.table[allowed])
    for group in purchases.mix.index:
        best = purchases.offers(group, _N_OFFERS)
        clear = best[clear_offers(best)]
        if clear.empty:
            if group not in purchases.minors:
                without.append(group)
            continue
        rows += [
            (
                str(row[by]),
                str(group),
                f"{row['lift']:.2f}",
                f"{row['offer_low']:.2f}{_DASH}{row['offer_high']:.2f}",
                f"{row['share']:.1%}",
            )
            for row in clear.to_dict("records")
        ]
        with report_figure((6.4, 1.5 + 0.32 * max(len(best), 3))) as figure:
            axes = purchases.plot_offers(group, _N_OFFERS, figure.subplots())
            axes.set_title(f"{plain_text(group)} ({axes.get_title()})")
        described = "; ".join(
            f"{row[by]} {row['lift']:.1f} times as often" for row in clear.to_dict("records")
        )
        pictures.append(Picture.of_figure(figure, f"What to offer to {group}: {described}."))
    finding = (
        "For each age group, what it most clearly buys more often than others, without what "
        "everybody buys anyway."
        if rows
        else "Nothing stands out clearly that could be offered to a particular age group."
    )
    if rows and without:
        plural = "s" if len(without) > 1 else ""
        finding += (
            f" Nothing stands out clearly for the age group{plural} {enumerate_words(without)}."
        )
    if purchases.minors:
        finding += " Nothing is offered to minors."
    if restricted:
        finding += " Restricted goods are offered to nobody."
    if not rows:
        return Section("offers", "What to offer", finding)
    return Section(
        "offers",
        "What to offer",
        finding,
        [
            Note(
                f"Ranges are {purchases.coverage:.0%} intervals, widened because the best of many "
                "were chosen. What is not significant, or has a range that includes 1 (as often as "
                "all buyers), is not offered; the figures show it as light bars."
            ),
            Table(
                "What to offer to whom",
                [
                    by,
                    "age group",
                    "times as often as all buyers",
                    "range",
                    "share of the group's receipts",
                ],
                rows,
                texts=(0, 1),
            ),
            *pictures,
        ],
    )


def _differences(purchases: Purchases) -> Section:
    by, n_compared = purchases.by, int(purchases.table["supported"].sum())
    chosen = _significant(purchases)
    clear, unclear = chosen[chosen["clear"]], chosen[~chosen["clear"]]
    few = f"There may be too few receipts: {n_compared:,} comparisons could be made."
    if clear.empty:
        finding = (
            f"No {by} was found that one age group clearly buys more or less often than others. "
            f"{few}"
        )
    else:
        top = clear.sort_values("low", ascending=False).iloc[0]
        finding = (
            f"{_count_of(clear[by].nunique(), by)} bought clearly more or less often by some age "
            f"group. {purchases.promise} The largest clear difference: buyers aged {top['group']} "
            f"have {top[by]} on the receipt {top['low']:.1f} to {top['high']:.1f} times as often "
            "as all buyers."
        )
    if chosen.empty:
        return Section("differences", _MORE_OF, finding)
    with report_figure((7.2, 1.6 + 0.24 * _N_THINGS)) as figure:
        purchases.plot_heatmap(_N_THINGS, figure.subplots())
    blocks: list[Picture | Table | Note] = [
        Picture.of_figure(
            figure,
            "A heat map of how much more often each age group buys the "
            f"{_plural(by)} in which groups differ most; significant differences are in the "
            "tables below.",
        )
    ]
    ranges = (
        f"Ranges are {purchases.coverage:.0%} intervals, widened because {len(chosen):,} "
        f"differences were chosen from {n_compared:,} comparisons for being significant"
    )
    if len(clear):
        blocks += [
            Note(
                f"{ranges}. Clear ones are those whose range excludes 1, which is as often as all "
                "buyers."
            ),
            _table_of(clear, by, f"All {len(clear):,} clear differences"),
        ]
    if len(unclear):
        blocks += [
            Note(
                f"{'These ranges' if len(clear) else ranges + ', and'} include 1 although a test "
                "finds a difference: they also allow for errors in the calibration and in the "
                "shop's mix of ages, and are wide where a group hardly buys a thing at all. So it "
                "is not known how large these differences are."
            ),
            _table_of(unclear, by, f"All {len(unclear):,} differences of unclear size"),
        ]
    return Section("differences", _MORE_OF, finding, blocks)


def _significant(purchases: Purchases) -> pd.DataFrame:
    """Find significant differences, with ranges that allow for their choice, and which are clear.

    A test of an equal share and a range of its ratio need not agree, least of all where a group
    hardly buys a thing: only what both say is called clear.
    """
    table = purchases.table
    chosen = table[table["significant"]]
    low, high = widen_chosen(chosen, purchases.coverage, int(table["supported"].sum()))
    return chosen.assign(low=low, high=high, clear=excludes_one(low, high))


def _table_of(rows: pd.DataFrame, by: str, caption: str) -> Table:
    return Table(
        caption,
        [by, "age group", "times as often as all buyers", "range", "receipts"],
        [
            (
                str(row[by]),
                str(row["group"]),
                f"{row['lift']:.2f}",
                f"{row['low']:.2f}{_DASH}{row['high']:.2f}",
                f"{row['receipts']:,.0f}",
            )
            for row in rows.sort_values(["group", "lift"], ascending=[True, False]).to_dict(
                "records"
            )
        ],
        texts=(0, 1),
        folded=True,
    )


def _customers(purchases: Purchases) -> Section:
    mix = purchases.mix
    known = bool(_n_used(purchases)) and len(mix) > 1
    finding = _largest_group(purchases) if known else "The ages of the customers are not known."
    with report_figure((6.4, 2.6)) as figure:
        axes = figure.subplots()
        low, high = purchases.mix_interval["low"], purchases.mix_interval["high"]
        reach = 100 * np.array([mix - low, high - mix]).clip(0)
        axes.bar(
            list(map(plain_text, mix.index)),
            100 * mix.fillna(0),
            yerr=np.nan_to_num(reach),
            color="0.75",
            capsize=3,
        )
        axes.set(xlabel="age group (years)", ylabel="share of receipts (%)")
    described = ", ".join(
        f"{name}: {_span(purchases, name) or f'{share:.0%}'}" for name, share in mix.items()
    )
    return Section(
        "customers",
        "Who the customers are",
        finding,
        [Picture.of_figure(figure, f"Bars of the share of each age group: {described}.")],
    )


def _largest_group(purchases: Purchases) -> str:
    """Name the largest group, where it is known to be that."""
    mix, low = purchases.mix, purchases.mix_interval["low"]
    largest = mix.sort_values(ascending=False).index[:2]
    shares = f"{_span(purchases, largest[0]) or f'{mix[largest[0]]:.0%}'} of all receipts"
    if low[largest[0]] > purchases.mix_interval["high"].drop(largest[0]).max():
        return f"The largest group is {largest[0]} years, with {shares}."
    return (
        f"It is not certain which group is the largest: perhaps {largest[0]} years, with "
        f"{shares}, or {largest[1]} years, with "
        f"{_span(purchases, largest[1]) or f'{mix[largest[1]]:.0%}'}."
    )


def _span(purchases: Purchases, group: str) -> str:
    low, high = purchases.mix_interval.loc[group, ["low", "high"]]
    return "" if np.isnan(low) else f"{low:.0%} to {high:.0%}"


def _n_used(purchases: Purchases) -> int:
    counts = purchases.counts
    used = (counts["of"] == "receipts") & (counts["outcome"] == "used")
    return int(counts.loc[used, "rows"].sum())


def _plural(by: str) -> str:
    return {"product": "products", "category": "categories"}[by]


def _count_of(n: int, by: str) -> str:
    return f"1 {by} is" if n == 1 else f"{n:,} {_plural(by)} are"
