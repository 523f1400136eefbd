"""Commands about models: train, tune, evaluate, calibrate, adapt, report."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ageboost._files import replacing
from ageboost._progress import show_progress
from ageboost.cli._figures import FIGURE_SUFFIXES, save_figure
from ageboost.cli._labels import (
    LabelColumns,
    name_rows,
    read_labels_or_refuse,
    read_usable_labels,
)
from ageboost.cli._shared import (
    EXIT_INTERRUPTED,
    CacheOption,
    JobsOption,
    MaxSideOption,
    advised,
    check_apart,
    check_folder,
    check_suffix,
    check_table_path,
    failures,
    finish,
    load_model,
    look_with,
    refuse,
    refuse_errors,
    replace_table,
    writing,
)
from ageboost.terms import photo_terms

if TYPE_CHECKING:
    import pandas as pd

    from ageboost import AgeEstimator, PhotoError

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
PhotoColumnOption = Annotated[
    str | None, typer.Option(help="The column of the photos' paths, if LABELS is a file of yours.")
]
AgeColumnOption = Annotated[
    str | None, typer.Option(help="The column of the ages, if LABELS is a file of yours.")
]
SkipOption = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows", help="Go on without rows of the labels that cannot be used; name them."
    ),
]
LandmarksOption = Annotated[
    Landmarks | None,
    typer.Option(
        help="Points that faces are aligned by; the predictor of 68 is not for commercial use. By "
        "default 68, for fast 5."
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option(help="cuda grows trees and runs networks on an accelerator.")
]


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
    landmarks: LandmarksOption = None,
    max_side: MaxSideOption = None,
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    skip_bad_rows: SkipOption = False,
    jobs: JobsOption = -1,
    device: DeviceOption = None,
    cache: CacheOption = None,
    random_state: SeedOption = 0,
    commercial: CommercialOption = False,
) -> None:
    """Train a model on photos of people whose ages are known."""
    _check_model_path(out, {"LABELS": labels, "--settings": settings})
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
    terms = _collections_of(table, labels)
    with show_progress(), _left_out_named_at_the_end():
        refuse_errors(lambda: estimator.fit(table["photo"].tolist(), table["age"], terms=terms))
    with writing(out):
        estimator.save(out)
    typer.echo(f"{out}: learnt from {estimator.n_photos_} photos")
    typer.echo(f"{out}: {estimator.terms.summary}")
    finish([*bad_rows, *_left_out(table, estimator.left_out_)])


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
    plot: Annotated[
        Path | None,
        typer.Option(help="The figure of the search, in the format that its name ends in."),
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
    """Search for the settings that suit your photos; train --settings takes them."""
    from ageboost import models
    from ageboost.models import tuning

    refuse_errors(tuning.import_optuna)
    check_suffix(out, (".json",), "the settings")
    if study is not None:
        check_folder(study)
    if plot is not None:
        check_suffix(plot, FIGURE_SUFFIXES, "the figure")
        refuse_errors(tuning.import_figure)
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
    with _left_out_named_at_the_end(), warnings.catch_warnings():
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
    finish([*bad_rows, *_left_out(table, result.left_out)])


@app.command()
def evaluate(
    model: ModelArgument,
    labels: LabelsArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A .csv, .json or .parquet file for each photo's errors."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Another model: by how much it is better or worse on the same photos."),
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(help="Who is on the photo: people are drawn with all of their photos."),
    ] = None,
    max_side: MaxSideOption = None,
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    skip_bad_rows: SkipOption = False,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Compare a model's ages with the true ones, and with those of another model."""
    from ageboost.evaluation import summarize_errors

    if group_column is not None and against is None:
        refuse("--group-column is for a comparison: name the other model with --against")
    if out is not None:
        check_table_path(out)
        check_apart({"--out": out}, {"LABELS": labels, "MODEL": model, "--against": against})
    table, bad_rows = read_labels_or_refuse(
        labels, LabelColumns(photo_column, age_column, group_column), skip_bad_rows
    )
    models = [look_with(load_model(name), max_side) for name in (model, against) if name]
    for one in models:
        one.set_params(n_jobs=jobs, cache=cache, on_error="nan")
    with show_progress():
        found, *others = (_estimate(one, table) for one in models)
    for name, value in summarize_errors(found["true_age"], found["age"]).items():
        typer.echo(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    inside = found["true_age"].between(found["age_low"], found["age_high"])[found["status"] == "ok"]
    if inside.notna().any():
        typer.echo(f"inside their 90 % ranges: {inside.mean():.3f}")
    for other in others:
        people = None if group_column is None else table[group_column]
        _print_comparison(found, other, people, str(against))
        found.insert(found.columns.get_loc("age_high") + 1, "other_age", other["age"])
    if out is not None:
        with writing(out):
            replace_table(found, out)
    finish([*bad_rows, *failures(found)])


def _estimate(model: AgeEstimator, table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    batches = model.analyze_batches(table["photo"].tolist())
    found = pd.concat(map(advised, batches), ignore_index=True)
    # The main face of a photo comes first; a photo without a face has one row.
    found = found[found["face"].fillna(0) == 0].reset_index(drop=True)
    found.insert(1, "true_age", table["age"].to_numpy())
    return found


def _print_comparison(
    found: pd.DataFrame, other: pd.DataFrame, people: pd.Series | None, name: str
) -> None:
    from ageboost.evaluation import compare_models

    if not (found["age"].notna() & other["age"].notna()).any():
        typer.echo(f"{name}: no photo has an age by both models")
        return
    compared = compare_models(found["true_age"], found["age"], other["age"], people)
    n_photos, n_people = compared[["photos", "people"]].iloc[0]
    of = f"{n_photos:,} photos" if people is None else f"{n_photos:,} photos of {n_people:,} people"
    typer.echo(f"{name}, less the first model, on the same {of} (95 % interval):")
    for row in compared.itertuples():
        sure = "" if row.certain else ", which may be chance"
        typer.echo(
            f"  {row.metric}: {row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f}){sure}"
        )


@app.command()
def calibrate(
    model: ModelArgument,
    labels: LabelsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to save the calibrated model.")],
    max_side: MaxSideOption = None,
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    skip_bad_rows: SkipOption = False,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
    commercial: CommercialOption = False,
) -> None:
    """Learn from photos of your own how far a model's ages can be off."""
    _check_model_path(out, {"LABELS": labels})
    table, bad_rows = read_labels_or_refuse(
        labels, LabelColumns(photo_column, age_column), skip_bad_rows
    )
    estimator = look_with(load_model(model), max_side)
    estimator.set_params(n_jobs=jobs, cache=cache, on_error="nan")
    terms = _agree_on_terms(estimator, table, labels, commercial)
    with show_progress(), _left_out_named_at_the_end():
        refuse_errors(
            lambda: estimator.calibrate(table["photo"].tolist(), table["age"], terms=terms)
        )
    with writing(out):
        estimator.save(out)
    n_photos = len(table) - len(estimator.left_out_)
    typer.echo(f"{out}: calibrated with {n_photos} photos")
    typer.echo(f"{out}: {estimator.terms.summary}")
    finish([*bad_rows, *_left_out(table, estimator.left_out_)])


@app.command()
def adapt(
    model: ModelArgument,
    labels: LabelsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to save the adapted model.")],
    group_column: Annotated[
        str | None,
        typer.Option(
            help="Who is on the photo: nobody both teaches and tests. By default the column "
            "subject, if there is one."
        ),
    ] = None,
    max_side: MaxSideOption = None,
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    skip_bad_rows: SkipOption = False,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
    commercial: CommercialOption = False,
) -> None:
    """Adapt a model to your own camera, from 25 labelled photos on: its ages and its ranges."""
    _check_model_path(out, {"LABELS": labels})
    table, bad_rows = read_labels_or_refuse(
        labels, LabelColumns(photo_column, age_column, group_column), skip_bad_rows
    )
    named = group_column or ("subject" if "subject" in table else None)
    groups = None if named is None else table[named]
    estimator = look_with(load_model(model), max_side)
    estimator.set_params(n_jobs=jobs, cache=cache, on_error="nan")
    terms = _agree_on_terms(estimator, table, labels, commercial)
    with show_progress(), _left_out_named_at_the_end():
        refuse_errors(
            lambda: estimator.adapt(table["photo"].tolist(), table["age"], groups, terms=terms)
        )
    with writing(out):
        estimator.save(out)
    correction = estimator.correction_
    assert correction is not None  # `adapt` has just set it
    typer.echo(f"{out}: adapted to {correction.n_photos_} photos")
    if correction.strength_ == 0:
        typer.echo("ages stay as they were: no correction was better in cross-validation")
    else:
        off = float(abs(correction.errors_).mean())
        typer.echo(f"ages are corrected: off by {off:.2f} years on average in cross-validation")
    typer.echo(f"{out}: {estimator.terms.summary}")
    finish([*bad_rows, *_left_out(table, estimator.left_out_)])


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
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    max_side: MaxSideOption = None,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Write a page about labelled photos: ages, quality, copies, doubtful labels, errors."""
    from ageboost.evaluation import make_report

    check_suffix(out, (".html", ".htm"), "the page")
    check_apart({"--out": out}, {"LABELS": labels, "--model": model})
    if max_side is not None and model is None:
        refuse("--max-side is that of a model: name it with --model")
    estimator = None if model is None else look_with(load_model(model), max_side)
    table, unusable = read_usable_labels(labels, LabelColumns(photo_column, age_column))
    with show_progress():
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
    finish([*name_rows(unusable), *failures(made.photos)])


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
        refuse(f"{str(path)!r} is no JSON file: {error}")
    if not isinstance(settings, dict):
        refuse(f"{str(path)!r} holds no settings: pass a file that tune wrote")
    # Which parameters there are depends on the parts; XGBoost itself takes any name.
    estimator.set_params(**{name: settings[name] for name in settings if "__" not in name})
    for name in settings:
        if not has_parameter(estimator, name):
            refuse(f"{name!r} in {str(path)!r} is no parameter: correct it, or take it out")
    estimator.set_params(**settings)


def _set_finder(estimator: AgeEstimator, landmarks: Landmarks | None, max_side: int | None) -> None:
    """Let faces be looked for as the options say, else as is usual for the features."""
    if landmarks is not None:
        estimator.set_params(features__finder__landmarks=int(landmarks.value))
    if max_side is not None:
        estimator.set_params(features__finder__max_side=max_side)


def _agree_on_terms(
    estimator: AgeEstimator, table: pd.DataFrame, labels: Path, commercial: bool
) -> list[str | None]:
    """Say whether a model stays one for a business, and on what terms its new photos are."""
    terms = _collections_of(table, labels)
    if commercial:
        estimator.set_params(commercial=True)
    elif any(part.commercial == "no" for part in photo_terms(terms)):
        # It becomes a model for research then, and says so.
        estimator.set_params(commercial=False)
    return terms


def _collections_of(table: pd.DataFrame, path: Path) -> list[str | None]:
    """Recognise collections that have terms of their own."""
    from ageboost.datasets import collections_of

    return collections_of(table, path)


def _check_model_path(out: Path, inputs: Mapping[str, Path | None]) -> None:
    from ageboost.models.card import card_path, check_card_path

    check_folder(out)
    refuse_errors(lambda: check_card_path(card_path(out)))
    check_apart({"--out": out, "the card of --out": card_path(out)}, inputs)


@contextmanager
def _left_out_named_at_the_end() -> Iterator[None]:
    """Silence the warning that counts photos without a face: they are named one by one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* photos are left out of the ")
        yield


def _left_out(
    table: pd.DataFrame, errors: Iterable[tuple[int, PhotoError]]
) -> Iterator[tuple[str, str]]:
    return ((table["photo"].iloc[row], str(error)) for row, error in errors)
