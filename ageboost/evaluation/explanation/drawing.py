"""Reasons as pictures: a face, a map of years over it, and bars for its regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._pages.figures import import_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_explanation", "draw_importance"]

# Orange adds years and purple takes them away, also for the colour-blind. What takes years away is
# hatched as well, so that they differ in black and white print.
_OLDER, _YOUNGER, _HATCH = "#e66101", "#5e3c99", "////"
# Years without a sign.
_EITHER = "#00798c"
_MINUS = "\N{MINUS SIGN}"
# Cells of different features meet in edges that mean nothing: pixels to smooth them over.
_SMOOTHING = 6.0


def draw_explanation(
    prediction: float,
    base_value: float,
    regions: pd.Series,
    heatmap: npt.NDArray[np.float64],
    chip: npt.NDArray[np.uint8],
    region_labels: npt.NDArray[np.uint8],
) -> Figure:
    """Draw the face beside the map of years and the table of regions.

    Parameters
    ----------
    prediction, base_value, regions, heatmap, chip, region_labels
        As in :class:`ageboost.evaluation.Explanation`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = import_figure()(figsize=(10, 3.8), layout="constrained")
    face, overlay, bars = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
    face.imshow(chip)
    face.set_title("the face as the model sees it", fontsize=10)
    _draw_map(overlay, heatmap, chip, region_labels, True)
    overlay.set_title("orange adds years, hatched takes", fontsize=10)
    for axes in (face, overlay):
        axes.set_axis_off()
    _draw_bars(bars, regions, signed=True)
    bars.set_title("years by region", fontsize=10)
    figure.suptitle(
        f"{prediction:.1f} years = {base_value:.1f} on average "
        f"{_signed(prediction - base_value)} for this face"
    )
    return figure


def draw_importance(
    n_photos: int,
    regions: pd.Series,
    groups: pd.Series,
    heatmap: npt.NDArray[np.float64],
    chip: npt.NDArray[np.uint8] | None,
    region_labels: npt.NDArray[np.uint8],
) -> Figure:
    """Draw the map on the mean face, beside regions and groups of features.

    Parameters
    ----------
    n_photos, regions, groups, heatmap, chip, region_labels
        As in :class:`ageboost.evaluation.FeatureImportance`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = import_figure()(figsize=(10, 3.8), layout="constrained")
    overlay, by_region, by_group = figure.subplots(1, 3, width_ratios=[1, 1, 1])
    _draw_map(overlay, heatmap, chip, region_labels, False)
    overlay.set_axis_off()
    shape = "mean shape" if chip is None else "mean face"
    overlay.set_title(f"where, on the {shape}", fontsize=10)
    for axes, years, title in (
        (by_region, regions, "by region"),
        (by_group, groups, "by kind of feature"),
    ):
        _draw_bars(axes, years, signed=False)
        axes.set_title(title, fontsize=10)
    figure.suptitle(f"Mean absolute years, over {n_photos} photos")
    return figure


def _draw_map(
    axes: Any,
    heatmap: npt.NDArray[np.float64],
    chip: npt.NDArray[np.uint8] | None,
    labels: npt.NDArray[np.uint8],
    signed: bool,
) -> None:
    """Lay years over a faded grey face: the more, the less of the face shines through."""
    from matplotlib.colors import to_rgb

    size = len(heatmap)
    years = cv2.GaussianBlur(heatmap, (0, 0), _SMOOTHING, borderType=cv2.BORDER_REPLICATE)
    # Per hundredth of the chip: a number of the order of a year.
    years = years * (size * size / 100)
    strongest = max(float(np.quantile(np.abs(years), 0.99)), 1e-9)
    background = np.full((size, size), 235.0)
    if chip is not None:
        background = 110 + 0.57 * cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY).astype(np.float64)
    strength = (np.abs(years) / strongest).clip(0, 1)[:, :, None] * 0.85
    older = _OLDER if signed else _EITHER
    colours = np.where(years[:, :, None] > 0, to_rgb(older), to_rgb(_YOUNGER))
    axes.imshow(background[:, :, None] / 255 * (1 - strength) + colours * strength)
    marked = 0.2 * strongest
    if years.min() < -marked:
        hatched = axes.contourf(years, [-np.inf, -marked], colors="none", hatches=[_HATCH])
        hatched.set_edgecolor("white")
        hatched.set_linewidth(0)
    levels = [level for level in (-marked, marked) if years.min() < level < years.max()]
    if levels:
        axes.contour(years, levels, colors="white", linewidths=0.8)
    for label in np.unique(labels):
        axes.contour(labels == label, [0.5], colors="black", linewidths=0.4)


def _draw_bars(axes: Any, years: pd.Series, signed: bool) -> None:
    years = years[::-1]
    bars = axes.barh(
        years.index,
        years,
        color=[(_OLDER if value > 0 else _YOUNGER) if signed else _EITHER for value in years],
        edgecolor="white",
    )
    reach = max(float(years.abs().max()), 1e-9)
    for bar, value in zip(bars, years, strict=True):
        if value < 0:
            bar.set_hatch(_HATCH)
        axes.annotate(
            _signed(value) if signed else f"{value:.1f}",
            (value, bar.get_y() + bar.get_height() / 2),
            (4 if value >= 0 else -4, 0),
            textcoords="offset points",
            va="center",
            ha="left" if value >= 0 else "right",
        )
    # Room for the numbers.
    lowest = min(float(years.min()), 0.0)
    highest = max(float(years.max()), 0.0)
    axes.set_xlim(lowest - (0.35 * reach if lowest < 0 else 0), highest + 0.35 * reach)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("years")
    axes.locator_params(axis="x", nbins=5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _signed(years: float) -> str:
    if abs(years) < 0.05:
        return "0.0"
    return f"{'+' if years >= 0 else _MINUS} {abs(years):.1f}"
