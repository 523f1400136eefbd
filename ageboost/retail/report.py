"""One page for the manager of a shop: who buys what, and whether alcohol is sold with care."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from ageboost._pages.blocks import import_report_packages
from ageboost._pages.page import Page, render_page
from ageboost.models import AgeCalibrator, AgeEstimator, BorrowedCalibrator
from ageboost.retail._joins import customers_of
from ageboost.retail._origin import (
    camera_of,
    find_calibration,
    find_shipped_model,
    name_model,
    origin_of,
)
from ageboost.retail._shop_mix import say_known_before
from ageboost.retail.cashier_sections import cashier_sections
from ageboost.retail.cashiers import CashierReview, review_cashiers
from ageboost.retail.customers import Customers, Part, customers_together
from ageboost.retail.groups import AgeGroups
from ageboost.retail.looks import ReviewPeriod
from ageboost.retail.policy import AlcoholPolicy
from ageboost.retail.purchases import Purchases, purchases_by_age_group
from ageboost.retail.report_sections import (
    buyer_photos_section,
    counts_section,
    method_section,
    purchase_sections,
    report_facts,
)
from ageboost.retail.sales import AlcoholSales, alcohol_sales
from ageboost.retail.tables import Source, read_shop, read_table
from ageboost.retail.visit_sections import visit_sections

__all__ = ["RetailReport", "make_retail_report"]

_WITHOUT_PHOTOS = (
    "It contains no photos and no rows about fewer than ten receipts or three customers. Cashiers "
    "appear as letters unless their names were asked for, which are personal data."
)
_WITH_PHOTOS = (
    "It shows faces, and names of cashiers if these were asked for. Both are personal data: "
    "protect the page as you would the photos, and delete it with them."
)
_WARNINGS = [
    "Ages here are estimates from photos, and every estimate can be wrong. Sums over many buyers "
    "allow for this, because the error is known; a single estimate proves nothing."
]


@dataclass(frozen=True, repr=False)
class RetailReport(Page):
    """A page for the manager of a shop, and what it was written from.

    Attributes
    ----------
    html : str
        The page: styles and figures are inside.
    purchases : Purchases
    sales : AlcoholSales or None
        None where no policy was given.
    review : CashierReview or None

    See Also
    --------
    make_retail_report : Write one.
    """

    purchases: Purchases = field(compare=False)
    sales: AlcoholSales | None = field(compare=False)
    review: CashierReview | None = field(compare=False)

    def __repr__(self) -> str:
        n_receipts = self.purchases.counts.query("of == 'receipts'")["rows"].sum()
        return f"RetailReport of {n_receipts:,} receipts: save(path) writes the page"


def make_retail_report(
    receipts: Source,
    lines: Source,
    buyers: Source,
    model: AgeEstimator | AgeCalibrator | None = None,
    *,
    policy: AlcoholPolicy | None = None,
    groups: AgeGroups | None = None,
    by: str = "product",
    title: str = "Who buys what",
    shop: str | None = None,
    photos: bool = False,
    names: bool = False,
    period: ReviewPeriod | None = None,
    cashiers_move: bool = False,
    name_at_foreign_camera: bool = False,
    counts: pd.DataFrame | None = None,
) -> RetailReport:
    """Write a page about what age groups buy and, with a policy, about sales of alcohol.

    What to act on comes first: offers, then the cashiers to talk to. What they stand on follows,
    then the method and its limits.

    Parameters
    ----------
    receipts : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As for :func:`read_table`; a policy needs ``cashier`` and ``id_checked``.
    lines : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As for :func:`read_table`.
    buyers : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As :func:`estimate_buyers` gives it.
    model : AgeEstimator or AgeCalibrator, optional
        The one that estimated the ages, or its ``calibration_``. By default it is looked for among
        the models that ship.
    policy : AlcoholPolicy, optional
        Without one, nothing is said about alcohol and cashiers.
    groups : AgeGroups, optional
        By default ``AgeGroups()``.
    by : {"product", "category"}, default="product"
        What age groups are compared by.
    title : str, default="Who buys what"
    shop : str, optional
        What the shop is called. The page begins with it, the period, the stores, the model and its
        terms.
    photos : bool, default=False
        Whether the page may show faces of some buyers, with their estimated ages.
    names : bool, default=False
        Whether the page may name the cashiers to talk to. Otherwise they are letters, in the order
        of ``review.to_talk_to``.
    period : ReviewPeriod, optional
        As for :func:`review_cashiers`.
    cashiers_move : bool, default=False
        As for :func:`review_cashiers`.
    name_at_foreign_camera : bool, default=False
        As for :func:`review_cashiers`.
    counts : DataFrame, optional
        What became of rows before, as :func:`read_shop` and :func:`match_photos` count them. It
        takes the place of what is counted when ``receipts`` and ``lines`` are read here.

    Returns
    -------
    RetailReport

    Raises
    ------
    ImportError
        If Jinja2 or matplotlib is not installed.
    RetailDataError
        If a column is missing, a cell cannot be read, or the ages were estimated by another model.
    ValueError
        If none of the lines is restricted by the policy, or the model does not know how far its
        ages are off.

    Examples
    --------
    >>> import ageboost
    >>> from ageboost.datasets import make_shop
    >>> from ageboost.retail import make_retail_report, simulate_buyers
    >>> shop, model = make_shop(2000, random_state=0), ageboost.load_pretrained("fast")
    >>> buyers = simulate_buyers(shop.truth, model, random_state=0)
    >>> make_retail_report(shop.receipts, shop.lines, buyers, model, by="category")
    RetailReport of 2,000 receipts: save(path) writes the page
    """
    import_report_packages()
    tables = read_shop(receipts, lines)
    buyers = read_table(buyers, "buyers")
    origin = origin_of(buyers)
    calibration = find_calibration(origin, model)
    groups = AgeGroups() if groups is None else groups
    purchases = purchases_by_age_group(
        tables.lines,
        buyers,
        groups,
        by=by,  # type: ignore[arg-type]
        calibration=calibration,
        customers=customers_of(buyers, tables.receipts),
    )
    sales = review = None
    if policy is not None:
        sales = alcohol_sales(tables.receipts, tables.lines, buyers, policy)
        review = review_cashiers(
            sales,
            policy,
            calibration,
            period=period,
            cashiers_move=cashiers_move,
            name_at_foreign_camera=name_at_foreign_camera,
        )
    restricted = () if policy is None else tables.lines.loc[policy.restricted(tables.lines), by]
    # What a manager acts on comes first.
    sections = purchase_sections(purchases, set(restricted))
    sections += visit_sections(_visits(tables.receipts, buyers, groups, calibration))
    if sales is not None and review is not None:
        sections[1:1] = cashier_sections(sales, review, names)
    if photos:
        sections.append(buyer_photos_section(buyers))
    parts = [tables.counts if counts is None else counts, purchases.counts]
    parts += [part.counts for part in (sales, review) if part is not None]
    sections.append(counts_section(parts))
    sections.append(method_section(buyers, policy))
    named = model or find_shipped_model(origin)
    page = render_page(
        title if shop is None else f"{shop}: {title}",
        sections=sections,
        facts=report_facts(tables, purchases, review, shop, name_model(origin)),
        privacy=_WITH_PHOTOS if photos else _WITHOUT_PHOTOS,
        warnings=[
            *_WARNINGS,
            *_about_camera(camera_of(buyers)),
            *_about_model(named, calibration),
            *filter(None, [say_known_before(purchases.known_before)]),
        ],
        photos=photos,
    )
    return RetailReport(page, purchases, sales, review)


def _visits(
    receipts: pd.DataFrame, buyers: pd.DataFrame, groups: AgeGroups, calibration: AgeCalibrator
) -> list[Customers]:
    """Count customers by hour, weekday and store, where receipts say these."""
    kinds: list[list[Part]] = []
    if "time" in receipts and receipts["time"].notna().any():
        kinds += [["hour"], ["weekday"]]
    if "store" in receipts and len(receipts["store"].dropna().unique()) > 1:
        kinds.append(["store"])
    if not kinds:
        return []
    return customers_together(receipts, buyers, groups, kinds, calibration=calibration)


def _about_camera(camera: str | None) -> list[str]:
    if camera != "foreign":
        return []
    return [
        "The photos do not look like those that the model knows, so its ages may all be off in one "
        "direction: adapt it with photos of this camera before anything follows from this page."
    ]


def _about_model(
    model: AgeEstimator | AgeCalibrator | None, calibration: AgeCalibrator
) -> list[str]:
    """Say on what terms the ages may be used, and whether their errors were measured at all."""
    if not isinstance(model, AgeEstimator):
        said = ["On what terms the model may be used that estimated the ages is not known here."]
    else:
        said = [f"Terms of the model that estimated the ages: {model.terms.summary}"]
    if isinstance(calibration, BorrowedCalibrator):
        said.append(
            "This model was never tried on photos of this shop: how far its ages are off is "
            "borrowed from photos of adults elsewhere, with an allowance. Adapt it with photos "
            "of your own, of minors as well, before anything follows from this page."
        )
    return said
