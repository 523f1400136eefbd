import dlib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

from ageboost import NoFaceError
from ageboost.errors import UnreadablePhotoError
from ageboost.faces import FaceFinder, stack_chips
from ageboost.faces.landmarks import dlib_weights
from ageboost.features import LandmarkGeometry


@pytest.fixture(scope="module")
def dlib_parts():
    predictor = dlib.shape_predictor(str(dlib_weights("shape_predictor_68_face_landmarks.dat")))
    return dlib.get_frontal_face_detector(), predictor


def difference(one, other):
    """Mean difference of grey levels between the middles of two chips: eyes, nose and mouth."""
    middle = slice(25, 75)
    chips = (face.chip(100)[middle, middle].astype(int) for face in (one, other))
    return np.abs(np.subtract(*chips)).mean()


@pytest.fixture(scope="module")
def dlib_face(portrait):
    [found] = FaceFinder(detector="dlib").find(portrait)
    return found


def test_landmarks_and_box_are_those_of_dlib(portrait, dlib_face, dlib_parts):
    detector, predictor = dlib_parts
    [box] = detector(portrait, 0)
    points = np.array([(p.x, p.y) for p in predictor(portrait, box).parts()])
    assert dlib_face.box == (box.left(), box.top(), box.right() + 1, box.bottom() + 1)
    offset = points[0] - dlib_face.landmarks[0]
    np.testing.assert_array_equal(dlib_face.landmarks + offset, points)


def test_the_network_draws_boxes_about_as_dlib_does(portrait, dlib_face):
    [face] = FaceFinder(detector="blazeface").find(portrait)
    side = dlib_face.quality.size
    assert np.abs(np.subtract(face.box, dlib_face.box)).max() < 0.15 * side
    assert difference(face, dlib_face) < 8


def test_the_chip_is_that_of_dlib(portrait, dlib_face, dlib_parts):
    detector, predictor = dlib_parts
    shape = predictor(portrait, detector(portrait, 0)[0])
    expected = dlib.get_face_chip(portrait, shape, 150, 0.25).astype(int)
    assert np.abs(dlib_face.chip(150, 0.25) - expected).max() <= 1


def test_a_chip_is_made_once(face):
    assert face.chip(64, 0.2) is face.chip(64, 0.2)


def test_grey_chips_stack(face):
    assert stack_chips([face, face], 40, grey=True).shape == (2, 40, 40)


def test_five_landmarks_give_nearly_the_same_chip_as_68(portrait, face):
    [other] = FaceFinder(landmarks=5).find(portrait)
    assert other.landmarks.shape == (5, 2)
    assert difference(other, face) < 20


def test_a_predictor_of_the_users_own_is_taken_by_its_path(portrait, face):
    path = dlib_weights("shape_predictor_68_face_landmarks.dat")
    [same] = FaceFinder(landmarks=str(path)).find(portrait)
    np.testing.assert_array_equal(same.landmarks, face.landmarks)


@pytest.mark.parametrize("landmarks", [7, "no such file.dat"])
def test_a_wrong_predictor_is_named(portrait, landmarks):
    with pytest.raises(ValueError, match="landmarks="):
        FaceFinder(landmarks=landmarks).find(portrait)


def test_a_large_photo_has_its_box_in_its_own_pixels_and_a_sharp_chip(portrait, face):
    large = np.asarray(Image.fromarray(portrait).resize((3584, 3584), Image.Resampling.BICUBIC))
    found = FaceFinder().find(large)[0]
    np.testing.assert_allclose(np.array(found.box) / 7, face.box, atol=12)
    assert found.pixels.nbytes < 6e6
    assert difference(found, face) < 10


def test_a_photo_whose_face_fills_the_frame_works(portrait, face):
    left, top, right, bottom = (int(edge) for edge in face.box)
    cut = np.ascontiguousarray(portrait[top - 10 : bottom + 4, left - 4 : right + 4])
    [found] = FaceFinder().find(cut)
    assert difference(found, face) < 15


def test_a_small_face_is_found(portrait):
    small = np.asarray(Image.fromarray(portrait).resize((300, 300)))
    [found] = FaceFinder().find(small)
    assert 40 < found.quality.size < 75


def test_two_faces_come_largest_first(portrait):
    half = np.asarray(Image.fromarray(portrait).resize((400, 400)))
    both = np.zeros((512, 912, 3), np.uint8)
    both[:400, :400] = half
    both[:, 400:] = portrait
    first, second = FaceFinder(max_side=1000, threshold=0.8).find(both)
    assert first.quality.size > second.quality.size
    assert first.box.left > 400 > second.box.right


def test_boxes_of_another_detector_are_used_instead_of_detection(portrait, face):
    wider = np.add(face.box, [-20, -25, 15, 10])
    [found] = FaceFinder(threshold=1e9).find(portrait, boxes=wider)
    assert np.abs(np.array(found.box) - face.box).max() < 15
    assert np.isnan(found.quality.score)


