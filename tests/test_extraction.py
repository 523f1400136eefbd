import pickle

import numpy as np
import pytest

from ageboost import PhotosError
from ageboost.errors import NoFaceError, UnreadablePhotoError
from ageboost.faces import FaceFinder
from ageboost.features import HOG, CNNActivations, FaceFeatures, LandmarkGeometry

PARTS = [("hog", HOG(cell_size=32)), ("geometry", LandmarkGeometry())]


@pytest.fixture
def photos(portrait):
    """One face, no photo, no face, two faces."""
    head = portrait[:300, 100:350]
    return [head, b"no photo", np.zeros((80, 60, 3), np.uint8), np.hstack([head, head[:, ::-1]])]


def test_all_sets_but_the_fast_one_find_68_landmarks():
    assert FaceFeatures().transformers == "all"
    for name in ("classical", "cnn", "all", "accurate"):
        assert FaceFeatures(name).get_params()["finder__landmarks"] == 68
    assert FaceFeatures("fast").on_device("cuda").finder.landmarks == 5


def test_a_set_stays_a_name_until_one_of_its_parts_is_changed():
    features = FaceFeatures("classical").set_params(finder__landmarks=5)
    assert features.transformers == "classical"
    assert features.finder.landmarks == 5
    assert features.get_feature_names_out()[-1] == "geometry__nose_base_y"
    assert features.get_feature_names_out().dtype == object
    features.set_params(hog__cell_size=32, lbp__grid=(2, 2))
    assert [name for name, _ in features.transformers] == ["hog", "lbp", "geometry"]
    assert features.get_params()["hog__cell_size"] == 32
    assert len(features.get_feature_names_out()) == 324 + 4 * 59 + 10
    features.set_params(transformers="classical", hog__cell_size=64, finder=FaceFinder())
    assert len(features.get_feature_names_out()) == 36 + 3776 + 136


def test_parameters_of_parts_are_those_of_the_whole_only_if_asked():
    features = FaceFeatures(PARTS, finder=FaceFinder(threshold=0.5), n_jobs=2)
    deep, shallow = features.get_params(), features.get_params(deep=False)
    assert shallow == {
        **{"transformers": PARTS, "finder": features.finder, "batch_size": 32},
        **{"n_jobs": 2, "cache": None, "on_error": "raise"},
    }
    assert {key: deep[key] for key in shallow} == shallow
    assert deep["finder__threshold"] == 0.5
    assert deep["hog"] is PARTS[0][1]
    assert deep["hog__cell_size"] == 32
    assert deep["geometry__n_landmarks"] == 68


@pytest.mark.parametrize("kept", [False, True])
def test_sharpness_is_measured_where_qualities_are_asked_for_or_kept(portrait, tmp_path, kept):
    features = FaceFeatures(PARTS, cache=tmp_path if kept else None)

    def sharpness(batch):
        return batch.qualities[0].sharpness

    [(_, left_out)] = features.answer(sharpness, [portrait], sharpness=False)
    [(_, measured)] = features.answer(sharpness, [portrait])
    assert measured > 0
    # What a cache keeps is read by everybody.
    assert left_out == measured if kept else np.isnan(left_out)


