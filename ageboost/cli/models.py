"""Commands about models: train, tune, evaluate, calibrate, report."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ageboost.cli._shared import (
    EXIT_INTERRUPTED,
    CacheOption,
    JobsOption,
    check_folder,
    check_table_path,
    count,
    failures,
    finish,
    load_model,
    refuse,
    refuse_errors,
    replace_table,
    spinner,
    writing,
)
from ageboost.terms import photo_terms

if TYPE_CHECKING:
    import pandas as pd

    from ageboost import AgeEstimator

app = typer.Typer()


class FeatureSet(StrEnum):
    """Which features a model looks at."""

    ALL = "all"
    CLASSICAL = "classical"
    CNN = "cnn"
    SHOP = "shop"
    OPEN = "open"
    ACCURATE = "accurate"
    FAST = "fast"


class Regressor(StrEnum):
    """Which library grows the trees."""

    XGBOOST = "xgboost"
    CATBOOST = "catboost"
    BLEND = "blend"


LabelsArgument = Annotated[
    Path, typer.Argument(help="A CSV file, or the folder of a known data set.")
]
ModelArgument = Annotated[
    str, typer.Argument(help="A saved model, or accurate, fast, classical or open, which ship.")
]
CommercialOption = Annotated[
    bool,
    typer.Option(
        "--commercial",
        help="Use only what a business may use, and refuse the rest by name. Photos count as your "
        "own unless they are known to be of a collection.",
    ),
]
SeedOption = Annotated[int, typer.Option(help="Seed.")]


@app.command()
def train(
    labels: LabelsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The model file to write.")],
    features: Annotated[
        FeatureSet | None, typer.Option(help="What to look at; by default all.")
    ] = None,
    regressor: Annotated[
        Regressor | None, typer.Option(help="What to learn with; by default xgboost.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="Settings that tune wrote, in place of --features and --regressor."),
    ] = None,
    jobs: JobsOption = -1,
    device: Annotated[
        str | None, typer.Option(help="cuda grows trees and runs networks on an accelerator.")
    ] = None,
    cache: CacheOption = None,
    random_state: SeedOption = 0,
    commercial: CommercialOption = False,
) -> None:
    """Train a model on photos of people whose ages are known."""
    check_folder(out)
    if settings is not None and (features or regressor):
        refuse("--settings say which features and regressor: leave out the other options")
    if commercial and features is None:
        features = FeatureSet.SHOP
    estimator = _make_estimator(features, regressor, jobs, cache, random_state, commercial)
    if settings is not None:
        refuse_errors(lambda: _apply_settings(estimator, settings))
    estimator.set_params(device=device)
    table, terms = _read_labels_with_terms(labels)
    with spinner(f"Learning from {len(table)} photos"), warnings.catch_warnings():
        # The photos that are left out are named one by one at the end.
        warnings.simplefilter("ignore", UserWarning)
        refuse_errors(lambda: estimator.fit(table["photo"].tolist(), table["age"], terms=terms))
    with writing(out):
        estimator.save(out)
    typer.echo(f"{out}: learnt from {estimator.n_photos_} photos")
    typer.echo(f"{out}: {estimator.terms.summary}")
    finish((table["photo"].iloc[row], str(error)) for row, error in estimator.left_out_)


@app.command()
def tune(
    labels: LabelsArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The .json file to write the best settings to.")
    ],
    study: Annotated[
        Path | None,
        typer.Option(help="SQLite file to keep trials in; a search goes on from there."),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Trials in all, those in the study included.")
    ] = 50,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds after which no other trial begins.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 3,
    group_column: Annotated[
        str | None,
        typer.Option(help="Who is on the photo: all photos of a person stay together."),
    ] = None,
    features: Annotated[
        FeatureSet | None, typer.Option(help="What to look at; by default, that is searched too.")
    ] = None,
    regressor: Annotated[Regressor, typer.Option(help="What to learn with.")] = Regressor.XGBOOST,
    space: Annotated[
        Path | None, typer.Option(help="A JSON file of parameters to vary, and their ranges.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="The PNG file to draw the search in.")] = None,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
    random_state: SeedOption = 0,
) -> None:
    """Search for the settings that suit your photos; train --settings takes them."""
    from ageboost import models
    from ageboost.models import tuning

    refuse_errors(tuning.import_optuna)
    for path in filter(None, (out, study, plot)):
        check_folder(path)
    if plot is not None:
        refuse_errors(tuning.import_figure)
    table = _read_labels(labels, [group_column] if group_column else [])
    if group_column is not None and group_column not in table:
        refuse(f"no column {group_column!r} in {str(labels)!r}, which has {', '.join(table)}")
    estimator = _make_estimator(features, regressor, jobs, cache, random_state)
    varied = models.search_space(regressor.value) if space is None else space
    if isinstance(varied, dict) and features is not None:
        del varied["features"]
    with warnings.catch_warnings():
        # The photos that are left out are named one by one at the end.
        warnings.filterwarnings("ignore", message=".* photos are left out of the search")
        warnings.filterwarnings("ignore", message="stopped after")
        result = refuse_errors(
            lambda: models.tune(
                estimator,
                table["photo"].tolist(),
                table["age"],
                space=varied,
                n_trials=trials,
                timeout=timeout,
                cv=folds,
                groups=None if group_column is None else table[group_column],
                study=study,
                random_state=random_state,
                progress=True,
            )
        )
    chosen = {"features": estimator.features, "regressor": regressor.value, **result.best_params}
    for name, value in chosen.items():
        typer.echo(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
    typer.echo(f"MAE in cross-validation: {result.best_score:.2f} years")
    with writing(out):
        out.write_text(json.dumps(chosen, indent=1) + "\n", "utf-8")
    if plot is not None:
        with writing(plot):
            result.plot().savefig(plot, format="png", dpi=150)
    if result.interrupted:
        typer.echo(f"stopped: the best of {len(result.trials)} trials", err=True)
        raise typer.Exit(EXIT_INTERRUPTED)
    finish((table["photo"].iloc[row], str(error)) for row, error in result.left_out)


@app.command()
def evaluate(
    model: ModelArgument,
    labels: LabelsArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A .csv, .json or .parquet file for each photo's errors."),
    ] = None,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Compare a model's ages with the true ones."""
    import pandas as pd

    from ageboost.evaluation import summarize_errors

    if out is not None:
        check_table_path(out)
    table = _read_labels(labels)
    estimator = load_model(model).set_params(n_jobs=jobs, cache=cache, on_error="nan")
    batches = estimator.analyze_batches(table["photo"].tolist())
    found = pd.concat(count(batches, len(table), "Evaluating"), ignore_index=True)
    # The largest face of a photo comes first; a photo without a face has one row.
    found = found[found["face"].fillna(0) == 0].reset_index(drop=True)
    found.insert(1, "true_age", table["age"].to_numpy())
    for name, value in summarize_errors(found["true_age"], found["age"]).items():
        typer.echo(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    inside = found["true_age"].between(found["age_low"], found["age_high"])[found["status"] == "ok"]
    typer.echo(f"inside their 90 % ranges: {inside.mean():.3f}")
    if out is not None:
        with writing(out):
            replace_table(found, out)
    finish(failures(found))


@app.command()
def calibrate(
    model: ModelArgument,
    labels: LabelsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to save the calibrated model.")],
    jobs: JobsOption = -1,
    cache: CacheOption = None,
    commercial: CommercialOption = False,
) -> None:
    """Learn from photos of your own how far a model's ages can be off."""
    check_folder(out)
    table, terms = _read_labels_with_terms(labels)
    estimator = load_model(model).set_params(n_jobs=jobs, cache=cache, on_error="nan")
    if not commercial and any(part.commercial == "no" for part in photo_terms(terms)):
        # It becomes a model for research then, and says so.
        estimator.set_params(commercial=False)
    elif commercial:
        estimator.set_params(commercial=True)
    with spinner(f"Learning from {len(table)} photos"), warnings.catch_warnings():
        # The photos that are left out are named one by one at the end.
        warnings.simplefilter("ignore", UserWarning)
        refuse_errors(
            lambda: estimator.calibrate(table["photo"].tolist(), table["age"], terms=terms)
        )
    with writing(out):
        estimator.save(out)
    n_photos = len(table) - len(estimator.left_out_)
    typer.echo(f"{out}: calibrated with {n_photos} photos")
    typer.echo(f"{out}: {estimator.terms.summary}")
    finish((table["photo"].iloc[row], str(error)) for row, error in estimator.left_out_)


@app.command()
def report(
    labels: LabelsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="A saved model to measure, too, or one that ships: accurate, fast, classical or "
            "open.",
        ),
    ] = None,
    photos: Annotated[
        bool, typer.Option(help="Whether the page may show faces. It is personal data then.")
    ] = True,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Write a page about labelled photos: ages, quality, copies, doubtful labels, errors."""
    from ageboost.evaluation import make_report

    check_folder(out)
    estimator = None if model is None else load_model(model)
    table, unusable = _read_usable_labels(labels)
    with spinner(f"Looking at {len(table)} photos"):
        made = refuse_errors(
            lambda: make_report(
                table,
                estimator,
                folder=labels if labels.is_dir() else labels.parent,
                unusable=unusable,
                photos=photos,
                cache=cache,
                n_jobs=jobs,
            )
        )
        with writing(out):
            made.save(out)
    typer.echo(f"{out}: {len(made.photos)} photos")
    bad_rows = ((str(row), f"row {row}: {problem}") for row, problem in unusable)
    finish([*bad_rows, *failures(made.photos)])


def _make_estimator(
    features: FeatureSet | None,
    regressor: Regressor | None,
    jobs: int,
    cache: Path | None,
    random_state: int,
    commercial: bool = False,
) -> AgeEstimator:
    from ageboost import AgeEstimator

    return AgeEstimator(
        (features or FeatureSet.ALL).value,
        regressor=(regressor or Regressor.XGBOOST).value,
        on_error="nan",
        cache=cache,
        n_jobs=jobs,
        random_state=random_state,
        commercial=commercial,
    )


def _apply_settings(estimator: AgeEstimator, path: Path) -> None:
    from ageboost.models.search_space import has_parameter

    try:
        settings = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        refuse(f"{str(path)!r} is no JSON file: {error}")
    if not isinstance(settings, dict):
        refuse(f"{str(path)!r} holds no settings: pass a file that tune wrote")
    # Which parameters there are depends on the parts; XGBoost itself takes any name.
    estimator.set_params(**{name: settings[name] for name in settings if "__" not in name})
    for name in settings:
        if not has_parameter(estimator, name):
            refuse(f"{name!r} in {str(path)!r} is no parameter: correct it, or take it out")
    estimator.set_params(**settings)


def _read_labels(path: Path, others: Sequence[str] = ()) -> pd.DataFrame:
    from ageboost.datasets import read_labels

    return refuse_errors(lambda: read_labels(path, others=others))


def _read_labels_with_terms(path: Path) -> tuple[pd.DataFrame, list[str | None]]:
    """Read labels, and recognise collections that have terms of their own."""
    from ageboost.datasets import collections_of

    table = _read_labels(path)
    return table, collections_of(table, path)


def _read_usable_labels(path: Path) -> tuple[pd.DataFrame, list[tuple[int, str]]]:
    """Read what can be used, and tell of the other rows."""
    from ageboost.datasets import read_labels
    from ageboost.errors import LabelsError

    try:
        return read_labels(path), []
    except LabelsError as error:
        with warnings.catch_warnings():
            # They are named one by one at the end, and in the page.
            warnings.simplefilter("ignore", UserWarning)
            table = refuse_errors(lambda: read_labels(path, on_error="drop"))
        if table.empty:
            refuse(str(error))
        return table, error.problems
    except (OSError, ValueError) as error:
        refuse(str(error))
