"""Features of labelled photos, where networks answer only for photos that they have not seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from _data import photo_digests
from sklearn.base import clone

from ageboost.features import CNNActivations, FaceFeatures, FaceTransformer, LandmarkGeometry
from ageboost.features.known_networks import get_network

# Files of `train_networks.py`, by the names of the networks that it makes.
MEMBERS = {
    "utkface-dlib": "dlib",
    "utkface-mobilenet": "mobilenet",
    "utkface-mobilenet-small": "mobilenet",
    "utkface-mobilenet-large": "mobilenet-large",
}
N_MEMBERS, TRAIN_FOLDS = 3, 6
# What they answered, by `out_of_fold.py`, for those who have not trained them.
ANSWERS = Path(__file__).with_name("networks") / "out_of_fold.npz"
# The face as it is, and its mirror image alone.
VIEWS = (False, "only")
# Of the SHA-256 of a photo's file, so many characters name it there.
_DIGEST = 16


def cross_fitted_matrix(
    features: FaceFeatures, table: pd.DataFrame, members: Path | None
) -> npt.NDArray[np.float32]:
    """Compute features; photos of folds 0 to 5 are shown to networks trained without them.

    Parameters
    ----------
    features : FaceFeatures
        With ``on_error="nan"`` and a cache.
    table : DataFrame
        With the columns ``photo`` and ``fold``.
    members : Path, optional
        Folder in which ``train_networks.py`` left the networks trained without two folds each;
        without it, what they answered is read from ``ANSWERS``.

    Returns
    -------
    ndarray of shape (n_photos, n_features), float32
        Rows of NaN for photos without a face.

    Raises
    ------
    SystemExit
        If what they answered is not known.
    """
    if members is None and any(_asked_networks(features)):
        return _with_answers(features, table)
    parts = np.where(table["fold"] < TRAIN_FOLDS, table["fold"] // 2, N_MEMBERS)
    matrix = np.empty((len(table), len(features.get_feature_names_out())), np.float32)
    for part in np.unique(parts):
        rows = np.flatnonzero(parts == part)
        asked = features if part == N_MEMBERS else _with_members(features, int(part), members)
        matrix[rows] = asked.transform(table["photo"].iloc[rows].tolist())
    return matrix


def face_qualities(
    table: pd.DataFrame, cache: str | Path | None, jobs: int
) -> npt.NDArray[np.object_]:
    """Measure how well each face can be seen; None for photos without a face."""
    features = FaceFeatures(
        [("geometry", LandmarkGeometry())], cache=cache, n_jobs=jobs, on_error="nan"
    )
    qualities = np.full(len(table), None, dtype=object)
    for batch in features.extract(table["photo"].tolist()):
        for owner, quality in zip(batch.owners, batch.qualities, strict=True):
            qualities[owner] = quality
    return qualities


def name_answers(network: str, view: bool | str) -> str:
    """Name what a network answers to one of the two views."""
    return f"{network}, mirrored" if view else network


def name_photos(table: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Name photos by what is in their files."""
    return photo_digests(table).str[:_DIGEST].to_numpy(str)


def unknown_answers(features: FaceFeatures) -> list[str]:
    """List networks that have seen folds 0 to 5, and of which nobody keeps what others said."""
    with np.load(ANSWERS) as kept:
        return [
            transformer.network
            for _, transformer in _asked_networks(features)
            if not set(_named_views(transformer)) <= set(kept)
        ]


def _named_views(transformer: CNNActivations) -> list[str]:
    """Name the answers whose mean a transformer is."""
    views = VIEWS if transformer.mirror is True else [transformer.mirror]
    return [name_answers(transformer.network, view) for view in views]


def _without_answers(network: str) -> SystemExit:
    return SystemExit(
        f"{network!r} has seen folds 0 to 5, and {ANSWERS.name} does not hold what others say of "
        "these photos: name the folder of its cross-fitted networks (--networks), which "
        "benchmarks/train_networks.py writes"
    )


def _asked_networks(features: FaceFeatures) -> Iterator[tuple[str, CNNActivations]]:
    """Yield the transformers, by their names, that ask networks trained on UTKFace."""
    for name, transformer in features.get_params().items():
        network = getattr(transformer, "network", None)
        if isinstance(transformer, CNNActivations) and network in MEMBERS:
            yield name, transformer


def _with_answers(features: FaceFeatures, table: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Compute features; what networks say of photos they have seen, others said before."""
    if unknown := unknown_answers(features):
        raise _without_answers(unknown[0])
    matrix = features.transform(table["photo"].tolist())
    seen = np.flatnonzero((table["fold"] < TRAIN_FOLDS).to_numpy() & ~np.isnan(matrix[:, 0]))
    columns = features.get_feature_names_out().astype(str)
    with np.load(ANSWERS) as kept:
        rows = {name: row for row, name in enumerate(kept["photos"])}
        places = [rows.get(name, -1) for name in name_photos(table.iloc[seen])]
        for name, transformer in _asked_networks(features):
            views = _named_views(transformer)
            own = np.flatnonzero(np.char.startswith(columns, f"{name}__"))
            if min(places, default=0) < 0 or any(kept[view].shape[1] != len(own) for view in views):
                raise _without_answers(transformer.network)
            answers = np.mean([kept[view][places] for view in views], axis=0, dtype=np.float32)
            matrix[np.ix_(seen, own)] = answers
    return matrix


def _with_members(features: FaceFeatures, part: int, members: Path) -> FaceFeatures:
    """Put the network that was trained without a part in the place of the one that ships."""
    swapped = clone(features)
    asked = dict(_asked_networks(swapped))
    transformers = []
    for name, transformer in swapped.get_params().items():
        if name in asked:
            weights = members / f"{MEMBERS[transformer.network]}-{part}.onnx"
            network = replace(get_network(transformer.network), weights=weights, stem=None)
            transformer = clone(transformer).set_params(network=network)
        if isinstance(transformer, FaceTransformer):
            transformers.append((name, transformer))
    return swapped.set_params(transformers=transformers)
