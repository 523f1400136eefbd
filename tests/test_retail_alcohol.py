import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ageboost
from ageboost.datasets import make_shop
from ageboost.errors import RetailDataError
from ageboost.models import AgeCalibrator
from ageboost.retail import (
    AlcoholPolicy,
    alcohol_sales,
    buyers_from_distribution,
    check,
    choose_challenge_age,
    review_cashiers,
)

BEER = AlcoholPolicy(categories=["beer"])


@pytest.fixture(scope="module")
def calibration():
    return ageboost.load_pretrained("fast").calibration_


def receipts_of(n, **more):
    table = {
        "receipt_id": [f"r{i}" for i in range(n)],
        "time": pd.date_range("2025-01-01 09:00", periods=n, freq="h"),
        "store": "S",
        "till": "1",
        "cashier": [f"c{i % 3}" for i in range(n)],
        "id_checked": [i % 2 == 0 for i in range(n)],
    }
    return pd.DataFrame(table | more)


def lines_of(ids, category="beer", quantity=1):
    return pd.DataFrame(
        {
            "receipt_id": ids,
            "product": f"some {category}",
            "category": category,
            "quantity": quantity,
            "price": 2.0,
        }
    )


def buyers_of(calibration, ids, ages):
    ages = np.asarray(ages, dtype=float)
    return buyers_from_distribution(ids, calibration.distribution(ages, np.full(len(ages), 3.0)))


