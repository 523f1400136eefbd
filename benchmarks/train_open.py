"""Train the model that a business may use, `open`, and write its card.

Its networks are taken as they come, and what is learnt comes from photos that anybody may use: the
sources `london`, `congress` and `congress_grey` of the folder of other sources. Powers and the
correction are chosen among these; folds 6 and 7 of UTKFace and FG-NET only measure what comes of
it. Run it from the root of the repository:

    python benchmarks/train_open.py --elsewhere FOLDER --data UTKFACE

It takes some minutes on two cores, most of them for measuring.
"""

from __future__ import annotations

import argparse
import platform
from datetime import date
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from _data import add_data_arguments, add_elsewhere_argument, read_data
from _degrade import degrade

import ageboost
from ageboost.datasets import read_sources
from ageboost.evaluation import UTKFACE_PROTOCOL, bootstrap_interval
from ageboost.features import FaceFeatures
from ageboost.models import (
    BorrowedCalibrator,
    OpinionPool,
    PoolSpread,
    choose_quality_threshold,
    relative_errors,
)
from ageboost.models.opinion_pool import pool_shares

FOLDER = Path(ageboost.__file__).parent / "models" / "pretrained"
SOURCES = ["london", "congress", "congress_grey"]
# Two sources are portraits of Congress: together they count as much as the other.
SHARES = {"london": 0.5, "congress": 0.25, "congress_grey": 0.25}
SEED = 0
SUMS, PARTS = (1.0, 1.25, 1.5, 1.75, 2.0), (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
STARTS, ALPHAS = (20.0, 30.0, 40.0), (10.0, 30.0, 100.0, np.inf)
N_WORTH = 300
AGES = [(0, 12), (13, 17), (18, 24), (25, 34), (35, 44), (45, 59), (60, 116)]

CARD = """# The model `open`

Estimates the age of a person, in years, from a photo of the face, with a range that should hold the
true age nine times in ten at a camera that it has not met.
`ageboost.load_pretrained("open")` loads it. A business may use it.

## Terms

{terms}

Nothing was learnt here from UTKFace, FG-NET or iBUG 300-W: the first two serve to measure it below.
What its makers learnt from is theirs to know: {memory}

## What it is

Two networks that were trained on ages, as they come and on the chips that they were trained on:
`dlib-age` (photo and mirror image) and `mobilenet-age`, on faces aligned by 5 landmarks. Their
probabilities of each year are raised to the powers {powers[0]:g} and {powers[1]:g} and multiplied.
Ages above {start:g} are raised by {extra:.1%} of what they are above it, since networks
underestimate the old. The powers and this slope are all that was learnt, from {n_photos} photos of
{n_people} people of 19 to 78 years, {date}, by `python benchmarks/train_open.py`, seed {seed},
with {versions}.

**Nobody taught it children**, nor anybody under 19: their ages are what the networks make of them.
What it reaches there all the same stands below. With photos of your own camera,
`ageboost calibrate open LABELS --out MINE` makes ranges and probabilities true for it, and some
thousand train a better model: `ageboost train LABELS --commercial --out MINE`.

## How far it is off

| photos | number | MAE (95 % interval) | bias | inside the 90 % range | mean width | no face |
| --- | --- | --- | --- | --- | --- | --- |
{by_source}

In the first three rows each source was left out of everything, choices included; their ranges rest
on two sources, from which little is known of a third, and are much wider than those of the model.
The other rows are of collections from which nothing was learnt here. Congress is measured against
the middle of the window in which the age lies. Intervals resample people.

{by_age}

Ranges come from errors of sources left out, with an allowance for the shift of a new camera, and
are taken to be as wide, in units of what the networks are unsure of, at every age. {unreliable}

## How its choices were made

{choices}

## What it must not be used for

- To accuse anybody. One photo proves nothing: the range is wide, and widest where it matters. The
  law asks for an identity card, not for a guess.
- To identify or follow people, or to judge anything other than age.
- On children, old people or any group, without measuring its error there first: see the tables.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    parser.add_argument("--photos", type=int, help="measure on so many photos of UTKFace only")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder (default: the package's)")
    options = parser.parse_args()
    features = FaceFeatures("open", cache=options.cache, n_jobs=options.jobs, on_error="nan")
    table = read_sources(options.elsewhere, sources=SOURCES)
    # Ages are years completed, as wherever else they are learnt from.
    table["years"] = np.floor(table["age"])
    matrix, qualities = measure_faces(features, table["photo"].tolist())
    known = ~np.isnan(matrix[:, 0])
    table, matrix = table[known].reset_index(drop=True), matrix[known]
    powers, power_table = choose_powers(matrix, table)
    start, alpha, correction_table = choose_correction(matrix, table, powers)
    estimator = ageboost.AgeEstimator(
        "open",
        reduction=None,
        regressor=OpinionPool(powers, start, alpha),
        interval_folds=None,
        on_error="nan",
        random_state=SEED,
        commercial=True,
    )
    weight = weights(table)
    estimator.fit_features(matrix, table["years"], weight, terms=SOURCES)
    print(f"powers {powers}, start {start}, alpha {alpha}, slope {estimator.regressor_.slope_:.4f}")
    left_out, ranges = leave_sources_out(matrix, table)
    estimator.calibration_ = borrow(estimator, matrix, table, left_out)
    threshold, n_worse = choose_threshold(estimator, table, matrix, qualities[known])
    estimator.quality_threshold_ = threshold
    path = options.out / "open.ageboost"
    estimator.save(path)
    rows, ages_told = [], []
    for name, part in table.groupby("source"):
        rows.append(describe(name, part, left_out[part.index], ranges[part.index], 0.0))
    measured = {"FG-NET": read_sources(options.elsewhere, sources=["fgnet"])}
    _, test = UTKFACE_PROTOCOL.split(read_data(options.data))
    if options.photos is not None:
        test = test.sample(options.photos, random_state=SEED)
    measured["UTKFace, folds 6 and 7"] = test.assign(subject=test["photo"])
    for name, part in measured.items():
        part = part.reset_index(drop=True)
        found, _ = measure_faces(features, part["photo"].tolist())
        seen = ~np.isnan(found[:, 0])
        estimated = estimator.age_regressor_.predict_distribution(found[seen])
        kept, interval = part[seen].reset_index(drop=True), estimated.interval(0.9)
        rows.append(describe(name, kept, estimated.ages, interval, 1 - seen.mean()))
        ages_told.append(describe_ages(name, kept, estimated.ages, interval, estimated.over(18)))
    packages = ("ageboost", "numpy", "onnxruntime", "scikit-learn")
    card = CARD.format(
        terms=estimator.terms.to_markdown(),
        powers=powers,
        start=start,
        extra=estimator.regressor_.slope_ - 1,
        n_photos=len(table),
        n_people=table["subject"].nunique(),
        date=date.today().strftime("%B %Y"),
        seed=SEED,
        versions=", ".join(
            [f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in packages)]
        ),
        memory=describe_memory(estimator, features, options.elsewhere),
        by_source="\n".join(rows),
        by_age="\n\n".join(ages_told),
        unreliable=describe_threshold(threshold, n_worse),
        choices=f"{power_table}\n\n{correction_table}",
    )
    path.with_suffix(".md").write_text(card, "utf-8")
    print(card)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def measure_faces(features: FaceFeatures, photos: list[object]) -> tuple[np.ndarray, np.ndarray]:
    """Compute features and qualities; NaN and None for photos without a face."""
    matrix = np.full((len(photos), len(features.get_feature_names_out())), np.nan, np.float32)
    qualities = np.full(len(photos), np.nan)
    for batch in features.extract(photos):
        matrix[batch.owners] = batch.matrix
        qualities[batch.owners] = [quality.overall for quality in batch.qualities]
    return matrix, qualities


def weights(table: pd.DataFrame) -> np.ndarray:
    """Weigh photos so that sources count by their shares, and all as much as so many photos."""
    counts = table["source"].map(table["source"].value_counts())
    shares = table["source"].map(SHARES)
    return (N_WORTH * shares / counts).to_numpy() / sum(SHARES[s] for s in set(table["source"]))


def choose_powers(matrix: np.ndarray, table: pd.DataFrame) -> tuple[tuple[float, float], str]:
    """Choose the powers of the pool by the probability of the true ages.

    Among those within one standard error of the best, networks count as much alike as can be.
    """
    years = table["years"].to_numpy(int)
    weight = weights(table) / N_WORTH
    tried = []
    for total, part in product(SUMS, PARTS):
        powers = (round(total * part, 4), round(total * (1 - part), 4))
        shares = pool_shares(matrix.astype(np.float64), powers)
        losses = -np.log(shares[np.arange(len(years)), years])
        tried.append((float(weight @ losses), part, powers, losses))
    best = min(tried, key=lambda found: found[0])
    within = []
    for loss, part, powers, losses in tried:
        by_person = pd.Series(weight * (losses - best[3])).groupby(table["subject"]).sum()
        if loss - best[0] <= np.sqrt((by_person**2).sum()):
            within.append((part, -loss, powers))
    _, minus_loss, powers = max(within)
    lines = [
        "Powers: minus the mean logarithm of the probability of the true year, by the first "
        "network's part of the powers (rows) and their sum (columns); the best is "
        f"{best[0]:.3f}, and {-minus_loss:.3f} with networks as much alike as one standard error "
        "allows was taken.",
        "",
        f"| part of `dlib-age` | {' | '.join(f'sum {total:g}' for total in SUMS)} |",
        f"| --- |{' --- |' * len(SUMS)}",
    ]
    for part in PARTS:
        losses_of = [
            next(
                loss
                for loss, p, powers_of, _ in tried
                if p == part and abs(sum(powers_of) - total) < 1e-9
            )
            for total in SUMS
        ]
        lines.append(f"| {part:g} | {' | '.join(f'{loss:.3f}' for loss in losses_of)} |")
    return powers, "\n".join(lines)


def choose_correction(
    matrix: np.ndarray, table: pd.DataFrame, powers: tuple[float, float]
) -> tuple[float, float, str]:
    """Choose where the correction begins and how much it is held back, sources left out."""
    lines = [
        "Correction: MAE of each source, left out of the slope, by where the correction begins and "
        "the penalty (`inf` is none at all).",
        "",
        f"| start | penalty | {' | '.join(SOURCES)} | mean |",
        f"| --- | --- |{' --- |' * len(SOURCES)} --- |",
    ]
    best = None
    ages, sources = table["age"].to_numpy(), table["source"].to_numpy()
    for start, alpha in product(STARTS, ALPHAS):
        errors = np.empty(len(table))
        for source in sorted(set(sources)):
            rest = sources != source
            pool = fit_pool(OpinionPool(powers, start, alpha), matrix[rest], table[rest])
            errors[~rest] = np.abs(pool.predict(matrix[~rest]) - ages[~rest])
        by_source = {s: errors[sources == s].mean() for s in SOURCES if (sources == s).any()}
        total = sum(SHARES[s] * value for s, value in by_source.items())
        total /= sum(SHARES[s] for s in by_source)
        if best is None or total < best[0]:
            best = (total, start, alpha)
        if len(by_source) == len(SOURCES):
            values = " | ".join(f"{by_source[s]:.2f}" for s in SOURCES)
            lines.append(f"| {start:g} | {alpha:g} | {values} | {total:.3f} |")
    return best[1], best[2], "\n".join(lines)


def fit_pool(pool: OpinionPool, matrix: np.ndarray, table: pd.DataFrame) -> OpinionPool:
    if np.isinf(pool.alpha):
        pool.set_params(alpha=1e12)
    return pool.fit(matrix, table["years"], weights(table))


def leave_sources_out(matrix: np.ndarray, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Estimate ages and ranges of each source by a model that saw nothing of it."""
    ages, ranges = np.empty(len(table)), np.empty((len(table), 2))
    sources = table["source"].to_numpy()
    for source in sorted(set(sources)):
        rest = sources != source
        others = table[rest].reset_index(drop=True)
        powers, _ = choose_powers(matrix[rest], others)
        start, alpha, _ = choose_correction(matrix[rest], others, powers)
        pool = fit_pool(OpinionPool(powers, start, alpha), matrix[rest], others)
        ages[~rest] = pool.predict(matrix[~rest])
        within = np.empty(rest.sum())
        for other in set(others["source"]):
            inner = (others["source"] != other).to_numpy()
            inner_pool = fit_pool(
                OpinionPool(powers, start, alpha), matrix[rest][inner], others[inner]
            )
            within[~inner] = inner_pool.predict(matrix[rest][~inner])
        calibrator = BorrowedCalibrator().borrow(
            within,
            others["years"].to_numpy(),
            PoolSpread(powers),
            matrix[rest],
            others["source"].to_numpy(),
        )
        ranges[~rest] = calibrator.predict(matrix[~rest], ages[~rest]).interval(0.9)
        print(f"without {source}: powers {powers}, start {start}, alpha {alpha}", flush=True)
    return ages, ranges


def borrow(
    estimator: ageboost.AgeEstimator, matrix: np.ndarray, table: pd.DataFrame, left_out: np.ndarray
) -> BorrowedCalibrator:
    powers = estimator.regressor_.powers
    return BorrowedCalibrator(random_state=SEED).borrow(
        left_out,
        table["years"].to_numpy(),
        PoolSpread(powers),
        matrix,
        table["source"].to_numpy(),
    )


def choose_threshold(
    estimator: ageboost.AgeEstimator, table: pd.DataFrame, matrix: np.ndarray, qualities: np.ndarray
) -> tuple[float, int]:
    """Find the quality under which ages are much further off, with photos made worse as well."""
    rng = np.random.default_rng(SEED)
    photos = [degrade(ageboost.read_photo(photo), rng) for photo in table["photo"]]
    worse, seen = measure_faces(estimator.features_, photos)
    found = ~np.isnan(worse[:, 0])
    ages = table["years"].to_numpy()
    errors = relative_errors(
        estimator.age_regressor_.predict(np.concatenate([matrix, worse[found]])),
        np.concatenate([ages, ages[found]]),
    )
    threshold = choose_quality_threshold(errors, np.concatenate([qualities, seen[found]]))
    return threshold, int(found.sum())


def describe_threshold(threshold: float, n_worse: int) -> str:
    if threshold == 0:
        return f"No {n_worse} photos made small, blurred or dark were far worse than the others."
    return (
        f"Faces of a quality below {threshold:.2f} should not be relied on (`reliable` in "
        f"`analyze`): learnt from the same photos and {n_worse} made small, blurred or dark."
    )


def describe_memory(estimator: ageboost.AgeEstimator, features: FaceFeatures, folder: Path) -> str:
    """Compare how often networks hit the very year, which they can where they have seen it."""
    table = read_sources(folder)
    matrix, _ = measure_faces(features, table["photo"].tolist())
    known = ~np.isnan(matrix[:, 0])
    table, matrix = table[known], matrix[known].reshape(known.sum(), 2, -1)
    hit = matrix.argmax(axis=2) == np.floor(table["age"].to_numpy())[:, None]
    fgnet = (table["source"] == "fgnet").to_numpy()
    pool = OpinionPool((0.0, sum(estimator.regressor_.powers)), estimator.regressor_.start)
    pool.slope_, pool.n_features_in_ = estimator.regressor_.slope_, matrix[0].size
    errors = pool.predict(matrix[fgnet].reshape(fgnet.sum(), -1)) - table["age"][fgnet]
    return (
        f"`dlib-age` gives the very year of {hit[fgnet, 0].mean():.0%} of FG-NET's photos and of "
        f"{hit[~fgnet, 0].mean():.0%} of the others (`mobilenet-age`: "
        f"{hit[fgnet, 1].mean():.0%} and {hit[~fgnet, 1].mean():.0%}), so it must have met FG-NET "
        "among the private photos it was trained on. The figures for FG-NET are therefore better "
        f"than those for a new camera: without `dlib-age`, its MAE is {errors.abs().mean():.2f} "
        f"years, its bias {errors.mean():+.2f}."
    )


def describe(
    name: str, table: pd.DataFrame, ages: np.ndarray, interval: np.ndarray, missed: float
) -> str:
    errors = ages - table["age"].to_numpy()
    low, high = person_interval(np.abs(errors), table["subject"])
    years = np.floor(table["age"].to_numpy())
    inside = (interval[:, 0] <= years) & (years <= interval[:, 1])
    return (
        f"| {name} | {len(table):,} | {np.abs(errors).mean():.2f} ({low:.2f}-{high:.2f}) | "
        f"{errors.mean():+.2f} | {inside.mean():.1%} | {np.diff(interval).mean():.1f} | "
        f"{missed:.1%} |"
    )


def person_interval(errors: np.ndarray, subjects: pd.Series) -> tuple[float, float]:
    """95 % interval of a mean, people drawn with all their photos."""
    if subjects.is_unique:
        return bootstrap_interval(errors)
    codes, names = pd.factorize(subjects.to_numpy())
    sums, counts = np.bincount(codes, errors), np.bincount(codes)
    drawn = np.random.default_rng(SEED).integers(len(names), size=(2000, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return tuple(np.quantile(means, [0.025, 0.975]))


def describe_ages(
    name: str, table: pd.DataFrame, ages: np.ndarray, interval: np.ndarray, adult: np.ndarray
) -> str:
    lines = [
        f"| {name}, age | photos | MAE | bias | inside the 90 % range | mean P(18 or older) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    truth = table["age"].to_numpy()
    inside = (interval[:, 0] <= truth) & (truth <= interval[:, 1])
    for youngest, oldest in AGES:
        part = (truth >= youngest) & (truth < oldest + 1)
        if part.any():
            errors = ages[part] - truth[part]
            lines.append(
                f"| {youngest}-{oldest} | {part.sum()} | {np.abs(errors).mean():.2f} | "
                f"{errors.mean():+.2f} | {inside[part].mean():.1%} | {adult[part].mean():.1%} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
