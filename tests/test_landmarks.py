import threading

import dlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.data import astronaut

from ageboost.faces import FaceFinder
from ageboost.faces import landmarks as module
from ageboost.faces._cascade import Cascade
from ageboost.faces.landmarks import ShapePredictor, dlib_weights

FILES = {
    68: "shape_predictor_68_face_landmarks.dat",
    5: "shape_predictor_5_face_landmarks.dat",
}


@pytest.fixture(scope="module", params=FILES)
def path(request):
    return dlib_weights(FILES[request.param])


@pytest.fixture(scope="module")
def cascade(path):
    return Cascade(path)


@pytest.fixture(scope="module")
def by_dlib(path):
    predictor = dlib.shape_predictor(str(path))

    def place(pixels, box):
        left, top, right, bottom = (int(edge) for edge in np.rint(box))
        shape = predictor(pixels, dlib.rectangle(left, top, right - 1, bottom - 1))
        return np.array([(point.x, point.y) for point in shape.parts()])

    return place


def test_points_of_many_faces_are_those_of_dlib(cascade, by_dlib):
    photo = astronaut()
    random = np.random.default_rng(0)
    photos, boxes = [], []
    for _ in range(150):
        height, width = random.integers(60, 512, 2)
        photos.append(photo[:height, :width])
        # Most of these show a part of a face, or none, and some are mostly outside the photo.
        x, y, side = random.uniform(-40, 300), random.uniform(-40, 200), random.uniform(20, 260)
        boxes.append(np.array([x, y, x + side, y + side]))
    for points, *face in zip(cascade.predict(photos, boxes), photos, boxes, strict=True):
        np.testing.assert_array_equal(points, by_dlib(*face))


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.2, 3),
    st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(60, 160), st.floats(60, 160)),
)
def test_points_of_one_face_are_those_of_dlib(cascade, by_dlib, brightness, box):
    pixels = np.clip(astronaut()[:300:2, 100:400:2] * brightness, 0, 255).astype(np.uint8)
    left, top, width, height = box
    box = np.array([left, top, left + width, top + height])
    [points] = cascade.predict([pixels], [box])
    np.testing.assert_array_equal(points, by_dlib(pixels, box))


def test_no_faces_have_no_points(cascade):
    assert cascade.predict([], []) == []


def test_threads_do_not_mix_their_faces(cascade):
    photo = astronaut()
    boxes = [np.array([x, 60.0, x + 110, 170]) for x in np.linspace(120, 240, 24)]
    alone = [cascade.predict([photo], [box])[0] for box in boxes]
    found = {}

    def place(part):
        for _ in range(3):
            found[part] = cascade.predict([photo] * 8, boxes[8 * part : 8 * part + 8])

    threads = [threading.Thread(target=place, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found[0] + found[1] + found[2], alone)


@pytest.mark.parametrize("damage", ["cut short", "longer", "a byte changed", "no predictor"])
def test_a_damaged_file_is_an_error(tmp_path, damage):
    content = bytearray(dlib_weights(FILES[5]).read_bytes())
    if damage == "cut short":
        content = content[: len(content) // 2]
    elif damage == "longer":
        content += b"\x01\x01"
    elif damage == "a byte changed":
        # How many bytes a number has, so that nothing behind it is where it should be.
        start = content.find(bytes(content[2:6]), len(content) // 2)
        content[start + 4] = 2
    else:
        content = bytearray(b"no predictor at all")
    damaged = tmp_path / "damaged.dat"
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match="not a shape predictor of dlib's"):
        Cascade(damaged)


@pytest.fixture
def predictor(monkeypatch):
    predictor = ShapePredictor(dlib_weights(FILES[5]))
    monkeypatch.setattr("ageboost.faces.detection.load_predictor", lambda landmarks: predictor)
    return predictor


def takes_many_together(predictor):
    return isinstance(predictor._predictor, Cascade) == (
        module.platform.machine() in module._AS_WRITTEN
    )


def test_many_faces_after_a_few_have_the_same_landmarks(monkeypatch, predictor):
    monkeypatch.setattr(predictor, "_n_left", 40)
    finder = FaceFinder(landmarks=5)
    [alone] = finder.find(astronaut())
    before = list(finder.find_each([astronaut()] * 20))
    assert not isinstance(predictor._predictor, Cascade)
    after = list(finder.find_each([astronaut()] * 20))
    assert takes_many_together(predictor)
    for [face] in before + after:
        np.testing.assert_array_equal(face.landmarks, alone.landmarks)
        assert face.quality == alone.quality


def test_who_begins_with_many_faces_needs_no_other_predictor(predictor):
    finder = FaceFinder(landmarks=5)
    many = list(finder.find_each([astronaut()] * 16))
    assert takes_many_together(predictor)
    [one] = finder.find(astronaut())
    for [face] in many:
        np.testing.assert_array_equal(face.landmarks, one.landmarks)


def test_a_few_faces_at_a_time_stay_with_dlib(monkeypatch, predictor):
    monkeypatch.setattr(predictor, "_n_left", 3)
    for _ in range(5):
        predictor.predict([astronaut()], [np.array([170.0, 60, 280, 170])])
    assert isinstance(predictor._predictor, dlib.shape_predictor)


@pytest.mark.parametrize("n_faces", [1, 16])
def test_a_file_that_is_no_predictor_is_named(tmp_path, n_faces):
    wrong = tmp_path / "wrong.dat"
    wrong.write_bytes(b"no predictor")
    finder = FaceFinder(landmarks=str(wrong))
    with pytest.raises(ValueError, match="is not a readable dlib shape predictor"):
        list(finder.find_each([astronaut()] * n_faces))