def test_more_photos_than_are_transformed_together_have_the_rows_that_they_have_alone(portrait):
    head = portrait[:300, 100:350]
    photos = [head[: 300 - step] for step in range(20)]
    photos[7] = b"no photo"
    features = FaceFeatures(PARTS, on_error="nan")
    rows = features.transform(photos)
    alone = np.concatenate([features.transform([photo]) for photo in photos])
    np.testing.assert_array_equal(rows, alone)
    assert np.isnan(rows).all(axis=1).tolist() == [position == 7 for position in range(20)]


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_batches_tell_whose_each_row_is_and_what_became_of_the_others(
    photos, tmp_path, kept, batch_size
):
    features = FaceFeatures(PARTS, batch_size=batch_size, cache=tmp_path if kept else None)
    for _ in range(1 + kept):
        batches = list(features.extract(photos, all_faces=True))
        assert len(batches) == -(-4 // batch_size)
        assert [owner for batch in batches for owner in batch.owners] == [0, 3, 3]
        rows = np.concatenate([batch.matrix for batch in batches])
        assert rows.shape == (3, 460)
        assert rows.dtype == np.float32
        failures = [failure for batch in batches for failure in batch.failures]
        assert [position for position, _ in failures] == [1, 2]
        assert [type(error) for _, error in failures] == [UnreadablePhotoError, NoFaceError]
        boxes = [box for batch in batches for box in batch.boxes]
        qualities = [quality for batch in batches for quality in batch.qualities]
        found = [face for photo in (photos[0], photos[3]) for face in FaceFinder().find(photo)]
        assert len(found) == 3
        np.testing.assert_allclose(boxes, [face.box for face in found], rtol=1e-6)
        np.testing.assert_allclose(qualities, [face.quality for face in found], rtol=1e-6)
        expected = np.hstack([part.transform(found) for _, part in PARTS])
        np.testing.assert_array_equal(rows, expected)
        # The main face alone, in the place of its photo.
        main = features.set_params(on_error="nan").transform(photos)
        assert np.isnan(main).all(axis=1).tolist() == [False, True, True, False]
        np.testing.assert_array_equal(main[[0, 3]], rows[:2])


def test_faces_that_another_detector_found_or_cut_out_are_those_that_are_measured(portrait, face):
    left, top, right, bottom = face.box
    wider = [left - 20, top - 30, right + 10, bottom + 10]
    cut = portrait[int(top) : int(bottom), int(left) : int(right)]
    for photo, call in ((portrait, {"boxes": [wider]}), (cut, {"cropped": True})):
        expected = np.hstack(
            [part.transform(FaceFinder().find(photo, **call)) for _, part in PARTS]
        )
        found = FaceFeatures(PARTS).transform([photo], **call)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("call", [{"all_faces": True}, {"cropped": True}])
def test_two_processes_find_the_faces_that_one_finds(photos, call):
    one, two = (
        list(FaceFeatures(PARTS, batch_size=2, n_jobs=n_jobs).extract(photos, **call))
        for n_jobs in (1, 2)
    )
    for alone, together in zip(one, two, strict=True):
        assert together.owners == alone.owners
        assert together.boxes == alone.boxes
        np.testing.assert_array_equal(together.matrix, alone.matrix)


def test_every_photo_that_gives_no_face_is_counted_and_named(photos):
    with pytest.raises(PhotosError) as caught:
        FaceFeatures(PARTS, batch_size=1).transform([*photos, None])
    assert [position for position, _ in caught.value.failures] == [1, 2, 4]
    assert "3 of 5" in str(caught.value)


def test_a_new_transformer_is_computed_beside_those_that_are_kept(photos, tmp_path):
    FaceFeatures(PARTS[:1], cache=tmp_path, on_error="nan").transform(photos)
    both = FaceFeatures(PARTS, cache=tmp_path, on_error="nan").transform(photos)
    np.testing.assert_array_equal(both, FaceFeatures(PARTS, on_error="nan").transform(photos))


def test_boxes_and_qualities_are_the_same_with_and_without_a_cache(photos, tmp_path):
    batches = [
        next(FaceFeatures(PARTS, cache=cache).extract(photos))
        for cache in (None, tmp_path, tmp_path)
    ]
    for batch in batches:
        assert batch.owners == [0, 3]
        assert batch.boxes == batches[0].boxes
        assert batch.qualities == batches[0].qualities
        assert list(map(str, batch.failures)) == list(map(str, batches[0].failures))


def test_a_copy_on_another_device_leaves_the_first_where_it_is():
    features = FaceFeatures([*PARTS, ("net", CNNActivations("utkface-mobilenet-small"))])
    moved = features.on_device("cuda")
    devices = [getattr(part, "device", None) for _, part in moved.transformers]
    assert devices == [None, None, "cuda"]
    assert features.transformers[2][1].device == "cpu"
    assert moved.transformers[0][1] is PARTS[0][1]


def test_a_set_of_an_earlier_release_keeps_its_parts():
    features = FaceFeatures("accurate")
    today = dict(features.get_transformers())
    state = features.__getstate__()
    del state["sets"]
    earlier = FaceFeatures.__new__(FaceFeatures)
    earlier.__setstate__(state)
    parts = dict(earlier.get_transformers())
    assert set(parts) - set(today) == {"dlib_age", "utkface_dlib"}
    changed = {name for name in today if parts[name].get_params() != today[name].get_params()}
    assert changed == {"cnn", "mobilenet_age", "utkface_mobilenet"}
    assert parts["utkface_mobilenet"].network == "utkface-mobilenet"
    assert parts["utkface_mobilenet"].mirror is True
    assert pickle.loads(pickle.dumps(features)).transformers == "accurate"
