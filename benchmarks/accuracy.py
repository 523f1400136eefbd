"""Accuracy of each configuration, on UTKFace: the table of docs/accuracy.md and its ablations.

Trains on folds 0 to 5 and tests on folds 6 and 7, less photos with a byte-identical copy among
those that train. Networks that were trained on UTKFace are asked only for photos that they have not
seen. Beside our rows stand a guess of the median age, and what people do who have the 128 numbers
of dlib's network alone: ridge regression. Run it from the root of the repository:

    python benchmarks/accuracy.py --data UTKFACE --cache FOLDER --out FOLDER

``--networks`` is the folder of ``train_networks.py``; without it, what its networks answered is
read from ``networks/out_of_fold.npz``, and rows whose networks' answers are not there are left out.
``--resume`` keeps the rows that stand in the table already, and measures those that are missing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from _data import add_data_arguments, read_data
from _features import cross_fitted_matrix, unknown_answers
from _page import put_tables
from _trials import GaborPyramid, OrdinalBooster, rare_age_weights
from sklearn.base import RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ageboost import AgeEstimator
from ageboost.evaluation import UTKFACE_PROTOCOL, bootstrap_interval, summarize_errors
from ageboost.features import HOG, LBP, CNNActivations, FaceFeatures, LandmarkGeometry
from ageboost.models import KernelScores, make_regressor
from ageboost.models.reduction import feature_groups

BANDS = {"1-12": (1, 12), "13-17": (13, 17), "60+": (60, 116)}
LINEAR = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
CLASSICAL = [("hog", HOG()), ("lbp", LBP()), ("geometry", LandmarkGeometry())]
DLIB_AGE = ("dlib_age", CNNActivations("dlib-age"))
PUBLIC = [("cnn", CNNActivations()), DLIB_AGE]
MOBILENET = ("mobilenet_age", CNNActivations("mobilenet-age"))
FROZEN = [*CLASSICAL, *PUBLIC, MOBILENET]
UTKFACE_DLIB = ("utkface_dlib", CNNActivations("utkface-dlib", mirror=True))
UTKFACE_MOBILENET = ("utkface_mobilenet", CNNActivations("utkface-mobilenet", mirror=True))
UTKFACE_MIRRORED = CNNActivations("utkface-dlib", mirror="only")
# What `accurate` is made of, beside what is classical.
DLIB, MOBILENET_LARGE, UTKFACE_LARGE = (
    ("cnn", CNNActivations(whole_numbers=True)),
    ("mobilenet_age", CNNActivations("mobilenet-age-large", whole_numbers=True)),
    ("utkface_mobilenet", CNNActivations("utkface-mobilenet-large")),
)


@dataclass(frozen=True)
class Configuration:
    """One row of the table, or several that come of one fit."""

    features: str
    transformers: str | list
    label: str  # of what estimates the age from them
    regressor: str | RegressorMixin = "blend"
    reduction: str | None = "kernel"
    crossed: bool = True  # whether trained networks are asked only for what they have not seen
    rare: bool = False  # whether rare ages weigh more
    doubt: float | None = None  # years that a label may be off before the photo is left out
    own_age: bool = False  # whether the network's own answer is the age
    core: bool = True  # whether --quick has it, too


def configurations() -> list[Configuration]:
    last = [("cnn", CNNActivations(levels=("descriptor",)))]
    rows = [
        Configuration("none", last, "median age", DummyRegressor(strategy="median"), None),
        Configuration("dlib's last layer, as most use it", last, "ridge", LINEAR, None),
        Configuration("classical", "classical", BLEND),
        Configuration("public domain: classical, dlib, dlib-age", "all", BLEND),
    ]
    rows += [
        Configuration("all frozen networks", [*PUBLIC, MOBILENET], BLEND, core=False),
        Configuration("all frozen networks, classical", FROZEN, BLEND),
    ]
    rows += [
        Configuration(f"{name} alone", [part], "its own answer", OWN, None, own_age=True)
        for name, part in [
            ("utkface-mobilenet-small", ("small", CNNActivations("utkface-mobilenet-small"))),
            ("utkface-mobilenet", ("plain", CNNActivations("utkface-mobilenet"))),
            ("utkface-mobilenet, mirrored", UTKFACE_MOBILENET),
            ("utkface-mobilenet-large", UTKFACE_LARGE),
            ("utkface-dlib", ("plain", CNNActivations("utkface-dlib"))),
            ("utkface-dlib, mirrored", UTKFACE_DLIB),
        ]
    ]
    rows += [
        Configuration("fast", "fast", BLEND),
        Configuration("accurate", "accurate", BLEND),
    ]
    return rows + trials()


def trials() -> list[Configuration]:
    """What was tried and is not in the models that ship, or was left out to see what it gives."""

    def trial(name: str, transformers, label=RIDGE, regressor=LINEAR, **flags) -> Configuration:
        return Configuration(f"trial: {name}", transformers, label, regressor, core=False, **flags)

    xgboost = make_regressor("xgboost", 0)
    return [
        trial("classical, LBP of three radii", [*CLASSICAL, LBP_2, LBP_3]),
        trial("classical, HOG of two cell sizes", [*CLASSICAL, ("hog8", HOG(cell_size=8))]),
        trial("classical, LBP zoomed in", [*CLASSICAL, ("zoom", LBP(chip_size=224, padding=0.0))]),
        trial("classical, Gabor pyramid", [*CLASSICAL, ("gabor", GaborPyramid())]),
        trial(
            "accurate before: five networks",
            [*FROZEN, UTKFACE_DLIB, UTKFACE_MOBILENET],
            BLEND,
            "blend",
        ),
        trial(
            "accurate and dlib's age network",
            [*CLASSICAL, DLIB, DLIB_AGE, MOBILENET_LARGE, UTKFACE_LARGE],
            BLEND,
            "blend",
        ),
        trial(
            "accurate and utkface-dlib",
            [*CLASSICAL, DLIB, MOBILENET_LARGE, ("utkface_dlib", UTKFACE_MIRRORED), UTKFACE_LARGE],
            BLEND,
            "blend",
        ),
        trial(
            "accurate without dlib's network",
            [*CLASSICAL, MOBILENET_LARGE, UTKFACE_LARGE],
            BLEND,
            "blend",
        ),
        trial("accurate without classical", [DLIB, MOBILENET_LARGE, UTKFACE_LARGE], BLEND, "blend"),
        trial(
            "accurate without the MobileNet as it comes",
            [*CLASSICAL, DLIB, UTKFACE_LARGE],
            BLEND,
            "blend",
        ),
        trial("frozen without kernels: PCA", FROZEN, BLEND, "blend", reduction="pca"),
        trial("frozen, rare ages weigh more", FROZEN, BLEND, "blend", rare=True),
        trial("frozen, labels off by 30 years left out", FROZEN, BLEND, "blend", doubt=30),
        trial(
            "frozen, squared error",
            FROZEN,
            "kernels, XGBoost",
            clone(xgboost).set_params(objective="reg:squarederror"),
        ),
        trial(
            "frozen, quantile objective",
            FROZEN,
            "kernels, XGBoost",
            clone(xgboost).set_params(objective="reg:quantileerror", quantile_alpha=0.5),
        ),
        trial("frozen, ordinal boosting", FROZEN, "kernels, 20 boosters", OrdinalBooster()),
        trial("accurate, networks have seen the photos", "accurate", BLEND, "blend", crossed=False),
    ]


class OwnAnswer(RegressorMixin):
    """Stands where a network's own answer is the age."""


