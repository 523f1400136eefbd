import pickle

import cv2
import dlib
import numpy as np
import pytest
import skimage.data

from ageboost import AgeEstimator, NoFaceError, load_pretrained
from ageboost.faces import FaceFinder
from ageboost.faces.landmarks import dlib_weights
from ageboost.features import FaceFeatures
from ageboost.models import load
from ageboost.models.persistence import pretrained_path


def scaled(photo, side):
    return cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)


def turned(photo, degrees):
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture(scope="module")
def close_up(portrait):
    return portrait[20:240, 120:340]


@pytest.fixture(params=["blazeface", "dlib"])
def finder(request):
    return FaceFinder(detector=request.param)


@pytest.mark.parametrize("side", [110, 150, 200, 300, 600, 1500])
def test_the_main_face_is_the_same_when_it_is_looked_for_alone(finder, close_up, side):
    photo = scaled(close_up, side)
    alone, among_all = finder.find(photo, main_only=True), finder.find(photo)
    assert len(alone) == 1
    assert alone[0].box == among_all[0].box
    assert alone[0].quality == among_all[0].quality
    np.testing.assert_array_equal(alone[0].landmarks, among_all[0].landmarks)


def test_the_main_face_is_the_largest_of_a_group_also_when_it_is_looked_for_alone(finder, close_up):
    group = np.full((500, 900, 3), 128, dtype=np.uint8)
    for left, side in [(10, 260), (280, 400), (690, 205)]:
        group[40 : 40 + side, left : left + side] = scaled(close_up, side)
    faces = finder.find(group)
    assert len(faces) == 3
    assert [face.box for face in finder.find(group, main_only=True)] == [faces[0].box]


@pytest.mark.parametrize("shift", range(0, 40, 7))
def test_wherever_the_main_face_stands_its_box_is_the_same(finder, close_up, shift):
    photo = np.full((400, 400, 3), 90, dtype=np.uint8)
    photo[shift : shift + 330, shift : shift + 330] = scaled(close_up, 330)
    [alone] = finder.find(photo, main_only=True)
    assert alone.box == finder.find(photo)[0].box


@pytest.mark.parametrize("detector", ["blazeface", "dlib"])
def test_main_faces_of_photos_are_the_same_when_looked_for_alone(photos_and_ages, detector):
    finder = FaceFinder(detector=detector, use_cnn=False)
    for photo in photos_and_ages[0]:
        try:
            first = finder.find(photo)[0]
        except NoFaceError:
            with pytest.raises(NoFaceError):
                finder.find(photo, main_only=True)
        else:
            assert finder.find(photo, main_only=True)[0].box == first.box


@pytest.mark.parametrize("degrees", [-165, -120, -80, -45, -30, 20, 50, 90, 140, 180])
def test_a_face_at_any_angle_is_put_upright(portrait, close_up, degrees):
    # A square around the middle shows the same whichever way it is turned.
    photo = turned(portrait[:400, 20:420], degrees)[60:340, 60:340]
    finder = FaceFinder(landmarks=5, use_cnn=False, detector="blazeface")
    [upright], [face] = (finder.find(one, main_only=True) for one in (close_up, photo))
    expected = upright.quality.roll - degrees
    assert abs((face.quality.roll - expected + 180) % 360 - 180) < 6
    assert not face.quality.defect
    chips = (one.chip(100, 0.1).astype(int) for one in (face, upright))
    assert np.abs(np.subtract(*chips))[20:80, 20:80].mean() < 16


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_half_a_face_in_a_turned_photo_is_found_but_not_relied_on(portrait, quarters):
    half = cv2.resize(portrait[81:153, 194:266], (120, 120))
    photo = np.rot90(half, quarters).copy()
    [face] = FaceFinder(landmarks=5, detector="blazeface", use_cnn=False).find(photo)
    assert face.quality.defect == "covered"
    assert abs((face.quality.roll + 90 * quarters + 180) % 360 - 180) < 15


