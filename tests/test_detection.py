import cv2
import dlib
import numpy as np
import pytest

from ageboost import AgeEstimator, NoFaceError
from ageboost.faces import FaceFinder
from ageboost.faces.landmarks import dlib_weights


def scaled(photo, side):
    return cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)


def turned(photo, degrees):
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture(scope="module")
def close_up(portrait):
    return portrait[20:240, 120:340]


@pytest.mark.parametrize("side", [110, 150, 200, 300, 600, 1500])
def test_the_main_face_is_the_same_when_it_is_looked_for_alone(close_up, side):
    photo = scaled(close_up, side)
    alone, among_all = FaceFinder().find(photo, main_only=True), FaceFinder().find(photo)
    assert len(alone) == 1
    assert alone[0].box == among_all[0].box
    assert alone[0].quality == among_all[0].quality
    np.testing.assert_array_equal(alone[0].landmarks, among_all[0].landmarks)


def test_the_main_face_is_the_largest_of_a_group_also_when_it_is_looked_for_alone(close_up):
    group = np.full((500, 900, 3), 128, dtype=np.uint8)
    for left, side in [(10, 260), (280, 400), (690, 205)]:
        group[40 : 40 + side, left : left + side] = scaled(close_up, side)
    faces = FaceFinder().find(group)
    assert len(faces) == 3
    assert [face.box for face in FaceFinder().find(group, main_only=True)] == [faces[0].box]


@pytest.mark.parametrize("shift", range(0, 40, 7))
def test_wherever_the_main_face_stands_its_box_is_the_same(close_up, shift):
    photo = np.full((400, 400, 3), 90, dtype=np.uint8)
    photo[shift : shift + 330, shift : shift + 330] = scaled(close_up, 330)
    [alone] = FaceFinder().find(photo, main_only=True)
    assert alone.box == FaceFinder().find(photo)[0].box


def test_main_faces_of_photos_are_the_same_when_looked_for_alone(photos_and_ages):
    finder = FaceFinder(use_cnn=False)
    for photo in photos_and_ages[0]:
        try:
            first = finder.find(photo)[0]
        except NoFaceError:
            with pytest.raises(NoFaceError):
                finder.find(photo, main_only=True)
        else:
            assert finder.find(photo, main_only=True)[0].box == first.box


@pytest.mark.parametrize("degrees", [-50, 50])
def test_a_turned_face_is_found_by_the_second_detector(close_up, degrees):
    photo = turned(close_up, degrees)
    with pytest.raises(NoFaceError):
        FaceFinder(use_cnn=False).find(photo)
    [face] = FaceFinder().find(photo)
    [upright] = FaceFinder().find(close_up)
    centre = np.mean([face.box[:2], face.box[2:]], axis=0)
    expected = np.mean([upright.box[:2], upright.box[2:]], axis=0)
    across = expected - 110
    turn = np.radians(-degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    assert np.abs(centre - (110 + rotation @ across)).max() < 25


def test_a_dark_turned_face_is_found(close_up):
    dark = (turned(close_up, 45) * 0.15).astype(np.uint8)
    assert len(FaceFinder().find(dark)) == 1


@pytest.mark.parametrize("side", [1, 40, 300])
def test_the_second_detector_sees_no_faces_where_there_are_none(side):
    noise = np.random.default_rng(0).integers(0, 256, (side, 2 * side, 3), dtype=np.uint8)
    for photo in (noise, noise // 30, np.zeros_like(noise)):
        with pytest.raises(NoFaceError):
            FaceFinder().find(photo)


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
