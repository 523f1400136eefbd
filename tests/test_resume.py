"""What a run that is killed, stopped or out of room leaves behind, seen from outside."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image
from typer.testing import CliRunner

from ageboost import AgeEstimator, _partial
from ageboost._partial import PartialTable
from ageboost.cli import app

N_PHOTOS = 150
# Writes down each photo that is decoded, and runs the command line.
COUNTED = str(ROOT / "benchmarks" / "_counted.py")


@pytest.fixture(scope="module")
def photos(tmp_path_factory, portrait):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(N_PHOTOS):
        cut = portrait[i % 20 : 220 + i, 130 + i % 7 : 330]
        Image.fromarray(cut).save(folder / f"{i:03}.jpg")
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture(scope="module")
def undisturbed(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "ages.csv"
    assert start(photos, out).wait() == 1
    return out.read_bytes()


def start(photos, out, *options, log=os.devnull):
    return subprocess.Popen(
        [
            *(sys.executable, COUNTED, log, "predict", str(photos), "--model", "fast"),
            *("--out", str(out), *options),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lines(process, partial, n_lines):
    while process.poll() is None:
        if partial.exists() and partial.read_bytes().count(b"\n") >= n_lines:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_table_of_an_undisturbed_one(
    photos, undisturbed, tmp_path
):
    out, partial, log = tmp_path / "ages.csv", tmp_path / "ages.csv.partial", tmp_path / "log"
    n_decoded = 0
    for n_lines in (2, 40, 100):
        process = start(photos, out, log=log)
        assert wait_for_lines(process, partial, n_lines)
        process.kill()
        process.wait()
        assert not out.exists()
        n_kept = partial.read_bytes().count(b"\n") - 1
        n_before, n_decoded = n_decoded, len(log.read_text().splitlines())
        assert n_decoded - n_kept <= 32 * (1 + (n_before > 0) + (n_lines == 100))
    last = start(photos, out, log=log)
    _, errors = last.communicate()
    assert f"going on: {n_kept} of {N_PHOTOS + 1} photos are done" in errors
    assert out.read_bytes() == undisturbed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ages.csv", "log"]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_run_that_is_interrupted_keeps_what_is_done_and_says_so(
    photos, undisturbed, tmp_path, jobs
):
    out, partial = tmp_path / "ages.csv", tmp_path / "ages.csv.partial"
    process = start(photos, out, "--jobs", jobs)
    assert wait_for_lines(process, partial, 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in errors
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors
    assert not out.exists()
    assert start(photos, out, "--jobs", jobs).wait() == 1
    assert out.read_bytes() == undisturbed


@pytest.fixture
def run():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(a) for a in arguments])


@pytest.fixture
def few(photos, tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    for i in range(40):
        shutil.copy(photos / f"{i:03}.jpg", folder)
    return folder


def test_a_full_disk_ends_with_a_message_and_the_rows_so_far_are_safe(
    run, few, tmp_path, monkeypatch
):
    out = tmp_path / "ages.csv"
    sync, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(_partial.os, "fsync", full)
    result = run("predict", few, "--model", "fast", "--out", out)
    assert result.exit_code == 3
    assert "No space left on device: 32 of 40 photos are done" in result.stderr
    monkeypatch.setattr(_partial.os, "fsync", sync)
    result = run("predict", few, "--model", "fast", "--out", out)
    assert result.exit_code == 0
    assert len(pd.read_csv(out)) == 40
    assert list(tmp_path.glob("ages.csv.*")) == []


def test_a_line_that_was_cut_off_when_no_more_could_be_written_is_left_out(
    tmp_path, no_file_larger_than
):
    path = tmp_path / "ages.csv.partial"
    with PartialTable(path, {}) as partial:
        partial.append([("a.jpg", (1, 1, 1), [["a.jpg"]])])
        with (
            no_file_larger_than(path.stat().st_size + 20),
            pytest.raises(OSError, match="too large"),
        ):
            partial.append([("b.jpg", (1, 1, 1), [["b.jpg"]])])
    assert b'"b.jpg' in path.read_bytes()
    with PartialTable(path, {}) as partial:
        assert list(partial.rows) == [("a.jpg", (1, 1, 1))]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_refused_before_the_work(run, few, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    result = run("predict", few, "--model", "fast", "--out", closed / "ages.csv")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_a_table_that_cannot_be_opened_is_refused_before_the_work(run, few, tmp_path):
    (tmp_path / "ages.csv.partial").mkdir()
    result = run("predict", few, "--model", "fast", "--out", tmp_path / "ages.csv")
    assert result.exit_code == 2
    assert "cannot be written there: Is a directory" in result.stderr


def test_a_folder_that_vanishes_ends_with_a_message_and_a_second_run_looks_again(
    run, few, tmp_path, monkeypatch
):
    out, away = tmp_path / "ages.csv", tmp_path / "away"
    analyze = AgeEstimator.analyze_batches

    def unmount_after_a_batch(self, photos, **options):
        for table in analyze(self, photos, **options):
            yield table
            if few.exists():
                few.rename(away)

    monkeypatch.setattr(AgeEstimator, "analyze_batches", unmount_after_a_batch)
    result = run("predict", few, "--model", "fast", "--out", out)
    assert result.exit_code == 3
    assert "photos are gone" in result.stderr
    assert "32 of 40 photos are done" in result.stderr
    monkeypatch.setattr(AgeEstimator, "analyze_batches", analyze)
    away.rename(few)
    result = run("predict", few, "--model", "fast", "--out", out)
    assert "going on: 32 of 40" in result.stderr
    table = pd.read_csv(out)
    assert len(table) == 40
    assert (table["status"] == "ok").all()


def test_rows_of_other_settings_and_of_photos_that_changed_are_not_taken(tmp_path):
    path = tmp_path / "t.partial"
    with PartialTable(path, {"coverage": 0.9}) as partial:
        partial.append([("a.jpg", (1, 2, 3), [["a.jpg", float("nan"), pd.NA]])])
        partial.append([("gone.jpg", None, [["gone.jpg"]])])
    with PartialTable(path, {"coverage": 0.9}) as partial:
        [[name, number, nothing]] = partial.rows["a.jpg", (1, 2, 3)]
        assert (name, nothing, number != number) == ("a.jpg", None, True)
        assert partial.rows.keys() == {("a.jpg", (1, 2, 3))}
    with PartialTable(path, {"coverage": 0.8}) as partial:
        assert partial.rows == {}


def test_a_table_cut_off_at_any_byte_or_damaged_at_any_byte_gives_whole_rows_only(tmp_path):
    path = tmp_path / "t.partial"
    with PartialTable(path, {}) as partial:
        for i in range(4):
            partial.append([(f"{i}.jpg", (i, i, i), [[f"{i}.jpg", i / 7, "\n\udcff"]])])
    with PartialTable(path, {}) as partial:
        whole = dict(partial.rows)
    assert len(whole) == 4
    content = path.read_bytes()
    for n_bytes in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[n_bytes] ^= 0x5A
        for kept in (content[:n_bytes], bytes(damaged)):
            path.write_bytes(kept)
            with PartialTable(path, {}) as partial:
                assert partial.rows.items() <= whole.items()
                partial.append([("last", (9, 9, 9), [["last"]])])
            with PartialTable(path, {}) as partial:
                assert partial.rows["last", (9, 9, 9)] == [["last"]]


def test_a_photo_that_is_given_twice_has_its_rows_twice(run, few, tmp_path):
    out = tmp_path / "ages.csv"
    photo = few / "000.jpg"
    run("predict", photo, few / "001.jpg", photo, "--model", "fast", "--out", out)
    assert pd.read_csv(out)["photo"].map(os.path.basename).tolist() == [
        "000.jpg",
        "001.jpg",
        "000.jpg",
    ]
