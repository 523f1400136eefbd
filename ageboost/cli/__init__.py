"""The same things from a shell: photos, videos, models, and the jobs of a shop."""

import multiprocessing
import os
import sys

import typer

from ageboost.cli import models, photos, retail, video
from ageboost.cli._shared import EXIT_INTERRUPTED

app = typer.Typer(
    help="Estimate how old the people in photos are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (photos, models, video):
    app.add_typer(commands.app)
app.add_typer(retail.app, name="retail")


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:
            # What is to be kept is on the disk; libraries would take their time to shut down, and
            # processes that look at photos would finish their batch.
            for worker in multiprocessing.active_children():
                worker.terminate()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(EXIT_INTERRUPTED)
        raise
