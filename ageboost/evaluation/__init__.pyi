from .age_boxes import draw_ages
from .challenge import challenge_ages, minors_passing
from .comparison import compare_models
from .coverage import interval_coverage
from .explanation import Explanation, FeatureImportance, explain, feature_importance
from .group_metrics import age_groups, age_metrics, fairness_gaps
from .metrics import (
    bootstrap_interval,
    calibration_error,
    reliability_curve,
    share_interval,
    summarize_errors,
)
from .plots import (
    plot_challenge_ages,
    plot_coverage,
    plot_coverage_by_age,
    plot_errors_by_age,
    plot_fairness,
    plot_predictions,
    plot_reliability,
)
from .protocol import UTKFACE_PROTOCOL, FoldProtocol
from .report import Report, make_report
from .source_protocol import leave_sources_out, people_interval, source_metrics, window_errors

__all__ = [
    "UTKFACE_PROTOCOL",
    "Explanation",
    "FeatureImportance",
    "FoldProtocol",
    "Report",
    "age_groups",
    "age_metrics",
    "bootstrap_interval",
    "calibration_error",
    "challenge_ages",
    "compare_models",
    "draw_ages",
    "explain",
    "fairness_gaps",
    "feature_importance",
    "interval_coverage",
    "leave_sources_out",
    "make_report",
    "minors_passing",
    "people_interval",
    "plot_challenge_ages",
    "plot_coverage",
    "plot_coverage_by_age",
    "plot_errors_by_age",
    "plot_fairness",
    "plot_predictions",
    "plot_reliability",
    "reliability_curve",
    "share_interval",
    "source_metrics",
    "summarize_errors",
    "window_errors",
]
