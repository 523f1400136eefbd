"""What a network is shown of a chip: as it is used, and changed by chance while it learns."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from _chips import PADDING, SIDE
from _recipes import Recipe


def augment(
    chip: npt.NDArray[np.uint8], side: int, padding: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Turn, scale, shift, mirror, relight, blur and cover a chip."""
    share = (1 + 2 * padding) / (1 + 2 * PADDING)
    angle, zoom = rng.normal(0, 6), np.exp(rng.normal(0, 0.06))
    zoom *= side / (SIDE * share)
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), angle, zoom)
    turn[:, 2] += (side - SIDE) / 2 + rng.normal(0, 0.025, 2) * side
    if rng.random() < 0.5:
        turn[0] *= -1
        turn[0, 2] += side - 1
    cut = cv2.warpAffine(chip, turn, (side, side), flags=cv2.INTER_LINEAR)
    if rng.random() < 0.15:
        small = rng.integers(side // 4, side)
        cut = cv2.resize(cut, (small, small), interpolation=cv2.INTER_AREA)
        cut = cv2.resize(cut, (side, side))
    if rng.random() < 0.1:
        cut = cv2.cvtColor(cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    pixels = cut.astype(np.float32)
    centre = pixels.mean()
    pixels = (pixels - centre) * np.exp(rng.normal(0, 0.2)) + centre * np.exp(rng.normal(0, 0.2))
    pixels *= np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    if rng.random() < 0.3:
        rows, columns = rng.integers(side // 8, side // 3, 2)
        top, left = rng.integers(0, side - rows), rng.integers(0, side - columns)
        pixels[top : top + rows, left : left + columns] = rng.uniform(0, 255)
    return np.clip(pixels, 0, 255).astype(np.float32)


def plain(chip: npt.NDArray[np.uint8], side: int, padding: float) -> npt.NDArray[np.float32]:
    """Cut the part of a chip that the network is shown when it is used."""
    share = (1 + 2 * padding) / (1 + 2 * PADDING)
    zoom = side / (SIDE * share)
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 0, zoom)
    turn[:, 2] += (side - SIDE) / 2
    return cv2.warpAffine(chip, turn, (side, side), flags=cv2.INTER_LINEAR).astype(np.float32)


def to_input(pixels: npt.NDArray[np.float32], recipe: Recipe) -> torch.Tensor:
    if recipe.channels == "bgr":
        pixels = pixels[..., ::-1]
    pixels = (pixels - np.float32(recipe.mean)) * np.float32(recipe.scale)
    # Rows of pixels stay as they are: this is PyTorch's memory format channels_last.
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
