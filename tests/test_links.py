"""Links between files of the repository, as a reader of its Markdown follows them."""

import re

import pytest
from conftest import ROOT

LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)\s]+)\)", re.DOTALL)
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/guide", "docs/how-it-works", "ageboost/models/pretrained")
    for path in (ROOT / folder).glob("*.md")
)


def anchors(text):
    """Headings as they are linked to."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked.read_text("utf-8")), target


def test_pictures_are_used_and_described():
    shown = set()
    for page in PAGES:
        for words, path in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text("utf-8")):
            assert len(words) > 20, path
            shown.add((page.parent / path).resolve())
    assert shown == set((ROOT / "docs/images").iterdir())
