"""The page for a shop's manager, and the commands of the shop."""

import re

import numpy as np
import pandas as pd
import pytest
from conftest import requests_of, set_width, violations
from PIL import Image
from typer.testing import CliRunner

import ageboost
from ageboost.cli import app
from ageboost.datasets import make_shop
from ageboost.retail import (
    AgeGroups,
    AlcoholPolicy,
    ReviewPeriod,
    make_retail_report,
    simulate_buyers,
)

POLICY = AlcoholPolicy(categories=["beer", "wine", "spirits"])


@pytest.fixture(scope="module")
def model():
    return ageboost.load_pretrained("fast")


@pytest.fixture(scope="module")
def shop():
    return make_shop(6000, n_cashiers=4, random_state=0)


@pytest.fixture(scope="module")
def buyers(shop, model):
    return simulate_buyers(shop.truth, model, missing=0.05, random_state=0)


@pytest.fixture(scope="module")
def page(shop, buyers, model):
    return make_retail_report(shop.receipts, shop.lines, buyers, model, policy=POLICY)


@pytest.fixture(scope="module")
def page_of_long_names(shop, buyers, model):
    names = {"S0": "Nether Wallop, Market Street", "S1": "Farleigh Wallop"}
    receipts = shop.receipts.assign(store=shop.receipts["store"].map(names))
    called = "The Household Provisions and Delicatessen Company of Hampshire"
    return make_retail_report(receipts, shop.lines, buyers, model, by="category", shop=called)


@pytest.fixture(scope="module")
def files(shop, buyers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    for name, table in (("receipts", shop.receipts), ("lines", shop.lines), ("buyers", buyers)):
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_page_tells_of_both_jobs_and_loads_nothing(page):
    for title in ("Who the customers are", "What to offer", "Whom to talk to", "its limits"):
        assert title in page.html
    assert "://" not in re.sub(r"data:[^\"]*", "", page.html)
    assert "<script" not in page.html


def test_no_receipt_and_no_photo_is_on_the_page(page, shop):
    assert not any(receipt in page.html for receipt in shop.receipts["receipt_id"])
    assert "data:image/jpeg" not in page.html


def test_restricted_goods_are_offered_to_nobody(page, shop):
    offers = page.html.partition('id="offers"')[2].partition("</section>")[0]
    restricted = shop.products["category"].isin(POLICY.categories)
    assert not any(f"<bdi>{name}</bdi>" in offers for name in shop.products["product"][restricted])
    assert "<bdi>energy drink</bdi>" in offers


def rows_of(html, section):
    """Cells of each row in the tables of a section."""
    part = html.partition(f'id="{section}"')[2].partition("</section>")[0]
    return [re.findall("<bdi>(.*?)</bdi>", row) for row in re.findall("<tr>.*?</tr>", part)]


def test_what_is_called_clear_has_a_range_without_one(page):
    for section in ("offers", "differences"):
        rows = [row for row in rows_of(page.html, section) if row]
        assert len(rows) > 10
        ends = np.array([row[3].split("\N{EN DASH}") for row in rows], dtype=float)
        clear = (ends[:, 0] > 1) | (ends[:, 1] < 1)
        if section == "offers":
            assert clear.all()
            continue
        # The clear ones stand first, under a caption that counts them; the others say why.
        n_clear, n_others = clear.sum(), (~clear).sum()
        assert clear[:n_clear].all()
        assert n_others > 0
        assert f"All {n_clear} clear differences" in page.html
        assert f"All {n_others} differences of unclear size" in page.html
        assert "include 1 although a test finds a difference" in page.html
        products = len({row[0] for row in rows[:n_clear]})
        assert f"{products} products are bought clearly more or less often" in page.html
        [tile] = re.findall(r"clearly buys more or less of</dt><dd><span>(\d+)", page.html)
        assert int(tile) == products
    assert len(page.purchases.table.query("significant")) == len(rows)


def test_what_to_act_on_comes_first_and_long_tables_are_folded(page):
    titles = re.findall("<h2[^>]*>(.*?)</h2>", page.html)
    assert titles[:2] == ["What to offer", "Whom to talk to"]
    tables = re.findall("<table>.*?</table>", page.html, re.DOTALL)
    assert max(table.count("<tr>") for table in tables) > 100
    unfolded = re.sub("<details>.*?</details>", "", page.html, flags=re.DOTALL)
    assert all(
        table.count("<tr>") <= 40 for table in re.findall("<table>.*?</table>", unfolded, re.DOTALL)
    )


def test_every_picture_says_what_it_shows(page):
    pictures = re.findall(r"<img[^>]*>", page.html)
    assert len(pictures) > 5
    assert all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures)


