"""Figures: on axes that are given or on new ones, and one guard for matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["axes_or_new", "import_figure", "plain_text", "report_figure"]

# Names of labels come from a file: a dollar sign must not start a formula.
_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
}


def import_figure(extra: str = "report") -> type[Figure]:
    """Import matplotlib's figure, which is only there if an extra was installed.

    Parameters
    ----------
    extra : str, default="report"
        Which extra to name if it is not.

    Returns
    -------
    type

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'figures need matplotlib: pip install "ageboost[{extra}]"') from error
    return Figure


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
    axes = import_figure()(figsize=(width, height), layout="constrained").subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def plain_text(text: object) -> str:
    """Make matplotlib draw a name as it is: dollar signs around a part would make it a formula."""
    return str(text).replace("$", r"\$")


@contextmanager
def report_figure(size: tuple[float, float]) -> Iterator[Figure]:
    """Make a figure in the style of reports.

    Parameters
    ----------
    size : (float, float)
        Width and height in inches.

    Yields
    ------
    matplotlib.figure.Figure
    """
    figure = import_figure()
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield figure(figsize=size, layout="constrained")
