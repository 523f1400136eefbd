"""Commands that look at photos: predict, draw, explain."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ageboost._files import file_stamp, replacing
from ageboost._partial import PartialTable
from ageboost._progress import show_progress
from ageboost.cli._figures import FIGURE_SUFFIXES, save_figure
from ageboost.cli._listing import gather_photos
from ageboost.cli._own_shards import write_own_shards
from ageboost.cli._shared import (
    EXIT_INTERRUPTED,
    EXIT_NOT_WRITTEN,
    CacheOption,
    JobsOption,
    MaxSideOption,
    ModelOption,
    advised,
    check_apart,
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
from ageboost.errors import AgeboostError, PhotoError

if TYPE_CHECKING:
    import pandas as pd

    from ageboost import AgeEstimator

app = typer.Typer()

_DRAWN_FORMATS = {
    **{".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"},
    **{".tif": "TIFF", ".tiff": "TIFF"},
}

# Of a row: the last is its message.
_STATUS = -2


@app.command()
def predict(
    photos: Annotated[
        list[str],
        typer.Argument(help="Files, folders or globs; - reads a list from standard input."),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="A .csv, .json or .parquet file; with --shards, a folder, or one in a bucket.",
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Write this many Parquet files into a folder. Any number of machines that share "
            "it can run the same command: each takes shards that no other has.",
        ),
    ] = None,
    lease: Annotated[
        float,
        typer.Option(
            min=1.0,
            help="With --shards: seconds without a sign of life after which another machine's "
            "shard is taken over.",
        ),
    ] = 60.0,
    model: ModelOption = None,
    jobs: JobsOption = 1,
    dask: Annotated[
        str | None,
        typer.Option(help="Dask scheduler (host:port) whose workers process the photos."),
    ] = None,
    cache: CacheOption = None,
    coverage: Annotated[
        float,
        typer.Option(min=0.01, max=0.99, help="Share of true ages that ranges should contain."),
    ] = 0.9,
    max_side: MaxSideOption = None,
) -> None:
    """Estimate the age of every face in photos, one row per face.

    With --out, rows are collected in a file that ends in .partial until the table is complete. A
    run that was stopped or killed continues from there when it is started again.
    """
    if shards is not None and out is None:
        refuse("--shards needs --out, the folder that they go to")
    table = None if out is None or shards is not None else Path(out)
    if table is not None:
        check_table_path(table)
    names, unread = gather_photos(photos)
    paths = [] if out is None else list(names)
    if table is not None:
        check_apart({"--out": table}, {**{path: path for path in paths}, "--model": model})
    estimator = look_with(load_model(model), max_side).set_params(n_jobs=jobs, cache=cache)
    with _workers(estimator, dask):
        if out is None:
            return finish(chain(unread, _print_rows(estimator, names, coverage)))
        settings = {
            "ageboost": version("ageboost"),
            "model": _model_digest(model),
            "coverage": coverage,
            "max_side": max_side,
        }
        if table is None:
            write_own_shards(estimator, paths, out, shards or 1, lease, settings)
            return finish(unread)
        rows = _predict_to_file(estimator, paths, coverage, table, settings)
        return finish(chain(unread, failures(rows)))


@app.command()
def draw(
    photo: Annotated[Path, typer.Argument(help="A photo.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The picture to write; its extension decides the format."),
    ],
    model: ModelOption = None,
    max_side: MaxSideOption = None,
) -> None:
    """Draw boxes and ages on a photo."""
    from ageboost.evaluation import draw_ages

    check_suffix(out, _DRAWN_FORMATS, "the picture")
    check_apart({"--out": out}, {"the photo": photo, "--model": model})
    table = look_with(load_model(model), max_side).analyze([str(photo)])
    if (table["status"] == "ok").all():
        drawn = draw_ages(str(photo), table)
        with writing(out), replacing(out) as new:
            kind = _DRAWN_FORMATS[out.suffix.lower()]
            drawn.save(new, format=kind, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
        for row in table.itertuples():
            typer.echo(f"face {row.face}: {row.age:.0f} years{_range(row)}")
    finish(failures(table))


@app.command()
def explain(
    photo: Annotated[Path, typer.Argument(help="A photo.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The map to write; its extension decides the format."),
    ] = None,
    model: ModelOption = None,
    max_side: MaxSideOption = None,
) -> None:
    """Show how many years each part of the main face adds to or subtracts from its age."""
    from ageboost import evaluation
    from ageboost._pages.figures import import_figure

    if out is not None:
        check_suffix(out, FIGURE_SUFFIXES, "the map")
        check_apart({"--out": out}, {"the photo": photo, "--model": model})
        refuse_errors(import_figure)
    estimator = look_with(load_model(model), max_side)
    try:
        reasons = evaluation.explain(estimator, str(photo))
    except PhotoError as error:
        return finish([(str(photo), str(error))])
    except ValueError as error:
        refuse(str(error))
    typer.echo(f"on average: {reasons.base_value:.1f} years")
    for region, years in reasons.regions.items():
        typer.echo(f"{region}: {years:+.1f}")
    typer.echo(f"this face: {reasons.prediction:.1f} years")
    if out is not None:
        save_figure(reasons.draw(), out)
    return None


@contextmanager
def _workers(estimator: AgeEstimator, dask: str | None) -> Iterator[None]:
    """Let the workers of Dask look at photos, where a scheduler is named."""
    if dask is None:
        yield
        return
    from ageboost.batch._dask import on_dask

    # As many as there are.
    estimator.set_params(n_jobs=-1)
    with on_dask(dask):
        yield


def _range(row: Any) -> str:
    """Of a model that does not know how far its ages are off, there is none."""
    import pandas as pd

    return "" if pd.isna(row.age_low) else f" ({row.age_low:.0f}-{row.age_high:.0f})"


def _print_rows(
    estimator: AgeEstimator, paths: Iterable[str], coverage: float
) -> Iterator[tuple[str, str]]:
    """Print each batch when it is done; yield the photos without an age."""
    without: list[tuple[str, str]] = []
    batches = estimator.analyze_batches(paths, coverage=coverage)
    for number, table in enumerate(map(advised, batches)):
        table.to_csv(sys.stdout, index=False, header=number == 0, float_format="%.2f")
        sys.stdout.flush()
        without += failures(table)
    yield from without


def _predict_to_file(
    estimator: AgeEstimator,
    paths: list[str],
    coverage: float,
    out: Path,
    settings: dict[str, object],
) -> pd.DataFrame:
    """Keep rows batch by batch; the table takes its place once it is whole."""
    from ageboost.models._face_table import faces_table

    stamps = {path: file_stamp(path) for path in paths}
    try:
        partial = PartialTable(out.with_name(f"{out.name}.partial"), settings)
    except OSError as error:
        refuse(f"{str(out)!r}: cannot be written there: {error.strerror or error}")
    with partial:
        ages = {p: partial.rows[p, s] for p, s in stamps.items() if (p, s) in partial.rows}
        todo = [path for path in stamps if path not in ages]
        if ages:
            typer.echo(f"going on: {len(ages)} of {len(stamps)} photos are done", err=True)
        try:
            batches = map(advised, estimator.analyze_batches(todo, coverage=coverage))
            with show_progress(silent_when_piped=True):
                for done in _photos_of(batches, todo):
                    _check_not_gone([path for path, _ in done], stamps)
                    partial.append(
                        [
                            # Perhaps it could not be read for a moment only: look again next time.
                            (path, None if rows[0][_STATUS] == "unreadable" else stamps[path], rows)
                            for path, rows in done
                        ]
                    )
                    ages.update(done)
            table = faces_table([row for path in paths for row in ages[path]])
            replace_table(table, out)
            partial.remove()
        except KeyboardInterrupt:
            _stop(partial, ages, stamps, "stopped", EXIT_INTERRUPTED)
        except AgeboostError:
            # Of the cache, perhaps, and not of the table. An empty file would help nobody.
            if not ages:
                partial.remove()
            raise
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


def _model_digest(model: str | None) -> str:
    """Identify models by what is in their files."""
    from ageboost.models.persistence import pretrained_names, pretrained_path

    name = model or "accurate"
    shipped = name in pretrained_names() and not (model and os.path.exists(model))
    path = pretrained_path(name) if shipped else Path(name)
    return hashlib.sha256(path.read_bytes()).hexdigest()
