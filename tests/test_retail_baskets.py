"""Buyers, age groups, and what each group buys."""

import copy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ageboost
from ageboost.datasets import make_shop
from ageboost.errors import RetailDataError
from ageboost.models import AgeDistribution
from ageboost.retail import (
    AgeGroups,
    buyers_from_distribution,
    estimate_buyers,
    match_photos,
    purchases_by_age_group,
)

GROUPS = AgeGroups([25, 45], ["young", "middle", "old"])


def told_buyers(group, certainty, rng):
    """Buyers whose memberships are calibrated, and often wrong."""
    n = len(group)
    likelihood = np.ones((n, 3))
    seen = group.copy()
    wrong = rng.random(n) > certainty
    seen[wrong] = rng.integers(0, 3, wrong.sum())
    right = certainty + (1 - certainty) / 3
    likelihood = np.where(np.arange(3) == seen[:, None], right, (1 - certainty) / 3)
    mix = np.bincount(group, minlength=3) / n
    member = likelihood * mix
    member /= member.sum(axis=1, keepdims=True)
    under = member.cumsum(axis=1)
    return pd.DataFrame(
        {
            "receipt_id": np.arange(n).astype(str),
            "status": "ok",
            "age": np.array([20.0, 35, 60])[seen],
            "under_25": under[:, 0],
            "under_45": under[:, 1],
        }
    )


def draw_lines(rates, group, rng):
    """Things that groups have at these rates, as lines."""
    row, thing = np.nonzero(rng.random((len(group), len(rates))) < rates.T[group])
    lines = pd.DataFrame({"receipt_id": row.astype(str), "product": [f"p{t:03d}" for t in thing]})
    base = pd.DataFrame({"receipt_id": np.arange(len(group)).astype(str), "product": "bag"})
    return pd.concat([lines, base], ignore_index=True)


@pytest.fixture(scope="module")
def simulated():
    rng = np.random.default_rng(1)
    group = rng.choice(3, size=12_000, p=[0.2, 0.5, 0.3])
    rates = rng.uniform(0.02, 0.1, (60, 1)) * rng.lognormal(0, 0.4, (60, 3))
    rates[40:] = rates[40:, :1]
    return rates, group, told_buyers(group, 0.6, rng), draw_lines(rates, group, rng)


def lifts(bought, column="lift"):
    things = bought.table.set_index(["product", "group"])[column]
    things = things.drop(index="bag")
    return things.to_numpy().reshape(-1, len(GROUPS))


def true_lifts(rates, group):
    mix = np.bincount(group, minlength=3) / len(group)
    return rates / (rates @ mix)[:, None]


