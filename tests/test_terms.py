"""Terms: what may be used for what, through every path that a model takes."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from skimage.data import astronaut
from sklearn.linear_model import Ridge
from typer.testing import CliRunner

import ageboost
from ageboost import AgeEstimator, TermsError
from ageboost.cli import app
from ageboost.datasets import collections_of
from ageboost.faces import FaceFinder
from ageboost.features import CNNActivations, FaceFeatures, LandmarkGeometry, Network
from ageboost.features.known_networks import get_network, network_names
from ageboost.models import write_card
from ageboost.models.model_terms import known_network_terms
from ageboost.terms import PartTerms, Terms, network_terms, photo_terms

OURS = PartTerms("photos", "our staff", "with their consent", "yes", "Thanks to our staff.")
FREE_FINDER = FaceFinder(landmarks=5, appearance=None)
GEOMETRY_5 = FaceFeatures([("geometry", LandmarkGeometry(5))], finder=FREE_FINDER)


def make_fitted(features=GEOMETRY_5, terms=None, **settings):
    estimator = AgeEstimator(
        features, reduction=None, regressor=Ridge(), random_state=0, n_jobs=1, **settings
    )
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(60, len(features.get_feature_names_out())))
    return estimator.fit_features(matrix, rng.uniform(1, 80, 60).round(), terms=terms)


def test_every_network_that_is_known_by_name_has_terms():
    for name in network_names():
        assert network_terms(name).commercial != "unknown", name


def test_one_part_that_forbids_commercial_use_forbids_it_to_the_model():
    yes, no = photo_terms("own")[0], photo_terms("utkface")[0]
    unknown = photo_terms(None)[0]
    assert Terms((yes,)).commercial == "yes"
    assert Terms((yes, unknown)).commercial == "unknown"
    assert Terms((yes, unknown, no)).commercial == "no"
    assert "UTKFace" in Terms((yes, no)).summary


def test_wrong_terms_are_refused_by_name():
    with pytest.raises(ValueError, match="pass one of 'own', 'utkface'"):
        photo_terms("utk")
    with pytest.raises(ValueError, match="terms of photos"):
        photo_terms(network_terms("dlib"))
    with pytest.raises(ValueError, match="commercial='perhaps'"):
        PartTerms("photos", "x", "y", "perhaps")


@pytest.mark.parametrize("name", ["accurate", "fast", "classical"])
def test_models_that_learnt_from_utkface_say_so(name):
    terms = ageboost.load_pretrained(name).terms
    assert terms.commercial == "no"
    assert any(part.name == "UTKFace" for part in terms.parts)
    assert ("68 points" in str(terms)) == (name != "fast")


def test_a_model_whose_photos_nobody_spoke_of_is_of_unknown_terms():
    terms = make_fitted().terms
    assert terms.commercial == "unknown"
    assert [part.kind for part in terms.obstacles] == ["photos"]


def test_a_card_never_says_that_a_user_stated_what_was_not_stated():
    rng = np.random.default_rng(1)
    matrix, ages = rng.normal(size=(30, 10)), rng.uniform(1, 80, 30)
    fitted = make_fitted(commercial=True)
    calibrated, adapted = (make_fitted(terms=OURS, commercial=True) for _ in range(2))
    calibrated.age_regressor_.calibrate(matrix, ages)
    adapted.age_regressor_.adapt(matrix, ages)
    for model in (fitted, calibrated, adapted):
        card = write_card(model)
        assert "taken to be the user's own: nothing was stated | yes" in card
        assert "if the photos are the user's own: nothing was stated of them" in card
        assert "said by the user" not in card
        assert model.terms.commercial == "yes"
    stated = write_card(make_fitted(terms="own", commercial=True))
    assert "said by the user to be theirs to use" in stated
    assert "nothing was stated" not in stated


def test_what_a_fitted_model_has_learnt_from_is_not_for_its_user_to_state():
    model = make_fitted(terms="utkface").set_params(commercial=True)
    with pytest.raises(TermsError) as caught:
        model.adapt([astronaut()] * 30, np.full(30, 40), terms="fgnet")
    of_model, of_photos = str(caught.value).split("; ")
    assert "UTKFace" in of_model
    assert of_model.endswith("take another model, such as open")
    assert of_photos.endswith('say that they are yours to use: terms="own"')


def test_terms_pass_through_fit_save_load_and_calibrate(tmp_path):
    path = tmp_path / "mine.ageboost"
    make_fitted(terms=OURS).save(path)
    model = ageboost.load(path)
    assert model.terms == make_fitted(terms=OURS).terms
    assert model.terms.commercial == "yes"
    assert "Thanks to our staff." in model.terms.notices
    with zipfile.ZipFile(path) as archive:
        listed = json.loads(archive.read("manifest.json"))["terms"]
    assert {"our staff", "dlib's 5 points"} <= {part["name"] for part in listed}
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(30, 10))
    model.age_regressor_.calibrate(matrix, rng.uniform(1, 80, 30), terms="fgnet")
    assert model.terms.commercial == "no"
    assert {"our staff", "FG-NET"} <= {part.name for part in model.terms.parts}
    model.save(path)
    card = path.with_suffix(".md").read_text()
    assert "FG-NET" in card.partition("## What it is")[0]
    assert "Thanks to our staff." in card
    assert "train LABELS --commercial" in card


def test_photos_that_a_model_is_adapted_to_have_terms_too():
    model = make_fitted(terms="own")
    rng = np.random.default_rng(1)
    matrix, ages = rng.normal(size=(30, 10)), rng.uniform(1, 80, 30)
    model.age_regressor_.adapt(matrix, ages, terms="own")
    assert model.terms.commercial == "yes"
    model.age_regressor_.adapt(matrix, ages, terms="fgnet")
    assert model.terms.commercial == "no"
    model = make_fitted(terms="own").set_params(commercial=True)
    with pytest.raises(TermsError, match="FG-NET"):
        model.adapt([astronaut()] * 30, ages, terms="fgnet")


def test_a_card_of_a_calibrated_model_still_says_non_commercial():
    model = ageboost.load_pretrained("fast")
    rng = np.random.default_rng(0)
    matrix = np.abs(rng.normal(size=(40, len(model.features_.get_feature_names_out()))))
    model.age_regressor_.calibrate(matrix, rng.uniform(1, 80, 40), terms="own")
    assert "non-commercial" in write_card(model).partition("## What it is")[0]


def test_weights_of_another_file_do_not_inherit_the_terms_of_a_name(tmp_path):
    known = get_network("dlib-age")
    other = tmp_path / "other.onnx"
    other.write_bytes(known.read_weights())
    assert known_network_terms(replace(known, padding=0.3)).commercial == "yes"
    assert known_network_terms(replace(known, weights=other)).commercial == "unknown"
    stated = PartTerms("network", "ours", "ours", "yes")
    assert known_network_terms(replace(known, weights=other, terms=stated)) == stated


def test_terms_of_a_network_survive_in_a_file_that_holds_its_weights(tmp_path):
    network = replace(get_network("dlib-age"), padding=0.3)
    features = FaceFeatures(
        [("ages", CNNActivations(network, levels=["shares"]))],
        finder=FREE_FINDER,
    )
    make_fitted(features, terms="own").save(tmp_path / "mine.ageboost")
    model = ageboost.load(tmp_path / "mine.ageboost")
    assert model.terms.commercial == "yes"
    assert any(part.name == "dlib-age" for part in model.terms.parts)


@pytest.mark.parametrize(
    ("features", "named"),
    [
        ("accurate", "utkface-mobilenet-large"),
        ("fast", "utkface-mobilenet-small"),
        (FaceFeatures([("geometry", LandmarkGeometry())]), "68 points"),
        (
            FaceFeatures(
                [("mine", CNNActivations(Network("mine", "mine.onnx", 64, ("pool",))))],
                finder=FREE_FINDER,
            ),
            "network mine: not stated",
        ),
    ],
)
def test_a_commercial_estimator_refuses_by_name_what_a_shop_may_not_use(features, named):
    with pytest.raises(TermsError, match=named):
        AgeEstimator(features, commercial=True).fit([astronaut()], [41])


def test_a_commercial_estimator_refuses_photos_of_research_but_takes_those_of_its_user():
    with pytest.raises(TermsError, match="FG-NET"):
        make_fitted(terms=["own", "fgnet"], commercial=True)
    model = make_fitted(commercial=True)
    assert model.terms.commercial == "yes"
    with pytest.raises(TermsError, match="UTKFace"):
        model.age_regressor_.calibrate(np.zeros((30, 10)), np.full(30, 40), terms="utkface")
    assert model.terms.commercial == "yes"


@pytest.mark.parametrize("features", ["all", "classical", "cnn", "shop", "open"])
def test_sets_of_features_are_aligned_by_five_landmarks_where_use_is_commercial(features):
    made = AgeEstimator(features, commercial=True).parts()["features"]
    assert made.get_finder().landmarks == 5
    assert made.get_params()["finder__landmarks"] == 5


def test_collections_are_recognised_by_their_names():
    utkface, fgnet = "34_1_2_20170116174525125.jpg.chip.jpg", "001A02.JPG"
    assert collections_of(pd.DataFrame({"photo": [utkface, "ann.jpg"]})) == ["utkface", None]
    assert collections_of(pd.DataFrame({"photo": [fgnet, fgnet]})) == ["fgnet"]
    assert collections_of(pd.DataFrame({"photo": [fgnet, "ann.jpg", "bob.jpg"]})) == [None]
    table = pd.DataFrame({"photo": ["a.jpg", "b.jpg"], "source": ["london", "till"]})
    assert collections_of(table) == ["london", None]


def test_appa_real_is_recognised_by_the_file_beside_its_photos(tmp_path):
    (tmp_path / "gt_avg_train.csv").touch()
    assert collections_of(pd.DataFrame({"photo": ["000001.jpg"]}), tmp_path) == ["appa-real"]


@pytest.fixture
def labels(tmp_path):
    """Forty portraits, which a command can learn from in a second or two."""
    from PIL import Image

    path = tmp_path / "labels.csv"
    photo = Image.fromarray(astronaut()[40:220, 140:300])
    for number in range(24):
        photo.rotate(number % 5).save(tmp_path / f"{number}.png")
    rows = [f"{number}.png,{30 + number % 7}" for number in range(24)]
    path.write_text("photo,age\n" + "\n".join(rows))
    return path


def test_train_commercial_refuses_networks_that_learnt_from_utkface(labels, tmp_path):
    out = tmp_path / "mine.ageboost"
    arguments = ["train", str(labels), "--out", str(out), "--jobs", "1", "--commercial"]
    result = CliRunner().invoke(app, [*arguments, "--features", "accurate"])
    assert result.exit_code == 2
    assert "utkface-mobilenet" in result.output
    assert not out.exists()


def test_train_commercial_makes_a_model_that_a_shop_may_use(labels, tmp_path):
    out = tmp_path / "mine.ageboost"
    arguments = ["train", str(labels), "--out", str(out), "--jobs", "1"]
    result = CliRunner().invoke(app, [*arguments, "--features", "open", "--commercial"])
    assert result.exit_code == 0, result.output
    assert "Commercial use is allowed" in result.output
    assert "If they are yours to use, --own-photos" in result.output
    assert ageboost.load(out).terms.commercial == "yes"


def test_train_says_that_the_68_landmarks_forbid_commercial_use(labels, tmp_path):
    out = tmp_path / "mine.ageboost"
    arguments = ["train", str(labels), "--out", str(out), "--jobs", "1"]
    result = CliRunner().invoke(app, [*arguments, "--features", "classical"])
    assert result.exit_code == 0, result.output
    assert "No commercial use: landmarks dlib's 68 points" in result.output
    assert "68 points" in out.with_suffix(".md").read_text()


@pytest.fixture
def like_fgnet(labels):
    """Portraits of one's own whose files are called as those of FG-NET are."""
    lines = ["photo,age"]
    for number, row in enumerate(labels.read_text().splitlines()[1:]):
        photo, age = row.split(",")
        (labels.parent / photo).rename(labels.parent / f"{number:03}A{age}.png")
        lines.append(f"{number:03}A{age}.png,{age}")
    labels.write_text("\n".join(lines))
    return labels


