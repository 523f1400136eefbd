import base64
import os
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import requests_of, set_width
from PIL import Image
from sklearn.linear_model import Ridge
from typer.testing import CliRunner

from ageboost import AgeEstimator, LabelsError
from ageboost.cli import app
from ageboost.datasets import read_utkface
from ageboost.evaluation import make_report
from ageboost.evaluation.report import answers
from ageboost.evaluation.report.copies import find_near_pairs, group_pairs
from ageboost.evaluation.report.data_sections import _suspects
from ageboost.evaluation.report.survey import photo_names
from ageboost.evaluation.report.suspects import estimate_out_of_fold, rank_labels
from ageboost.features import FaceFeatures, LandmarkGeometry

HOSTILE = "<script>alert(1)<'script'>&\"$x_{1}$\u202egpj.exe.png"


class Page(HTMLParser):
    """What is in a page: its tags with their attributes, and the text of all of it."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, face_variants):
    """Faces, some of which are there twice, a photo without a face, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("photos of ann")
    for i, photo in enumerate(face_variants[0][:12]):
        Image.fromarray(photo).save(folder / f"{i}.png")
    shutil.copy(folder / "3.png", folder / "copy.png")
    whole = Image.open(folder / "5.png")
    whole.resize((whole.width * 3 // 4, whole.height * 3 // 4)).save(
        folder / "smaller.jpg", quality=60
    )
    shutil.copy(folder / "7.png", folder / HOSTILE)
    Image.new("RGB", (200, 200)).save(folder / "black.png")
    (folder / "broken.jpg").write_text("not a photo")
    return folder


@pytest.fixture(scope="module")
def table(folder):
    names = [*(f"{i}.png" for i in range(12)), "copy.png", "smaller.jpg", HOSTILE]
    names += ["black.png", "broken.jpg"]
    return pd.DataFrame(
        {
            "photo": [str(folder / name) for name in names],
            "age": [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 60, 25, 17, 40, 50],
            "sex": [*["female", "male"] * 7, None, "male", "<b>other</b>"],
        }
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder for features, so that each photo is measured once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def report(table, cache):
    return make_report(table, cache=cache)


@pytest.fixture(scope="module")
def page(report):
    return Page(report.html)


def test_the_page_counts_what_is_there(report, page):
    assert report.photos["status"].value_counts().to_dict() == {
        "ok": 15,
        "no face": 1,
        "unreadable": 1,
    }
    assert "17 photos show people" in page.text
    assert "2 of 17 photos" in page.text
    assert "not a photo: give a JPEG" in page.text


def test_every_section_has_a_heading_that_a_link_leads_to(page):
    linked = [link["href"] for link in page.all("a")]
    ids = {"#" + heading["id"] for heading in page.all("h2")}
    assert linked[0] == "#content"
    assert ids == set(linked[1:])
    assert len(page.all("h1")) == 1
    assert page.all("html") == [{"lang": "en"}]


def test_every_picture_says_in_words_what_it_shows(page):
    pictures = page.all("img")
    assert len(pictures) > 20
    assert all(len(picture["alt"]) > 10 for picture in pictures)


def test_every_table_has_a_caption_and_named_rows(page):
    assert len(page.all("table")) == len(page.all("caption"))
    assert {cell.get("scope") for cell in page.all("th")} == {"col", "row"}


def test_a_copy_is_found_and_its_other_label_is_told(report, page):
    photos = report.photos.set_index("photo")
    assert photos["copies"]["copy.png"] == photos["copies"]["3.png"]
    assert "labelled 23 and 60" in page.text


def test_a_photo_that_was_scaled_and_compressed_is_a_near_copy(report):
    photos = report.photos.set_index("photo")
    assert photos["copies"]["smaller.jpg"] != photos["copies"]["5.png"]
    assert photos["near_copies"]["smaller.jpg"] == photos["near_copies"]["5.png"]


@pytest.mark.parametrize(
    ("n_doubtful", "of_faces", "of_rows"),
    [
        (0, "the 48 farthest from their estimates, none of them doubtful", None),
        (5, "the first 5 are doubtful, the others come next", None),
        (60, "the first 48 of 60 doubtful ones", "the 60 doubtful ones"),
    ],
)
def test_faces_beside_doubtful_labels_are_not_called_doubtful(n_doubtful, of_faces, of_rows):
    times = np.where(np.arange(100) < n_doubtful, 8.0, 1.0)
    table = pd.DataFrame({"times": times, "age": 30.0, "estimate": 40.0, "usual_error": 2.0})
    table["photo"] = [f"{row}.jpg" for row in range(100)]
    collection = SimpleNamespace(table=table, pictures=lambda sets: [None] * len(sets))
    _, gallery, listed = _suspects(collection).blocks
    assert gallery.title == f"Labels by how doubtful they are: {of_faces}"
    assert listed.caption == f"Labels by how doubtful they are: {of_rows or of_faces}"


def test_names_of_files_and_labels_cannot_write_into_the_page(report, page):
    assert "script" not in [tag for tag, _ in page.tags]
    assert "b" not in [tag for tag, _ in page.tags]
    assert "<script>" in page.text, "the name is shown as it is"
    assert "<b>other</b>" in page.text
    assert "\u202e" not in report.html, "nor turned around by a control character"


def test_the_page_loads_nothing(report, page):
    for name in ("src", "href"):
        for _, attributes in page.tags:
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"url\(|@import|https?://", report.html)
    pictures = [picture["src"] for picture in page.all("img") if "svg" in picture["src"][:20]]
    for source in pictures:
        drawn = base64.b64decode(source.partition(",")[2]).decode()
        assert "<script" not in drawn
        assert not re.search(r'(?<!xlink:)href="(?!#|data:)', drawn)
        assert not re.search(r"url\((?!#)", drawn)


def test_the_page_does_not_tell_where_the_photos_are(report, folder):
    assert str(folder) not in report.html
    assert folder.name not in report.html


def test_a_page_without_photos_holds_none(table, cache):
    without = make_report(table, photos=False, cache=cache)
    assert "image/jpeg" not in without.html
    assert "made without photos" in without.html


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(report):
    [frame] = Page(report._repr_html_()).all("iframe")
    assert frame["srcdoc"].replace('<base href="about:srcdoc">', "") == report.html


def test_photos_that_have_no_names_are_numbered(portrait):
    report = make_report(pd.DataFrame({"photo": [portrait, portrait], "age": [41, 41]}))
    assert report.photos["photo"].tolist() == [
        "photo 0 (array of 512 x 512)",
        "photo 1 (array of 512 x 512)",
    ]
    assert report.photos["copies"].tolist() == [0, 0]
    assert report.photos["estimate"].isna().all()


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (pd.DataFrame({"photo": [], "age": []}), ValueError, "no rows"),
        (pd.DataFrame({"photo": ["a.jpg"], "years": [3]}), ValueError, "column age.*photo, years"),
        (pd.DataFrame({"photo": ["a.jpg"], "age": [300]}), LabelsError, "300"),
        (pd.DataFrame({"photo": ["a.jpg"], "age": [30]}), ValueError, "none of the 1.*no such"),
    ],
)
def test_a_table_with_nothing_to_look_at_is_refused(table, error, message):
    with pytest.raises(error, match=message):
        make_report(table)


