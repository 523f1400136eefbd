"""Options of the commands of a shop."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

TABLE_HELP = "A .csv, .json or .parquet file"
_SOURCES = "CSV, Parquet or JSON"


class By(StrEnum):
    """What age groups are compared by."""

    PRODUCT = "product"
    CATEGORY = "category"


class Part(StrEnum):
    """What receipts are put together by."""

    STORE = "store"
    DATE = "date"
    WEEKDAY = "weekday"
    HOUR = "hour"


ReceiptsArgument = Annotated[
    Path | None,
    typer.Argument(
        help=f"{_SOURCES}: receipt_id, time, store, till, cashier, customer, id_checked."
    ),
]
LinesArgument = Annotated[
    Path | None,
    typer.Argument(
        help=f"{_SOURCES}: receipt_id, product, category, quantity, price. Leave it out if "
        "the receipts are one flat table, with the facts of a receipt on each of its lines."
    ),
]
PhotosOption = Annotated[
    Path | None,
    typer.Option(help=f"{_SOURCES}: photo, and either time, store and till, or receipt_id."),
]
BuyersOption = Annotated[
    Path | None,
    typer.Option(help="Ages that --save-buyers wrote, instead of photos."),
]
SaveBuyersOption = Annotated[
    Path | None,
    typer.Option(help=f"{TABLE_HELP} for the age of each buyer, which is personal data."),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(help="Your name for a column and ours: basket_id=receipt_id. May be repeated."),
]
DayFirstOption = Annotated[
    bool | None,
    typer.Option(
        "--day-first/--month-first",
        help="Whether the day or the month comes first in dates such as 03/04/2025.",
        show_default=False,
    ),
]
DecimalOption = Annotated[
    str | None, typer.Option(help="The decimal mark of numbers: a dot or a comma.")
]
EncodingOption = Annotated[
    str | None, typer.Option(help="Encoding of CSV files, such as cp1252; by default UTF-8.")
]
ClockOffsetOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Seconds that a camera's clock is ahead of the till's: TILL=90, STORE/TILL=-3600, or "
        '"TILL=-3600 from 2025-10-26 02:00" if that changes. May be repeated.'
    ),
]
ToleranceOption = Annotated[
    str, typer.Option(help="The longest time between a photo and its receipt.")
]
EdgesOption = Annotated[
    str | None, typer.Option(help="The youngest age in each age group, such as 18,30,60.")
]
ByOption = Annotated[By, typer.Option(help="Compare age groups by product or by category.")]
RestrictedOption = Annotated[
    list[str] | None,
    typer.Option(help="A category that minors may not buy, such as beer. May be repeated."),
]
PeriodOption = Annotated[
    Path | None,
    typer.Option(
        help="A .json file that registers the reviews of a period: its sales may then be reviewed "
        "repeatedly. It contains names of cashiers."
    ),
]
SinceOption = Annotated[
    str | None, typer.Option("--from", help="First day of a new period, such as 2025-01-01.")
]
UntilOption = Annotated[
    str | None, typer.Option("--to", help="Last day of a new period, such as 2025-12-31.")
]
CashiersMoveOption = Annotated[
    bool,
    typer.Option("--cashiers-move", help="A cashier's name means the same person in all stores."),
]
NameAtForeignCameraOption = Annotated[
    bool,
    typer.Option(
        "--name-at-foreign-camera",
        help="Name cashiers although the photos do not look like those that the model knows.",
    ),
]
LegalAgeOption = Annotated[float, typer.Option(help="Legal age in years.")]
ChallengeAgeOption = Annotated[
    float, typer.Option(help="Age in years: whoever looks younger is asked for a card.")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        envvar="AGEBOOST_DATABASE",
        help="SQLAlchemy URL of the database to query. If it contains a password, set it in the "
        "environment instead, because other users can see the command line.",
    ),
]


def _query_option(what: str) -> typer.models.OptionInfo:
    return typer.Option(help=f"A .sql file whose SELECT returns the {what}, with --database.")


ReceiptsQueryOption = Annotated[Path | None, _query_option("receipts")]
LinesQueryOption = Annotated[Path | None, _query_option("lines")]
PhotosQueryOption = Annotated[Path | None, _query_option("photos")]
BuyersQueryOption = Annotated[Path | None, _query_option("ages of buyers")]
ToDatabaseOption = Annotated[
    str | None,
    typer.Option(help="URL of the database for the result; by default that of --database."),
]
TableOption = Annotated[
    str | None, typer.Option("--table", help="Database table for the result, such as ages_by_hour.")
]
AppendOption = Annotated[
    bool, typer.Option("--append", help="Add rows to the table instead of replacing them.")
]