@given(edges=st.sets(st.integers(1, 90), min_size=1, max_size=8), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_memberships_sum_to_one_whatever_the_groups(edges, seed):
    groups = AgeGroups(sorted(edges))
    rng = np.random.default_rng(seed)
    under = np.sort(rng.random((20, len(edges))), axis=1)
    under[3] = np.nan
    table = pd.DataFrame(under, columns=[f"under_{edge}" for edge in groups.edges])
    member = groups.membership(table)
    assert member.shape == (20, len(edges) + 1)
    assert np.isnan(member[3]).all()
    known = np.delete(member, 3, axis=0)
    assert (known >= 0).all()
    np.testing.assert_allclose(known.sum(axis=1), 1)


def test_groups_that_make_no_sense_are_refused():
    for edges in ([], [0], [30, 20], [18, 18], [17.5]):
        with pytest.raises(ValueError, match="edges"):
            AgeGroups(edges)
    with pytest.raises(ValueError, match="names"):
        AgeGroups([18], ["all"])
    with pytest.raises(RetailDataError, match=r"under_30.*only under_18"):
        AgeGroups([18, 30]).membership(pd.DataFrame({"under_18": [0.5]}))


def test_buyers_from_a_distribution_agree_with_it():
    calibration = ageboost.load_pretrained("fast").calibration_
    told = calibration.distribution(np.array([9.0, np.nan, 40]), np.array([2.0, 3, 4]))
    assert isinstance(told, AgeDistribution)
    buyers = buyers_from_distribution([3, 1, 2], told, AgeGroups([30]))
    assert buyers["receipt_id"].tolist() == ["3", "1", "2"]
    assert buyers["status"].tolist() == ["ok", "no photo", "ok"]
    np.testing.assert_allclose(buyers["under_30"], 1 - told.over(30))
    with pytest.raises(RetailDataError, match="there already"):
        buyers_from_distribution([1, 1, 2], told)


def test_every_receipt_has_a_buyer_or_a_reason(portrait, bad_photos):
    model = ageboost.load_pretrained("fast")
    both = np.hstack([portrait, portrait])
    photos = pd.DataFrame(
        {
            "photo": [portrait, both, *(bad_photos[name][0] for name in ("missing", "black"))],
            "receipt_id": ["a", "b", "c", "d"],
        }
    )
    receipts = pd.DataFrame({"receipt_id": ["e", "d", "c", "b", "a"]})
    buyers = estimate_buyers(match_photos(photos, receipts), receipts, model)
    assert buyers["receipt_id"].tolist() == ["e", "d", "c", "b", "a"]
    assert buyers["status"].tolist() == ["no photo", "no face", "unreadable", "ok", "ok"]
    assert buyers["faces"].tolist() == [0, 0, 0, 2, 1]
    assert buyers["age"].isna().tolist() == [True, True, True, False, False]
    [age] = model.predict([portrait])
    assert buyers["age"].iloc[4] == pytest.approx(age)
    left_out = estimate_buyers(photos, receipts, model, several="leave out")
    assert left_out["status"].iloc[3] == "several faces"
    assert np.isnan(left_out["under_18"].iloc[3])


def test_no_photo_at_all_gives_a_table_of_buyers_all_the_same():
    photos = pd.DataFrame({"photo": [], "receipt_id": []}, dtype="str")
    buyers = estimate_buyers(photos, pd.DataFrame({"receipt_id": ["a"]}))
    assert buyers["status"].tolist() == ["no photo"]
    assert "under_18" in buyers


def test_with_known_ages_correction_changes_nothing(simulated):
    _, group, buyers, lines = simulated
    known = buyers.assign(under_25=(group == 0) * 1.0, under_45=(group <= 1) * 1.0)
    plain, corrected = (
        purchases_by_age_group(lines, known, GROUPS, adapt=False, correct=correct)
        for correct in (False, True)
    )
    np.testing.assert_allclose(lifts(plain), lifts(corrected), rtol=1e-4)


def test_correction_comes_nearer_to_the_truth_and_its_intervals_hold(simulated):
    rates, group, buyers, lines = simulated
    truth = true_lifts(rates, group)
    plain, corrected = (
        purchases_by_age_group(lines, buyers, GROUPS, adapt=False, correct=correct)
        for correct in (False, True)
    )
    errors = [np.abs(np.log(lifts(one)) - np.log(truth)).mean() for one in (plain, corrected)]
    assert errors[1] < 0.8 * errors[0]
    inside = (lifts(corrected, "lift_low") <= truth) & (truth <= lifts(corrected, "lift_high"))
    assert inside.mean() > 0.9


def test_few_differences_are_claimed_where_there_are_none(simulated):
    _, _, buyers, lines = simulated
    bought = purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
    claimed = lifts(bought, "significant").astype(bool)
    assert claimed[:40].sum() > 20
    assert claimed[40:].sum() <= 0.1 * claimed.sum()


def test_receipts_of_few_customers_make_intervals_wider(simulated):
    rates, group, buyers, lines = simulated
    # Each customer comes forty times, and buys the same each time.
    customer = np.arange(len(group)) % 300
    person = group[customer]
    rng = np.random.default_rng(0)
    habits = rng.random((300, len(rates))) < rates.T[group[:300]]
    row, thing = np.nonzero(habits[customer])
    lines = pd.DataFrame({"receipt_id": row.astype(str), "product": [f"p{t:03d}" for t in thing]})
    known = buyers.assign(under_25=(person == 0) * 1.0, under_45=(person <= 1) * 1.0)
    alone, together = (
        purchases_by_age_group(lines, known, GROUPS, adapt=False, customers=who)
        for who in (None, customer)
    )
    ratio = together.table["lift_high"] / alone.table["lift_high"]
    assert ratio.median() > 1.3
    assert together.table["significant"].sum() < alone.table["significant"].sum()


def test_what_is_told_does_not_depend_on_the_order_of_rows(simulated):
    _, _, buyers, lines = simulated
    first = purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
    mixed = purchases_by_age_group(
        lines.sample(frac=1, random_state=0), buyers.sample(frac=1, random_state=1), GROUPS,
        adapt=False,
    )  # fmt: skip
    pd.testing.assert_frame_equal(first.table, mixed.table)


def test_memberships_are_adapted_to_the_ages_of_the_shop():
    calibration = ageboost.load_pretrained("fast").calibration_
    rng = np.random.default_rng(0)
    pools = [np.flatnonzero(GROUPS.index(calibration.ages_) == group) for group in range(3)]
    group = rng.choice(3, size=6000, p=[0.05, 0.15, 0.8])
    photo = np.array([rng.choice(pools[g]) for g in group])
    told = calibration.distribution(
        calibration.predictions_[photo].astype(float), calibration.scales_[photo].astype(float)
    )
    buyers = buyers_from_distribution(range(6000), told, GROUPS)
    lines = pd.DataFrame({"receipt_id": np.arange(6000), "product": "tea"})
    adapted, as_told = (
        purchases_by_age_group(lines, buyers, GROUPS, adapt=adapt, calibration=calibration)
        for adapt in (True, False)
    )
    share = np.bincount(group) / 6000
    assert np.abs(adapted.mix - share).max() < 0.03
    assert np.abs(adapted.mix - share).max() < np.abs(as_told.mix - share).max()


def test_the_mix_is_right_where_people_of_a_group_are_of_other_ages_than_those_in_photos():
    whole = ageboost.load_pretrained("fast").calibration_
    rng = np.random.default_rng(0)
    one, other = np.array_split(rng.permutation(len(whole.ages_)), 2)
    predictions, scales = whole.predictions_.astype(float), whole.scales_.astype(float)
    half = copy.copy(whole).keep(predictions[one], whole.ages_[one], scales[one])
    # Beside a college: nearly all are 19 to 22 years old, as 18- to 24-year-olds in photos are not.
    age = np.where(rng.random(5000) < 0.8, rng.integers(19, 23, 5000), rng.integers(30, 70, 5000))
    known = np.floor(whole.ages_[other])
    photo = np.array([rng.choice(other[known == one]) for one in age])
    told = half.distribution(predictions[photo], scales[photo])
    groups = AgeGroups([18, 25, 45])
    buyers = buyers_from_distribution(range(5000), told, groups)
    lines = pd.DataFrame({"receipt_id": np.arange(5000), "product": "tea"})
    found = purchases_by_age_group(lines, buyers, groups, calibration=half)
    given = purchases_by_age_group(lines, buyers, groups, adapt=False)
    share = np.bincount(groups.index(age), minlength=4) / 5000
    assert np.abs(given.mix - share).max() > 0.3
    assert np.abs(found.mix - share).max() < 0.08
    assert found.mix_interval["low"]["18-24"] < share[1] < found.mix_interval["high"]["18-24"]


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_counts_add_up_and_receipts_are_shared_out_in_full(data):
    n = data.draw(st.integers(1, 8))
    status = data.draw(st.lists(st.sampled_from(["ok", "no face"]), min_size=n, max_size=n))
    buyers = pd.DataFrame({"receipt_id": range(n), "status": status, "age": 30.0})
    buyers["under_25"] = [0.2 if s == "ok" else np.nan for s in status]
    buyers["under_45"] = [0.7 if s == "ok" else np.nan for s in status]
    rows = data.draw(
        st.lists(
            st.tuples(st.integers(0, n), st.sampled_from(["tea", "jam", None]),
                      st.sampled_from([1, 2, -1, 0, None])),
            max_size=15,
        )
    )  # fmt: skip
    lines = pd.DataFrame(rows, columns=["receipt_id", "product", "quantity"], dtype="object")
    lines["price"] = 2.0
    if rows and all(receipt == n for receipt, _, _ in rows):
        with pytest.raises(RetailDataError, match="lines belong to one of"):
            purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
        return
    told = purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
    totals = told.counts.groupby("of")["rows"].sum()
    assert totals["receipts"] == n
    assert totals["lines"] == len(lines)
    parts = told.counts.set_index(["of", "outcome"])["rows"]
    assert totals["lines used"] == parts["lines", "used"]
    assert told.table["receipts"].sum() == pytest.approx(parts["things on receipts", "bought"])


def test_what_is_brought_back_is_taken_off_its_receipt():
    buyers = told_buyers(np.arange(14) % 3, 0.6, np.random.default_rng(0))
    returned = {"product": "tea", "quantity": -2, "price": 3.0}
    lines = pd.DataFrame(
        [{"receipt_id": str(i), "product": "tea", "quantity": 2, "price": 3.0} for i in range(12)]
        + [{"receipt_id": "0", **returned}]
        + [{"receipt_id": "13", "product": "jam", "quantity": -1, "price": 2.0}]
    )
    told = purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
    assert set(told.table["product"]) == {"tea"}
    assert told.table["receipts"].sum() == pytest.approx(11)
    assert told.table["spend"].sum() == pytest.approx(66)
    parts = told.counts.set_index(["of", "outcome"])["rows"]
    assert parts["lines used", "brought back"] == 2
    assert parts["things on receipts", "brought back"] == 2


def test_customers_may_be_given_by_the_receipts():
    rng = np.random.default_rng(0)
    buyers = told_buyers(rng.integers(0, 3, 300), 0.6, rng)
    lines = pd.DataFrame({"receipt_id": buyers["receipt_id"], "product": "tea"})
    names = rng.choice(["ann", "bob", None], 300)
    receipts = pd.DataFrame({"receipt_id": buyers["receipt_id"], "customer": names})
    shuffled = receipts.sample(frac=1, random_state=0)
    expected = purchases_by_age_group(lines, buyers, GROUPS, adapt=False, customers=names)
    found = purchases_by_age_group(lines, buyers, GROUPS, adapt=False, customers=shuffled)
    pd.testing.assert_frame_equal(found.table, expected.table)
    assert found.customers_known
    unknown = purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
    assert "pass customers=shop.receipts" in unknown.promise


@pytest.mark.parametrize(
    ("customers", "message"),
    [
        ("customer", r"no column 'customer' in the table of buyers: pass .*shop\.receipts"),
        (np.zeros((3, 2)), r"customers of shape \(3, 2\) but 3 buyers: pass .*shop\.receipts"),
        (["ann"], r"1 customers but 3 buyers: pass .*shop\.receipts"),
        (pd.DataFrame({"receipt_id": ["0"]}), "no column 'customer' in the table of receipts"),
        (
            pd.DataFrame({"receipt_id": ["0", "0"], "customer": ["ann", "bob"]}),
            "receipt_id that is there already",
        ),
        (pd.DataFrame({"receipt_id": ["x"], "customer": ["ann"]}), "none of 3 buyers belong to"),
    ],
)
def test_customers_of_another_shape_are_an_error_that_says_what_to_pass(customers, message):
    buyers = told_buyers(np.arange(3), 0.6, np.random.default_rng(0))
    lines = pd.DataFrame({"receipt_id": buyers["receipt_id"], "product": "tea"})
    with pytest.raises(RetailDataError, match=message):
        purchases_by_age_group(lines, buyers, GROUPS, adapt=False, customers=customers)


def test_what_few_people_bought_is_counted_and_not_shown():
    buyers = told_buyers(np.arange(40) % 3, 0.6, np.random.default_rng(0))
    ids = [*map(str, range(40)), *map(str, range(9)), *map(str, range(20, 32))]
    names = ["tea"] * 40 + ["rum"] * 9 + ["oil"] * 12
    lines = pd.DataFrame({"receipt_id": ids, "product": names})
    customers = np.arange(40)
    customers[20:32] = 20 + np.arange(12) % 2
    told = purchases_by_age_group(lines, buyers, GROUPS, adapt=False, customers=customers)
    assert set(told.table["product"]) == {"tea"}
    bought = told.counts[told.counts["of"] == "things on receipts"].set_index("outcome")["rows"]
    assert bought["bought"] == 40
    assert bought.sum() == 61


@pytest.mark.parametrize("correct", [True, False])
def test_no_lines_and_no_buyers_give_an_empty_table(correct):
    buyers = told_buyers(np.array([0, 1]), 0.6, np.random.default_rng(0))
    lines = pd.DataFrame({"receipt_id": ["0"], "product": ["tea"], "quantity": [1]})
    for some_lines, some_buyers in ((lines.iloc[:0], buyers), (lines, buyers.iloc[:0])):
        told = purchases_by_age_group(some_lines, some_buyers, GROUPS, correct=correct)
        assert told.table.empty
        assert told.offers("young").empty
        told.plot_heatmap()
        str(told)


def test_offers_are_what_the_group_buys_more_of_and_not_what_all_buy(simulated):
    _, _, buyers, lines = simulated
    told = purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
    offers = told.offers("young", 5)
    assert len(offers) == 5
    assert offers["lift_bound"].is_monotonic_decreasing
    assert (offers["lift"] > 1).all()
    assert "bag" not in set(told.offers("young", 100)["product"])
    with pytest.raises(ValueError, match=r"'children'.*'young'"):
        told.offers("children")


def test_plots_name_their_axes(simulated):
    _, _, buyers, lines = simulated
    told = purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
    assert told.plot_heatmap().get_xlabel() == "age group (years)"
    assert "old" in told.plot_offers("old").get_xlabel()


def test_categories_of_a_made_up_shop_lead_to_the_groups_that_buy_them():
    shop = make_shop(10_000, random_state=0)
    model = ageboost.load_pretrained("fast")
    known = model.calibration_
    # Each buyer is somebody of that age of whom it is kept what the model said.
    rng = np.random.default_rng(0)
    pools = {age: np.flatnonzero(known.ages_ == age) for age in np.unique(known.ages_)}
    photo = np.array([rng.choice(pools[age]) for age in shop.truth["age"]])
    told = known.distribution(
        known.predictions_[photo].astype(float), known.scales_[photo].astype(float)
    )
    buyers = buyers_from_distribution(shop.truth["receipt_id"], told)
    bought = purchases_by_age_group(
        shop.lines, buyers, by="category", calibration=model.calibration_
    )
    lift = bought.table.set_index(["category", "group"])["lift"]
    assert lift["baby", "25-34"] > 1.5 > 0.6 > lift["baby", "65+"]


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"by": "brand"}, ValueError, "by='brand': pass 'product' or 'category'"),
        ({"fdr": 0}, ValueError, "fdr=0: pass a share"),
        ({"coverage": 1}, ValueError, "coverage=1: pass a share"),
        ({"customers": ["ann"]}, RetailDataError, "1 customers but 3 buyers"),
    ],
)
def test_a_comparison_of_no_sense_is_refused(wrong, error, said):
    buyers = told_buyers(np.array([0, 1, 2]), 0.6, np.random.default_rng(0))
    lines = pd.DataFrame({"receipt_id": buyers["receipt_id"], "product": "tea", "category": "x"})
    with pytest.raises(error, match=said):
        purchases_by_age_group(lines, buyers, GROUPS, adapt=False, **wrong)