def shop_sales(calibration, seed, n_cashiers=12, per_cashier=600, dishonest=(), never_ask=()):
    """Sales in which buyers look as old as people whom the model had not seen."""
    rng = np.random.default_rng(seed)
    over = calibration.distribution(
        calibration.predictions_.astype(float), calibration.scales_.astype(float)
    ).over([18, 25])
    true = calibration.ages_
    usual = np.select([true < 15, true < 18, true < 25], [0.0, 20.0, 1.0], 1.0)
    n = n_cashiers * per_cashier
    photo = rng.choice(len(true), n, p=usual / usual.sum())
    cashier = np.repeat(np.arange(n_cashiers), per_cashier)
    looks = true[photo] + rng.normal(0, 2.5, n)
    checked = (looks < 25) & (rng.random(n) > 0.02)
    checked &= ~(np.isin(cashier, dishonest) & (true[photo] < 18) & (rng.random(n) < 0.7))
    checked &= ~np.isin(cashier, never_ask)
    age = calibration.predictions_[photo].astype(float)
    return pd.DataFrame(
        {
            "receipt_id": np.arange(n).astype(str),
            "time": pd.Timestamp("2025-01-01")
            + pd.to_timedelta(rng.integers(0, 8000, n), unit="h"),
            "store": "S",
            "till": rng.integers(0, 3, n).astype(str),
            "cashier": np.char.add("c", np.char.zfill(cashier.astype(str), 2)),
            "age": age,
            "under_legal": 1 - over[photo, 0],
            "under_challenge": 1 - over[photo, 1],
            "required": np.where(age < 25, "ask", "sell"),
            "id_checked": checked,
        }
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"legal_age": -1}, "legal_age"),
        ({"legal_age": float("nan")}, "legal_age"),
        ({"challenge_age": 17}, "challenge_age"),
        ({"certainty": 1.0}, "certainty"),
        ({"categories": "beer"}, "pass a list"),
        ({"categories": []}, "no restricted goods"),
        ({"products": [" "]}, "no name"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        AlcoholPolicy(**wrong)


def test_restricted_goods_are_found_whatever_their_case():
    lines = pd.DataFrame({"product": ["Rum  Cake", "Pils", "Tea"], "category": ["c", "BEER", "t"]})
    policy = AlcoholPolicy(categories=["Beer"], products=["rum cake"])
    assert policy.restricted(lines).tolist() == [True, True, False]


def test_a_misspelt_category_gets_an_error_that_lists_near_ones():
    with pytest.raises(ValueError, match="no category 'beers' in the lines: near it are 'Beer'"):
        AlcoholPolicy(categories=["beers"]).restricted(lines_of(["a"], "Beer"))


def test_a_policy_asks_by_age_or_by_certainty():
    age, under = [24.9, 25, np.nan], [0.001, 0.2, np.nan]
    assert AlcoholPolicy().required(age, under).tolist() == ["ask", "sell", "cannot tell"]
    sure = AlcoholPolicy(certainty=0.9)
    assert sure.required(age, under).tolist() == ["sell", "ask", "cannot tell"]


def test_sales_hold_what_was_required_and_what_was_recorded(calibration):
    receipts = receipts_of(4)
    lines = pd.concat([lines_of(["r0", "r1", "r2"]), lines_of(["r3"], "bread")])
    buyers = buyers_of(calibration, receipts["receipt_id"], [20, 50, np.nan, 15])
    sales = alcohol_sales(receipts, lines, buyers, BEER)
    assert sales.table["receipt_id"].tolist() == ["r0", "r1", "r2"]
    assert sales.table["required"].tolist() == ["ask", "sell", "cannot tell"]
    assert sales.table["id_checked"].tolist() == [True, False, True]
    assert sales.table["spend"].tolist() == [2.0, 2.0, 2.0]


def test_goods_that_were_brought_back_were_not_sold(calibration):
    receipts = receipts_of(2)
    lines = pd.concat([lines_of(["r0", "r1"]), lines_of(["r0"], quantity=-1)])
    buyers = buyers_of(calibration, receipts["receipt_id"], [30, 30])
    sales = alcohol_sales(receipts, lines, buyers, BEER)
    assert sales.table["receipt_id"].tolist() == ["r1"]
    counts = sales.counts.set_index(["of", "outcome"])["rows"]
    assert counts["receipts", "brought all restricted goods back"] == 1
    assert counts["lines", "restricted, brought back"] == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["r0", "r1", "r2", "r3", "elsewhere"]),
            st.sampled_from(["beer", "bread"]),
            st.integers(-2, 3),
        ),
        max_size=12,
    )
)
@settings(max_examples=25, deadline=None)
def test_counts_add_up_to_the_rows_that_came_in(calibration, rows):
    receipts = receipts_of(4)
    first = lines_of(["r0"])
    lines = pd.concat([first, *(lines_of([i], c, q) for i, c, q in rows)], ignore_index=True)
    buyers = buyers_of(calibration, receipts["receipt_id"], [20, 50, np.nan, 15])
    sales = alcohol_sales(receipts, lines, buyers, BEER)
    summed = sales.counts.groupby("of")["rows"].sum()
    assert summed["receipts"] == len(receipts)
    assert summed["lines"] == len(lines)
    assert summed["buyers of restricted goods"] == len(sales.table)
    assert summed["sales of restricted goods"] == len(sales.table)
    again = alcohol_sales(receipts, lines[::-1], buyers[::-1], BEER)
    pd.testing.assert_frame_equal(again.table, sales.table)


def test_receipts_without_a_record_of_checks_get_an_error_that_says_what_is_needed(calibration):
    receipts = receipts_of(1).drop(columns="id_checked")
    buyers = buyers_of(calibration, ["r0"], [30])
    with pytest.raises(RetailDataError, match="add a column 'id_checked'"):
        alcohol_sales(receipts, lines_of(["r0"]), buyers, BEER)


def test_buyers_without_the_ages_of_the_policy_get_an_error_that_says_how(calibration):
    buyers = buyers_of(calibration, ["r0"], [30])
    policy = AlcoholPolicy(legal_age=21, categories=["beer"])
    with pytest.raises(RetailDataError, match="ages="):
        alcohol_sales(receipts_of(1), lines_of(["r0"]), buyers, policy)


