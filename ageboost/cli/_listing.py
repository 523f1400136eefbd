"""Which photos a command is to look at."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain

import typer

from ageboost.cli._shared import refuse
from ageboost.folders import scan_folder


def gather_photos(arguments: Iterable[str]) -> tuple[Iterator[str], list[tuple[str, str]]]:
    """Expand folders, globs and the list on standard input to paths, in a stable order.

    And name photos in folders that are not read, each with the reason. The list on standard input
    is read as paths are needed.
    """
    parts: list[Iterable[str]] = []
    unread: list[tuple[str, str]] = []
    for argument in arguments:
        if argument == "-":
            if sys.stdin is None:
                refuse("- reads a list from standard input, which is closed")
            parts.append(_lines_of_input())
        elif os.path.isdir(argument):
            found = scan_folder(argument)
            left_out = found.left_out()
            if not found.photos:
                why = f" (left out: {left_out})" if left_out else ""
                refuse(f"no photos in the folder {argument!r}{why}")
            if found.raw or found.hidden:
                # A list of labels beside the photos is nothing to speak of.
                typer.echo(f"left out of {argument!r}: {left_out}", err=True)
            unread += [(path, f"{path}: a raw photo: make a JPEG of it") for path in found.raw]
            parts.append(found.photos)
        elif glob.has_magic(argument) and not os.path.exists(argument):
            matching = sorted(glob.glob(argument, recursive=True))
            if not matching:
                refuse(f"no file matches {argument!r}")
            parts.append(matching)
        else:
            # One that does not exist gets a row that says so, and the others are not lost.
            parts.append([argument])
    paths = chain.from_iterable(parts)
    first = next(paths, None)
    if first is None:
        refuse("no photos given")
    return chain([first], paths), unread


def _lines_of_input() -> Iterator[str]:
    for line in sys.stdin.buffer:
        yield from (part for part in os.fsdecode(line).splitlines() if part.strip())
