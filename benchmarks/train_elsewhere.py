"""Learn, for models that ship, what other sources say of them, and write it beside them.

    python benchmarks/train_elsewhere.py accurate fast classical --data UTKFACE --elsewhere FOLDER

starts from the model's large file, which `train_pretrained.py` wrote, and writes the small one that
`load_pretrained` reads with it: ranges for a camera never met, what familiar photos look like and,
for `accurate`, another network's answer for photos that look foreign. The model's card gets a
section with the errors of each source, left out of all of that. From a cache of features it takes
two minutes for each model; without, half an hour for `accurate`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from _data import add_data_arguments, add_elsewhere_argument
from _meeting import Collection, Elsewhere, meet, read_collection, read_elsewhere_photos
from _page import table

import ageboost
from ageboost.evaluation import calibration_error, interval_coverage, source_metrics
from ageboost.models import AgeDistribution, AgeRegressor, NewCameraCalibrator
from ageboost.models._elsewhere import elsewhere_path, write_elsewhere
from ageboost.models.card import judge_by_halves
from ageboost.models.persistence import load_trained
from ageboost.terms import Terms

FOLDER = Path(ageboost.__file__).parent / "models" / "pretrained"
UTKFACE = "utkface"
ADULT, SURE = 18, 0.02
START, END = "## At a camera that it never met", "## What it must not be used for"
SECTION = """{start}

Measured by `python benchmarks/train_elsewhere.py {name}`: nobody of these sources was trained on,
and each was left out of what was learnt from the others. Ranges are, by default, those for a new
camera: at sources left out, ages were off by {shift:.1f} years together (root mean square), which
is allowed for. Narrower ranges, for photos like UTKFace's, come with
`load_pretrained("{name}", camera="known")`. UTKFace's own rows are out of fold, over folds 0 to
7.

Ages are drawn away from the middle (`ShrinkageCorrection`), by what UTKFace's own errors teach:
figures above are without that, those here with it.{opinion}

{overview}

{by_age}

UTKFace's own, by true age; each half of the photos is judged by the errors of the other half.
Ranges of 80 % or more are made to hold at each age from 13 to 24 years. What is said of being 18 or
older, where it is between 2 and 98 %, is off by {unsure_new:.1f} points for a new camera and by
{unsure_known:.1f} for a known one (expected calibration error, ten bins):

{by_year}

Three sources say little of a fourth: these ranges are a careful guess. FG-NET's ages from 13 to 24
are too high together, and probabilities of being 18 or older with them; ranges of London's, of a
studio, are wider than they need be. Adapt the model to your camera:
`ageboost adapt {name} LABELS --out MINE`.

Of all photos that it learnt from, the terms are:

{terms}

"""
OPINION = """

A second opinion moves ages of photos that look foreign towards what a network answers that never
learnt from UTKFace (`SecondOpinion`), which the figures above are without as well."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    parser.add_argument("model", nargs="+", help="names of models that ship")
    parser.add_argument("--models", type=Path, default=FOLDER, help="their folder")
    options = parser.parse_args()
    for name in options.model:
        path = options.models / f"{name}.ageboost"
        with tempfile.TemporaryDirectory() as scratch:
            model = load_trained(path).set_params(
                cache=options.cache or scratch, n_jobs=options.jobs
            )
            elsewhere = read_elsewhere_photos(model, options.elsewhere)
            collection = read_collection(model, options.data)
        base = model.age_regressor_
        met = meet(base, collection, elsewhere)
        write_elsewhere(met, base, elsewhere_path(path))
        section = describe(name, base, met, collection, elsewhere)
        card = path.with_suffix(".md")
        before, _, after = card.read_text("utf-8").partition(END)
        card.write_text(before.partition(START)[0] + section + END + after, "utf-8")
        print(f"{section}\n{elsewhere_path(path)}: {elsewhere_path(path).stat().st_size} bytes")