def test_two_buyers_of_one_receipt_are_refused(calibration):
    receipts = receipts_of(2)
    buyers = buyers_of(calibration, receipts["receipt_id"], [30, 30])
    twice = pd.concat([buyers, buyers.iloc[:1]], ignore_index=True)
    with pytest.raises(RetailDataError, match="'r0': give one row for each receipt"):
        alcohol_sales(receipts, lines_of(receipts["receipt_id"]), twice, BEER)


def test_one_age_can_be_both_legal_and_challenge_age(calibration):
    policy = AlcoholPolicy(18, 18, categories=["beer"])
    buyers = buyers_of(calibration, ["r0"], [30])
    table = alcohol_sales(receipts_of(1), lines_of(["r0"]), buyers, policy).table
    assert table["under_legal"].tolist() == table["under_challenge"].tolist()


def test_empty_tables_give_an_empty_review(calibration):
    receipts, lines = receipts_of(0), lines_of([])
    buyers = buyers_of(calibration, [], [])
    sales = alcohol_sales(receipts, lines, buyers, BEER)
    review = review_cashiers(sales, BEER, calibration)
    assert sales.table.empty
    assert review.table.empty
    assert review.to_talk_to.empty
    assert "No cashier can be compared" in str(review)


def test_receipts_without_a_photo_are_counted_and_never_accused(calibration):
    receipts = receipts_of(60, id_checked=[False] * 60)
    buyers = buyers_of(calibration, receipts["receipt_id"], [np.nan] * 60)
    sales = alcohol_sales(receipts, lines_of(receipts["receipt_id"]), buyers, BEER)
    review = review_cashiers(sales, BEER, calibration)
    assert review.table["cannot_tell"].sum() == 60
    assert review.table["p_value"].isna().all()
    assert not review.table["talk_to"].any()


def test_what_cannot_be_compared_is_counted(calibration):
    sales = shop_sales(calibration, 0, n_cashiers=4, per_cashier=100)
    sales["id_checked"] = sales["id_checked"].astype("boolean")
    sales.loc[:9, "id_checked"] = pd.NA
    sales.loc[10:14, "under_legal"] = np.nan
    sales["cashier"] = sales["cashier"].astype("object")
    sales.loc[15:17, "cashier"] = None
    sales.loc[sales["cashier"] == "c03", "store"] = "alone"
    review = review_cashiers(sales, BEER, calibration)
    counts = review.counts.groupby("of")["rows"].sum()
    assert counts["sales of restricted goods"] == len(sales)
    assert counts["cashiers"] == 4
    rows = review.counts.set_index("outcome")["rows"]
    assert rows["not recorded whether a card was asked for"] == 10
    assert rows["no usable face"] == 5
    assert rows["no cashier named"] == 3
    assert rows["no colleague of the cashier at the till"] == 100
    assert review.table.set_index("cashier")["p_value"].isna()["c03"]


def test_the_order_of_sales_does_not_matter(calibration):
    sales = shop_sales(calibration, 1, n_cashiers=4, per_cashier=150)
    review = review_cashiers(sales, BEER, calibration)
    again = review_cashiers(sales.sample(frac=1, random_state=0), BEER, calibration)
    pd.testing.assert_frame_equal(again.table, review.table, rtol=1e-6)


