"""What photos of one's own are worth: errors and ranges after `adapt`, on other people.

For each source that a model never met: of 25, 50, 100, 200 and 400 photos the model learns, and it
is tested on photos of people who are in none of them. What ships with the model was learnt anew
without the source; `open` was trained on London and Congress, so FG-NET alone is new to it. Means
over draws, how often errors grew, and by how much in the worst draw. Run it from the root of the
repository:

    python benchmarks/adapt.py accurate --elsewhere FOLDER
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from _data import add_data_arguments, add_elsewhere_argument
from _meeting import load_untaught, meet, read_collection, read_elsewhere_photos
from _page import put_tables, table

from ageboost.models import AgeRegressor, NewCameraCalibrator, load_pretrained
from ageboost.models.adaptation import correct_ages, learn_correction

SIZES = (25, 50, 100, 200, 400)
MOST_LEARNT = 0.75


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    parser.add_argument("model", nargs="*", default=["accurate"])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--out", type=Path, help="Markdown page whose table is to be replaced")
    options = parser.parse_args()
    rows = []
    for name in options.model:
        for source, photos, regressor, matrix in left_out(name, options):
            rows += learning_curve(name, source, photos, regressor, matrix, options)
    heads = ["model", "source", "photos learnt from", "MAE", "bias", "bias, 13-17", "ranges hold"]
    made = table([*heads, "draws worse than none", "worst draw"], rows)
    print(made)
    if options.out:
        put_tables(options.out, [made])


def left_out(name, options) -> Iterator[tuple[str, pd.DataFrame, AgeRegressor, np.ndarray]]:
    """Each source that is new to a model, and the model without what it learnt from it."""
    shipped = load_pretrained(name)
    base = load_untaught(name, cache=options.cache, n_jobs=options.jobs)
    elsewhere = read_elsewhere_photos(base, options.elsewhere)
    meets = isinstance(shipped.calibration_, NewCameraCalibrator)
    collection = read_collection(base, options.data) if meets else None
    for source, rows in elsewhere.families():
        regressor = shipped.age_regressor_
        if meets:
            regressor = meet(base.age_regressor_, collection, elsewhere.part(~rows))
        elif source != "fgnet":
            continue
        part = elsewhere.part(rows)
        yield source, part.table, regressor, part.matrix


def learning_curve(name, source, photos, regressor, matrix, options) -> list[list[str]]:
    estimated = regressor.predict_distribution(matrix)
    plain = copy.copy(regressor)
    plain.shrinkage_ = None
    predicted = estimated, plain.predict(matrix), regressor.shrinkage_, regressor.calibration_
    ages, people = photos["age"].to_numpy(), photos["subject"].to_numpy()
    rows = []
    for size in (0, *(s for s in SIZES if s <= MOST_LEARNT * len(photos))):
        draws = [
            draw(np.random.default_rng(seed), size, ages, people, *predicted)
            for seed in range(options.draws)
        ]
        mean = pd.DataFrame(draws).mean()
        minors = "" if np.isnan(mean["minors"]) else f"{mean['minors']:+.1f}"
        gains = pd.DataFrame(draws)["gain"]
        worse = [f"{(gains < 0).mean():.0%}", f"{gains.min():+.2f}"] if size else ["", ""]
        figures = [f"{mean['MAE']:.2f}", f"{mean['bias']:+.1f}", minors, f"{mean['inside']:.0%}"]
        rows.append([name, source, str(size), *figures, *worse])
        print(" ".join(rows[-1]), flush=True)
    return rows


def draw(rng, size, ages, people, estimated, plain, shrinkage, calibrator) -> dict[str, float]:
    learnt = draw_photos(rng, size, people)
    tested = ~np.isin(people, people[learnt])
    ranges, corrected = estimated[tested].interval(0.9), estimated.ages[tested]
    if size:
        correction = learn_correction(
            plain[learnt], shrinkage, ages[learnt], estimated.scales[learnt], people[learnt]
        )
        adapted = copy.copy(calibrator).adapt(
            ages[learnt] - correction.errors_, ages[learnt], estimated.scales[learnt]
        )
        corrected = correct_ages(plain[tested], shrinkage, correction)
        ranges = adapted.distribution(corrected, estimated.scales[tested]).interval(0.9)
    errors = corrected - ages[tested]
    minors = (ages[tested] >= 13) & (ages[tested] < 18)
    before = np.abs(estimated.ages[tested] - ages[tested]).mean()
    return {
        "MAE": np.abs(errors).mean(),
        "bias": errors.mean(),
        "minors": errors[minors].mean() if minors.any() else np.nan,
        "inside": ((ranges[:, 0] <= ages[tested]) & (ages[tested] <= ranges[:, 1])).mean(),
        "gain": before - np.abs(errors).mean(),
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
