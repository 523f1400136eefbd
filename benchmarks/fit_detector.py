"""How dlib would draw its box around what BlazeFace finds, and what parts faces from all else.

    python benchmarks/fit_detector.py --data UTKFACE --photos 900

prints the numbers that ``ageboost/faces/_network_scan.py`` holds: boxes are fitted on photos of
folds 0 to 5, of which both detectors see the face; sums of closer looks come from such photos, from
the same turned or darkened, and from parts of pictures that show nobody.
"""

from __future__ import annotations

import argparse

import _one_thread  # noqa: F401
import cv2
import numpy as np
from _data import TEST_FOLDS, add_data_arguments, read_data
from _no_people import parts_of, pictures_without_people
from detection import CHANGES

from ageboost import read_photo
from ageboost.faces._first_scan import detect_main
from ageboost.faces._network_scan import (
    FIRST_SIDE,
    face_measures,
    look,
    look_closely,
    shrink,
)

# Weights are as for absolute errors; so many rounds are enough.
_ROUNDS = 10
_SHOWN = ("as they are", "turned by up to 30 degrees", "a fifth as bright, with noise")
_SHARES = (0.5, 1, 5, 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, default=900)
    parser.add_argument("--parts", type=int, default=9, help="of each picture of nobody")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table = read_data(options.data)
    table = table[~table["fold"].isin(TEST_FOLDS)].sample(options.photos, random_state=5)
    photos = [read_photo(path) for path in table["photo"]]
    fit_boxes(photos)
    rng = np.random.default_rng(0)
    print("| photos | logit at first | sum of two closer looks |")
    print("| --- | --- | --- |")
    for name in _SHOWN:
        logits = [best_logits(CHANGES[name](photo, rng)) for photo in photos]
        show(f"{name}: quantiles {_SHARES} %", np.percentile(logits, _SHARES, axis=0))
    logits = [best_logits(part) for part in parts_of(pictures_without_people(), options.parts)]
    show(f"{len(logits)} parts of pictures of nobody: the largest", np.sort(logits, axis=0)[-4:])


def fit_boxes(photos: list[np.ndarray]) -> None:
    """Print the robust linear fit of dlib's box, and how far it is off in sides of dlib's box."""
    measures, boxes = [], []
    for photo in photos:
        found = detect_main(photo, 0)
        copies = shrink(photo, FIRST_SIDE)
        seen = look(copies)
        if found is None or not seen:
            continue
        left, top, right, bottom = found[0]
        for sight in (seen[0], look_closely(copies.close, seen[0], copies.gain)[0]):
            middle, along, of_face = face_measures(sight)
            away = np.array([left + right, top + bottom]) / 2 - middle
            down = np.array([-along[1], along[0]])
            measures.append(of_face)
            boxes.append(np.array([along @ away, down @ away, right - left]) / sight.side)
    X, Y = np.array(measures), np.array(boxes)
    weights = np.ones(len(X))
    for _ in range(_ROUNDS):
        rows = weights[:, None]
        fitted = np.linalg.lstsq(X * rows, Y * rows, rcond=None)[0]
        off = np.linalg.norm(Y - X @ fitted, axis=1)
        weights = 1 / np.sqrt(np.maximum(off, np.median(off)))
    off = np.abs(Y - X @ fitted) / Y[:, 2:]
    print(f"boxes of {len(X)} looks, by each of face_measures:\n{np.round(fitted, 3).tolist()}")
    print("off, in sides of dlib's box, aside, down, in size: median and 90 of 100")
    print(np.round(np.percentile(off, [50, 90], axis=0), 3).tolist(), end="\n\n")


def best_logits(photo: np.ndarray) -> tuple[float, float]:
    """What is surest at first sight, and the largest sum of closer looks at anything."""
    copies = shrink(photo, FIRST_SIDE)
    seen = look(copies)
    if not seen:
        return -1.0, -2.0
    return seen[0].score, max(look_closely(copies.close, sight, copies.gain)[1] for sight in seen)


def show(name: str, values: np.ndarray) -> None:
    cells = [", ".join(f"{value:.1f}" for value in column) for column in values.T]
    print(f"| {' | '.join([name, *cells])} |", flush=True)


if __name__ == "__main__":
    main()
