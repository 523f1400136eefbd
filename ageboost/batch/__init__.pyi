from ._dask import ClusterError
from ._passes import TrainingFolderError
from ._places import SharedPlaceError
from .analyzer import Analyzer
from .feature_shards import FeaturesSummary, write_features
from .shards import ShardsSummary, write_shards
from .training import fit_stream

__all__ = [
    "Analyzer",
    "ClusterError",
    "FeaturesSummary",
    "ShardsSummary",
    "SharedPlaceError",
    "TrainingFolderError",
    "fit_stream",
    "write_features",
    "write_shards",
]
