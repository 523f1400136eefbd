"""What commands about models share: their options, and photos that are left out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ageboost.cli._shared import check_apart, check_folder, refuse_errors

if TYPE_CHECKING:
    import pandas as pd

    from ageboost import AgeEstimator, PhotoError

LabelsArgument = Annotated[
    Path, typer.Argument(help="A CSV file, or the folder of a known data set.")
]
ModelArgument = Annotated[
    str,
    typer.Argument(help="A saved model, or one of the package: accurate, fast, classical, open."),
]
CommercialOption = Annotated[
    bool,
    typer.Option(
        "--commercial",
        help="Use only what a business may use, and refuse the rest by name. Photos count as your "
        "own unless they belong to a known collection.",
    ),
]
OwnPhotosOption = Annotated[
    bool,
    typer.Option(
        "--own-photos",
        help="Say that all photos of LABELS are yours to use, for the model's card; none is then "
        "taken for one of a known collection because of its name.",
    ),
]
SeedOption = Annotated[int, typer.Option(help="Random seed.")]
PhotoColumnOption = Annotated[
    str | None, typer.Option(help="The column with the paths of photos, if LABELS is a file.")
]
AgeColumnOption = Annotated[
    str | None, typer.Option(help="The column with the ages, if LABELS is a file.")
]
SkipOption = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows", help="Leave out rows of the labels that cannot be used, and list them."
    ),
]


def terms_of_photos(table: pd.DataFrame, path: Path, own_photos: bool) -> list[str | None]:
    """Take the user's word for it, or recognise collections that have terms of their own."""
    from ageboost.datasets import collections_of

    return ["own"] if own_photos else collections_of(table, path)


def print_terms(out: Path, estimator: AgeEstimator) -> None:
    """Say whether a business may use a new model, and what its user could have said."""
    from ageboost.terms import TAKEN_AS_OWN

    typer.echo(f"{out}: {estimator.terms.summary}")
    if TAKEN_AS_OWN in estimator.photo_terms_:
        typer.echo("If they are yours to use, --own-photos puts that into the model's card.")


def check_model_path(out: Path, inputs: Mapping[str, Path | None]) -> None:
    from ageboost.models.card import card_path, check_card_path

    check_folder(out)
    refuse_errors(lambda: check_card_path(card_path(out)))
    check_apart({"--out": out, "the card of --out": card_path(out)}, inputs)


@contextmanager
def left_out_named_at_the_end() -> Iterator[None]:
    """Silence the warning that counts photos without a face: they are named one by one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* photos are left out of the ")
        yield


def left_out(
    table: pd.DataFrame, errors: Iterable[tuple[int, PhotoError]]
) -> Iterator[tuple[str, str]]:
    return ((table["photo"].iloc[row], str(error)) for row, error in errors)
