"""Train the small network that tells a face seen as usual from one that is disturbed.

It looks at an upright chip of 48 pixels and says whether it shows a face as a camera sees one, or
one that is turned, negative, stretched, overexposed, partly covered, in wrong colours, or none at
all. Chips come from photos of folds 0 to 5 of UTKFace, each as it is and disturbed in every way,
through the same detector and landmarks as any photo. Folds 6 and 7 are never learnt from. Needs
PyTorch (``pip install ".[networks]"``).

    python benchmarks/train_appearance.py chips --data UTKFACE --work FOLDER
    python benchmarks/train_appearance.py train --work FOLDER
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from _data import add_data_arguments, read_data
from _degrade import degrade
from _disturb import brighter, cover, negative, stretched

from ageboost import read_photo
from ageboost.errors import PhotoError
from ageboost.faces import FaceFinder

SIDE = 64
LABELS = ("usual", "turned", "negative", "stretched", "overexposed", "covered", "colours", "none")
PARTS = ("eyes", "lower half", "sunglasses", "mask", "side")
# A chip with more of its levels at the end of the scale than this is overexposed.
BURNT, NOT_BURNT = 0.35, 0.2


def chip_of(face) -> np.ndarray:
    return cv2.resize(face.chip(128, 0.3, 5), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def burnt(chip: np.ndarray) -> float:
    return float((chip[8:-8, 8:-8].max(axis=2) >= 252).mean())


def as_usual(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change a photo as cameras do."""
    kind = rng.integers(5)
    if kind == 0:
        height, width = photo.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-28, 28), 1)
        return cv2.warpAffine(photo, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    if kind == 1:
        return degrade(photo, rng)
    if kind == 2:
        gamma = np.exp(rng.uniform(-0.7, 0.7))
        return (255 * (photo / 255.0) ** gamma).astype(np.uint8)
    if kind == 3:
        gains = np.exp(rng.uniform(-0.2, 0.2, 3))
        return (photo * gains).clip(0, 255).astype(np.uint8)
    low, span = rng.uniform(0, 70), rng.uniform(0.35, 0.8)
    return (low + photo * span).clip(0, 255).astype(np.uint8)


def variants(photo: np.ndarray, points: np.ndarray, rng: np.random.Generator):
    """Yield a label and a photo for each way to show this face."""
    yield "usual", as_usual(photo, rng)
    for quarter in rng.permutation([1, 2, 3])[:2]:
        yield "turned", np.ascontiguousarray(np.rot90(photo, quarter))
    yield "negative", negative(photo)
    factor = np.exp(rng.uniform(np.log(1.6), np.log(2.4)))
    yield "stretched", stretched(photo, factor)
    yield "stretched", stretched(photo, 1 / factor)
    yield "overexposed", brighter(photo, rng.uniform(2, 4.5))
    yield "covered", cover(photo, points, "eyes", rng)
    yield "covered", cover(photo, points, "lower half", rng)
    yield "covered", cover(photo, points, str(rng.choice(PARTS)), rng)


def box_in(changed, photo, box, label, rng) -> np.ndarray:
    """Place the box about where a detector finds the face after a change."""
    middle, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).mean()
    old, new = np.array(photo.shape[1::-1]), np.array(changed.shape[1::-1])
    if label == "turned":
        # Which way does not matter where the face is near the middle, as here it is.
        quarters = next(q for q in (1, 2, 3) if np.array_equal(np.rot90(photo, q), changed))
        x, y = middle
        width, height = old
        middle = np.array([(y, width - x), (width - x, height - y), (height - y, x)][quarters - 1])
    else:
        middle = middle * new / old
        side = side * np.sqrt(np.prod(new / old))
    side *= rng.uniform(0.85, 1.15)
    middle = middle + rng.uniform(-0.08, 0.08, 2) * side
    return np.concatenate([middle - side / 2, middle + side / 2])


def no_faces(photo: np.ndarray, face, rng: np.random.Generator):
    """Yield boxes beside the face, and the photo without it."""
    height, width = photo.shape[:2]
    side = face.box.right - face.box.left
    for _ in range(2):
        size = side * rng.uniform(0.3, 1.0)
        x, y = rng.uniform(-size / 4, width - size * 0.75), rng.uniform(-size / 4, height - size)
        middle = np.array([x + size / 2, y + size / 2])
        away = np.abs(middle - [(face.box.left + face.box.right) / 2,
                                (face.box.top + face.box.bottom) / 2]).max()
        if away > 0.45 * side or size < 0.4 * side:
            yield photo, [x, y, x + size, y + size]


def make_chips(options: argparse.Namespace) -> None:
    if options.source == "utkface":
        table = read_data(options.data)
        photos = table.loc[table["fold"] < 6, "photo"].sample(frac=1, random_state=1).tolist()
    else:
        import pandas as pd

        folder = options.data
        table = pd.read_csv(folder / "labels.csv")
        table = table[table["source"].isin(["london", "congress", "congress_grey"])]
        photos = [str(folder / p) for p in table["photo"].sample(frac=1, random_state=1)]
        photos = photos * 8
    photos = photos[options.part :: options.parts][: options.photos]
    finder, loose = FaceFinder(landmarks=5), FaceFinder(landmarks=5, threshold=-0.6, use_cnn=False)
    rng = np.random.default_rng(100 + options.part)
    chips, labels, sources, infos = [], [], [], []
    start = time.perf_counter()

    def add(face, label, number):
        chip = chip_of(face)
        if label in ("overexposed", "usual"):
            share = burnt(chip)
            if label == "overexposed":
                label = "overexposed" if share > BURNT else "usual" if share < NOT_BURNT else None
        if label is not None:
            chips.append(chip)
            labels.append(LABELS.index(label))
            sources.append(number)
            infos.append([face.quality.overall, face.quality.score])

    for number, path in enumerate(photos):
        try:
            photo = read_photo(path, max_side=300)
            if max(photo.shape) > 500:
                scale = 400 / max(photo.shape)
                photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            [face] = finder.find(photo, main_only=True)
        except PhotoError:
            continue
        add(face, "usual", number)
        x0, y0, x1, y1 = face.box
        # Where the points are in the photo: kept pixels begin somewhere inside it.
        from ageboost.faces.landmarks import load_predictor, predict_landmarks

        points = predict_landmarks(load_predictor(5), photo, np.array(face.box))
        for label, changed in variants(photo, points, rng):
            box = box_in(changed, photo, np.array(face.box), label, rng)
            try:
                [found] = finder.find(changed, boxes=box, main_only=True)
                add(found, label, number)
            except PhotoError:
                continue
        for changed, box in no_faces(photo, face, rng):
            try:
                [found] = finder.find(changed, boxes=box)
                add(found, "none", number)
            except PhotoError:
                continue
        if number % 3 == 0:
            for found in loose.find(photo)[1:]:
                if found.quality.score < 0:
                    add(found, "none", number)
        if number % 100 == 99 or number == len(photos) - 1:
            print(number + 1, len(chips), np.bincount(labels, minlength=len(LABELS)),
                  f"{time.perf_counter() - start:.0f} s", flush=True)
            np.savez(options.work / f"chips-{options.source}-{options.part}.npz",
                     chips=np.array(chips), labels=np.array(labels),
                     sources=np.array(sources), infos=np.array(infos, np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("step", choices=["chips", "train"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--source", default="utkface")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=2)
    parser.add_argument("--photos", type=int, default=1600)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    make_chips(options)


if __name__ == "__main__":
    main()
