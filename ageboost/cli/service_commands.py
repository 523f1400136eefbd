"""The command that serves: advice at the till over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ageboost.cli._age_weights import AgeWeightsOption, read_age_weights
from ageboost.cli._shared import load_model, refuse, refuse_errors

if TYPE_CHECKING:
    from ageboost.retail import AlcoholPolicy

app = typer.Typer()

# Of a model, in the record.
_LONGEST_NAME = 60


@app.command()
def serve(
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="A saved model, or accurate, fast, classical or open."),
    ] = "fast",
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. One that others can reach needs a token of 16 characters "
            "or more in the environment variable AGEBOOST_TOKEN."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8000,
    legal_age: Annotated[
        float | None,
        typer.Option(help="Legal age in years. Any of these three options fixes the policy."),
    ] = None,
    challenge_age: Annotated[
        float | None, typer.Option(help="Age in years: whoever looks younger is asked for a card.")
    ] = None,
    certainty: Annotated[
        float | None,
        typer.Option(help="Ask if the probability of legal age is below this, instead of by age."),
    ] = None,
    age_weights: AgeWeightsOption = None,
    record: Annotated[
        str | None,
        typer.Option(help="Database to write checks to, such as sqlite:///checks.db."),
    ] = None,
    keep_days: Annotated[
        int, typer.Option(min=1, help="Days after which rows of the record are deleted.")
    ] = 365,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Threads; by default one per core.")
    ] = None,
    waiting: Annotated[
        int, typer.Option(min=0, help="Requests that may wait; further ones get a 503.")
    ] = 32,
    per_client: Annotated[
        int, typer.Option(min=1, help="Requests from one address at once; further ones get a 429.")
    ] = 16,
    timeout: Annotated[
        float,
        typer.Option(
            min=0.1, max=600, help="Seconds for a photo to arrive, and again to be answered."
        ),
    ] = 10.0,
    max_bytes: Annotated[
        int, typer.Option(min=1, help="Largest photo file, in bytes.")
    ] = 12_000_000,
    max_pixels: Annotated[int, typer.Option(min=1, help="Largest photo, in pixels.")] = 50_000_000,
) -> None:
    """Serve checks of buyers and analyses of photos over HTTP, with a page to try it on.

    Photos are kept only in memory, until they are answered. Ctrl-C ends the service.
    """
    # Threads of workers share the cores; those of OpenMP would fight for them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _check_installed()
    from ageboost.serve import CheckRecord, ServiceSettings, make_app, run_service
    from ageboost.serve.settings import TOKEN_VARIABLE, is_loopback

    weights = read_age_weights(age_weights, certainty)
    settings = refuse_errors(
        lambda: ServiceSettings(
            _policy(legal_age, challenge_age, certainty),
            os.environ.get(TOKEN_VARIABLE) or None,
            jobs,
            waiting,
            per_client,
            timeout,
            max_bytes,
            max_pixels,
            weights,
        )
    )
    if settings.token is None and not is_loopback(host):
        refuse(
            f"--host {host} can be reached by others: set a token in {TOKEN_VARIABLE}, such as "
            "that of python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    rows = None if record is None else refuse_errors(lambda: CheckRecord(record, keep_days))
    estimator = load_model(model)
    name = Path(model).stem[:_LONGEST_NAME]
    service = refuse_errors(lambda: make_app(estimator, name, settings, rows))
    run_service(service, host, port)


def _check_installed() -> None:
    try:
        import fastapi  # noqa: F401
        import sqlalchemy  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        refuse(f'serve needs {error.name}: pip install "ageboost[serve]"')


def _policy(
    legal_age: float | None, challenge_age: float | None, certainty: float | None
) -> AlcoholPolicy | None:
    from ageboost.retail import AlcoholPolicy

    given = {"legal_age": legal_age, "challenge_age": challenge_age, "certainty": certainty}
    named = {name: value for name, value in given.items() if value is not None}
    return AlcoholPolicy(**named) if named else None  # type: ignore[arg-type]
