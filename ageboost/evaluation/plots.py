"""Figures about predicted ages, to be read in black and white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._pages.figures import axes_or_new, plain_text
from ageboost.evaluation.challenge import challenge_ages
from ageboost.evaluation.coverage import interval_coverage
from ageboost.evaluation.group_metrics import age_metrics
from ageboost.evaluation.metrics import reliability_curve
from ageboost.models import AgeDistribution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_challenge_ages",
    "plot_coverage",
    "plot_coverage_by_age",
    "plot_errors_by_age",
    "plot_fairness",
    "plot_predictions",
    "plot_reliability",
]

_COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_MARKED = (21, 25, 30)
_IN_WORDS = {
    "MAE": "mean absolute error (years)",
    "RMSE": "root of the mean squared error (years)",
    "bias": "bias: predicted less true age (years)",
    "within 5 years": "share of ages within 5 years",
    "inside": "share of true ages inside their ranges",
    "width": "mean width of ranges (years)",
    "P(adult) bias": "mean probability of being an adult, less the share of adults",
    "minors waved through": "share of minors waved through",
    "adults asked": "share of adults asked for a card",
}


def plot_predictions(
    ages: npt.ArrayLike, predictions: npt.ArrayLike, ax: Axes | None = None
) -> Axes:
    """Draw predicted over true ages.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        True ages in years.
    predictions : array-like of shape (n_photos,)
        Predicted ages in years.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from ageboost.evaluation import plot_predictions
    >>> plot_predictions([20, 30, 40], [22, 31, 37]).get_xlabel()
    'true age (years)'
    """
    ages, predictions = np.asarray(ages, float), np.asarray(predictions, float)
    ax = axes_or_new(ax)
    top = max(np.nanmax(ages), np.nanmax(predictions)) + 2
    # Labels are whole years: moved a little, points do not hide each other. As pixels, many points
    # do not make a large file.
    moved = ages + np.random.default_rng(0).uniform(-0.4, 0.4, len(ages))
    ax.plot(moved, predictions, ".", color="black", alpha=0.3, markersize=3, rasterized=True)
    ax.plot([0, top], [0, top], "--", color="black", linewidth=1)
    ax.set(xlabel="true age (years)", ylabel="predicted age (years)", xlim=(0, top), ylim=(0, top))
    ax.set_aspect("equal")
    return ax


def plot_errors_by_age(
    ages: npt.ArrayLike, predictions: npt.ArrayLike, ax: Axes | None = None
) -> Axes:
    """Draw the mean absolute error and the bias of each age group.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        True ages in years.
    predictions : array-like of shape (n_photos,)
        Predicted ages in years.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from ageboost.evaluation import plot_errors_by_age
    >>> plot_errors_by_age([20, 30, 40], [22, 31, 37]).get_ylabel()
    'years'
    """
    ax = axes_or_new(ax)
    table = age_metrics(ages, predictions)
    table = table[table["by"] == "age group"]
    for metric, marker, label in [
        ("MAE", "o", "mean absolute error"),
        ("bias", "s", "bias: predicted less true"),
    ]:
        part = table[table["metric"] == metric]
        places = np.arange(len(part)) + (0.1 if metric == "bias" else -0.1)
        reach = _arms(part, "value")
        ax.errorbar(
            places,
            part["value"],
            reach,
            fmt=marker,
            color="black",
            markerfacecolor="white" if metric == "bias" else "black",
            capsize=3,
            label=label,
        )
    ax.axhline(0, color="0.5", linewidth=0.8)
    ax.set_xticks(np.arange(len(part)), part["group"])
    ax.set(xlabel="true age (years)", ylabel="years")
    ax.legend(frameon=False)
    return ax


def plot_reliability(
    happened: npt.ArrayLike, probabilities: npt.ArrayLike, ax: Axes | None = None
) -> Axes:
    """Draw how often something happened over how probable it was said to be.

    Parameters
    ----------
    happened : array-like of shape (n_photos,), bool
        Such as ``ages >= 18``.
    probabilities : array-like of shape (n_photos,)
        Such as ``distribution.over(18)``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from ageboost.evaluation import plot_reliability
    >>> plot_reliability([False, True], [0.2, 0.9]).get_xlabel()
    'probability said'
    """
    ax = axes_or_new(ax)
    curve = reliability_curve(happened, probabilities)
    reach = _arms(curve, "share")
    ax.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1)
    ax.errorbar(curve["probability"], curve["share"], reach, fmt="o-", color="black", capsize=3)
    ax.set(
        xlabel="probability said", ylabel="share that it was true of", xlim=(0, 1), ylim=(0, 1.02)
    )
    ax.set_aspect("equal")
    return ax


def plot_coverage(
    ages: npt.ArrayLike,
    distribution: AgeDistribution,
    coverages: Sequence[float] = _COVERAGES,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of true ages inside their ranges over the share that was promised.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        True ages in years.
    distribution : AgeDistribution
        Of the same photos.
    coverages : sequence of float, default=(0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
        Shares promised.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    table = interval_coverage(ages, distribution, coverages)
    table = table[table["by"] == "all"]
    ax = axes_or_new(ax)
    ax.plot([0.4, 1], [0.4, 1], "--", color="0.4", linewidth=1)
    reach = _arms(table, "inside")
    ax.errorbar(table["coverage"], table["inside"], reach, fmt="o-", color="black", capsize=3)
    ax.set(xlabel="share promised", ylabel="share of true ages inside", xlim=(0.4, 1))
    ax.set_ylim(0.4, 1)
    ax.set_aspect("equal")
    return ax


def plot_coverage_by_age(
    ages: npt.ArrayLike,
    distribution: AgeDistribution,
    coverage: float = 0.9,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of true ages inside their ranges for each ten years of predicted age.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        True ages in years.
    distribution : AgeDistribution
        Of the same photos.
    coverage : float, default=0.9
        Share promised.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    table = interval_coverage(ages, distribution, [coverage])
    table = table[table["by"] == "predicted age"]
    ax = axes_or_new(ax)
    places = np.arange(len(table))
    reach = _arms(table, "inside")
    ax.axhline(coverage, linestyle="--", color="0.4", linewidth=1)
    ax.errorbar(places, table["inside"], reach, fmt="o", color="black", capsize=3)
    ax.set_ylim(max(0.0, min(coverage, table["low"].min()) - 0.05), 1.01)
    # The number of photos in each bin shows how much its point is worth.
    labels = [f"{row.group}\n({row.photos})" for row in table.itertuples()]
    ax.set_xticks(places, labels, fontsize="small")
    ax.set(
        xlabel="predicted age (years), and photos",
        ylabel=f"share of true ages inside {coverage:.0%} ranges",
    )
    return ax


def plot_challenge_ages(
    ages: npt.ArrayLike,
    estimates: npt.ArrayLike,
    legal_age: float = 18,
    ax: Axes | None = None,
) -> Axes:
    """Draw minors waved through and adults asked for a card, over all challenge ages.

    Parameters
    ----------
    ages : array-like of shape (n_people,)
        True ages in years.
    estimates : array-like of shape (n_people,)
        Predicted ages in years.
    legal_age : float, default=18
        Years.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from ageboost.evaluation import plot_challenge_ages
    >>> plot_challenge_ages([15, 30, 50], [19, 28, 49]).get_ylabel()
    'share (%)'
    """
    ax = axes_or_new(ax)
    table = challenge_ages(ages, estimates, legal_age)
    for name, low, high, style, label in [
        ("asked", "asked_low", "asked_high", "-", "adults asked for a card"),
        ("waved_through", "waved_low", "waved_high", "--", "minors waved through"),
    ]:
        ax.plot(table["threshold"], 100 * table[name], style, color="black", label=label)
        ax.fill_between(table["threshold"], 100 * table[low], 100 * table[high], color="0.85")
    for threshold in _MARKED:
        ax.axvline(threshold, color="0.5", linestyle=":", linewidth=1)
    ax.set_xticks([18, *_MARKED, 35, 40])
    ax.set(
        xlabel="challenge age: who looks younger is asked (years)",
        ylabel="share (%)",
        ylim=(0, 100),
    )
    ax.legend(frameon=False)
    return ax


def plot_fairness(
    ages: npt.ArrayLike,
    predictions: npt.ArrayLike,
    groups: Mapping[str, npt.ArrayLike] | pd.DataFrame,
    metric: str = "MAE",
    distribution: AgeDistribution | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a metric for each group of people, with its interval.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        True ages in years.
    predictions : array-like of shape (n_photos,)
        Predicted ages in years.
    groups : DataFrame or mapping of str to array-like of shape (n_photos,)
        Labels of people, such as ``sex``.
    metric : str, default="MAE"
        A metric of :func:`age_metrics`.
    distribution : AgeDistribution, optional
        For metrics that need it.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is no such metric.

    Examples
    --------
    >>> from ageboost.evaluation import plot_fairness
    >>> ax = plot_fairness([20, 30, 40], [22, 31, 37], {"sex": ["f", "m", "m"]})
    >>> [label.get_text() for label in ax.get_yticklabels()][:3]
    ['all', 'sex: f', 'sex: m']
    """
    table = age_metrics(ages, predictions, distribution, groups)
    if metric not in set(table["metric"]):
        known = ", ".join(dict.fromkeys(table["metric"]))
        raise ValueError(f"metric={metric!r}: there is {known}")
    table = table[table["metric"] == metric]
    ax = axes_or_new(ax, height=1.2 + 0.3 * len(table))
    markers = dict(zip(dict.fromkeys(table["by"]), "DosP^v<>", strict=False))
    names = []
    for place, row in enumerate(table.itertuples()):
        ax.plot([row.low, row.high], [place, place], color="black", linewidth=1.2)
        ax.plot(row.value, place, markers.get(row.by, "o"), color="black", markersize=6)
        names.append(row.group if row.by == "all" else f"{row.by}: {row.group}")
    whole = float(table.loc[table["by"] == "all", "value"].iloc[0])
    ax.axvline(whole, color="0.5", linestyle=":", linewidth=1)
    ax.set_yticks(np.arange(len(table)), list(map(plain_text, names)))
    ax.invert_yaxis()
    ax.set_xlabel(_IN_WORDS[metric])
    return ax


def _arms(table: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    """Compute how far error bars reach down and up; never less than nothing, as rounding has it."""
    arms = [table[column] - table["low"], table["high"] - table[column]]
    return np.clip(np.asarray(arms, dtype=np.float64), 0, None)
