import os
import threading
import time
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from films import carphone, ffmpeg, moving, picture, write_film
from PIL import Image

from ageboost import VideoError
from ageboost.video import Frame, read_frames
from ageboost.video._capture import Pace

FACE = picture((200, 180))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two seconds in which a face moves to the right."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return write_film(path, moving(lambda t: (200 + 100 * t, 180), seconds=2))


def times_of(source, **options):
    with read_frames(source, **options) as frames:
        return [round(frame.time, 3) for frame in frames]


def test_a_film_gives_all_frames_upright_in_rgb_with_their_times(film):
    frames = list(read_frames(film))
    assert [frame.number for frame in frames] == list(range(20))
    assert np.allclose([frame.time for frame in frames], np.arange(20) / 10)
    face, expected = (pixels[140:220, 160:240].astype(int) for pixels in (frames[0].pixels, FACE))
    assert np.abs(face - expected).mean() < 0.5 * np.abs(face[..., ::-1] - expected).mean()


def test_every_nth_frame_or_so_many_a_second_are_given(film):
    assert times_of(film, every=5) == [0.0, 0.5, 1.0, 1.5]
    assert times_of(film, per_second=5) == [round(i / 5, 3) for i in range(10)]
    with read_frames(film, every=5) as frames:
        assert len(list(frames)) == 4
        assert frames.counts.read == 4
        assert frames.counts.passed_over == 16


def test_a_pace_keeps_its_rate_and_survives_a_clock_that_is_set_back():
    pace = Pace(1, 10)
    taken = [n for n in range(250) if pace.takes(n, n / 25)]
    assert 95 <= len(taken) <= 100
    assert pace.takes(250, 3.0)


def test_who_begins_later_sees_the_frames_that_he_would_have_seen(film):
    whole = [f.number for f in read_frames(film, per_second=4)]
    assert [f.number for f in read_frames(film, per_second=4, first=8)] == [
        number for number in whole if number >= 8
    ]


def test_a_real_sequence_has_the_frames_that_its_header_says():
    with read_frames(carphone()) as frames:
        n_frames = len(list(frames))
        assert n_frames == frames.n_expected == 120
        assert frames.counts.broken == 0
        assert frames.counts.missing_seconds == 0


def test_frames_of_uneven_length_keep_their_times(tmp_path, film):
    uneven = tmp_path / "uneven.mp4"
    # Every frame after the tenth comes half a second later.
    ffmpeg("-i", film, "-vf", "setpts='PTS+gte(N,10)*0.5/TB'", "-fps_mode", "vfr", uneven)
    times = times_of(uneven)
    assert len(times) == 20
    assert times[10] - times[9] == pytest.approx(0.6, abs=0.02)


def test_a_film_that_was_held_upright_is_turned(tmp_path, film):
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", film, "-c", "copy", turned)
    with read_frames(turned) as frames:
        frame = next(frames)
    assert frame.pixels.shape == (640, 360, 3)


def test_a_folder_of_stills_is_read_in_the_order_of_time(tmp_path):
    began = datetime(2025, 3, 1, 10)
    for place, name in enumerate(["10.png", "9.png", "1.png"]):
        Image.fromarray(picture((200, 180))).save(tmp_path / name)
        taken = (began + timedelta(seconds=place)).timestamp()
        os.utime(tmp_path / name, (taken, taken))
    (tmp_path / "2.png").write_bytes(b"no photo")
    os.utime(tmp_path / "2.png", (began.timestamp() + 9,) * 2)
    (tmp_path / "notes.txt").write_text("no still")
    with read_frames(tmp_path) as frames:
        assert frames.dated
        assert [frame.time - began.timestamp() for frame in frames] == [0, 1, 2]
        assert frames.counts.broken == 1


def test_stills_with_exif_go_by_it_whatever_the_times_of_files(tmp_path):
    for place, name in enumerate(["b.jpg", "a.jpg"]):
        photo = Image.fromarray(picture((200, 180)))
        exif = photo.getexif()
        exif.get_ifd(0x8769)[0x9003] = f"2025:03:01 10:00:0{place}"
        photo.save(tmp_path / name, exif=exif)
        os.utime(tmp_path / name, (100 - place, 100 - place))
    times = times_of(tmp_path)
    assert times[0] == datetime(2025, 3, 1, 10).timestamp()
    assert times[1] - times[0] == 1


def test_pairs_of_time_and_frame_may_have_datetimes_and_frames_that_are_broken():
    began = datetime(2025, 3, 1, tzinfo=UTC)
    good = np.zeros((40, 60, 3), np.uint8)
    pairs = [(began, good), (began + timedelta(seconds=1), b"no photo"), (began, "missing.jpg")]
    with read_frames(pairs[:2]) as frames:
        assert [frame.time for frame in frames] == [began.timestamp()]
        assert frames.dated
        assert frames.counts.broken == 1
    with pytest.raises(VideoError, match="before that of the frame before"):
        list(read_frames(pairs))
    [frame] = read_frames([Frame(good, 3.0, 7)])
    assert frame.time == 3.0


