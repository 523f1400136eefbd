"""A page to look at: what photos and labels are like, and what a model makes of them."""

from ageboost.evaluation.report.report import Report, make_report

__all__ = ["Report", "make_report"]
