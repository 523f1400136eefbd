"""Photos that come one by one: how far they are taken, and what is held of them."""

import os
import subprocess
import sys
import time
import weakref

import numpy as np
import pytest

import ageboost
from ageboost._parallel import work_in_order
from ageboost.features import FaceFeatures, LandmarkGeometry

BATCH = 4


@pytest.fixture(scope="module")
def head(portrait):
    return np.ascontiguousarray(portrait[:260, 100:350])


@pytest.fixture
def fast():
    model = ageboost.load_pretrained("fast")
    model.features_.set_params(batch_size=BATCH)
    return model


class Counted:
    """Photos that can be gone through and know how far somebody went; they have no length."""

    def __init__(self, photo, n_photos, fault_at=None):
        self.photo, self.n_photos, self.fault_at = photo, n_photos, fault_at
        self.n_taken = 0
        self.alive = weakref.WeakSet()

    def __iter__(self):
        for number in range(self.n_photos):
            self.n_taken += 1
            if number == self.fault_at:
                raise RuntimeError("the camera is gone")
            photo = Held(self.photo)
            self.alive.add(photo)
            yield photo


class Held:
    """A photo of which it can be seen whether somebody still holds it."""

    def __init__(self, pixels):
        self.pixels = pixels

    def __array__(self, dtype=None, copy=None):
        return self.pixels


def test_a_batch_is_taken_when_it_is_asked_for_and_let_go_of_afterwards(fast, head):
    photos = Counted(head, 10 * BATCH)
    n_rows = 0
    for table in fast.analyze_batches(photos):
        n_rows += len(table)
        assert photos.n_taken == n_rows
        assert len(photos.alive) <= 2 * BATCH
    assert n_rows == photos.n_photos


@pytest.mark.parametrize("method", ["predict", "predict_interval", "analyze"])
def test_what_answers_for_all_photos_holds_a_batch_of_them(fast, head, method):
    photos = Counted(head, 5 * BATCH)
    most = 0
    extract = fast.features_.finder or fast.features_.get_finder()
    find = type(extract).find_each

    def looking(self, batch, **options):
        nonlocal most
        most = max(most, len(photos.alive))
        return find(self, batch, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(extract), "find_each", looking)
        assert len(getattr(fast, method)(photos)) == photos.n_photos
    assert 0 < most <= 2 * BATCH


def test_processes_that_are_faster_than_their_caller_do_not_pile_up_answers():
    n_processes, taken, n_answered = 2, [], 0

    def numbers():
        for number in range(60):
            taken.append(number)
            yield number

    for answer in work_in_order(abs, numbers(), n_processes):
        assert answer == n_answered
        n_answered += 1
        assert len(taken) - n_answered <= 4 * n_processes
        time.sleep(0.01)
    assert n_answered == 60


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_came_before_a_source_broke_is_given_first(head, n_jobs):
    features = FaceFeatures([("geometry", LandmarkGeometry())], batch_size=BATCH, n_jobs=n_jobs)
    photos = (photo.pixels for photo in Counted(head, 90, fault_at=5 * BATCH + 1))
    rows = []
    batches = features.extract(photos)
    for _ in range(5):
        rows += next(batches).owners
    with pytest.raises(RuntimeError, match="the camera is gone"):
        next(batches)
    assert rows == [*range(5 * BATCH)]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_bad_photo_in_a_stream_is_a_row_and_no_end(fast, head, n_jobs):
    photos = [head, None, b"no photo", head, np.zeros((40, 40, 3), np.uint8), "gone.jpg"] * 2
    table = fast.set_params(n_jobs=n_jobs).analyze(photo for photo in photos)
    assert (
        table["status"].tolist()
        == [
            *("ok", "unreadable", "unreadable", "ok", "no face", "unreadable"),
        ]
        * 2
    )
    assert table.equals(fast.set_params(n_jobs=1).analyze(photos))


def test_processes_that_are_kept_look_for_photos_where_their_caller_is_now(
    portrait, tmp_path, monkeypatch
):
    from PIL import Image

    features = FaceFeatures([("geometry", LandmarkGeometry())], batch_size=1, n_jobs=2)
    for folder, left in (("first", 100), ("second", 120)):
        monkeypatch.chdir(tmp_path)
        os.mkdir(folder)
        monkeypatch.chdir(folder)
        head = portrait[:260, left : left + 250]
        Image.fromarray(head).save("head.png")
        np.testing.assert_array_equal(
            features.transform(["head.png"] * 4), features.transform([head] * 4)
        )


def test_photos_that_a_sequence_makes_are_made_one_by_one(fast, head):
    made = []

    class Album:
        def __len__(self):
            return 3 * BATCH

        def __getitem__(self, number):
            if number >= len(self):
                raise IndexError
            made.append(number)
            return head

    tables = fast.analyze_batches(Album())
    next(tables)
    assert made == [*range(BATCH)]
    assert sum(map(len, tables)) == 2 * BATCH


def test_the_command_answers_before_its_list_is_at_an_end(portrait, tmp_path):
    from PIL import Image

    photo = tmp_path / "a.png"
    Image.fromarray(portrait[:260, 100:350]).save(photo)
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from ageboost.cli import main; main()",
            "predict",
            "-",
            "--model",
            "fast",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with process:
        process.stdin.write(f"{photo}\n".encode() * 32)
        process.stdin.flush()
        rows = [process.stdout.readline() for _ in range(33)]
        assert rows[0].startswith(b"photo,")
        process.stdin.write(b"\ngone.jpg\r\n")
        process.stdin.close()
        assert b"unreadable" in process.stdout.read()
    assert process.returncode == 1
    assert all(row.startswith(os.fsencode(photo)) for row in rows[1:])
