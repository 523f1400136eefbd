"""A page that needs nothing but a browser, and how sections become one."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from ageboost._files import replacing
from ageboost._pages.blocks import Section

__all__ = ["Page", "render_page"]


@dataclass(frozen=True, repr=False)
class Page:
    """A page that loads nothing; in a notebook it shows itself.

    Attributes
    ----------
    html : str
        The page: styles, figures and photos are inside.
    """

    html: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, whole or not at all.

        Parameters
        ----------
        path : path
            By custom, ending in ``.html``.
        """
        with replacing(Path(path)) as new:
            new.write_text(self.html, "utf-8")

    def _repr_html_(self) -> str:
        # In a frame, since styles of the page and of a notebook would get into each other; without
        # the base, links within the page would lead to the notebook.
        page = self.html.replace("<head>", '<head><base href="about:srcdoc">', 1)
        return (
            f'<iframe srcdoc="{html.escape(page)}" title="Report" sandbox="" '
            'style="width: 100%; height: 40rem; border: 1px solid #c8c8c8"></iframe>'
        )


def render_page(
    title: str,
    *,
    sections: Sequence[Section],
    facts: Sequence[tuple[str, str]],
    privacy: str,
    warnings: Sequence[str] = (),
    photos: bool = False,
) -> str:
    """Put sections together to a page.

    Parameters
    ----------
    title : str
    sections : sequence of Section
    facts : sequence of (str, str)
        What is counted, and how many there are; they stand at the top, in large figures, or in
        smaller letters if these are many.
    privacy : str
        What personal data is on the page, in a sentence.
    warnings : sequence of str, default=()
        Paragraphs that everybody should read.
    photos : bool, default=False
        Whether galleries have pictures.

    Returns
    -------
    str
        HTML.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # The ending of the template's name decides nothing: everything is escaped.
    environment = Environment(
        loader=PackageLoader("ageboost._pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja").render(
        title=title,
        subtitle=f"Made on {date.today():%d %B %Y} by ageboost {version('ageboost')}. {privacy}",
        sections=sections,
        facts=facts,
        warnings=warnings,
        photos=photos,
        privacy=privacy,
    )
