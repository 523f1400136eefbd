"""The two jobs of the shop: baskets, alcohol, report, check."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ageboost.cli._shared import (
    EXIT_SOME_WITHOUT_AGE,
    CacheOption,
    JobsOption,
    ModelOption,
    check_folder,
    check_table_path,
    load_model,
    refuse,
    refuse_errors,
    replace_table,
    spinner,
    writing,
)

if TYPE_CHECKING:
    import pandas as pd

    from ageboost import AgeEstimator
    from ageboost.retail import AgeGroups, AlcoholPolicy, ShopTables

app = typer.Typer(
    help="What each age group buys, and whether alcohol is sold with care.", no_args_is_help=True
)

_TABLE_HELP = "A .csv, .json or .parquet file"
# Probabilities and p-values are small, sums of money are large.
_FLOAT_FORMAT = "%.10g"


class By(StrEnum):
    """What age groups are compared by."""

    PRODUCT = "product"
    CATEGORY = "category"


ReceiptsArgument = Annotated[
    Path,
    typer.Argument(help="CSV or Parquet: receipt_id, time, store, till, cashier, id_checked."),
]
LinesArgument = Annotated[
    Path, typer.Argument(help="CSV or Parquet: receipt_id, product, category, quantity, price.")
]
PhotosOption = Annotated[
    Path | None,
    typer.Option(help="CSV or Parquet: photo, and time, store, till or receipt_id."),
]
BuyersOption = Annotated[
    Path | None,
    typer.Option(help="Ages that --save-buyers kept, in place of photos."),
]
SaveBuyersOption = Annotated[
    Path | None,
    typer.Option(help=f"{_TABLE_HELP} for the age of each buyer. It is personal data."),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(help="A column's name there and here: basket_id=receipt_id. May be repeated."),
]
ToleranceOption = Annotated[
    str, typer.Option(help="How far apart in time a photo and its receipt may be.")
]
EdgesOption = Annotated[
    str | None, typer.Option(help="First years of the age groups, such as 18,30,60.")
]
ByOption = Annotated[By, typer.Option(help="What age groups are compared by.")]
RestrictedOption = Annotated[
    list[str] | None,
    typer.Option(help="A category that is not for minors, such as beer. May be repeated."),
]
LegalAgeOption = Annotated[float, typer.Option(help="Years.")]
ChallengeAgeOption = Annotated[
    float, typer.Option(help="Who looks younger is to be asked for a card, in years.")
]


@app.command()
def baskets(
    receipts: ReceiptsArgument,
    lines: LinesArgument,
    photos: PhotosOption = None,
    buyers: BuyersOption = None,
    save_buyers: SaveBuyersOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"{_TABLE_HELP} for all comparisons.")
    ] = None,
    by: ByOption = By.PRODUCT,
    offers: Annotated[int, typer.Option(min=0, help="Offers to print for each group.")] = 5,
    groups: EdgesOption = None,
    column: ColumnOption = None,
    tolerance: ToleranceOption = "60s",
    model: ModelOption = None,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Tell what each age group buys more of than others, and what to offer it."""
    from ageboost.models.calibration import calibration_of
    from ageboost.retail import purchases_by_age_group

    _check_outputs(out, save_buyers)
    age_groups = _read_groups(groups)
    shop = _read_shop(receipts, lines, photos, column)
    estimator = load_model(model)
    people, _ = _find_buyers(
        shop, buyers, save_buyers, estimator, age_groups, (), tolerance, jobs, cache
    )
    found = refuse_errors(
        lambda: purchases_by_age_group(
            shop.lines,
            people,
            age_groups,
            by=by.value,  # type: ignore[arg-type]
            calibration=calibration_of(estimator),
        )
    )
    typer.echo(str(found))
    for group in found.mix.index:
        best = found.offers(group, offers)
        best = best[best["significant"]]
        named = ", ".join(
            f"{name} ({lift:.1f} times as often)"
            for name, lift in zip(best[by.value], best["lift"], strict=True)
        )
        typer.echo(f"{group}: {named or 'nothing stands out'}")
    if out is not None:
        with writing(out):
            replace_table(found.table, out, _FLOAT_FORMAT)


