"""What a report says about a model: how far its ages are off, for whom, and what to do with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest

from ageboost.evaluation.metrics import bootstrap_interval, summarize_errors
from ageboost.evaluation.report.answers import COVERAGES, Answers
from ageboost.evaluation.report.blocks import (
    Gallery,
    GalleryItem,
    Note,
    Picture,
    Section,
    Table,
)
from ageboost.evaluation.report.collection import (
    LABEL_COLUMNS,
    NOT_LABELLED,
    Collection,
    age_groups,
)
from ageboost.evaluation.report.model_figures import (
    draw_challenge,
    draw_groups,
    draw_predictions,
    draw_shares,
)
from ageboost.models import write_card
from ageboost.models.estimator import AgeEstimator

__all__ = ["model_sections"]

_LEGAL_AGE = 18
_CHALLENGE_AGES = (21, 25, 30)
_TEENAGERS_FROM = 13
_NOMINAL = 0.9
_N_WORST = 12
# A mean over fewer photos says little about the next ones.
_FEW = 30


def model_sections(collection: Collection, model: AgeEstimator, answers: Answers) -> list[Section]:
    """Write the sections about a model.

    Parameters
    ----------
    collection : Collection
    model : AgeEstimator
        Fitted.
    answers : Answers
        For the photos with a face, in their order.

    Returns
    -------
    list of Section
    """
    table = collection.table[collection.table["status"] == "ok"]
    ages = table["age"].to_numpy()
    sections = [_errors(ages, answers), _errors_by_age(ages, answers)]
    if answers.intervals is not None and answers.adult is not None:
        sections += [_ranges(ages, answers), _adults(ages, answers.adult)]
    sections += [
        _fairness(collection, table.index.to_numpy(), ages, answers),
        _challenge(ages, answers.predicted),
        _worst(collection, table.index.to_numpy(), ages, answers),
        Section(
            "card",
            "The model's card",
            "What the model is, and what it must not be used for.",
            [Note(write_card(model), typed=True, title="Read the card")],
        ),
    ]
    return sections


def _errors(ages: npt.NDArray, answers: Answers) -> Section:
    found = summarize_errors(ages, answers.predicted)
    low, high = bootstrap_interval(np.abs(answers.predicted - ages))
    side = "old" if found["bias"] > 0 else "young"
    return Section(
        "errors",
        "Predicted and true ages",
        f"Predicted ages are off by {found['MAE']:.2f} years on average (95% range {low:.2f} to "
        f"{high:.2f}); {found['within 5 years']:.0%} are within 5 years. People are taken for "
        f"{abs(found['bias']):.1f} years too {side} on average.",
        [
            Picture.of_figure(
                draw_predictions(ages, answers.predicted),
                f"Predicted over true ages of {len(ages):,} people, one point each; the dashed "
                "line is where both are equal.",
            )
        ],
    )


def _errors_by_age(ages: npt.NDArray, answers: Answers) -> Section:
    table = _by_group(age_groups(ages), ages, answers)
    worst, best = table["MAE"].idxmax(), table["MAE"].idxmin()
    return Section(
        "errors-by-age",
        "Errors by age",
        f"Ages of people of {best} are off by {table['MAE'][best]:.1f} years, those of people of "
        f"{worst} by {table['MAE'][worst]:.1f}.",
        [
            Picture.of_figure(
                draw_groups(table), "Bars of the mean error by age group, as in the table below."
            ),
            _group_table("Errors by true age", "age", table),
        ],
    )


def _ranges(ages: npt.NDArray, answers: Answers) -> Section:
    assert answers.intervals is not None
    inside = (answers.intervals[..., 0] <= ages) & (ages <= answers.intervals[..., 1])
    shares = inside.mean(axis=1)
    nominal = COVERAGES.index(_NOMINAL)
    width = answers.intervals[nominal, :, 1] - answers.intervals[nominal, :, 0]
    bins = pd.Series(age_groups(answers.predicted))
    frame = pd.DataFrame({"inside": inside[nominal], "width": width})
    by_bin = frame.groupby(bins, observed=True).agg(["mean", "size"])
    rows = [
        [
            str(name),
            f"{row['inside', 'size']:,.0f}",
            f"{row['inside', 'mean']:.1%}",
            f"{row['width', 'mean']:.1f}",
        ]
        for name, row in by_bin.iterrows()
    ]
    gap = shares[nominal] - _NOMINAL
    verdict = "as promised" if abs(gap) < 0.02 else "more than promised" if gap > 0 else "too few"
    return Section(
        "ranges",
        "Ranges around predicted ages",
        f"Of the ranges that should hold 90% of true ages, {shares[nominal]:.1%} do: {verdict}. "
        f"They are {width.mean():.0f} years wide on average.",
        [
            Picture.of_figure(
                draw_shares(
                    np.array(COVERAGES), shares, ("share promised", "share of true ages inside")
                ),
                "Share of true ages inside their ranges over the share promised: "
                + ", ".join(
                    f"{share:.0%} for {level:.0%}"
                    for share, level in zip(shares, COVERAGES, strict=True)
                ),
            ),
            Table(
                "Ranges of 90%, by predicted age",
                ["predicted age", "photos", "true age inside", "mean width (years)"],
                rows,
            ),
        ],
    )


def _adults(ages: npt.NDArray, adult: npt.NDArray) -> Section:
    is_adult = ages >= _LEGAL_AGE
    bins = np.minimum((adult * 10).astype(int), 9)
    frame = pd.DataFrame({"said": adult, "is": is_adult}).groupby(bins).agg(["mean", "size"])
    said = frame["said", "mean"].to_numpy()
    found, counts = frame["is", "mean"].to_numpy(), frame["is", "size"].to_numpy()
    off = float(np.average(np.abs(said - found), weights=counts))
    rows = [
        [f"{10 * tenth}-{10 * tenth + 10}%", f"{count:,}", f"{mean:.1%}", f"{share:.1%}"]
        for tenth, count, mean, share in zip(frame.index, counts, said, found, strict=True)
    ]
    return Section(
        "adults",
        "How probable it is that somebody is 18 or older",
        f"The probability that somebody is 18 or older is off by {100 * off:.1f} percentage points "
        "on average, when people of like probability are taken together.",
        [
            Picture.of_figure(
                draw_shares(
                    said[counts >= _FEW],
                    found[counts >= _FEW],
                    ("probability said", "share who are 18 or older"),
                ),
                "Share of people who are 18 or older over the probability that the model said, "
                f"where there are {_FEW} photos or more, as in the table below; the dashed line is "
                "where both are equal.",
            ),
            Table(
                "People by the probability of being 18 or older",
                ["probability said", "photos", "mean said", "are 18 or older"],
                rows,
            ),
        ],
    )


def _fairness(
    collection: Collection, positions: npt.NDArray, ages: npt.NDArray, answers: Answers
) -> Section:
    tables = {
        name: _by_group(collection.labels(name).iloc[positions].to_numpy(), ages, answers)
        for name in LABEL_COLUMNS
        if name in collection.table
    }
    tables["age group"] = _by_group(age_groups(ages), ages, answers)
    gaps = {}
    for name, table in tables.items():
        enough = table["MAE"][table["photos"] >= _FEW].drop(NOT_LABELLED, errors="ignore")
        if len(enough) > 1:
            gaps[name] = (enough.max() - enough.min(), enough.idxmax(), enough.idxmin())
    if gaps:
        name = max(gaps, key=lambda name: gaps[name][0])
        gap, worst, best = gaps[name]
        finding = (
            f"The largest gap is by {name}: errors for {worst} are {gap:.1f} years larger than "
            f"for {best}."
        )
        others = [
            f"by {other}, {gap:.1f} years ({worst} against {best})"
            for other, (gap, worst, best) in gaps.items()
            if other != name
        ]
        if others:
            finding += f" Other gaps: {'; '.join(others)}."
    else:
        finding = "There are too few labelled groups of enough photos to compare."
    blocks: list[Picture | Table] = []
    for name, table in tables.items():
        if name == "age group":
            continue
        blocks += [
            Picture.of_figure(
                draw_groups(table), f"Bars of the mean error by {name}, as in the table below."
            ),
            _group_table(f"Errors by {name}", name, table),
        ]
    return Section("fairness", "Whom the model is worse for", finding, blocks)


def _challenge(ages: npt.NDArray, predicted: npt.NDArray) -> Section:
    minor = ages < _LEGAL_AGE
    title = "Whom to ask for an identity card"
    if not minor.any() or minor.all():
        return Section(
            "challenge", title, "There are photos of minors only, or of adults only, to tell this."
        )
    thresholds = np.arange(_LEGAL_AGE, 41, dtype=float)
    waved = np.array([(predicted[minor] >= threshold).mean() for threshold in thresholds])
    asked = np.array([(predicted[~minor] < threshold).mean() for threshold in thresholds])
    teenager = minor & (ages >= _TEENAGERS_FROM)
    rows = []
    for threshold in _CHALLENGE_AGES:
        at = int(threshold - thresholds[0])
        passed = predicted >= threshold
        # None of a hundred minors does not mean none of a thousand: draws of the hundred would.
        exact = binomtest(int(passed[minor].sum()), int(minor.sum())).proportion_ci(0.95)
        rows.append(
            [
                f"{threshold}",
                f"{waved[at]:.1%}",
                f"{exact.low:.1%} to {exact.high:.1%}",
                f"{passed[teenager].mean():.1%}" if teenager.any() else "none there",
                f"{asked[at]:.1%}",
            ]
        )
    at = 25 - _LEGAL_AGE
    return Section(
        "challenge",
        title,
        f"If everybody who looks under 25 is asked, {waved[at]:.1%} of the {minor.sum():,} minors "
        f"are waved through, and {asked[at]:.1%} of the {(~minor).sum():,} adults are asked.",
        [
            Picture.of_figure(
                draw_challenge(thresholds, waved, asked),
                "Share of adults who are asked, rising, and of minors who are waved through, "
                "falling, over the age under which people are asked, from 18 to 40.",
            ),
            Table(
                "Asked if the model says less than this age",
                [
                    "age",
                    "minors waved through",
                    "95% range",
                    f"of those from {_TEENAGERS_FROM} on",
                    "adults asked",
                ],
                rows,
            ),
            Note(
                "These shares are those of the people in these photos. A shop with other customers "
                "has other shares: minors near 18 are the ones that are mistaken."
            ),
        ],
    )


def _worst(
    collection: Collection, positions: npt.NDArray, ages: npt.NDArray, answers: Answers
) -> Section:
    errors = answers.predicted - ages
    order = np.argsort(-np.abs(errors), kind="stable")[:_N_WORST]
    pictures = collection.pictures([[int(positions[i])] for i in order])
    items = [
        GalleryItem(
            made,
            [
                f"labelled {ages[i]:g}, predicted {answers.predicted[i]:.0f}",
                collection.table["photo"].iloc[positions[i]],
            ],
        )
        for i, made in zip(order, pictures, strict=True)
    ]
    return Section(
        "worst",
        "The largest errors",
        f"The largest error is {np.abs(errors[order[0]]):.0f} years. Some of these are errors of "
        "labels: see the labels to look at.",
        [Gallery("Largest errors first", items)],
    )


def _by_group(names: Sequence[str], ages: npt.NDArray, answers: Answers) -> pd.DataFrame:
    errors = answers.predicted - ages
    frame = pd.DataFrame({"group": names, "error": errors, "absolute": np.abs(errors)})
    if answers.intervals is not None:
        low, high = answers.intervals[COVERAGES.index(_NOMINAL)].T
        frame["inside"] = (low <= ages) & (ages <= high)
    rows = {}
    for name, group in frame.groupby("group", observed=True):
        low, high = bootstrap_interval(group["absolute"])
        rows[name] = {
            "photos": len(group),
            "MAE": group["absolute"].mean(),
            "low": low,
            "high": high,
            "bias": group["error"].mean(),
            "inside": group["inside"].mean() if "inside" in group else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _group_table(caption: str, what: str, table: pd.DataFrame) -> Table:
    known = bool(table["inside"].notna().any())
    columns = [what, "photos", "mean error", "95% range", "bias"]
    rows = [
        [
            str(row.Index),
            f"{row.photos:,.0f}",
            f"{row.MAE:.2f}",
            f"{row.low:.2f} to {row.high:.2f}",
            f"{row.bias:+.2f}",
            *([f"{row.inside:.1%}"] if known else []),
        ]
        for row in table.itertuples()
    ]
    return Table(caption, columns + ["inside the 90% range"] * known, rows)
