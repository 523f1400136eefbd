"""Models: numbers to ages, the whole pipeline as one estimator, and the models that ship."""

from typing import TYPE_CHECKING

from ageboost._lazy import import_when_used

if TYPE_CHECKING:
    from ageboost.models.adaptation import AgeCorrection
    from ageboost.models.age_regressor import AgeRegressor
    from ageboost.models.borrowed import BorrowedCalibrator
    from ageboost.models.calibration import AgeCalibrator
    from ageboost.models.card import write_card
    from ageboost.models.distribution import AgeDistribution
    from ageboost.models.estimator import AgeEstimator
    from ageboost.models.familiarity import Familiarity, Looks
    from ageboost.models.kernel import KernelScores
    from ageboost.models.new_camera import NewCameraCalibrator
    from ageboost.models.opinion_pool import OpinionPool, PoolSpread
    from ageboost.models.persistence import load, load_pickle, load_pretrained, save
    from ageboost.models.reduction import GroupedPCA
    from ageboost.models.regressors import make_regressor
    from ageboost.models.reliability import (
        choose_quality_threshold,
        relative_errors,
        risk_coverage_curve,
    )
    from ageboost.models.search_space import search_space
    from ageboost.models.second_opinion import SecondOpinion
    from ageboost.models.tuning import TuningResult, tune

__all__ = [
    "AgeCalibrator",
    "AgeCorrection",
    "AgeDistribution",
    "AgeEstimator",
    "AgeRegressor",
    "BorrowedCalibrator",
    "Familiarity",
    "GroupedPCA",
    "KernelScores",
    "Looks",
    "NewCameraCalibrator",
    "OpinionPool",
    "PoolSpread",
    "SecondOpinion",
    "TuningResult",
    "choose_quality_threshold",
    "load",
    "load_pickle",
    "load_pretrained",
    "make_regressor",
    "relative_errors",
    "risk_coverage_curve",
    "save",
    "search_space",
    "tune",
    "write_card",
]

import_when_used(__name__)
