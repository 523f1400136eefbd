"""Photos that give no age to rely on: turned, negative, stretched, too bright, covered."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def negative(photo: Pixels) -> Pixels:
    return 255 - photo


def stretched(photo: Pixels, across: float) -> Pixels:
    """Make a photo wider by a factor, or taller where it is below 1."""
    height, width = photo.shape[:2]
    if across >= 1:
        return cv2.resize(photo, (round(width * across), height))
    return cv2.resize(photo, (width, round(height / across)))


def brighter(photo: Pixels, gain: float) -> Pixels:
    return cv2.convertScaleAbs(photo, alpha=gain)


def filled(photo: Pixels, mask: Pixels, fill: str, rng: np.random.Generator) -> Pixels:
    """Fill the part of a photo where a mask is not 0."""
    height, width = photo.shape[:2]
    side = max(height, width)
    colour = np.full_like(photo, 0)
    if fill == "black":
        pass
    elif fill == "white":
        colour[:] = 255
    elif fill == "grey":
        colour[:] = rng.integers(60, 200)
    elif fill == "colour":
        colour[:] = rng.integers(0, 256, 3)
    elif fill == "mean":
        colour[:] = photo.reshape(-1, 3).mean(axis=0)
    elif fill == "noise":
        colour = rng.integers(0, 256, photo.shape).astype(np.uint8)
    elif fill == "blurred":
        colour = cv2.GaussianBlur(photo, (0, 0), 0.08 * side)
    elif fill == "mosaic":
        n = int(rng.integers(6, 13))
        small = cv2.resize(photo, (n, n), interpolation=cv2.INTER_AREA)
        colour = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    elif fill == "elsewhere":
        # Hair, clothes or a wall from the border of the photo.
        strip = photo[: max(4, height // 6)] if rng.random() < 0.5 else photo[-height // 6 :]
        colour = cv2.resize(strip, (width, height))
    elif fill == "shaded":
        ramp = np.linspace(0.6, 1.2, height)[:, None, None] * rng.integers(20, 230, 3)
        colour = np.broadcast_to(ramp, photo.shape).clip(0, 255).astype(np.uint8)
    else:
        raise ValueError(fill)
    covered = photo.copy()
    covered[mask > 0] = colour[mask > 0]
    return covered


FILLS = (
    *("black", "black", "white", "grey", "grey", "colour", "colour", "mean", "noise"),
    *("blurred", "mosaic", "elsewhere", "shaded", "shaded"),
)


def cover(
    photo: Pixels,
    points: npt.NDArray[np.float64],
    part: str,
    rng: np.random.Generator,
    fill: str | None = None,
) -> Pixels:
    """Cover a part of a face.

    Parameters
    ----------
    photo : ndarray of shape (height, width, 3), uint8
    points : ndarray of shape (5, 2)
        dlib's five landmarks.
    part : {"eyes", "lower half", "sunglasses", "mask", "side"}
    rng : Generator
    fill : str, optional
        One of ``FILLS``; by default any.
    """
    fill = str(rng.choice(FILLS)) if fill is None else fill
    right, left, nose = points[[2, 3]].mean(axis=0), points[[0, 1]].mean(axis=0), points[4]
    across = points[0] - points[2]
    span = float(np.hypot(*across))
    across = across / max(span, 1)
    down = np.array([-across[1], across[0]])
    middle = (right + left) / 2
    mask = np.zeros(photo.shape[:2], np.uint8)
    if part == "eyes":
        wide = rng.choice([rng.uniform(0.65, 1.1), 4.0])
        above, below = rng.uniform(0.16, 0.45, 2)
        _quad(mask, middle, across * span, down * span, wide, -above, below)
    elif part == "lower half":
        wide = rng.choice([rng.uniform(0.75, 1.2), 4.0])
        begins = float(np.dot(nose - middle, down)) / span * rng.uniform(0.75, 1.12)
        ends = rng.choice([rng.uniform(1.2, 1.7), 6.0])
        _quad(mask, middle, across * span, down * span, wide, begins, ends)
    elif part == "mask":
        begins = float(np.dot(nose - middle, down)) / span * rng.uniform(0.6, 0.9)
        top, low = middle + down * span * begins, middle + down * span * rng.uniform(1.15, 1.5)
        half, jaw = across * span * rng.uniform(0.65, 0.9), across * span * rng.uniform(0.3, 0.6)
        shoulder = down * span * rng.uniform(0.4, 0.7)
        points = [top - half, top + half, top + half + shoulder, low + jaw, low - jaw]
        points += [top - half + shoulder]
        cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 1)
        fill = str(rng.choice(["shaded", "colour", "white", "black", "grey"]))
    elif part == "sunglasses":
        axes = (int(span * rng.uniform(0.2, 0.3)), int(span * rng.uniform(0.15, 0.26)))
        angle = float(np.degrees(np.arctan2(across[1], across[0])))
        for eye in (right, left):
            centre = np.rint(eye + down * span * rng.uniform(0, 0.06)).astype(int)
            cv2.ellipse(mask, centre.tolist(), axes, angle, 0, 360, 1, -1)
        ends = [np.rint(eye - down * span * 0.05).astype(int).tolist() for eye in (right, left)]
        cv2.line(mask, *ends, 1, max(1, int(span * 0.05)))
        fill = str(rng.choice(["black", "shaded", "grey", "colour"], p=[0.5, 0.2, 0.15, 0.15]))
    elif part == "side":
        side = rng.choice([-1, 1])
        near = middle + across * span * side * rng.uniform(-0.1, 0.12)
        corners = [
            near + down * span * y + across * span * side * x
            for x, y in ((0, -3), (5, -3), (5, 5), (0, 5))
        ]
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    else:
        raise ValueError(part)
    return filled(photo, mask, fill, rng)


def _quad(mask, middle, across, down, wide, above, below) -> None:
    corners = [
        middle + across * x * wide + down * y
        for x, y in ((-1, above), (1, above), (1, below), (-1, below))
    ]
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
