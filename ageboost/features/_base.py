"""What every face transformer shares: it looks at a batch of faces, and learns nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from ageboost.faces import Face


class FaceTransformer(TransformerMixin, BaseEstimator):
    """Turns a sequence of faces into a matrix with named columns, one row per face.

    Stateless: the row of a face does not depend on the other faces, so ``fit`` does nothing and
    ``transform`` may be called without it. Subclasses define ``_transform`` and ``_feature_names``.
    """

    def fit(self, faces: Sequence[Face], y: object = None) -> FaceTransformer:
        """Do nothing; here because scikit-learn asks for it.

        Parameters
        ----------
        faces : sequence of Face
        y : ignored

        Returns
        -------
        self
        """
        return self

    def transform(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        """Compute the features of each face.

        Parameters
        ----------
        faces : sequence of Face of length n_faces

        Returns
        -------
        ndarray of shape (n_faces, n_features), float32
        """
        for position, face in enumerate(faces):
            if not isinstance(face, Face):
                raise TypeError(
                    f"item {position} is a {type(face).__name__}, not a Face: "
                    f"find faces with ageboost.faces.FaceFinder().find(photo), "
                    f"or give photos to ageboost.features.FaceFeatures"
                )
        if len(faces) == 0:
            return np.empty((0, len(self._feature_names())), dtype=np.float32)
        return self._transform(faces)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Name each column by where on the face it comes from.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        return np.asarray(self._feature_names(), dtype=object)

    def feature_areas(self) -> npt.NDArray[np.float64]:
        """Compute which part of the face each column looks at.

        Returns
        -------
        ndarray of shape (n_features, 4)
            Left, top, right and bottom, in sides of the aligned chip without padding, from its top
            left corner: the face fills 0 to 1. NaN for columns that look at no area, or at the
            whole chip.
        """
        return np.full((len(self._feature_names()), 4), np.nan)

    @abstractmethod
    def _transform(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        """Compute the matrix of a batch that is not empty."""

    @abstractmethod
    def _feature_names(self) -> list[str]:
        """Names of the columns."""

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


def area_on_face(
    rows: tuple[float, float], columns: tuple[float, float], padding: float
) -> tuple[float, float, float, float]:
    """Turn a part of a padded chip into an area of the face.

    Parameters
    ----------
    rows, columns : tuple of float
        Where it begins and ends, in sides of the chip.
    padding : float
        Of the chip.

    Returns
    -------
    tuple of float
        Left, top, right, bottom, as in :meth:`FaceTransformer.feature_areas`.
    """
    left, top, right, bottom = (
        edge * (1 + 2 * padding) - padding for edge in (columns[0], rows[0], columns[1], rows[1])
    )
    return left, top, right, bottom
