"""People of each age whom a calibration knows: one's own and, where these are few, earlier ones.

A model that was adapted to photos of adults still knows how it saw children before. Whatever asks
how it answers for people of an age asks here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ageboost.models.calibration import AgeCalibrator

__all__ = ["KnownPeople", "known_people"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KnownPeople:
    """People of known age, and what a model said of them without having learnt from them.

    Attributes
    ----------
    predictions, ages, scales : ndarray of shape (n_people,)
        Years: as estimated, as they are, and the errors that were expected.
    weights : ndarray of shape (n_people,)
        How much each counts where shares of ages are asked for.
    known_before : ndarray of shape (n_bands,), bool
        Bands of ages of which there are too few people of one's own.
    """

    predictions: Array
    ages: Array
    scales: Array
    weights: Array
    known_before: npt.NDArray[np.bool_]

    def count(self, edges: Sequence[float]) -> npt.NDArray[np.intp]:
        """Count people in bands of ages.

        Parameters
        ----------
        edges : sequence of float
            The first year of each band but the youngest, rising.

        Returns
        -------
        ndarray of shape (n_bands,), int
        """
        bands = np.searchsorted(edges, self.ages, side="right")
        return np.bincount(bands, minlength=len(edges) + 1)


def known_people(calibration: AgeCalibrator, edges: Sequence[float], fewest: int) -> KnownPeople:
    """Find the people of each band of ages.

    Where there are few people of one's own photos, those whom the model knew before it was adapted
    count beside them, as this camera would have shown them. Together they have the share that such
    people had before.

    Parameters
    ----------
    calibration : AgeCalibrator
    edges : sequence of float
        The first year of each band but the youngest, rising.
    fewest : int
        How many people of one's own are enough for a band.

    Returns
    -------
    KnownPeople
    """
    own = calibration.own_people()
    bands = np.searchsorted(edges, own[1], side="right")
    few = np.bincount(bands, minlength=len(edges) + 1) < fewest
    weights = np.ones(own.shape[1])
    earlier = calibration.earlier_
    if earlier is None:
        return _make(own, weights, np.zeros_like(few))
    earlier_bands = np.searchsorted(edges, earlier[1], side="right")
    few &= np.bincount(earlier_bands, minlength=len(few)) > 0
    beside = few[earlier_bands]
    share, n_enough = beside.mean(), (~few[bands]).sum()
    each = 1.0
    if 0 < share < 1 and n_enough:
        each = n_enough * share / (1 - share) / beside.sum()
    together = np.concatenate([own, earlier[:, beside]], axis=1)
    return _make(together, np.append(weights, np.full(beside.sum(), each)), few)


def _make(
    people: npt.NDArray[np.float32], weights: Array, known_before: npt.NDArray[np.bool_]
) -> KnownPeople:
    predictions, ages, scales = people.astype(np.float64)
    return KnownPeople(predictions, ages, scales, weights, known_before)
