"""Faces that are turned, negative, stretched, covered: upright by themselves, or not reliable."""

import pickle

import numpy as np
import pytest
from PIL import Image

import ageboost
from ageboost import retail
from ageboost.datasets import read_utkface
from ageboost.faces import FaceFinder, Quality
from ageboost.models.reliability import LEAST_QUALITY


@pytest.fixture(scope="module")
def fast():
    return ageboost.load_pretrained("fast")


@pytest.fixture(scope="module")
def crop(portrait):
    return portrait[20:230, 120:330]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_on_its_side_has_the_age_of_the_upright_one(fast, crop, quarters):
    turned = np.rot90(crop, quarters)
    upright, other = (fast.analyze([photo]).iloc[0] for photo in (crop, turned))
    assert other.age == upright.age
    assert other.reliable
    # The box is where the face is in the photo as it was given.
    height, width = crop.shape[:2]
    middle = np.array([upright.left + upright.width / 2, upright.top + upright.height / 2])
    x, y = middle
    expected = {1: (y, width - x), 2: (width - x, height - y), 3: (height - y, x)}[quarters]
    found = (other.left + other.width / 2, other.top + other.height / 2)
    np.testing.assert_allclose(found, expected, atol=2)
    assert fast.predict([turned])[0] == upright.age


def test_roll_says_how_far_a_face_is_turned(crop):
    rolls = {}
    for quarters in range(4):
        [face] = FaceFinder(landmarks=5).find(np.rot90(crop, quarters))
        rolls[quarters] = face.quality.roll
    assert abs(rolls[0]) < 10
    for quarters, expected in ((1, -90), (2, -180), (3, 90)):
        off = (rolls[quarters] - expected + 180) % 360 - 180
        assert abs(off) < 10


def test_a_box_of_ones_own_in_a_photo_on_its_side_is_turned_as_well(fast, crop):
    [face] = FaceFinder(landmarks=5).find(crop)
    left, top, right, bottom = face.box
    width = crop.shape[1]
    upright = fast.predict([crop], boxes=[face.box])
    turned = fast.predict([np.rot90(crop)], boxes=[(top, width - right, bottom, width - left)])
    assert abs(turned - upright) < 1


@pytest.mark.parametrize(
    ("disturb", "words"),
    [
        (lambda photo: 255 - photo, {"negative"}),
        (lambda photo: np.asarray(Image.fromarray(photo).resize((420, 210))), {"stretched"}),
        (lambda photo: np.asarray(Image.fromarray(photo).resize((210, 420))), {"stretched"}),
        (lambda photo: np.clip(photo * 4.0, 0, 255).astype(np.uint8), {"overexposed", "covered"}),
    ],
    ids=["negative", "stretched 2:1", "stretched 1:2", "too bright"],
)
def test_a_disturbed_face_is_not_reliable_and_says_why(fast, crop, disturb, words):
    row = fast.analyze([disturb(crop)]).iloc[0]
    if row.status == "ok":
        assert not row.reliable
        assert row.message.partition(":")[0] in words
    answer = retail.check(disturb(crop), retail.AlcoholPolicy(), fast)
    assert answer.answer == "cannot tell"


@pytest.mark.parametrize("rows", [(0.36, 0.52), (0.56, 1.0)], ids=["eyes", "lower half"])
@pytest.mark.parametrize("level", [0, 128])
def test_a_face_of_which_a_part_is_covered_is_not_reliable(fast, crop, rows, level):
    [face] = FaceFinder(landmarks=5).find(crop)
    side = face.box.bottom - face.box.top
    top = face.box.top - 0.25 * side
    covered = crop.copy()
    first, last = (round(top + share * 1.5 * side) for share in rows)
    covered[first:last] = level
    table = fast.analyze([covered])
    assert not table["reliable"].fillna(False).any()


def test_a_patch_on_a_sleeve_is_no_reliable_face(fast, portrait, tmp_path):
    Image.fromarray(portrait).save(tmp_path / "portrait.jpg", quality=92)
    table = fast.analyze([tmp_path / "portrait.jpg"])
    assert table["reliable"].tolist()[0]
    assert not table["reliable"].iloc[1:].any()


def test_colours_that_are_exchanged_are_said_to_be(fast, crop):
    row = fast.analyze([crop[..., ::-1]]).iloc[0]
    assert not row.reliable
    assert "array[..., ::-1]" in row.message


def test_a_face_as_it_should_look_has_no_message(fast, crop):
    row = fast.analyze([crop]).iloc[0]
    assert row.reliable
    assert row.message == ""


def test_without_the_network_nothing_is_turned_and_nothing_known_of_likeness(crop):
    finder = FaceFinder(landmarks=5, appearance=None, detector="dlib")
    [face] = finder.find(crop)
    assert np.isnan(face.quality.likeness)
    assert face.quality.defect == ""
    [shipped] = FaceFinder(landmarks=5, detector="dlib").find(crop)
    assert face.box == shipped.box
    np.testing.assert_array_equal(face.landmarks, shipped.landmarks)


def test_a_finder_of_an_earlier_release_knows_the_network_and_dlibs_detector():
    state = FaceFinder(landmarks=5).__getstate__()
    del state["appearance"], state["detector"]
    old = FaceFinder.__new__(FaceFinder)
    old.__setstate__(state)
    assert old.get_params() == FaceFinder(landmarks=5, detector="dlib").get_params()
    assert pickle.loads(pickle.dumps(old)).appearance == "shipped"


def test_a_quality_without_likeness_is_judged_as_before():
    good = Quality(size=200, sharpness=20, yaw=0, score=1)
    assert good.is_reliable(0.32)
    assert good.explain(0.32) == ""
    assert Quality(size=200, sharpness=1, yaw=0, score=1).explain(0.32) == "blurred or dark"
    assert not good._replace(likeness=0.1, disturbance=1.0).is_reliable(0.0)
    assert good._replace(likeness=0.1, disturbance=1.0).defect == "negative"


def test_calibration_on_good_photos_does_not_make_bad_ones_reliable(fast, crop):
    rng = np.random.default_rng(0)
    photos = [np.roll(crop, shift, axis=1) for shift in rng.integers(-8, 9, 30)]
    ages = rng.uniform(20, 60, 30)
    model = ageboost.load_pretrained("fast").calibrate(photos, ages)
    assert model.quality_threshold_ >= fast.quality_threshold_
    assert model.quality_threshold_ >= LEAST_QUALITY
    dark = (crop * 0.04).astype(np.uint8)
    small = np.asarray(Image.fromarray(crop).resize((20, 20)).resize((210, 210)))
    assert not model.analyze([dark, small])["reliable"].fillna(False).any()


@pytest.mark.slow
def test_photos_of_utkface_on_their_side_are_relied_on_as_upright_ones(fast, utkface):
    table = read_utkface(utkface)
    table = table[table["fold"].isin((6, 7))].iloc[::120]
    photos = [ageboost.read_photo(path) for path in table["photo"]]
    upright = fast.predict(photos)
    for quarters in (1, 3):
        turned = fast.predict([np.rot90(photo, quarters) for photo in photos])
        assert (np.abs(turned - upright) < 0.01).mean() > 0.93
