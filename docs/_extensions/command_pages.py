"""The commands and their options, as the command line itself knows them.

The page holds a line ``<!-- commands -->``, in whose place they are put.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, get_args, get_origin, get_type_hints

import typer

from ageboost.cli import app as commands

_PLACE = "<!-- commands -->"


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", _put_commands_in_place)
    return {"parallel_read_safe": True}


def _put_commands_in_place(app, docname, source):
    if _PLACE in source[0]:
        top = typer.main.get_command(commands)
        source[0] = source[0].replace(_PLACE, "\n".join(_describe_all(top, "ageboost")))


def _describe_all(group, path):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _describe_all(command, f"{path} {name}")
        else:
            yield from _describe(command, f"{path} {name}")


def _describe(command, path):
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    names = " ".join(_argument(one) for one in arguments)
    # As Typer reads them: what it makes of them has other attributes in each of its releases.
    hints = get_type_hints(command.callback, include_extras=True)
    yield f"## {path}\n\n```\n{path} {names} [OPTIONS]\n```\n\n{_plain(command.help)}\n"
    yield "| argument or option | what it is |\n| --- | --- |"
    for one in arguments:
        told = _cell(getattr(one, "help", "")) + _values(hints[one.name])
        yield f"| `{_argument(one)}` | {told} |"
    for one in options:
        flags = ", ".join(f"`{flag}`" for flag in [*one.opts, *one.secondary_opts])
        told = _cell(one.help) + _values(hints[one.name]) + _default(one) + _required(one)
        yield f"| {flags} | {told} |"
    yield ""


def _argument(one):
    name = (one.metavar or one.name).upper().strip("[]")
    name += "..." if one.nargs == -1 else ""
    return name if one.required else f"[{name}]"


def _values(hint):
    """Which values there are to choose from, or between which limits they may be."""
    annotation, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            return f" One of {', '.join(f'`{one.value}`' for one in kind)}."
    limits = [
        f"{words} {limit:g}"
        for name, words in (("min", "at least"), ("max", "at most"))
        for limit in (getattr(extra, name, None) for extra in extras)
        if limit is not None
    ]
    return f" {' and '.join(limits).capitalize()}." if limits else ""


def _required(one):
    return " (required)" if one.required else ""


def _default(one):
    shown = isinstance(one.default, str | int | float) and not isinstance(one.default, bool)
    return f" (default: {one.default})" if shown and str(one.default) else ""


def _plain(text):
    return (text or "").replace("<", "&lt;").replace("*", r"\*")


def _cell(text):
    return _plain(" ".join((text or "").split())).replace("|", r"\|")
