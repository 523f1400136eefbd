"""Evaluation: how far ages are off, protocols that tell it honestly, and results to look at."""

from ageboost.evaluation.drawing import draw_ages
from ageboost.evaluation.explanation import (
    Explanation,
    FeatureImportance,
    explain,
    feature_importance,
)
from ageboost.evaluation.metrics import bootstrap_interval, summarize_errors
from ageboost.evaluation.protocol import UTKFACE_PROTOCOL, FoldProtocol

__all__ = [
    "UTKFACE_PROTOCOL",
    "Explanation",
    "FeatureImportance",
    "FoldProtocol",
    "bootstrap_interval",
    "draw_ages",
    "explain",
    "feature_importance",
    "summarize_errors",
]
