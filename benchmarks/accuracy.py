"""Accuracy of each set of features with each regressor, on UTKFace.

Trains on folds 0 to 5 and tests on folds 6 and 7, less photos with a byte-identical copy among
those that train. Beside our rows stand a guess of the median age, and what people do who have the
128 numbers of the network alone: ridge regression. Run it from the root of the repository:

    python benchmarks/accuracy.py --data UTKFACE --cache FOLDER
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _data import add_data_arguments, read_data, split
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ageboost import AgeEstimator
from ageboost.evaluation import summarize_errors
from ageboost.features import CNNActivations, FaceFeatures

LAST = [("cnn", CNNActivations(levels=("descriptor",)))]
INNER = [("cnn", CNNActivations(levels=("level3", "level4", "level5")))]
FEATURES = {
    "classical (HOG, LBP, landmarks)": FaceFeatures("classical"),
    "network, last layer": FaceFeatures(LAST),
    "network, inner levels": FaceFeatures(INNER),
    "all": FaceFeatures("all"),
}
LINEAR = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
RIVALS = [
    ("none: median age", FaceFeatures(LAST), DummyRegressor(strategy="median")),
    ("network, last layer", FaceFeatures(LAST), LINEAR),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="one photo in ten")
    parser.add_argument("--out", type=Path, help="a .csv file for the table")
    options = parser.parse_args()
    table = read_data(options.data)
    train, test = split(table.iloc[::10] if options.quick else table)
    print(f"{len(train)} photos train, {len(test)} test\n")
    print("| features | regressor | MAE, years | 95 % interval | within 5 years | bias | fit, s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        cache = options.cache or scratch
        for features in FEATURES.values():
            # Computed before the clock runs: what is timed is learning.
            features.set_params(cache=cache, n_jobs=options.jobs, on_error="nan")
            features.transform([*train["photo"], *test["photo"]])
        configurations = [
            *(
                (name, "median" if i == 0 else "ridge", f, regressor, None)
                for i, (name, f, regressor) in enumerate(RIVALS)
            ),
            *(
                (name, regressor, features, regressor, "kernel")
                for name, features in FEATURES.items()
                for regressor in ("xgboost", "catboost")
            ),
        ]
        rows = []
        for name, label, features, regressor, reduction in configurations:
            estimator = AgeEstimator(
                features,
                reduction=reduction,
                regressor=regressor,
                interval_folds=None,
                on_error="nan",
                cache=cache,
                n_jobs=options.jobs,
                random_state=0,
            )
            rows.append({"features": name, "regressor": label, **measure(estimator, train, test)})
            print(
                "| {features} | {regressor} | {MAE:.2f} | {low:.2f}-{high:.2f} | {within:.1%} | "
                "{bias:+.2f} | {seconds:.0f} |".format(**rows[-1]),
                flush=True,
            )
    if options.out:
        pd.DataFrame(rows).to_csv(options.out, index=False)


def measure(estimator: AgeEstimator, train: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    start = time.perf_counter()
    estimator.fit(train["photo"].tolist(), train["age"])
    seconds = time.perf_counter() - start
    ages = test["age"].to_numpy()
    predicted = estimator.predict(test["photo"].tolist())
    summary = summarize_errors(ages, predicted)
    errors = np.abs(predicted - ages)[~np.isnan(predicted)]
    drawn = np.random.default_rng(0).integers(len(errors), size=(1000, len(errors)))
    low, high = np.percentile(errors[drawn].mean(axis=1), [2.5, 97.5])
    return {
        "MAE": summary["MAE"],
        "low": low,
        "high": high,
        "within": summary["within 5 years"],
        "bias": summary["bias"],
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
