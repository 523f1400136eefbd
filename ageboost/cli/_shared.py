"""What all commands share: options, the end of a run, tables, progress."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from ageboost._files import replacing
from ageboost._progress import show_progress, stage
from ageboost.cli._advice import advise
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

T = TypeVar("T")

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A saved model, or one of the package: accurate (the default), fast, classical, or "
        "open, the only one for commercial use.",
    ),
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", help="Processes; -1 for all cores.")]
CacheOption = Annotated[
    Path | None,
    typer.Option(help="Folder for features. They are personal data: protect it."),
]
MaxSideOption = Annotated[
    int | None,
    typer.Option(
        min=100, help="Scale a photo's longer side to this many pixels before detecting faces."
    ),
]


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
    if path.is_dir():
        refuse(f"{str(path)!r} is a folder: name a file")
    if not path.absolute().parent.is_dir():
        refuse(f"{str(path)!r}: there is no folder {str(path.absolute().parent)!r}")


def check_suffix(path: Path, suffixes: Iterable[str], what: str) -> None:
    """Check that a file can be written as its name says, and has a folder to go to."""
    if path.suffix.lower() not in suffixes:
        refuse(f"{str(path)!r}: {what} must end in {', '.join(suffixes)}")
    check_folder(path)


def check_apart(outputs: Mapping[str, Path | None], inputs: Mapping[str, object]) -> None:
    """Check that no result would be written over another one, or over what it is made from."""
    taken = {
        os.path.realpath(os.fspath(path)): name
        for name, path in inputs.items()
        if isinstance(path, str | os.PathLike)
    }
    for name, path in outputs.items():
        if path is None:
            continue
        other = taken.setdefault(os.path.realpath(path), name)
        if other != name:
            refuse(f"{name} and {other} are the same file, {str(path)!r}: name another one")


def look_with(model: AgeEstimator, max_side: int | None) -> AgeEstimator:
    """Let a model look for faces on larger or smaller copies of photos."""
    if max_side is not None:
        model.features_ = copy.deepcopy(model.features_).set_params(finder__max_side=max_side)
    return model


def advised(table: pd.DataFrame) -> pd.DataFrame:
    """Let the messages of a table fit those who use a shell."""
    return table.assign(message=table["message"].map(advise).astype(table["message"].dtype))


def write_table(table: pd.DataFrame, path: Path, suffix: str, float_format: str) -> None:
    match suffix:
        case ".csv":
            table.to_csv(path, index=False, float_format=float_format)
        case ".json":
            table.to_json(path, orient="records", indent=1, date_format="iso")
        case _:
            table.to_parquet(path, index=False)


def replace_table(table: pd.DataFrame, path: Path, float_format: str = "%.2f") -> None:
    """Write a table whole or not at all; the format is that of numbers in CSV."""
    with replacing(path) as new:
        write_table(table, new, path.suffix.lower(), float_format)


@contextmanager
def spinner(title: str) -> Iterator[None]:
    """Show how far the work has come: bars on a terminal, lines where it is piped."""
    with show_progress(), stage(title):
        yield


def failures(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    failed = table[table["status"] != "ok"]
    return zip(failed["photo"], failed["message"], strict=True)


def finish(failures: Iterable[tuple[str, str]]) -> None:
    """Name every photo without an age; the exit status says whether there was one."""
    messages = [advise(message) for _, message in failures]
    for message in messages:
        typer.echo(message, err=True)
    if messages:
        raise typer.Exit(EXIT_SOME_WITHOUT_AGE)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say that a disk is full, or a folder gone, instead of where in the program that was seen."""
    try:
        yield
    except AgeboostError:
        # Of a cache, perhaps, and not of this file.
        raise
    except OSError as error:
        reason = error.strerror or error
        typer.echo(f"ageboost: {str(path)!r} cannot be written: {reason}", err=True)
        raise typer.Exit(EXIT_NOT_WRITTEN) from error


def refuse_errors(call: Callable[[], T]) -> T:
    try:
        return call()
    except (AgeboostError, ImportError, OSError, ValueError) as error:
        refuse(message_of(error))


def message_of(error: Exception) -> str:
    """The message of an error, which may have another one for those who use a shell."""
    return getattr(error, "for_command", None) or str(error)


def refuse(message: str) -> NoReturn:
    typer.echo(f"ageboost: {advise(message)}", err=True)
    raise typer.Exit(EXIT_WRONG_CALL)