@app.command()
def alcohol(
    receipts: ReceiptsArgument,
    lines: LinesArgument,
    restricted: RestrictedOption = None,
    photos: PhotosOption = None,
    buyers: BuyersOption = None,
    save_buyers: SaveBuyersOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"{_TABLE_HELP} for the cashiers.")
    ] = None,
    sales_out: Annotated[
        Path | None, typer.Option(help=f"{_TABLE_HELP} for the sales. It is personal data.")
    ] = None,
    legal_age: LegalAgeOption = 18,
    challenge_age: ChallengeAgeOption = 25,
    fdr: Annotated[
        float,
        typer.Option(min=0.001, max=0.5, help="Share of those named who are like colleagues."),
    ] = 0.05,
    column: ColumnOption = None,
    tolerance: ToleranceOption = "60s",
    model: ModelOption = None,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Tell how often buyers of alcohol were asked for a card, and with which cashiers to talk."""
    from ageboost.retail import alcohol_sales, review_cashiers

    _check_outputs(out, sales_out, save_buyers)
    policy = _read_policy(restricted, legal_age, challenge_age)
    if policy is None:
        refuse("say what is restricted: --restricted beer --restricted wine")
    shop = _read_shop(receipts, lines, photos, column)
    estimator = load_model(model)
    ages = (legal_age, challenge_age)
    people, _ = _find_buyers(
        shop, buyers, save_buyers, estimator, None, ages, tolerance, jobs, cache
    )
    sales = refuse_errors(lambda: alcohol_sales(shop.receipts, shop.lines, people, policy))
    review = refuse_errors(lambda: review_cashiers(sales, policy, estimator, fdr=fdr))
    typer.echo(f"{sales}\n{review}")
    if out is not None:
        with writing(out):
            replace_table(review.table, out, _FLOAT_FORMAT)
    if sales_out is not None:
        with writing(sales_out):
            replace_table(sales.table, sales_out, _FLOAT_FORMAT)


@app.command()
def report(
    receipts: ReceiptsArgument,
    lines: LinesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")],
    photos: PhotosOption = None,
    buyers: BuyersOption = None,
    save_buyers: SaveBuyersOption = None,
    restricted: RestrictedOption = None,
    legal_age: LegalAgeOption = 18,
    challenge_age: ChallengeAgeOption = 25,
    by: ByOption = By.PRODUCT,
    groups: EdgesOption = None,
    show_faces: Annotated[
        bool, typer.Option("--show-faces", help="Show some buyers. It is personal data then.")
    ] = False,
    column: ColumnOption = None,
    tolerance: ToleranceOption = "60s",
    model: ModelOption = None,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Write a page for a shop's manager: who buys what and, with --restricted, about alcohol."""
    from ageboost.evaluation.report.blocks import import_report_packages
    from ageboost.retail import make_retail_report

    check_folder(out)
    _check_outputs(save_buyers)
    refuse_errors(import_report_packages)
    age_groups = _read_groups(groups)
    policy = _read_policy(restricted, legal_age, challenge_age)
    shop = _read_shop(receipts, lines, photos, column)
    estimator = load_model(model)
    ages = () if policy is None else (legal_age, challenge_age)
    people, counts = _find_buyers(
        shop, buyers, save_buyers, estimator, age_groups, ages, tolerance, jobs, cache
    )
    made = refuse_errors(
        lambda: make_retail_report(
            shop.receipts,
            shop.lines,
            people,
            estimator,
            policy=policy,
            groups=age_groups,
            by=by.value,
            photos=show_faces,
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


def _check_outputs(*paths: Path | None) -> None:
    for path in filter(None, paths):
        check_table_path(path)


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


def _read_shop(
    receipts: Path, lines: Path, photos: Path | None, columns: list[str] | None
) -> ShopTables:
    from ageboost.retail import read_shop

    names = {}
    for pair in columns or ():
        theirs, equals, ours = pair.partition("=")
        if not equals:
            refuse(f"--column {pair}: write it as NAME_THERE=NAME_HERE")
        names[theirs] = ours
    shop = refuse_errors(lambda: read_shop(receipts, lines, photos, names))
    typer.echo(str(shop))
    return shop


def _find_buyers(
    shop: ShopTables,
    known: Path | None,
    keep: Path | None,
    model: AgeEstimator,
    groups: AgeGroups | None,
    ages: tuple[float, ...],
    tolerance: str,
    jobs: int,
    cache: Path | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Look at the photos, or take what was kept of them; count what became of all that was read."""
    import pandas as pd

    from ageboost.retail import DEFAULT_AGES, estimate_buyers, match_photos, read_table

    if (known is None) == (shop.photos is None):
        refuse("pass --photos, or --buyers that were estimated before")
    if known is not None:
        return refuse_errors(lambda: read_table(known, "receipts")), shop.counts
    photos = shop.photos
    assert photos is not None
    matched = refuse_errors(lambda: match_photos(photos, shop.receipts, tolerance))
    typer.echo(str(matched))
    with spinner(f"Looking at {len(photos)} photos"):
        buyers = refuse_errors(
            lambda: estimate_buyers(
                matched,
                shop.receipts,
                model,
                groups,
                ages=(*DEFAULT_AGES, *ages),
                cache=cache,
                n_jobs=jobs,
            )
        )
    if keep is not None:
        with writing(keep):
            replace_table(buyers, keep, _FLOAT_FORMAT)
    return buyers, pd.concat([shop.counts, matched.counts], ignore_index=True)
