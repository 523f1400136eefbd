"""The model `open`: what it is made of, and that it works as any other model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from skimage.data import astronaut
from sklearn.utils.estimator_checks import check_estimator

import ageboost
from ageboost.datasets import make_shop
from ageboost.evaluation import explain
from ageboost.features import FaceFeatures, NetworkAges
from ageboost.models import (
    AgeCalibrator,
    BorrowedCalibrator,
    OpinionPool,
    PoolSpread,
    write_card,
)
from ageboost.retail import AlcoholPolicy, check, choose_challenge_age, simulate_buyers


@pytest.fixture(scope="module")
def model():
    return ageboost.load_pretrained("open")


def make_shares(*ages, spread=4.0):
    years = np.arange(101)
    return np.stack([np.exp(-(((years - age) / spread) ** 2) / 2) for age in ages])


def test_nothing_of_it_was_learnt_from_photos_that_forbid_commercial_use(model):
    terms = model.terms
    assert terms.commercial == "yes"
    assert {part.name for part in terms.parts if part.kind == "network"} == {
        "BlazeFace, which finds faces",
        "dlib's face detector",
        "dlib-age",
        "mobilenet-age",
    }
    assert {part.name for part in terms.parts if part.kind == "landmarks"} == {"dlib's 5 points"}
    assert {part.name for part in terms.parts if part.kind == "photos"} == {
        "Face Research Lab London Set",
        "portraits of the US Congress",
        "grey portraits of the US Congress",
    }
    assert any("DeBruine" in notice for notice in terms.notices)
    assert any("Savchenko" in notice for notice in terms.notices)
    assert model.commercial
    networks = [part.network for _, part in model.features_.get_transformers()]
    assert networks == ["dlib-age", "mobilenet-age"]


def test_its_file_is_small_and_its_card_ships(model):
    from ageboost.models.persistence import pretrained_path

    path = pretrained_path("open")
    assert path.stat().st_size < 200_000
    card = path.with_suffix(".md").read_text("utf-8")
    assert "Nobody taught it children" in card
    assert "CC BY 4.0" in card
    assert "--commercial" in card


def test_it_answers_for_a_portrait_in_every_way(model):
    photo = astronaut()
    [age] = model.predict([photo])
    assert age == pytest.approx(31.4, abs=1.5)
    [[low, high]] = model.predict_interval([photo])
    assert low < age < high
    over = model.predict_over([photo], [12, 18, 60])[0]
    assert over[0] >= over[1] > 0.9 > 0.1 > over[2]
    table = model.analyze([photo, "no such photo.jpg"])
    assert table["status"].tolist() == ["ok", "unreadable"]
    assert table["age"].iloc[0] == age
    assert check(photo, AlcoholPolicy(), model).answer in ("sell", "ask")


def test_it_can_be_saved_loaded_and_calibrated(model, tmp_path):
    path = tmp_path / "mine.ageboost"
    mine = ageboost.load_pretrained("open")
    ages = np.linspace(5, 80, 60).round()
    shares = np.hstack([make_shares(*(ages + 6)), make_shares(*(ages + 2))])
    mine.age_regressor_.calibrate(shares, ages)
    assert isinstance(mine.calibration_, AgeCalibrator)
    assert not isinstance(mine.calibration_, BorrowedCalibrator)
    assert isinstance(model.calibration_, BorrowedCalibrator)
    assert "the user's own" in str(mine.terms)
    assert mine.terms.commercial == "yes"
    mine.save(path)
    again = ageboost.load(path)
    assert again.predict([astronaut()]) == model.predict([astronaut()])
    assert again.predict_interval([astronaut()]) == pytest.approx(
        mine.predict_interval([astronaut()])
    )
    assert "Measured on 60 photos" in write_card(again)
    assert "Not measured on photos like yours" in write_card(model)


def test_adapted_to_a_camera_it_no_longer_allows_for_all_others(model, tmp_path):
    mine = ageboost.load_pretrained("open")
    ages = np.linspace(15, 80, 60).round()
    shares = np.hstack([make_shares(*(ages + 6)), make_shares(*(ages + 6))])
    before = mine.age_regressor_.predict(shares)
    mine.age_regressor_.adapt(shares, ages)
    assert np.abs(mine.age_regressor_.predict(shares) - ages).mean() < np.abs(before - ages).mean()
    assert not isinstance(mine.calibration_, BorrowedCalibrator)
    assert mine.terms.commercial == "yes"
    mine.save(tmp_path / "mine.ageboost")
    again = ageboost.load(tmp_path / "mine.ageboost")
    for adapted in (mine, again):
        [[low, high]] = adapted.predict_interval([astronaut()])
        [[low_before, high_before]] = model.predict_interval([astronaut()])
        assert high - low < high_before - low_before


def test_its_age_is_explained_by_parts_of_the_face(model):
    reasons = explain(model, astronaut())
    [age] = model.predict([astronaut()])
    assert reasons.base_value + reasons.regions.sum() == pytest.approx(age, abs=0.05)
    assert reasons.groups.index.tolist() == ["dlib_ages", "mobilenet_ages"]
    assert reasons.base_value + reasons.groups.sum() == pytest.approx(age, abs=0.05)


def test_a_made_up_shop_gets_answers_of_it_for_buyers_of_all_ages(model):
    shop = make_shop(500, random_state=0)
    buyers = simulate_buyers(shop.truth, model, random_state=0)
    errors = buyers["age"].to_numpy() - shop.truth["age"].to_numpy()
    assert buyers["status"].eq("ok").all()
    assert np.abs(errors).mean() < 8


def test_a_challenge_age_by_errors_that_are_borrowed_comes_with_a_warning(model):
    with pytest.warns(UserWarning, match="never tried on people of known age"):
        choice = choose_challenge_age(model, waved_through=0.05)
    assert 18 < choice.challenge_age < 40


def test_a_network_that_does_not_answer_with_years_is_refused():
    features = FaceFeatures([("ages", NetworkAges("utkface-dlib"))])
    with pytest.raises(ValueError, match="pass one of 'dlib-age', 'mobilenet-age'"):
        features.get_feature_names_out()


def test_the_pool_passes_scikit_learns_checks():
    check_estimator(OpinionPool(powers=(1.0,)))


def test_a_network_that_is_sure_counts_for_more():
    pool = OpinionPool(powers=(1.0, 1.0), alpha=1e12)
    pool.fit(np.hstack([make_shares(30), make_shares(30)]), [30])
    unsure, sure = make_shares(20, spread=10), make_shares(40, spread=2)
    [age] = pool.predict(np.hstack([unsure, sure]))
    assert 36 < age <= 40


def test_the_correction_leaves_children_alone_and_is_held_back():
    ages = np.array([5, 10, 15, 50, 60, 70], dtype=float)
    shares = make_shares(5, 10, 15, 45, 53, 61)
    free = OpinionPool(powers=(1.0,), alpha=0.0).fit(shares, ages)
    held = OpinionPool(powers=(1.0,), alpha=30.0).fit(shares, ages)
    assert 1 < held.slope_ < free.slope_
    assert free.predict(shares)[:3] == pytest.approx(held.predict(shares)[:3])
    assert free.predict(shares)[3:] == pytest.approx(ages[3:], abs=1.5)


def test_contributions_of_the_pool_add_up():
    rng = np.random.default_rng(0)
    shares = np.hstack([make_shares(*rng.uniform(1, 90, 30)), make_shares(*rng.uniform(1, 90, 30))])
    pool = OpinionPool().fit(shares, rng.uniform(1, 90, 30))
    parts, base = pool.contributions(shares)
    assert parts.sum(axis=1) + base == pytest.approx(pool.predict(shares), abs=1e-9)


def test_one_column_too_many_is_refused():
    with pytest.raises(ValueError, match="one power for each network"):
        OpinionPool(powers=(1.0, 1.0)).fit(np.ones((4, 7)), np.ones(4))


def test_borrowed_errors_allow_for_a_camera_that_shifts_ages_as_much_as_others_do():
    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 70, 900)
    shares = make_shares(*ages, spread=4.0)
    sources = np.repeat(["a", "b", "c"], 300)
    shift = np.repeat([-3.0, 0.0, 3.0], 300)
    errors = rng.normal(shift, 2.0)

    def width(predictions):
        calibrator = BorrowedCalibrator().borrow(
            predictions, ages, PoolSpread((1.0,)), shares, sources
        )
        return np.diff(calibrator.predict(shares[:50], ages[:50]).interval(0.9)).mean()

    assert width(ages + errors) > 1.5 * width(ages + errors - shift)


def test_ranges_hold_for_children_whom_nobody_showed_it(model, elsewhere):
    from ageboost.datasets import read_sources

    table = read_sources(elsewhere, sources=["fgnet"])
    young = table[table["age"] < 18].iloc[::8]
    ranges = model.predict_interval(young["photo"].tolist())
    inside = (ranges[:, 0] <= young["age"]) & (young["age"] <= ranges[:, 1])
    assert inside.mean() > 0.75


def test_what_is_learnt_from_photos_keeps_their_sources_named():
    calibration = ageboost.load_pretrained("open").calibration_
    assert calibration.sources_ == ["congress", "congress_grey", "london"]
    assert pd.Series(calibration.ages_).between(0, 100).all()
