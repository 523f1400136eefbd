"""What keeps the list of cashiers honest: customers, looks, few sales, tills, identity, power."""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ageboost
from ageboost.errors import RetailDataError
from ageboost.retail import AlcoholPolicy, ReviewPeriod, review_cashiers
from ageboost.retail.purchases import Purchases
from ageboost.retail.sales import AlcoholSales

POLICY = AlcoholPolicy()
ROOT = Path(__file__).parent.parent
PAGES = {page.read_text("utf-8").split("\n", 1)[0]: page for page in ROOT.glob("docs/*.md")}


@pytest.fixture(scope="module")
def calibration():
    return ageboost.load_pretrained("fast").calibration_


def sales_of(calibration, seed, n_cashiers=10, per_cashier=500, spares=None, own_till=False):
    """Sales of a store in a year; ``spares`` is the share of minors that each cashier spares."""
    rng = np.random.default_rng(seed)
    over = calibration.distribution(
        calibration.predictions_.astype(float), calibration.scales_.astype(float)
    ).over([18, 25])
    true = calibration.ages_
    usual = np.select([true < 15, true < 18], [0.0, 20.0], 1.0)
    n = n_cashiers * per_cashier
    photo = rng.choice(len(true), n, p=usual / usual.sum())
    cashier = np.repeat(np.arange(n_cashiers), per_cashier)
    checked = (true[photo] + rng.normal(0, 2.5, n) < 25) & (rng.random(n) > 0.02)
    share = np.zeros(n_cashiers) if spares is None else np.asarray(spares)
    checked &= ~((true[photo] < 18) & (rng.random(n) < share[cashier]))
    age = calibration.predictions_[photo].astype(float)
    time = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 8759, n), unit="h")
    return pd.DataFrame(
        {
            "time": time,
            "store": "S",
            "till": (cashier if own_till else rng.integers(0, 3, n)).astype(str),
            "cashier": np.char.add("c", np.char.zfill(cashier.astype(str), 2)),
            "customer": np.arange(n).astype(str),
            "age": age,
            "under_legal": 1 - over[photo, 0],
            "under_challenge": 1 - over[photo, 1],
            "required": np.where(age < 25, "ask", "sell"),
            "id_checked": checked,
        }
    )


def one_dishonest(n_cashiers=10, share=0.8):
    spares = np.zeros(n_cashiers)
    spares[4] = share
    return spares


def test_a_regular_whose_card_was_seen_is_not_held_against_a_cashier(calibration):
    sales = sales_of(calibration, 0)
    # One young adult comes every day to the same cashier, who asked once.
    young = sales[(sales["age"] < 20) & sales["id_checked"]].sort_values("time").iloc[[0]]
    again = pd.concat([young] * 200, ignore_index=True)
    again = again.assign(
        cashier="c07", time=young["time"].iloc[0] + pd.to_timedelta(np.arange(200), unit="D") / 10
    )
    again["id_checked"] = np.arange(200) == 0
    both = pd.concat([sales, again], ignore_index=True)
    known = review_cashiers(both, POLICY, calibration)
    assert known.to_talk_to.empty
    outcome = known.counts.set_index("outcome")["rows"]
    assert outcome["the cashier had served this customer before"] == 199
    unknown = review_cashiers(both.drop(columns="customer"), POLICY, calibration)
    assert "c07" in set(unknown.to_talk_to["cashier"])
    assert "no share of false names is promised" in str(unknown)


def test_nobody_is_named_on_fewer_than_five_sales(calibration):
    sales = sales_of(calibration, 1)
    minors = sales[sales["under_legal"] > 0.9].head(4)
    rest = sales[sales["under_legal"] < 0.01].head(60)
    new = pd.concat([minors.assign(id_checked=False), rest]).assign(cashier="new")
    review = review_cashiers(pd.concat([sales, new], ignore_index=True), POLICY, calibration)
    row = review.table.set_index("cashier").loc["new"]
    assert row["stands_on_sales"] <= 4
    assert not row["talk_to"]
    assert (review.to_talk_to["stands_on_sales"] >= 5).all()


def test_who_sits_at_a_till_alone_is_not_compared(calibration):
    sales = sales_of(calibration, 2, spares=one_dishonest(), own_till=True)
    review = review_cashiers(sales, POLICY, calibration)
    assert review.to_talk_to.empty
    assert review.table["p_value"].isna().all()
    assert set(review.table["note"]) == {"no colleague has enough sales at the same tills"}


def test_one_number_in_two_stores_is_two_people(calibration):
    first = sales_of(calibration, 3, n_cashiers=4, per_cashier=150)
    both = pd.concat([first, first.assign(store="T")], ignore_index=True)
    assert len(review_cashiers(both, POLICY, calibration).table) == 8
    assert len(review_cashiers(both, POLICY, calibration, cashiers_move=True).table) == 4


def test_cashiers_of_few_sales_are_counted_and_not_shown(calibration):
    sales = sales_of(calibration, 4, n_cashiers=4, per_cashier=150)
    few = sales.head(9).assign(cashier="new")
    review = review_cashiers(pd.concat([sales, few], ignore_index=True), POLICY, calibration)
    assert "new" not in set(review.table["cashier"])
    assert review.counts.set_index("outcome")["rows"]["left out, with fewer than 10 sales"] == 1


def test_power_rises_with_what_is_spared_and_is_stated(calibration):
    review = review_cashiers(sales_of(calibration, 5), POLICY, calibration)
    assert review.powers["found"].is_monotonic_increasing
    few = review_cashiers(sales_of(calibration, 5, per_cashier=60), POLICY, calibration)
    assert (few.powers["found"] <= review.powers["found"] + 1e-9).all()
    assert "of those who spare 50% of the minors" in str(review)


