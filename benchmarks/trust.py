"""How far the models that ship can be trusted: ranges, probabilities, age checks, groups.

Trains on folds 0 to 5 of UTKFace with the settings of a model that ships, and measures on folds 6
and 7, less photos with a byte-identical copy among those that train. Networks that were trained on
UTKFace are asked only for photos that they have not seen. Beside our ranges stand ranges of one
width for everybody, as wide as it takes to hold the same share of these very photos. Run it from
the root of the repository:

    python benchmarks/trust.py --model accurate --data UTKFACE --cache FOLDER --networks FOLDER

``--networks`` is the folder of ``train_networks.py``; the model ``classical`` does without.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import _page
import numpy as np
import numpy.typing as npt
import pandas as pd
from _data import add_data_arguments, read_data
from _features import cross_fitted_matrix
from train_pretrained import MODELS, SEED, make_estimator

from ageboost import AgeEstimator
from ageboost.evaluation import (
    UTKFACE_PROTOCOL,
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
from ageboost.features import FaceFeatures
from ageboost.models import AgeDistribution

COVERAGES = (0.5, 0.8, 0.9, 0.95)
LEGAL_AGE, TEENAGE = 18, 13
CHALLENGE_AGES = (21, 25, 30)
SURE = (0.95, 0.99)
N_DRAWS = 1000
SHARES = ("within 5 years", "inside", "P(adult) bias", "minors waved through", "adults asked")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--model", choices=MODELS, default="accurate")
    parser.add_argument("--networks", type=Path, help="folder of cross-fitted networks")
    parser.add_argument("--quick", action="store_true", help="one photo in ten, a smaller model")
    parser.add_argument("--out", type=Path, help="folder for trust-MODEL.md")
    options = parser.parse_args()
    table = read_data(options.data)
    train, test = UTKFACE_PROTOCOL.split(table.iloc[::10] if options.quick else table)
    estimator, matrix = fit(options, train, test)
    known = ~np.isnan(matrix[:, 0])
    test = test[known].reset_index(drop=True)
    distribution = estimator.age_regressor_.predict_distribution(matrix[known])
    summary = summarize_errors(test["age"], distribution.ages)
    text = [
        f"# How far `{options.model}` can be trusted",
        f"{estimator.n_photos_:,} photos train, {len(test):,} test; {(~known).sum()} more show no "
        f"face. MAE {summary['MAE']:.2f} years, RMSE {summary['RMSE']:.2f}, bias "
        f"{summary['bias']:+.2f}. In parentheses: 95 % intervals.",
        *describe(test["age"].to_numpy(), distribution, test[["sex", "race"]]),
    ]
    if options.quick:
        text.insert(1, "One photo in ten and a smaller model: a try, no figure to quote.")
    print("\n\n".join(text))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"trust-{options.model}.md"
        path.write_text("\n\n".join(text) + "\n", "utf-8")


def fit(
    options: argparse.Namespace, train: pd.DataFrame, test: pd.DataFrame
) -> tuple[AgeEstimator, npt.NDArray[np.float32]]:
    """Fit the model on photos that train; give it with the features of those that test."""
    with tempfile.TemporaryDirectory() as scratch:
        features = FaceFeatures(
            options.model, cache=options.cache or scratch, n_jobs=options.jobs, on_error="nan"
        )
        matrix = cross_fitted_matrix(features, train, options.networks)
        test_matrix = features.transform(test["photo"].tolist())
    estimator = make_estimator(options.model, options.jobs)
    if options.quick:
        estimator.set_params(
            reduction__n_centers=500,
            regressor__xgboost__n_estimators=200,
            regressor__catboost__iterations=200,
        )
    known = ~np.isnan(matrix[:, 0])
    start = time.perf_counter()
    estimator.fit_features(matrix[known], train["age"].to_numpy()[known])
    print(f"fitted in {time.perf_counter() - start:.0f} s", flush=True)
    return estimator, test_matrix


def describe(
    ages: npt.NDArray[np.float64], distribution: AgeDistribution, labels: pd.DataFrame
) -> list[str]:
    """Write all sections, as paragraphs of Markdown."""
    return [
        "## Do ranges hold what they promise?",
        *describe_ranges(ages, distribution),
        f"## Do probabilities of being {LEGAL_AGE} or older come true?",
        *describe_probabilities(ages, distribution),
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
    by_age, rows = [], counted[(counted["coverage"] == 0.9) & (counted["by"] != "all")]
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
        f"Ranges of one width that hold as many of these photos ({rival.mean():.1%}, where 90 % "
        f"are promised) are {rival_width:.1f} years wide on average, ours {width:.1f}: the ratio "
        f"is {width / rival_width:.2f}.",
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


def describe_probabilities(
    ages: npt.NDArray[np.float64], distribution: AgeDistribution
) -> list[str]:
    said, adult = distribution.over(LEGAL_AGE), ages >= LEGAL_AGE
    rng = np.random.default_rng(SEED)
    # Even probabilities that are right differ from the shares counted among some photos.
    chance = [calibration_error(rng.random(len(said)) < said, said) for _ in range(N_DRAWS // 5)]
    cuts = np.arange(0, 121)
    falling = (np.diff(distribution.over(cuts), axis=1) <= 0).all(axis=1)
    return [
        f"Expected calibration error of P(age >= {LEGAL_AGE}), ten bins: "
        f"**{calibration_error(adult, said):.2%}**. Probabilities that are exactly right would "
        f"give {np.mean(chance):.2%} on as many photos, and at most "
        f"{np.quantile(chance, 0.95):.2%} nineteen times in twenty.",
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
        "Share of people asked, by true age:",
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
        "NIST's false positive rate is of people of 17, by sex and region. Who of them is "
        "estimated to be 25 or older, group by group, of whom there are few each:",
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
        "The largest gap of each metric between two groups. Intervals hold for all pairs of groups "
        "at once. Groups of fewer than 30 photos, which are counted in parentheses, are not "
        "compared. By true age, ages of the old are estimated too low and of the young too high by "
        "any model that is not sure of them; ranges make their promise by predicted age. Sexes and "
        "races differ in how old their people are, too: the gap at equal ages is that between the "
        "same two groups, standardised to the same ages.",
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