def test_prices_and_quantities_that_are_not_known_are_counted():
    buyers = told_buyers(np.array([0, 1, 2]), 0.6, np.random.default_rng(0))
    lines = pd.DataFrame({"receipt_id": buyers["receipt_id"], "product": ["tea", "jam", "tea"]})
    lines = lines.assign(price=[2.0, np.nan, np.nan], quantity=[1, np.nan, 0])
    told = purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
    counts = told.counts.set_index(["of", "outcome"])["rows"]
    assert counts["prices of lines used", "known"] == 1
    assert counts["prices of lines used", "missing"] == 2
    assert counts["lines used", "without a quantity, taken as one piece"] == 1
    assert counts["lines used", "of no pieces"] == 1


@pytest.mark.parametrize(
    ("ids", "said"),
    [(["a", "a"], "1 receipts have more than one photo, such as 'a'"), (["a", "z"], "such as 'z'")],
)
def test_photos_that_nothing_has_matched_to_receipts_are_refused(small_estimator, ids, said):
    receipts = pd.DataFrame({"receipt_id": ["a", "b"]})
    photos = pd.DataFrame({"photo": ["1.jpg", "2.jpg"], "receipt_id": ids})
    with pytest.raises(RetailDataError, match=said):
        estimate_buyers(photos, receipts, small_estimator)


def test_buyers_are_made_of_as_many_ages_as_receipts():
    told = ageboost.load_pretrained().calibration_.distribution(np.full(3, 30.0), np.ones(3))
    with pytest.raises(ValueError, match="2 receipt_ids but 3 ages"):
        buyers_from_distribution(["a", "b"], told)
