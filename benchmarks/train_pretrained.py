"""Train the models that ship, on folds 0 to 7 of UTKFace, and write their cards.

The figures of a card are measured first, by the same estimator trained on folds 0 to 5 and tested
on folds 6 and 7. Networks that were trained on UTKFace are asked only for photos that they have not
seen. Run it from the root of the repository:

    python benchmarks/train_pretrained.py accurate --data UTKFACE

It takes some minutes for each model on two cores, beside the time for the features.
`train_elsewhere.py` comes next, to learn what other sources say of the model. What networks
answered for photos that they had not seen is read from ``networks/out_of_fold.npz``, or else asked
anew of the networks that ``train_networks.py`` left in the folder ``--networks``.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from _data import add_data_arguments, read_data
from _degrade import degrade
from _features import cross_fitted_matrix, face_qualities

import ageboost
from ageboost.evaluation import UTKFACE_PROTOCOL, bootstrap_interval, summarize_errors
from ageboost.models import (
    KernelScores,
    choose_quality_threshold,
    relative_errors,
)

FOLDER = Path(ageboost.__file__).parent / "models" / "pretrained"
AGES = [(1, 12), (13, 17), (18, 24), (25, 34), (35, 44), (45, 59), (60, 116)]
SEED = 0
N_DEGRADED = 1200
CLASSICAL = "HOG, local binary patterns and the geometry of 68 landmarks"
REGRESSOR = (
    "Components of each group of features and kernel ridge regression on them; the mean of "
    "XGBoost, CatBoost and ridge regression over both."
)
LANDMARKS = (
    "The 68 landmarks come from a predictor trained on iBUG 300-W, which excludes commercial use "
    "as well."
)
MOBILENET = (
    "- MobileNet: A. V. Savchenko (PeerJ Computer Science 2019), Apache 2.0, changed by further "
    "training where its name begins with `utkface-mobilenet`; it had learnt from VGGFace2 and "
    "IMDB-WIKI, which were gathered for research.\n"
)
# What each model is made of, and how the regressor behind it is set.
MODELS = {
    "classical": {
        "settings": {
            "reduction": KernelScores(n_components=150, n_centers=2000, random_state=SEED)
        },
        "what": f"{CLASSICAL}; no neural network. {REGRESSOR}",
        "terms": LANDMARKS,
        "notices": "",
    },
    "fast": {
        "settings": {"reduction": KernelScores(random_state=SEED)},
        "what": "A MobileNet on 128 x 128 chips (`utkface-mobilenet-small`), frozen: its expected "
        f"age, and its probabilities of 21 ages or more. {REGRESSOR}",
        "terms": LANDMARKS,
        "notices": MOBILENET,
    },
    "accurate": {
        "settings": {
            "reduction": KernelScores(n_components=128, n_centers=2500, random_state=SEED)
        },
        "what": f"{CLASSICAL}; inner levels of dlib's face recognition network; last levels of a "
        "MobileNet that was trained on ages (192 x 192 chips); the expected age and probabilities "
        "of 21 ages or more of one that was then trained on UTKFace (`utkface-mobilenet-large`). "
        f"All three networks compute in whole numbers of 8 bits. {REGRESSOR}",
        "terms": LANDMARKS,
        "notices": "- dlib's face recognition network (D. E. King): public domain.\n" + MOBILENET,
    },
}

CARD = """# The model `{name}`

Estimates the age of a person, in years, from a photo of the face, with a range that should hold the
true age nine times in ten. `ageboost.load_pretrained("{name}")` loads it.

## Terms

