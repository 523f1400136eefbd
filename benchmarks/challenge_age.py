"""How often a chosen challenge age waves more minors through than was wanted.

People whom a model had not seen are parted into halves, again and again: on the one a threshold is
chosen, on the other it is counted who passes. Nothing but the package is needed:

    python benchmarks/challenge_age.py --out docs/retail-alcohol.md
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import _one_thread  # noqa: F401
import _page
import numpy as np
from scipy.stats import binomtest

import ageboost
from ageboost.evaluation import share_interval
from ageboost.models import AgeCalibrator
from ageboost.retail import choose_challenge_age

WANTED = (0.02, 0.05, 0.1)
YOUNGEST, LEGAL, CHALLENGE = 13, 18, 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--models", nargs="+", default=["accurate", "fast"])
    parser.add_argument("--out", type=Path, help="page whose table is filled in")
    options = parser.parse_args()
    header = ["model", "wanted", "draws", "with a challenge age", "challenge age"]
    header += ["waved through elsewhere", "more than wanted", "95 % interval"]
    rows = []
    for name in options.models:
        calibration = ageboost.load_pretrained(name, camera="known").calibration_
        for wanted in WANTED:
            found = [draw(calibration, wanted, seed) for seed in range(options.draws)]
            kept = np.array([one for one in found if not np.isnan(one[0])]).reshape(-1, 2)
            cells = [f"`{name}`", f"{wanted:.0%}", str(len(found)), str(len(kept))]
            if len(kept):
                exceeded = int((kept[:, 1] > wanted).sum())
                span = binomtest(exceeded, len(kept)).proportion_ci(method="wilson")
                cells += [f"{np.median(kept[:, 0]):g}", f"{kept[:, 1].mean():.1%}"]
                cells += [f"{exceeded / len(kept):.1%}", f"{span.low:.1%}-{span.high:.1%}"]
            rows.append([*cells, *[""] * (len(header) - len(cells))])
    tables = [_page.table(header, rows), seventeen(options.models)]
    print("\n\n".join(tables))
    if options.out:
        _page.put_tables(options.out, tables)


def seventeen(models: list[str]) -> str:
    """Count who passes at 17, the age of NIST's false positive rate: all groups together."""
    rows = []
    for name in models:
        calibration = ageboost.load_pretrained(name, camera="known").calibration_
        chosen = calibration.ages_ == 17
        seen = calibration.distribution(
            calibration.predictions_[chosen].astype(float),
            calibration.scales_[chosen].astype(float),
        ).ages
        passed = int((seen >= CHALLENGE).sum())
        low, high = share_interval(passed, len(seen))
        rows.append(
            [f"`{name}`", str(len(seen)), f"{passed / len(seen):.0%} ({low:.0%}-{high:.0%})"]
        )
    return _page.table(["of 17 years", "people", f"estimated to be {CHALLENGE} or older"], rows)


def draw(calibration: AgeCalibrator, wanted: float, seed: int) -> tuple[float, float]:
    """Choose on one half, and count on the other: the challenge age, and who passes there."""
    order = np.random.default_rng(seed).permutation(len(calibration.ages_))
    one, other = np.array_split(order, 2)
    ages, predictions = calibration.ages_, calibration.predictions_.astype(float)
    scales = calibration.scales_.astype(float)
    half = copy.copy(calibration).keep(predictions[one], ages[one], scales[one])
    chosen = choose_challenge_age(half, waved_through=wanted).challenge_age
    minors = other[(ages[other] >= YOUNGEST) & (ages[other] < LEGAL)]
    seen = half.distribution(predictions[minors], scales[minors]).ages
    return chosen, float((seen >= chosen).mean())


if __name__ == "__main__":
    main()
