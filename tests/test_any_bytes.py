"""Whatever is given as a photo, there is a photo or a clear error, soon, and a row for each."""

import contextlib
import io
import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ageboost
from ageboost import AgeboostError, PhotoTooLargeError, UnreadablePhotoError, read_photo
from ageboost.photos import load_photo

sys.path.insert(0, str(ROOT / "benchmarks"))
from _bad_inputs import KINDS, bad_input, whole_files

MAX_PIXELS = 1_000_000


def survives(content):
    # Any other error fails the test.
    with contextlib.suppress(AgeboostError):
        pixels = read_photo(content, max_pixels=MAX_PIXELS)
        assert (pixels.ndim, pixels.shape[2], pixels.dtype) == (3, 3, np.uint8)


def finishes(call, seconds=60):
    """Fail instead of waiting for ever."""
    results = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert results, "hangs, or raised"
    return results[0]


@pytest.fixture(scope="module")
def fast():
    return ageboost.load_pretrained("fast")


@pytest.mark.parametrize("name", list(whole_files()))
def test_every_format_and_mode_is_read(name):
    assert read_photo(whole_files()[name]).shape == (48, 48, 3)


@pytest.mark.parametrize("kind", list(KINDS))
@settings(max_examples=350, deadline=None)
@given(seed=st.integers(0, 2**63 - 1))
def test_damage_of_any_kind_gives_a_photo_or_a_clear_error(kind, seed):
    survives(bad_input(kind, seed))


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff lzw", "gif animated", "bmp"])
def test_a_file_cut_short_anywhere_gives_a_photo_or_a_clear_error(name):
    content = whole_files()[name]
    for n_bytes in [*range(0, 300), *range(300, len(content), 7)]:
        survives(content[:n_bytes])


@given(st.binary(max_size=300))
def test_any_bytes_give_a_photo_or_a_clear_error(content):
    survives(content)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(KINDS)), st.integers(0, 2**40)), max_size=40))
def test_every_input_has_its_rows_in_their_order(fast, inputs):
    table = fast.analyze([bad_input(*one) for one in inputs])
    places = table["photo"].str.extract(r"photo (\d+) ")[0].astype(int)
    assert places.is_monotonic_increasing
    assert set(places) == set(range(len(inputs)))
    assert table["age"].notna().equals(table["status"] == "ok")
    assert set(table["status"]) <= {"ok", "no face", "unreadable", "too large"}


