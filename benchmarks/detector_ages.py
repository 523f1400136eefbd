"""What ages a model estimates of faces that one detector finds, beside another's.

    python benchmarks/detector_ages.py --data UTKFACE --elsewhere FOLDER --models fast --photos 1000

Mean absolute errors on photos in which both find a face, their difference with its 95 % interval,
and by how much ages change if the same photo is turned by any angle. Models have learnt from these
photos, too: only differences count.
"""

from __future__ import annotations

import argparse
import math

import _one_thread  # noqa: F401
import cv2
import numpy as np
import pandas as pd
from _data import TEST_FOLDS, add_data_arguments, add_elsewhere_argument, read_data
from _page import table

import ageboost
from ageboost import read_photo
from ageboost.datasets import read_sources

DETECTORS = ("dlib", "blazeface")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    parser.add_argument("--models", nargs="*", default=["fast"])
    parser.add_argument("--photos", type=int, help="of UTKFace (default: all of two folds)")
    parser.add_argument("--turned", type=int, default=300, help="how many of these to turn")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    utkface = read_data(options.data)
    utkface = utkface[utkface["fold"].isin(TEST_FOLDS)]
    if options.photos:
        utkface = utkface.sample(min(options.photos, len(utkface)), random_state=0)
    sources = {"utkface": utkface}
    if options.elsewhere.is_dir():
        sources |= dict(iter(read_sources(options.elsewhere).groupby("source")))
    models = {
        name: ageboost.load_pretrained(name).set_params(n_jobs=options.jobs)
        for name in options.models
    }
    heads = ["model", "source", "photos", "MAE, dlib", "MAE, blazeface", "difference (95 %)"]
    print(table([*heads, "ages within a year"], []), flush=True)
    for name, model in models.items():
        for source, rows in sources.items():
            print(f"| {' | '.join([name, source, *compare(model, rows)])} |", flush=True)
    heads = ["model", "detector", "photos", "no age", "median change, years"]
    print("\n" + table([*heads, "turned photos within a year of upright ones"], []), flush=True)
    for name, model in models.items():
        for row in turn(model, utkface["photo"].iloc[: options.turned]):
            print(f"| {' | '.join([name, *row])} |", flush=True)


def estimate(model: ageboost.AgeEstimator, photos: list, detector: str) -> np.ndarray:
    model.features_.set_params(finder__detector=detector)
    return model.predict_distribution(photos).ages


def compare(model: ageboost.AgeEstimator, rows: pd.DataFrame) -> list[str]:
    photos, true = rows["photo"].tolist(), rows["age"].to_numpy()
    ages = np.array([estimate(model, photos, detector) for detector in DETECTORS])
    known = ~np.isnan(ages).any(axis=0)
    dlib, network = np.abs(ages - true)[:, known]
    off = network - dlib
    reach = 1.96 * off.std() / np.sqrt(len(off))
    near = (np.abs(ages[1] - ages[0])[known] < 1).mean()
    return [
        f"{known.sum():,}",
        f"{dlib.mean():.2f}",
        f"{network.mean():.2f}",
        f"{off.mean():+.3f} ({off.mean() - reach:+.3f} to {off.mean() + reach:+.3f})",
        f"{near:.1%}",
    ]


def turn_whole(photo: np.ndarray, degrees: float) -> np.ndarray:
    """Turn a photo with room for its corners: nothing of it is lost, as by a camera held askew."""
    height, width = photo.shape[:2]
    side = math.ceil(math.hypot(height, width))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    matrix[:, 2] += side / 2 - np.array([width, height]) / 2
    return cv2.warpAffine(photo, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)


def turn(model: ageboost.AgeEstimator, paths: pd.Series) -> list[list[str]]:
    rng = np.random.default_rng(0)
    photos = [read_photo(path) for path in paths]
    # What surrounds the face is the same in both: ages change with what a chip shows there.
    upright = [turn_whole(photo, 0) for photo in photos]
    turned = [turn_whole(photo, rng.uniform(-180, 180)) for photo in photos]
    rows = []
    for detector in DETECTORS:
        before, after = (estimate(model, photos, detector) for photos in (upright, turned))
        change = np.abs(after - before)
        known = ~np.isnan(change)
        rows.append(
            [
                detector,
                f"{len(change):,}",
                f"{(~known).mean():.1%}",
                f"{np.median(change[known]):.2f}",
                f"{(change[known] < 1).mean():.1%}",
            ]
        )
    return rows


if __name__ == "__main__":
    main()
