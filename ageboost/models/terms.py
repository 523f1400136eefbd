"""On what terms a model may be used: gathered from its networks, landmarks and photos."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ageboost.errors import TermsError
from ageboost.faces._appearance import SHIPPED
from ageboost.features import FaceFeatures, Network
from ageboost.features.networks import get_network, network_names
from ageboost.terms import APPEARANCE, CNN_DETECTOR, PartTerms, Terms, landmark_terms, network_terms

__all__ = ["check_commercial", "feature_terms", "known_network_terms"]

_WAYS_OUT = {
    "landmarks": "use FaceFinder(landmarks=5)",
    "network": "leave it out, or state the terms of one of your own: Network(..., terms=...)",
    "photos": 'leave them out, or say that they are yours to use: terms="own"',
}


def known_network_terms(network: str | Network) -> PartTerms:
    """Tell on what terms a network may be used.

    A record is taken for a network that is known by name only if its weights are the same file:
    what was trained further is bound by the photos that it was trained on.

    Parameters
    ----------
    network : str or Network

    Returns
    -------
    PartTerms
    """
    if isinstance(network, str):
        return network_terms(network)
    if network.terms is not None:
        return network.terms
    if not isinstance(network.weights, bytes):
        for name in network_names():
            if get_network(name).weights == network.weights:
                return network_terms(name)
    return PartTerms("network", network.name, "not stated", "unknown")


def feature_terms(features: FaceFeatures) -> tuple[PartTerms, ...]:
    """Tell on what terms features may be used: those of their networks and landmarks.

    Parameters
    ----------
    features : FaceFeatures

    Returns
    -------
    tuple of PartTerms
    """
    finder = features._finder()
    parts = [landmark_terms(finder.landmarks)]
    if finder.use_cnn:
        parts.append(CNN_DETECTOR)
    if finder.appearance == SHIPPED:
        parts.append(APPEARANCE)
    elif finder.appearance is not None:
        name = os.path.basename(os.fspath(finder.appearance))
        parts.append(PartTerms("network", name, "not stated", "unknown"))
    for _, transformer in features._transformers():
        network = getattr(transformer, "network", None)
        if isinstance(network, str | Network):
            parts.append(known_network_terms(network))
    return tuple(dict.fromkeys(parts))


def check_commercial(parts: Sequence[PartTerms]) -> None:
    """Refuse what a business may not use.

    Parameters
    ----------
    parts : sequence of PartTerms

    Raises
    ------
    TermsError
        If the terms of a part forbid commercial use, or are not known; it names each of them.
    """
    obstacles = Terms(tuple(parts)).obstacles
    if obstacles:
        reasons = [
            f"{part.kind} {part.name}: {part.licence}: {_WAYS_OUT[part.kind]}" for part in obstacles
        ]
        raise TermsError("not for commercial use: " + "; ".join(reasons))
