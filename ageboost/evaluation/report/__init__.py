"""A page to look at: what photos and labels are like, and what a model makes of them."""

from typing import TYPE_CHECKING

from ageboost._lazy import import_when_used

if TYPE_CHECKING:
    from ageboost.evaluation.report.report import Report, make_report

__all__ = ["Report", "make_report"]

import_when_used(__name__)
