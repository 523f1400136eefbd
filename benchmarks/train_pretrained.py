"""Train the model that ships, on folds 0 to 7 of UTKFace, and write its card.

Its figures are measured first, by the same estimator trained on folds 0 to 5 and tested on folds 6
and 7. Run it from the root of the repository:

    python benchmarks/train_pretrained.py --data UTKFACE
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from _data import add_data_arguments, read_data, split

import ageboost
from ageboost.evaluation import summarize_errors

FOLDER = Path(ageboost.__file__).parent / "models" / "pretrained"
AGES = [(1, 12), (13, 17), (18, 24), (25, 34), (35, 44), (45, 59), (60, 116)]

CARD = """# The model `utkface`

Estimates the age of a person, in years, from a photo of the face, with a range that should hold the
true age nine times in ten. `ageboost.load_pretrained()` loads it.

## Terms

Trained on UTKFace (Zhang, Song and Qi, "Age Progression/Regression by Conditional Adversarial
Autoencoder", CVPR 2017), whose terms allow **non-commercial research only**: so do this model's.
The 68 landmarks come from a predictor trained on iBUG 300-W, which excludes commercial use as well.
A shop trains a model on photos of its own, with one command: `ageboost train LABELS --out MODEL`.

## What it is

HOG, local binary patterns, the geometry of 68 landmarks and the inner levels of dlib's face
recognition network (public domain); components of each group and kernel ridge regression on them;
XGBoost over both. Trained on {n_train:,} photos (folds 0 to 7), {date}, by
`benchmarks/train_pretrained.py`, with ageboost {version}.

## How far it is off

Measured on {n_test:,} photos of folds 6 and 7, by the same estimator trained on folds 0 to 5
(photos that have a byte-identical copy there are left out of the test).

| | |
| --- | --- |
| mean absolute error (MAE) | {MAE:.2f} years |
| within 5 years | {within:.1%} |
| bias | {bias:+.2f} years |
| true age inside the 90 % range | {coverage:.1%} |
| photos without a face found | {missed:.2%} |

| age | photos | MAE | bias | inside the 90 % range |
| --- | --- | --- | --- | --- |
{by_age}

| labelled | photos | MAE | bias |
| --- | --- | --- | --- |
{by_group}

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
    parser.add_argument("--out", type=Path, default=FOLDER / "utkface.ageboost")
    options = parser.parse_args()
    table = read_data(options.data)
    train, test = split(table)
    with tempfile.TemporaryDirectory() as scratch:
        estimator = ageboost.AgeEstimator(
            on_error="nan",
            cache=options.cache or scratch,
            n_jobs=options.jobs,
            random_state=0,
        )
        print(f"measuring: {len(train)} photos train, {len(test)} test", flush=True)
        start = time.perf_counter()
        estimator.fit(train["photo"].tolist(), train["age"])
        print(f"fitted in {time.perf_counter() - start:.0f} s", flush=True)
        measured = measure(estimator, test)
        print(measured["line"], flush=True)
        estimator.fit(table["photo"].tolist(), table["age"])
    estimator.set_params(cache=None, n_jobs=None).save(options.out)
    options.out.with_suffix(".md").write_text(
        CARD.format(
            n_train=estimator.n_photos_,
            n_test=len(test),
            date=date.today().strftime("%B %Y"),
            version=ageboost.__version__,
            **measured,
        )
    )
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


def measure(estimator: ageboost.AgeEstimator, test: pd.DataFrame) -> dict[str, object]:
    photos, ages = test["photo"].tolist(), test["age"].to_numpy()
    predicted = estimator.predict(photos)
    low, high = estimator.predict_interval(photos, 0.9).T
    inside = (low <= ages) & (ages <= high)
    known = ~np.isnan(predicted)
    summary = summarize_errors(ages, predicted)
    by_age = []
    for first, last in AGES:
        part = (ages >= first) & (ages <= last) & known
        errors = predicted[part] - ages[part]
        by_age.append(
            f"| {first}-{last} | {part.sum()} | {np.abs(errors).mean():.2f} | "
            f"{errors.mean():+.2f} | {inside[part].mean():.1%} |"
        )
    by_group = []
    for column in ("sex", "race"):
        for name, rows in test.reset_index(drop=True).groupby(column):
            part = rows.index[known[rows.index]]
            errors = predicted[part] - ages[part]
            by_group.append(
                f"| {column}: {name} | {len(part)} | {np.abs(errors).mean():.2f} | "
                f"{errors.mean():+.2f} |"
            )
    return {
        "line": f"MAE {summary['MAE']:.3f}, inside {inside[known].mean():.3f}",
        "MAE": summary["MAE"],
        "within": summary["within 5 years"],
        "bias": summary["bias"],
        "coverage": inside[known].mean(),
        "missed": 1 - known.mean(),
        "by_age": "\n".join(by_age),
        "by_group": "\n".join(by_group),
    }


if __name__ == "__main__":
    main()
