"""Another network's own answer, trusted where a photo does not look like those learnt from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

__all__ = ["SecondOpinion"]

# The columns that show how a photo was made, and those of the answer that is asked for.
_TEXTURE = "lbp__"
_ANSWER = "mobilenet_age__logits_"


class SecondOpinion(BaseEstimator):
    """Moves ages of unfamiliar photos towards what a network answers that learnt elsewhere.

    A model that learnt from one collection of photos is best at photos of that collection, and
    wrong in one direction at others. A network that learnt from many is worse there and better at
    the others. Fine texture, as local binary patterns measure it, shows whether a photo was made as
    those of the collection were; the more foreign it looks, the more the network's answer counts.

    Parameters
    ----------
    share : float, default=0.85
        How much the network's answer counts for a photo that is foreign for certain.
    n_components : int, default=60
        Components of texture that are looked at.
    C : float, default=0.03
        Inverse strength of the ridge penalty on their weights.
    random_state : int or None, default=0
        Of the components.

    Attributes
    ----------
    texture_columns_, answer_columns_ : ndarray of int
        Where texture and answer stand among the features.
    weights_ : ndarray of shape (n_texture_columns,), float32
    intercept_ : float
        With the weights, the logarithm of the odds that a photo is foreign.

    References
    ----------
    T. Ojala, M. Pietikainen and T. Maenpaa, "Multiresolution Gray-Scale and Rotation Invariant
    Texture Classification with Local Binary Patterns", TPAMI 2002.
    """

    def __init__(self, share=0.85, n_components=60, C=0.03, random_state=0):
        self.share = share
        self.n_components = n_components
        self.C = C
        self.random_state = random_state

    def fit(
        self, matrix: npt.NDArray[np.floating], sources: Iterable[object], names: npt.ArrayLike
    ) -> SecondOpinion:
        """Learn how photos of a collection differ in texture from those of other sources.

        Parameters
        ----------
        matrix : ndarray of shape (n_photos, n_features)
            Features of photos of the collection and of other sources; no NaN.
        sources : sequence of length n_photos
            The source of each photo; None for those of the collection.
        names : array-like of shape (n_features,)
            Names of the features, as ``FaceFeatures.get_feature_names_out`` gives them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the features lack texture or answer, or all photos are of one kind.
        """
        named = np.asarray(names).astype(str)
        self.texture_columns_ = np.flatnonzero(np.char.startswith(named, _TEXTURE))
        self.answer_columns_ = np.flatnonzero(np.char.startswith(named, _ANSWER))
        if not len(self.texture_columns_) or not len(self.answer_columns_):
            raise ValueError("a second opinion needs the features 'lbp' and 'mobilenet_age'")
        origin = np.array([str(source) if source is not None else "" for source in sources])
        foreign = origin != ""
        if foreign.all() or not foreign.any():
            raise ValueError("a second opinion needs photos of the collection and of other sources")
        # Sources count alike, however many photos they have, and the collection thrice as much as
        # all of them together: to be foreign is the exception.
        _, inverse, counts = np.unique(origin, return_inverse=True, return_counts=True)
        weight = 1 / counts[inverse]
        weight[~foreign] *= 3 * (len(counts) - 1)
        texture = matrix[:, self.texture_columns_].astype(np.float64)
        mean, deviation = texture.mean(axis=0), texture.std(axis=0)
        scale = 1 / np.where(deviation > 0, deviation, 1)
        n_components = min(self.n_components, *texture.shape)
        reduce = PCA(n_components, whiten=True, random_state=self.random_state)
        scores = reduce.fit_transform((texture - mean) * scale)
        classifier = LogisticRegression(C=self.C, max_iter=1000)
        classifier.fit(scores, foreign, sample_weight=weight / weight.mean())
        directions = reduce.components_ / np.sqrt(reduce.explained_variance_)[:, None]
        weights = (classifier.coef_[0] @ directions) * scale
        self.weights_ = weights.astype(np.float32)
        center = mean + reduce.mean_ / scale
        self.intercept_ = float(classifier.intercept_[0] - center @ self.weights_)
        return self

    def foreign(self, matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Compute how probable it is that photos are of another source than the collection.

        Parameters
        ----------
        matrix : ndarray of shape (n_photos, n_features)

        Returns
        -------
        ndarray of shape (n_photos,)
            From 0 to 1.
        """
        return expit(self.log_odds(matrix))

    def log_odds(self, matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Compute the logarithm of the odds that photos are of another source.

        Parameters
        ----------
        matrix : ndarray of shape (n_photos, n_features)

        Returns
        -------
        ndarray of shape (n_photos,)
        """
        check_is_fitted(self)
        texture = _columns(matrix, self.texture_columns_)
        return (texture * self.weights_).sum(axis=1) + self.intercept_

    def revise(
        self, matrix: npt.NDArray[np.floating], ages: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Move ages of foreign photos towards the network's answer.

        Parameters
        ----------
        matrix : ndarray of shape (n_photos, n_features)
        ages : ndarray of shape (n_photos,)
            Years.

        Returns
        -------
        ndarray of shape (n_photos,)
            Years.
        """
        answers = _medians(softmax(_columns(matrix, self.answer_columns_), axis=1))
        # The root: photos of a source that was never met look less foreign than those met.
        return ages + self.share * np.sqrt(self.foreign(matrix)) * (answers - ages)


def _columns(
    matrix: npt.NDArray[np.floating], columns: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Take columns, such that sums over a row are the same for any number of rows.

    Indexing lays out several rows otherwise than a single one, and the order of sums follows that.
    """
    return matrix[:, columns].astype(np.float64, order="C")


def _medians(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ages that half of each distribution over whole years is younger than.

    Those of the young have a tail towards old ages, which draws their mean up.
    """
    reached = shares.cumsum(axis=1)
    years = np.argmax(reached >= 0.5, axis=1)
    rows = np.arange(len(shares))
    before = reached[rows, years] - shares[rows, years]
    # Who is 20 in years completed is between 20 and 21: the middle of it stands for it.
    return np.maximum(years + (0.5 - before) / shares[rows, years] - 0.5, 0)
