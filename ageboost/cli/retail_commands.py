"""The two jobs of the shop: baskets, alcohol, report, check."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ageboost.cli._clocks import clock_options, read_offsets
from ageboost.cli._retail_options import (
    TABLE_HELP,
    BuyersOption,
    By,
    ByOption,
    CashiersMoveOption,
    ChallengeAgeOption,
    ClockOffsetOption,
    ColumnOption,
    DayFirstOption,
    DecimalOption,
    EdgesOption,
    EncodingOption,
    LegalAgeOption,
    LinesArgument,
    PeriodOption,
    PhotosOption,
    ReceiptsArgument,
    RestrictedOption,
    SaveBuyersOption,
    SinceOption,
    ToleranceOption,
    UntilOption,
)
from ageboost.cli._shared import (
    EXIT_SOME_WITHOUT_AGE,
    CacheOption,
    JobsOption,
    MaxSideOption,
    ModelOption,
    check_apart,
    check_suffix,
    check_table_path,
    load_model,
    look_with,
    refuse,
    refuse_errors,
    replace_table,
    spinner,
    writing,
)

if TYPE_CHECKING:
    import pandas as pd

    from ageboost.models import AgeCalibrator
    from ageboost.retail import AgeGroups, AlcoholPolicy, ReviewPeriod, ShopTables

app = typer.Typer(
    help="What each age group buys, and whether alcohol is sold with care.", no_args_is_help=True
)

T = TypeVar("T")

# Probabilities and p-values are small, sums of money are large.
_FLOAT_FORMAT = "%.10g"


@app.command()
def baskets(
    receipts: ReceiptsArgument,
    lines: LinesArgument = None,
    photos: PhotosOption = None,
    buyers: BuyersOption = None,
    save_buyers: SaveBuyersOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"{TABLE_HELP} for all comparisons.")
    ] = None,
    by: ByOption = By.PRODUCT,
    offers: Annotated[int, typer.Option(min=0, help="Offers to print for each group.")] = 5,
    offers_to_minors: Annotated[
        bool, typer.Option("--offers-to-minors", help="Print offers for groups of minors as well.")
    ] = False,
    groups: EdgesOption = None,
    column: ColumnOption = None,
    day_first: DayFirstOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    tolerance: ToleranceOption = "60s",
    clock_offset: ClockOffsetOption = None,
    model: ModelOption = None,
    max_side: MaxSideOption = None,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Find what each age group buys more of than others, and what to offer it."""
    from ageboost.retail import purchases_by_age_group
    from ageboost.retail._joins import customers_of

    inputs = {"RECEIPTS": receipts, "LINES": lines, "--photos": photos, "--buyers": buyers}
    _check_outputs({"--out": out, "--save-buyers": save_buyers}, inputs)
    age_groups = _read_groups(groups)
    reading = _Reading(column, day_first, decimal, encoding)
    shop = _read_shop(receipts, lines, photos, reading)
    people, fitting, _ = _find_buyers(
        *(shop, buyers, save_buyers, reading, model, age_groups, ()),
        *(tolerance, clock_offset, max_side, jobs, cache),
    )
    found = _refuse_errors(
        lambda: purchases_by_age_group(
            shop.lines,
            people,
            age_groups,
            by=by.value,  # type: ignore[arg-type]
            calibration=fitting,
            customers=customers_of(people, shop.receipts),
        )
    )
    typer.echo(str(found))
    for group in found.mix.index:
        if group in found.minors and not offers_to_minors:
            continue
        best = found.offers(group, offers, minors=offers_to_minors)
        best = best[best["significant"]]
        named = ", ".join(
            f"{row[by.value]} ({row['lift']:.1f} times as often, {row['offer_low']:.1f} to "
            f"{row['offer_high']:.1f})"
            for row in best.to_dict("records")
        )
        typer.echo(f"{group}: {named or 'nothing stands out'}")
    if out is not None:
        _write(found.table, out)