def describe(
    name: str,
    base: AgeRegressor,
    met: AgeRegressor,
    collection: Collection,
    elsewhere: Elsewhere,
) -> str:
    tables, ages, new, known = [], [], [], []
    for family, rows in elsewhere.families():
        part = elsewhere.part(rows)
        left_out = meet(base, collection, elsewhere.part(~rows))
        predicted = left_out.predict_distribution(part.matrix)
        tables.append(part.table.assign(source=family))
        ages.append(predicted.ages)
        new.append(predicted)
        known.append(left_out.calibration_.known_.distribution(predicted.ages, predicted.scales))
    kept = met.calibration_.known_
    own = pd.DataFrame({"age": kept.ages_.astype(float), "source": UTKFACE})
    own["subject"] = np.arange(len(own)).astype(str)
    own["age_low"] = own["age_high"] = own["age"]
    args = kept.predictions_.astype(float), kept.scales_.astype(float)
    tables.append(own)
    ages.append(args[0])
    new.append(met.calibration_.distribution(*args))
    known.append(kept.distribution(*args))
    overview, by_age = [], []
    for table_, predicted, there, here in zip(tables, ages, new, known, strict=True):
        wide, narrow = (source_metrics(table_, predicted, ranges) for ranges in (there, here))
        for row, other in zip(wide.to_dict("records"), narrow["inside"], strict=True):
            whole = row["age group"] == "all"
            if row["photos"] < 10:
                continue
            cells = [row["source"], f"{row['photos']:,}"]
            cells += [f"{row['MAE']:.2f} ({row['low']:.2f}-{row['high']:.2f})"]
            cells += [f"{row['bias']:+.1f}", f"{row['inside']:.1%}", f"{other:.1%}"]
            if whole:
                overview.append([*cells, mean_width(there), mean_width(here)])
            elif row["source"] in ("fgnet", UTKFACE):
                by_age.append([cells[0], row["age group"], *cells[1:], f"{row['said adult']:.0%}"])
    by_year, unsure = judge_own(met.calibration_)
    heads = ["photos", "MAE (95 %)", "bias", "90 % ranges hold: new camera", "known camera"]
    return SECTION.format(
        start=START,
        name=name,
        shift=met.calibration_.shift_,
        opinion="" if met.second_opinion_ is None else OPINION,
        overview=table(["source", *heads, "mean width: new", "known"], overview),
        by_age=table(["source", "age", *heads, "P(18 or older), mean"], by_age),
        by_year=table(
            [
                "age",
                "photos",
                "bias",
                "90 % ranges hold: new camera",
                "mean width",
                "known",
                "width",
            ],
            by_year,
        ),
        unsure_new=unsure[0],
        unsure_known=unsure[1],
        terms=Terms(tuple(met.photo_terms_)).to_markdown(),
    )


def judge_own(calibration: NewCameraCalibrator) -> tuple[list[list[str]], list[float]]:
    """Judge both promises by the photos learnt from: ranges by true age, and probabilities."""
    ages = calibration.known_.ages_.astype(float)
    counted, unsure = [], []
    for promise in (calibration, calibration.known_):
        adult, tables = np.empty(len(ages)), []
        for half, distribution in judge_by_halves(promise):
            adult[half] = distribution.over(ADULT)
            tables.append(interval_coverage(ages[half], distribution, [0.9]))
        unsure.append(100 * calibration_error(ages >= ADULT, adult, sure=SURE))
        both = pd.concat(tables)
        both = both[both["by"] == "true age"].assign(group=lambda rows: rows["group"].astype(int))
        names = ["inside", "width", "bias"]
        sums = (
            both[names]
            .mul(both["photos"], axis=0)
            .assign(photos=both["photos"], group=both["group"])
        )
        sums = sums.groupby("group").sum()
        counted.append(sums[names].div(sums["photos"], axis=0).assign(photos=sums["photos"]))
    new, known = counted
    rows = [
        [
            f"{year}",
            f"{new['photos'][year]:,}",
            f"{new['bias'][year]:+.1f}",
            *(f"{new['inside'][year]:.0%}", f"{new['width'][year]:.1f}"),
            *(f"{known['inside'][year]:.0%}", f"{known['width'][year]:.1f}"),
        ]
        for year in new.index
    ]
    return rows, unsure


def mean_width(ranges: AgeDistribution) -> str:
    return f"{np.diff(ranges.interval(0.9)).mean():.1f}"


if __name__ == "__main__":
    main()
