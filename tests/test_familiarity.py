"""Whether photos look like those that a model knows, and what differs if not."""

import numpy as np
import pandas as pd
import pytest

import ageboost
from ageboost.errors import PhotosError
from ageboost.faces import Quality
from ageboost.models import Looks
from ageboost.retail import AlcoholPolicy, check, estimate_buyers

N_KNOWN = 2000


def draw(n_photos, seed, size=100.0, brightness=120.0, tilt=2.0, chroma=50.0):
    rng = np.random.default_rng(seed)
    columns = {
        "size": size * np.exp(rng.normal(0, 0.2, n_photos)),
        "sharpness": rng.gamma(9, 1.3, n_photos),
        "yaw": rng.normal(0, 12, n_photos),
        "roll": rng.normal(0, tilt, n_photos),
        "contrast": rng.normal(45, 8, n_photos),
        "chroma": chroma * rng.uniform(0.5, 1.5, n_photos),
        "brightness": rng.normal(brightness, 20, n_photos),
    }
    blank = dict.fromkeys(Quality._fields, np.nan)
    return [Quality(**blank | row) for row in pd.DataFrame(columns).to_dict("records")]


@pytest.fixture(scope="module")
def looks():
    ages = np.random.default_rng(9).normal(35, 12, N_KNOWN)
    return Looks().fit(draw(N_KNOWN, 0), ages)


def test_batches_of_a_known_camera_are_hardly_ever_called_foreign(looks):
    assert sum(looks.compare(draw(200, seed)).foreign for seed in range(1, 101)) <= 5


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"brightness": 70}, "darker (brightness 6"),
        ({"brightness": 160}, "brighter"),
        ({"size": 40}, "smaller faces (size"),
        ({"tilt": 20}, "heads more tilted"),
        ({"chroma": 0}, "greyer"),
    ],
)
def test_what_differs_is_said_in_words(looks, changed, words):
    found = looks.compare(draw(200, 1, **changed))
    assert found.foreign
    assert words in found.sentence
    assert str(found) == (
        f"{found.sentence} Adapt the model to them, with 25 photos of known ages or more: "
        "model.adapt(photos, ages)."
    )
    assert found.differences["differs"].sum() == 1
    assert found.scores.mean() < looks.compare(draw(200, 1)).scores.mean() - 0.05


def test_other_people_are_no_other_camera_but_are_told(looks):
    found = looks.compare(draw(200, 1), np.full(200, 19.0))
    assert not found.foreign
    assert "Adapt" not in str(found)
    assert "with younger people (age 19, where 35 is known)" in str(found)


def test_a_difference_that_matters_to_nobody_makes_no_camera_foreign(looks):
    assert not looks.compare(draw(20_000, 1, brightness=122)).foreign


def test_few_photos_say_little(looks):
    assert not looks.compare(draw(3, 1, brightness=70)).foreign


def test_half_of_the_known_photos_look_at_least_as_unusual_as_the_other_half(looks):
    scores = looks.scores(draw(2000, 3))
    assert np.median(scores) == pytest.approx(0.5, abs=0.05)
    assert looks.scores(draw(1, 1, brightness=400))[0] < 0.02


def test_nothing_of_a_single_photo_is_kept(looks):
    assert {name: np.shape(kept) for name, kept in vars(looks).items()} == {
        "signs_": (8,),
        "quantiles_": (8, 101),
        "unusual_": (101,),
        "n_photos_": (),
    }


@pytest.fixture(scope="module")
def fast():
    return ageboost.load_pretrained("fast")


@pytest.fixture(scope="module")
def dark(face_variants):
    return [(photo / 4).astype(np.uint8) for photo in face_variants[0]]


def test_a_model_that_ships_sees_that_photos_are_dark(fast, dark):
    found = fast.familiarity([*dark, "no such photo.jpg"])
    assert found.foreign
    assert "darker" in str(found)
    assert np.isnan(found.scores[-1])
    assert not np.isnan(found.scores[:-1]).any()
    with pytest.raises(PhotosError):
        fast.familiarity(["no such photo.jpg"])


def test_an_adapted_model_knows_its_camera_and_no_other(dark, face_variants, tmp_path):
    model = ageboost.load_pretrained("fast")
    people = np.arange(len(dark)) % 10
    model.adapt(dark, face_variants[1], people)
    assert not model.familiarity(dark).foreign
    model.save(tmp_path / "mine.ageboost")
    again = ageboost.load(tmp_path / "mine.ageboost")
    assert not again.familiarity(dark).foreign
    assert ageboost.load_pretrained("fast").familiarity(dark).foreign


def test_a_model_without_photos_of_its_own_says_so(face_variants):
    features = ageboost.load_pretrained("fast").features_
    matrix = features.transform(face_variants[0])
    model = ageboost.AgeEstimator(features, interval_folds=None, reduction=None)
    model.set_params(regressor__n_estimators=5).fit_features(matrix, face_variants[1])
    with pytest.raises(ValueError, match="does not know what its photos looked like"):
        model.familiarity(face_variants[0])
    assert model.analyze(face_variants[0][:2])["familiarity"].isna().all()


def test_tables_buyers_and_checks_pass_it_on(fast, dark):
    scores = fast.familiarity(dark).scores
    table = fast.analyze(dark)
    np.testing.assert_allclose(table["familiarity"], scores)
    photos = pd.DataFrame({"photo": dark, "receipt_id": [f"r{i}" for i in range(len(dark))]})
    buyers = estimate_buyers(photos, photos[["receipt_id"]], fast)
    assert set(buyers["camera"]) == {"foreign"}
    answer = check(dark[0], AlcoholPolicy(), fast)
    assert answer.familiarity is None or answer.familiarity == pytest.approx(scores[0])
