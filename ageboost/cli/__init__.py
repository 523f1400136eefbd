"""The same things from a shell: photos, models, and the jobs of a shop."""

import multiprocessing
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ageboost.cli import (
    model_commands,
    photo_commands,
    retail_commands,
    service_commands,
    training_commands,
    video_commands,
)
from ageboost.cli._shared import EXIT_INTERRUPTED, EXIT_NOT_WRITTEN, message_of, refuse
from ageboost.cli._streams import OutputError, abandon_output, guard_streams
from ageboost.errors import AgeboostError


class _Commands(TyperGroup):
    """Commands whose errors are messages: a cache that cannot be used, a device that is missing."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AgeboostError as error:
            refuse(message_of(error))


app = typer.Typer(
    cls=_Commands,
    help="Estimate people's ages from photos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (
    photo_commands,
    training_commands,
    model_commands,
    video_commands,
    service_commands,
):
    app.add_typer(commands.app)
app.add_typer(retail_commands.app, name="retail")


def _show_version(wanted: bool) -> None:
    if wanted:
        from ageboost import __version__

        typer.echo(f"ageboost {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    guard_streams()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OutputError as error:
        _end_without_output(error)
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:
            # What is to be kept is on the disk; libraries would take their time to shut down, and
            # processes that look at photos would finish their batch.
            for worker in multiprocessing.active_children():
                worker.terminate()
            sys.stderr.flush()
            os._exit(EXIT_INTERRUPTED)
        raise


def _end_without_output(error: OutputError) -> None:
    typer.echo(f"ageboost: standard output cannot be written: {error}", err=True)
    sys.stderr.flush()
    abandon_output()
    sys.exit(EXIT_NOT_WRITTEN)
