"""How often batches of 200 photos are called foreign: known ones, foreign ones, and changed ones.

    python benchmarks/familiarity.py accurate fast --data UTKFACE --elsewhere FOLDER

Known are UTKFace's folds 6 and 7, none of which taught the model how its photos look; each other
source is left out of the model's second opinion. Changed are photos of folds 6 and 7: made dark,
small, blurred, grey, padded, or turned.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from _data import TEST_FOLDS, add_data_arguments, add_elsewhere_argument, read_data
from _meeting import load_untaught, look, meet, read_collection, read_elsewhere_photos
from _page import put_tables, table

import ageboost

BATCH, N_BATCHES = 200, 200
UTKFACE_FACE = 180  # pixels: the median, of the 200 of a photo


def darken(photo: np.ndarray) -> np.ndarray:
    return (photo / 3).astype(np.uint8)


def shrink(photo: np.ndarray) -> np.ndarray:
    size = round(photo.shape[1] * 40 / UTKFACE_FACE), round(photo.shape[0] * 40 / UTKFACE_FACE)
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


def blur(photo: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(photo, (0, 0), 1.5)


def grey(photo: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def pad(photo: np.ndarray) -> np.ndarray:
    margin = photo.shape[0] // 2
    return cv2.copyMakeBorder(photo, *[margin] * 4, cv2.BORDER_REFLECT)


def turn(photo: np.ndarray) -> np.ndarray:
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 20, 1)
    return cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


CHANGES = {
    "darkened to a third": darken,
    "faces of 40 pixels": shrink,
    "blurred (1.5 pixels)": blur,
    "grey": grey,
    "padded by half of the photo": pad,
    "turned by 20 degrees": turn,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    parser.add_argument("model", nargs="*", default=["accurate", "fast"])
    parser.add_argument("--photos", type=int, default=400, help="to change (default: 400)")
    parser.add_argument("--out", type=Path, help="Markdown page whose table is to be replaced")
    options = parser.parse_args()
    found = read_data(options.data)
    found = found[found["fold"].isin(TEST_FOLDS)]
    known = found["photo"].tolist()
    changed = found["photo"].sample(options.photos, random_state=0).tolist()
    rows = []
    for name in options.model:
        model = load_untaught(name, cache=options.cache, n_jobs=options.jobs)
        elsewhere = read_elsewhere_photos(model, options.elsewhere)
        collection = read_collection(model, options.data)
        shipped = ageboost.load_pretrained(name).age_regressor_
        batches = [("UTKFace, folds 6 and 7", shipped, look(model.features_now(), known))]
        for source, part in elsewhere.families():
            without = meet(model.age_regressor_, collection, elsewhere.part(~part))
            seen = elsewhere.part(part)
            batches.append((f"{source}, left out", without, (seen.matrix, None, seen.qualities)))
        model.cache = None
        for what, change in CHANGES.items():
            photos = [change(ageboost.read_photo(photo)) for photo in changed]
            batches.append((what, shipped, look(model.features_now(), photos)))
        for what, regressor, (matrix, _, qualities) in batches:
            share, said = share_foreign(regressor, qualities, matrix)
            rows.append([name, what, f"{len(qualities):,}", f"{share:.1%}", said])
            print(*rows[-1], sep=" | ", flush=True)
    made = table(["model", "photos", "with a face", "batches called foreign", "in words"], rows)
    print(made)
    if options.out:
        put_tables(options.out, [made])


def share_foreign(regressor, qualities, matrix) -> tuple[float, str]:
    texture = regressor.texture(matrix)
    texture = np.full(len(matrix), np.nan) if texture is None else texture
    rng = np.random.default_rng(0)
    foreign = []
    for _ in range(N_BATCHES):
        drawn = rng.choice(len(matrix), min(BATCH, len(matrix)), replace=False)
        batch = [qualities[row] for row in drawn]
        foreign.append(regressor.looks_.compare(batch, None, texture[drawn]).foreign)
    return float(np.mean(foreign)), regressor.looks_.compare(qualities, None, texture).sentence


if __name__ == "__main__":
    main()
