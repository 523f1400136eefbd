"""What frozen networks say of ages: a second witness beside the labels, for networks to learn from.

UTKFace's ages were partly estimated, so a label is one opinion. Kernels over the levels of networks
that never saw UTKFace are another, and by cross-fitting theirs of a photo knows nothing of its
label.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost.features import CNNActivations, FaceFeatures
from ageboost.models import KernelScores
from ageboost.models.reduction import feature_groups

FROZEN = ("dlib", "dlib-age", "mobilenet-age")


def witnessed_ages(
    table: pd.DataFrame, rows: npt.NDArray[np.intp], path: Path, cache: Path | None, jobs: int
) -> npt.NDArray[np.float32]:
    """Estimate ages of some photos from frozen networks, each without its own label.

    Parameters
    ----------
    table : DataFrame
        With the columns ``photo`` and ``age``.
    rows : ndarray of shape (n_rows,)
        Of photos to learn from; no other label is read.
    path : Path
        Where the ages are kept; if it exists, they are read.
    cache : Path, optional
        Folder of cached features.
    jobs : int
        Processes.

    Returns
    -------
    ndarray of shape (n_photos,), float32
        In years; NaN elsewhere, and where there is no face.
    """
    if not path.exists():
        frozen = [(network, CNNActivations(network)) for network in FROZEN]
        features = FaceFeatures(frozen, cache=cache, n_jobs=jobs, on_error="nan")
        names = features.get_feature_names_out().astype(str)
        matrix = features.transform(table["photo"].iloc[rows].tolist())
        known = np.flatnonzero(~np.isnan(matrix[:, 0]))
        kernels = KernelScores(n_components=128, n_centers=2500, random_state=0)
        truth = table["age"].to_numpy(float)[rows[known]]
        scores = kernels.cross_fit_transform(matrix[known], truth, groups=feature_groups(names))
        ages = np.full(len(table), np.nan, np.float32)
        # The last kernel looks at all networks.
        ages[rows[known]] = scores[:, len(kernels.coefs_) - 1]
        np.save(path, ages.clip(0, 100))
    return np.load(path)
