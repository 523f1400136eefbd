"""In how many photos no face is found, and how long the search takes, by detector.

python benchmarks/detection.py --data UTKFACE
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np
import pandas as pd
from _data import add_data_arguments, read_data
from joblib import Parallel, delayed

from ageboost import NoFaceError, read_photo
from ageboost.faces import FaceFinder

Photo = np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, help="how many photos (default: all)")
    options = parser.parse_args()
    photos = read_data(options.data)["photo"]
    if options.photos:
        photos = photos.sample(options.photos, random_state=0)
    parts = np.array_split(photos.to_numpy(), max(1, len(photos) // 100))
    print("| photos | no face, first detector | no face, both | ms, first | ms, both |")
    print("| --- | --- | --- | --- | --- |")
    for name in CHANGES:
        tables = Parallel(options.jobs)(
            delayed(search)(part, name, seed) for seed, part in enumerate(parts)
        )
        found = pd.concat(tables)
        missed = [f"{found[column].mean():.2%}" for column in ("missed_first", "missed")]
        times = [f"{found[column].mean() * 1e3:.1f}" for column in ("time_first", "time")]
        print(f"| {' | '.join([name, *missed, *times])} |", flush=True)


def search(paths: np.ndarray, change: str, seed: int) -> pd.DataFrame:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    rows = []
    for path in paths:
        photo = CHANGES[change](read_photo(path), rng)
        row: dict[str, object] = {}
        for suffix, finder in [("_first", FaceFinder(use_cnn=False)), ("", FaceFinder())]:
            start = time.process_time()
            try:
                finder.find(photo, main_only=True)
                row["missed" + suffix] = False
            except NoFaceError:
                row["missed" + suffix] = True
            row["time" + suffix] = time.process_time() - start
        rows.append(row)
    return pd.DataFrame(rows)


def turn(photo: Photo, rng: np.random.Generator) -> Photo:
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-30, 30), 1)
    return cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def darken(photo: Photo, rng: np.random.Generator) -> Photo:
    return np.clip(photo * 0.2 + rng.normal(0, 6, photo.shape), 0, 255).astype(np.uint8)


def shrink(photo: Photo, rng: np.random.Generator) -> Photo:
    return cv2.resize(photo, (80, 80), interpolation=cv2.INTER_AREA)


CHANGES = {
    "as they are": lambda photo, _: photo,
    "turned by up to 30 degrees": turn,
    "a fifth as bright, with noise": darken,
    "shrunk to 80 pixels": shrink,
}

if __name__ == "__main__":
    main()
