import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ageboost import CacheError, PhotosError
from ageboost.faces import FaceFinder
from ageboost.features import HOG, CNNActivations, FaceFeatures, LandmarkGeometry
from ageboost.features._cache import FeatureCache, settings_digest
from ageboost.features.known_networks import get_network
from ageboost.photos import load_photo

WRITER = """
import sys
import numpy as np
from ageboost.features._cache import FeatureCache
cache = FeatureCache(sys.argv[1])
for number in range(int(sys.argv[2]), 10**9):
    key = number.to_bytes(16, "big")
    cache.put({key: np.full((1, 1000), number, np.float32)})
    print(number, flush=True)
"""


def start_writer(folder, first):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first)], stdout=subprocess.PIPE, text=True
    )


def test_a_killed_process_leaves_whole_rows_only_and_loses_none_that_it_had_stored(tmp_path):
    writers = [start_writer(tmp_path, 10_000 * part) for part in range(2)]
    stored = []
    for writer in writers:
        stored += [int(writer.stdout.readline()) for _ in range(20)]
    time.sleep(0.05)
    for writer in writers:
        writer.kill()
        writer.wait()
        stored += [int(line) for line in writer.stdout.read().splitlines() if line]
    keys = [number.to_bytes(16, "big") for number in [*range(2000), *range(10_000, 12_000)]]
    found = FeatureCache(tmp_path).get(keys)
    for number in stored:
        assert number.to_bytes(16, "big") in found
    for key, row in found.items():
        np.testing.assert_array_equal(row, np.full((1, 1000), int.from_bytes(key, "big")))


@pytest.mark.parametrize("use_cnn", [True, False])
def test_photos_without_a_face_are_rows_of_nan_with_and_without_a_cache(
    portrait, tmp_path, use_cnn
):
    features = FaceFeatures([("geometry", LandmarkGeometry())], on_error="nan")
    features.set_params(finder__use_cnn=use_cnn)
    photos = [portrait, np.zeros_like(portrait), portrait[:, ::-1]]
    plain = features.transform(photos)
    assert np.isnan(plain).all(axis=1).tolist() == [False, True, False]
    features.set_params(cache=tmp_path)
    for _ in range(2):
        np.testing.assert_array_equal(features.transform(photos), plain)


def test_a_photo_without_a_face_is_searched_once_and_named_each_time(
    portrait, tmp_path, monkeypatch
):
    grey = Image.fromarray(np.full((90, 70, 3), 127, np.uint8))
    for name in ("one.png", "same content.png"):
        grey.save(tmp_path / name)
    photos = [portrait, *(str(tmp_path / name) for name in ("one.png", "missing.jpg"))]
    features = FaceFeatures([("geometry", LandmarkGeometry())], cache=tmp_path / "cache")
    with pytest.raises(PhotosError) as first:
        features.transform(photos)
    looked_at = []
    monkeypatch.setattr(
        "ageboost.faces.detection.load_photo",
        lambda photo, **options: (looked_at.append(photo), load_photo(photo, **options))[1],
    )
    with pytest.raises(PhotosError) as second:
        features.transform(photos)
    assert str(second.value) == str(first.value)
    expected = r"of 40 pixels or more in .*same content.png\W+\(70 x 90\): use a photo"
    with pytest.raises(PhotosError, match=expected):
        features.transform([str(tmp_path / "same content.png")])
    assert looked_at == [str(tmp_path / "missing.jpg")]


def test_detectors_have_rows_of_their_own(portrait, tmp_path):
    folder = tmp_path / "cache"
    for use_cnn in (True, False):
        features = FaceFeatures([("geometry", LandmarkGeometry())], cache=folder)
        features.set_params(finder__use_cnn=use_cnn).transform([portrait])
    from sqlite3 import connect

    [[rows]] = connect(folder / "features.sqlite").execute("SELECT count(*) FROM features")
    assert rows == 2 * 2


def test_what_no_photo_can_be_is_a_row_of_nan_with_and_without_a_cache(portrait, tmp_path):
    photos = [np.array([[None] * 9] * 9), portrait, None, b"x", np.zeros((9, 9), "S3")]
    for cache in (None, tmp_path, tmp_path):
        features = FaceFeatures([("geometry", LandmarkGeometry())], on_error="nan", cache=cache)
        rows = features.transform(photos)
        assert np.isnan(rows).all(axis=1).tolist() == [True, False, True, True, True]


def test_rows_come_back_as_they_were_put_and_the_last_one_put_counts(tmp_path):
    cache = FeatureCache(tmp_path / "made" / "if not there")
    rows = np.random.default_rng(0).random((2, 6))
    entries = {b"many": rows, b"every other": rows[:, ::2], b"none": np.empty((0, 3))}
    cache.put(entries)
    cache.put({})
    found = FeatureCache(tmp_path / "made" / "if not there").get([*entries, b"missing"])
    assert found.keys() == entries.keys()
    for key, row in found.items():
        assert row.dtype == np.float32
        np.testing.assert_array_equal(row, entries[key].astype(np.float32))
    cache.put({b"many": rows + 1})
    [again] = cache.get([b"many"]).values()
    np.testing.assert_array_equal(again, (rows + 1).astype(np.float32))
    assert cache.get([]) == {}


