"""What a model answers for the faces of a collection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.preprocessing import StandardScaler

from ageboost.models import AgeDistribution, GroupedPCA, KernelScores
from ageboost.models.estimator import AgeEstimator

__all__ = ["Answers", "AnswersSoFar"]

_FACES_AT_ONCE = 512


@dataclass
class Answers:
    """What a model answers.

    Attributes
    ----------
    predicted : ndarray of shape (n_faces,)
        Years.
    distribution : AgeDistribution or None
        Of these faces; None if the model does not know how far its ages are off.
    """

    predicted: npt.NDArray[np.float64]
    distribution: AgeDistribution | None


class AnswersSoFar:
    """Asks a model about features as they come, so that no more than a few rows are held.

    Parameters
    ----------
    model : AgeEstimator
        Fitted.
    """

    def __init__(self, model: AgeEstimator):
        self._model = model
        self._waiting: list[npt.NDArray[np.float32]] = []
        self._predicted: list[npt.NDArray[np.float64]] = []
        self._scales: list[npt.NDArray[np.float64]] = []
        self._components: list[npt.NDArray[np.float32]] = []

    def add(self, matrix: npt.NDArray[np.float32]) -> None:
        """Take more faces.

        Parameters
        ----------
        matrix : ndarray of shape (n_faces, n_features), float32
        """
        self._waiting.append(matrix)
        if sum(map(len, self._waiting)) >= _FACES_AT_ONCE:
            self._ask()

    def finish(self) -> tuple[Answers, npt.NDArray[np.float32]]:
        """Give the answers, and what a quick method can compare faces by.

        Returns
        -------
        answers : Answers
        components : ndarray of shape (n_faces, n_components), float32
            What the model sees of each face, less what it has learnt about ages.
        """
        self._ask()
        predicted = np.concatenate(self._predicted)
        components = np.concatenate(self._components)
        if not isinstance(self._model.reduction_, KernelScores | GroupedPCA):
            components = StandardScaler().fit_transform(components)
        distribution = None
        if self._model.calibration_ is not None:
            scales = np.concatenate(self._scales)
            distribution = self._model.calibration_.distribution(predicted, scales)
        return Answers(predicted, distribution), components

    def _ask(self) -> None:
        matrix = np.concatenate(self._waiting)
        self._waiting = [matrix[:0]]
        if len(matrix) == 0:
            return
        self._components.append(self._see(matrix))
        if self._model.calibration_ is None:
            self._predicted.append(self._model.age_regressor_.predict(matrix))
            return
        known = self._model.age_regressor_.predict_distribution(matrix)
        self._predicted.append(known.ages)
        self._scales.append(known.scales)

    def _see(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        reduction = self._model.reduction_
        if isinstance(reduction, KernelScores):
            return reduction.pca_.transform(matrix)[:, reduction.kept_].astype(np.float32)
        return reduction.transform(matrix) if isinstance(reduction, GroupedPCA) else matrix
