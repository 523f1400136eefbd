"""What photos of one's own are worth: errors and ranges after `adapt`, on other people.

For each source that a model never met: of 25, 50, 100, 200 and 400 photos the model learns, and it
is tested on photos of people who are in none of them. Means over draws, and how many ended worse
than doing nothing. Run it from the root of the repository:

    python benchmarks/adapt.py accurate --elsewhere FOLDER
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import numpy as np
import pandas as pd
from _data import add_elsewhere_argument
from _page import put_tables, table

import ageboost
from ageboost.datasets import read_sources
from ageboost.models import AgeCorrection

SIZES = (25, 50, 100, 200, 400)
# Portraits of one parliament are one source; apart, they are too few.
TOGETHER = {"congress_grey": "congress"}
MOST_LEARNT = 0.75


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_elsewhere_argument(parser)
    parser.add_argument("model", nargs="*", default=["accurate"])
    parser.add_argument("--cache", type=Path, help="folder to keep features in between runs")
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: all cores)")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--out", type=Path, help="Markdown page whose table is to be replaced")
    options = parser.parse_args()
    photos = read_sources(options.elsewhere)
    photos["source"] = photos["source"].replace(TOGETHER)
    rows = []
    for name in options.model:
        model = ageboost.load_pretrained(name)
        model.set_params(cache=options.cache, n_jobs=options.jobs)
        estimated = model.predict_distribution(photos["photo"].tolist())
        known = ~np.isnan(estimated.ages)
        for source in photos["source"].unique():
            part = np.flatnonzero((photos["source"] == source).to_numpy() & known)
            rows += learning_curve(name, source, photos.iloc[part], estimated[part], model, options)
    heads = ["model", "source", "photos learnt from", "MAE", "bias", "bias, 13-17", "ranges hold"]
    made = table([*heads, "draws worse than none"], rows)
    print(made)
    if options.out:
        put_tables(options.out, [made])


def learning_curve(name, source, photos, estimated, model, options) -> list[list[str]]:
    ages, people = photos["age"].to_numpy(), photos["subject"].to_numpy()
    rows = []
    for size in (0, *(s for s in SIZES if s <= MOST_LEARNT * len(photos))):
        draws = [
            draw(np.random.default_rng(seed), size, ages, people, estimated, model)
            for seed in range(options.draws)
        ]
        mean = pd.DataFrame(draws).mean()
        minors = "" if np.isnan(mean["minors"]) else f"{mean['minors']:+.1f}"
        worse = f"{mean['worse']:.0%}" if size else ""
        figures = [f"{mean['MAE']:.2f}", f"{mean['bias']:+.1f}", minors, f"{mean['inside']:.0%}"]
        rows.append([name, source, str(size), *figures, worse])
        print(" ".join(rows[-1]), flush=True)
    return rows


def draw(rng, size, ages, people, estimated, model) -> dict[str, float]:
    learnt = draw_photos(rng, size, people)
    tested = ~np.isin(people, people[learnt])
    ranges, corrected = estimated[tested].interval(0.9), estimated.ages[tested]
    if size:
        correction = AgeCorrection().fit(
            estimated.ages[learnt], ages[learnt], estimated.scales[learnt], people[learnt]
        )
        calibrator = copy.copy(model.calibration_).adapt(
            ages[learnt] - correction.errors_, ages[learnt], estimated.scales[learnt]
        )
        corrected = correction.correct(corrected)
        ranges = calibrator.distribution(corrected, estimated.scales[tested]).interval(0.9)
    errors = corrected - ages[tested]
    minors = (ages[tested] >= 13) & (ages[tested] < 18)
    before = np.abs(estimated.ages[tested] - ages[tested]).mean()
    return {
        "MAE": np.abs(errors).mean(),
        "bias": errors.mean(),
        "minors": errors[minors].mean() if minors.any() else np.nan,
        "inside": ((ranges[:, 0] <= ages[tested]) & (ages[tested] <= ranges[:, 1])).mean(),
        "worse": np.abs(errors).mean() > before,
    }


def draw_photos(rng, size, people) -> np.ndarray:
    """Photos of as few people as give that many: as many others as can be remain to test."""
    shuffled = rng.permutation(np.unique(people))
    taken: list[int] = []
    for person in shuffled[: int(np.ceil(0.9 * len(shuffled)))]:
        # Of half of the people at least, even if few photos are learnt from.
        if len(taken) >= size and person not in shuffled[: len(shuffled) // 2]:
            break
        taken += np.flatnonzero(people == person).tolist()
    return rng.permutation(taken)[:size] if size else np.empty(0, dtype=int)


if __name__ == "__main__":
    main()