OWN = OwnAnswer()
BLEND, RIDGE = "kernels, mean of three", "kernels, ridge (no trees)"
LBP_2, LBP_3 = ("lbp2", LBP(radius=2)), ("lbp3", LBP(radius=3))
# The parts of the blend, each of which is a row of its own.
PARTS = {"ridge": RIDGE, "xgboost": "kernels, XGBoost", "catboost": "kernels, CatBoost"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="one photo in ten, fewer rows")
    parser.add_argument("--networks", type=Path, help="folder of cross-fitted networks")
    parser.add_argument("--out", type=Path, help="folder for accuracy.csv and accuracy.md")
    parser.add_argument("--resume", action="store_true", help="keep the rows that are in --out")
    options = parser.parse_args()
    begun = time.perf_counter()
    table = read_data(options.data)
    train, test = UTKFACE_PROTOCOL.split(table.iloc[::10] if options.quick else table)
    print(f"{len(train)} photos train, {len(test)} test", flush=True)
    rows = []
    if options.resume and options.out and (options.out / "accuracy.csv").exists():
        rows = pd.read_csv(options.out / "accuracy.csv").to_dict("records")
    measured = {(row["features"], row["label"]) for row in rows}
    before = rows[-1]["minutes_so_far"] if rows else 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for configuration in configurations():
            if options.quick and not configuration.core:
                continue
            if options.networks is None and needs_networks(configuration):
                continue
            if (configuration.features, configuration.label) in measured:
                continue
            for row in measure(configuration, train, test, options, options.cache or scratch):
                minutes = before + (time.perf_counter() - begun) / 60
                rows.append(row | {"minutes_so_far": minutes})
                print(line(row), flush=True)
            if options.out:
                write(rows, options.out)
    print(f"all of it: {(time.perf_counter() - begun) / 60:.0f} minutes")


def write(rows: list[dict], folder: Path) -> None:
    """Write the table so far, so that nothing is lost if the run is cut short."""
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "accuracy.csv", index=False, float_format="%.4f")
    minutes = rows[-1]["minutes_so_far"]
    put_tables(folder / "accuracy.md", ["\n".join([HEADER, *map(line, rows)])])
    print(f"These rows took {minutes:.0f} minutes.")


HEADER = (
    "| features | age by | MAE, years | 95 % interval | within 5 years | bias | MAE 1-12 | "
    "MAE 13-17 | MAE 60+ | fit, s | file, MB | ms per photo |\n" + "| --- " * 12 + "|"
)


