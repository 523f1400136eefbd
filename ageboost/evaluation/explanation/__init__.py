"""Reasons: what each part of a face gives to its age."""

from ageboost.evaluation.explanation.reasons import (
    Explanation,
    FeatureImportance,
    explain,
    feature_importance,
)

__all__ = ["Explanation", "FeatureImportance", "explain", "feature_importance"]
