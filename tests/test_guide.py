"""Every block of code of the README and of the guide, as a reader would run it."""

import shutil

import pytest
from conftest import ROOT
from pages import PAGES, blocks_of, fill_folder, run_page


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a reader has: photos, labels, receipts, a film."""
    folder = tmp_path_factory.mktemp("reader")
    fill_folder(folder)
    return folder


def same_lines(text):
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_code_of_a_page_runs_and_prints_what_it_says(page, folder, tmp_path, monkeypatch):
    here = tmp_path / "here"
    shutil.copytree(folder, here)
    monkeypatch.chdir(here)
    for block, printed in run_page(page):
        if block.output is not None:
            assert same_lines(printed) == same_lines(block.output)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "guide/" in page and not page.endswith("index.md")]
)
def test_a_page_of_the_guide_begins_with_code_and_a_picture(page):
    text = (ROOT / page).read_text("utf-8")
    first = text.split("\n## ")[0]
    assert blocks_of(page)[0].code in first
    assert "![" in first
    assert first.index("```") < first.index("![")
