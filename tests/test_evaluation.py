import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from ageboost.evaluation import (
    age_groups,
    age_metrics,
    calibration_error,
    challenge_ages,
    fairness_gaps,
    interval_coverage,
    minors_passing,
    plot_challenge_ages,
    plot_coverage,
    plot_coverage_by_age,
    plot_errors_by_age,
    plot_fairness,
    plot_predictions,
    plot_reliability,
    reliability_curve,
    share_interval,
    summarize_errors,
)
from ageboost.models import AgeCalibrator


def people(n_people=2000, seed=0):
    """Ages, what is predicted (worse for the group b) and labels."""
    rng = np.random.default_rng(seed)
    predictions = rng.uniform(5, 80, n_people)
    group = rng.choice(["a", "b"], n_people)
    ages = rng.normal(predictions, np.where(group == "a", 2, 6)).clip(0).round()
    return ages, predictions, pd.DataFrame({"group": group})


def believe(ages, predictions):
    blank = np.zeros((len(ages), 1))
    calibrator = AgeCalibrator(random_state=0, n_jobs=1).fit(blank, predictions, ages)
    return calibrator.predict(blank, predictions)


def value(table, metric, by="all", group="all"):
    [row] = table.query("metric == @metric and by == @by and group == @group").to_dict("records")
    return row


def test_metrics_are_those_of_scikit_learn():
    ages, predictions, _ = people(300)
    table = age_metrics(ages, predictions)
    expected = mean_absolute_error(ages, predictions), root_mean_squared_error(ages, predictions)
    assert value(table, "MAE")["value"] == pytest.approx(expected[0])
    assert value(table, "RMSE")["value"] == pytest.approx(expected[1])
    summary = summarize_errors(ages, predictions)
    assert (summary["MAE"], summary["RMSE"]) == pytest.approx(expected)
    assert value(table, "bias")["value"] == pytest.approx(summary["bias"])
    assert value(table, "within 5 years")["value"] == pytest.approx(summary["within 5 years"])


def test_every_figure_lies_in_its_interval_and_every_group_has_its_own():
    ages, predictions, labels = people()
    distribution = believe(ages, predictions)
    table = age_metrics(ages, predictions, distribution, labels)
    assert (table["low"] <= table["value"] + 1e-6).all()
    assert (table["value"] <= table["high"] + 1e-6).all()
    for name in "ab":
        part = (labels["group"] == name).to_numpy()
        row = value(table, "MAE", "group", name)
        assert row["value"] == pytest.approx(mean_absolute_error(ages[part], predictions[part]))
        assert row["photos"] == part.sum()
    minors = value(table, "minors waved through", "age group", "13-17")
    part = age_groups(ages) == "13-17"
    assert minors["value"] == pytest.approx((predictions[part] >= 25).mean())


def test_intervals_of_figures_hold_what_photos_drawn_anew_give():
    ages, predictions, _ = people(400, seed=1)
    row = value(age_metrics(ages, predictions), "MAE")
    inside = 0
    for seed in range(40):
        others = people(400, seed=100 + seed)
        inside += row["low"] - 0.3 < mean_absolute_error(*others[:2]) < row["high"] + 0.3
    assert inside >= 36


def test_photos_without_an_age_are_left_out():
    table = age_metrics([20, 30, 16], [22, np.nan, np.nan])
    assert value(table, "MAE")["photos"] == 1
    assert "minors waved through" not in set(table["metric"])


def test_the_largest_gap_is_named():
    ages, predictions, labels = people()
    distribution = believe(ages, predictions)
    labels["rare"] = ["x"] * 10 + ["y"] * 900 + ["z"] * (len(labels) - 910)
    gaps = fairness_gaps(ages, predictions, labels, distribution)
    row = gaps.query("by == 'group' and metric == 'MAE'").iloc[0]
    assert (row["lowest"], row["highest"], row["certain"]) == ("a", "b", True)
    assert row["low"] < row["gap"] < row["high"]
    row = gaps.query("by == 'group' and metric == 'inside'").iloc[0]
    assert (row["lowest"], row["highest"]) == ("b", "a")
    row = gaps.query("by == 'rare' and metric == 'MAE'").iloc[0]
    assert row["left_out"] == "x (10)"
    assert not row["certain"]


