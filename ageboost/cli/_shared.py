"""What all commands share: options, the end of a run, tables, progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from ageboost.errors import AgeboostError

if TYPE_CHECKING:
    import pandas as pd

    from ageboost import AgeEstimator

# Shells and supervisors can rely on these.
EXIT_SOME_WITHOUT_AGE = 1
EXIT_WRONG_CALL = 2
EXIT_NOT_WRITTEN = 3
EXIT_INTERRUPTED = 130

_TABLE_SUFFIXES = {".csv", ".json", ".parquet"}
_PHOTOS_PER_BATCH = 32

T = TypeVar("T")

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

MaxSideOption = Annotated[
    int | None,
    typer.Option(
        min=80,
        help="Pixels of the longer side at which faces are looked for (800): more finds smaller "
        "faces, and takes longer.",
    ),
]


def look_closer(estimator: AgeEstimator, max_side: int | None) -> None:
    """Look for faces at another scale than the model would by itself."""
    if max_side is not None:
        estimator.features_.set_params(finder__max_side=max_side)


def load_model(model: str | None) -> AgeEstimator:
    import ageboost
    from ageboost.models.persistence import pretrained_names

    if model is None:
        return ageboost.load_pretrained()
    try:
        if model in pretrained_names() and not os.path.exists(model):
            return ageboost.load_pretrained(model)
        return ageboost.load(model)
    except (AgeboostError, OSError) as error:
        refuse(str(error))


def check_table_path(path: Path) -> None:
    if path.suffix.lower() not in _TABLE_SUFFIXES:
        refuse(f"{str(path)!r}: the table must end in {', '.join(sorted(_TABLE_SUFFIXES))}")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            refuse('a .parquet file needs pyarrow: pip install "ageboost[parquet]"')
    check_folder(path)


def check_folder(path: Path) -> None:
    """Find out before the work, not after it, that the result has nowhere to go."""
    if not path.absolute().parent.is_dir():
        refuse(f"{str(path)!r}: there is no folder {str(path.absolute().parent)!r}")


def write_table(table: pd.DataFrame, path: Path, suffix: str, float_format: str) -> None:
    match suffix:
        case ".csv":
            table.to_csv(path, index=False, float_format=float_format)
        case ".json":
            table.to_json(path, orient="records", indent=1)
        case _:
            table.to_parquet(path, index=False)


def replace_table(table: pd.DataFrame, path: Path, float_format: str = "%.2f") -> None:
    """Write a table whole or not at all; the format is that of numbers in CSV."""
    new = path.with_name(f"{path.name}.new")
    try:
        write_table(table, new, path.suffix.lower(), float_format)
        with open(new, "rb") as file:
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def count(batches: Iterable[T], n_photos: int, title: str) -> Iterator[T]:
    """Yield batches, with a bar on a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        # Before Rich 14.3, even a bar that is switched off ends with an empty line.
        yield from batches
        return
    n_batches = -(-n_photos // _PHOTOS_PER_BATCH)
    yield from track(batches, title, total=n_batches, console=console)


def spinner(title: str) -> AbstractContextManager[object]:
    console = Console(stderr=True)
    return console.status(title) if console.is_terminal else nullcontext()


def failures(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    failed = table[table["status"] != "ok"]
    return zip(failed["photo"], failed["message"], strict=True)


def finish(failures: Iterable[tuple[str, str]]) -> None:
    """Name every photo without an age, and tell by the exit status whether there was one."""
    messages = [message for _, message in failures]
    for message in messages:
        typer.echo(message, err=True)
    if messages:
        raise typer.Exit(EXIT_SOME_WITHOUT_AGE)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say that a disk is full, or a folder gone, instead of where in the program that was seen."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        typer.echo(f"ageboost: {str(path)!r} cannot be written: {reason}", err=True)
        raise typer.Exit(EXIT_NOT_WRITTEN) from error


def refuse_errors(call: Callable[[], T]) -> T:
    try:
        return call()
    except (AgeboostError, ImportError, OSError, ValueError) as error:
        refuse(str(error))


def refuse(message: str) -> NoReturn:
    typer.echo(f"ageboost: {message}", err=True)
    raise typer.Exit(EXIT_WRONG_CALL)
