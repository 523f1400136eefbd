"""Features: what can be measured on a face, as scikit-learn transformers."""

from typing import TYPE_CHECKING

from ageboost._lazy import import_when_used

if TYPE_CHECKING:
    from ageboost.features._base import FaceTransformer
    from ageboost.features.cnn import CNNActivations
    from ageboost.features.extraction import ExtractedBatch, FaceFeatures
    from ageboost.features.geometry import LandmarkGeometry
    from ageboost.features.hog import HOG, hog
    from ageboost.features.lbp import LBP, lbp_histograms, local_binary_pattern
    from ageboost.features.network_ages import NetworkAges
    from ageboost.features.networks import Network

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

import_when_used(__name__)
