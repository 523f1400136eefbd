"""Pictures that show no people, out of wheels that tests need anyway."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ageboost import read_photo

# An astronaut and a photographer; coins show heads.
_PEOPLE = ("astronaut", "camera", "coins", "lfw_subset")
_PART_SHARES = (0.25, 0.9)


def pictures_without_people() -> dict[str, np.ndarray]:
    """Read the pictures of scikit-image and scikit-learn that show nobody, by their names."""
    folders = [("skimage", "data"), ("sklearn", "datasets/images")]
    found = {}
    for package, folder in folders:
        root = Path(find_spec(package).origin).parent / folder
        for path in sorted([*root.glob("*.png"), *root.glob("*.jpg")]):
            if path.stem not in _PEOPLE:
                found[path.stem] = read_photo(path)
    return found


def parts_of(pictures: dict[str, np.ndarray], n_parts: int) -> Iterator[np.ndarray]:
    """Yield each picture, and squares of it at random, turned by quarters at random."""
    rng = np.random.default_rng(0)
    for picture in pictures.values():
        yield picture
        height, width = picture.shape[:2]
        for _ in range(n_parts):
            side = int(rng.uniform(*_PART_SHARES) * min(height, width))
            top, left = rng.integers(0, [height - side + 1, width - side + 1])
            part = picture[top : top + side, left : left + side]
            yield np.rot90(part, rng.integers(4)).copy()