def test_intervals_hold_their_estimates(calibration):
    table = review_cashiers(shop_sales(calibration, 2), BEER, calibration).table
    for name in ("share_asked", "unchecked_minors", "excess_minors"):
        assert (table[f"{name}_low"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_high"]).all()
    assert table["share_asked"].between(0, 1).all()


def test_an_honest_shop_names_almost_nobody(calibration):
    named = [
        len(review_cashiers(shop_sales(calibration, seed), BEER, calibration).to_talk_to)
        for seed in range(20)
    ]
    assert sum(named) <= 2


def test_a_grossly_dishonest_cashier_is_named(calibration):
    sales = shop_sales(calibration, 3, dishonest=[4])
    review = review_cashiers(sales, BEER, calibration)
    assert review.to_talk_to["cashier"].tolist() == ["c04"]
    [row] = review.to_talk_to.itertuples()
    assert row.excess_minors_low > 0
    text = str(review)
    assert "c04" in text
    assert "It is not known which customers came again" in text
    known = review_cashiers(sales.assign(customer=sales["receipt_id"]), BEER, calibration)
    assert "at most 5% of the names on these lists" in str(known)
    assert "not a proof" in text


def test_a_cashier_who_never_asks_is_named(calibration):
    review = review_cashiers(shop_sales(calibration, 4, never_ask=[7]), BEER, calibration)
    assert review.to_talk_to["cashier"].tolist() == ["c07"]


def test_where_nobody_ever_asks_nobody_stands_out(calibration):
    sales = shop_sales(calibration, 5).assign(id_checked=False)
    review = review_cashiers(sales, BEER, calibration)
    assert review.to_talk_to.empty
    assert review.overall["share_asked"].iloc[0] == 0
    assert "stands out" in str(review)


def test_a_made_up_shop_goes_all_the_way(calibration):
    shop = make_shop(6000, random_state=0)
    rng = np.random.default_rng(0)
    known = calibration.ages_
    photo = [rng.choice(np.flatnonzero(np.abs(known - age) <= 3)) for age in shop.truth["age"]]
    seen = calibration.distribution(
        calibration.predictions_[photo].astype(float), calibration.scales_[photo].astype(float)
    )
    buyers = buyers_from_distribution(shop.truth["receipt_id"], seen)
    policy = AlcoholPolicy(categories=["beer", "wine", "spirits"])
    sales = alcohol_sales(shop.receipts, shop.lines, buyers, policy)
    review = review_cashiers(sales, policy, calibration)
    assert set(review.table["cashier"]) <= set(shop.cashiers["cashier"])
    assert review.table["sales"].sum() == len(sales.table)
    assert review.table["p_value"].notna().all()


def test_figures_show_every_cashier_who_is_compared(calibration):
    review = review_cashiers(shop_sales(calibration, 3, dishonest=[4]), BEER, calibration)
    assert len(review.plot_excess().get_yticks()) == len(review.table)
    assert sum(len(line.get_xdata()) for line in review.plot_checks().get_lines()) == 2 + 12


@pytest.mark.parametrize("wrong", [{"fdr": 0}, {"coverage": 1}])
def test_shares_that_make_no_sense_are_refused(calibration, wrong):
    with pytest.raises(ValueError, match="share above 0"):
        review_cashiers(shop_sales(calibration, 0, 2, 10), BEER, calibration, **wrong)


def test_a_model_that_has_not_met_minors_is_refused():
    ages = np.linspace(30, 60, 300)
    calibration = AgeCalibrator().keep(ages, ages + 1, np.ones(300))
    sales = pd.DataFrame(
        {
            "cashier": ["a", "b"],
            "age": [40.0, 40.0],
            "under_legal": [0.1, 0.1],
            "under_challenge": [0.2, 0.2],
            "required": "sell",
            "id_checked": [True, False],
        }
    )
    with pytest.raises(ValueError, match="0 people under 18"):
        review_cashiers(sales, BEER, calibration)


def test_a_higher_challenge_age_waves_fewer_minors_through(calibration):
    strict = choose_challenge_age(calibration, waved_through=0.02)
    lax = choose_challenge_age(calibration, waved_through=0.1)
    assert strict.challenge_age > lax.challenge_age
    assert strict.certainty > lax.certainty
    assert (strict.chosen["waved_through"] <= 0.02).all()
    assert (strict.chosen["asked"].to_numpy() > lax.chosen["asked"].to_numpy()).all()
    assert "asked" in str(strict)


def test_the_age_mix_of_a_shop_moves_the_share_of_adults_who_are_asked(calibration):
    ages = pd.Series(1.0, index=range(15, 80))
    old = pd.Series(np.where(ages.index < 40, 1.0, 20.0), ages.index)
    usual = choose_challenge_age(calibration, waved_through=0.05, age_weights=ages)
    older = choose_challenge_age(calibration, waved_through=0.05, age_weights=old)
    assert older.chosen["asked"].iloc[0] < usual.chosen["asked"].iloc[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"waved_through": 0}, "waved_through=0: pass a share"),
        ({"youngest": 18}, "below legal_age=18"),
        ({"youngest": 17.9, "legal_age": 17.95}, "nobody from 17.9 to 17.95"),
        ({"age_weights": pd.Series([1, -1], [15, 30])}, "a number below 0"),
        ({"age_weights": pd.Series([1.0, np.nan], [15, 30])}, "a number below 0, or none"),
        ({"age_weights": pd.Series([1, 1], [30, 31])}, "no weight to minors"),
    ],
)
def test_a_challenge_age_of_no_sense_is_not_looked_for(calibration, wrong, said):
    with pytest.raises(ValueError, match=said):
        choose_challenge_age(calibration, **wrong)


