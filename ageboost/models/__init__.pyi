from .adaptation import AgeCorrection
from .age_regressor import AgeRegressor
from .borrowed import BorrowedCalibrator
from .calibration import AgeCalibrator
from .card import write_card
from .distribution import AgeDistribution
from .estimator import AgeEstimator
from .familiarity import Familiarity, Looks
from .kernel import KernelScores
from .new_camera import NewCameraCalibrator
from .opinion_pool import OpinionPool, PoolSpread
from .persistence import load, load_pickle, load_pretrained, save
from .reduction import GroupedPCA
from .regressors import make_regressor
from .reliability import choose_quality_threshold, relative_errors, risk_coverage_curve
from .second_opinion import SecondOpinion
from .shrinkage import ShrinkageCorrection
from .spaces import search_space
from .tuning import tune
from .tuning_result import TuningResult

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
    "ShrinkageCorrection",
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
