"""Evaluation: how far ages are off, for whom, and protocols and figures that tell it honestly."""

from typing import TYPE_CHECKING

from ageboost._lazy import import_when_used

if TYPE_CHECKING:
    from ageboost.evaluation.challenge import challenge_ages, minors_passing
    from ageboost.evaluation.comparison import compare_models
    from ageboost.evaluation.coverage import interval_coverage
    from ageboost.evaluation.drawing import draw_ages
    from ageboost.evaluation.explanation import (
        Explanation,
        FeatureImportance,
        explain,
        feature_importance,
    )
    from ageboost.evaluation.groups import age_groups, age_metrics, fairness_gaps
    from ageboost.evaluation.metrics import (
        bootstrap_interval,
        calibration_error,
        reliability_curve,
        share_interval,
        summarize_errors,
    )
    from ageboost.evaluation.plots import (
        plot_challenge_ages,
        plot_coverage,
        plot_coverage_by_age,
        plot_errors_by_age,
        plot_fairness,
        plot_predictions,
        plot_reliability,
    )
    from ageboost.evaluation.protocol import UTKFACE_PROTOCOL, FoldProtocol
    from ageboost.evaluation.report import Report, make_report
    from ageboost.evaluation.sources import (
        leave_sources_out,
        people_interval,
        source_metrics,
        window_errors,
    )

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

import_when_used(__name__)
