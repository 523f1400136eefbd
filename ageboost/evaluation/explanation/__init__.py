"""Reasons: what each part of a face gives to its age."""

from typing import TYPE_CHECKING

from ageboost._lazy import import_when_used

if TYPE_CHECKING:
    from ageboost.evaluation.explanation.reasons import (
        Explanation,
        FeatureImportance,
        explain,
        feature_importance,
    )

__all__ = ["Explanation", "FeatureImportance", "explain", "feature_importance"]

import_when_used(__name__)