def test_a_browser_shows_every_picture_and_asks_for_nothing_else(show, page):
    opened = show(page)
    widths = opened.execute_script(
        "return Array.from(document.images, image => image.naturalWidth)"
    )
    assert len(widths) > 5
    assert min(widths) > 0
    headings = [heading.text for heading in opened.find_elements("css selector", "h2")]
    assert {"What to offer", "Whom to talk to"} <= set(headings)
    assert opened.get_log("browser") == []
    assert requests_of(opened) == []


def test_tables_open_on_a_click(show, page):
    opened = show(page)
    folded = opened.find_elements("tag name", "details")
    assert folded
    for details in folded:
        table = details.find_element("tag name", "table")
        assert not table.is_displayed()
        details.find_element("tag name", "summary").click()
        assert table.is_displayed()


@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_need_not_scroll_sideways(show, page, width):
    opened = show(page)
    set_width(opened, width)
    opened.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [400, 1200, 1400])
def test_long_names_at_the_top_break_between_words(show, page_of_long_names, width):
    opened = show(page_of_long_names)
    set_width(opened, width)
    lines = opened.execute_script(
        "return Array.from(document.querySelectorAll('dl.facts span'), word => ["
        "word.textContent, word.offsetHeight / parseFloat(getComputedStyle(word).lineHeight)])"
    )
    assert {"Delicatessen", "2025-01-01", "Wallop,", "fast"} <= {word for word, _ in lines}
    assert [word for word, height in lines if height > 1.5] == []
    tiles = "return Array.from(document.querySelectorAll('dl.facts div'), one => one.offsetHeight)"
    assert max(opened.execute_script(tiles)) < 150


@pytest.mark.parametrize("width", [400, 1400])
def test_axe_finds_nothing_folded_or_open(show, page_of_long_names, width):
    opened = show(page_of_long_names)
    set_width(opened, width)
    assert violations(opened) == []
    opened.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    assert violations(opened) == []


def test_without_a_policy_nothing_is_said_of_cashiers(shop, buyers, model):
    page = make_retail_report(shop.receipts, shop.lines, buyers, model, by="category")
    assert page.review is None
    assert "Whom to talk to" not in page.html


def test_a_shop_without_any_known_age_gets_a_page_that_says_so(shop, buyers, model):
    unknown = buyers.assign(status="no photo")
    ages = [name for name in buyers if name.startswith(("age", "under_"))]
    unknown[ages] = np.nan
    page = make_retail_report(shop.receipts, shop.lines, unknown, model, policy=POLICY)
    assert "ages of the customers are not known" in page.html
    assert "No product was found" in page.html


def test_faces_are_shown_only_if_asked_for(portrait, tmp_path, model):
    from PIL import Image

    path = tmp_path / "1.png"
    Image.fromarray(portrait).save(path)
    shop = make_shop(300, random_state=0)
    buyers = simulate_buyers(shop.truth, model, random_state=0)
    buyers["photo"] = buyers["photo"].astype(object)
    buyers.loc[0, "photo"] = str(path)
    page = make_retail_report(shop.receipts, shop.lines, buyers, model, photos=True)
    assert page.html.count("data:image/jpeg") == 1
    assert "It shows faces" in page.html


