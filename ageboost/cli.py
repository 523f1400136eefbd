"""The same things from a shell: predict, draw, explain, train, tune, evaluate, report."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from ageboost._partial import PartialTable, file_stamp
from ageboost.errors import AgeboostError, PhotoError

if TYPE_CHECKING:
    import pandas as pd

    from ageboost import AgeEstimator

app = typer.Typer(
    help="Estimate how old the people in photos are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# Shells and supervisors can rely on these.
EXIT_SOME_WITHOUT_AGE = 1
EXIT_WRONG_CALL = 2
EXIT_NOT_WRITTEN = 3
EXIT_INTERRUPTED = 130

_PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
_TABLE_SUFFIXES = {".csv", ".json", ".parquet"}
_PHOTOS_AT_ONCE = 256
_PHOTOS_PER_BATCH = 32
# Of a row: the last is its message.
_STATUS = -2

T = TypeVar("T")


class FeatureSet(StrEnum):
    """Which features a model looks at."""

    ALL = "all"
    CLASSICAL = "classical"
    CNN = "cnn"
    ACCURATE = "accurate"
    FAST = "fast"


class Regressor(StrEnum):
    """Which library grows the trees."""

    XGBOOST = "xgboost"
    CATBOOST = "catboost"
    BLEND = "blend"


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A saved model, or one that ships: accurate (the default), fast or classical.",
    ),
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", help="Processes; -1 for all cores.")]
CacheOption = Annotated[
    Path | None,
    typer.Option(help="Folder to keep features in. They are personal data: guard it."),
]
SeedOption = Annotated[int, typer.Option(help="Seed.")]


@app.command()
def predict(
    photos: Annotated[
        list[str],
        typer.Argument(help="Files, folders or globs; - reads a list from standard input."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .csv, .json or .parquet file.")
    ] = None,
    model: ModelOption = None,
    jobs: JobsOption = 1,
    cache: CacheOption = None,
    coverage: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Share of ages inside their ranges.")
    ] = 0.9,
) -> None:
    """Estimate the age of every face in photos, one row per face.

    With --out, rows are kept beside the table while it grows, in a file that ends in .partial.
    A run that was stopped or killed goes on from there when it is started again.
    """
    if out is not None:
        _check_table_path(out)
    paths = _list_photos(photos)
    estimator = _load_model(model).set_params(n_jobs=jobs, cache=cache)
    if out is None:
        _finish(_print_rows(estimator, paths, coverage))
    else:
        settings = {
            "ageboost": version("ageboost"),
            "model": _model_digest(model),
            "coverage": coverage,
        }
        _finish(_failures(_predict_to_file(estimator, paths, coverage, out, settings)))


@app.command()
def draw(
    photo: Annotated[Path, typer.Argument(help="A photo.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The PNG file to write.")],
    model: ModelOption = None,
) -> None:
    """Draw boxes and ages on a photo."""
    from ageboost.evaluation import draw_ages

    table = _load_model(model).analyze([str(photo)])
    if (table["status"] == "ok").all():
        draw_ages(str(photo), table).save(_check_folder(out), format="PNG")
        for row in table.itertuples():
            typer.echo(
                f"face {row.face}: {row.age:.0f} years ({row.age_low:.0f}-{row.age_high:.0f})"
            )
    _finish(_failures(table))


@app.command()
def explain(
    photo: Annotated[Path, typer.Argument(help="A photo.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The PNG file to draw the map in.")
    ] = None,
    model: ModelOption = None,
) -> None:
    """Tell how many years each part of the main face adds to its age, or takes."""
    from ageboost import evaluation
    from ageboost.evaluation.explanation.drawing import import_figure

    if out is not None:
        _check_folder(out)
        _refuse_errors(import_figure)
    estimator = _load_model(model)
    try:
        reasons = evaluation.explain(estimator, str(photo))
    except PhotoError as error:
        return _finish([(str(photo), str(error))])
    except ValueError as error:
        _refuse(str(error))
    typer.echo(f"on average: {reasons.base_value:.1f} years")
    for region, years in reasons.regions.items():
        typer.echo(f"{region}: {years:+.1f}")
    typer.echo(f"this face: {reasons.prediction:.1f} years")
    if out is not None:
        reasons.draw().savefig(out, format="png", dpi=150)
    return None


@app.command()
def train(
    labels: Annotated[Path, typer.Argument(help="A CSV file, or the folder of a known data set.")],
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
    cache: CacheOption = None,
    random_state: SeedOption = 0,
) -> None:
    """Train a model on photos of people whose ages are known."""
    _check_folder(out)
    if settings is not None and (features or regressor):
        _refuse("--settings say which features and regressor: leave out the other options")
    estimator = _make_estimator(features, regressor, jobs, cache, random_state)
    if settings is not None:
        _refuse_errors(lambda: _apply_settings(estimator, settings))
    table = _read_labels(labels)
    with _spinner(f"Learning from {len(table)} photos"), warnings.catch_warnings():
        # The photos that are left out are named one by one at the end.
        warnings.simplefilter("ignore", UserWarning)
        _refuse_errors(lambda: estimator.fit(table["photo"].tolist(), table["age"]))
    estimator.save(out)
    typer.echo(f"{out}: learnt from {estimator.n_photos_} photos")
    _finish((table["photo"].iloc[row], str(error)) for row, error in estimator.left_out_)


@app.command()
def tune(
    labels: Annotated[Path, typer.Argument(help="A CSV file, or the folder of a known data set.")],
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

    _refuse_errors(tuning.import_optuna)
    for path in filter(None, (out, study, plot)):
        _check_folder(path)
    if plot is not None:
        _refuse_errors(tuning.import_figure)
    table = _read_labels(labels, [group_column] if group_column else [])
    if group_column is not None and group_column not in table:
        _refuse(f"no column {group_column!r} in {str(labels)!r}, which has {', '.join(table)}")
    estimator = _make_estimator(features, regressor, jobs, cache, random_state)
    varied = models.search_space(regressor.value) if space is None else space
    if isinstance(varied, dict) and features is not None:
        del varied["features"]
    with warnings.catch_warnings():
        # The photos that are left out are named one by one at the end.
        warnings.filterwarnings("ignore", message=".* photos are left out of the search")
        warnings.filterwarnings("ignore", message="stopped after")
        result = _refuse_errors(
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
    out.write_text(json.dumps(chosen, indent=1) + "\n", "utf-8")
    if plot is not None:
        result.plot().savefig(plot, format="png", dpi=150)
    for name, value in chosen.items():
        typer.echo(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
    typer.echo(f"MAE in cross-validation: {result.best_score:.2f} years")
    if result.interrupted:
        typer.echo(f"stopped: the best of {len(result.trials)} trials", err=True)
        raise typer.Exit(EXIT_INTERRUPTED)
    _finish((table["photo"].iloc[row], str(error)) for row, error in result.left_out)


@app.command()
def evaluate(
    model: Annotated[
        str, typer.Argument(help="A saved model, or accurate, fast or classical, which ship.")
    ],
    labels: Annotated[Path, typer.Argument(help="A CSV file, or the folder of a known data set.")],
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
        _check_table_path(out)
    table = _read_labels(labels)
    estimator = _load_model(model).set_params(n_jobs=jobs, cache=cache, on_error="nan")
    paths = table["photo"].tolist()
    tables = [estimator.analyze(chunk) for chunk in _progress(paths, "Evaluating")]
    found = pd.concat(tables, ignore_index=True)
    # The largest face of a photo comes first; a photo without a face has one row.
    found = found[found["face"].fillna(0) == 0].reset_index(drop=True)
    found.insert(1, "true_age", table["age"].to_numpy())
    for name, value in summarize_errors(found["true_age"], found["age"]).items():
        typer.echo(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    inside = found["true_age"].between(found["age_low"], found["age_high"])[found["status"] == "ok"]
    typer.echo(f"inside their 90 % ranges: {inside.mean():.3f}")
    if out is not None:
        _replace_table(found, out)
    _finish(_failures(found))


@app.command()
def calibrate(
    model: Annotated[
        str, typer.Argument(help="A saved model, or accurate, fast or classical, which ship.")
    ],
    labels: Annotated[Path, typer.Argument(help="A CSV file, or the folder of a known data set.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to save the calibrated model.")],
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Learn from photos of your own how far a model's ages can be off."""
    _check_folder(out)
    table = _read_labels(labels)
    estimator = _load_model(model).set_params(n_jobs=jobs, cache=cache, on_error="nan")
    with _spinner(f"Learning from {len(table)} photos"), warnings.catch_warnings():
        # The photos that are left out are named one by one at the end.
        warnings.simplefilter("ignore", UserWarning)
        _refuse_errors(lambda: estimator.calibrate(table["photo"].tolist(), table["age"]))
    estimator.save(out)
    n_photos = len(table) - len(estimator.left_out_)
    typer.echo(f"{out}: calibrated with {n_photos} photos")
    _finish((table["photo"].iloc[row], str(error)) for row, error in estimator.left_out_)