def test_a_gap_that_ages_hide_shows_at_equal_ages():
    rng = np.random.default_rng(0)
    group = np.repeat(["a", "b"], 2000)
    # One group is older, where errors are larger; at any age the other has the larger errors.
    old = rng.random(4000) < np.where(group == "a", 0.7, 0.3)
    ages = np.where(old, 50.0, 30.0)
    spread = np.where(old, 8.0, 3.0) + np.where(group == "b", 1.0, 0.0)
    gaps = fairness_gaps(ages, ages + spread * rng.normal(size=4000), {"group": group})
    row = gaps.query("by == 'group' and metric == 'MAE'").iloc[0]
    assert (row["lowest"], row["highest"]) == ("b", "a")
    assert row["at_equal_ages"] == pytest.approx(-0.8, abs=0.3)
    assert row["equal_low"] < row["at_equal_ages"] < row["equal_high"] < 0
    assert gaps.query("by == 'age group'")["at_equal_ages"].isna().all()


def test_minors_who_pass_are_counted_at_one_age_and_group_by_group():
    ages = [17, 17.9, 17, 16, 30, 17]
    sex, region = list("ffmmff"), ["north"] * 5 + ["south"]
    table = minors_passing(ages, [26, 20, np.nan, 40, 50, 30], {"sex": sex, "region": region})
    assert table["people"].tolist() == [4, 2, 1, 1]
    assert table["share"].tolist() == pytest.approx([0.5, 0.5, 1, 0])
    assert (table["low"] <= table["share"]).all()
    assert (table["share"] <= table["high"]).all()


def test_a_gap_between_groups_that_do_not_differ_is_seldom_called_certain():
    rng = np.random.default_rng(0)
    n_certain = 0
    for _ in range(20):
        ages = rng.integers(20, 90, 400).astype(float)
        race = rng.choice(list("vwxyz"), 400)
        gaps = fairness_gaps(ages, ages + rng.laplace(0, 4, 400), {"race": race})
        n_certain += gaps.query("by == 'race' and metric == 'MAE'")["certain"].item()
    # Five in a hundred are to be expected; without allowing for ten pairs, about 25 would be.
    assert n_certain <= 3


def test_a_group_in_which_no_minor_was_waved_through_is_not_certain_to_be_better():
    # One in 40 of one group, none in 30 of the other: chance does that half of the time.
    ages, predictions = np.full(190, 16.0), np.full(190, 15.0)
    predictions[[0, 1, 2, 3]] = 30
    group = np.array(["a"] * 160 + ["b"] * 30)
    gaps = fairness_gaps(ages, predictions, {"group": group})
    row = gaps.query("by == 'group' and metric == 'minors waved through'").iloc[0]
    assert (row["lowest"], row["highest"], row["gap"]) == ("b", "a", pytest.approx(4 / 160))
    assert row["low"] < 0 < row["high"]
    assert not row["certain"]


def test_groups_too_small_to_compare_are_counted_and_not_ranked():
    ages, predictions = np.full(50, 16.0), np.full(50, 15.0)
    gaps = fairness_gaps(ages, predictions, {"sex": ["f"] * 45 + ["m"] * 5})
    row = gaps.query("by == 'sex' and metric == 'minors waved through'").iloc[0]
    assert (row["lowest"], row["highest"], row["certain"]) == ("", "", False)
    assert np.isnan([row["gap"], row["low"], row["high"]]).all()
    assert row["left_out"] == "m (5)"
    assert "age group" not in set(gaps["by"]), "all are of one: there is nothing to compare"


def test_the_interval_of_a_single_photo_is_its_value():
    row = value(age_metrics([20], [23]), "MAE")
    assert (row["low"], row["value"], row["high"]) == (3, 3, 3)


def test_probabilities_are_not_judged_by_true_age():
    ages, predictions, labels = people(300)
    metrics = age_metrics(ages, predictions, believe(ages, predictions), labels)
    reported = metrics[metrics["metric"] == "P(adult) bias"]
    assert set(reported["by"]) == {"all", "group"}


class Certain:
    """Ranges of three years on each side, for predictions of which one is missing."""

    ages = np.array([5.0, 8.0, 33.0, np.nan])

    def interval(self, coverage):
        return np.column_stack([self.ages - 3, self.ages + 3])


def test_true_ages_inside_their_ranges_by_hand():
    table = interval_coverage([5, 12, 36, 40], Certain(), [0.9]).set_index("group")
    assert table["photos"].to_dict() == {"all": 3, "0-9": 2, "30-39": 1}
    assert table["inside"].to_dict() == {"all": pytest.approx(2 / 3), "0-9": 0.5, "30-39": 1.0}
    assert (table["width"] == 6).all()
    assert ((table["low"] <= table["inside"]) & (table["inside"] <= table["high"])).all()


def test_distributions_of_other_photos_are_refused():
    with pytest.raises(ValueError, match="1 ages but distributions of 4 photos"):
        interval_coverage([5], Certain())


