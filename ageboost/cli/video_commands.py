"""Commands that look at videos: watch, and buyers, which matches receipts with who was seen."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ageboost._files import file_stamp
from ageboost.cli._shared import (
    EXIT_INTERRUPTED,
    EXIT_NOT_WRITTEN,
    EXIT_SOME_WITHOUT_AGE,
    ModelOption,
    check_folder,
    check_table_path,
    load_model,
    refuse,
    refuse_errors,
    replace_table,
    writing,
)
from ageboost.cli._visits import VisitTable
from ageboost.errors import VideoError

if TYPE_CHECKING:
    from ageboost.video import Frames, Moment

app = typer.Typer()

_FLOAT_FORMAT = "%.10g"
_SHOW_SECONDS = 0.5
# Where neither the film nor the user says how many frames a second are drawn.
_DRAWN_PER_SECOND = 10.0


@app.command()
def watch(
    source: Annotated[
        str,
        typer.Argument(
            help="A video file, a folder of stills, a camera's number or a stream's address."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A .csv or .parquet file that rows are added to."),
    ] = None,
    till: Annotated[str | None, typer.Option(help="Name of the till, for the table.")] = None,
    store: Annotated[str | None, typer.Option(help="Name of the store, for the table.")] = None,
    draw: Annotated[
        Path | None,
        typer.Option(help="An .mp4 file for a video with boxes and ages. It shows faces."),
    ] = None,
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="A saved model, or accurate, fast, classical or open."),
    ] = "fast",
    per_second: Annotated[
        float | None, typer.Option(min=0.01, help="Largest number of frames to process per second.")
    ] = None,
    began: Annotated[
        str | None, typer.Option(help="When a recording began, such as '2025-11-25 14:00:00'.")
    ] = None,
    smallest: Annotated[
        float | None, typer.Option(min=40, help="Side of the smallest face, in pixels.")
    ] = None,
    coverage: Annotated[
        float,
        typer.Option(min=0.01, max=0.99, help="Share of true ages that ranges should contain."),
    ] = 0.9,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for the source, or for a frame.")
    ] = 10.0,
) -> None:
    """Follow the people in a video, and estimate one age for each; write a row when they leave.

    A camera or stream is watched until Ctrl-C, and reopened if it is lost. Nothing is kept but the
    table and, with --draw, the drawn video.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    _check_options(out, draw, began)
    estimator = load_model(model).set_params(n_jobs=1)
    place = _source(source)

    def opened(first: int) -> Frames:
        from ageboost.video import read_frames

        return read_frames(
            place,
            per_second=per_second,
            open_timeout=timeout,
            read_timeout=timeout,
            first=first,
        )

    frames = refuse_errors(lambda: opened(0))
    if began is not None and frames.dated:
        frames.close()
        refuse("--began is for films: the times of this source say when they were taken")
    settings = _film_settings(source, model, (per_second, smallest, coverage, till, store, began))
    columns = {"source": frames.name, "store": store, "till": till}
    table = None
    if out is not None:
        film = None if frames.live else settings
        table = refuse_errors(lambda: VisitTable(out, columns, frames.dated, began, film))
        if table.first_frame:
            typer.echo(
                f"going on: {table.n_rows} people are done, from frame {table.first_frame:,}",
                err=True,
            )
            frames.close()
            frames = refuse_errors(lambda: opened(table.first_frame))
    _watch(frames, estimator, table, smallest, coverage, draw, per_second)