def test_boxes_are_in_pixels_of_the_original_photo(portrait, face):
    large = np.asarray(Image.fromarray(portrait).resize((4096, 4096)))
    [found] = FaceFinder(threshold=1e9).find(large, boxes=[np.array(face.box) * 8])
    np.testing.assert_allclose(np.array(found.box) / 8, face.box, atol=15)


def test_a_cropped_face_needs_no_detection(portrait, face):
    left, top, right, bottom = (int(edge) for edge in face.box)
    cut = np.ascontiguousarray(portrait[top:bottom, left:right])
    [found] = FaceFinder(threshold=1e9).find(cut, cropped=True)
    assert difference(found, face) < 15


@pytest.mark.parametrize(
    "boxes",
    [[], [[5, 5, 5, 9]], [9000, 0, 9100, 50], [1, 2, 3], "left", [[1, 2, float("nan"), 3]]],
)
def test_a_wrong_box_is_an_error_that_says_what_is_wrong(portrait, boxes):
    with pytest.raises(NoFaceError, match="box"):
        FaceFinder().find(portrait, boxes=boxes)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (300, 300)])
def test_a_photo_without_a_face_is_an_error_that_names_it(size):
    with pytest.raises(NoFaceError, match=f"no face of .* in .*{size[1]} x {size[0]}"):
        FaceFinder().find(np.zeros((*size, 3), np.uint8))


def test_quality_falls_with_blur(portrait, face):
    import cv2

    [blurred] = FaceFinder().find(cv2.GaussianBlur(portrait, (0, 0), 3))
    assert blurred.quality.sharpness < face.quality.sharpness / 2
    assert blurred.quality.overall < face.quality.overall


def test_yaw_changes_its_sign_in_the_mirror(portrait, face):
    [mirrored] = FaceFinder().find(np.ascontiguousarray(portrait[:, ::-1]))
    assert abs(mirrored.quality.yaw + face.quality.yaw) < 8


def test_the_finder_is_a_scikit_learn_object():
    finder = FaceFinder(landmarks=5, max_side=500)
    assert clone(finder).get_params() == finder.get_params()


def test_each_photo_of_a_batch_gives_the_faces_or_the_error_that_it_gives_alone(portrait):
    # Three photos of 12 MB each are more than go through a step together.
    large = np.tile(portrait, (4, 4, 1))[:2000, :2000]
    black = np.zeros((90, 90, 3), np.uint8)
    photos = [portrait, "missing.jpg", large, black, large[:, ::-1], large, portrait]
    boxes = [None, None, None, None, None, None, (0, 0, -1, 5)]
    finder = FaceFinder(use_cnn=False)
    results = list(finder.find_each(photos, boxes=boxes, main_only=True))
    kinds = [type(result).__name__ for result in results]
    expected = ["list", "UnreadablePhotoError", "list", "NoFaceError", "list", "list"]
    assert kinds == [*expected, "NoFaceError"]
    for position in (0, 2, 4, 5):
        [alone], [face] = finder.find(photos[position], main_only=True), results[position]
        assert face.box == alone.box
        assert face.quality == alone.quality
        np.testing.assert_array_equal(face.landmarks, alone.landmarks)
        np.testing.assert_array_equal(face.chip(100), alone.chip(100))


def test_sharpness_is_left_out_where_nobody_asks_for_it(portrait):
    finder = FaceFinder()
    [[face], error] = finder.find_each([portrait, "missing.jpg"], sharpness=False)
    [measured] = finder.find(portrait)
    assert np.isnan(face.quality.sharpness)
    assert measured.quality.sharpness > 0
    assert face.quality._replace(sharpness=0) == measured.quality._replace(sharpness=0)
    assert isinstance(error, UnreadablePhotoError)


def test_no_photos_give_no_faces():
    assert list(FaceFinder().find_each([])) == []


def test_geometry_of_68_landmarks_needs_faces_that_have_them(portrait):
    [face] = FaceFinder(landmarks=5).find(portrait)
    assert LandmarkGeometry(5).transform([face]).shape == (1, 10)
    with pytest.raises(ValueError, match="face 0 has 5 landmarks, not 68"):
        LandmarkGeometry().transform([face])
    with pytest.raises(ValueError, match="n_landmarks=7: pass 68 or 5"):
        LandmarkGeometry(7).transform([face])


def test_the_fast_set_finds_five_landmarks_unless_told_otherwise(portrait):
    from ageboost.features import FaceFeatures

    fast = FaceFeatures("fast")
    assert fast.get_params()["finder__landmarks"] == 5
    assert FaceFeatures("classical").get_params()["finder__landmarks"] == 68
    # Also once its parts have become objects.
    expected = fast.transform([portrait])
    changed = FaceFeatures("fast").set_params(utkface_small__pool=4)
    np.testing.assert_array_equal(changed.transform([portrait]), expected)
    np.testing.assert_array_equal(fast.on_device("cpu").transform([portrait]), expected)
    whole = FaceFeatures("fast", finder=FaceFinder()).transform([portrait])
    assert np.abs(whole - expected).max() > 0
