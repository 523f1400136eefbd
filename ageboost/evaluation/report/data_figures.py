"""Figures about a collection of photos, to be read without colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ageboost._pages.figures import plain_text, report_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_age_panels", "draw_ages", "draw_qualities"]

_BAR: dict[str, Any] = {"color": "0.45", "edgecolor": "white", "linewidth": 0.4}
_LEGAL_AGE = 18


def draw_ages(ages: npt.NDArray[np.float64]) -> Figure:
    """Draw how many photos there are of each age.

    Parameters
    ----------
    ages : ndarray of shape (n_photos,)
        Years.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with report_figure((6.4, 2.8)) as figure:
        axes = figure.subplots()
        bins = np.arange(np.floor(ages.min()), np.floor(ages.max()) + 2).tolist()
        axes.hist(ages, bins, **_BAR)
        _mark(axes, _LEGAL_AGE, "18")
        axes.set(xlabel="age (years)", ylabel="photos", xlim=(0, None))
    return figure


def draw_age_panels(ages: Mapping[str, npt.NDArray[np.float64]]) -> Figure:
    """Draw how many photos there are by age, one panel for each label.

    Parameters
    ----------
    ages : mapping of str to ndarray
        Years, by label.

    Returns
    -------
    matplotlib.figure.Figure
    """
    longest = max(values.max() for values in ages.values())
    bins = np.arange(0, longest + 10, 5).tolist()
    with report_figure((6.4, 0.7 + 1.0 * len(ages))) as figure:
        panels = figure.subplots(len(ages), sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, (label, values) in zip(panels, ages.items(), strict=True):
            axes.hist(values, bins, **_BAR)
            axes.set_title(f"{plain_text(label)}: {len(values):,}", loc="left", fontsize=11, pad=2)
        panels[-1].set(xlabel="age (years)", xlim=(0, None))
        figure.supylabel("photos in 5 years", fontsize=11)
    return figure


def draw_qualities(values: Mapping[str, tuple[npt.NDArray[np.float64], float]]) -> Figure:
    """Draw how well faces are seen, one panel for each measure.

    Parameters
    ----------
    values : mapping of str to (ndarray, float)
        What is measured, by its name, and where it begins to harm; NaN is left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with report_figure((6.4, 4.6)) as figure:
        for axes, (name, (measured, limit)) in zip(
            figure.subplots(2, 2).ravel(), values.items(), strict=True
        ):
            known = measured[~np.isnan(measured)]
            # A few giants would squeeze all the others into one bar.
            top = np.quantile(known, 0.995) if len(known) else 1.0
            axes.hist(known.clip(max=top), 40, **_BAR)
            _mark(axes, limit, f"{limit:g}")
            axes.set(xlabel=name, ylabel="photos")
    return figure


def _mark(axes: Axes, place: float, text: str) -> None:
    axes.axvline(place, color="black", linestyle="--", linewidth=1)
    axes.annotate(
        text,
        (place, 1),
        xycoords=("data", "axes fraction"),
        xytext=(3, -2),
        textcoords="offset points",
        va="top",
    )
