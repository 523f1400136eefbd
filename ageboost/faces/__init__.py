"""Faces: where they are in a photo, their landmarks, quality, and upright chips."""

from typing import TYPE_CHECKING

from ageboost._lazy import import_when_used

if TYPE_CHECKING:
    from ageboost.faces.alignment import stack_chips
    from ageboost.faces.detection import FaceFinder
    from ageboost.faces.face import Box, Face, Quality

__all__ = ["Box", "Face", "FaceFinder", "Quality", "stack_chips"]

import_when_used(__name__)
