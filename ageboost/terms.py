"""On what terms things may be used: networks, landmarks and photos that ages come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["PartTerms", "StatedTerms", "Terms", "landmark_terms", "network_terms", "photo_terms"]

Commercial = Literal["yes", "no", "unknown"]
Kind = Literal["network", "landmarks", "photos"]

_COMMERCIAL = ("yes", "no", "unknown")
_KINDS = ("network", "landmarks", "photos")


@dataclass(frozen=True)
class PartTerms:
    """On what terms one thing may be used that a model is made of, or has learnt from.

    Parameters
    ----------
    kind : {"network", "landmarks", "photos"}
    name : str
    licence : str
        In a few words, such as ``"CC BY 4.0"``.
    commercial : {"yes", "no", "unknown"}
        Whether a business may use it.
    notice : str, default=""
        What has to be said wherever a model made with it is passed on: authors, changes. Empty
        where nothing has to be.

    Examples
    --------
    >>> from ageboost.terms import PartTerms
    >>> print(PartTerms("photos", "our staff", "with their consent", "yes"))
    photos our staff: with their consent (commercial use: yes)
    """

    kind: Kind
    name: str
    licence: str
    commercial: Commercial
    notice: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"kind={self.kind!r}: pass one of {', '.join(_KINDS)}")
        if self.commercial not in _COMMERCIAL:
            raise ValueError(
                f"commercial={self.commercial!r}: pass one of {', '.join(_COMMERCIAL)}"
            )

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.licence} (commercial use: {self.commercial})"


@dataclass(frozen=True)
class Terms:
    """On what terms a model may be used: those of all that is in it.

    Attributes
    ----------
    parts : tuple of PartTerms

    Examples
    --------
    >>> import ageboost
    >>> terms = ageboost.load_pretrained("open").terms
    >>> terms.commercial
    'yes'
    >>> ageboost.load_pretrained("accurate").terms.commercial
    'no'
    """

    parts: tuple[PartTerms, ...]

    @property
    def commercial(self) -> Commercial:
        """Whether a business may use the model: no if any part forbids it.

        Photos of which nothing was stated are of unknown terms, and where a model was trained,
        calibrated or adapted with ``commercial=True``, they count as the user's own; both are said
        in ``parts`` and in ``summary``.
        """
        found = {part.commercial for part in self.parts}
        return "no" if "no" in found else "unknown" if "unknown" in found else "yes"

    @property
    def notices(self) -> tuple[str, ...]:
        """What has to be said wherever the model is passed on."""
        return tuple(dict.fromkeys(part.notice for part in self.parts if part.notice))

    @property
    def obstacles(self) -> tuple[PartTerms, ...]:
        """The parts that a business may not use, or of which it is unknown; the former first."""
        return tuple(
            part for answer in ("no", "unknown") for part in self.parts if part.commercial == answer
        )

    @property
    def summary(self) -> str:
        """One or two sentences: may a business use it, and why not."""
        if self.commercial == "yes":
            allowed = "Commercial use is allowed by the terms of all that the model is made of"
            if TAKEN_AS_OWN not in self.parts:
                return f"{allowed}."
            return (
                f"{allowed}, if the photos are the user's own: nothing was stated of them, and "
                "they are taken to be."
            )
        if self.commercial == "no":
            reasons = [part for part in self.obstacles if part.commercial == "no"]
            start = "No commercial use"
        else:
            reasons, start = list(self.obstacles), "Whether commercial use is allowed is unknown"
        named = "; ".join(f"{part.kind} {part.name}: {part.licence}" for part in reasons)
        return f"{start}: {named}."

    def to_markdown(self) -> str:
        """Write the terms as a paragraph, a table and a list of notices.

        Returns
        -------
        str
        """
        rows = [
            f"| {part.kind} | {part.name} | {part.licence} | {part.commercial} |"
            for part in self.parts
        ]
        table = ["| part | name | terms | commercial use |", "| --- | --- | --- | --- |", *rows]
        notices = [f"- {notice}" for notice in self.notices]
        if notices:
            notices = ["", "To be said wherever the model is passed on:", "", *notices]
        return "\n".join([f"**{self.summary}**", "", *table, *notices])

    def __str__(self) -> str:
        lines = [self.summary, *(f"- {part}" for part in self.parts)]
        if self.notices:
            lines += ["To be said wherever the model is passed on:"]
            lines += [f"- {notice}" for notice in self.notices]
        return "\n".join(lines)


# How callers may state the terms of photos: see photo_terms.
StatedTerms: TypeAlias = str | PartTerms | Iterable[str | PartTerms | None] | None

_RESEARCH = "non-commercial research only"
_MOBILENET = (
    "MobileNet: A. V. Savchenko, PeerJ Computer Science 2019 (age_gender_tf2_224_deep), Apache "
    "License 2.0{changed}. The photos that it learnt from, VGGFace2 and IMDB-WIKI, were gathered "
    "for research."
)
_NETWORKS = {
    "dlib": PartTerms(
        "network",
        "dlib",
        "public domain (CC0 1.0); VGG Face and FaceScrub, which it learnt from among others, were "
        "gathered for research",
        "yes",
    ),
    "dlib-age": PartTerms(
        "network",
        "dlib-age",
        "public domain (CC0 1.0); it learnt from private photos, FG-NET's evidently among them",
        "yes",
    ),
    "mobilenet-age": PartTerms(
        "network",
        "mobilenet-age",
        "Apache License 2.0; VGGFace2 and IMDB-WIKI, which it learnt from, were gathered for "
        "research",
        "yes",
        _MOBILENET.format(changed=""),
    ),
}
BLAZEFACE = PartTerms(
    "network",
    "BlazeFace, which finds faces",
    "Apache License 2.0; it learnt from photos of its maker's",
    "yes",
    "BlazeFace (short range): Google, Apache License 2.0 "
    "(https://www.apache.org/licenses/LICENSE-2.0); converted to ONNX.",
)
# Asked where the first detector finds nothing.
CNN_DETECTOR = PartTerms("network", "dlib's face detector", "public domain (CC0 1.0)", "yes")
_UTKFACE_NETWORK = "trained on UTKFace, " + _RESEARCH
APPEARANCE = PartTerms(
    "network",
    "that marks disturbed faces, which FaceFinder(appearance=None) leaves out",
    _UTKFACE_NETWORK,
    "no",
)
_LANDMARKS = {
    68: PartTerms(
        "landmarks",
        "dlib's 68 points",
        "trained on iBUG 300-W, which excludes commercial use",
        "no",
    ),
    5: PartTerms("landmarks", "dlib's 5 points", "public domain (CC0 1.0)", "yes"),
}
_CONGRESS = "works of the US government: public domain"
_PHOTOS = {
    "own": PartTerms("photos", "the user's own", "said by the user to be theirs to use", "yes"),
    "utkface": PartTerms(
        "photos",
        "UTKFace",
        _RESEARCH,
        "no",
        'UTKFace: Zhang, Song and Qi, "Age Progression/Regression by Conditional Adversarial '
        'Autoencoder", CVPR 2017; non-commercial research only.',
    ),
    "fgnet": PartTerms("photos", "FG-NET", "research, treated as non-commercial", "no"),
    "appa-real": PartTerms("photos", "APPA-REAL", "research, treated as non-commercial", "no"),
    "london": PartTerms(
        "photos",
        "Face Research Lab London Set",
        "CC BY 4.0",
        "yes",
        "Face Research Lab London Set: Lisa DeBruine and Benedict Jones, CC BY 4.0 "
        "(https://creativecommons.org/licenses/by/4.0/); ages were learnt from the photos, none "
        "of which is in the model.",
    ),
    "congress": PartTerms("photos", "portraits of the US Congress", _CONGRESS, "yes"),
    "congress_grey": PartTerms("photos", "grey portraits of the US Congress", _CONGRESS, "yes"),
}
_NOT_STATED = PartTerms("photos", "given by the user", "not stated", "unknown")
# Where a business wants a model of which nothing forbids its use: nobody has said this of them.
TAKEN_AS_OWN = PartTerms(
    "photos",
    "given by the user",
    "taken to be the user's own: nothing was stated",
    "yes",
)


def network_terms(name: str) -> PartTerms:
    """Look up on what terms a network may be used that is known by name.

    Parameters
    ----------
    name : str
        As for :func:`ageboost.features.get_network`.

    Returns
    -------
    PartTerms
        For a name that is not known, one that says so.
    """
    if name.startswith("utkface-"):
        notice = _MOBILENET.format(changed=", trained further on UTKFace")
        return PartTerms(
            "network", name, _UTKFACE_NETWORK, "no", notice if "mobilenet" in name else ""
        )
    # Larger chips need no other weights.
    weights = name.removesuffix("-large")
    return _NETWORKS.get(weights, PartTerms("network", name, "not stated", "unknown"))


def landmark_terms(landmarks: object) -> PartTerms:
    """Look up on what terms a predictor of landmarks may be used.

    Parameters
    ----------
    landmarks : {68, 5} or path
        As for :class:`ageboost.faces.FaceFinder`.

    Returns
    -------
    PartTerms
        For a file of the user's own, one that says that nothing is known.
    """
    if isinstance(landmarks, int) and landmarks in _LANDMARKS:
        return _LANDMARKS[landmarks]
    return PartTerms("landmarks", "a predictor of the user's own", "not stated", "unknown")


def photo_terms(terms: StatedTerms) -> tuple[PartTerms, ...]:
    """Look up on what terms photos may be used.

    Parameters
    ----------
    terms : str, PartTerms, sequence of these or None
        ``"own"`` for photos that are the user's to use; ``"utkface"``, ``"fgnet"``,
        ``"appa-real"``, ``"london"``, ``"congress"`` or ``"congress_grey"`` for those of known
        collections; a record of one's own; None where nothing is stated.

    Returns
    -------
    tuple of PartTerms

    Raises
    ------
    ValueError
        If there is no collection of that name, or a record is not one of photos.

    Examples
    --------
    >>> from ageboost.terms import photo_terms
    >>> [found.commercial for found in photo_terms(["own", "utkface"])]
    ['yes', 'no']
    """
    listed: Sequence[str | PartTerms | None]
    listed = [terms] if terms is None or isinstance(terms, str | PartTerms) else list(terms)
    found = []
    for one in listed:
        if one is None:
            one = _NOT_STATED
        if isinstance(one, str):
            if one not in _PHOTOS:
                raise ValueError(
                    f"terms={one!r}: pass one of {', '.join(map(repr, _PHOTOS))}, or a "
                    'PartTerms("photos", name, licence, commercial)'
                )
            one = _PHOTOS[one]
        if not isinstance(one, PartTerms) or one.kind != "photos":
            raise ValueError(f"terms={one!r}: pass terms of photos")
        found.append(one)
    return tuple(dict.fromkeys(found))
