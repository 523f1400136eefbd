"""Clips made from one photo, so that one person gives good frames and bad ones.

They are made, not filmed: the face is moved, turned, blurred, darkened and partly covered along
smooth random paths, noise is added, and the whole is compressed by a real codec.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

SIZE = (480, 360)
PER_SECOND = 15
CODECS = {"mp4v": ".mp4", "MJPG": ".avi"}

Pixels = npt.NDArray[np.uint8]


def make_clip(photo: Pixels, path: Path, seed: int, n_frames: int = 40) -> Path:
    """Write a clip of one person.

    Parameters
    ----------
    photo : ndarray of shape (height, width, 3), uint8
        RGB, with one face in its middle.
    path : Path
        Without suffix: the codec decides on it.
    seed : int
    n_frames : int, default=40

    Returns
    -------
    Path
        Of the file that was written.
    """
    rng = np.random.default_rng(seed)
    codec = list(CODECS)[rng.integers(len(CODECS))]
    path = path.with_suffix(CODECS[codec])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), PER_SECOND, SIZE)
    if codec == "MJPG":
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, int(rng.integers(15, 60)))
    for frame in clip_frames(photo, rng, n_frames):
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def clip_frames(photo: Pixels, rng: np.random.Generator, n_frames: int):
    """Yield the frames of a clip before it is compressed."""
    height, width = photo.shape[:2]
    backdrop = cv2.GaussianBlur(cv2.resize(photo, SIZE), (0, 0), 25)
    # Faces as large as at a till: some 90 to 180 pixels.
    scale = rng.uniform(110, 200) / height
    x, y = path_of(rng, n_frames, 60), path_of(rng, n_frames, 25)
    roll, turn = path_of(rng, n_frames, 12), path_of(rng, n_frames, 0.45)
    zoom = 1 + path_of(rng, n_frames, 0.08)
    light = np.exp(rng.normal(-0.2, 0.35) + path_of(rng, n_frames, 0.45))
    blur = np.abs(rng.normal(0, 0.7) + path_of(rng, n_frames, 1.1))
    noise = np.float32(rng.uniform(2, 12))
    grains = rng.standard_normal(SIZE[0] * SIZE[1] * 3, dtype=np.float32)
    covered = _cover_path(rng, n_frames) if rng.random() < 0.5 else None
    for t in range(n_frames):
        turned = _turn(photo, turn[t])
        place = cv2.getRotationMatrix2D((width / 2, height / 2), roll[t], scale * zoom[t])
        place[:, 2] += (SIZE[0] / 2 - width / 2 + x[t], SIZE[1] / 2 - height / 2 + y[t])
        frame = cv2.warpAffine(
            turned, place, SIZE, backdrop.copy(), cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT
        )
        if covered is not None and covered[t] is not None:
            _cover(frame, covered[t], rng)
        frame = _smear(frame, x[t] - x[t - 1] if t else 0, y[t] - y[t - 1] if t else 0)
        if blur[t] > 0.3:
            frame = cv2.GaussianBlur(frame, (0, 0), blur[t])
        # Drawing millions of numbers anew would take longer than all else.
        grain = np.roll(grains, rng.integers(grains.size))
        grainy = frame * np.float32(light[t]) + noise * grain.reshape(frame.shape)
        yield np.clip(grainy, 0, 255).astype(np.uint8)


def path_of(rng: np.random.Generator, n: int, spread: float) -> npt.NDArray[np.float64]:
    """Draw a smooth random path around 0, of some seconds' length for each bend."""
    waves = np.arange(1, 5)
    phases, heights = rng.uniform(0, 2 * np.pi, 4), rng.normal(0, 1 / waves)
    times = np.arange(n)[:, None] / (4 * PER_SECOND)
    return spread * (heights * np.sin(2 * np.pi * waves * times + phases)).sum(axis=1)


def _turn(photo: Pixels, turn: float) -> Pixels:
    """Squeeze one side of the face and stretch the other, as a head that turns a little does."""
    height, width = photo.shape[:2]
    across = np.linspace(-1, 1, width, dtype=np.float32)
    source = (across + np.float32(turn) * (1 - across**2)) * (width - 1) / 2 + (width - 1) / 2
    columns = np.broadcast_to(source.astype(np.float32), (height, width))
    rows = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width))
    return cv2.remap(photo, np.ascontiguousarray(columns), np.ascontiguousarray(rows), 1)


def _cover_path(rng: np.random.Generator, n_frames: int):
    """A hand or a card passes before the lower or upper part of the face, for some of the time."""
    start, length = rng.integers(0, n_frames), rng.integers(8, 25)
    y = rng.choice([0.36, 0.62])
    return [
        ((t - start) / length, y, rng.uniform(0.9, 1.0)) if start <= t < start + length else None
        for t in range(n_frames)
    ]


def _cover(frame: Pixels, where: tuple[float, float, float], rng: np.random.Generator) -> None:
    across, down, size = where
    centre = (int((0.3 + 0.4 * across) * SIZE[0]), int(down * SIZE[1]))
    axes = (int(45 * size), int(30 * size))
    cv2.ellipse(frame, centre, axes, 20, 0, 360, (176, 132, 110), -1, cv2.LINE_AA)


def _smear(frame: Pixels, dx: float, dy: float) -> Pixels:
    """Blur along the way that the face goes while the shutter is open."""
    length = round(0.5 * float(np.hypot(dx, dy)))
    if length < 2:
        return frame
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    angle = np.arctan2(dy, dx)
    end = (length + length / 2 * np.cos(angle), length + length / 2 * np.sin(angle))
    start = (length - length / 2 * np.cos(angle), length - length / 2 * np.sin(angle))
    cv2.line(kernel, tuple(map(round, start)), tuple(map(round, end)), 1.0)
    return cv2.filter2D(frame, -1, kernel / kernel.sum())