def test_each_name_has_a_local_rate_no_smaller_than_those_before(calibration):
    sales = sales_of(calibration, 6, spares=one_dishonest())
    table = review_cashiers(sales, POLICY, calibration).table
    assert table["local_rate"].is_monotonic_increasing
    assert table["local_rate"].between(0, 1).all()
    assert table["cashier"].iloc[0] == "c04"
    assert table["local_rate"].iloc[0] < 0.05


def test_ranges_hold_the_share_of_the_young_who_were_asked(calibration):
    sales = sales_of(calibration, 7)
    whole = review_cashiers(sales, POLICY, calibration).overall.iloc[0]
    assert whole["share_asked_low"] <= whole["share_asked"] <= whole["share_asked_high"]


def test_looks_are_counted_and_names_stay(calibration, tmp_path):
    sales = sales_of(calibration, 8, spares=one_dishonest())
    path = tmp_path / "looks.json"
    named = []
    for month in (4, 9, 13):
        year = ReviewPeriod(path, "2025-01-01", "2025-12-31")
        before = pd.Timestamp("2025-12-31 23:59") if month == 13 else pd.Timestamp(2025, month, 1)
        review = review_cashiers(sales[sales["time"] < before], POLICY, calibration, period=year)
        named.append(set(review.to_talk_to["cashier"]))
        assert len(year.looks) == len(named)
    assert named[0] <= named[1] <= named[2] == {"c04"}
    once = review_cashiers(sales, POLICY, calibration).table.set_index("cashier")["p_value"]
    often = review.table.set_index("cashier")["p_value"]
    assert often["c04"] >= once["c04"]
    # The same sales once more are no look.
    review_cashiers(sales, POLICY, calibration, period=year)
    assert len(ReviewPeriod(path).looks) == 3


def test_sales_that_were_looked_at_cannot_be_left_out_later(calibration, tmp_path):
    sales = sales_of(calibration, 9, n_cashiers=4, per_cashier=150).sort_values("time")
    year = ReviewPeriod(tmp_path / "looks.json", "2025-01-01", "2025-12-31")
    review_cashiers(sales.head(300), POLICY, calibration, period=year)
    with pytest.raises(RetailDataError, match="pass all sales since 2025-01-01"):
        review_cashiers(sales.tail(300), POLICY, calibration, period=year)
    late = sales.assign(time=sales["time"] + pd.Timedelta(days=400))
    with pytest.raises(RetailDataError, match="leave the others out"):
        review_cashiers(late, POLICY, calibration, period=year)


def test_a_period_of_no_sense_is_refused(tmp_path):
    path = tmp_path / "looks.json"
    with pytest.raises(ValueError, match="first and last day"):
        ReviewPeriod(path)
    with pytest.raises(ValueError, match="not after its first day"):
        ReviewPeriod(path, "2025-02-01", "2025-01-01")
    path.write_text(json.dumps({"version": 7}), "utf-8")
    with pytest.raises(RetailDataError, match="not a file of reviews"):
        ReviewPeriod(path)


def test_nobody_is_named_by_photos_of_a_camera_that_the_model_does_not_know(calibration):
    table = sales_of(calibration, 6, spares=one_dishonest())
    sales = AlcoholSales(table, pd.DataFrame(), calibration.fingerprint_, "foreign")
    review = review_cashiers(sales, POLICY, calibration)
    assert review.withheld
    assert review.to_talk_to.empty
    assert str(review).startswith("Nobody is named, because the photos do not look like those")
    assert review.table["note"].iloc[0] == "the photos do not look like those that the model knows"
    asked = review_cashiers(sales, POLICY, calibration, name_at_foreign_camera=True)
    assert "c04" in set(asked.to_talk_to["cashier"])
    known = replace(sales, camera="known")
    assert not review_cashiers(known, POLICY, calibration).withheld


def measured_in(message):
    """The page that a message names by its title, and what it quotes of it after that."""
    titles = re.findall(r'"([^"]+)" in the documentation', message)
    assert titles, message
    text = PAGES[f"# {titles[0]}"].read_text("utf-8")
    quoted = re.findall('"([^"]+)"', message.partition("in the documentation")[2])
    assert all(words in text for words in quoted)
    return text, quoted


def test_what_is_promised_is_measured_on_the_page_that_is_named(calibration):
    review = review_cashiers(sales_of(calibration, 8), POLICY, calibration)
    text, [heading] = measured_in(review.promise)
    assert f"## {heading}\n" in text
    unknown = replace(review, customers_known=False).promise
    text, [row] = measured_in(unknown)
    said = re.search(r"were to regulars, (\d+)% of honest chains", unknown)[1]
    [line] = [line for line in text.splitlines() if line.startswith("|") and row in line]
    assert round(float(re.search(r"\| ([\d.]+)% \|", line)[1])) == int(said)
    empty = pd.DataFrame()
    bought = Purchases(empty, empty, pd.Series(), empty, "product", 0.95, 0.05, True, ())
    text, [rows] = measured_in(bought.promise)
    assert sum(rows in line for line in text.splitlines() if line.startswith("|")) >= 4


def strings_of(tree):
    """Strings of a module that are shown to somebody, unlike docstrings."""
    told = {
        id(statement.value)
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def test_no_message_leads_into_a_checkout_and_pages_are_named_by_their_titles():
    named = 0
    for module in ROOT.glob("ageboost/**/*.py"):
        for text in strings_of(ast.parse(module.read_text("utf-8"))):
            assert not re.search(r"\b(docs|examples|benchmarks)/", text), (module.name, text)
            for title in re.findall(r'"([^"]+)" in the\s+documentation', text):
                assert f"# {title}" in PAGES, (module.name, title)
                named += 1
    assert named >= 5