def test_a_label_for_each_photo_fills_no_page(table, cache):
    labelled = table.assign(race=[f"person {i}" for i in range(len(table))])
    text = Page(make_report(labelled, photos=False, cache=cache).html).text
    assert "other labels" in text
    assert "person 16" not in text


def test_who_is_not_labelled_comes_last_with_the_name_of_the_label(table, cache):
    labelled = table.assign(race=[None, "zulu", *["inuit"] * (len(table) - 2)])
    page = Page(make_report(labelled, photos=False, cache=cache).html)
    assert "femalemalesex not labelledinuitzulurace not labelled" in page.text


def test_names_begin_where_all_photos_are():
    assert photo_names(["/a/b/c.jpg", "/a/d.jpg"], None) == ["b/c.jpg", "d.jpg"]
    assert photo_names(["/a/b/c.jpg", "/a/b/d.jpg"], "/a") == ["b/c.jpg", "b/d.jpg"]
    assert photo_names(["/a/b/c.jpg", "/e/d.jpg"], "/a") == ["c.jpg", "d.jpg"], (
        "never from the root"
    )


def test_pairs_are_found_across_chunks_and_hashes_of_nothing_are_left_out():
    hashes = np.random.default_rng(0).integers(1, 2**63, (1500, 2, 4)).astype(np.uint64)
    hashes[1400] = hashes[3] ^ np.uint64(1)
    hashes[900, 0] = hashes[4, 0]
    hashes[[5, 6]] = 0
    pairs = find_near_pairs(hashes, n_bits=24)
    assert pairs.tolist() == [[3, 1400]], "900 is another photo of a face like that of 4"
    assert len(np.unique(group_pairs(pairs, 1500))) == 1499