def test_baskets_prints_offers_and_writes_all_comparisons(files, tmp_path):
    out = tmp_path / "baskets.csv"
    tables = (files / "receipts.csv", files / "lines.csv", "--buyers", files / "buyers.csv")
    result = run("retail", "baskets", *tables, "--model", "fast", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^65\+: .*herring \(", result.stdout, re.MULTILINE)
    table = pd.read_csv(out)
    assert len(table) == 49 * 8
    assert 0 < table["p_value"].min() < 1e-4


def test_a_model_that_does_not_know_its_errors_is_refused(files, tmp_path):
    unknowing = ageboost.load_pretrained("fast")
    unknowing.calibration_ = None
    unknowing.save(tmp_path / "unknowing.ageboost")
    tables = (files / "receipts.csv", files / "lines.csv", "--buyers", files / "buyers.csv")
    for command, *options in (
        ("baskets",),
        ("alcohol", "--restricted", "beer"),
        ("report", "--out", tmp_path / "page.html"),
    ):
        result = run(
            *("retail", command, *tables, *options, "--model", tmp_path / "unknowing.ageboost")
        )
        assert result.exit_code == 2, result.stdout
        assert "does not know how far its ages are off" in result.stderr


def test_groups_of_ones_own_are_compared(files, shop, model, tmp_path):
    groups = AgeGroups([18, 40])
    simulate_buyers(shop.truth, model, groups, random_state=0).to_csv(
        tmp_path / "buyers.csv", index=False
    )
    tables = (files / "receipts.csv", files / "lines.csv", "--buyers", tmp_path / "buyers.csv")
    result = run("retail", "baskets", *tables, "--model", "fast", "--groups", "18,40")
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^40\+: ", result.stdout, re.MULTILINE)
    wrong = run("retail", "baskets", *tables, "--groups", "40,18")
    assert wrong.exit_code == 2
    assert "rise" in wrong.stderr


def test_alcohol_reviews_cashiers(files, tmp_path):
    tables = (files / "receipts.csv", files / "lines.csv", "--buyers", files / "buyers.csv")
    restricted = [word for name in POLICY.categories for word in ("--restricted", name)]
    out, sales = tmp_path / "cashiers.csv", tmp_path / "sales.parquet"
    options = ("--model", "fast", "--out", out, "--sales-out", sales)
    result = run("retail", "alcohol", *tables, *restricted, *options)
    assert result.exit_code == 0, result.stderr
    assert "not a proof" in result.stdout
    assert len(pd.read_csv(out)) == 8
    assert {"required", "id_checked"} <= set(pd.read_parquet(sales))


def test_cashiers_at_a_foreign_camera_are_named_only_if_asked(files, tmp_path):
    pd.read_csv(files / "buyers.csv").assign(camera="foreign").to_csv(
        tmp_path / "buyers.csv", index=False
    )
    tables = (files / "receipts.csv", files / "lines.csv", "--buyers", tmp_path / "buyers.csv")
    restricted = [word for name in POLICY.categories for word in ("--restricted", name)]
    page = tmp_path / "page.html"
    for options, withheld in (((), True), (("--name-at-foreign-camera",), False)):
        command = (*tables, *restricted, "--model", "fast", *options)
        listed = run("retail", "alcohol", *command)
        assert listed.exit_code == 0, listed.stderr
        assert ("Nobody is named, because the photos" in listed.stdout) == withheld
        assert run("retail", "report", *command, "--out", page).exit_code == 0
        assert ("Nobody is named, because the photos" in page.read_text("utf-8")) == withheld


def test_looks_at_a_period_are_counted_by_the_command(files, tmp_path):
    tables = (files / "receipts.csv", files / "lines.csv", "--buyers", files / "buyers.csv")
    restricted = [word for name in POLICY.categories for word in ("--restricted", name)]
    times = pd.to_datetime(pd.read_csv(files / "receipts.csv")["time"])
    looks = tmp_path / "looks.json"
    days = ("--from", f"{times.min():%Y-%m-%d}", "--to", f"{times.max():%Y-%m-%d}")
    command = ("retail", "alcohol", *tables, *restricted, "--model", "fast")
    wrong = run(*command, *days)
    assert wrong.exit_code == 2
    assert "--period" in wrong.stderr
    for _ in range(2):
        result = run(*command, "--period", looks, *days)
        assert result.exit_code == 0, result.stderr
    assert len(ReviewPeriod(looks).looks) == 1


def test_customers_are_read_and_minors_get_no_offers(files, tmp_path):
    receipts = pd.read_csv(files / "receipts.csv")
    receipts["customer"] = receipts.index % 900
    receipts.to_csv(tmp_path / "receipts.csv", index=False)
    tables = (files / "lines.csv", "--buyers", files / "buyers.csv", "--model", "fast")
    for more, minors in (((), False), (("--offers-to-minors",), True)):
        found = run("retail", "baskets", tmp_path / "receipts.csv", *tables, *more)
        assert found.exit_code == 0, found.stderr
        assert ("\n12-17:" in found.stdout) == minors
        assert "average over many shops" in found.stdout
    unknown = run("retail", "baskets", files / "receipts.csv", *tables)
    assert "no share of false differences is promised" in " ".join(unknown.stdout.split())


def test_the_page_names_the_shop_and_cashiers_only_if_asked(shop, buyers, model):
    receipts = shop.receipts.assign(customer=shop.receipts["receipt_id"])
    page = make_retail_report(
        receipts, shop.lines, buyers, model, policy=POLICY, shop="Corner Shop", names=False
    )
    assert "Corner Shop" in page.html
    assert f"{receipts['time'].min():%Y-%m-%d}" in page.html
    assert re.findall(r"<dt>model</dt><dd>(.*?)</dd>", page.html) == ["<span>fast</span> "]
    assert page.html.count(ageboost.load_pretrained("fast").terms.summary) == 1
    assert "With these sales, such a list finds" in page.html
    for cashier in page.review.table["cashier"]:
        assert f">{cashier}<" not in page.html


def test_what_is_missing_is_asked_for(files, tmp_path):
    tables = (files / "receipts.csv", files / "lines.csv")
    known = ("--buyers", files / "buyers.csv")
    for arguments, message in [
        (("baskets", *tables), "--photos"),
        (("alcohol", *tables, *known), "--restricted"),
        (("alcohol", *tables, *known, "--restricted", "Bier"), "'beer'"),
        (("baskets", *tables, *known, "--column", "receipt_id"), "NAME_THERE=NAME_HERE"),
        (("baskets", *tables, *known, "--out", tmp_path / "baskets.txt"), ".csv"),
        (("baskets", files / "lines.csv", files / "receipts.csv", *known), "product"),
    ]:
        result = run("retail", *arguments, "--model", "fast")
        assert result.exit_code == 2, result.stdout
        assert message in result.stderr


@pytest.fixture
def till(portrait, tmp_path):
    """Tables of three receipts and two photos, one of which cannot be read."""
    from PIL import Image

    Image.fromarray(portrait).save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"no photo")
    pd.DataFrame(
        {
            "basket": ["a", "b", "c"],
            "time": ["2025-03-01 10:00", "2025-03-01 10:05", "2025-03-01 10:10"],
            "till": 1,
        }
    ).to_csv(tmp_path / "receipts.csv", index=False)
    pd.DataFrame({"basket": ["a", "b", "c", "z"], "product": "tea"}).to_csv(
        tmp_path / "lines.csv", index=False
    )
    pd.DataFrame(
        {
            "photo": ["1.png", "2.png"],
            "time": ["2025-03-01 10:00:10", "2025-03-01 10:05:10"],
            "till": 1,
        }
    ).to_csv(tmp_path / "photos.csv", index=False)
    return (
        *(tmp_path / "receipts.csv", tmp_path / "lines.csv", "--photos", tmp_path / "photos.csv"),
        *("--column", "basket=receipt_id", "--model", "fast", "--jobs", 1),
    )


def test_photos_are_matched_looked_at_and_kept(till, tmp_path):
    kept = tmp_path / "buyers.csv"
    result = run("retail", "baskets", *till, "--save-buyers", kept)
    assert result.exit_code == 0, result.stderr
    assert "2 matched" in result.stdout
    assert pd.read_csv(kept)["status"].tolist() == ["ok", "unreadable", "no photo"]


def test_the_page_counts_each_row_that_was_read_once_and_the_photos(till, tmp_path):
    out = tmp_path / "page.html"
    result = run("retail", "report", *till, "--out", out)
    assert result.exit_code == 0, result.stderr
    counts = out.read_text("utf-8").partition('id="counts"')[2].partition("</section>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", counts, re.DOTALL)
    found = [" ".join(re.sub("<.*?>", " ", row).split()) for row in rows]
    assert [row for row in found if row.startswith("rows of")] == [
        "rows of receipts kept 3",
        "rows of lines kept 3",
        "rows of lines of an unknown receipt 1",
        "rows of photos kept 2",
    ]
    assert "photos matched 2" in found
    assert "Terms of the model that estimated the ages" in out.read_text("utf-8")


def test_buyers_that_were_kept_give_the_result_of_their_photos(face_variants, tmp_path):
    from PIL import Image

    ids = [f"r{i}" for i in range(12)]
    for name, photo in zip(ids, face_variants[0], strict=False):
        Image.fromarray(photo).save(tmp_path / f"{name}.png")
    for name, columns in (
        ("receipts", {"cashier": ["ann", "ben"] * 6, "id_checked": [True, False, False] * 4}),
        ("lines", {"product": ["tea", "jam", "jam"] * 4, "category": "food"}),
        ("photos", {"photo": [f"{name}.png" for name in ids]}),
    ):
        table = pd.DataFrame({"receipt_id": ids} | columns)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    tables = (tmp_path / "receipts.csv", tmp_path / "lines.csv")
    kept = tmp_path / "buyers.csv"
    for command, *options in (("baskets",), ("alcohol", "--restricted", "food")):
        results = []
        for source in (
            ("--photos", tmp_path / "photos.csv", "--save-buyers", kept, "--jobs", 1),
            ("--buyers", kept),
        ):
            out = tmp_path / "out.parquet"
            result = run(
                *("retail", command, *tables, *options, *source, "--model", "fast", "--out", out)
            )
            assert result.exit_code == 0, result.stderr
            results.append(pd.read_parquet(out))
        pd.testing.assert_frame_equal(*results, rtol=1e-5)


def test_a_buyer_is_checked(portrait, tmp_path):
    Image.fromarray(portrait).save(tmp_path / "1.png")
    sell = run("retail", "check", tmp_path / "1.png", "--challenge-age", 20)
    assert sell.exit_code == 0
    assert sell.stdout.startswith("sell: looks about")
    ask = run("retail", "check", tmp_path / "1.png", "--challenge-age", 60)
    assert ask.stdout.startswith("ask: looks about")
    lost = run("retail", "check", tmp_path / "nowhere.png")
    assert lost.exit_code == 1
    assert lost.stdout.startswith("cannot tell: ")
    assert run("retail", "check", tmp_path / "1.png", "--legal-age", 30).exit_code == 2


def test_a_buyer_is_checked_among_people_as_old_as_those_at_the_till(portrait, tmp_path):
    Image.fromarray(portrait).save(tmp_path / "1.png")
    (tmp_path / "young.csv").write_text("Age;people\n16;500\n17;500\n35;1\n")
    pd.DataFrame({"age": [17, 40], "people": [1.0, 900.0]}).to_json(
        tmp_path / "old.json", orient="records"
    )
    ask, sell = (
        run(
            *("retail", "check", tmp_path / "1.png", "--certainty", 0.9),
            *("--age-weights", tmp_path / name),
        )
        for name in ("young.csv", "old.json")
    )
    assert ask.exit_code == sell.exit_code == 0, ask.output + sell.output
    assert ask.stdout.startswith("ask: ")
    assert sell.stdout.startswith("sell: ")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("age,n\n17,1\n", "'ages.csv' has no column 'people', only 'age', 'n'"),
        ("age,people\n17,1\n30,many\n", "number of people is not a number"),
        ("age,people\n17,1\n30,-1\n", "line 3: '-1'"),
        ("age,people\n17,1\n30,\n", "number of people is missing or below 0"),
        ("age,people\n17.5,1\n30,1\n", "age is not a whole number from 0 to 120"),
        ("age,people\n17,1\n17,2\n", "age is there twice"),
        ("age,people\n17,1,2\n30,1\n", "cells do not fit the header"),
        ("age,people\n40,1\n30,1\n", "--age-weights gives no weight to minors"),
    ],
)
def test_ages_at_a_till_that_cannot_be_read_are_refused(
    portrait, tmp_path, monkeypatch, rows, said
):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(portrait).save("1.png")
    (tmp_path / "ages.csv").write_text(rows)
    refused = run("retail", "check", "1.png", "--certainty", 0.9, "--age-weights", "ages.csv")
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_ages_at_a_till_without_a_rule_by_probability_are_refused(tmp_path):
    refused = run("retail", "check", "1.png", "--age-weights", tmp_path / "ages.csv")
    assert refused.exit_code == 2
    assert "pass --certainty as well" in refused.stderr