@pytest.mark.parametrize("degrees", [-50, 50])
def test_a_turned_face_is_found_by_dlibs_second_detector(close_up, degrees):
    photo = turned(close_up, degrees)
    with pytest.raises(NoFaceError):
        FaceFinder(detector="dlib", use_cnn=False).find(photo)
    [face] = FaceFinder(detector="dlib").find(photo)
    [upright] = FaceFinder(detector="dlib").find(close_up)
    centre = np.mean([face.box[:2], face.box[2:]], axis=0)
    expected = np.mean([upright.box[:2], upright.box[2:]], axis=0)
    across = expected - 110
    turn = np.radians(-degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    assert np.abs(centre - (110 + rotation @ across)).max() < 25


def test_a_dark_turned_face_is_found(finder, close_up):
    dark = (turned(close_up, 45) * 0.15).astype(np.uint8)
    assert len(finder.find(dark)) == 1


@pytest.mark.parametrize("side", [1, 40, 300])
def test_no_detector_sees_faces_where_there_are_none(finder, side):
    noise = np.random.default_rng(0).integers(0, 256, (side, 2 * side, 3), dtype=np.uint8)
    for photo in (noise, noise // 30, np.zeros_like(noise)):
        with pytest.raises(NoFaceError):
            finder.find(photo)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "page", "colorwheel"])
def test_pictures_of_nobody_show_no_face(finder, name):
    picture = getattr(skimage.data, name)()
    picture = np.stack([picture] * 3, axis=2) if picture.ndim == 2 else picture
    with pytest.raises(NoFaceError):
        finder.find(picture)


@pytest.mark.parametrize("share", [0.06, 0.12, 0.3])
def test_faces_of_every_size_are_found_in_a_large_photo(close_up, share):
    photo = np.full((1200, 1600, 3), 140, dtype=np.uint8)
    side = round(share * 1600)
    photo[500 : 500 + side, 900 : 900 + side] = scaled(close_up, side)
    [face] = FaceFinder(use_cnn=False, detector="blazeface").find(photo, main_only=True)
    assert 900 < face.box.left < face.box.right < 900 + side
    assert 500 < face.box.top < face.box.bottom < 500 + side


def test_a_higher_threshold_finds_fewer_faces(close_up):
    [face] = FaceFinder().find(close_up)
    [same] = FaceFinder(threshold=face.quality.score - 0.01).find(close_up)
    assert same.box == face.box
    with pytest.raises(NoFaceError):
        FaceFinder(threshold=face.quality.score + 3, use_cnn=False).find(close_up)


def test_a_detector_that_is_not_known_is_named(portrait):
    with pytest.raises(ValueError, match="detector='haar': pass 'blazeface' or 'dlib'"):
        FaceFinder(detector="haar").find(portrait)


def test_what_learnt_from_dlibs_boxes_keeps_them():
    state = FaceFeatures("fast").__getstate__()
    assert pickle.loads(pickle.dumps(FaceFeatures("fast"))).finder is None
    del state["detector"]
    old = FaceFeatures.__new__(FaceFeatures)
    old.__setstate__(state)
    assert old.get_finder().get_params() == FaceFinder(5, detector="dlib").get_params()


def test_a_model_of_an_earlier_release_keeps_dlibs_detector_when_it_is_saved_again(tmp_path):
    model = load(pretrained_path("fast"))
    assert model.features_.get_finder().detector == "dlib"
    model.save(tmp_path / "again.ageboost")
    assert load(tmp_path / "again.ageboost").features_.get_finder().detector == "dlib"


@pytest.mark.parametrize("detector", ["blazeface", "dlib"])
def test_a_model_keeps_the_detector_that_it_was_given(detector, tmp_path):
    model = load_pretrained("fast")
    assert model.features_.get_finder().detector == "blazeface"
    model.features_.set_params(finder__detector=detector)
    model.save(tmp_path / "new.ageboost")
    assert load(tmp_path / "new.ageboost").features_.get_finder().detector == detector


def test_the_second_detector_is_as_sure_as_in_dlib(portrait):
    from ageboost.faces._cnn_detector import find_with_cnn

    dlibs = dlib.cnn_face_detection_model_v1(str(dlib_weights("mmod_human_face_detector.dat")))
    [theirs] = dlibs(portrait[:320, 60:380], 0)
    [(box, score)] = find_with_cnn(portrait[:320, 60:380], 0.5)
    rectangle = theirs.rect
    centre = [rectangle.left() + rectangle.right(), rectangle.top() + rectangle.bottom()]
    # Windows stand eight pixels apart, and each library begins elsewhere.
    assert np.abs(box[:2] + box[2:] - centre).max() < 2 * 8
    assert abs(score - theirs.confidence) < 0.15


def test_predict_and_analyze_look_at_the_same_main_face(fitted, portrait, close_up):
    photos = [portrait, close_up, scaled(close_up, 900)]
    table = fitted.analyze(photos)
    first = table[table["face"] == 0]
    assert isinstance(fitted, AgeEstimator)
    np.testing.assert_allclose(fitted.predict(photos), first["age"], rtol=0, atol=1e-6)
