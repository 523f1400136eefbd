"""Pages of the site whose text lives elsewhere in the repository, and links that lead to them.

A page that ``one_home_pages`` names holds a line ``<!-- text -->``, in whose place the text is put.
Links in any page are paths in the repository, as whoever reads it there expects them; here they are
made to lead to the page that a file has on the site.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_PLACE = "<!-- text -->"
_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)(?=[)#])")


def setup(app):
    """Register with Sphinx."""
    app.add_config_value("one_home_pages", {}, "env")
    app.connect("source-read", _put_text_in_place)
    return {"parallel_read_safe": True}


def _put_text_in_place(app, docname, source):
    page = Path(app.srcdir) / app.env.doc2path(docname, base=False)
    if page.suffix != ".md":
        return
    root = Path(app.srcdir).parent
    homes = {root / path: name for name, path in app.config.one_home_pages.items()}
    text = _lead_on(source[0], page, page, homes, app)
    if docname in app.config.one_home_pages:
        home = root / app.config.one_home_pages[docname]
        app.env.note_dependency(str(home))
        text = text.replace(_PLACE, _lead_on(home.read_text("utf-8"), home, page, homes, app))
    source[0] = text


def _lead_on(text, home, page, homes, app):
    """Rewrite links that are relative to the home of a text to be relative to its page."""

    def rewrite(match):
        target = Path(os.path.normpath(home.parent / match[1]))
        if target in homes:
            target = Path(app.env.doc2path(homes[target]))
        return Path(os.path.relpath(target, page.parent)).as_posix()

    return _LINK.sub(rewrite, text)