@app.command()
def alcohol(
    receipts: ReceiptsArgument,
    lines: LinesArgument = None,
    restricted: RestrictedOption = None,
    photos: PhotosOption = None,
    buyers: BuyersOption = None,
    save_buyers: SaveBuyersOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"{TABLE_HELP} for the cashiers.")
    ] = None,
    sales_out: Annotated[
        Path | None, typer.Option(help=f"{TABLE_HELP} for the sales. It is personal data.")
    ] = None,
    legal_age: LegalAgeOption = 18,
    challenge_age: ChallengeAgeOption = 25,
    fdr: Annotated[
        float,
        typer.Option(min=0.001, max=0.5, help="Share of those named who are like colleagues."),
    ] = 0.05,
    period: PeriodOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    cashiers_move: CashiersMoveOption = False,
    column: ColumnOption = None,
    day_first: DayFirstOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    tolerance: ToleranceOption = "60s",
    clock_offset: ClockOffsetOption = None,
    model: ModelOption = None,
    max_side: MaxSideOption = None,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Report how often buyers of alcohol were asked for identity, and which cashiers to talk to."""
    from ageboost.retail import alcohol_sales, review_cashiers

    inputs = {"RECEIPTS": receipts, "LINES": lines, "--photos": photos, "--buyers": buyers}
    outputs = {"--out": out, "--sales-out": sales_out, "--save-buyers": save_buyers}
    _check_outputs(outputs, inputs)
    policy = _read_policy(restricted, legal_age, challenge_age)
    if policy is None:
        refuse("say what is restricted: --restricted beer --restricted wine")
    looks = _read_period(period, since, until)
    reading = _Reading(column, day_first, decimal, encoding)
    shop = _read_shop(receipts, lines, photos, reading)
    people, fitting, _ = _find_buyers(
        *(shop, buyers, save_buyers, reading, model, None, (legal_age, challenge_age)),
        *(tolerance, clock_offset, max_side, jobs, cache),
    )
    sales = _refuse_errors(lambda: alcohol_sales(shop.receipts, shop.lines, people, policy))
    review = refuse_errors(
        lambda: review_cashiers(
            sales, policy, fitting, fdr=fdr, period=looks, cashiers_move=cashiers_move
        )
    )
    typer.echo(f"{sales}\n{review}")
    if out is not None:
        _write(review.table, out)
    if sales_out is not None:
        _write(sales.table, sales_out)


@app.command()
def report(
    receipts: ReceiptsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")],
    lines: LinesArgument = None,
    photos: PhotosOption = None,
    buyers: BuyersOption = None,
    save_buyers: SaveBuyersOption = None,
    restricted: RestrictedOption = None,
    legal_age: LegalAgeOption = 18,
    challenge_age: ChallengeAgeOption = 25,
    by: ByOption = By.PRODUCT,
    groups: EdgesOption = None,
    shop_name: Annotated[
        str | None, typer.Option("--shop", help="What the shop is called on the page.")
    ] = None,
    show_faces: Annotated[
        bool, typer.Option("--show-faces", help="Show some buyers. It is personal data then.")
    ] = False,
    names: Annotated[
        bool, typer.Option("--names", help="Name cashiers, in place of letters. See privacy.md.")
    ] = False,
    period: PeriodOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    cashiers_move: CashiersMoveOption = False,
    column: ColumnOption = None,
    day_first: DayFirstOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    tolerance: ToleranceOption = "60s",
    clock_offset: ClockOffsetOption = None,
    model: ModelOption = None,
    max_side: MaxSideOption = None,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Write a page for a shop's manager: who buys what and, with --restricted, about alcohol."""
    from ageboost._pages.blocks import import_report_packages
    from ageboost.retail import make_retail_report

    check_suffix(out, (".html", ".htm"), "the page")
    inputs = {"RECEIPTS": receipts, "LINES": lines, "--photos": photos, "--buyers": buyers}
    _check_outputs({"--save-buyers": save_buyers}, inputs)
    check_apart({"--out": out, "--save-buyers": save_buyers}, inputs)
    refuse_errors(import_report_packages)
    age_groups = _read_groups(groups)
    policy = _read_policy(restricted, legal_age, challenge_age)
    looks = _read_period(period, since, until)
    reading = _Reading(column, day_first, decimal, encoding)
    shop = _read_shop(receipts, lines, photos, reading)
    ages = () if policy is None else (legal_age, challenge_age)
    people, fitting, counts = _find_buyers(
        *(shop, buyers, save_buyers, reading, model, age_groups, ages),
        *(tolerance, clock_offset, max_side, jobs, cache),
    )
    made = _refuse_errors(
        lambda: make_retail_report(
            shop.receipts,
            shop.lines,
            people,
            fitting,
            policy=policy,
            groups=age_groups,
            by=by.value,
            photos=show_faces,
            names=names,
            shop=shop_name,
            period=looks,
            cashiers_move=cashiers_move,
            counts=counts,
        )
    )
    with writing(out):
        made.save(out)
    typer.echo(f"{out}: {len(shop.receipts):,} receipts")


@app.command()
def check(
    photo: Annotated[Path, typer.Argument(help="The photo of a buyer.")],
    legal_age: LegalAgeOption = 18,
    challenge_age: ChallengeAgeOption = 25,
    certainty: Annotated[
        float | None,
        typer.Option(help="Ask by probability of legal age below this, not by challenge age."),
    ] = None,
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="A saved model, or accurate, fast, classical or open."),
    ] = "fast",
) -> None:
    """Say sell, ask or cannot tell, and why. It is advice to a cashier, who sees the buyer."""
    from ageboost import retail

    policy = refuse_errors(
        lambda: retail.AlcoholPolicy(legal_age, challenge_age, certainty=certainty)
    )
    answer = refuse_errors(lambda: retail.check(photo, policy, load_model(model)))
    typer.echo(str(answer))
    if answer.answer == "cannot tell":
        raise typer.Exit(EXIT_SOME_WITHOUT_AGE)


def _check_outputs(outputs: dict[str, Path | None], inputs: dict[str, Path | None]) -> None:
    for path in filter(None, outputs.values()):
        check_table_path(path)
    check_apart(outputs, inputs)


def _read_groups(edges: str | None) -> AgeGroups:
    from ageboost.retail import AgeGroups

    if edges is None:
        return AgeGroups()
    try:
        return AgeGroups([int(edge) for edge in edges.split(",")])
    except ValueError as error:
        refuse(f"--groups {edges}: {error}")


