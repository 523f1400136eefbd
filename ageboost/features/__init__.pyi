from ._base import FaceTransformer
from .cnn import CNNActivations
from .extraction import ExtractedBatch, FaceFeatures
from .geometry import LandmarkGeometry
from .gradients import HOG, hog
from .lbp import LBP, lbp_histograms, local_binary_pattern
from .network_ages import NetworkAges
from .networks import Network

__all__ = [
    "HOG",
    "LBP",
    "CNNActivations",
    "ExtractedBatch",
    "FaceFeatures",
    "FaceTransformer",
    "LandmarkGeometry",
    "Network",
    "NetworkAges",
    "hog",
    "lbp_histograms",
    "local_binary_pattern",
]