def test_labels_that_others_speak_against_come_first():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(600, 4))
    ages = (40 + 10 * matrix[:, 0] + rng.normal(size=600)).clip(1)
    wrong = [7, 50, 300]
    ages[wrong] = ages[wrong] + 45
    ranked = rank_labels(ages, estimate_out_of_fold(matrix, ages, np.arange(600)))
    assert set(ranked.index[:3]) == set(wrong)


def test_copies_of_a_photo_do_not_vouch_for_its_label():
    rng = np.random.default_rng(0)
    matrix = np.repeat(rng.normal(size=(60, 3)), 2, axis=0)
    ages = np.repeat(rng.uniform(20, 60, 60), 2)
    groups = np.repeat(np.arange(60), 2)
    apart = np.abs(estimate_out_of_fold(matrix, ages, groups) - ages).mean()
    together = np.abs(estimate_out_of_fold(matrix, ages, np.arange(120)) - ages).mean()
    assert apart > together


def test_the_command_line_writes_a_page_and_names_what_has_no_face(table, folder, cache, tmp_path):
    labels = folder / "labels.csv"
    table.assign(photo=table["photo"].map(os.path.basename)).to_csv(labels, index=False)
    out = tmp_path / "report.html"
    arguments = [
        "report",
        str(labels),
        "--out",
        str(out),
        "--no-photos",
        "--cache",
        str(cache),
        "--jobs",
        "1",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert "broken.jpg: not a photo" in result.stderr
    assert "17 photos" in result.stdout
    assert "image/jpeg" not in out.read_text("utf-8")


def test_rows_that_cannot_be_used_are_counted_and_the_others_looked_at(folder, tmp_path):
    labels = folder / "half.csv"
    labels.write_text("photo,age\n1.png,30\nnowhere.png,31\n2.png,old\n")
    out = tmp_path / "report.html"
    arguments = ["report", str(labels), "--out", str(out), "--no-photos", "--jobs", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert "no such file" in result.stderr
    assert "1 photos" in result.stdout
    html = out.read_text("utf-8")
    assert "2 rows of the labels cannot be used" in html
    assert "nowhere.png" in html
    assert str(folder) not in html


def test_labels_of_which_no_row_can_be_used_are_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("photo,age\nnowhere.png,31\n")
    out = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["report", str(tmp_path / "labels.csv"), "--out", str(out)])
    assert result.exit_code == 2
    assert "no such file" in result.stderr
    assert not out.exists()


def test_a_page_that_can_be_written_nowhere_is_refused_before_the_work(tmp_path):
    result = CliRunner().invoke(app, ["report", str(tmp_path), "--out", "/no/such/r.html"])
    assert result.exit_code == 2
    assert "/no/such" in result.stderr


@pytest.fixture(scope="module")
def measured(table, fitted, cache):
    return make_report(table, fitted, cache=cache)


def test_a_model_is_measured_by_age_and_by_group(measured):
    page = Page(measured.html)
    errors = measured.photos["predicted"] - measured.photos["age"]
    assert f"off by {errors.abs().mean():.2f} years on average" in page.text
    assert "Errors by sex" in page.text
    assert "Ranges of 90%, by predicted age" in page.text
    assert "Photos that the model learnt from look better" in page.text
    assert "# Model card" in page.text


def test_a_group_of_few_photos_is_no_gap(measured):
    assert "too few labelled groups" in measured.html


def test_the_largest_gap_is_named(face_variants, fitted, cache):
    photos, ages = face_variants
    labelled = ages + np.where(np.arange(30) % 2, 20, 0)
    table = pd.DataFrame(
        {
            "photo": photos * 2,
            "age": np.concatenate([labelled, labelled]),
            "sex": ["female", "male"] * 30,
        }
    )
    text = Page(make_report(table, fitted, photos=False, cache=cache).html).text
    assert re.search(r"by sex \(errors for male are \d+\.\d years larger than for female", text)


def test_shares_of_minors_are_given_where_there_are_any(table, fitted, cache):
    younger = table.assign(age=[*[15] * 6, *table["age"][6:]])
    assert (
        "of the 7 minors" in Page(make_report(younger, fitted, photos=False, cache=cache).html).text
    )
    older = table.assign(age=table["age"] + 20)
    assert (
        "All photos are of minors, or all of adults"
        in make_report(older, fitted, photos=False, cache=cache).html
    )


def test_a_model_without_calibration_is_measured_without_ranges(table, small_estimator, cache):
    photos, ages = table["photo"].tolist()[:12], table["age"][:12]
    model = small_estimator.__class__(**small_estimator.get_params(deep=False))
    model.set_params(interval_folds=None, cache=cache).fit(photos, ages)
    text = Page(make_report(table, model, photos=False, cache=cache).html).text
    assert "Predicted and true ages" in text
    assert "inside the 90% range" not in text


@pytest.fixture(params=["report", "measured"])
def opened(show, request):
    return show(request.getfixturevalue(request.param))


def test_a_browser_shows_every_picture_and_asks_for_nothing_else(opened):
    widths = opened.execute_script(
        "return Array.from(document.images, image => image.naturalWidth)"
    )
    assert len(widths) > 20
    assert min(widths) > 0
    assert opened.execute_script("return document.querySelectorAll('h2').length") >= 6
    assert opened.get_log("browser") == []
    assert requests_of(opened) == []


def test_links_in_a_notebook_stay_in_the_page(browser, report, tmp_path):
    (tmp_path / "notebook.html").write_text(f"<p>{report._repr_html_()}", "utf-8")
    browser.get((tmp_path / "notebook.html").as_uri())
    browser.switch_to.frame(browser.find_element("tag name", "iframe"))
    link = browser.find_elements("css selector", "nav a")[-1]
    assert link.get_attribute("href") == "about:srcdoc#labels"
    link.click()
    assert len(browser.find_elements("tag name", "h2")) > 5, "the notebook is not in the frame"
    browser.switch_to.default_content()


@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_need_not_scroll_sideways(opened, width):
    set_width(opened, width)
    scroll = opened.execute_script("return document.documentElement.scrollWidth")
    assert scroll <= width


def test_the_first_key_leads_past_the_links(opened):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    ActionChains(opened).send_keys(Keys.TAB, Keys.ENTER).perform()
    assert opened.execute_script("return document.activeElement.id") == "content"


def test_known_copies_in_utkface_are_found(utkface):
    table = read_utkface(utkface)
    some = table[table["age"].isin([10, 14, 15, 17])]
    pairs = some[some["photo"].map(os.path.getsize).duplicated(keep=False)].head(60)
    report = make_report(pairs, photos=False)
    sizes = report.photos["copies"].value_counts()
    contents = pairs["photo"].map(lambda path: Path(path).read_bytes())
    assert (sizes > 1).sum() == (contents.value_counts() > 1).sum() > 0


@pytest.mark.parametrize("reduction", [None, "pca"])
def test_a_model_of_plain_or_few_components_is_measured(table, cache, reduction):
    features = FaceFeatures([("geometry", LandmarkGeometry())], cache=cache)
    model = AgeEstimator(features, reduction=reduction, regressor=Ridge(), interval_folds=None)
    model.fit(table["photo"].tolist()[:12], table["age"][:12])
    page = Page(make_report(table, model, photos=False, cache=cache).html)
    assert "Predicted and true ages" in page.text


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_how_to_install_it(table, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r'pip install "ageboost\[report\]"'):
        make_report(table)


def test_a_model_is_asked_for_few_faces_at_a_time_and_tells_the_same(
    table, fitted, cache, measured, monkeypatch
):
    monkeypatch.setattr(answers, "_FACES_AT_ONCE", 5)
    parts = make_report(table, fitted, photos=False, cache=cache)
    pd.testing.assert_series_equal(parts.photos["predicted"], measured.photos["predicted"])
