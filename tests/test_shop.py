"""The made-up supermarket keeps its word: what it says of itself is what its receipts show."""

import numpy as np
import pandas as pd
import pytest

from ageboost.datasets import make_shop, make_till_photos


@pytest.fixture(scope="module")
def shop():
    return make_shop(40_000, random_state=0)


def test_the_same_seed_makes_the_same_shop():
    ours, theirs = (make_shop(300, random_state=7) for _ in range(2))
    for name in ("receipts", "lines", "truth", "cashiers"):
        pd.testing.assert_frame_equal(getattr(ours, name), getattr(theirs, name))


def test_tables_belong_together(shop):
    receipts = shop.receipts
    assert len(receipts) == 40_000
    assert receipts["receipt_id"].is_unique
    assert receipts["time"].is_monotonic_increasing
    # Nobody queues for nothing.
    assert set(shop.lines["receipt_id"]) == set(receipts["receipt_id"])
    assert receipts["cashier"].isin(shop.cashiers["cashier"]).all()
    assert (shop.truth["receipt_id"] == receipts["receipt_id"]).all()


def test_age_groups_buy_by_the_factors_that_it_declares(shop):
    bought = shop.lines.merge(shop.truth, on="receipt_id")
    ages = shop.truth["age"]
    young, old = ages.between(18, 24), ages >= 65
    for product, expected in [("energy drink", 3.0 / 0.1), ("liver sausage", 0.2 / 2.3)]:
        buyers = bought.loc[bought["product"] == product, "age"]
        ratio = (buyers.between(18, 24).sum() / young.sum()) / ((buyers >= 65).sum() / old.sum())
        assert np.log(ratio) == pytest.approx(np.log(expected), abs=0.5)


def test_only_dishonest_cashiers_sell_alcohol_to_many_minors(shop):
    restricted = shop.lines["category"].isin(["beer", "wine", "spirits"])
    sold = shop.receipts[shop.receipts["receipt_id"].isin(shop.lines.loc[restricted, "receipt_id"])]
    sold = sold.merge(shop.truth, on="receipt_id").merge(shop.cashiers, on="cashier")
    minors = sold[sold["age"] < 18]
    assert not minors["id_checked"].any()
    honest = minors["honest"].sum() / shop.cashiers["honest"].sum()
    dishonest = (~minors["honest"]).sum() / (~shop.cashiers["honest"]).sum()
    assert dishonest > 10 * honest


def test_who_buys_no_alcohol_is_not_asked_for_a_card(shop):
    asked = shop.receipts.loc[shop.receipts["id_checked"], "receipt_id"]
    ages = shop.truth.set_index("receipt_id").loc[asked, "age"]
    restricted = shop.lines["category"].isin(["beer", "wine", "spirits"])
    with_alcohol = set(shop.lines.loc[restricted, "receipt_id"])
    assert all(receipt in with_alcohol for receipt in asked[(ages >= 18).to_numpy()])


def test_buyers_get_photos_of_somebody_of_their_age(shop):
    labels = pd.DataFrame({"photo": [f"{age}.jpg" for age in range(5, 95)], "age": range(5, 95)})
    photos = make_till_photos(shop, labels, missing=0.1, random_state=0)
    assert len(photos) == pytest.approx(36_000, abs=400)
    # Without missing photos, rows stand in the order of the receipts.
    photos = make_till_photos(shop, labels, missing=0, random_state=0)
    assert (photos["photo"] == shop.truth["age"].astype(str) + ".jpg").all()
    assert (photos["time"] <= shop.receipts["time"]).all()


def test_impossible_shops_are_refused():
    with pytest.raises(ValueError, match="dishonest=9 of n_cashiers=8"):
        make_shop(10, dishonest=9)
    with pytest.raises(ValueError, match="no labelled photos"):
        make_till_photos(make_shop(10, random_state=0), pd.DataFrame(columns=["photo", "age"]))