def test_labels_of_other_photos_are_refused():
    with pytest.raises(ValueError, match=r"3 photos but 2 labels in groups\['sex'\]"):
        age_metrics([1, 2, 3], [1, 2, 3], groups={"sex": ["f", "m"]})
    with pytest.raises(ValueError, match="2 ages but 1 predictions"):
        age_metrics([1, 2], [1])


def test_challenge_ages_by_hand():
    ages, estimates = [10, 17, 17, 18, 30, 60], [12, 26, 20, 19, 31, np.nan]
    table = challenge_ages(ages, estimates, thresholds=(18, 25, 30)).set_index("threshold")
    assert table["waved_through"].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert table["asked"].tolist() == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert (table["minors"] == 3).all()
    by_age = challenge_ages(ages, estimates, thresholds=(25,), by_age=True).set_index("age")
    assert by_age["asked"].to_dict() == {10: 1.0, 17: 0.5, 18: 1.0, 30: 0.0, 60: 1.0}


@given(
    st.lists(st.tuples(st.integers(0, 90), st.floats(0, 90)), min_size=1, max_size=40),
    st.lists(st.integers(15, 50), min_size=2, max_size=6),
)
def test_a_higher_challenge_age_never_waves_more_minors_through(people, thresholds):
    ages, estimates = zip(*people, strict=True)
    table = challenge_ages(ages, estimates, thresholds=sorted(thresholds))
    assert (table["waved_through"].diff().dropna() <= 0).all()
    assert (table["asked"].diff().dropna() >= 0).all()
    known = table.dropna()
    assert (known["waved_low"] <= known["waved_through"] + 1e-12).all()
    assert (known["asked"] <= known["asked_high"] + 1e-12).all()


def test_probabilities_that_come_true_have_no_calibration_error():
    rng = np.random.default_rng(0)
    said = rng.uniform(0, 1, 100_000)
    happened = rng.random(100_000) < said
    assert calibration_error(happened, said) < 0.01
    assert calibration_error(happened, said**3) > 0.1
    curve = reliability_curve(happened, said)
    assert len(curve) == 10
    assert curve["photos"].sum() == 100_000
    assert ((curve["low"] <= curve["share"]) & (curve["share"] <= curve["high"])).all()
    assert np.isnan(calibration_error([], []))
    assert calibration_error([True, False], [1.0, np.nan]) == 0


def test_the_interval_of_a_share_is_open_where_nothing_was_counted():
    low, high = share_interval(0, 20)
    assert (low, round(high, 3)) == (0.0, 0.161)
    assert share_interval(20, 20)[1] == 1
    assert np.isnan(share_interval(0, 0)).all()


def test_figures_name_their_axes():
    ages, predictions, labels = people(300)
    distribution = believe(ages, predictions)
    drawn = [
        plot_predictions(ages, predictions),
        plot_errors_by_age(ages, predictions),
        plot_reliability(ages >= 18, distribution.over(18)),
        plot_coverage(ages, distribution),
        plot_coverage_by_age(ages, distribution),
        plot_challenge_ages(ages, predictions),
        plot_fairness(ages, predictions, labels, "inside", distribution),
    ]
    for ax in drawn:
        assert ax.get_xlabel()
        assert ax.get_ylabel() or ax.get_yticklabels()[0].get_text()
        ax.figure.canvas.draw()
    assert plot_predictions(ages, predictions, ax=drawn[1]) is drawn[1]
    for metric in age_metrics(ages, predictions, distribution, labels)["metric"].unique():
        assert plot_fairness(ages, predictions, labels, metric, distribution).get_xlabel()
    with pytest.raises(ValueError, match="there is MAE, RMSE"):
        plot_fairness(ages, predictions, labels, "IoU")


def test_errors_of_no_age_at_all_are_not_known():
    found = summarize_errors([20, 30], [np.nan, np.nan])
    assert found["without an age"] == found["photos"] == 2
    assert np.isnan(found["MAE"])
    with pytest.raises(ValueError, match="2 ages but 1 predictions"):
        summarize_errors([20, 30], [25])


def test_a_figure_without_matplotlib_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "ageboost\[report\]"'):
        plot_predictions([20, 30], [21, 29])


def test_an_interval_of_a_share_contains_it_where_everybody_counts_or_nobody():
    for n_photos in range(1, 200):
        for n_counted in (0, n_photos):
            low, high = share_interval(n_counted, n_photos)
            assert 0 <= low <= n_counted / n_photos <= high <= 1


def test_a_curve_is_drawn_of_however_few_photos():
    for n_photos in range(1, 60):
        ax = plot_reliability([True] * n_photos, np.linspace(0.9, 1, n_photos))
        assert ax.containers
