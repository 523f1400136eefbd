"""Models: numbers to ages, the whole pipeline as one estimator, and the models that ship."""

from ageboost.models.estimator import AgeEstimator
from ageboost.models.intervals import ResidualIntervals
from ageboost.models.kernel import KernelScores
from ageboost.models.persistence import load, load_pretrained, save
from ageboost.models.reduction import GroupedPCA
from ageboost.models.regressors import make_regressor
from ageboost.models.search_space import search_space
from ageboost.models.stack import StackedAgeRegressor
from ageboost.models.tuning import TuningResult, tune

__all__ = [
    "AgeEstimator",
    "GroupedPCA",
    "KernelScores",
    "ResidualIntervals",
    "StackedAgeRegressor",
    "TuningResult",
    "load",
    "load_pretrained",
    "make_regressor",
    "save",
    "search_space",
    "tune",
]
