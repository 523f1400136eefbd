"""Chips as other cameras, scanners and makers of crops would have given them.

Photos of one collection share a look, and a network may take it for a sign of age. Every chip of
UTKFace has a black frame, which is widest around children, and hardly a child there is grey. Here
the look is drawn by chance.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from _chips import PADDING, SIDE

Pixels = npt.NDArray[np.float32]


def imitate_camera(
    chip: npt.NDArray[np.uint8], side: int, padding: float, rng: np.random.Generator
) -> Pixels:
    """Cut a chip out of a larger one by other landmarks, and show it as another camera would.

    Parameters
    ----------
    chip : ndarray of shape (SIDE, SIDE, 3), uint8
        RGB, black where the photo ended.
    side : int
        Pixels of the chip to cut.
    padding : float
        Surroundings on it, as a share of the face's size on each side.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (side, side, 3), float32
        From 0 to 255.
    """
    cut = replace_border(_cut(chip, side, padding, rng), rng)
    if rng.random() < 0.1:
        turns = int(rng.integers(4))
        cut = np.rot90(cut, turns).copy()
        cut[: rng.integers(1, side // 4)] = 0
        cut = np.rot90(cut, -turns).copy()
    pixels = _change_tones(_change_sharpness(cut.astype(np.float32), rng), rng)
    pixels = np.clip(_add_grain(pixels, rng), 0, 255)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 85))]
        _, content = cv2.imencode(".jpg", pixels.astype(np.uint8), quality)
        pixels = cv2.imdecode(content, cv2.IMREAD_COLOR).astype(np.float32)
    if rng.random() < 0.2:
        rows, columns = rng.integers(side // 8, side // 3, 2)
        top, left = rng.integers(0, side - rows), rng.integers(0, side - columns)
        pixels[top : top + rows, left : left + columns] = rng.integers(0, 256)
    return pixels


def replace_border(chip: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Fill what lies outside the photo: with its edge, its mean or a colour, or leave it black."""
    outside = (chip == 0).all(-1)
    way = rng.choice(["black", "edge", "mean", "colour"], p=[0.25, 0.5, 0.15, 0.1])
    # Beside the border pixels are half black from turning the chip.
    inside = cv2.erode((~outside).astype(np.uint8), np.ones((3, 3), np.uint8))
    if way == "black" or not outside.any() or not inside.any():
        return chip
    filled = chip.copy()
    if way == "mean":
        filled[outside] = chip[~outside].mean(0)
    elif way == "colour":
        filled[outside] = rng.integers(0, 256, 3)
    else:
        _, labels = cv2.distanceTransformWithLabels(
            1 - inside, cv2.DIST_L1, 3, labelType=cv2.DIST_LABEL_PIXEL
        )
        nearest = np.zeros((labels.max() + 1, 3), np.uint8)
        nearest[labels[inside == 1]] = chip[inside == 1]
        filled[inside == 0] = nearest[labels[inside == 0]]
    return filled


def _cut(chip, side: int, padding: float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    share = (1 + 2 * padding) / (1 + 2 * PADDING)
    angle, zoom = rng.normal(0, 6), np.exp(rng.normal(0, 0.08)) * side / (SIDE * share)
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), angle, zoom)
    turn[:, 2] += (side - SIDE) / 2 + rng.normal(0, 0.025, 2) * side
    if rng.random() < 0.5:
        turn[0] *= -1
        turn[0, 2] += side - 1
    return cv2.warpAffine(chip, turn, (side, side), flags=cv2.INTER_LINEAR)


def _change_sharpness(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    side = pixels.shape[0]
    if rng.random() < 0.3:
        small = int(side * rng.uniform(0.35, 0.9))
        pixels = cv2.resize(pixels, (small, small), interpolation=cv2.INTER_AREA)
        back = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
        pixels = cv2.resize(pixels, (side, side), interpolation=back)
    if rng.random() < 0.25:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.1:
        sharper = pixels - cv2.GaussianBlur(pixels, (0, 0), 1.5)
        pixels = pixels + sharper * np.float32(rng.uniform(0.3, 1.2))
    return np.clip(pixels, 0, 255)


def _change_tones(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Change colourfulness, gamma, contrast and exposure; fade; cast a colour over all."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    kind = rng.random()
    colours = 0.0 if kind < 0.22 else rng.uniform(0.2, 1) if kind < 0.5 else rng.lognormal(0, 0.25)
    pixels = np.clip(grey + (pixels - grey) * np.float32(colours), 0, 255)
    pixels = 255 * (pixels / 255) ** np.float32(rng.lognormal(0, 0.3))
    centre = pixels.mean()
    pixels = (pixels - centre) * np.float32(rng.lognormal(-0.05, 0.22))
    pixels += centre * np.float32(rng.lognormal(0, 0.15))
    if rng.random() < 0.2:
        low, high = rng.uniform(0, 70), rng.uniform(180, 255)
        pixels = low + np.clip(pixels, 0, 255) * np.float32((high - low) / 255)
    if colours or rng.random() < 0.3:
        pixels = pixels * rng.lognormal(0, 0.07, 3).astype(np.float32)
    return pixels


def _add_grain(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    if rng.random() >= 0.3:
        return pixels
    side, channels = pixels.shape[0], 1 if rng.random() < 0.5 else 3
    grain = rng.standard_normal((side, side, channels), dtype=np.float32)
    if rng.random() < 0.6:  # grain of a scan is coarser than a pixel
        grain = 2.5 * cv2.GaussianBlur(grain, (0, 0), 0.8).reshape(side, side, channels)
    return pixels + grain * np.float32(rng.uniform(2, 12))
