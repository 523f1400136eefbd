"""Features of labelled photos, where networks answer only for photos that they have not seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone

from ageboost.features import CNNActivations, FaceFeatures, FaceTransformer, LandmarkGeometry
from ageboost.features.networks import get_network

# Files of `train_networks.py`, by the names of the networks that it makes.
MEMBERS = {
    "utkface-dlib": "dlib",
    "utkface-mobilenet": "mobilenet",
    "utkface-mobilenet-small": "mobilenet",
}
N_MEMBERS, TRAIN_FOLDS = 3, 6


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
        Folder in which ``train_networks.py`` left the networks trained without two folds each.

    Returns
    -------
    ndarray of shape (n_photos, n_features), float32
        Rows of NaN for photos without a face.
    """
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


def _with_members(features: FaceFeatures, part: int, members: Path | None) -> FaceFeatures:
    """Put the network that was trained without a part in the place of the one that ships."""
    swapped = clone(features)
    transformers = []
    for name, transformer in swapped.get_params().items():
        if not isinstance(transformer, FaceTransformer):
            continue
        network = getattr(transformer, "network", None)
        if isinstance(transformer, CNNActivations) and network in MEMBERS:
            if members is None:
                raise SystemExit(
                    f"{network!r} has seen folds 0 to 5: name the folder of its cross-fitted "
                    "networks (--networks), which benchmarks/train_networks.py writes"
                )
            weights = members / f"{MEMBERS[network]}-{part}.onnx"
            transformer = clone(transformer).set_params(
                network=replace(get_network(network), weights=weights)
            )
        transformers.append((name, transformer))
    return swapped.set_params(transformers=transformers)
