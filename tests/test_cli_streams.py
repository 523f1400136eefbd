"""Standard output on a full disk, closed, or of few letters, seen from outside."""

import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

RUN = [sys.executable, "-c", "from ageboost.cli import main; main()"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")


@pytest.fixture(scope="module")
def photo(tmp_path_factory, portrait):
    path = tmp_path_factory.mktemp("photos") / "a.jpg"
    Image.fromarray(portrait[:300, 100:350]).save(path)
    return path


def run(*arguments, **options):
    call = [*RUN, *map(str, arguments)]
    return subprocess.run(call, stderr=subprocess.PIPE, text=True, timeout=300, **options)


def calls(photo, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text(f"photo,age\n{photo},40\n")
    return {
        "--version": ["--version"],
        "--help": ["--help"],
        "predict": ["predict", photo, "-m", "fast"],
        "draw": ["draw", photo, "-m", "fast", "--out", tmp_path / "drawn.png"],
        "explain": ["explain", photo, "-m", "fast"],
        "evaluate": ["evaluate", "fast", labels, "--jobs", 1],
        "retail check": ["retail", "check", photo],
    }


@posix
@pytest.mark.parametrize(
    "name",
    [
        *("--version", "predict"),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("--help", "draw", "explain", "evaluate", "retail check")
        ),
    ],
)
def test_a_full_disk_behind_standard_output_is_one_line_and_status_3(photo, tmp_path, name):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        result = run(*calls(photo, tmp_path)[name], stdout=full)
    said = "ageboost: standard output cannot be written: No space left on device"
    lines = [line for line in result.stderr.splitlines() if "Looking at photos" not in line]
    assert lines == [said]
    assert result.returncode == 3


@posix
@pytest.mark.parametrize("name", ["--version", "predict"])
def test_a_closed_standard_output_is_one_line_and_status_3(photo, tmp_path, name):
    call = " ".join(f"'{part}'" for part in [*RUN, *map(str, calls(photo, tmp_path)[name])])
    result = subprocess.run(f"{call} >&-", shell=True, stderr=subprocess.PIPE, text=True)
    assert result.stderr.splitlines() == [
        "ageboost: standard output cannot be written: it is closed"
    ]
    assert result.returncode == 3


@posix
def test_a_reader_that_goes_away_is_one_line_and_no_traceback(photo, tmp_path):
    call = [*RUN, *map(str, calls(photo, tmp_path)["predict"])]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read().splitlines() == [
        "ageboost: standard output cannot be written: Broken pipe"
    ]
    assert process.wait() == 3


@posix
def test_a_full_disk_behind_standard_error_leaves_the_status_as_it_is(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        call = [*RUN, "predict", str(tmp_path / "missing.jpg"), "-m", "fast"]
        result = subprocess.run(call, stdout=subprocess.PIPE, stderr=full, text=True)
    assert result.returncode == 1
    assert "missing.jpg" in result.stdout


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_letters_that_a_console_does_not_have_are_escaped(photo, tmp_path, encoding):
    named = tmp_path / "年齢 Łódź.jpg"
    shutil.copy(photo, named)
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    result = subprocess.run(
        [*RUN, "predict", str(named), str(tmp_path / "无.jpg"), "-m", "fast"],
        capture_output=True,
        env=environment,
        timeout=300,
    )
    assert result.returncode == 1, result.stderr
    assert b"Traceback" not in result.stderr
    assert rb"\u5e74\u9f62" in result.stdout
    assert rb"\u65e0.jpg: no such file" in result.stderr


@posix
def test_a_list_on_a_closed_standard_input_is_a_wrong_call():
    call = " ".join(f"'{part}'" for part in [*RUN, "predict", "-"])
    result = subprocess.run(f"{call} <&-", shell=True, capture_output=True, text=True)
    assert result.returncode == 2
    assert "standard input, which is closed" in result.stderr
