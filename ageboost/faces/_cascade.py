"""Places the landmarks of many faces at once, by the trees of dlib's shape predictors.

dlib takes one face through all of its trees, and fetches their 65 MB from memory for each. Here all
faces of a batch take one step of the cascade before the next, so its trees are fetched once.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from ageboost.faces._cascade_file import Trees, read_shape_predictor

__all__ = ["Cascade"]

# Faces that take the steps together: what is known of them stays in the cache, too.
_TOGETHER = 64


class Cascade:
    """A cascade of regression trees that moves a mean shape to where the pixels say that it is.

    Every step is taken in the order and precision in which dlib takes it, so the points are dlib's.

    Parameters
    ----------
    path : Path
        Of a shape predictor in dlib's format.

    Raises
    ------
    ValueError
        If the file holds no shape predictor.

    References
    ----------
    V. Kazemi and J. Sullivan, "One millisecond face alignment with an ensemble of regression
    trees", CVPR 2014.
    """

    def __init__(self, path: Path):
        # Each shape becomes a sum of rows that begins with itself, so it has to be among them.
        self._mean_shape, self._rows, self._steps = read_shape_predictor(path, _TOGETHER)
        self._n_moves = len(self._rows) - _TOGETHER
        self._lock = threading.Lock()

    def predict(
        self, pixels: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[npt.NDArray[np.float64]]
    ) -> list[npt.NDArray[np.float64]]:
        """Place the landmarks of one face in each photo.

        Parameters
        ----------
        pixels : sequence of ndarray of shape (height, width, 3), uint8
        boxes : sequence of ndarray of shape (4,)
            Left, top, right, bottom, in pixels.

        Returns
        -------
        list of ndarray of shape (n_landmarks, 2), float64
            Whole pixels, across and down.
        """
        placed: list[npt.NDArray[np.float64]] = []
        for start in range(0, len(boxes), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            placed.extend(self._predict_together(pixels[part], np.rint(boxes[part])))
        return placed

    def _predict_together(
        self, pixels: Sequence[npt.NDArray[np.uint8]], boxes: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        photos = _Photos(pixels)
        # dlib counts the last row and column as inside.
        edges = boxes.T[:, :, None]
        corner, side = edges[:2], edges[2:] - 1 - edges[:2]
        shapes = np.repeat(self._mean_shape[:, None], len(boxes), axis=1)
        for trees in self._steps:
            offsets = _rotate(_best_turn(self._mean_shape, shapes), trees.offsets)
            offsets += np.take(shapes, trees.anchors, axis=2)
            brightness = photos.brightness(_whole(offsets * side + corner))
            shapes = self._move(shapes, _drop(trees, brightness))
        return _whole(shapes * side + corner).transpose(1, 2, 0).astype(np.float64)

    def _move(
        self, shapes: npt.NDArray[np.float32], leaves: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float32]:
        """Add the rows of its leaves to each shape, one after the other."""
        n_shapes = shapes.shape[1]
        own = np.arange(self._n_moves, self._n_moves + n_shapes)[:, None]
        terms = np.hstack([own, leaves], dtype=np.int32)
        ends = np.arange(n_shapes + 1, dtype=np.int32) * terms.shape[1]
        ones = np.ones(terms.size, np.float32)
        with self._lock:
            self._rows[self._n_moves :][:n_shapes] = shapes.transpose(1, 2, 0).reshape(n_shapes, -1)
            chosen = csr_matrix((ones, terms.ravel(), ends), (n_shapes, len(self._rows)))
            sums = chosen @ self._rows
        return sums.reshape(n_shapes, -1, 2).transpose(2, 0, 1)


class _Photos:
    """Looks up how bright points of photos are.

    Parameters
    ----------
    pixels : sequence of ndarray of shape (height, width, 3), uint8
    """

    def __init__(self, pixels: Sequence[npt.NDArray[np.uint8]]):
        self._flat = [np.ascontiguousarray(photo).reshape(-1, 3) for photo in pixels]
        sizes = np.array([photo.shape[:2] for photo in pixels])
        self._heights, self._widths = sizes.T[:, :, None]

    def brightness(self, points: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Take the mean of red, green and blue, rounded down; 0 outside the photo.

        Parameters
        ----------
        points : ndarray of shape (2, n_photos, n_points)
            Across and down.

        Returns
        -------
        ndarray of shape (n_photos, n_points), float32
        """
        x, y = points
        inside = (x >= 0) & (x < self._widths) & (y >= 0) & (y < self._heights)
        places = (y * self._widths + x) * inside
        colours = np.empty((*places.shape, 3), np.uint8)
        for photo, place, colour in zip(self._flat, places, colours, strict=True):
            np.take(photo, place, axis=0, out=colour, mode="clip")
        total = colours[..., 0].astype(np.uint16)
        total += colours[..., 1]
        total += colours[..., 2]
        total //= 3
        total *= inside
        return total.astype(np.float32)


def _whole(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Round to the nearest whole pixels, a half upwards."""
    points += 0.5
    return np.floor(points, out=points).astype(np.int64)


def _drop(trees: Trees, brightness: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Let each face fall through each tree, and return the rows of its leaves."""
    n_faces, n_points = brightness.shape
    n_trees, n_splits = trees.first.shape
    first, second, thresholds = trees.first.ravel(), trees.second.ravel(), trees.thresholds.ravel()
    brightness = brightness.ravel()
    face = np.arange(n_faces)[:, None] * n_points
    root = np.arange(n_trees) * n_splits
    # Splits are numbered through all trees; below split s of a tree are its 2 s + 1 and 2 s + 2.
    split = np.repeat(root[None], n_faces, axis=0)
    for _ in range((n_splits + 1).bit_length() - 1):
        difference = np.take(brightness, np.take(first, split) + face)
        difference -= np.take(brightness, np.take(second, split) + face)
        right = difference <= np.take(thresholds, split)
        split *= 2
        split += 1 - root
        split += right
    split += trees.first_row + np.arange(n_trees) - n_splits
    return split


def _best_turn(
    mean_shape: npt.NDArray[np.float32], shapes: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Rotate and scale the mean shape to fit others best by least squares (Umeyama, 1991).

    Returns
    -------
    ndarray of shape (2, n_shapes, 1), float32
        Scale times cosine, and times sine.
    """
    x, y = mean_shape - mean_shape.mean(axis=1, keepdims=True, dtype=np.float64)
    to_x, to_y = shapes.astype(np.float64)
    # The mean of the shapes need not be taken off: that of the mean shape is.
    turn = np.stack([to_x @ x + to_y @ y, to_y @ x - to_x @ y])
    return (turn / (x @ x + y @ y)).astype(np.float32)[..., None]


def _rotate(
    turn: npt.NDArray[np.float32], offsets: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    (cosine, sine), (x, y) = turn, offsets
    return np.stack([cosine * x - sine * y, sine * x + cosine * y])