Trained on UTKFace (Zhang, Song and Qi, "Age Progression/Regression by Conditional Adversarial
Autoencoder", CVPR 2017), whose terms allow **non-commercial research only**: so do this model's.
{terms}
A business uses the model `open`, or trains one of its own:
`ageboost train LABELS --commercial --out MODEL`, which takes nothing that forbids it.

- BlazeFace, which finds the faces: Google, Apache 2.0, converted to ONNX.
{notices}
## What it is

{what}

Trained on {n_train:,} photos (folds 0 to 7), {date}, by
`python benchmarks/train_pretrained.py {name} --data UTKFACE`, seed {seed}, with
{versions}. Networks that were trained on UTKFace saw folds 0 to 5 only; for a photo of these folds,
the regressor learnt from the answer of a network trained without it
(`ageboost/features/weights/README.md`).

## How far it is off

Measured on {n_test:,} photos of folds 6 and 7, by the same estimator trained on folds 0 to 5
(photos that have a byte-identical copy there are left out of the test). How many true ages ranges
hold is measured further down.

| | |
| --- | --- |
| mean absolute error (MAE) | {MAE:.2f} years (95 % interval {low:.2f}-{high:.2f}) |
| within 5 years | {within:.1%} |
| bias | {bias:+.2f} years |
| photos without a face found | {missed:.2%} |

| age | photos | MAE | bias |
| --- | --- | --- | --- |
{by_age}

| labelled | photos | MAE | bias |
| --- | --- | --- | --- |
{by_group}

{unreliable}

## What it must not be used for

- To accuse anybody. One photo proves nothing: the range is wide, and widest where it matters. The
  law asks for an identity card, not for a guess.
- To identify or follow people, or to judge anything other than age.
- On children, old people, or groups that are rare in UTKFace, without measuring its error there
  first: see the tables.

UTKFace's photos come from the web. Light, lenses and poses at a till differ: measure on photos of
your own (`ageboost evaluate MODEL LABELS`) before relying on any figure above.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--networks", type=Path, help="folder of cross-fitted networks")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder (default: the package's)")
    options = parser.parse_args()
    name, facts = options.model, MODELS[options.model]
    table = read_data(options.data)
    train, test = UTKFACE_PROTOCOL.split(table)
    with tempfile.TemporaryDirectory() as scratch:
        features = ageboost.features.FaceFeatures(
            name, cache=options.cache or scratch, n_jobs=options.jobs, on_error="nan"
        )
        matrix = cross_fitted_matrix(features, table, options.networks)
        qualities = face_qualities(table, options.cache or scratch, options.jobs)
    estimator = make_estimator(name, options.jobs)
    known = ~np.isnan(matrix[:, 0])
    ages = table["age"].to_numpy()
    learning = train.index[known[train.index]]
    print(f"measuring: {len(learning)} photos train, {len(test)} test", flush=True)
    start = time.perf_counter()
    estimator.fit_features(matrix[learning], ages[learning])
    print(f"fitted in {time.perf_counter() - start:.0f} s", flush=True)
    measured = measure(estimator, test, matrix[test.index])
    print(measured["line"], flush=True)
    threshold = choose_threshold(estimator, qualities[learning], test)
    measured["unreliable"] = describe_threshold(threshold, qualities[test.index])
    print(measured["unreliable"], flush=True)
    estimator.fit_features(matrix[known], ages[known], terms="utkface")
    estimator.quality_threshold_ = threshold
    path = options.out / f"{name}.ageboost"
    # A model writes its card beside it, but never over a file that is none of its own.
    path.with_suffix(".md").unlink(missing_ok=True)
    estimator.set_params(n_jobs=None).save(path)
    packages = ("ageboost", "catboost", "numpy", "onnxruntime", "scikit-learn", "xgboost")
    path.with_suffix(".md").write_text(
        CARD.format(
            name=name,
            n_train=estimator.n_photos_,
            n_test=len(test),
            date=date.today().strftime("%B %Y"),
            seed=SEED,
            versions=", ".join(
                [f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in packages)]
            ),
            **{key: facts[key] for key in ("what", "terms", "notices")},
            **measured,
        )
    )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def make_estimator(name: str, jobs: int) -> ageboost.AgeEstimator:
    """Make the estimator that a model which ships is, before it has learnt."""
    return ageboost.AgeEstimator(
        name,
        regressor="blend",
        on_error="nan",
        n_jobs=jobs,
        random_state=SEED,
        **MODELS[name]["settings"],
    )


def choose_threshold(
    estimator: ageboost.AgeEstimator, qualities: np.ndarray, test: pd.DataFrame
) -> float:
    """Find the quality under which ages are much further off, also with photos made worse.

    Photos of the web are good ones, so errors of bad photos are learnt from copies that are small,
    blurred or dark.
    """
    rng = np.random.default_rng(SEED)
    part = test.iloc[:: -(-len(test) // N_DEGRADED)]
    photos = [degrade(ageboost.read_photo(photo), rng) for photo in part["photo"]]
    seen, found, ages = [], [], part["age"].to_numpy()
    for batch in estimator.features_.extract(photos):
        seen += batch.qualities
        found.append((batch.owners, estimator.age_regressor_.predict(batch.matrix)))
    owners, predicted = (np.concatenate(values) for values in zip(*found, strict=True))
    calibrator = estimator.calibration_
    errors = relative_errors(
        np.concatenate([calibrator.predictions_, predicted]),
        np.concatenate([calibrator.ages_, ages[owners.astype(int)]]),
    )
    return choose_quality_threshold(errors, [q.overall for q in [*qualities, *seen]])


def describe_threshold(threshold: float, qualities: np.ndarray) -> str:
    below = [quality.overall < threshold for quality in qualities if quality is not None]
    return (
        f"Faces of a quality below {threshold:.2f} should not be relied on (`reliable` in "
        "`analyze`): ages of such faces, in photos that were made small, blurred or dark, are at "
        f"least half as far off again as is usual. {np.mean(below):.2%} of the photos tested here "
        "are that bad."
    )


def measure(
    estimator: ageboost.AgeEstimator, test: pd.DataFrame, matrix: np.ndarray
) -> dict[str, object]:
    ages, known = test["age"].to_numpy(), ~np.isnan(matrix[:, 0])
    predicted = np.full(len(test), np.nan)
    predicted[known] = estimator.age_regressor_.predict(matrix[known])
    summary = summarize_errors(ages, predicted)
    first, last = bootstrap_interval(np.abs(predicted - ages))
    by_age = []
    for youngest, oldest in AGES:
        part = (ages >= youngest) & (ages <= oldest) & known
        errors = predicted[part] - ages[part]
        by_age.append(
            f"| {youngest}-{oldest} | {part.sum()} | {np.abs(errors).mean():.2f} | "
            f"{errors.mean():+.2f} |"
        )
    by_group = []
    for column in ("sex", "race"):
        for label, rows in test.reset_index(drop=True).groupby(column):
            part = rows.index[known[rows.index]]
            errors = predicted[part] - ages[part]
            by_group.append(
                f"| {column}: {label} | {len(part)} | {np.abs(errors).mean():.2f} | "
                f"{errors.mean():+.2f} |"
            )
    return {
        "line": f"MAE {summary['MAE']:.3f}",
        "MAE": summary["MAE"],
        "low": first,
        "high": last,
        "within": summary["within 5 years"],
        "bias": summary["bias"],
        "missed": 1 - known.mean(),
        "by_age": "\n".join(by_age),
        "by_group": "\n".join(by_group),
    }


if __name__ == "__main__":
    main()
