"""In how many photos no face is found, what is taken for one, and how long the search takes.

python benchmarks/detection.py --data UTKFACE --elsewhere FOLDER --photos 1000

For each detector, in turns photo by photo: shares of photos in which no face is found, or one that
is not in the middle of a photo of UTKFace, which shows one face there; faces of groups that are put
together from such photos; and what is found in pictures that show nobody.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import _one_thread  # noqa: F401
import cv2
import numpy as np
import pandas as pd
from _data import TEST_FOLDS, add_data_arguments, add_elsewhere_argument, read_data
from _no_people import parts_of, pictures_without_people
from _processor import describe_processor
from joblib import Parallel, delayed

from ageboost import NoFaceError, read_photo
from ageboost.datasets import read_sources
from ageboost.faces import FaceFinder

Photo = np.ndarray
Change = Callable[[Photo, np.random.Generator], Photo]
FINDERS = {
    "blazeface": FaceFinder(landmarks=5, detector="blazeface"),
    "dlib": FaceFinder(landmarks=5, detector="dlib"),
    "dlib, first alone": FaceFinder(landmarks=5, detector="dlib", use_cnn=False),
}
# A group: so many photos in rows, each made so large, in pixels.
_GRID, _CELL, _SIDES = (3, 4), 180, (40, 160)
# The middle of a face that is found is as near to the middle of the photo, in its sides.
_NEAR = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    parser.add_argument("--photos", type=int, help="how many photos (default: all of two folds)")
    parser.add_argument("--changes", nargs="*", choices=CHANGES, default=list(CHANGES))
    parser.add_argument("--finders", nargs="*", choices=FINDERS, default=list(FINDERS))
    options = parser.parse_args()
    print(describe_processor(), end="\n\n", flush=True)
    table = read_data(options.data)
    photos = table[table["fold"].isin(TEST_FOLDS)]["photo"]
    if options.photos:
        photos = photos.sample(min(options.photos, len(photos)), random_state=0)
    names = options.finders
    heads = [f"no face, {name}" for name in names] + [f"ms, {name}" for name in names]
    print(f"| photos | number | {' | '.join(heads)} |")
    print(f"| --- | --- |{' --- |' * len(heads)}")
    for change in options.changes:
        show(change, search_all(photos.to_numpy(), CHANGES[change], True, options))
    if options.elsewhere.is_dir():
        for source, rows in read_sources(options.elsewhere).groupby("source"):
            for change in ("as they are", "turned by any angle"):
                found = search_all(rows["photo"].to_numpy(), CHANGES[change], False, options)
                show(f"{source}, {change}", found)
    show("faces of groups", in_parts(search_groups, photos.to_numpy(), options))
    pictures = pictures_without_people()
    show("pictures of nobody", search(pictures.values(), options.finders))
    show("parts of these", search(parts_of(pictures, 9), options.finders))


def show(name: str, found: pd.DataFrame) -> None:
    missed = [f"{found[f'missed {one}'].mean():.2%}" for one in finders_of(found)]
    times = [f"{found[f'time {one}'].mean() * 1e3:.1f}" for one in finders_of(found)]
    print(f"| {' | '.join([name, f'{len(found):,}', *missed, *times])} |", flush=True)


def finders_of(found: pd.DataFrame) -> list[str]:
    return [name.removeprefix("missed ") for name in found if name.startswith("missed ")]


def search_all(paths: np.ndarray, change: Change, middle: bool, options) -> pd.DataFrame:
    def search_part(part: np.ndarray, seed: int) -> pd.DataFrame:
        cv2.setNumThreads(1)
        rng = np.random.default_rng(seed)
        return search((change(read_photo(path), rng) for path in part), options.finders, middle)

    return in_parts(search_part, paths, options)


def in_parts(work: Callable, paths: np.ndarray, options) -> pd.DataFrame:
    parts = np.array_split(paths, max(1, len(paths) // 100))
    if work is search_groups:
        work = lambda part, seed: search_groups(part, seed, options.finders)  # noqa: E731
    done = Parallel(options.jobs)(delayed(work)(part, seed) for seed, part in enumerate(parts))
    return pd.concat(done, ignore_index=True)


def search(photos: Iterable[Photo], names: list[str], middle: bool = False) -> pd.DataFrame:
    """Look for the main face of each photo, by one detector after another."""
    rows = []
    for photo in photos:
        row: dict[str, object] = {}
        for name in names:
            start = time.process_time()
            try:
                [face] = FINDERS[name].find(photo, main_only=True)
            except NoFaceError:
                row[f"missed {name}"] = True
            else:
                row[f"missed {name}"] = middle and not near_middle(face.box, photo)
            row[f"time {name}"] = time.process_time() - start
        rows.append(row)
    return pd.DataFrame(rows)


def near_middle(box: tuple[float, ...], photo: Photo) -> bool:
    sides = np.array(photo.shape[1::-1])
    middle = (np.array(box[:2]) + box[2:]) / 2
    return bool((np.abs(middle - sides / 2) < _NEAR * sides).all())


def search_groups(paths: np.ndarray, seed: int, names: list[str]) -> pd.DataFrame:
    """Look for all faces of groups: a row for each face, with its share of the time."""
    rng = np.random.default_rng(seed)
    rows = []
    for group, places in groups(paths, rng):
        found = {}
        for name in names:
            start = time.process_time()
            try:
                faces = FINDERS[name].find(group)
            except NoFaceError:
                faces = []
            seconds = (time.process_time() - start) / len(places)
            found[name] = [(np.array(face.box[:2]) + face.box[2:]) / 2 for face in faces], seconds
        for middle, side in places:
            row: dict[str, object] = {}
            for name, (middles, seconds) in found.items():
                away = [np.abs(one - middle).max() for one in middles]
                row[f"missed {name}"] = not away or min(away) > _NEAR * side
                row[f"time {name}"] = seconds
            rows.append(row)
    return pd.DataFrame(rows)


def groups(
    paths: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[Photo, list[tuple[np.ndarray, int]]]]:
    """Yield photos of many people, and where their faces are, and how large their photos."""
    left = iter(paths)
    while len(taken := list(islice(left, _GRID[0] * _GRID[1]))) == _GRID[0] * _GRID[1]:
        group = np.full((_GRID[0] * _CELL, _GRID[1] * _CELL, 3), 110, np.uint8)
        places = []
        for number, path in enumerate(taken):
            side = int(rng.integers(*_SIDES))
            corner = np.array(divmod(number, _GRID[1])) * _CELL + (_CELL - side) // 2
            part = cv2.resize(read_photo(path), (side, side), interpolation=cv2.INTER_AREA)
            group[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = part
            places.append((corner[::-1] + side / 2, side))
        yield group, places


def turn(photo: Photo, rng: np.random.Generator, most: float) -> Photo:
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-most, most), 1)
    return cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def darken(photo: Photo, rng: np.random.Generator) -> Photo:
    return np.clip(photo * 0.2 + rng.normal(0, 6, photo.shape), 0, 255).astype(np.uint8)


def shrink(photo: Photo, rng: np.random.Generator, low: int, high: int) -> Photo:
    scale = rng.integers(low, high + 1) / max(photo.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in photo.shape[1::-1])
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


CHANGES: dict[str, Change] = {
    "as they are": lambda photo, _: photo,
    "turned by up to 30 degrees": lambda photo, rng: turn(photo, rng, 30),
    "turned by any angle": lambda photo, rng: turn(photo, rng, 180),
    "a fifth as bright, with noise": darken,
    "shrunk to 80 pixels": lambda photo, rng: shrink(photo, rng, 80, 80),
    "shrunk to 20 to 80 pixels": lambda photo, rng: shrink(photo, rng, 20, 80),
}

if __name__ == "__main__":
    main()
