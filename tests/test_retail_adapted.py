"""A shop whose model was adapted to photos of a hundred adults: minors are known from before."""

import copy

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import ageboost
from ageboost.cli import app
from ageboost.datasets import make_shop
from ageboost.errors import RetailDataError
from ageboost.evaluation import calibration_error
from ageboost.models import AgeCalibrator
from ageboost.models.known_people import known_people
from ageboost.retail import (
    AgeGroups,
    AlcoholPolicy,
    alcohol_sales,
    buyers_from_distribution,
    choose_challenge_age,
    customers_by_age_group,
    make_retail_report,
    purchases_by_age_group,
    review_cashiers,
    simulate_buyers,
)
from ageboost.retail._till_ages import over_at_till

GROUPS = AgeGroups([12, 18, 35, 65])
POLICY = AlcoholPolicy(categories=["beer", "wine", "spirits"])
SHIFT = 3.0


def seen(ages, rng, shift=0.0):
    """What a model says that is less sure of some than of others."""
    scales = rng.uniform(1, 4, len(ages))
    return (ages + shift + rng.normal(0, 1.2 * scales)).clip(0), np.floor(ages), scales


@pytest.fixture(scope="module")
def before():
    rng = np.random.default_rng(0)
    return AgeCalibrator(random_state=0).keep(*seen(rng.uniform(0, 80, 8000), rng))


@pytest.fixture(scope="module")
def adapted(before):
    """Adapted to a hundred adults at a camera that makes everybody three years older."""
    rng = np.random.default_rng(1)
    return copy.copy(before).adapt(*seen(rng.uniform(18, 80, 100), rng, SHIFT))


@pytest.fixture(scope="module")
def shop():
    return make_shop(2000, n_cashiers=4, random_state=0)


@pytest.fixture(scope="module")
def buyers(shop, adapted):
    ages = shop.truth["age"].to_numpy(float)
    predictions, _, scales = seen(ages, np.random.default_rng(2), SHIFT)
    told = adapted.distribution(predictions, scales)
    return buyers_from_distribution(shop.truth["receipt_id"], told)


def test_groups_without_photos_of_ones_own_have_the_people_known_before(before, adapted):
    people = known_people(adapted, GROUPS.edges, 10)
    assert people.known_before.tolist() == [True, True, False, False, False]
    own, earlier = people.weights[:100], people.weights[100:]
    np.testing.assert_array_equal(people.ages[:100], adapted.ages_)
    assert (own == 1).all()
    assert people.ages[100:].max() < 18
    # They are as large a part as they were, however many they are.
    share = (before.ages_ < 18).mean()
    assert earlier.sum() / people.weights.sum() == pytest.approx(share)
    # This camera would have shown them as much too old as it shows adults.
    off = people.predictions[100:] - people.ages[100:]
    assert np.median(off[people.ages[100:] >= 8]) == pytest.approx(SHIFT, abs=1)


def test_people_known_before_do_not_count_where_there_are_enough_of_ones_own(before, adapted):
    assert len(known_people(adapted, [35], 10).ages) == 100
    assert not known_people(before, GROUPS.edges, 10_000).known_before.any()
    rng = np.random.default_rng(3)
    everybody = copy.copy(before).adapt(*seen(rng.uniform(0, 80, 400), rng))
    assert len(known_people(everybody, GROUPS.edges, 10).ages) == 400


def test_adapting_and_calibrating_again_keep_whom_the_model_knew_first(adapted):
    rng = np.random.default_rng(4)
    again = copy.copy(adapted).adapt(*seen(rng.uniform(30, 60, 50), rng, 1.0))
    assert known_people(again, GROUPS.edges, 10).known_before.tolist() == [1, 1, 1, 0, 1]
    predictions, ages, _ = seen(rng.uniform(30, 60, 50), rng, 1.0)
    adapted = copy.copy(adapted)
    adapted.scale_regressor_ = None
    calibrated = adapted.refit(np.zeros((50, 1)), predictions, ages)
    assert known_people(calibrated, GROUPS.edges, 10).count([12])[0] > 500


def test_the_share_of_children_is_found_by_a_model_adapted_to_adults(adapted):
    rng = np.random.default_rng(5)
    ages = np.where(rng.random(3000) < 0.25, rng.uniform(4, 12, 3000), rng.uniform(20, 70, 3000))
    predictions, _, scales = seen(ages, rng, SHIFT)
    receipts = np.arange(3000).astype(str)
    told = adapted.distribution(predictions, scales)
    people = buyers_from_distribution(receipts, told, GROUPS)
    lines = pd.DataFrame({"receipt_id": receipts, "product": "bread"})
    found = purchases_by_age_group(lines, people, GROUPS, calibration=adapted)
    assert found.mix["up to 11"] == pytest.approx(0.25, abs=0.03)
    assert found.mix["12-17"] < 0.04


def test_every_table_of_a_shop_says_which_groups_rest_on_what_was_known_before(
    shop, buyers, adapted
):
    bought = purchases_by_age_group(shop.lines, buyers, GROUPS, by="category", calibration=adapted)
    assert bought.known_before == ("up to 11", "12-17")
    assert "fewer than 10 people of the age groups up to 11 and 12-17" in str(bought)
    seen_by_store = customers_by_age_group(
        shop.receipts, buyers, GROUPS, ["store"], calibration=adapted
    )
    assert seen_by_store.known_before == ("up to 11", "12-17")
    assert "up to 11 and 12-17" in str(seen_by_store)
    sales = alcohol_sales(shop.receipts, shop.lines, buyers, POLICY)
    review = review_cashiers(sales, POLICY, adapted)
    assert review.minors_known_before
    assert "too few minors" in str(review)
    grown_up = purchases_by_age_group(
        shop.lines, buyers, AgeGroups([35, 65]), by="category", calibration=adapted
    )
    assert grown_up.known_before == ()
    assert "known" not in str(grown_up).partition("It is not known")[0]


