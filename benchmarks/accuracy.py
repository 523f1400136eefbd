"""Accuracy of each configuration, on UTKFace: the table of the README and its ablations.

Trains on folds 0 to 5 and tests on folds 6 and 7, less photos with a byte-identical copy among
those that train. Networks that were trained on UTKFace are asked only for photos that they have not
seen. Beside our rows stand a guess of the median age, and what people do who have the 128 numbers
of dlib's network alone: ridge regression. Run it from the root of the repository:

    python benchmarks/accuracy.py --data UTKFACE --cache FOLDER --networks FOLDER --out FOLDER

``--networks`` is the folder of ``train_networks.py``; without it, rows that need it are left out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from _data import add_data_arguments, read_data
from _features import MEMBERS, cross_fitted_matrix
from sklearn.base import RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ageboost import AgeEstimator
from ageboost.evaluation import UTKFACE_PROTOCOL, bootstrap_interval, summarize_errors
from ageboost.features import HOG, LBP, CNNActivations, FaceFeatures, LandmarkGeometry, Network
from ageboost.models import KernelScores, make_regressor

BANDS = {"1-12": (1, 12), "13-17": (13, 17), "60+": (60, 116)}
LINEAR = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
CLASSICAL = [("hog", HOG()), ("lbp", LBP()), ("geometry", LandmarkGeometry())]
PUBLIC = [("cnn", CNNActivations()), ("dlib_age", CNNActivations("dlib-age"))]
UTKFACE_DLIB = ("utkface_dlib", CNNActivations("utkface-dlib", mirror=True))
UTKFACE_MOBILENET = ("utkface_mobilenet", CNNActivations("utkface-mobilenet", mirror=True))
TRAINED = [UTKFACE_DLIB, UTKFACE_MOBILENET]


@dataclass(frozen=True)
class Configuration:
    """One row of the table."""

    features: str
    transformers: str | list
    label: str  # of what tells the age from them
    regressor: str | RegressorMixin = "blend"
    reduction: str | None = "kernel"
    crossed: bool = True  # whether trained networks are asked only for what they have not seen
    rare: bool = False  # whether rare ages weigh more
    own_age: bool = False  # whether the network's own answer is the age
    core: bool = True  # whether --quick has it, too


def mobilenet_age(models: Path) -> tuple[str, CNNActivations]:
    """Declare the MobileNet as its authors trained it; it does not ship."""
    return (
        "mobilenet_age",
        CNNActivations(
            Network(
                name="mobilenet-age",
                weights=models / "face_mobilenet.onnx",
                input_size=160,
                levels=("embedding", "features", "age_logits"),
                channels="bgr",
                mean=(103.939, 116.779, 123.68),
                padding=0.3,
                landmarks=5,
            )
        ),
    )


def configurations(models: Path) -> list[Configuration]:
    last = [("cnn", CNNActivations(levels=("descriptor",)))]
    none = VoteOfNothing()
    rows = [
        Configuration("none", last, "median age", DummyRegressor(strategy="median"), None),
        Configuration("dlib's last layer, as most use it", last, "ridge", LINEAR, None),
    ]
    for label, regressor in [
        ("kernels, ridge (no trees)", LINEAR),
        ("kernels, XGBoost", "xgboost"),
        ("kernels, CatBoost", "catboost"),
        ("kernels, mean of the three", "blend"),
    ]:
        core = regressor == "blend"
        rows += [
            Configuration("classical", "classical", label, regressor, core=core),
            Configuration("public domain: classical, dlib, dlib-age", "all", label, regressor),
            Configuration("accurate", "accurate", label, regressor, core=core),
        ]
    if (models / "face_mobilenet.onnx").is_file():
        frozen = [*CLASSICAL, *PUBLIC, mobilenet_age(models)]
        rows.append(Configuration("all frozen networks, classical", frozen, "the same"))
        rows.append(Configuration("all frozen networks", frozen[3:], "the same", core=False))
    rows += [
        *(
            Configuration(f"{name} alone", [part], "its own answer", none, None, own_age=True)
            for name, part in [
                ("utkface-mobilenet-small", ("small", CNNActivations("utkface-mobilenet-small"))),
                ("utkface-mobilenet, mirrored", UTKFACE_MOBILENET),
                ("utkface-dlib, mirrored", UTKFACE_DLIB),
            ]
        ),
        Configuration("fast", "fast", "kernels, mean of the three"),
        Configuration("trained networks alone", TRAINED, "the same", core=False),
        Configuration(
            "accurate, without classical", [*PUBLIC, *TRAINED], "the same", core=False
        ),
        Configuration(
            "accurate, not mirrored",
            [
                *CLASSICAL,
                *PUBLIC,
                ("utkface_dlib", CNNActivations("utkface-dlib")),
                ("utkface_mobilenet", CNNActivations("utkface-mobilenet")),
            ],
            "the same",
            core=False,
        ),
        Configuration(
            "accurate, networks have seen the photos (leak)",
            "accurate",
            "the same",
            crossed=False,
            core=False,
        ),
        Configuration(
            "accurate, rare ages weigh more", "accurate", "the same", rare=True, core=False
        ),
    ]
    return rows


class VoteOfNothing(RegressorMixin):
    """Stands where a network's own answer is the age."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="one photo in ten, fewer rows")
    parser.add_argument("--networks", type=Path, help="folder of cross-fitted networks")
    parser.add_argument(
        "--models",
        type=Path,
        default=Path(__file__).resolve().parents[2] / "shared" / "models",
        help="folder of face_mobilenet.onnx",
    )
    parser.add_argument("--out", type=Path, help="folder for accuracy.csv and accuracy.md")
    options = parser.parse_args()
    begun = time.perf_counter()
    table = read_data(options.data)
    train, test = UTKFACE_PROTOCOL.split(table.iloc[::10] if options.quick else table)
    print(f"{len(train)} photos train, {len(test)} test", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for configuration in configurations(options.models):
            if options.quick and not configuration.core:
                continue
            if options.networks is None and needs_networks(configuration):
                continue
            rows.append(measure(configuration, train, test, options, options.cache or scratch))
            print(line(rows[-1]), flush=True)
    minutes = (time.perf_counter() - begun) / 60
    print(f"all of it: {minutes:.0f} minutes")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(options.out / "accuracy.csv", index=False, float_format="%.4f")
        text = "\n".join([HEADER, *map(line, rows), "", f"All rows: {minutes:.0f} minutes."])
        (options.out / "accuracy.md").write_text(text + "\n")


HEADER = (
    "| features | age by | MAE, years | 95 % interval | within 5 years | bias | MAE 1-12 | "
    "MAE 13-17 | MAE 60+ | fit, s | file, MB | ms per photo |\n" + "| --- " * 12 + "|"
)


def line(row: dict) -> str:
    return (
        "| {features} | {label} | {MAE:.2f} | {low:.2f}-{high:.2f} | {within:.1%} | {bias:+.2f} | "
        "{MAE 1-12:.2f} | {MAE 13-17:.2f} | {MAE 60+:.2f} | {fit_s:.0f} | {file_MB:.1f} | "
        "{ms_per_photo:.0f} |".format(**row)
    )


def needs_networks(configuration: Configuration) -> bool:
    features = FaceFeatures(configuration.transformers)
    networks = [
        value for key, value in features.get_params().items() if key.endswith("__network")
    ]
    return any(isinstance(network, str) and network in MEMBERS for network in networks)


def measure(configuration: Configuration, train, test, options, cache) -> dict[str, object]:
    features = FaceFeatures(
        configuration.transformers, cache=cache, n_jobs=options.jobs, on_error="nan"
    )
    if configuration.crossed:
        matrix = cross_fitted_matrix(features, train, options.networks)
    else:
        matrix = features.transform(train["photo"].tolist())
    test_matrix = features.transform(test["photo"].tolist())
    ages = test["age"].to_numpy()
    row: dict[str, object] = {"features": configuration.features, "label": configuration.label}
    if configuration.own_age:
        predicted, seconds, size = test_matrix[:, 0], 0.0, np.nan
        each = time_per_photo(features, test)
    else:
        known = ~np.isnan(matrix[:, 0])
        years = train["age"].to_numpy()[known]
        reduction = configuration.reduction
        if options.quick and reduction == "kernel":
            reduction = KernelScores(n_centers=500, random_state=0)
        regressor = configuration.regressor
        if options.quick and regressor == "blend":
            regressor = make_regressor("blend", 0, options.jobs).set_params(
                xgboost__n_estimators=200, catboost__iterations=200
            )
        estimator = AgeEstimator(
            FaceFeatures(configuration.transformers),
            reduction=reduction,
            regressor=regressor,
            interval_folds=None,
            on_error="nan",
            n_jobs=options.jobs,
            random_state=0,
        )
        start = time.perf_counter()
        weight = rare_age_weights(years) if configuration.rare else None
        estimator.fit_features(matrix[known], years, sample_weight=weight)
        seconds = time.perf_counter() - start
        predicted = np.full(len(test), np.nan)
        found = ~np.isnan(test_matrix[:, 0])
        predicted[found] = estimator.predict_features(test_matrix[found])
        size = file_size(estimator)
        each = time_per_photo(estimator, test)
    summary = summarize_errors(ages, predicted)
    errors = np.abs(predicted - ages)
    low, high = bootstrap_interval(errors)
    row |= {
        "MAE": summary["MAE"],
        "low": low,
        "high": high,
        "within": summary["within 5 years"],
        "bias": summary["bias"],
        "fit_s": seconds,
        "file_MB": size,
        "ms_per_photo": each,
    }
    for name, (first, last) in BANDS.items():
        row[f"MAE {name}"] = np.nanmean(errors[(ages >= first) & (ages <= last)])
    return row


def rare_age_weights(ages: np.ndarray) -> np.ndarray:
    """Weigh photos by the inverse square root of how many are of about their age."""
    counts = np.bincount(ages.astype(int), minlength=121)
    near = np.convolve(counts, np.ones(5) / 5, mode="same")
    weights = 1 / np.sqrt(near[ages.astype(int)] + 20)
    return weights / weights.mean()


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
