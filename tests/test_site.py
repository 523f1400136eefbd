"""The site as it was built: in a browser at the widths of a telephone and a desk, light and dark.

`make docs` builds it and runs these tests; without `AGEBOOST_SITE`, the folder of its pages, they
skip.
"""

import os
import re
from pathlib import Path

import pytest
from conftest import requests_of, set_width, start_browser, violations

SITE = Path(os.environ.get("AGEBOOST_SITE", "nowhere")).resolve()
pytestmark = pytest.mark.skipif(
    not (SITE / "index.html").is_file(), reason="no site: `make docs` builds it and runs this"
)
PAGES = [
    "index.html",
    "guide/first-age.html",
    "gallery/do_ranges_hold.html",
    "reference/generated/ageboost.AgeEstimator.html",
    "compared.html",
]


@pytest.fixture(scope="module")
def browser():
    driver = start_browser()
    driver.set_script_timeout(300)
    yield driver
    driver.quit()


def pages_of_the_site():
    """Pages, but for templates among the static files of the theme."""
    return [page for page in SITE.rglob("*.html") if "_static" not in page.parts]


def open_page(browser, page, width, mode):
    browser.get((SITE / page).as_uri())
    browser.execute_script(
        "localStorage.setItem('mode', arguments[0]); localStorage.setItem('theme', arguments[0])",
        mode,
    )
    set_width(browser, width)
    for log in ("performance", "browser"):
        browser.get_log(log)
    browser.get((SITE / page).as_uri())


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("page", PAGES)
def test_pages_fit_and_axe_finds_nothing(browser, page, width, mode):
    open_page(browser, page, width, mode)
    assert browser.execute_script("return document.documentElement.dataset.theme") == mode
    sideways = browser.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert sideways == 0
    assert violations(browser) == []
    assert requests_of(browser) == []


def test_every_picture_is_there_and_described():
    pages = pages_of_the_site()
    assert len(pages) > 100
    for page in pages:
        for tag in re.findall(r"<img [^>]*>", page.read_text("utf-8")):
            source = re.search(r'src="([^"]*)"', tag)[1]
            if not source.startswith(("data:", "http")):
                assert (page.parent / source).is_file(), (page.name, source)
                # The title of an example stands beside its small picture.
                described = r'alt="[^"]*"' if source.endswith("_thumb.png") else r'alt="[^"]+"'
                assert re.search(described, tag), (page.name, source)


def test_search_knows_public_names():
    index = (SITE / "searchindex.js").read_text("utf-8")
    for name in ("predict_interval", "ageestimator", "review_cashiers"):
        assert name in index.lower()


def test_links_inside_lead_somewhere():
    ids = {}
    for page in pages_of_the_site():
        text = page.read_text("utf-8")
        ids[page.resolve()] = set(re.findall(r'\bid="([^"]+)"', text))
    for page in ids:
        for link in re.findall(r'href="([^"]+)"', page.read_text("utf-8")):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path.partition("?")[0]).resolve() if path else page
            assert target.exists(), (page.name, link)
            if anchor and target in ids:
                assert anchor in ids[target], (page.name, link)
