"""How far probabilities of being 18 or older are off at tills with other people than UTKFace's.

Each half of the ages that a model keeps, of photos that it had not seen, is judged by what the
other half teaches, with people weighted to be as old as those of a made-up till: once as the model
says them, and once for a till of which that is known (`retail.check(age_weights=...)`). Nothing but
the package is needed:

    python benchmarks/till_ages.py --out docs/retail-alcohol.md
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import _one_thread  # noqa: F401
import _page
import numpy as np
import pandas as pd
from _meeting import taught_by
from sklearn.model_selection import KFold

import ageboost
from ageboost.models import AgeCalibrator, NewCameraCalibrator
from ageboost.retail._till_ages import over_at_till

LEGAL_AGE, UNSURE, N_BINS = 18, 0.02, 10
YEARS = np.arange(121)
TILLS = {
    "everybody from 15 to 79, alike": (YEARS >= 15) & (YEARS < 80),
    "students: five in six from 16 to 24": np.select(
        [YEARS < 16, YEARS < 18, YEARS < 25, YEARS < 70], [0, 6, 10, 0.4], 0
    ),
    "evening: adults alike, minors from 15 on half as many": np.select(
        [YEARS < 15, YEARS < 18, YEARS < 80], [0, 0.5, 1], 0
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=["accurate", "fast"])
    parser.add_argument("--out", type=Path, help="page whose table is filled in")
    options = parser.parse_args()
    rows = []
    for name in options.models:
        new = ageboost.load_pretrained(name).calibration_
        for camera, promise in (("new", new), ("known", new.known_)):
            for till, come in TILLS.items():
                errors = judge(promise, pd.Series(come, index=YEARS, dtype=float))
                rows.append([f"`{name}`", camera, till, *(f"{error:.1%}" for error in errors)])
    table = _page.table(["model", "camera", "till", "as it says them", "with `age_weights`"], rows)
    print(table)
    if options.out:
        _page.put_tables(options.out, [table])


def judge(promise: AgeCalibrator, come: pd.Series) -> tuple[float, float]:
    """Errors of what is said between 2 and 98 %, before and after a till's ages are known."""
    new = promise if isinstance(promise, NewCameraCalibrator) else None
    kept = promise if new is None else new.known_
    ages = kept.ages_.astype(float)
    plain, adapted = np.empty((2, len(ages)))
    for taught, others in KFold(2, shuffle=True, random_state=0).split(ages):
        half = taught_by(kept, taught)
        learnt = half if new is None else copy.copy(new).around(half)
        distribution = learnt.distribution(
            kept.predictions_[others].astype(float), kept.scales_[others].astype(float)
        )
        plain[others] = distribution.over(LEGAL_AGE)
        adapted[others] = over_at_till(distribution, learnt, [LEGAL_AGE], come)[:, 0]
    photos = pd.Series(ages).value_counts()
    weights = (come / photos.reindex(come.index)).reindex(ages).fillna(0.0).to_numpy()
    adult = ages >= LEGAL_AGE
    return error(plain, adult, weights), error(adapted, adult, weights)


def error(said: np.ndarray, adult: np.ndarray, weights: np.ndarray) -> float:
    """The expected calibration error of people who stand for others."""
    use = (said > UNSURE) & (said < 1 - UNSURE)
    bins = np.floor(said[use] * N_BINS).astype(int)
    off = np.bincount(bins, weights[use] * (said[use] - adult[use]), N_BINS)
    return float(np.abs(off).sum() / weights[use].sum())


if __name__ == "__main__":
    main()
