"""What a report says about a model: how far its ages are off, for whom, and what to do with it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._pages.blocks import Gallery, GalleryItem, Note, Picture, Section, Table
from ageboost._pages.figures import report_figure
from ageboost.evaluation.challenge import challenge_ages
from ageboost.evaluation.coverage import interval_coverage
from ageboost.evaluation.explanation import explain
from ageboost.evaluation.group_metrics import age_metrics, fairness_gaps
from ageboost.evaluation.metrics import (
    bootstrap_interval,
    calibration_error,
    reliability_curve,
    summarize_errors,
)
from ageboost.evaluation.plots import (
    plot_challenge_ages,
    plot_coverage,
    plot_errors_by_age,
    plot_fairness,
    plot_predictions,
    plot_reliability,
)
from ageboost.evaluation.report.answers import Answers
from ageboost.evaluation.report.collection import LABEL_COLUMNS, NOT_LABELLED, Collection
from ageboost.models import AgeDistribution, write_card
from ageboost.models.estimator import AgeEstimator

__all__ = ["model_sections"]

_LEGAL_AGE = 18
_CHALLENGE_AGES = (21, 25, 30)
_TEENAGERS_FROM = 13
_NOMINAL = 0.9
_SURE = 0.02
_RANGE_COLUMNS = ("photos", "true age inside", "95% interval", "mean width (years)")
_N_WORST, _N_EXPLAINED = 12, 4


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
    positions = np.flatnonzero(collection.table["status"] == "ok")
    ages = collection.table["age"].to_numpy()[positions]
    predicted, distribution = answers.predicted, answers.distribution
    groups = pd.DataFrame(
        {
            name: collection.labels(name).iloc[positions].replace(NOT_LABELLED, None).to_numpy()
            for name in LABEL_COLUMNS
            if name in collection.table
        },
        index=range(len(ages)),
    )
    metrics = age_metrics(ages, predicted, distribution, groups)
    sections = [_errors(ages, predicted), _errors_by_age(ages, predicted, metrics)]
    if distribution is not None:
        sections += [_ranges(ages, distribution), _adults(ages, distribution)]
    return [
        *sections,
        _fairness(ages, predicted, groups, metrics),
        _challenge(ages, predicted),
        _worst(collection, positions, ages, predicted, model),
        Section(
            "card",
            "The model's card",
            "What the model is, and what it must not be used for.",
            [Note(write_card(model), typed=True, title="Read the card")],
        ),
    ]


def _errors(ages: npt.NDArray, predicted: npt.NDArray) -> Section:
    found = summarize_errors(ages, predicted)
    low, high = bootstrap_interval(np.abs(predicted - ages))
    side = "overestimated" if found["bias"] > 0 else "underestimated"
    with report_figure((5.6, 5.2)) as figure:
        plot_predictions(ages, predicted, figure.subplots())
    return Section(
        "errors",
        "Predicted and true ages",
        f"Predicted ages are off by {found['MAE']:.2f} years on average (95% interval {low:.2f} to "
        f"{high:.2f}); {found['within 5 years']:.0%} are within 5 years. Ages are {side} "
        f"by {abs(found['bias']):.1f} years on average.",
        [
            Picture.of_figure(
                figure,
                f"Predicted over true ages of {len(ages):,} people, one point each; the dashed "
                "line is where both are equal.",
            )
        ],
    )


def _errors_by_age(ages: npt.NDArray, predicted: npt.NDArray, metrics: pd.DataFrame) -> Section:
    errors = _values(metrics, "age group", "MAE")
    worst, best = errors.idxmax(), errors.idxmin()
    with report_figure((6.4, 3.8)) as figure:
        plot_errors_by_age(ages, predicted, figure.subplots())
    return Section(
        "errors-by-age",
        "Errors by age",
        f"Ages of people of {best} are off by {errors[best]:.1f} years, those of people of "
        f"{worst} by {errors[worst]:.1f}.",
        [
            Picture.of_figure(
                figure, "Mean absolute error and bias by age group, as in the table below."
            ),
            _group_table("Errors by true age", "age group", metrics),
        ],
    )


def _ranges(ages: npt.NDArray, distribution: AgeDistribution) -> Section:
    counted = interval_coverage(ages, distribution, [_NOMINAL])
    [everybody] = counted[counted["by"] == "all"].itertuples()
    by_age = counted[counted["by"] == "predicted age"]
    gap = everybody.inside - _NOMINAL
    verdict = "as promised" if abs(gap) < 0.02 else "more than promised" if gap > 0 else "too few"
    finding = (
        f"Of the ranges that should hold 90% of true ages, {everybody.inside:.1%} do: {verdict}. "
        f"They are {everybody.width:.0f} years wide on average."
    )
    narrow = by_age[by_age["high"] < _NOMINAL]
    if len(narrow):
        finding += f" Around predicted ages of {', '.join(narrow['group'])} they are too narrow."
    with report_figure((4.6, 4.2)) as figure:
        plot_coverage(ages, distribution, ax=figure.subplots())
    of_the_young = counted[counted["by"] == "true age"]
    young = [
        Table(
            "Ranges of 90%, by true age from 13 to 25",
            ["true age", *_RANGE_COLUMNS, "bias (years)"],
            [
                [*cells, f"{bias:+.1f}"]
                for cells, bias in zip(
                    _range_cells(of_the_young), of_the_young["bias"], strict=True
                )
            ],
        )
    ]
    return Section(
        "ranges",
        "Ranges around predicted ages",
        finding,
        [
            Picture.of_figure(
                figure,
                "Share of true ages inside their ranges over the share promised, from 50% to 95%; "
                f"for 90% it is {everybody.inside:.1%}. The dashed line is where both are equal.",
            ),
            Table(
                "Ranges of 90%, by predicted age",
                ["predicted age", *_RANGE_COLUMNS],
                _range_cells(by_age),
            ),
            *(young if len(of_the_young) else []),
        ],
    )


def _range_cells(counted: pd.DataFrame) -> list[list[str]]:
    return [
        [
            row.group,
            f"{row.photos:,}",
            f"{row.inside:.1%}",
            f"{row.low:.1%} to {row.high:.1%}",
            f"{row.width:.1f}",
        ]
        for row in counted.itertuples()
    ]


def _adults(ages: npt.NDArray, distribution: AgeDistribution) -> Section:
    adult = distribution.over(_LEGAL_AGE)
    off = calibration_error(ages >= _LEGAL_AGE, adult)
    unsure = calibration_error(ages >= _LEGAL_AGE, adult, sure=_SURE)
    finding = (
        f"The probability that somebody is {_LEGAL_AGE} or older is off by {100 * off:.1f} "
        "percentage points on average, when people of like probability are taken together"
    )
    if not np.isnan(unsure):
        finding += (
            f"; by {100 * unsure:.1f} among those of whom it is between {_SURE:.0%} and "
            f"{1 - _SURE:.0%}"
        )
    with report_figure((4.6, 4.2)) as figure:
        plot_reliability(ages >= _LEGAL_AGE, adult, figure.subplots())
    rows = [
        [
            f"{row.probability:.1%}",
            f"{row.photos:,}",
            f"{row.share:.1%}",
            f"{row.low:.1%} to {row.high:.1%}",
        ]
        for row in reliability_curve(ages >= _LEGAL_AGE, adult).itertuples()
    ]
    return Section(
        "adults",
        "How probable it is that somebody is 18 or older",
        f"{finding}.",
        [
            Picture.of_figure(
                figure,
                "Share of people who are 18 or older over the probability that the model said, as "
                "in the table below; the dashed line is where both are equal.",
            ),
            Table(
                "People by the probability of being 18 or older",
                ["mean probability said", "photos", "are 18 or older", "95% interval"],
                rows,
            ),
        ],
    )


def _fairness(
    ages: npt.NDArray, predicted: npt.NDArray, groups: pd.DataFrame, metrics: pd.DataFrame
) -> Section:
    gaps = fairness_gaps(ages, predicted, groups)
    largest = [
        f"by {row.by} (errors for {row.highest} are {row.gap:.1f} years larger than for "
        f"{row.lowest}{'' if row.certain else ', which can be chance'}"
        + ("" if np.isnan(row.at_equal_ages) else f"; {row.at_equal_ages:+.1f} at equal ages")
        + ")"
        for row in gaps[gaps["metric"] == "MAE"].dropna(subset="gap").itertuples()
    ]
    finding = "There are too few labelled groups of enough photos to compare."
    if largest:
        finding = f"The largest gap is {largest[0]}."
    if largest[1:]:
        finding += f" Others: {'; '.join(largest[1:])}."
    n_groups = len(metrics.drop_duplicates(["by", "group"]))
    with report_figure((6.4, 1.0 + 0.3 * n_groups)) as figure:
        plot_fairness(ages, predicted, groups, ax=figure.subplots())
    tables = [_group_table(f"Errors by {name}", name, metrics) for name in groups]
    return Section(
        "fairness",
        "Whom the model is worse for",
        finding,
        [
            Picture.of_figure(
                figure,
                "Mean absolute error of each group with its 95% interval; the dotted line is that "
                "of everybody. The tables give the numbers.",
            ),
            *tables,
        ],
    )


def _challenge(ages: npt.NDArray, predicted: npt.NDArray) -> Section:
    minor = ages < _LEGAL_AGE
    title = "Whom to ask for an identity card"
    if not minor.any() or minor.all():
        return Section(
            "challenge",
            title,
            "All photos are of minors, or all of adults: this cannot be measured.",
        )
    challenged = challenge_ages(ages, predicted, _LEGAL_AGE, _CHALLENGE_AGES)
    older = ages >= _TEENAGERS_FROM
    teenagers = challenge_ages(ages[older], predicted[older], _LEGAL_AGE, _CHALLENGE_AGES)
    rows = [
        [
            f"{row.threshold}",
            f"{row.waved_through:.1%}",
            f"{row.waved_low:.1%} to {row.waved_high:.1%}",
            "none there" if np.isnan(passed) else f"{passed:.1%}",
            f"{row.asked:.1%}",
        ]
        for row, passed in zip(challenged.itertuples(), teenagers["waved_through"], strict=True)
    ]
    middle = challenged.set_index("threshold").loc[25]
    with report_figure((6.4, 3.6)) as figure:
        plot_challenge_ages(ages, predicted, _LEGAL_AGE, figure.subplots())
    return Section(
        "challenge",
        title,
        f"If everybody who looks under 25 is asked, {middle['waved_through']:.1%} of the "
        f"{minor.sum():,} minors are waved through, and {middle['asked']:.1%} of the "
        f"{(~minor).sum():,} adults are asked.",
        [
            Picture.of_figure(
                figure,
                "Share of adults who are asked, rising, and of minors who are waved through, "
                "falling, over the age under which people are asked, from 18 to 40.",
            ),
            Table(
                "Asked if the model says less than this age",
                [
                    "age",
                    "minors waved through",
                    "95% interval",
                    f"of those from {_TEENAGERS_FROM} on",
                    "adults asked",
                ],
                rows,
            ),
            Note(
                "These shares are those of the people in these photos. A shop with other customers "
                "has other shares: errors mostly concern minors near 18."
            ),
        ],
    )


def _worst(
    collection: Collection,
    positions: npt.NDArray,
    ages: npt.NDArray,
    predicted: npt.NDArray,
    model: AgeEstimator,
) -> Section:
    errors = np.abs(predicted - ages)
    order = np.argsort(-errors, kind="stable")[:_N_WORST]
    pictures = collection.pictures([[int(positions[i])] for i in order])
    items = [
        GalleryItem(
            made,
            [
                f"labelled {ages[i]:g}, predicted {predicted[i]:.0f}",
                collection.table["photo"].iloc[positions[i]],
            ],
        )
        for i, made in zip(order, pictures, strict=True)
    ]
    return Section(
        "worst",
        "The largest errors",
        f"The largest error is {errors[order[0]]:.0f} years. Some of these are errors of labels: "
        "see the labels to look at.",
        [
            Gallery("Largest errors first", items),
            *_reasons(collection, [int(positions[i]) for i in order[:_N_EXPLAINED]], model),
        ],
    )


def _reasons(
    collection: Collection, positions: list[int], model: AgeEstimator
) -> list[Picture | Table | Note]:
    """Describe which parts of a face its age came from."""
    try:
        found = [explain(model, collection.photos[position]) for position in positions]
    except ValueError as error:
        return [Note(f"Why these ages: {error}.")]
    names = [str(collection.table["photo"].iloc[position]) for position in positions]
    rows = [
        [
            name,
            f"{reasons.base_value:.1f}",
            *(f"{years:+.1f}" for years in reasons.regions),
            f"{reasons.prediction:.1f}",
        ]
        for name, reasons in zip(names, found, strict=True)
    ]
    table = Table(
        "Why: years from each part of the face, which add up to the predicted age",
        ["photo", "on average", *found[0].regions.index, "predicted"],
        rows,
    )
    if not collection.with_photos:
        return [table]
    pictures = [
        Picture.of_figure(
            reasons.draw(),
            f"{name}: the face, a map of the parts that add years and take years, and the years of "
            "each part, as in the table above.",
        )
        for name, reasons in zip(names, found, strict=True)
    ]
    return [table, *pictures]


def _values(metrics: pd.DataFrame, by: str, metric: str) -> pd.Series:
    """Take one metric of each group."""
    rows = metrics[(metrics["by"] == by) & (metrics["metric"] == metric)]
    return rows.set_index("group")["value"]


def _group_table(caption: str, by: str, metrics: pd.DataFrame) -> Table:
    part = metrics[metrics["by"] == by]
    values = part.pivot_table(index="group", columns="metric", values="value")
    columns = [by, "photos", "mean error", "95% interval", "bias", "within 5 years"]
    known = "inside" in values
    rows = [
        [
            row.group,
            f"{row.photos:,}",
            f"{row.value:.2f}",
            f"{row.low:.2f} to {row.high:.2f}",
            f"{values['bias'][row.group]:+.2f}",
            f"{values['within 5 years'][row.group]:.1%}",
            *([f"{values['inside'][row.group]:.1%}"] if known else []),
        ]
        for row in part[part["metric"] == "MAE"].itertuples()
    ]
    return Table(caption, [*columns, "inside the 90% range"] if known else columns, rows)
