"""One table in parts: workers that race, that are killed, that fall asleep, and what is left."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import shard_worker
from PIL import Image
from shard_worker import Clockwork, names
from typer.testing import CliRunner

from ageboost.batch import SharedPlaceError, write_shards
from ageboost.cli import app

N_PHOTOS, N_SHARDS = 240, 24


def start(folder, *, lease=1.0, seconds=0.004):
    return subprocess.Popen(
        [
            *(sys.executable, shard_worker.__file__, str(folder), str(N_PHOTOS), str(N_SHARDS)),
            *(str(lease), str(seconds)),
        ]
    )


def parts_of(folder):
    return {path.name: path.read_bytes() for path in Path(folder).glob("part-*.parquet")}


def wait_until(condition):
    while not condition():
        time.sleep(0.01)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of one worker that nobody disturbed."""
    folder = tmp_path_factory.mktemp("alone") / "ages"
    summary = write_shards(Clockwork(0), names(N_PHOTOS), folder, N_SHARDS)
    assert (summary.n_own, summary.n_photos) == (N_SHARDS, N_PHOTOS)
    return folder


def check_whole(folder, alone):
    assert parts_of(folder) == parts_of(alone)
    assert {path.name for path in folder.iterdir()} == {path.name for path in alone.iterdir()}
    assert pd.read_parquet(folder)["photo"].drop_duplicates().tolist() == names(N_PHOTOS)


def test_the_parts_are_the_table_in_the_order_of_the_photos(alone):
    [table] = [pd.concat(Clockwork(0).analyze_batches(names(N_PHOTOS), coverage=0.9))]
    pd.testing.assert_frame_equal(pd.read_parquet(alone), table.reset_index(drop=True))
    assert len(list(alone.glob("_*.done"))) == N_SHARDS


@pytest.mark.slow
def test_two_of_four_workers_are_killed_and_no_row_is_lost_or_there_twice(alone, tmp_path):
    folder = tmp_path / "ages"
    workers = [start(folder) for _ in range(4)]
    wait_until(lambda: len(parts_of(folder)) >= 4)
    for worker in workers[:2]:
        worker.kill()
    assert [worker.wait() for worker in workers] == [-signal.SIGKILL] * 2 + [0, 0]
    check_whole(folder, alone)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals that stop and continue")
def test_a_worker_that_was_asleep_finds_its_shard_done_and_harms_nothing(alone, tmp_path):
    folder = tmp_path / "ages"
    sleeper = start(folder)
    wait_until(lambda: parts_of(folder) and list(folder.glob("*.claim")))
    sleeper.send_signal(signal.SIGSTOP)
    assert start(folder).wait() == 0
    check_whole(folder, alone)
    sleeper.send_signal(signal.SIGCONT)
    assert sleeper.wait() == 0
    check_whole(folder, alone)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_with_what_is_left(alone, tmp_path):
    folder = tmp_path / "ages"
    for n_parts in (2, 9):
        worker = start(folder)
        wait_until(lambda n_parts=n_parts: len(parts_of(folder)) >= n_parts)
        worker.kill()
        worker.wait()
    done = [folder / f"{path.stem[1:]}.parquet" for path in folder.glob("_*.done")]
    stamps = {path: path.stat().st_mtime_ns for path in done}
    assert len(stamps) >= 8
    assert start(folder).wait() == 0
    check_whole(folder, alone)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_a_place_in_a_bucket_is_shared_as_a_folder_is(alone):
    fsspec = pytest.importorskip("fsspec")
    place = "memory://bucket/ages"
    system = fsspec.filesystem("memory")
    # Somebody died with this one.
    system.pipe_file("/bucket/ages/_part-00003.claim", b"somebody 7\n")
    summary = write_shards(Clockwork(0), names(N_PHOTOS), place, N_SHARDS, lease=0.2)
    assert summary.n_own == N_SHARDS
    found = {path.rsplit("/", 1)[1]: system.cat_file(path) for path in system.find("/bucket/ages")}
    assert {name: found[name] for name in parts_of(alone)} == parts_of(alone)
    assert found.keys() == {path.name for path in alone.iterdir()}


