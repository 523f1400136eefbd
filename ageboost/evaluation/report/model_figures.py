"""Figures about what a model answers, to be read without colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ageboost.evaluation.report.data_figures import report_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_challenge", "draw_groups", "draw_predictions", "draw_shares"]


def draw_predictions(ages: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64]) -> Figure:
    """Draw predicted over true ages.

    Parameters
    ----------
    ages : ndarray of shape (n_photos,)
        Years.
    predicted : ndarray of shape (n_photos,)
        Years.

    Returns
    -------
    matplotlib.figure.Figure
    """
    top = max(ages.max(), predicted.max()) + 2
    with report_figure((5.6, 5.2)) as figure:
        axes = figure.subplots()
        # Many points make a file of many megabytes, unless they are pixels. Labels are whole
        # years: moved a little, points do not hide each other.
        moved = ages + np.random.default_rng(0).uniform(-0.4, 0.4, len(ages))
        axes.plot(moved, predicted, ".", color="black", alpha=0.25, markersize=3, rasterized=True)
        axes.plot([0, top], [0, top], "--", color="black", linewidth=1)
        axes.set(
            xlabel="true age (years)", ylabel="predicted age (years)", xlim=(0, top), ylim=(0, top)
        )
        axes.set_aspect("equal")
    return figure


def draw_groups(table: pd.DataFrame) -> Figure:
    """Draw the error of each group, with the range in which it lies and its bias.

    Parameters
    ----------
    table : DataFrame
        Indexed by the names of groups: ``MAE``, ``low``, ``high``, ``bias`` (years).

    Returns
    -------
    matplotlib.figure.Figure
    """
    with report_figure((6.4, 0.9 + 0.36 * len(table))) as figure:
        axes = figure.subplots()
        places = np.arange(len(table))[::-1]
        axes.barh(places, table["MAE"], 0.7, color="0.8")
        for place, low, high in zip(places, table["low"], table["high"], strict=True):
            axes.plot([low, high], [place, place], color="black", linewidth=1.5)
        axes.plot(table["bias"], places, "D", color="black", markersize=5, label="bias")
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(places, [str(name) for name in table.index])
        axes.set(xlabel="years: bar, mean absolute error with its 95% range; diamond, bias")
    return figure


def draw_shares(
    promised: npt.NDArray[np.float64], found: npt.NDArray[np.float64], names: tuple[str, str]
) -> Figure:
    """Draw shares that were found over shares that were promised.

    Parameters
    ----------
    promised : ndarray of shape (n_points,)
        From 0 to 1.
    found : ndarray of shape (n_points,)
        From 0 to 1.
    names : (str, str)
        Of both axes.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with report_figure((4.6, 4.2)) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1)
        axes.plot(promised, found, "o-", color="black", markersize=5)
        axes.set(xlabel=names[0], ylabel=names[1], xlim=(0, 1.02), ylim=(0, 1.02))
        axes.set_aspect("equal")
    return figure


def draw_challenge(
    thresholds: npt.NDArray[np.float64],
    waved: npt.NDArray[np.float64],
    asked: npt.NDArray[np.float64],
) -> Figure:
    """Draw what a shop trades when it moves the age under which it asks for an identity card.

    Parameters
    ----------
    thresholds : ndarray of shape (n_thresholds,)
        Years.
    waved : ndarray of shape (n_thresholds,)
        Share of minors who are not asked.
    asked : ndarray of shape (n_thresholds,)
        Share of adults who are.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with report_figure((6.4, 3.4)) as figure:
        axes = figure.subplots()
        axes.plot(thresholds, 100 * asked, "-", color="black", label="adults asked")
        axes.plot(thresholds, 100 * waved, "--", color="black", label="minors waved through")
        axes.set(xlabel="asked if the model says less than (years)", ylabel="%", ylim=(0, 100))
        axes.legend(frameon=False)
    return figure
