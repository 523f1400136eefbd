"""What a page is made of: sections, each with what was found, then figures, tables and photos."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Gallery",
    "GalleryItem",
    "Note",
    "Picture",
    "Section",
    "Table",
    "import_report_packages",
]

_RESOLUTION = 130


@dataclass(frozen=True)
class Picture:
    """A picture with what somebody who does not see it should know.

    Attributes
    ----------
    source : str
        A data URI.
    alternative : str
        What is shown, in words.
    """

    kind: ClassVar[str] = "picture"
    source: str
    alternative: str

    @classmethod
    def of_figure(cls, figure: Figure, alternative: str) -> Picture:
        """Turn a figure of matplotlib into a picture that scales; many points stay pixels.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
        alternative : str

        Returns
        -------
        Picture
        """
        from matplotlib import rc_context

        buffer = io.BytesIO()
        # Shapes in place of letters look the same on machines that have other fonts.
        with rc_context({"svg.fonttype": "path", "svg.hashsalt": "ageboost"}):
            figure.savefig(
                buffer, format="svg", dpi=_RESOLUTION, metadata={"Date": None, "Creator": None}
            )
        encoded = base64.b64encode(buffer.getvalue()).decode()
        return cls(f"data:image/svg+xml;base64,{encoded}", alternative)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    caption : str
    columns : sequence of str
    rows : sequence of sequence of str
        The first cell of each names the row.
    texts : collection of int, default=(0,)
        Columns that hold words; the others are numbers.
    folded : bool, default=False
        Whether it opens on a click only.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: Collection[int] = (0,)
    folded: bool = False


@dataclass(frozen=True)
class GalleryItem:
    """One or a few photos that belong together, and lines about them.

    Attributes
    ----------
    pictures : sequence of Picture
        Empty in a page without photos.
    lines : sequence of str
        The first one is printed bold.
    """

    pictures: Sequence[Picture]
    lines: Sequence[str]


@dataclass(frozen=True)
class Gallery:
    """Photos side by side.

    Attributes
    ----------
    title : str
    items : sequence of GalleryItem
    """

    kind: ClassVar[str] = "gallery"
    title: str
    items: Sequence[GalleryItem]


@dataclass(frozen=True)
class Note:
    """A paragraph, or a text that is shown as it was typed.

    Attributes
    ----------
    text : str
    typed : bool, default=False
        Whether line ends are kept.
    title : str, optional
        Folds the text behind this title.
    """

    kind: ClassVar[str] = "note"
    text: str
    typed: bool = False
    title: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    anchor : str
        Where links in the page lead.
    title : str
    finding : str
        What the section shows, in one plain sentence or two.
    blocks : sequence of Picture, Table, Gallery or Note
    """

    anchor: str
    title: str
    finding: str
    blocks: Sequence[Picture | Table | Gallery | Note] = field(default_factory=tuple)


def import_report_packages() -> None:
    """Check that what a report is drawn and written with is installed.

    Raises
    ------
    ImportError
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'a report needs Jinja2 and matplotlib: pip install "ageboost[report]"'
        ) from error