def test_a_real_photo_is_sold_to_or_asked_by_the_policy(portrait):
    assert check(portrait, AlcoholPolicy()).answer == "sell"
    answer = check(portrait, AlcoholPolicy(challenge_age=40))
    assert answer.answer == "ask"
    assert answer.age_low < answer.age < answer.age_high
    assert "younger than the challenge age of 40" in str(answer)


@pytest.mark.parametrize("photo", [b"no photo", "missing.jpg", None, np.zeros((200, 200, 3), "u1")])
def test_a_bad_photo_gets_cannot_tell(photo):
    answer = check(photo, AlcoholPolicy())
    assert answer.answer == "cannot tell"
    assert answer.age is None
    assert answer.reason


def test_of_several_faces_the_one_that_looks_youngest_counts(portrait):
    two = np.concatenate([portrait, portrait[:, ::-1]], axis=1)
    answer = check(two, AlcoholPolicy())
    assert answer.faces == 2
    assert "looks youngest" in answer.reason


def test_a_buyer_is_asked_by_certainty_where_the_policy_says_so(portrait):
    sure = check(portrait, AlcoholPolicy(certainty=0.5))
    assert sure.answer == "sell"
    assert "not below the 50.0%" in str(sure)
    unsure = check(portrait, AlcoholPolicy(certainty=0.9999999))
    assert unsure.answer == "ask"
    assert "below the 100.0%" in str(unsure)
    assert unsure.age == sure.age


def test_a_buyer_is_as_probably_under_age_as_people_at_the_till_are(portrait):
    policy = AlcoholPolicy()
    usual = check(portrait, policy)
    many = check(portrait, policy, age_weights=pd.Series({16: 500, 17: 500, 35: 1}))
    few = check(portrait, policy, age_weights=pd.Series({17: 1, 35: 500, 50: 500}))
    assert few.under_legal < many.under_legal
    assert usual.under_legal < many.under_legal
    assert (many.age, many.age_low, many.age_high) == (usual.age, usual.age_low, usual.age_high)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({17: -1, 30: 1}, "a number below 0"),
        ({30: 1, 40: 1}, "no weight to minors"),
        ({15: 1, 17: 1}, "or none to adults"),
    ],
)
def test_a_till_without_minors_or_adults_is_refused(portrait, weights, said):
    with pytest.raises(ValueError, match=said):
        check(portrait, AlcoholPolicy(), age_weights=pd.Series(weights))


def test_a_category_like_none_that_is_sold_gets_an_error_that_lists_those_there_are():
    lines = lines_of([f"r{i}" for i in range(12)]).assign(category=[f"kind {i}" for i in range(12)])
    with pytest.raises(ValueError, match=r"there are 'kind 0', .* and 2 more"):
        AlcoholPolicy(categories=["xyz"]).restricted(lines)
