"""Where a figure is drawn: on axes that are given, or on new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["axes_or_new", "plain_text"]


def axes_or_new(ax: Axes | None, width: float = 6.4, height: float = 4.4) -> Axes:
    """Make a figure of its own for what is to be drawn nowhere else.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Given back if there is one.
    width, height : float
        Of the new figure, in inches.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('figures need matplotlib: pip install "ageboost[report]"') from error
    axes = Figure(figsize=(width, height), layout="constrained").subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def plain_text(text: object) -> str:
    """Make matplotlib draw a name as it is: dollar signs around a part would make it a formula."""
    return str(text).replace("$", r"\$")
