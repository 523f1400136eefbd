"""Estimate how old the people in photos are.

``load_pretrained`` gives a model that is ready, ``AgeEstimator`` one that learns from your photos.
"""

from typing import TYPE_CHECKING

from ageboost._lazy import import_when_used

if TYPE_CHECKING:
    from ageboost.errors import (
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
        UnreadablePhotoError,
        VideoError,
    )
    from ageboost.models import AgeEstimator, load, load_pretrained
    from ageboost.photos import read_photo

__version__ = "0.1.0"

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
    "UnreadablePhotoError",
    "VideoError",
    "__version__",
    "load",
    "load_pretrained",
    "read_photo",
]

import_when_used(__name__)
