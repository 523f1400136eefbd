"""What ages a model estimates of faces that one detector finds, beside another's.

    python benchmarks/detector_ages.py --data UTKFACE --elsewhere FOLDER --models fast --photos 1000

Mean absolute errors on photos in which both find a face, their difference with its 95 % interval,
and by how much ages change if the same photo is turned by any angle. The models that ship have
learnt from UTKFace's photos as dlib's detector saw them, so that any other look at these is held
against them: the model `classical`, which needs no network, is trained anew, without the photos on
which it is tested.
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
from ageboost.faces import FaceFinder
from ageboost.features import FaceFeatures
from ageboost.models import AgeRegressor, KernelScores
from ageboost.models.reduction import feature_groups

DETECTORS = ("dlib", "blazeface")
PARTS = ["anew", "models", "turned"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    parser.add_argument("--models", nargs="*", default=["fast"])
    parser.add_argument("--photos", type=int, help="of UTKFace (default: all of two folds)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    parser.add_argument("--turned", type=int, default=300, help="how many of these to turn")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table_ = read_data(options.data)
    tested = table_["fold"].isin(TEST_FOLDS)
    utkface = table_[tested]
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
    if "anew" in options.parts:
        row = ["classical, trained anew", "utkface", *train_anew(table_[~tested], utkface, options)]
        print(f"| {' | '.join(row)} |", flush=True)
    if "models" in options.parts:
        for name, model in models.items():
            for source, rows in sources.items():
                ages = [estimate(model, rows["photo"].tolist(), one) for one in DETECTORS]
                row = [name, source, *compare(np.array(ages), rows["age"].to_numpy())]
                print(f"| {' | '.join(row)} |", flush=True)
    if "turned" in options.parts:
        heads = ["model", "detector", "photos", "no age", "median change, years"]
        print("\n" + table([*heads, "turned photos within a year of upright ones"], []), flush=True)
        for name, model in models.items():
            for row in turn(model, utkface["photo"].iloc[: options.turned]):
                print(f"| {' | '.join([name, *row])} |", flush=True)


def train_anew(train: pd.DataFrame, test: pd.DataFrame, options) -> list[str]:
    """Train `classical` on faces that dlib finds; test it, on other photos, on those of each."""

    def features(detector: str) -> FaceFeatures:
        finder = FaceFinder(detector=detector)
        return FaceFeatures("classical", finder, n_jobs=options.jobs, on_error="nan")

    matrix = features("dlib").transform(train["photo"].tolist())
    known = ~np.isnan(matrix).any(axis=1)
    reduction = KernelScores(n_components=150, n_centers=2000, random_state=0)
    model = AgeRegressor(reduction, interval_folds=None, random_state=0, n_jobs=options.jobs)
    groups = feature_groups(features("dlib").get_feature_names_out())
    model.fit(matrix[known], train["age"].to_numpy(float)[known], groups=groups)
    ages = []
    for detector in DETECTORS:
        matrix = features(detector).transform(test["photo"].tolist())
        known = ~np.isnan(matrix).any(axis=1)
        ages.append(np.full(len(test), np.nan))
        ages[-1][known] = model.predict(matrix[known])
    return compare(np.array(ages), test["age"].to_numpy())


def estimate(model: ageboost.AgeEstimator, photos: list, detector: str) -> np.ndarray:
    model.features_.set_params(finder__detector=detector)
    return model.predict_distribution(photos).ages


def compare(ages: np.ndarray, true: np.ndarray) -> list[str]:
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