def test_settings_have_the_same_digest_if_and_only_if_they_give_the_same_features(tmp_path):
    network = get_network("utkface-mobilenet-small")
    content = network.read_weights()
    files = [tmp_path / name for name in ("a.onnx", "the same.onnx", "other.onnx")]
    for path, weights in zip(files, (content, content, content[::-1]), strict=True):
        path.write_bytes(weights)
    same, again, other = (replace(network, weights=path) for path in files)
    known = settings_digest(CNNActivations("utkface-mobilenet-small"))
    for equal in (network, same, again, replace(network, weights=content)):
        assert settings_digest(CNNActivations(equal)) == known
    assert settings_digest(CNNActivations(network, device="cpu")) == known
    others = [
        CNNActivations(other),
        CNNActivations(replace(same, padding=network.padding + 0.1)),
        CNNActivations(network, mirror=True),
        CNNActivations(network, device="cuda"),
        *(HOG(), HOG(cell_size=8), LandmarkGeometry(), LandmarkGeometry(5)),
        *(FaceFinder(), FaceFinder(landmarks=5)),
        # Of the same name in another module, and of another name.
        *(type("HOG", (HOG,), {})(), type("Edges", (HOG,), {})()),
    ]
    assert len({known, *map(settings_digest, others)}) == 1 + len(others)
    # Another file in the same place.
    files[0].write_bytes(content[::-1])
    os.utime(files[0], ns=(1, 1))
    assert settings_digest(CNNActivations(same)) == settings_digest(CNNActivations(other))


@pytest.mark.parametrize("package", ["ageboost", "dlib-bin", "onnxruntime", "Pillow"])
def test_another_version_of_a_package_finds_no_rows_of_this_one(package, monkeypatch):
    from importlib.metadata import version

    before = settings_digest(HOG())
    monkeypatch.setattr(
        "ageboost._versions.version",
        lambda name: "99" if name == package else version(name),
    )
    assert settings_digest(HOG()) != before


class Tinted(LandmarkGeometry):
    """A transformer whose settings are in a file."""

    def __init__(self, table=None, n_landmarks=68):
        super().__init__(n_landmarks)
        self.table = table


def test_a_file_that_a_transformer_is_given_counts_by_its_content(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    digests = [
        settings_digest(Tinted(table))
        for table in (tmp_path / "a", str(tmp_path / "b"), tmp_path / "c", "no file", None)
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def cached(folder):
    return FaceFeatures([("hog", HOG())], cache=folder, batch_size=1, on_error="nan")


def test_a_disk_that_fills_up_is_warned_of_and_stops_nothing(
    face_variants, tmp_path, no_file_larger_than
):
    photos = face_variants[0][:8]
    expected = cached(None).transform(photos)
    # SQLite can make its files, and keep a few rows.
    with (
        no_file_larger_than(40_000),
        pytest.warns(RuntimeWarning, match=r"features\.sqlite: .*without the cache") as warned,
    ):
        found = cached(tmp_path).transform(photos)
    np.testing.assert_array_equal(found, expected)
    assert len(warned) == 1
    np.testing.assert_array_equal(cached(tmp_path).transform(photos), expected)


def test_a_cache_answers_for_more_keys_than_sqlite_takes_at_once(tmp_path, monkeypatch):
    connect = sqlite3.connect

    def limited(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
        return connection

    monkeypatch.setattr(sqlite3, "connect", limited)
    cache = FeatureCache(tmp_path)
    entries = {i.to_bytes(4, "big"): np.full((1, 2), i, np.float32) for i in range(2500)}
    cache.put(entries)
    found = cache.get([*entries, b"unknown"])
    assert found.keys() == entries.keys()
    assert all((found[key] == values).all() for key, values in entries.items())
    assert cache.get([]) == {}


def test_a_cache_that_vanishes_is_warned_of_and_stops_nothing(face_variants, tmp_path):
    photos = face_variants[0][:4]
    expected = cached(None).transform(photos)
    batches = cached(tmp_path / "cache").extract(photos)
    rows = [next(batches).matrix]
    shutil.rmtree(tmp_path / "cache")
    with pytest.warns(RuntimeWarning, match="without the cache"):
        rows += [batch.matrix for batch in batches]
    np.testing.assert_array_equal(np.concatenate(rows), expected)


def test_a_cache_that_cannot_be_used_is_named_before_the_work(face_variants, tmp_path):
    (tmp_path / "features.sqlite").write_bytes(b"something else" * 100)
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path, tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CacheError, match=r"features\.sqlite: features cannot be kept here"):
            cached(folder).transform(face_variants[0])