def _watch(
    frames: Frames,
    estimator: Any,
    table: VisitTable | None,
    smallest: float | None,
    coverage: float,
    draw: Path | None,
    per_second: float | None,
) -> None:
    from ageboost.video import FaceTracker, VideoAnalyzer
    from ageboost.video.analysis import moments, source_faults

    tracker = FaceTracker(estimator.features_.get_finder(), smallest=smallest)
    tracker.n_tracks = 0 if table is None else table.n_tracks
    analyzer = VideoAnalyzer(estimator, tracker)
    sink = _Printed() if table is None else table
    rate = min(per_second or 1e3, frames.per_second or _DRAWN_PER_SECOND)
    drawing = nullcontext() if draw is None else _Drawing(draw, rate)
    faults = None
    try:
        with _interrupted_by_sigterm(), frames, drawing as drawn, _shown(frames) as show:
            for moment in moments(frames, analyzer):
                _keep(sink, moment, analyzer, coverage)
                if drawn is not None and moment.frame is not None:
                    drawn.add(moment)
                show(moment)
            faults = source_faults(frames)
            sink.finish(faults)
    except KeyboardInterrupt:
        if frames.live and table is not None:
            with writing(table.path):
                table.merge()
        typer.echo("ageboost: stopped: who had left is kept", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except VideoError as error:
        sink.close()
        typer.echo(f"ageboost: {error}", err=True)
        raise typer.Exit(EXIT_SOME_WITHOUT_AGE) from error
    except OSError as error:
        sink.close()
        name = "the table" if table is None else repr(str(table.path))
        typer.echo(f"ageboost: {name} cannot be written: {error.strerror or error}", err=True)
        raise typer.Exit(EXIT_NOT_WRITTEN) from error
    for message in faults["message"]:
        typer.echo(message, err=True)
    if len(faults):
        raise typer.Exit(EXIT_SOME_WITHOUT_AGE)


@app.command()
def buyers(
    visits: Annotated[Path, typer.Argument(help="The table written by watch.")],
    receipts: Annotated[Path, typer.Argument(help="CSV or Parquet: receipt_id, time, till.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A .csv, .json or .parquet file: personal data.")
    ],
    tolerance: Annotated[
        str, typer.Option(help="How long after the receipt the buyer may still be there.")
    ] = "60s",
    age: Annotated[
        list[float] | None,
        typer.Option(
            help="Age for which to keep the probability of being younger. May be repeated."
        ),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(help="Time zone of the receipts, such as Europe/Berlin, if they have none."),
    ] = None,
    model: ModelOption = "fast",
) -> None:
    """Find the buyer of each receipt among the people seen by watch.

    The table is what --buyers takes: ageboost retail report receipts.csv lines.csv --buyers TABLE.
    """
    from ageboost.retail import DEFAULT_AGES, buyers_from_tracks, match_tracks, read_table

    check_table_path(out)
    estimator = load_model(model)
    sales = refuse_errors(lambda: read_table(receipts, "receipts"))
    if zone is not None:
        local = sales["time"].dt
        sales["time"] = refuse_errors(lambda: local.tz_localize(zone, ambiguous="NaT"))
    matched = refuse_errors(lambda: match_tracks(visits, sales, tolerance))
    typer.echo(str(matched))
    found = refuse_errors(
        lambda: buyers_from_tracks(matched, estimator, ages=(*DEFAULT_AGES, *(age or ())))
    )
    with writing(out):
        replace_table(found, out, _FLOAT_FORMAT)


class _Printed:
    """Prints rows as they come, where no table is asked for."""

    def __init__(self) -> None:
        self._n = 0

    def add(self, rows: list[list[Any]], checkpoint: object = None) -> None:
        import pandas as pd

        from ageboost.video.person import COLUMNS

        if rows:
            table = pd.DataFrame(rows, columns=list(COLUMNS))
            table.to_csv(sys.stdout, index=False, header=self._n == 0, float_format="%.10g")
            sys.stdout.flush()
        self._n += len(rows)

    def finish(self, faults: object) -> None:
        pass

    def close(self) -> None:
        pass


class _Drawing:
    """A video with boxes and ages."""

    def __init__(self, path: Path, per_second: float):
        self._path, self._per_second = path, per_second
        self._writer: Any = None
        self._size: tuple[int, int] | None = None

    def add(self, moment: Moment) -> None:
        import cv2
        import numpy as np

        from ageboost.evaluation import draw_ages
        from ageboost.video.person import people_table

        assert moment.frame is not None
        table = people_table(moment.people, 0.9)
        table = table[table["age"].notna()].copy()
        boxes = [person.box for person in moment.people if person.used]
        for row, box in zip(table.index, boxes, strict=True):
            place = (box.left, box.top, box.right - box.left, box.bottom - box.top)
            table.loc[row, ["left", "top", "width", "height"]] = place
        drawn = cv2.cvtColor(np.asarray(draw_ages(moment.frame.pixels, table)), cv2.COLOR_RGB2BGR)
        size = drawn.shape[1], drawn.shape[0]
        if self._writer is None:
            self._size = size
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._per_second, size)
            if not self._writer.isOpened():
                raise OSError(f"{str(self._path)!r} cannot be written")
        # A stream may change its size on the way.
        self._writer.write(drawn if size == self._size else cv2.resize(drawn, self._size))

    def __enter__(self) -> _Drawing:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._writer is not None:
            self._writer.release()


def _keep(sink: Any, moment: Moment, analyzer: Any, coverage: float) -> None:
    from ageboost.video.person import people_table

    if moment.finished:
        rows = people_table(moment.finished, coverage).astype(object).to_numpy().tolist()
        checkpoint = None
        if moment.frame is not None and analyzer.is_idle:
            checkpoint = moment.frame.number + 1, analyzer.tracker.n_tracks
        sink.add(rows, checkpoint)
    elif moment.frame is None:
        # While a stream is away, the table can be brought up to date.
        sink.add([])


def _check_options(out: Path | None, draw: Path | None, began: str | None) -> None:
    if out is not None:
        check_table_path(out)
        if out.suffix.lower() == ".json":
            refuse(f"{str(out)!r}: rows can be added to a .csv or .parquet file only")
    if draw is not None:
        if draw.suffix.lower() != ".mp4":
            refuse(f"{str(draw)!r}: the drawn video must end in .mp4")
        check_folder(draw)
    if began is not None:
        import pandas as pd

        refuse_errors(lambda: pd.Timestamp(began))


def _source(text: str) -> str | int:
    return int(text) if text.isdigit() and not os.path.exists(text) else text


def _film_settings(source: str, model: str, options: tuple[object, ...]) -> dict[str, Any]:
    from importlib.metadata import version

    from ageboost.cli.photo_commands import _model_digest

    return {
        "ageboost": version("ageboost"),
        "model": _model_digest(model),
        "source": source,
        "stamp": list(file_stamp(source) or ()),
        "options": list(options),
    }


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let supervisors end it as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        # Not the main thread.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _shown(frames: Frames) -> Iterator[Any]:
    """Show on a terminal who is there, and how fast it goes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda moment: None
        return
    columns = [TextColumn("{task.description}")]
    if frames.n_expected:
        columns += [BarColumn(), TimeRemainingColumn()]  # type: ignore[list-item]
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(frames.name, total=frames.n_expected)
        state = {"shown": time.monotonic(), "frames": 0, "people": 0}

        def show(moment: Moment) -> None:
            state["frames"] += moment.frame is not None
            state["people"] += len(moment.finished)
            passed = time.monotonic() - state["shown"]
            if passed < _SHOW_SECONDS:
                return
            text = (
                f"{state['people']} people have left, {len(moment.people)} are there, "
                f"{state['frames'] / passed:.1f} frames a second"
            )
            done = moment.frame.number + 1 if moment.frame is not None else None
            progress.update(task, description=text, completed=done if frames.n_expected else None)
            state["shown"], state["frames"] = time.monotonic(), 0

        yield show
