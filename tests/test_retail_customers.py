"""When customers of each age group come: counts that add up, and differences that are found."""

import re

import numpy as np
import pandas as pd
import pytest

import ageboost
from ageboost.datasets import make_shop
from ageboost.errors import RetailDataError
from ageboost.retail import AgeGroups, customers_by_age_group, make_retail_report, simulate_buyers
from ageboost.retail.customers import Customers
from ageboost.retail.visit_sections import visit_sections

GROUPS = AgeGroups([18, 45, 65])


@pytest.fixture(scope="module")
def shop():
    """A shop to which people of 65 or more come before noon, and others after it."""
    made = make_shop(4000, random_state=0)
    ages = made.truth["age"].to_numpy()
    hours = np.where(ages >= 65, 9, 15) + np.random.default_rng(0).integers(0, 3, len(ages))
    days = made.receipts["time"].dt.normalize()
    receipts = made.receipts.assign(time=days + pd.to_timedelta(hours, unit="h"))
    model = ageboost.load_pretrained("fast")
    return receipts, simulate_buyers(made.truth, model, missing=0.1, random_state=0), made.truth


@pytest.fixture(scope="module")
def by_hour(shop):
    return customers_by_age_group(*shop[:2], GROUPS, by=["hour"])


def test_groups_add_up_to_the_receipts_of_each_hour(shop, by_hour):
    cells = by_hour.table.groupby("hour")
    assert np.allclose(cells["customers"].sum(), cells["receipts"].first())
    assert np.allclose(cells["share"].sum(), 1)
    expected = shop[0]["time"].dt.hour.value_counts().sort_index()
    assert cells["receipts"].first().to_dict() == expected.to_dict()
    totals = by_hour.counts.groupby("of")["rows"].sum()
    assert totals["receipts"] == totals["buyers"] == 4000


def test_the_old_are_found_when_they_come(by_hour):
    table = by_hour.table.set_index(["hour", "group"])
    for hour in (9, 10, 11):
        row = table.loc[(hour, "65+")]
        assert row["share"] > 0.75
        assert row["relative"] > 3
        assert row["sure"] > 0.99
    for hour in (15, 16, 17):
        row = table.loc[(hour, "65+")]
        assert row["share_low"] <= row["share"] < 0.1
        assert row["relative"] < 0.3


def test_intervals_hold_the_true_shares_of_stores(shop):
    receipts, buyers, truth = shop
    group = np.array(GROUPS.names)[GROUPS.index(truth["age"].to_numpy())]
    shares = pd.crosstab(receipts["store"], group, normalize="index")
    table = customers_by_age_group(receipts, buyers, GROUPS, by=["store"]).table
    true = np.array([shares.loc[row.store, row.group] for row in table.itertuples()])
    holds = (table["share_low"] - 0.005 <= true) & (true <= table["share_high"] + 0.005)
    assert len(holds) == 8
    assert holds.sum() >= 7


def test_cells_of_few_people_are_not_shown(shop):
    receipts, buyers, _ = shop
    few = receipts["time"].where(np.arange(len(receipts)) > 5, receipts["time"].dt.normalize())
    found = customers_by_age_group(receipts.assign(time=few), buyers, GROUPS, by=["hour"])
    assert 0 not in set(found.table["hour"])
    hidden = found.counts[found.counts["outcome"].str.startswith("not shown")]
    assert hidden["rows"].tolist() == [6]


def test_hours_are_those_of_the_shop(shop, by_hour):
    receipts, buyers, _ = shop
    zoned = receipts["time"].dt.tz_localize("UTC")
    found = customers_by_age_group(
        receipts.assign(time=zoned), buyers, GROUPS, by=["hour"], zone="Etc/GMT-2"
    )
    pd.testing.assert_frame_equal(
        found.table.drop(columns="hour"), by_hour.table.drop(columns="hour")
    )
    assert set(found.table["hour"]) == {hour + 2 for hour in by_hour.table["hour"]}
    with pytest.raises(RetailDataError, match="no time zone"):
        customers_by_age_group(receipts, buyers, GROUPS, by=["hour"], zone="Etc/GMT-2")


def test_what_is_no_cell_is_refused(shop):
    for by in ("hour", [], ["minute"], ["hour", "hour"]):
        with pytest.raises(ValueError, match="by="):
            customers_by_age_group(*shop[:2], GROUPS, by=by)
    with pytest.raises(RetailDataError, match="no column 'time'"):
        customers_by_age_group(shop[0][["receipt_id"]], shop[1], GROUPS, by=["hour"])


def test_the_figure_and_the_page_show_when_they_come(shop, by_hour):
    receipts, buyers, _ = shop
    texts = [text.get_text() for text in by_hour.plot().texts]
    assert len(texts) == 2 * len(by_hour.table)
    lines = pd.DataFrame({"receipt_id": receipts["receipt_id"], "product": "tea"})
    page = make_retail_report(receipts, lines, buyers, groups=GROUPS)
    section = page.html.partition('id="visits"')[2].partition("</section>")[0]
    assert "When and where they come" in section
    assert re.search(r"Customers aged 65\+ stand out most from \d+:00 to \d+:59: ", section)
    assert section.count("<details>") == section.count("<table>") > 1
    assert "probability that the share is above (or below) the group" in section
    assert not any(receipt in section for receipt in receipts["receipt_id"].head(100))


@pytest.mark.parametrize(
    ("column", "cells", "where"),
    [
        ("store", ["12", "339"], "in store 339: "),
        ("store", ["12", "(none)"], "where no store is named: "),
        ("hour", [9, 20], "from 20:00 to 20:59: "),
        ("weekday", ["Monday", "Tuesday"], "on Tuesday: "),
    ],
)
def test_what_stands_out_is_named_in_words_and_only_if_it_is_clear(column, cells, where):
    share = np.array([0.5, 0.5, 0.2, 0.8])
    table = pd.DataFrame(
        {
            column: np.repeat(cells, 2),
            "group": ["12-17", "18-24"] * 2,
            "receipts": 1000,
            "with_age": 900,
            "share": share,
            "share_low": share - 0.02,
            "share_high": share + 0.02,
            "customers": 1000 * share,
            "customers_low": 1000 * share - 20,
            "customers_high": 1000 * share + 20,
            "relative": [1.0, 1.0, 0.4, 1.6],
            "sure": [0.5, 0.5, 0.9999, 0.9999],
        }
    )
    [section] = visit_sections([Customers(table, pd.DataFrame(), (column,), 0.95)])
    assert section.finding.startswith(f"Customers aged 18-24 stand out most {where}1.6 to 1.6 ")
    # Of four shares that are above or below with 96 %, one is so by chance every few times.
    unsure = table.assign(sure=[0.5, 0.5, 0.96, 0.96])
    [section] = visit_sections([Customers(unsure, pd.DataFrame(), (column,), 0.95)])
    assert section.finding.startswith("No age group clearly comes more often")
