from .errors import (
    AgeboostError,
    CacheError,
    DeviceError,
    LabelsError,
    ModelFileError,
    NoFaceError,
    PhotoError,
    PhotosError,
    PhotoTooLargeError,
    ProtocolError,
    RetailDataError,
    TableError,
    TermsError,
    UnreadablePhotoError,
    VideoError,
)
from .models import AgeEstimator, load, load_pretrained
from .photos import read_photo

__version__: str

__all__ = [
    "AgeEstimator",
    "AgeboostError",
    "CacheError",
    "DeviceError",
    "LabelsError",
    "ModelFileError",
    "NoFaceError",
    "PhotoError",
    "PhotoTooLargeError",
    "PhotosError",
    "ProtocolError",
    "RetailDataError",
    "TableError",
    "TermsError",
    "UnreadablePhotoError",
    "VideoError",
    "__version__",
    "load",
    "load_pretrained",
    "read_photo",
]
