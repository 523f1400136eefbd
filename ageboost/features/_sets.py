"""Sets of features by name: their transformers, and how faces are found for them."""

from __future__ import annotations

from ageboost.faces import FaceFinder
from ageboost.features._base import FaceTransformer
from ageboost.features.cnn import CNNActivations
from ageboost.features.geometry import LandmarkGeometry
from ageboost.features.gradients import HOG
from ageboost.features.lbp import LBP
from ageboost.features.network_ages import NetworkAges

__all__ = [
    "EARLIER_SETS",
    "FEATURE_SETS",
    "make_earlier_transformers",
    "make_finder",
    "make_transformers",
]

#: Transformers of each set, by their names.
FEATURE_SETS = {
    "classical": ("hog", "lbp", "geometry"),
    "cnn": ("cnn", "dlib_age"),
    "all": ("hog", "lbp", "geometry", "cnn", "dlib_age"),
    "open": ("dlib_ages", "mobilenet_ages"),
    "shop": ("hog", "lbp", "geometry", "cnn", "dlib_age", "mobilenet_age"),
    "fast": ("utkface_small",),
    "accurate": ("hog", "lbp", "geometry", "cnn", "mobilenet_age", "utkface_mobilenet"),
}
# Sets aligned by 5 landmarks: of the others, "fast" is for speed, and a shop may not use the 68.
_OF_FIVE_LANDMARKS = ("fast", "open", "shop")
_FOR_BUSINESS = ("open", "shop")
# What differs in the parts of a set from those of the others.
_CHANGED: dict[str, dict[str, dict[str, object]]] = {
    "accurate": {
        "cnn": {"whole_numbers": True},
        "mobilenet_age": {"network": "mobilenet-age-large", "whole_numbers": True},
    },
}
#: Sets that had other parts before: what learnt from those keeps them.
EARLIER_SETS = {
    "accurate": (
        *("hog", "lbp", "geometry", "cnn", "dlib_age"),
        *("mobilenet_age", "utkface_dlib", "utkface_mobilenet"),
    ),
}


def make_finder(name: str) -> FaceFinder:
    """Make the finder of a set."""
    if name in _FOR_BUSINESS:
        # The network that knows faces as they should look is for research only.
        return FaceFinder(landmarks=5, appearance=None)
    return FaceFinder(landmarks=5 if name in _OF_FIVE_LANDMARKS else 68)


def make_transformers(name: str, n_landmarks: int) -> list[tuple[str, FaceTransformer]]:
    """Make the transformers of a set.

    Parameters
    ----------
    name : str
        Empty for a name that there is not.
    n_landmarks : {5, 68}
        How many landmarks faces have.

    Returns
    -------
    list of (str, FaceTransformer)
    """
    known = _make_parts(n_landmarks)
    changes = _CHANGED.get(name, {})
    return [
        (part, known[part].set_params(**changes.get(part, {})))
        for part in FEATURE_SETS.get(name, ())
    ]


def make_earlier_transformers(name: str, n_landmarks: int) -> list[tuple[str, FaceTransformer]]:
    """Make the transformers that a set of ``EARLIER_SETS`` had.

    Parameters
    ----------
    name : str
    n_landmarks : {5, 68}

    Returns
    -------
    list of (str, FaceTransformer)
    """
    known = _make_parts(n_landmarks)
    known["utkface_dlib"] = CNNActivations("utkface-dlib", mirror=True)
    known["utkface_mobilenet"] = CNNActivations("utkface-mobilenet", mirror=True)
    return [(part, known[part]) for part in EARLIER_SETS[name]]


def _make_parts(n_landmarks: int) -> dict[str, FaceTransformer]:
    return {
        "hog": HOG(),
        "lbp": LBP(),
        "geometry": LandmarkGeometry(n_landmarks),
        "cnn": CNNActivations(),
        "dlib_age": CNNActivations("dlib-age"),
        "mobilenet_age": CNNActivations("mobilenet-age"),
        "dlib_ages": NetworkAges("dlib-age", mirror=True),
        "mobilenet_ages": NetworkAges("mobilenet-age"),
        "utkface_mobilenet": CNNActivations("utkface-mobilenet-large"),
        "utkface_small": CNNActivations("utkface-mobilenet-small"),
    }