def test_the_page_says_it_at_its_top_and_beside_the_checks(shop, buyers, adapted):
    page = make_retail_report(
        shop.receipts, shop.lines, buyers, adapted, policy=POLICY, groups=GROUPS, by="category"
    ).html
    top, _, below = page.partition("<section")
    assert "people of the age groups up to 11 and 12-17" in top
    checks = below.partition('id="checks"')[2].partition("</section>")[0]
    assert "too few minors of about the legal age" in checks


def test_a_challenge_age_is_found_with_minors_known_before_and_a_warning(adapted, before):
    with pytest.warns(UserWarning, match="fewer than 20 minors from 13 years on"):
        choice = choose_challenge_age(adapted, waved_through=0.05)
    # The camera makes minors look older, so adults are asked at a higher age than before.
    assert choice.challenge_age > choose_challenge_age(before, waved_through=0.05).challenge_age + 1


def test_buyers_are_simulated_with_answers_for_children(adapted):
    truth = pd.DataFrame({"receipt_id": [*"abcdefgh"], "age": [5] * 8})
    ages = simulate_buyers(truth, adapted, random_state=0)["age"]
    assert ages.median() < 12


def test_probabilities_at_a_till_allow_for_the_minors_known_before(adapted):
    rng = np.random.default_rng(6)
    predictions, ages, scales = seen(rng.uniform(15, 30, 6000), rng, SHIFT)
    told = adapted.distribution(predictions, scales)
    come = pd.Series(1.0, index=np.arange(15, 30))
    [said] = over_at_till(told, adapted, [18], come).T
    off = calibration_error(ages >= 18, said, sure=0.02)
    assert off < 0.06
    assert off < 0.6 * calibration_error(ages >= 18, told.over(18), sure=0.02)


def test_a_model_that_never_knew_children_is_refused_with_groups_that_it_knows(shop):
    rng = np.random.default_rng(7)
    adults = AgeCalibrator().keep(*seen(rng.uniform(18, 60, 500), rng))
    told = adults.distribution(*seen(shop.truth["age"].to_numpy(float), rng)[::2])
    people = buyers_from_distribution(shop.truth["receipt_id"], told)
    with pytest.raises(RetailDataError, match="0 people of the group 'up to 11'") as refused:
        purchases_by_age_group(shop.lines, people, calibration=adults)
    assert "AgeGroups([25, 35, 45, 55])" in str(refused.value)
    assert refused.value.for_command.endswith("--groups 25,35,45,55")
    wider = AgeGroups([25, 35, 45, 55])
    purchases_by_age_group(shop.lines, people, wider, by="category", calibration=adults)
    with pytest.raises(RetailDataError, match=r"photos of such people$"):
        purchases_by_age_group(shop.lines, people, AgeGroups([18]), calibration=adults)


@pytest.fixture(scope="module")
def folder(face_variants, shop, tmp_path_factory):
    """A model adapted in a shell, and a shop whose ages it estimated."""
    folder = tmp_path_factory.mktemp("adapted")
    photos, ages = face_variants
    for number, photo in enumerate(photos):
        Image.fromarray(photo).save(folder / f"{number}.png")
    labels = pd.DataFrame({"photo": [f"{n}.png" for n in range(len(photos))], "age": ages})
    labels.to_csv(folder / "labels.csv", index=False)
    made = run("adapt", "fast", folder / "labels.csv", "--out", folder / "mine.ageboost", "-j", "1")
    assert made.exit_code == 0, made.output
    model = ageboost.load(folder / "mine.ageboost")
    buyers = simulate_buyers(shop.truth, model, random_state=0)
    for name, table in (("receipts", shop.receipts), ("lines", shop.lines), ("buyers", buyers)):
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("command", "tables", "options"),
    [
        ("report", ["receipts", "lines"], ["--restricted", "beer", "--out", "shop.html"]),
        ("baskets", ["receipts", "lines"], []),
        ("customers", ["receipts"], ["--by", "store"]),
        ("alcohol", ["receipts", "lines"], ["--restricted", "beer"]),
    ],
)
def test_every_command_of_a_shop_takes_a_model_adapted_to_adults(folder, command, tables, options):
    options = [folder / "shop.html" if option == "shop.html" else option for option in options]
    files = [folder / f"{name}.csv" for name in tables]
    known = ["--buyers", folder / "buyers.csv", "--model", folder / "mine.ageboost"]
    result = run("retail", command, *files, *known, *options)
    assert result.exit_code == 0, result.output
    said = result.output
    if command == "report":
        said = (folder / "shop.html").read_text("utf-8")
        assert "Terms of the model that estimated the ages" in said
    assert "knew before" in said


def test_a_shell_names_groups_that_a_model_knows(folder, shop):
    model = ageboost.load(folder / "mine.ageboost")
    model.calibration_.earlier_ = None
    model.save(folder / "old.ageboost")
    files = [folder / "receipts.csv", folder / "lines.csv", "--buyers", folder / "buyers.csv"]
    result = run("retail", "baskets", *files, "--model", folder / "old.ageboost")
    assert result.exit_code == 2
    assert "pass wider groups: --groups " in result.output
    assert "adapt=" not in result.output