@app.command()
def report(
    labels: Annotated[Path, typer.Argument(help="A CSV file, or the folder of a known data set.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="A saved model to measure, too, or one that ships: accurate, fast or classical.",
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

    _check_folder(out)
    estimator = None if model is None else _load_model(model)
    table, unusable = _read_usable_labels(labels)
    with _spinner(f"Looking at {len(table)} photos"):
        made = _refuse_errors(
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
        made.save(out)
    typer.echo(f"{out}: {len(made.photos)} photos")
    bad_rows = ((str(row), f"row {row}: {problem}") for row, problem in unusable)
    _finish([*bad_rows, *_failures(made.photos)])


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:
            # What is to be kept is on the disk; libraries would take their time to shut down.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(EXIT_INTERRUPTED)
        raise


def _print_rows(
    estimator: AgeEstimator, paths: list[str], coverage: float
) -> Iterator[tuple[str, str]]:
    """Print each batch when it is done; yield the photos without an age."""
    failures: list[tuple[str, str]] = []
    batches = estimator.analyze_batches(paths, coverage=coverage)
    for number, table in enumerate(batches):
        table.to_csv(sys.stdout, index=False, header=number == 0, float_format="%.2f")
        failures += _failures(table)
    yield from failures


def _predict_to_file(
    estimator: AgeEstimator,
    paths: list[str],
    coverage: float,
    out: Path,
    settings: dict[str, object],
) -> pd.DataFrame:
    """Keep rows batch by batch; the table takes its place once it is whole."""
    from ageboost.models.estimator import faces_table

    stamps = {path: file_stamp(path) for path in paths}
    try:
        partial = PartialTable(out.with_name(f"{out.name}.partial"), settings)
    except OSError as error:
        _refuse(f"{str(out)!r}: cannot be written there: {error.strerror or error}")
    with partial:
        ages = {p: partial.rows[p, s] for p, s in stamps.items() if (p, s) in partial.rows}
        todo = [path for path in stamps if path not in ages]
        if ages:
            typer.echo(f"going on: {len(ages)} of {len(stamps)} photos are done", err=True)
        try:
            batches = estimator.analyze_batches(todo, coverage=coverage)
            for done in _photos_of(_count(batches, len(todo), "Estimating"), todo):
                _check_not_gone([path for path, _ in done], stamps)
                partial.append(
                    [
                        # Perhaps it could not be read for a moment only: another run looks again.
                        (path, None if rows[0][_STATUS] == "unreadable" else stamps[path], rows)
                        for path, rows in done
                    ]
                )
                ages.update(done)
            table = faces_table([row for path in paths for row in ages[path]])
            _replace_table(table, out)
            partial.remove()
        except KeyboardInterrupt:
            _stop(partial, ages, stamps, "stopped", EXIT_INTERRUPTED)
        except OSError as error:
            reason = f"{str(out)!r} cannot be written: {error.strerror or error}"
            _stop(partial, ages, stamps, reason, EXIT_NOT_WRITTEN)
    return table


def _check_not_gone(paths: list[str], stamps: Mapping[str, object]) -> None:
    """Stop where a whole batch of photos that were there is not there any more."""
    if len(paths) > 1 and all(stamps[path] and file_stamp(path) is None for path in paths):
        raise OSError(f"its photos are gone, {paths[0]!r} and more: is their folder still there?")


def _stop(partial: PartialTable, ages: Sized, stamps: Sized, reason: str, status: int) -> NoReturn:
    typer.echo(
        f"ageboost: {reason}: {len(ages)} of {len(stamps)} photos are done and kept in "
        f"{str(partial.path)!r}: the same command goes on from there",
        err=True,
    )
    raise typer.Exit(status)


def _photos_of(
    tables: Iterable[pd.DataFrame], paths: Iterable[str]
) -> Iterator[list[tuple[str, list[list[object]]]]]:
    """Part each table into the rows of its photos; a photo's first face is number 0, or none."""
    import pandas as pd

    names = iter(paths)
    for table in tables:
        done: list[tuple[str, list[list[object]]]] = []
        for row in table.itertuples(index=False):
            if row.face is pd.NA or row.face == 0:
                done.append((next(names), []))
            done[-1][1].append(list(row))
        yield done


def _list_photos(arguments: Iterable[str]) -> list[str]:
    """Expand folders, globs and the list on standard input to paths, in a stable order."""
    paths: list[str] = []
    for argument in arguments:
        if argument == "-":
            lines = os.fsdecode(sys.stdin.buffer.read()).splitlines()
            paths += [line for line in lines if line.strip()]
        elif os.path.isdir(argument):
            found = [
                str(path)
                for path in sorted(Path(argument).rglob("*"))
                if path.suffix.lower() in _PHOTO_SUFFIXES and _is_file(path)
            ]
            if not found:
                _refuse(f"no photos in the folder {argument!r}")
            paths += found
        elif glob.has_magic(argument) and not os.path.exists(argument):
            found = sorted(glob.glob(argument, recursive=True))
            if not found:
                _refuse(f"no file matches {argument!r}")
            paths += found
        else:
            # One that does not exist gets a row that says so, and the others are not lost.
            paths.append(argument)
    if not paths:
        _refuse("no photos given")
    return paths


def _load_model(model: str | None) -> AgeEstimator:
    import ageboost
    from ageboost.models.persistence import pretrained_names

    if model is None:
        return ageboost.load_pretrained()
    try:
        if model in pretrained_names() and not os.path.exists(model):
            return ageboost.load_pretrained(model)
        return ageboost.load(model)
    except (AgeboostError, OSError) as error:
        _refuse(str(error))


def _model_digest(model: str | None) -> str:
    """Tell models apart by what is in their files."""
    from ageboost.models.persistence import pretrained_names, pretrained_path

    name = model or "accurate"
    shipped = name in pretrained_names() and not (model and os.path.exists(model))
    path = pretrained_path(name) if shipped else Path(name)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _make_estimator(
    features: FeatureSet | None,
    regressor: Regressor | None,
    jobs: int,
    cache: Path | None,
    random_state: int,
) -> AgeEstimator:
    from ageboost import AgeEstimator

    return AgeEstimator(
        (features or FeatureSet.ALL).value,
        regressor=(regressor or Regressor.XGBOOST).value,
        on_error="nan",
        cache=cache,
        n_jobs=jobs,
        random_state=random_state,
    )


def _apply_settings(estimator: AgeEstimator, path: Path) -> None:
    from ageboost.models.search_space import has_parameter

    try:
        settings = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        _refuse(f"{str(path)!r} is no JSON file: {error}")
    if not isinstance(settings, dict):
        _refuse(f"{str(path)!r} holds no settings: pass a file that tune wrote")
    # Which parameters there are depends on the parts; XGBoost itself takes any name.
    estimator.set_params(**{name: settings[name] for name in settings if "__" not in name})
    for name in settings:
        if not has_parameter(estimator, name):
            _refuse(f"{name!r} in {str(path)!r} is no parameter: correct it, or take it out")
    estimator.set_params(**settings)


def _read_labels(path: Path, others: Sequence[str] = ()) -> pd.DataFrame:
    from ageboost.datasets import read_labels

    return _refuse_errors(lambda: read_labels(path, others=others))


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
            table = _refuse_errors(lambda: read_labels(path, on_error="drop"))
        if table.empty:
            _refuse(str(error))
        return table, error.problems
    except (OSError, ValueError) as error:
        _refuse(str(error))


def _is_file(path: Path) -> bool:
    """Tell whether it is a file; links in circles are none, and are not followed for ever."""
    try:
        return path.is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _check_table_path(path: Path) -> None:
    if path.suffix.lower() not in _TABLE_SUFFIXES:
        _refuse(f"{str(path)!r}: the table must end in {', '.join(sorted(_TABLE_SUFFIXES))}")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            _refuse('a .parquet file needs pyarrow: pip install "ageboost[parquet]"')
    _check_folder(path)


def _check_folder(path: Path) -> Path:
    """Find out before the work, not after it, that the result has nowhere to go."""
    if not path.absolute().parent.is_dir():
        _refuse(f"{str(path)!r}: there is no folder {str(path.absolute().parent)!r}")
    return path


def _write_table(table: pd.DataFrame, path: Path, suffix: str) -> None:
    match suffix:
        case ".csv":
            table.to_csv(path, index=False, float_format="%.2f")
        case ".json":
            table.to_json(path, orient="records", indent=1)
        case _:
            table.to_parquet(path, index=False)


def _replace_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    try:
        _write_table(table, new, path.suffix.lower())
        with open(new, "rb") as file:
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def _progress(paths: list[str], title: str) -> Iterator[list[str]]:
    """Yield the paths in chunks, with a bar on a terminal."""
    chunks = [paths[i : i + _PHOTOS_AT_ONCE] for i in range(0, len(paths), _PHOTOS_AT_ONCE)]
    console = Console(stderr=True)
    yield from track(chunks, title, console=console, disable=not console.is_terminal)


def _count(batches: Iterable[T], n_photos: int, title: str) -> Iterator[T]:
    """Yield batches, with a bar on a terminal."""
    console = Console(stderr=True)
    n_batches = -(-n_photos // _PHOTOS_PER_BATCH)
    yield from track(
        batches, title, total=n_batches, console=console, disable=not console.is_terminal
    )


def _spinner(title: str) -> AbstractContextManager[object]:
    console = Console(stderr=True)
    return console.status(title) if console.is_terminal else nullcontext()


def _failures(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    failed = table[table["status"] != "ok"]
    return zip(failed["photo"], failed["message"], strict=True)


def _finish(failures: Iterable[tuple[str, str]]) -> None:
    """Name every photo without an age, and tell by the exit status whether there was one."""
    messages = [message for _, message in failures]
    for message in messages:
        typer.echo(message, err=True)
    if messages:
        raise typer.Exit(EXIT_SOME_WITHOUT_AGE)


def _refuse_errors(call: Callable[[], T]) -> T:
    try:
        return call()
    except (AgeboostError, ImportError, OSError, ValueError) as error:
        _refuse(str(error))


def _refuse(message: str) -> NoReturn:
    typer.echo(f"ageboost: {message}", err=True)
    raise typer.Exit(EXIT_WRONG_CALL)