def _read_policy(
    restricted: list[str] | None, legal_age: float, challenge_age: float
) -> AlcoholPolicy | None:
    from ageboost.retail import AlcoholPolicy

    if not restricted:
        return None
    return refuse_errors(lambda: AlcoholPolicy(legal_age, challenge_age, categories=restricted))


def _read_period(path: Path | None, since: str | None, until: str | None) -> ReviewPeriod | None:
    from ageboost.retail import ReviewPeriod

    if path is None:
        if since or until:
            refuse("--from and --to are of a period: name its file with --period")
        return None
    check_suffix(path, (".json",), "the file of looks")
    return refuse_errors(lambda: ReviewPeriod(path, since, until))


@dataclass(frozen=True)
class _Reading:
    """How tables are to be read."""

    columns: list[str] | None
    day_first: bool | None
    decimal: str | None
    encoding: str | None

    def names(self) -> dict[str, str]:
        names = {}
        for pair in self.columns or ():
            theirs, equals, ours = pair.rpartition("=")
            if not equals:
                refuse(f"--column {pair}: write it as NAME_THERE=NAME_HERE")
            names[theirs] = ours
        return names

    def cells(self) -> dict[str, Any]:
        if self.decimal not in (None, ".", ","):
            refuse(f"--decimal {self.decimal}: write a dot or a comma")
        return {"decimal": self.decimal, "encoding": self.encoding}


def _refuse_errors(call: Callable[[], T]) -> T:
    """Refuse what cannot be used; columns that are not read have been named already."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the column .* is not read")
        return refuse_errors(call)


def _write(table: pd.DataFrame, path: Path) -> None:
    """Write a table; what has no bound is missing, since few programs read "inf"."""
    with writing(path):
        replace_table(table.replace([math.inf, -math.inf], math.nan), path, _FLOAT_FORMAT)


def _read_shop(
    receipts: Path, lines: Path | None, photos: Path | None, reading: _Reading
) -> ShopTables:
    from ageboost.retail import read_shop

    names, options = reading.names(), reading.cells() | {"day_first": reading.day_first}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        shop = refuse_errors(lambda: read_shop(receipts, lines, photos, names, **options))
    for warning in caught:
        typer.echo(f"ageboost: {warning.message}", err=True)
    typer.echo(str(shop))
    return shop


def _find_buyers(
    shop: ShopTables,
    known: Path | None,
    keep: Path | None,
    reading: _Reading,
    model: str | None,
    groups: AgeGroups | None,
    ages: tuple[float, ...],
    tolerance: str,
    clock_offsets: list[str] | None,
    max_side: int | None,
    jobs: int,
    cache: Path | None,
) -> tuple[pd.DataFrame, AgeCalibrator, pd.DataFrame]:
    """Look at the photos, or take what was kept of them; count what became of all that was read.

    With the ages comes the calibration of the model that estimated them.
    """
    import pandas as pd

    from ageboost.models.calibration import calibration_of
    from ageboost.retail import DEFAULT_AGES, describe_counts, estimate_buyers, match_photos

    if (known is None) == (shop.photos is None):
        refuse("pass --photos, or --buyers that were estimated before")
    if known is not None:
        people, fitting = _refuse_errors(lambda: _read_buyers(known, shop, reading, model))
        return people, fitting, shop.counts
    photos = shop.photos
    assert photos is not None
    estimator = look_with(load_model(model), max_side)
    fitting = refuse_errors(lambda: calibration_of(estimator))
    offsets = read_offsets(clock_offsets, shop.receipts)
    matched = _refuse_errors(lambda: match_photos(photos, shop.receipts, tolerance, offsets))
    clocks = matched.describe_clocks()
    typer.echo("\n".join([describe_counts(matched.counts), *clocks]))
    if clocks:
        typer.echo(f"To set them right, pass {clock_options(matched.clock_offsets)}")
    if len(photos) and len(shop.receipts) and matched.table["receipt_id"].isna().all():
        refuse("no photo belongs to a receipt: set the clocks right")
    with spinner(f"Looking at {len(photos)} photos"):
        buyers = _refuse_errors(
            lambda: estimate_buyers(
                matched,
                shop.receipts,
                estimator,
                groups,
                ages=(*DEFAULT_AGES, *ages),
                cache=cache,
                n_jobs=jobs,
            )
        )
    if keep is not None:
        _write(buyers, keep)
    return buyers, fitting, pd.concat([shop.counts, matched.counts], ignore_index=True)


def _read_buyers(
    path: Path, shop: ShopTables, reading: _Reading, model: str | None
) -> tuple[pd.DataFrame, AgeCalibrator]:
    from ageboost.retail import read_table
    from ageboost.retail._joins import check_join
    from ageboost.retail._origin import find_calibration, origin_of

    people = read_table(path, "buyers", **reading.cells())
    check_join(people["receipt_id"], shop.receipts["receipt_id"], "buyers", "receipts")
    return people, find_calibration(origin_of(people), None if model is None else load_model(model))
