"""Faces: where they are in a photo, their landmarks, quality, and upright chips."""

from ageboost.faces.alignment import stack_chips
from ageboost.faces.detection import FaceFinder
from ageboost.faces.face import Box, Face, Quality

__all__ = ["Box", "Face", "FaceFinder", "Quality", "stack_chips"]