@pytest.fixture
def odd_paths(tmp_path, portrait):
    """Things that a path can lead to, and the status of each."""
    content = io.BytesIO()
    Image.fromarray(portrait[:300, 100:350]).save(content, "JPEG")
    paths = {}
    for name in ("with spaces .jpg", "new\nline.jpg", "ünïcode 年.jpg", "-o.jpg", "wrong.png"):
        (tmp_path / name).write_bytes(content.getvalue())
        paths[str(tmp_path / name)] = "ok"
    raw = os.fsencode(tmp_path) + b"/no text \xff\xfe.jpg"
    with open(raw, "wb") as file:
        file.write(content.getvalue())
    paths[os.fsdecode(raw)] = "ok"
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "circle a.jpg").symlink_to(tmp_path / "circle b.jpg")
    (tmp_path / "circle b.jpg").symlink_to(tmp_path / "circle a.jpg")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("pipe.jpg", "circle a.jpg", "dangling.jpg", "folder.jpg", "x" * 300, "a/b", ""):
        paths[str(tmp_path / name)] = "unreadable"
    for path in ("", "nul\0.jpg", "/dev/zero", "/dev/full", "/dev/null", "/dev/tty", "/dev/random"):
        paths[path] = "unreadable"
    return paths


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_path_may_lead_anywhere(fast, odd_paths, tmp_path):
    table = finishes(lambda: fast.analyze(list(odd_paths)))
    assert table["status"].tolist() == list(odd_paths.values())
    messages = table.set_index("photo")["message"]
    for path in (str(tmp_path / "pipe.jpg"), "/dev/zero"):
        assert messages[path].startswith(f"{path}: a pipe or a device, not a file: read it")
    table.to_csv(tmp_path / "ages.csv")
    table.to_parquet(tmp_path / "ages.parquet")
    assert "\\udcff" in "".join(table["photo"])


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals")
def test_a_terminal_that_is_refused_does_not_take_hold_of_a_service():
    ours, terminal = os.openpty()
    code = (
        "import ageboost, sys\n"
        "try: ageboost.read_photo(sys.argv[1])\n"
        "except ageboost.UnreadablePhotoError as error: print(error)\n"
        "try: open('/dev/tty')\n"
        "except OSError: print('no terminal')\n"
    )
    command = [sys.executable, "-c", code, os.ttyname(terminal)]
    # A service has a session of its own, where the first terminal opened would send it signals.
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    os.close(ours)
    os.close(terminal)
    assert "a pipe or a device" in done.stdout
    assert done.stdout.endswith("no terminal\n")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read_is_an_error_that_says_so(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.jpg").chmod(0)
    with pytest.raises(UnreadablePhotoError, match="Permission denied"):
        read_photo(tmp_path / "a.jpg")


def test_files_that_grow_and_vanish_while_they_are_read_stop_nothing(fast, tmp_path):
    path, stop = tmp_path / "a.jpg", threading.Event()
    content = whole_files()["jpeg"]

    def meddle():
        while not stop.is_set():
            path.write_bytes(content[:1000])
            with path.open("ab") as file:
                file.write(content[1000:])
            path.unlink()

    thread = threading.Thread(target=meddle)
    thread.start()
    try:
        table = finishes(lambda: fast.analyze([str(path)] * 60))
    finally:
        stop.set()
        thread.join()
    assert len(table) == 60


def test_an_endless_file_object_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr("ageboost.photos._MAX_BYTES", 1000)

    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    with pytest.raises(PhotoTooLargeError, match="more than 1,000 bytes"):
        read_photo(Endless())
    with pytest.raises(PhotoTooLargeError, match="more than 1,000 bytes"):
        read_photo(bytes(1001))
    with pytest.raises(UnreadablePhotoError, match="not a photo"):
        read_photo(bytes(1000))


def test_a_file_of_too_many_bytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ageboost.photos._MAX_BYTES", 1000)
    (tmp_path / "a.jpg").write_bytes(bytes(1001))
    with pytest.raises(PhotoTooLargeError, match=r"a\.jpg: more than 1,000 bytes: reduce it"):
        read_photo(tmp_path / "a.jpg")


def passes_added(content, n_more):
    """Repeat the last pass of the first photo in a JPEG."""
    end = content.index(b"\xff\xd9")
    last_pass = content[content.rindex(b"\xff\xda", 0, end) : end]
    return content[:end] + last_pass * n_more + content[end:]


@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
def test_a_jpeg_of_thousands_of_passes_is_refused_before_it_is_decoded(kind):
    buffer, grey = io.BytesIO(), Image.new("RGB", (8, 8))
    more = {"save_all": True, "append_images": [grey]} if kind == "MPO" else {}
    Image.new("RGB", (3000, 3000)).save(buffer, kind, progressive=True, **more)
    content = buffer.getvalue()
    n_passes = content[: content.index(b"\xff\xd9")].count(b"\xff\xda")
    start = time.monotonic()
    for n_more in (5000, 65 - n_passes):
        with pytest.raises(PhotoTooLargeError, match=rf"^till 3: .* {n_passes + n_more} passes"):
            load_photo(passes_added(content, n_more), name="till 3")
    # The end of the photo does not stand in a comment.
    hidden = passes_added(content, 70).replace(b"\xff\xda", b"\xff\xfe\0\x04\xff\xd9\xff\xda")
    with pytest.raises(PhotoTooLargeError, match="passes"):
        read_photo(hidden)
    assert read_photo(passes_added(content, 64 - n_passes)).shape[2] == 3
    assert time.monotonic() - start < 60


def test_a_film_behind_a_photo_does_not_cost_the_photo():
    content = whole_files()["jpeg"]
    film = b"\xff\xda\0\2" * 20_000
    np.testing.assert_array_equal(read_photo(content + film), read_photo(content))


def test_eight_threads_read_and_leave_the_filters_of_warnings_as_they_were():
    contents = [bad_input("rubbish in EXIF", seed) for seed in range(200)]
    # Pillow warns of the EXIF of these after it decoded them, while others are begun and done.
    buffer = io.BytesIO()
    Image.new("RGB", (1000, 1000)).save(buffer, "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01")
    contents[::5] = [buffer.getvalue()] * 40
    with ThreadPoolExecutor(8) as pool, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        list(pool.map(survives, contents))
        assert warnings.filters == before
        assert caught == []
        warnings.warn("of something else", stacklevel=1)
        assert len(caught) == 1


def test_transparency_and_depth_are_the_same_in_strips_and_in_one_piece(monkeypatch):
    rng = np.random.default_rng(0)
    for array in (
        rng.integers(0, 255, (50, 40, 4), dtype=np.uint8),
        rng.integers(0, 65535, (50, 40), dtype=np.uint16),
        rng.random((50, 40), dtype=np.float32) * 1.5,
    ):
        photo = Image.fromarray(array)
        whole = read_photo(photo)
        monkeypatch.setattr("ageboost.photos._STRIP_PIXELS", 7 * 40)
        np.testing.assert_array_equal(read_photo(photo), whole)
        monkeypatch.undo()