@pytest.mark.parametrize(
    "command",
    [["train", "--features", "open"], ["calibrate", "open"], ["adapt", "open"]],
    ids=lambda command: command[0],
)
def test_in_a_shell_too_photos_can_be_said_to_be_ones_own(command, like_fgnet, tmp_path):
    lines = like_fgnet.read_text().splitlines()
    like_fgnet.write_text("\n".join([*lines, *lines[1:5]]))
    out = tmp_path / "mine.ageboost"
    first, *others = command
    arguments = [first, *others, str(like_fgnet), "--out", str(out), "--jobs", "1", "--commercial"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "FG-NET" in result.output
    assert "--own-photos" in result.output
    assert "terms=" not in result.output
    result = CliRunner().invoke(app, [*arguments, "--own-photos"])
    assert result.exit_code == 0, result.output
    assert "said by the user to be theirs to use" in out.with_suffix(".md").read_text()


def test_calibrate_commercial_refuses_a_model_that_learnt_from_utkface(labels, tmp_path):
    out = tmp_path / "mine.ageboost"
    arguments = ["calibrate", "fast", str(labels), "--out", str(out), "--jobs", "1"]
    result = CliRunner().invoke(app, [*arguments, "--commercial"])
    assert result.exit_code == 2
    assert "utkface-mobilenet-small" in result.output
    assert "UTKFace" in result.output
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "No commercial use" in result.output
