"""What a regressor answers for a batch of photos, in the process that computes its features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost.errors import PhotoError
from ageboost.features import ExtractedBatch
from ageboost.models._face_table import face_rows, faces_table
from ageboost.models.age_regressor import AgeRegressor

__all__ = ["AgesAndScales", "FacesTable", "MainAges"]


@dataclass
class MainAges:
    """Ages of main faces.

    Attributes
    ----------
    regressor : AgeRegressor
        Fitted.
    """

    regressor: AgeRegressor
    n_columns = 1

    def __call__(
        self, batch: ExtractedBatch
    ) -> tuple[npt.NDArray[np.float64], list[tuple[int, PhotoError]]]:
        """Return a row for each photo, NaN where it has no face, and what is wrong with these."""
        rows = np.full((batch.n_photos, self.n_columns), np.nan)
        rows[np.array(batch.owners, dtype=np.intp) - batch.first] = self.predict(batch.matrix)
        return rows, batch.failures

    def predict(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Predict ages.

        Parameters
        ----------
        matrix : ndarray of shape (n_faces, n_features), float32

        Returns
        -------
        ndarray of shape (n_faces, n_columns)
        """
        return self.regressor.predict(matrix)[:, None]


class AgesAndScales(MainAges):
    """Ages of main faces, and how large their errors are expected to be."""

    n_columns = 2

    def predict(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Predict ages and scales.

        Parameters
        ----------
        matrix : ndarray of shape (n_faces, n_features), float32

        Returns
        -------
        ndarray of shape (n_faces, 2)
        """
        found = self.regressor.predict_distribution(matrix)
        return np.column_stack([found.ages, found.scales])


@dataclass
class FacesTable:
    """The rows of :meth:`AgeEstimator.analyze` for a batch.

    Attributes
    ----------
    regressor : AgeRegressor
        Fitted.
    coverage : float
        Share of true ages that should lie in the range.
    """

    regressor: AgeRegressor
    coverage: float

    def __call__(self, batch: ExtractedBatch) -> pd.DataFrame:
        """Return the table of a batch."""
        return faces_table(face_rows(self.regressor, batch, self.coverage))
