"""What photos look like, gathered while they pass through a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ageboost.faces.face import Quality
from ageboost.models.age_regressor import AgeRegressor
from ageboost.models.familiarity import Familiarity

__all__ = ["LooksSoFar"]


class LooksSoFar:
    """What photos look like, gathered batch by batch, to be compared with what a model knows.

    Parameters
    ----------
    regressor : AgeRegressor
        Fitted. Where it does not know its own photos, nothing is gathered.
    """

    def __init__(self, regressor: AgeRegressor):
        self._regressor = regressor
        self._qualities: list[Quality] = []
        self._ages = [np.empty(0)]
        self._textures = [np.empty(0)]

    def add(
        self,
        matrix: npt.NDArray[np.float32],
        qualities: Sequence[Quality],
        ages: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Gather a batch.

        Parameters
        ----------
        matrix : ndarray of shape (n_faces, n_features)
        qualities : sequence of Quality of length n_faces
        ages : ndarray of shape (n_faces,), optional
            Predicted ages, where they are known already.
        """
        if self._regressor.looks_ is None:
            return
        texture = self._regressor.texture(matrix)
        self._qualities += qualities
        self._ages.append(self._regressor.predict(matrix) if ages is None else ages)
        self._textures.append(np.full(len(matrix), np.nan) if texture is None else texture)

    def compare(self) -> Familiarity | None:
        """Compare all that was gathered.

        Returns
        -------
        Familiarity or None
            None where nothing was.
        """
        looks = self._regressor.looks_
        if looks is None or not self._qualities:
            return None
        return looks.compare(
            self._qualities, np.concatenate(self._ages), np.concatenate(self._textures)
        )
