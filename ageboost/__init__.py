"""Estimate how old the people in photos are.

``load_pretrained`` gives a model that is ready, ``AgeEstimator`` one that learns from your photos.
"""

import os
from typing import TYPE_CHECKING

# Threads of OpenMP wait for each other by spinning, unless told not to before it is loaded. Beside
# other work each spins away the time that the one it waits for needs: fits take many times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

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
        TableError,
        TermsError,
        UnreadablePhotoError,
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
    "TableError",
    "TermsError",
    "UnreadablePhotoError",
    "__version__",
    "load",
    "load_pretrained",
    "read_photo",
]

import_when_used(__name__)
