"""Commands that make models: train and tune."""

from __future__ import annotations

import json
import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ageboost._files import replacing
from ageboost._progress import show_progress
from ageboost.cli._figures import FIGURE_SUFFIXES, save_figure
from ageboost.cli._labels import (
    LabelColumns,
    read_labels_or_refuse,
)
from ageboost.cli._model_options import (
    AgeColumnOption,
    CommercialOption,
    LabelsArgument,
    OwnPhotosOption,
    PhotoColumnOption,
    SeedOption,
    SkipOption,
    check_model_path,
    left_out,
    left_out_named_at_the_end,
    print_terms,
    terms_of_photos,
)
from ageboost.cli._shared import (
    EXIT_INTERRUPTED,
    CacheOption,
    JobsOption,
    MaxSideOption,
    check_apart,
    check_folder,
    check_suffix,
    finish,
    refuse,
    refuse_errors,
    writing,
)

if TYPE_CHECKING:
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


class Landmarks(StrEnum):
    """How many points are placed on a face."""

    FIVE = "5"
    SIXTY_EIGHT = "68"


class Regressor(StrEnum):
    """Which library grows the trees."""

    XGBOOST = "xgboost"
    CATBOOST = "catboost"
    BLEND = "blend"


LandmarksOption = Annotated[
    Landmarks | None,
    typer.Option(
        help="Landmarks to align faces by; the predictor of 68 is not for commercial use. By "
        "default 68, for fast 5."
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option(help="cuda grows trees and runs networks on a GPU.")
]


@app.command()
def train(
    labels: LabelsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The model file to write.")],
    features: Annotated[
        FeatureSet | None, typer.Option(help="Features to use; by default all.")
    ] = None,
    regressor: Annotated[
        Regressor | None, typer.Option(help="Regressor to train; by default xgboost.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="Settings written by tune, instead of --features and --regressor."),
    ] = None,
    landmarks: LandmarksOption = None,
    max_side: MaxSideOption = None,
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    skip_bad_rows: SkipOption = False,
    jobs: JobsOption = -1,
    device: DeviceOption = None,
    cache: CacheOption = None,
    stream: Annotated[
        Path | None,
        typer.Option(
            help="A folder for what is computed, for more photos than memory holds; a killed run "
            "goes on there. Needs --cache. Protect it like the photos, and remove it afterwards."
        ),
    ] = None,
    random_state: SeedOption = 0,
    commercial: CommercialOption = False,
    own_photos: OwnPhotosOption = False,
) -> None:
    """Train a model on photos of people with known ages."""
    if stream is not None and cache is None:
        refuse("--stream goes through the photos twice: name a --cache for their features")
    check_model_path(out, {"LABELS": labels, "--settings": settings})
    if settings is not None and (features or regressor):
        refuse("--settings say which features and regressor: leave out the other options")
    if commercial and features is None:
        features = FeatureSet.SHOP
    estimator = _make_estimator(features, regressor, jobs, cache, random_state, commercial)
    if settings is not None:
        refuse_errors(lambda: _apply_settings(estimator, settings))
    _set_finder(estimator, landmarks, max_side)
    estimator.set_params(device=device)
    table, bad_rows = read_labels_or_refuse(
        labels, LabelColumns(photo_column, age_column), skip_bad_rows
    )
    terms = terms_of_photos(table, labels, own_photos)
    with show_progress(), left_out_named_at_the_end():
        photos, ages = table["photo"].tolist(), table["age"]
        if stream is None:
            refuse_errors(lambda: estimator.fit(photos, ages, terms=terms))
        else:
            from ageboost.batch import fit_stream

            refuse_errors(lambda: fit_stream(estimator, photos, stream, ages, terms=terms))
    with writing(out):
        estimator.save(out)
    typer.echo(f"{out}: learnt from {estimator.n_photos_} photos")
    print_terms(out, estimator)
    finish([*bad_rows, *left_out(table, estimator.left_out_)])


@app.command()
def tune(
    labels: LabelsArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The .json file to write the best settings to.")
    ],
    study: Annotated[
        Path | None,
        typer.Option(help="SQLite file for the trials; a new search continues from there."),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Total number of trials, including those in the study.")
    ] = 50,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds after which no new trial begins.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 3,
    group_column: Annotated[
        str | None,
        typer.Option(
            help="Column that says who is in each photo, to keep a person's photos together."
        ),
    ] = None,
    features: Annotated[
        FeatureSet | None,
        typer.Option(help="Features to use; by default, the search chooses them."),
    ] = None,
    regressor: Annotated[Regressor, typer.Option(help="Regressor to train.")] = Regressor.XGBOOST,
    space: Annotated[
        Path | None, typer.Option(help="A JSON file with the parameters to vary, and their limits.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="A figure of the search; its extension decides the format."),
    ] = None,
    landmarks: LandmarksOption = None,
    max_side: MaxSideOption = None,
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    skip_bad_rows: SkipOption = False,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
    random_state: SeedOption = 0,
) -> None:
    """Search for settings that suit your photos, for train --settings."""
    from ageboost import models
    from ageboost._pages.figures import import_figure
    from ageboost.models._study import import_optuna

    refuse_errors(import_optuna)
    check_suffix(out, (".json",), "the settings")
    if study is not None:
        check_folder(study)
    if plot is not None:
        check_suffix(plot, FIGURE_SUFFIXES, "the figure")
        refuse_errors(lambda: import_figure("tune"))
    check_apart(
        {"--out": out, "--study": study, "--plot": plot}, {"LABELS": labels, "--space": space}
    )
    table, bad_rows = read_labels_or_refuse(
        labels, LabelColumns(photo_column, age_column, group_column), skip_bad_rows
    )
    estimator = _make_estimator(features, regressor, jobs, cache, random_state)
    _set_finder(estimator, landmarks, max_side)
    varied = models.search_space(regressor.value) if space is None else space
    if isinstance(varied, dict) and features is not None:
        del varied["features"]
    with left_out_named_at_the_end(), warnings.catch_warnings():
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
    with writing(out), replacing(out) as new:
        new.write_text(json.dumps(chosen, indent=1, allow_nan=False) + "\n", "utf-8")
    if plot is not None:
        save_figure(result.plot(), plot)
    if result.interrupted:
        typer.echo(f"stopped: the best of {len(result.trials)} trials", err=True)
        raise typer.Exit(EXIT_INTERRUPTED)
    finish([*bad_rows, *left_out(table, result.left_out)])


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
    from ageboost.models.spaces import has_parameter

    try:
        settings = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        refuse(f"{str(path)!r} is not a JSON file: {error}")
    if not isinstance(settings, dict):
        refuse(f"{str(path)!r} holds no settings: pass a file that tune wrote")
    # Which parameters there are depends on the parts; XGBoost itself takes any name.
    estimator.set_params(**{name: settings[name] for name in settings if "__" not in name})
    for name in settings:
        if not has_parameter(estimator, name):
            refuse(f"{name!r} in {str(path)!r} is not a parameter: correct it, or remove it")
    estimator.set_params(**settings)


def _set_finder(estimator: AgeEstimator, landmarks: Landmarks | None, max_side: int | None) -> None:
    """Let faces be looked for as the options say, else as is usual for the features."""
    if landmarks is not None:
        estimator.set_params(features__finder__landmarks=int(landmarks.value))
    if max_side is not None:
        estimator.set_params(features__finder__max_side=max_side)
