"""The same things from a shell: photos, models, and the jobs of a shop."""

import typer

from ageboost.cli import models, photos, retail

app = typer.Typer(
    help="Estimate how old the people in photos are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (photos, models):
    app.add_typer(commands.app)
app.add_typer(retail.app, name="retail")


def main() -> None:
    """Run the command line."""
    app()
