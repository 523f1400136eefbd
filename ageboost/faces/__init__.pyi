from .chips import stack_chips
from .detection import FaceFinder
from .face import Box, Face, Quality

__all__ = ["Box", "Face", "FaceFinder", "Quality", "stack_chips"]
