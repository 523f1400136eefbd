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
        help=f"{_SOURCES}: receipt_id, product, category, quantity, price. Leave it out where "
        "the receipts are one flat table, with the facts of a receipt on each of its lines."
    ),
]
PhotosOption = Annotated[
    Path | None,
    typer.Option(help=f"{_SOURCES}: photo, and time, store, till or receipt_id."),
]
BuyersOption = Annotated[
    Path | None,
    typer.Option(help="Ages that --save-buyers kept, in place of photos."),
]
SaveBuyersOption = Annotated[
    Path | None,
    typer.Option(help=f"{TABLE_HELP} for the age of each buyer. It is personal data."),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(help="A column's name there and here: basket_id=receipt_id. May be repeated."),
]
DayFirstOption = Annotated[
    bool | None,
    typer.Option(
        "--day-first/--month-first",
        help="Which comes first in dates that do not begin with the year.",
        show_default=False,
    ),
]
DecimalOption = Annotated[
    str | None, typer.Option(help="The decimal mark of numbers: a dot or a comma.")
]
EncodingOption = Annotated[
    str | None, typer.Option(help="How CSV files are written, such as cp1252; by default UTF-8.")
]
ClockOffsetOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Seconds that a camera's clock is ahead of its till's: TILL=90, STORE/TILL=-3600, or "
        '"TILL=-3600 from 2025-10-26 02:00" where that changes. May be repeated.'
    ),
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
PeriodOption = Annotated[
    Path | None,
    typer.Option(
        help="A .json file of looks at a period: the sales since it began may be looked at again "
        "and again. It holds names of cashiers."
    ),
]
SinceOption = Annotated[
    str | None, typer.Option("--from", help="First day of a new period, as 2025-01-01.")
]
UntilOption = Annotated[
    str | None, typer.Option("--to", help="Last day of a new period, as 2025-12-31.")
]
CashiersMoveOption = Annotated[
    bool,
    typer.Option(
        "--cashiers-move", help="A cashier's name means one person in all stores, not in each."
    ),
]
LegalAgeOption = Annotated[float, typer.Option(help="Years.")]
ChallengeAgeOption = Annotated[
    float, typer.Option(help="Who looks younger is to be asked for a card, in years.")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        envvar="AGEBOOST_DATABASE",
        help="SQLAlchemy's URL of a database that queries are asked of. One with a password is "
        "better kept in the environment, since others see how a command was called.",
    ),
]


def _query_option(what: str) -> typer.models.OptionInfo:
    return typer.Option(help=f"A .sql file whose select gives the {what}, with --database.")


ReceiptsQueryOption = Annotated[Path | None, _query_option("receipts")]
LinesQueryOption = Annotated[Path | None, _query_option("lines")]
PhotosQueryOption = Annotated[Path | None, _query_option("photos")]
BuyersQueryOption = Annotated[Path | None, _query_option("ages of buyers")]
ToDatabaseOption = Annotated[
    str | None,
    typer.Option(help="URL of a database to write the result to; by default that of --database."),
]
TableOption = Annotated[
    str | None, typer.Option("--table", help="The table there, such as ages_by_hour.")
]
AppendOption = Annotated[
    bool, typer.Option("--append", help="Add to the rows of that table; by default replace them.")
]
