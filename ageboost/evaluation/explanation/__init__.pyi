from .reasons import Explanation, FeatureImportance, explain, feature_importance

__all__ = ["Explanation", "FeatureImportance", "explain", "feature_importance"]
