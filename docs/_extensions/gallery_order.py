"""The order of the gallery: the one in which its front page names the examples."""

from __future__ import annotations

import re
from pathlib import Path

_FRONT = Path(__file__).resolve().parents[2] / "examples/GALLERY_HEADER.rst"


def in_order(name):
    """Where an example stands, as sphinx-gallery asks it."""
    names = re.findall(r"\w+\.py", _FRONT.read_text("utf-8"))
    return names.index(name) if name in names else len(names)
