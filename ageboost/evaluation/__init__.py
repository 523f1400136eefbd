"""Evaluation: how far ages are off, and results to look at."""

from ageboost.evaluation.drawing import draw_ages
from ageboost.evaluation.metrics import summarize_errors

__all__ = ["draw_ages", "summarize_errors"]
