"""Figures that commands write, in the format that the file's name ends in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ageboost._files import replacing
from ageboost.cli._shared import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURE_SUFFIXES", "save_figure"]

FIGURE_SUFFIXES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


def save_figure(figure: Figure, out: Path) -> None:
    with writing(out), replacing(out) as new:
        figure.savefig(new, format=out.suffix.lower().lstrip("."), dpi=150)