def line(row: dict) -> str:
    # A part of a blend has no costs of its own.
    cells = (
        f"{row[key]:{form}}" if row[key] == row[key] else ""
        for key, form in [("fit_s", ".0f"), ("file_MB", ".1f"), ("ms_per_photo", ".0f")]
    )
    return (
        "| {features} | {label} | {MAE:.2f} | {low:.2f}-{high:.2f} | {within:.1%} | {bias:+.2f} | "
        "{MAE 1-12:.2f} | {MAE 13-17:.2f} | {MAE 60+:.2f} | ".format(**row)
        + " | ".join(cells)
        + " |"
    )


def needs_networks(configuration: Configuration) -> bool:
    if configuration.own_age or not configuration.crossed:
        return False
    return bool(unknown_answers(FaceFeatures(configuration.transformers)))


def measure(configuration: Configuration, train, test, options, cache) -> Iterator[dict]:
    features = FaceFeatures(
        configuration.transformers, cache=cache, n_jobs=options.jobs, on_error="nan"
    )
    test_matrix = features.transform(test["photo"].tolist())
    found = ~np.isnan(test_matrix[:, 0])
    if configuration.own_age:
        yield figures(configuration, configuration.label, test, test_matrix[:, 0]) | {
            "fit_s": 0.0,
            "file_MB": 0.0,
            "ms_per_photo": time_per_photo(features, test),
        }
        return
    if configuration.crossed:
        matrix = cross_fitted_matrix(features, train, options.networks)
    else:
        matrix = features.transform(train["photo"].tolist())
    known = ~np.isnan(matrix[:, 0])
    matrix, ages = matrix[known], train["age"].to_numpy()[known]
    estimator = AgeEstimator(
        FaceFeatures(configuration.transformers),
        reduction=configuration.reduction,
        regressor=configuration.regressor,
        interval_folds=None,
        on_error="nan",
        n_jobs=options.jobs,
        random_state=0,
    )
    if options.quick and configuration.reduction == "kernel":
        estimator.set_params(reduction__n_centers=500)
    if options.quick and configuration.regressor == "blend":
        estimator.set_params(
            regressor__xgboost__n_estimators=200, regressor__catboost__iterations=200
        )
    start = time.perf_counter()
    if configuration.doubt is not None:
        kept = believable(matrix, ages, features, configuration.doubt)
        matrix, ages = matrix[kept], ages[kept]
    weight = rare_age_weights(ages) if configuration.rare else None
    estimator.fit_features(matrix, ages, sample_weight=weight)
    costs = {
        "fit_s": time.perf_counter() - start,
        "file_MB": file_size(estimator),
        "ms_per_photo": time_per_photo(estimator, test),
    }
    fitted = {configuration.label: estimator.regressor_}
    if configuration.regressor == "blend" and not configuration.features.startswith("trial"):
        parts = estimator.regressor_.named_estimators_
        fitted = {label: parts[name] for name, label in PARTS.items()} | fitted
    blend = estimator.regressor_
    for label, regressor in fitted.items():
        estimator.regressor_ = regressor
        predicted = np.full(len(test), np.nan)
        predicted[found] = estimator.age_regressor_.predict(test_matrix[found])
        yield figures(configuration, label, test, predicted) | (
            costs if regressor is blend else dict.fromkeys(costs, np.nan)
        )


def figures(configuration: Configuration, label: str, test, predicted) -> dict[str, object]:
    ages = test["age"].to_numpy()
    summary = summarize_errors(ages, predicted)
    errors = np.abs(predicted - ages)
    low, high = bootstrap_interval(errors)
    row = {
        "features": configuration.features,
        "label": label,
        "MAE": summary["MAE"],
        "low": low,
        "high": high,
        "within": summary["within 5 years"],
        "bias": summary["bias"],
    }
    for name, (first, last) in BANDS.items():
        row[f"MAE {name}"] = np.nanmean(errors[(ages >= first) & (ages <= last)])
    return row


def believable(matrix, ages, features: FaceFeatures, years: float) -> np.ndarray:
    """Find the photos whose label is not far from what kernels without it estimate."""
    scores = KernelScores(n_centers=1000, random_state=0)
    groups = feature_groups(features.get_feature_names_out())
    estimated = scores.cross_fit_transform(matrix, ages, groups=groups)[:, len(scores.coefs_) - 1]
    return np.abs(estimated - ages) < years


def file_size(estimator: AgeEstimator) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.ageboost"
        estimator.save(path)
        return path.stat().st_size / 1e6


def time_per_photo(part: AgeEstimator | FaceFeatures, test: pd.DataFrame) -> float:
    """Time from file to age, on one core, in milliseconds."""
    photos = test["photo"].iloc[:64].tolist()
    part = part.set_params(n_jobs=1, cache=None)
    call = part.predict if isinstance(part, AgeEstimator) else part.transform
    with threadpool_limits(1):
        call(photos[:32])
        start = time.perf_counter()
        call(photos)
    return (time.perf_counter() - start) / len(photos) * 1000


if __name__ == "__main__":
    main()
