"""Ideas that were tried; the table of ``accuracy.py`` shows what came of them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from xgboost import XGBClassifier

from ageboost.faces import Face, stack_chips
from ageboost.features import FaceTransformer

CELLS = 8


class GaborPyramid(FaceTransformer):
    """Bio-inspired features: Gabor filters, the larger of two scales, spread within cells.

    References
    ----------
    G. Guo et al., "Human Age Estimation Using Bio-Inspired Features", CVPR 2009.
    """

    def __init__(self, chip_size=64, n_bands=4, n_orientations=6):
        self.chip_size = chip_size
        self.n_bands = n_bands
        self.n_orientations = n_orientations

    def _transform(self, faces: list[Face]) -> npt.NDArray[np.float32]:
        chips = stack_chips(faces, self.chip_size, grey=True).astype(np.float32)
        filters = self._filters()
        rows = []
        for chip in chips:
            answers = np.stack([np.abs(cv2.filter2D(chip, cv2.CV_32F, f)) for f in filters])
            shape = (
                self.n_bands,
                2,
                self.n_orientations,
                CELLS,
                self.chip_size // CELLS,
                CELLS,
                -1,
            )
            cells = answers.reshape(shape).max(axis=1)
            rows.append(cells.std(axis=(3, 5)).ravel())
        return np.stack(rows).astype(np.float32)

    def _filters(self) -> list[npt.NDArray[np.float32]]:
        filters = []
        for scale in range(2 * self.n_bands):
            side, sigma, wave = 5 + 2 * scale, 2.0 + 0.8 * scale, 2.5 + scale
            for turn in range(self.n_orientations):
                kernel = cv2.getGaborKernel(
                    (side, side), sigma, np.pi * turn / self.n_orientations, wave, 0.3, 0
                )
                filters.append((kernel - kernel.mean()).astype(np.float32) / np.abs(kernel).sum())
        return filters

    def _feature_names(self) -> list[str]:
        n_cells = CELLS * CELLS
        return [
            f"band{band}_turn{turn}_cell{cell}"
            for band in range(self.n_bands)
            for turn in range(self.n_orientations)
            for cell in range(n_cells)
        ]


class OrdinalBooster(RegressorMixin, BaseEstimator):
    """A booster for each "older than t"; the sum of their probabilities is the age.

    References
    ----------
    Z. Niu et al., "Ordinal Regression with Multiple Output CNN for Age Estimation", CVPR 2016.
    """

    def __init__(self, n_estimators=100, n_thresholds=20, random_state=0):
        self.n_estimators = n_estimators
        self.n_thresholds = n_thresholds
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        shares = np.linspace(0, 1, self.n_thresholds + 2)[1:-1]
        self.thresholds_ = np.unique(np.quantile(y, shares))
        edges = np.r_[y.min(), (self.thresholds_[1:] + self.thresholds_[:-1]) / 2, y.max()]
        # Each probability stands for the years around its threshold.
        self.start_, self.years_ = edges[0], np.diff(edges)
        self.boosters_ = [
            XGBClassifier(
                n_estimators=self.n_estimators,
                learning_rate=0.06,
                max_depth=4,
                subsample=0.7,
                colsample_bytree=0.3,
                random_state=self.random_state,
            ).fit(X, y >= threshold, sample_weight=sample_weight)
            for threshold in self.thresholds_
        ]
        return self

    def predict(self, X):
        older = np.stack([booster.predict_proba(X)[:, 1] for booster in self.boosters_], axis=1)
        return self.start_ + older @ self.years_


def rare_age_weights(ages: npt.NDArray) -> npt.NDArray[np.float64]:
    """Weigh photos by the inverse square root of how many are of about their age."""
    counts = np.bincount(ages.astype(int), minlength=121)
    near = np.convolve(counts, np.ones(5) / 5, mode="same")
    weights = 1 / np.sqrt(near[ages.astype(int)] + 20)
    return weights / weights.mean()
