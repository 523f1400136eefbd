"""The two jobs of the shop: baskets, alcohol, report, check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ageboost.cli._age_weights import AgeWeightsOption, read_age_weights
from ageboost.cli._figures import FIGURE_SUFFIXES, save_figure
from ageboost.cli._retail_options import (
    TABLE_HELP,
    AppendOption,
    BuyersOption,
    BuyersQueryOption,
    By,
    ByOption,
    CashiersMoveOption,
    ChallengeAgeOption,
    ClockOffsetOption,
    ColumnOption,
    DatabaseOption,
    DayFirstOption,
    DecimalOption,
    EdgesOption,
    EncodingOption,
    LegalAgeOption,
    LinesArgument,
    LinesQueryOption,
    NameAtForeignCameraOption,
    Part,
    PeriodOption,
    PhotosOption,
    PhotosQueryOption,
    ReceiptsArgument,
    ReceiptsQueryOption,
    RestrictedOption,
    SaveBuyersOption,
    SinceOption,
    TableOption,
    ToDatabaseOption,
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
    load_model,
    refuse,
    refuse_errors,
    writing,
)
from ageboost.cli._shop_tables import (
    Output,
    Reading,
    Tables,
    check_outputs,
    find_buyers,
    read_tables,
    refuse_table_errors,
    write_result,
)

if TYPE_CHECKING:
    from ageboost.retail import AgeGroups, AlcoholPolicy, ReviewPeriod

app = typer.Typer(
    help="What each age group buys, and whether alcohol is sold responsibly.", no_args_is_help=True
)


@app.command()
def baskets(
    receipts: ReceiptsArgument = None,
    lines: LinesArgument = None,
    photos: PhotosOption = None,
    buyers: BuyersOption = None,
    save_buyers: SaveBuyersOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"{TABLE_HELP} for all comparisons.")
    ] = None,
    to_database: ToDatabaseOption = None,
    table: TableOption = None,
    append: AppendOption = False,
    by: ByOption = By.PRODUCT,
    offers: Annotated[int, typer.Option(min=0, help="Offers to print for each group.")] = 5,
    offers_to_minors: Annotated[
        bool, typer.Option("--offers-to-minors", help="Print offers for groups of minors as well.")
    ] = False,
    groups: EdgesOption = None,
    database: DatabaseOption = None,
    receipts_query: ReceiptsQueryOption = None,
    lines_query: LinesQueryOption = None,
    photos_query: PhotosQueryOption = None,
    buyers_query: BuyersQueryOption = None,
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
    """Find what each age group buys more often than others, and what to offer it."""
    from ageboost.retail import purchases_by_age_group
    from ageboost.retail._joins import customers_of
    from ageboost.retail._rates import clear_offers

    inputs = {"RECEIPTS": receipts, "LINES": lines, "--photos": photos, "--buyers": buyers}
    check_outputs({"--out": out, "--save-buyers": save_buyers}, inputs)
    output = Output.choose(out, to_database, table, append, database)
    age_groups = _read_groups(groups)
    tables = Tables.choose(
        database,
        receipts=(receipts, receipts_query),
        lines=(lines, lines_query),
        photos=(photos, photos_query),
        buyers=(buyers, buyers_query),
    )
    reading = Reading(column, day_first, decimal, encoding, tables)
    shop = read_tables(reading)
    people, fitting, _, _ = find_buyers(
        *(shop, save_buyers, reading, model, age_groups, ()),
        *(tolerance, clock_offset, max_side, jobs, cache),
    )
    found = refuse_table_errors(
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
    typer.echo(
        f"What each age group clearly buys more often than all buyers, with {found.coverage:.0%} "
        "intervals, widened because the best of many were chosen:"
    )
    for group in found.mix.index:
        if group in found.minors and not offers_to_minors:
            continue
        best = found.offers(group, offers, minors=offers_to_minors)
        best = best[clear_offers(best)]
        named = ", ".join(
            f"{row[by.value]} ({row['lift']:.2f} times as often, {row['offer_low']:.2f} to "
            f"{row['offer_high']:.2f})"
            for row in best.to_dict("records")
        )
        typer.echo(f"{group}: {named or 'nothing stands out'}")
    output.write(found.table)


@app.command()
def customers(
    receipts: ReceiptsArgument = None,
    photos: PhotosOption = None,
    buyers: BuyersOption = None,
    save_buyers: SaveBuyersOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"{TABLE_HELP} for all cells and groups.")
    ] = None,
    to_database: ToDatabaseOption = None,
    table: TableOption = None,
    append: AppendOption = False,
    by: Annotated[
        list[Part] | None,
        typer.Option(help="What to count by. May be repeated. [default: store date hour]"),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="A .png, .pdf or .svg file for a figure.")
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(help="Time zone of the shop, such as Europe/Berlin, if times have a zone."),
    ] = None,
    groups: EdgesOption = None,
    database: DatabaseOption = None,
    receipts_query: ReceiptsQueryOption = None,
    photos_query: PhotosQueryOption = None,
    buyers_query: BuyersQueryOption = None,
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
    """Count customers of each age group, by hour, day and store."""
    from ageboost.retail import customers_by_age_group

    inputs = {"RECEIPTS": receipts, "--photos": photos, "--buyers": buyers}
    check_outputs({"--out": out, "--save-buyers": save_buyers}, inputs)
    if plot is not None:
        check_suffix(plot, FIGURE_SUFFIXES, "the figure")
    output = Output.choose(out, to_database, table, append, database)
    age_groups = _read_groups(groups)
    tables = Tables.choose(
        database,
        receipts=(receipts, receipts_query),
        photos=(photos, photos_query),
        buyers=(buyers, buyers_query),
    )
    reading = Reading(column, day_first, decimal, encoding, tables)
    shop = read_tables(reading, with_lines=False)
    people, fitting, _, _ = find_buyers(
        *(shop, save_buyers, reading, model, age_groups, ()),
        *(tolerance, clock_offset, max_side, jobs, cache),
    )
    cells = [part.value for part in by or (Part.STORE, Part.DATE, Part.HOUR)]
    seen = refuse_table_errors(
        lambda: customers_by_age_group(
            shop.receipts,
            people,
            age_groups,
            cells,  # type: ignore[arg-type]
            calibration=fitting,
            zone=zone,
        )
    )
    typer.echo(str(seen))
    output.write(seen.table)
    if plot is not None:
        save_figure(refuse_errors(seen.plot).figure, plot)  # type: ignore[arg-type]


@app.command()
def alcohol(
    receipts: ReceiptsArgument = None,
    lines: LinesArgument = None,
    restricted: RestrictedOption = None,
    photos: PhotosOption = None,
    buyers: BuyersOption = None,
    save_buyers: SaveBuyersOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"{TABLE_HELP} for the cashiers.")
    ] = None,
    to_database: ToDatabaseOption = None,
    table: TableOption = None,
    append: AppendOption = False,
    sales_out: Annotated[
        Path | None, typer.Option(help=f"{TABLE_HELP} for the sales, which is personal data.")
    ] = None,
    legal_age: LegalAgeOption = 18,
    challenge_age: ChallengeAgeOption = 25,
    fdr: Annotated[
        float,
        typer.Option(
            min=0.001, max=0.5, help="False discovery rate: the share of names that are false."
        ),
    ] = 0.05,
    period: PeriodOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    cashiers_move: CashiersMoveOption = False,
    name_at_foreign_camera: NameAtForeignCameraOption = False,
    database: DatabaseOption = None,
    receipts_query: ReceiptsQueryOption = None,
    lines_query: LinesQueryOption = None,
    photos_query: PhotosQueryOption = None,
    buyers_query: BuyersQueryOption = None,
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
    """Report how often buyers of alcohol were asked for a card, and which cashiers to talk to."""
    from ageboost.retail import alcohol_sales, review_cashiers

    inputs = {"RECEIPTS": receipts, "LINES": lines, "--photos": photos, "--buyers": buyers}
    outputs = {"--out": out, "--sales-out": sales_out, "--save-buyers": save_buyers}
    check_outputs(outputs, inputs)
    output = Output.choose(out, to_database, table, append, database)
    policy = _read_policy(restricted, legal_age, challenge_age)
    if policy is None:
        refuse("say what is restricted: --restricted beer --restricted wine")
    looks = _read_period(period, since, until)
    tables = Tables.choose(
        database,
        receipts=(receipts, receipts_query),
        lines=(lines, lines_query),
        photos=(photos, photos_query),
        buyers=(buyers, buyers_query),
    )
    reading = Reading(column, day_first, decimal, encoding, tables)
    shop = read_tables(reading)
    people, fitting, _, _ = find_buyers(
        *(shop, save_buyers, reading, model, None, (legal_age, challenge_age)),
        *(tolerance, clock_offset, max_side, jobs, cache),
    )
    sales = refuse_table_errors(lambda: alcohol_sales(shop.receipts, shop.lines, people, policy))
    review = refuse_errors(
        lambda: review_cashiers(
            sales,
            policy,
            fitting,
            fdr=fdr,
            period=looks,
            cashiers_move=cashiers_move,
            name_at_foreign_camera=name_at_foreign_camera,
        )
    )
    typer.echo(f"{sales}\n{review}")
    output.write(review.table)
    if sales_out is not None:
        write_result(sales.table, sales_out)


@app.command()
def report(
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")],
    receipts: ReceiptsArgument = None,
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
        str | None, typer.Option("--shop", help="Name of the shop on the page.")
    ] = None,
    show_faces: Annotated[
        bool, typer.Option("--show-faces", help="Show some buyers' faces, which are personal data.")
    ] = False,
    names: Annotated[
        bool,
        typer.Option("--names", help="Show names of cashiers instead of letters. See privacy.md."),
    ] = False,
    period: PeriodOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    cashiers_move: CashiersMoveOption = False,
    name_at_foreign_camera: NameAtForeignCameraOption = False,
    database: DatabaseOption = None,
    receipts_query: ReceiptsQueryOption = None,
    lines_query: LinesQueryOption = None,
    photos_query: PhotosQueryOption = None,
    buyers_query: BuyersQueryOption = None,
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
    """Write a page for a manager: who buys what and, with --restricted, who is asked for a card."""
    from ageboost._pages.blocks import import_report_packages
    from ageboost.retail import make_retail_report

    check_suffix(out, (".html", ".htm"), "the page")
    inputs = {"RECEIPTS": receipts, "LINES": lines, "--photos": photos, "--buyers": buyers}
    check_outputs({"--save-buyers": save_buyers}, inputs)
    check_apart({"--out": out, "--save-buyers": save_buyers}, inputs)
    refuse_errors(import_report_packages)
    age_groups = _read_groups(groups)
    policy = _read_policy(restricted, legal_age, challenge_age)
    looks = _read_period(period, since, until)
    tables = Tables.choose(
        database,
        receipts=(receipts, receipts_query),
        lines=(lines, lines_query),
        photos=(photos, photos_query),
        buyers=(buyers, buyers_query),
    )
    reading = Reading(column, day_first, decimal, encoding, tables)
    shop = read_tables(reading)
    ages = () if policy is None else (legal_age, challenge_age)
    people, _, counts, used = find_buyers(
        *(shop, save_buyers, reading, model, age_groups, ages),
        *(tolerance, clock_offset, max_side, jobs, cache),
    )
    made = refuse_table_errors(
        lambda: make_retail_report(
            shop.receipts,
            shop.lines,
            people,
            used,
            policy=policy,
            groups=age_groups,
            by=by.value,
            photos=show_faces,
            names=names,
            shop=shop_name,
            period=looks,
            cashiers_move=cashiers_move,
            name_at_foreign_camera=name_at_foreign_camera,
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
        typer.Option(help="Ask if the probability of legal age is below this, instead of by age."),
    ] = None,
    age_weights: AgeWeightsOption = None,
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="A saved model, or accurate, fast, classical or open."),
    ] = "fast",
) -> None:
    """Print sell, ask or cannot tell, and why, as advice to a cashier, who sees the buyer."""
    from ageboost import retail

    policy = refuse_errors(
        lambda: retail.AlcoholPolicy(legal_age, challenge_age, certainty=certainty)
    )
    weights = read_age_weights(age_weights, certainty)
    answer = refuse_errors(lambda: retail.check(photo, policy, load_model(model), weights))
    typer.echo(str(answer))
    if answer.answer == "cannot tell":
        raise typer.Exit(EXIT_SOME_WITHOUT_AGE)


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
