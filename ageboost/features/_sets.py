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
    "FEATURE_SETS",
    "QUICKER_SETS",
    "make_finder",
    "make_quick_transformers",
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
    "accurate": (
        *("hog", "lbp", "geometry", "cnn", "dlib_age"),
        *("mobilenet_age", "utkface_dlib", "utkface_mobilenet"),
    ),
}
# Sets aligned by 5 landmarks: of the others, "fast" is for speed, and a shop may not use the 68.
_OF_FIVE_LANDMARKS = ("fast", "open", "shop")
_FOR_BUSINESS = ("open", "shop")
# How parts of a set become quicker, where it was measured how little that moves ages.
QUICKER_SETS: dict[str, dict[str, dict[str, object]]] = {
    "accurate": {
        "mobilenet_age": {"whole_numbers": True},
        # Each averages over the face and its mirror image: two networks may share that.
        "utkface_dlib": {"mirror": False},
        "utkface_mobilenet": {"mirror": "only"},
    },
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
    known: dict[str, FaceTransformer] = {
        "hog": HOG(),
        "lbp": LBP(),
        "geometry": LandmarkGeometry(n_landmarks),
        "cnn": CNNActivations(),
        "dlib_age": CNNActivations("dlib-age"),
        "mobilenet_age": CNNActivations("mobilenet-age"),
        "dlib_ages": NetworkAges("dlib-age", mirror=True),
        "mobilenet_ages": NetworkAges("mobilenet-age"),
        "utkface_dlib": CNNActivations("utkface-dlib", mirror=True),
        "utkface_mobilenet": CNNActivations("utkface-mobilenet", mirror=True),
        "utkface_small": CNNActivations("utkface-mobilenet-small"),
    }
    return [(part, known[part]) for part in FEATURE_SETS.get(name, ())]


def make_quick_transformers(name: str, n_landmarks: int) -> list[tuple[str, FaceTransformer]]:
    """Make transformers that give nearly the features of a set, in less time.

    Parameters
    ----------
    name : str
        One of ``QUICKER_SETS``.
    n_landmarks : {5, 68}

    Returns
    -------
    list of (str, FaceTransformer)
        With the columns of the set.
    """
    changes = QUICKER_SETS[name]
    return [
        (part, transformer.set_params(**changes.get(part, {})))
        for part, transformer in make_transformers(name, n_landmarks)
    ]
