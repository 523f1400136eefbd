"""The reference of the site: all that is public, and nothing twice."""

import re
import sys
from collections import Counter
from importlib import import_module

import pytest
import typer
from conftest import ROOT
from typer.testing import CliRunner

from ageboost.cli import app

PAGES = sorted((ROOT / "docs/reference").glob("*.rst"))
PACKAGES = [
    "ageboost",
    *(f"ageboost.{path.parent.name}" for path in (ROOT / "ageboost").glob("*/__init__.pyi")),
]


def documented():
    """Names that the pages list, with the module that each page is about."""
    for page in PAGES:
        text = page.read_text("utf-8")
        module = re.search(r"^\.\. module:: (\S+)$", text, re.MULTILINE)
        for block in re.findall(r"   :toctree: generated\n\n((?:   \w+\n)+)", text):
            yield from (f"{module[1]}.{name}" for name in block.split())


def find(full):
    module, _, name = full.rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_public_is_missing(package):
    listed = list(documented())
    objects = [find(full) for full in listed]
    for name in import_module(package).__all__:
        if name.startswith("__"):
            continue
        value = getattr(import_module(package), name)
        assert f"{package}.{name}" in listed or any(value is one for one in objects), name


def test_nothing_is_there_twice():
    counted = Counter(id(find(full)) for full in documented())
    assert [full for full in documented() if counted[id(find(full))] > 1] == []


def test_every_room_has_a_page():
    front = (ROOT / "docs/reference/index.rst").read_text("utf-8")
    for package in PACKAGES:
        assert f"\n   {package.rpartition('.')[2]}\n" in front


@pytest.fixture
def page_of_commands(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs/_extensions")
    pages = import_module("command_pages")
    yield "\n".join(pages._describe_all(typer.main.get_command(app), "ageboost"))
    del sys.modules["command_pages"]


def test_the_page_of_commands_has_the_choices_and_limits_that_help_shows(page_of_commands):
    [train] = re.findall(r"^## ageboost train$(.*?)^## ", page_of_commands, re.M | re.S)
    shown = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "400"}).output
    for option in ("--features", "--regressor", "--landmarks"):
        choices = re.search(rf"{option} .*?[<\[]([\w|]+\|[\w|]+)[>\]]", shown)[1].split("|")
        [row] = [line for line in train.splitlines() if line.startswith(f"| `{option}`")]
        assert f"One of {', '.join(f'`{choice}`' for choice in choices)}." in row
    assert re.search(r"`--out`.*\(required\) \|$", train, re.M)
    assert "At least 100." in train
