from ._dask import ClusterError
from ._places import SharedPlaceError
from .analyzer import Analyzer
from .shards import ShardsSummary, write_shards

__all__ = ["Analyzer", "ClusterError", "ShardsSummary", "SharedPlaceError", "write_shards"]
