"""Evaluation: how far ages are off, protocols that tell it honestly, and results to look at."""

from ageboost.evaluation.drawing import draw_ages
from ageboost.evaluation.metrics import bootstrap_interval, summarize_errors
from ageboost.evaluation.protocol import UTKFACE_PROTOCOL, FoldProtocol
from ageboost.evaluation.report import Report, make_report

__all__ = [
    "UTKFACE_PROTOCOL",
    "FoldProtocol",
    "Report",
    "bootstrap_interval",
    "draw_ages",
    "make_report",
    "summarize_errors",
]