def test_a_claim_that_shows_life_is_left_to_its_holder(tmp_path):
    folder = tmp_path / "ages"
    folder.mkdir()
    claim = folder / "_part-00001.claim"
    claim.write_bytes(b"somebody 0\n")
    beats = Counter()

    class Watched(Clockwork):
        def analyze_batches(self, photos, *, coverage):
            beats[photos[0]] += 1
            yield from super().analyze_batches(photos, coverage=coverage)

    def beat_for_a_while(line):
        # Of the only shard that is free: the other one's holder is alive as long as this goes on.
        for number in range(1, 6):
            time.sleep(0.1)
            claim.write_bytes(b"somebody %d\n" % number)

    summary = write_shards(Watched(0), names(8), folder, 2, lease=0.3, tell=beat_for_a_while)
    assert summary.n_own == 2
    assert [*beats.values()] == [1, 1]


def test_a_claim_without_a_word_in_it_is_a_dead_one_s_after_a_lease(tmp_path):
    folder = tmp_path / "ages"
    folder.mkdir()
    (folder / "_part-00001.claim").touch()
    assert write_shards(Clockwork(0), names(8), folder, 2, lease=0.2).n_own == 2


def test_a_fault_in_a_shard_gives_the_shard_back(tmp_path):
    class Broken(Clockwork):
        def analyze_batches(self, photos, *, coverage):
            raise MemoryError
            yield

    folder = tmp_path / "ages"
    with pytest.raises(MemoryError):
        write_shards(Broken(0), names(8), folder, 2)
    assert [path.name for path in folder.iterdir()] == ["_plan.json"]


def test_shards_of_something_else_are_refused_by_what_differs(tmp_path):
    folder = tmp_path / "ages"
    write_shards(Clockwork(0), names(8), folder, 2, settings={"model": "a"})
    for call, named in (
        ((names(9), folder, 2), "n_photos, photos"),
        ((names(8), folder, 3), "n_shards"),
        ((names(8)[::-1], folder, 2), "photos"),
    ):
        with pytest.raises(SharedPlaceError, match=f"with other {named}:"):
            write_shards(Clockwork(0), *call, settings={"model": "a"})
    with pytest.raises(SharedPlaceError, match="with other coverage, model:"):
        write_shards(Clockwork(0), names(8), folder, 2, coverage=0.8, settings={"model": "b"})


def test_a_machine_on_which_the_photos_are_not_writes_no_shard(tmp_path):
    class Blind(Clockwork):
        def analyze_batches(self, photos, *, coverage):
            for table in super().analyze_batches(photos, coverage=coverage):
                yield table.assign(status="unreadable")

    with pytest.raises(SharedPlaceError, match="is their folder mounted on this machine"):
        write_shards(Blind(0), names(8), tmp_path / "ages", 2)
    assert not parts_of(tmp_path / "ages")


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    with pytest.raises(SharedPlaceError, match="no folder can be made there"):
        write_shards(Clockwork(0), names(8), tmp_path / "no" / "such", 2)
    with pytest.raises(SharedPlaceError, match="nowhere"):
        write_shards(Clockwork(0), names(8), "nowhere://bucket/ages", 2)
    with pytest.raises(ValueError, match="n_shards=0"):
        write_shards(Clockwork(0), names(8), tmp_path, 0)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(SharedPlaceError, match=r"ageboost\[dask\]"):
        write_shards(Clockwork(0), names(8), "s3://bucket/ages", 2)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SharedPlaceError, match=r"ageboost\[parquet\]"):
        write_shards(Clockwork(0), names(8), tmp_path, 2)


@pytest.fixture(scope="module")
def photos(tmp_path_factory, portrait):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(9):
        Image.fromarray(portrait[number : 260 + number, 100:350]).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder


def test_the_command_writes_the_table_of_one_run_in_parts(photos, tmp_path):
    def run(*arguments):
        return CliRunner().invoke(app, [str(a) for a in arguments])

    call = ("predict", photos, "--model", "fast")
    assert run(*call, "--out", tmp_path / "whole.parquet").exit_code == 1
    result = run(*call, "--out", tmp_path / "ages", "--shards", 3)
    assert result.exit_code == 1
    assert "all 3 shards are there, 3 of them from here: 10 photos, 1 without" in result.stderr
    united = io.BytesIO()
    parts = [pd.read_parquet(path) for path in sorted((tmp_path / "ages").glob("part-*"))]
    pd.concat(parts, ignore_index=True).to_parquet(united, index=False)
    whole = (tmp_path / "whole.parquet").read_bytes()
    assert hashlib.sha256(united.getvalue()).digest() == hashlib.sha256(whole).digest()
    other = run(*call, "--out", tmp_path / "ages", "--shards", 4)
    assert other.exit_code == 2
    assert "holds shards of another run" in other.stderr
    assert run(*call, "--shards", 3).exit_code == 2
