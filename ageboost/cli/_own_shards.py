"""Shards of a table from a shell: what one machine of several does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from ageboost.cli._shared import (
    EXIT_INTERRUPTED,
    EXIT_NOT_WRITTEN,
    EXIT_SOME_WITHOUT_AGE,
    advised,
    message_of,
    refuse,
)

if TYPE_CHECKING:
    from ageboost import AgeEstimator


def write_own_shards(
    estimator: AgeEstimator,
    paths: list[str],
    out: str,
    n_shards: int,
    lease: float,
    settings: Mapping[str, Any],
) -> None:
    """Write the shards that nobody else has, and wait until all are there."""
    from ageboost.batch import SharedPlaceError, write_shards

    try:
        summary = write_shards(
            estimator,
            paths,
            out,
            n_shards,
            coverage=settings["coverage"],
            settings=settings,
            lease=lease,
            prepare=advised,
            tell=lambda line: typer.echo(line, err=True),
        )
    except SharedPlaceError as error:
        refuse(message_of(error))
    except KeyboardInterrupt:
        typer.echo("ageboost: stopped: the same command goes on from there", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except OSError as error:
        reason = error.strerror or error
        typer.echo(
            f"ageboost: {out!r} cannot be written: {reason}: the same command goes on from there",
            err=True,
        )
        raise typer.Exit(EXIT_NOT_WRITTEN) from error
    typer.echo(
        f"all {summary.n_shards} shards are there, {summary.n_own} of them from here: "
        f"{summary.n_photos:,} photos, {summary.n_without_age:,} without an age",
        err=True,
    )
    if summary.n_without_age:
        raise typer.Exit(EXIT_SOME_WITHOUT_AGE)
