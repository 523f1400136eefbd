"""Same photos, same ages: however many at once, in whatever order, by whichever process."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import ageboost
from ageboost.features import FaceFeatures

NAMES = ["accurate", "classical", "fast"]


@pytest.fixture(scope="module")
def photos(portrait):
    rng = np.random.default_rng(0)
    listed = []
    for i in range(19):
        cut = portrait[i % 9 : 300 + i, 100 - i : 350 + i % 5].astype(float)
        listed.append(np.clip(cut * rng.uniform(0.4, 1.2) + i, 0, 255).astype(np.uint8))
    return listed


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    return ageboost.load_pretrained(request.param)


@pytest.fixture(scope="module")
def matrix(model, photos):
    return model.features_.transform(photos)


@pytest.fixture(scope="module")
def expected(model, photos):
    return model.predict_interval(photos)


def intervals(model, photos):
    return model.predict_interval(photos)


def intervals_of_a_process(name, photos):
    return ageboost.load_pretrained(name).predict_interval(photos)


def test_a_photo_has_the_same_age_alone_and_among_others_and_in_any_order(model, photos, expected):
    for i in (0, 18):
        np.testing.assert_array_equal(intervals(model, photos[i : i + 1]), expected[i : i + 1])
    order = np.random.default_rng(1).permutation(len(photos))
    found = intervals(model, [photos[i] for i in order])
    np.testing.assert_array_equal(found, expected[order])


@pytest.mark.parametrize("batch_size", [1, 7])
def test_the_size_of_batches_changes_no_age(model, photos, expected, batch_size):
    before = model.features_.batch_size
    model.features_.batch_size = batch_size
    try:
        np.testing.assert_array_equal(intervals(model, photos), expected)
    finally:
        model.features_.batch_size = before


def test_bad_photos_between_change_no_age(model, photos, expected):
    mixed = []
    for photo in photos:
        mixed += [photo, b"no photo"]
    np.testing.assert_array_equal(intervals(model, mixed)[::2], expected)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 16, 17, 18])
def test_rows_of_features_have_the_same_ages_in_parts_of_any_size(model, matrix, expected, size):
    parts = [
        model.age_regressor_.predict_distribution(matrix[i : i + size]).interval(0.9)
        for i in range(0, len(matrix), size)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_saving_and_loading_changes_no_age(model, photos, expected, tmp_path):
    model.save(tmp_path / "m.ageboost")
    np.testing.assert_array_equal(
        intervals(ageboost.load(tmp_path / "m.ageboost"), photos), expected
    )


def test_two_processes_tell_what_one_tells(model, photos, expected):
    model.set_params(n_jobs=2)
    try:
        np.testing.assert_array_equal(intervals(model, photos), expected)
    finally:
        model.set_params(n_jobs=None)


def test_eight_threads_at_once_tell_what_one_tells(model, photos, expected):
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(intervals, model, photos[i : i + 6]) for i in range(8)]
        for i, future in enumerate(futures):
            np.testing.assert_array_equal(future.result(), expected[i : i + 6])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_that_was_forked_or_spawned_tells_the_same(photos, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here")
    expected = intervals_of_a_process("fast", photos[:4])
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        futures = [pool.submit(intervals_of_a_process, "fast", photos[:4]) for _ in range(2)]
        for future in futures:
            np.testing.assert_array_equal(future.result(timeout=120), expected)


FILL = """
import sys
from ageboost.features import FaceFeatures
FaceFeatures("fast", cache=sys.argv[1], batch_size=2).transform(sys.argv[2:])
"""


@pytest.mark.slow
def test_a_cache_whose_writers_were_killed_never_holds_a_wrong_row(photos, tmp_path):
    paths = []
    for i, photo in enumerate(photos):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(photo).save(paths[-1])
    cache = tmp_path / "cache"
    for n_rows in (2, 12, 24):
        process = subprocess.Popen([sys.executable, "-c", FILL, str(cache), *paths])
        while process.poll() is None and count_rows(cache) < n_rows:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert count_rows(cache) > 0
    kept = FaceFeatures("fast", cache=cache).transform(paths)
    np.testing.assert_array_equal(kept, FaceFeatures("fast").transform(paths))


def count_rows(cache):
    if not os.path.exists(cache / "features.sqlite"):
        return 0
    try:
        with sqlite3.connect(cache / "features.sqlite") as connection:
            return connection.execute("SELECT count(*) FROM features").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


TRAIN = """
import sys, os, signal
import ageboost.models.persistence as persistence
if sys.argv.pop(1) == "kill":
    os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
from ageboost.cli import main
main()
"""


@pytest.mark.slow
def test_a_training_that_is_killed_leaves_the_old_model_and_goes_on_from_the_cache(
    photos, tmp_path
):
    rows = ["photo,age"]
    for i, photo in enumerate(photos[:19]):
        Image.fromarray(photo).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{20 + i}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    out, cache = tmp_path / "mine.ageboost", tmp_path / "cache"
    out.write_bytes(b"the model of yesterday")

    def train(how):
        return subprocess.run(
            [
                *(sys.executable, "-c", TRAIN, how, "train", tmp_path / "labels.csv"),
                *("--out", out, "--features", "classical", "--jobs", "1", "--cache", cache),
            ],
            check=False,
        ).returncode

    assert train("kill") == -signal.SIGKILL
    assert out.read_bytes() == b"the model of yesterday"
    n_rows = count_rows(cache)
    assert train("live") == 0
    assert count_rows(cache) == n_rows
    assert ageboost.load(out).n_photos_ == 19
