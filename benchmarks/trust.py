"""How far the models that ship can be trusted: ranges, probabilities, age checks, groups.

A model that ships keeps an age for each photo of folds 0 to 7 of UTKFace, from regressors and
networks that had not seen the photo. Ranges and probabilities are learnt here from the ages of
folds 0 to 5 and judged by those of folds 6 and 7, less photos with a byte-identical copy. Beside
our ranges stand ranges of one width for everybody, as wide as it takes to hold the same share of
these very photos. Run it from the root of the repository:

    python benchmarks/trust.py --model accurate --data UTKFACE --cache FOLDER

A network is asked for every photo once, to find out which photo each age belongs to: without a
cache that takes ten minutes.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from pathlib import Path

import _page
import numpy as np
import numpy.typing as npt
import pandas as pd
from _data import TEST_FOLDS, add_data_arguments, photo_digests
from _meeting import SEED, kept_photos, taught_by
from train_pretrained import MODELS

import ageboost
from ageboost.evaluation import (
    age_metrics,
    calibration_error,
    challenge_ages,
    fairness_gaps,
    interval_coverage,
    minors_passing,
    reliability_curve,
    share_interval,
    summarize_errors,
)
from ageboost.models import AgeCalibrator, AgeDistribution, NewCameraCalibrator

COVERAGES = (0.5, 0.8, 0.9, 0.95)
LEGAL_AGE, TEENAGE = 18, 13
CHALLENGE_AGES = (21, 25, 30)
SURE = (0.95, 0.99)
UNSURE = 0.02
# How far probabilities of those that are not sure may be off.
WANTED = 0.03
LIKELY = 0.9
N_DRAWS = 1000
SHARES = ("within 5 years", "inside", "P(adult) bias", "minors waved through", "adults asked")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--model", choices=MODELS, default="accurate")
    parser.add_argument("--out", type=Path, help="folder for trust-MODEL.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = ageboost.load_pretrained(options.model).set_params(
            cache=options.cache or scratch, n_jobs=options.jobs
        )
        photos = kept_photos(model, options.data)
    known, new = learn(model.calibration_, (~photos["fold"].isin(TEST_FOLDS)).to_numpy())
    kept = model.calibration_.known_
    alone = ~photo_digests(photos).duplicated(keep=False).to_numpy()
    tested = np.flatnonzero(photos["fold"].isin(TEST_FOLDS).to_numpy() & alone)
    seen = kept.predictions_[tested].astype(float), kept.scales_[tested].astype(float)
    test = photos.iloc[tested].reset_index(drop=True)
    ages, distribution = test["age"].to_numpy(), known.distribution(*seen)
    summary = summarize_errors(ages, distribution.ages)
    text = [
        f"# How far `{options.model}` can be trusted",
        f"{len(known.ages_):,} photos are used for calibration, and {len(test):,} for testing. "
        f"MAE {summary['MAE']:.2f} years, RMSE {summary['RMSE']:.2f}, "
        f"bias {summary['bias']:+.2f}. In parentheses: 95 % intervals. "
        "Ranges and probabilities are those for photos like the ones in the training data "
        '(`camera="known"`), unless stated otherwise.',
        *describe(ages, distribution, new.distribution(*seen), test[["sex", "race"]]),
        "## Probabilities, fold by fold",
        *describe_folds(kept, photos["fold"].to_numpy(), alone),
    ]
    print("\n\n".join(text))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"trust-{options.model}.md"
        path.write_text("\n\n".join(text) + "\n", "utf-8")


def learn(
    shipped: NewCameraCalibrator, taught: npt.NDArray[np.bool_]
) -> tuple[AgeCalibrator, NewCameraCalibrator]:
    """Learn both promises of a model from some of the photos whose ages it keeps."""
    known = taught_by(shipped.known_, taught)
    return known, copy.copy(shipped).around(known)


def describe(
    ages: npt.NDArray[np.float64],
    distribution: AgeDistribution,
    elsewhere: AgeDistribution,
    labels: pd.DataFrame,
) -> list[str]:
    """Write all sections, as paragraphs of Markdown."""
    return [
        "## Do ranges keep their promise?",
        *describe_ranges(ages, distribution),
        "## How do young people fare?",
        *describe_young(ages, distribution, elsewhere),
        f"## Do probabilities of being {LEGAL_AGE} or older come true?",
        *describe_probabilities(ages, distribution, elsewhere),
        "## Whom would a challenge age ask for a card?",
        *describe_challenges(ages, distribution),
        "## Who fares worse?",
        *describe_seventeen(ages, distribution, labels),
        *describe_groups(ages, distribution, labels),
    ]


def describe_ranges(ages: npt.NDArray[np.float64], distribution: AgeDistribution) -> list[str]:
    counted = interval_coverage(ages, distribution, COVERAGES)
    overall = [
        (f"{row.coverage:.0%}", percent(row.inside, row.low, row.high), f"{row.width:.1f}")
        for row in counted[counted["by"] == "all"].itertuples()
    ]
    low, high = distribution.interval(0.9).T
    inside = (low <= ages) & (ages <= high)
    # As good as ranges of one width can be: theirs is chosen on the photos that they are tested on.
    errors = np.abs(ages - distribution.ages)
    reach = np.sort(errors)[max(inside.sum() - 1, 0)]
    rival_width = (distribution.ages + reach - (distribution.ages - reach).clip(0)).mean()
    rival = errors <= reach
    bins = distribution.ages // 10
    by_age, rows = [], counted[(counted["coverage"] == 0.9) & (counted["by"] == "predicted age")]
    for start, row in zip(np.unique(bins), rows.itertuples(), strict=True):
        part = rival[bins == start]
        interval = share_interval(int(part.sum()), len(part))
        by_age.append(
            (
                row.group,
                f"{row.photos}",
                percent(row.inside, row.low, row.high),
                "yes" if row.low <= 0.9 <= row.high else "no",
                f"{row.width:.1f}",
                percent(part.mean(), *interval),
            )
        )
    width = (high - low).mean()
    return [
        _page.table(["promised", "true ages inside", "mean width, years"], overall),
        f"Ranges of constant width that contain as many of these true ages ({rival.mean():.1%}, "
        f"where 90 % are promised) are {rival_width:.1f} years wide on average, and ours "
        f"{width:.1f}: the ratio is {width / rival_width:.2f}.",
        _page.table(
            [
                "predicted age",
                "photos",
                "inside 90 % ranges",
                "90 % within the interval",
                "mean width, years",
                "inside ranges of one width",
            ],
            by_age,
        ),
    ]


def describe_young(
    ages: npt.NDArray[np.float64], distribution: AgeDistribution, elsewhere: AgeDistribution
) -> list[str]:
    known, new = (
        rows[rows["by"] == "true age"].itertuples()
        for rows in (interval_coverage(ages, one, [0.9]) for one in (distribution, elsewhere))
    )
    rows = [
        (
            row.group,
            f"{row.photos}",
            f"{row.bias:+.1f}",
            percent(row.inside, row.low, row.high),
            f"{row.width:.1f}",
            percent(other.inside, other.low, other.high),
            f"{other.width:.1f}",
        )
        for row, other in zip(known, new, strict=True)
    ]
    for first, last in ((13, 17), (18, 24)):
        part = (first <= ages) & (ages <= last)
        cells = [f"{first}-{last}", f"{part.sum()}"]
        cells.append(f"{(distribution.ages - ages)[part].mean():+.1f}")
        for one in (distribution, elsewhere):
            low, high = one.interval(0.9)[part].T
            inside = (low <= ages[part]) & (ages[part] <= high)
            interval = share_interval(int(inside.sum()), len(inside))
            cells += [percent(inside.mean(), *interval), f"{(high - low).mean():.1f}"]
        rows.append(tuple(cells))
    return [
        "By true age, with the width of the 90 % ranges:",
        _page.table(
            [
                *("true age", "photos", "bias, years"),
                *("inside, known camera", "width, years", "inside, new camera", "width, years"),
            ],
            rows,
        ),
    ]


def describe_probabilities(
    ages: npt.NDArray[np.float64], distribution: AgeDistribution, elsewhere: AgeDistribution
) -> list[str]:
    said, adult = distribution.over(LEGAL_AGE), ages >= LEGAL_AGE
    cuts = np.arange(0, 121)
    falling = (np.diff(distribution.over(cuts), axis=1) <= 0).all(axis=1)
    return [
        f"How far P(age >= {LEGAL_AGE}) is off (expected calibration error, ten bins), compared "
        "with how far perfectly correct probabilities would be off:",
        _page.table(
            [
                "camera",
                "probabilities",
                "photos",
                "off by",
                "by chance alone",
                "nineteen in twenty",
                f"right ones within {WANTED:.0%}",
            ],
            [
                cells
                for camera, one in (("known", distribution), ("new", elsewhere))
                for cells in calibration_rows(camera, one.over(LEGAL_AGE), adult)
            ],
        ),
        _page.table(
            ["probability said", "photos", f"{LEGAL_AGE} or older"],
            [
                (f"{row.probability:.1%}", f"{row.photos}", percent(row.share, row.low, row.high))
                for row in reliability_curve(adult, said).itertuples()
            ],
        ),
        f"P(age >= t) never rises from t = 0 to 120, in whole years, for {falling.sum():,} of "
        f"{len(falling):,} faces.",
    ]


def calibration_rows(
    camera: str, said: npt.NDArray[np.float64], adult: npt.NDArray[np.bool_]
) -> list[tuple[str, ...]]:
    rng = np.random.default_rng(SEED)
    rows = []
    for name, sure in (("all", 0.0), (f"from {UNSURE:.0%} to {1 - UNSURE:.0%}", UNSURE)):
        chance = np.array(chance_errors(said, sure, rng))
        rows.append(
            (
                camera,
                name,
                f"{((said > sure) & (said < 1 - sure)).sum() if sure else len(said):,}",
                f"**{calibration_error(adult, said, sure=sure):.2%}**",
                f"{np.mean(chance):.2%}",
                f"{np.quantile(chance, 0.95):.2%}",
                f"{(chance <= WANTED).mean():.0%}",
            )
        )
    return rows


def describe_folds(
    kept: AgeCalibrator, folds: npt.NDArray[np.intp], alone: npt.NDArray[np.bool_]
) -> list[str]:
    """Judge each fold by what all others teach, and say how many people make the difference."""
    said, adult = np.empty(len(folds)), kept.ages_ >= LEGAL_AGE
    for fold in np.unique(folds):
        own = folds == fold
        asked = kept.predictions_[own].astype(float), kept.scales_[own].astype(float)
        said[own] = taught_by(kept, ~own).distribution(*asked).over(LEGAL_AGE)
    rng, rows = np.random.default_rng(SEED), []
    unsure = (said > UNSURE) & (said < 1 - UNSURE)
    everything = ("all", np.unique(folds))
    for name, some in [*((f"{fold}", [fold]) for fold in np.unique(folds)), everything]:
        use = alone & np.isin(folds, some)
        found = calibration_error(adult[use], said[use], sure=UNSURE)
        chance = chance_errors(said[use], UNSURE, rng)
        part = said[use & unsure]
        spread = np.sqrt((part * (1 - part)).sum())
        teenagers = (kept.ages_ >= TEENAGE) & ~adult & use
        likely = use & unsure & (said >= LIKELY)
        rows.append(
            (
                name,
                f"{teenagers.sum()}",
                f"{len(part):,}",
                f"**{found:.2%}**",
                f"{np.mean(chance):.2%}",
                f"{np.quantile(chance, 0.95):.2%}",
                f"{part.sum():.0f} ({spread:.0f})",
                f"{adult[use & unsure].sum()}",
                f"{likely.sum():,}",
                f"{said[likely].mean():.1%}",
                f"{adult[likely].mean():.1%}",
            )
        )
    return [
        "Each fold judged by what the seven others teach: probabilities between "
        f"{UNSURE:.0%} and {1 - UNSURE:.0%}, for photos like the ones learnt from. Beside the "
        "number of adults that the probabilities add up to stands its standard deviation by "
        "chance.",
        _page.table(
            [
                "fold",
                f"people from {TEENAGE} to {LEGAL_AGE - 1}",
                "photos",
                "off by",
                "by chance alone",
                "nineteen in twenty",
                "adults said",
                "adults",
                f"photos from {LIKELY:.0%}",
                "said",
                "adults",
            ],
            rows,
        ),
    ]


def chance_errors(said: npt.NDArray[np.float64], sure: float, rng: np.random.Generator) -> list:
    """Draw how far probabilities seem to be off that are right, among so many photos."""
    return [
        calibration_error(rng.random(len(said)) < said, said, sure=sure)
        for _ in range(N_DRAWS // 5)
    ]


def describe_challenges(ages: npt.NDArray[np.float64], distribution: AgeDistribution) -> list[str]:
    # Small children, of whom there are many, are never taken for adults; nobody sells them wine.
    teenage = ages >= TEENAGE
    rules = []
    for name, estimates, thresholds in [
        ("looks younger than {}", distribution.ages, CHALLENGE_AGES),
        (f"has P(age >= {LEGAL_AGE}) below {{}}", distribution.over(LEGAL_AGE), SURE),
    ]:
        everybody = challenge_ages(ages, estimates, LEGAL_AGE, thresholds)
        teenagers = challenge_ages(ages[teenage], estimates[teenage], LEGAL_AGE, thresholds)
        for row, teen in zip(everybody.itertuples(), teenagers.itertuples(), strict=True):
            rules.append(
                (
                    name.format(row.threshold),
                    f"{row.minors}",
                    percent(row.waved_through, row.waved_low, row.waved_high),
                    f"{teen.minors}",
                    percent(teen.waved_through, teen.waved_low, teen.waved_high),
                    f"{row.adults}",
                    percent(row.asked, row.asked_low, row.asked_high),
                )
            )
    by_age = challenge_ages(ages, distribution.ages, LEGAL_AGE, CHALLENGE_AGES, by_age=True)
    by_age = by_age[by_age["age"].between(10, 40)]
    return [
        _page.table(
            [
                "asked who",
                "minors",
                "waved through",
                f"aged {TEENAGE} to {LEGAL_AGE - 1}",
                "waved through",
                "adults",
                "asked",
            ],
            rules,
        ),
        "Share of people asked for a card, by true age:",
        _page.table(
            ["age", "people", *(f"challenge age {age}" for age in CHALLENGE_AGES)],
            [
                (
                    f"{age}",
                    f"{part['people'].iloc[0]}",
                    *(percent(row.asked, row.low, row.high) for row in part.itertuples()),
                )
                for age, part in by_age.groupby("age")
            ],
        ),
    ]


def describe_seventeen(
    ages: npt.NDArray[np.float64], distribution: AgeDistribution, labels: pd.DataFrame
) -> list[str]:
    table = minors_passing(ages, distribution.ages, labels)
    names = [*labels.columns]
    return [
        "NIST's false positive rate is for people of 17, by sex and region. The table says which "
        "of them are estimated to be 25 or older, group by group; each group has few people:",
        _page.table(
            [*names, "people", "passed", "share"],
            [
                (
                    *(getattr(row, name) for name in names),
                    f"{row.people}",
                    f"{row.passed}",
                    percent(row.share, row.low, row.high),
                )
                for row in table.itertuples()
            ],
        ),
    ]


def describe_groups(
    ages: npt.NDArray[np.float64], distribution: AgeDistribution, labels: pd.DataFrame
) -> list[str]:
    metrics = age_metrics(ages, distribution.ages, distribution, labels)
    gaps = fairness_gaps(ages, distribution.ages, labels, distribution)
    paragraphs = [
        "The largest gap between two groups, for each metric. Intervals hold for all pairs of "
        "groups at once. Groups of fewer than 30 photos are named in the last column, with their "
        "numbers of photos in parentheses, but not compared. "
        "By true age, any model that is not certain underestimates the old and overestimates the "
        "young; ranges keep their promise by predicted age, and from 13 to 24 years by true age. "
        "The people in the groups of sex and race differ in age, too: the gap at equal ages is the "
        "gap between the same two groups, standardised to the same ages.",
        _page.table(
            [
                "by",
                "metric",
                "lowest",
                "highest",
                "gap",
                "at equal ages",
                "beyond chance",
                "too few photos",
            ],
            [
                (
                    row.by,
                    row.metric,
                    row.lowest,
                    row.highest,
                    figure(row.metric, row.gap, row.low, row.high),
                    figure(row.metric, row.at_equal_ages, row.equal_low, row.equal_high),
                    "" if np.isnan(row.gap) else "yes" if row.certain else "no",
                    row.left_out,
                )
                for row in gaps.itertuples()
            ],
        ),
    ]
    for by, part in metrics.groupby("by", sort=False):
        names = list(dict.fromkeys(part["metric"]))
        rows = []
        for group, figures in part.groupby("group", sort=False):
            found = {
                row.metric: figure(row.metric, row.value, row.low, row.high)
                for row in figures.itertuples()
            }
            cells = [found.get(name, "") for name in names]
            rows.append((group, f"{figures['photos'].max()}", *cells))
        paragraphs.append(_page.table([by, "photos", *names], rows))
    return paragraphs


def figure(metric: str, value: float, low: float, high: float) -> str:
    """Write shares in percent, all else in years, and nothing where it is not known."""
    if np.isnan(value):
        return ""
    if metric in SHARES:
        return percent(value, low, high)
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def percent(value: float, low: float, high: float) -> str:
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()
