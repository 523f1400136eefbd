"""On what terms a model may be used: gathered from its networks, landmarks and photos."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ageboost.errors import TermsError
from ageboost.faces._appearance import SHIPPED
from ageboost.features import FaceFeatures, Network
from ageboost.features.known_networks import get_network, network_names
from ageboost.terms import (
    APPEARANCE,
    BLAZEFACE,
    CNN_DETECTOR,
    TAKEN_AS_OWN,
    PartTerms,
    StatedTerms,
    Terms,
    landmark_terms,
    network_terms,
    photo_terms,
)

__all__ = ["add_photo_terms", "feature_terms", "known_network_terms"]

_WAYS_OUT = {
    "landmarks": "use FaceFinder(landmarks=5)",
    "network": "leave it out, or state the terms of one of your own: Network(..., terms=...)",
    "photos": 'leave them out, or say that they are yours to use: terms="own"',
}
_ANOTHER_MODEL = "take another model, such as open"


def known_network_terms(network: str | Network) -> PartTerms:
    """Return the terms on which a network may be used.

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
    """Return the terms on which features may be used: those of their networks and landmarks.

    Parameters
    ----------
    features : FaceFeatures

    Returns
    -------
    tuple of PartTerms
    """
    finder = features.get_finder()
    parts = [landmark_terms(finder.landmarks)]
    if finder.detector == "blazeface":
        parts.append(BLAZEFACE)
    if finder.use_cnn:
        parts.append(CNN_DETECTOR)
    if finder.appearance == SHIPPED:
        parts.append(APPEARANCE)
    elif finder.appearance is not None:
        name = os.path.basename(os.fspath(finder.appearance))
        parts.append(PartTerms("network", name, "not stated", "unknown"))
    for _, transformer in features.get_transformers():
        network = getattr(transformer, "network", None)
        if isinstance(network, str | Network):
            parts.append(known_network_terms(network))
    return tuple(dict.fromkeys(parts))


def add_photo_terms(
    before: Sequence[PartTerms],
    terms: StatedTerms,
    commercial: bool = False,
    others: Sequence[PartTerms] = (),
) -> list[PartTerms]:
    """Add the terms of photos to those before, and refuse what is not for commercial use.

    Parameters
    ----------
    before : sequence of PartTerms
        Of photos that the model was trained on already.
    terms : str, PartTerms or sequence of these, or None
        Of the photos that are added: see :func:`ageboost.terms.photo_terms`.
    commercial : bool, default=False
        Whether to refuse what a business may not use. Photos whose terms are not stated count as
        the user's own then, by a record which says that nothing was stated.
    others : sequence of PartTerms, default=()
        Of other parts, to be refused in the same error.

    Returns
    -------
    list of PartTerms

    Raises
    ------
    TermsError
        If ``commercial`` and the terms of a part forbid that, or are not known.
    """
    added = photo_terms(terms)
    found = [*before, *added]
    if commercial:
        [not_stated] = photo_terms(None)
        found = [TAKEN_AS_OWN if part == not_stated else part for part in found]
        # A model that is fitted keeps its networks and what it has learnt.
        _refuse_obstacles([*others, *found], [*others, *before] if before else [], added)
    return list(dict.fromkeys(found))


def _refuse_obstacles(
    parts: Sequence[PartTerms], of_model: Sequence[PartTerms], added: Sequence[PartTerms]
) -> None:
    reasons = []
    for part in dict.fromkeys(Terms(tuple(parts)).obstacles):
        stays = part in of_model and part not in added
        way_out = _ANOTHER_MODEL if stays else _WAYS_OUT[part.kind]
        reasons.append(f"{part.kind} {part.name}: {part.licence}: {way_out}")
    if reasons:
        raise TermsError("not for commercial use: " + "; ".join(reasons))