@pytest.mark.parametrize("source", [np.zeros((5, 5, 3)), None, 2.5])
def test_what_is_no_video_is_a_type_error(source):
    with pytest.raises(TypeError, match="is not a video"):
        read_frames(source)


def test_frames_without_times_are_refused():
    with pytest.raises(TypeError, match="pairs of time and frame"):
        read_frames([np.zeros((5, 5, 3), np.uint8)])


def test_a_missing_file_a_pipe_and_an_empty_one_are_clear_errors(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    for name, said in [
        ("missing.mp4", "no such file"),
        ("pipe", "a pipe or a device"),
        ("empty.mp4", "0 bytes"),
        ("folder", "without stills"),
    ]:
        with pytest.raises(VideoError, match=said):
            read_frames(tmp_path / name)


def test_a_camera_that_is_not_there_is_a_clear_error():
    with pytest.raises(VideoError, match="camera 97"):
        read_frames(97, open_timeout=5)


def broken_films(folder, film):
    """Films that shops have had, by what is wrong with them."""
    content = film.read_bytes()
    (folder / "text.mp4").write_text("no film at all\n" * 50)
    (folder / "garbage.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    (folder / "cut short.mp4").write_bytes(content[: len(content) // 2])
    (folder / "film as.jpg.mp4").write_bytes(cv2.imencode(".jpg", picture((200, 180)))[1].tobytes())
    (folder / "wrong extension.avi").write_bytes(content)
    write_film(folder / "one frame.mp4", [(0, picture((200, 180)))])
    (folder / "zero frames.mp4").write_bytes(content[:40])
    write_film(folder / "whole.avi", moving(lambda t: (200, 180), seconds=2), codec="MJPG")
    avi = (folder / "whole.avi").read_bytes()
    (folder / "cut short.avi").write_bytes(avi[: len(avi) * 2 // 3])
    spoilt = bytearray(avi)
    for place in range(len(avi) // 3, len(avi) // 2, 7):
        spoilt[place] ^= 0x5A
    (folder / "spoilt.avi").write_bytes(bytes(spoilt))
    return sorted(path for path in folder.iterdir() if path.name != "whole.avi")


def test_broken_films_give_frames_or_a_clear_error_within_the_time_out(tmp_path, film):
    for path in broken_films(tmp_path, film):
        began = time.monotonic()
        said = ""
        try:
            with read_frames(path, open_timeout=5, read_timeout=5) as frames:
                shapes = {frame.pixels.shape for frame in frames}
        except VideoError as error:
            said = str(error)
        assert path.name in said or (shapes and all(shape[2] == 3 for shape in shapes))
        assert time.monotonic() - began < 15


def test_a_film_that_was_cut_says_how_much_is_missing(tmp_path):
    path = write_film(tmp_path / "a.avi", moving(lambda t: (200, 180), seconds=6), codec="MJPG")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with read_frames(path) as frames:
        assert 20 < len(list(frames)) < 40
        assert 2 < frames.counts.missing_seconds < 4


def test_sound_alone_ten_bits_odd_sizes_and_huge_frames(tmp_path, film):
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "sound.mp4")
    with pytest.raises(VideoError, match="sound alone"):
        read_frames(tmp_path / "sound.mp4")
    ffmpeg("-i", film, "-pix_fmt", "yuv420p10le", "-c:v", "libx264", tmp_path / "ten bits.mp4")
    [first, *_] = read_frames(tmp_path / "ten bits.mp4")
    assert first.pixels.dtype == np.uint8
    assert np.abs(first.pixels.astype(int) - FACE).mean() < 8
    ffmpeg("-i", film, "-vf", "scale=333:187", "-c:v", "ffv1", tmp_path / "odd.mkv")
    assert {frame.pixels.shape for frame in read_frames(tmp_path / "odd.mkv")} == {(187, 333, 3)}
    with pytest.raises(VideoError, match="more than 100,000 pixels"):
        read_frames(film, max_pixels=100_000)


def test_a_source_that_hangs_is_given_up_after_the_time_out(tmp_path, film, monkeypatch):
    gate = threading.Event()

    class Hanging:
        def __init__(self, *_):
            gate.wait(60)

        def isOpened(self):  # noqa: N802
            return False

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Hanging)
    began = time.monotonic()
    with pytest.raises(VideoError, match=r"more than 0\.2 s to open it"):
        read_frames(film, open_timeout=0.2)
    assert time.monotonic() - began < 10
    gate.set()


def test_no_password_of_a_camera_is_shown():
    with pytest.raises(VideoError) as caught:
        read_frames("rtsp://user:secret@127.0.0.1:9/stream", open_timeout=2)
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
