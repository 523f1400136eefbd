"""Places the landmarks of many faces at once, by the trees of dlib's shape predictors.

dlib takes one face through all of its trees, and fetches their 65 MB from memory for each. Here all
faces of a batch take one step of the cascade before the next, so its trees are fetched once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ageboost.faces._cascade_file import Trees, read_shape_predictor

__all__ = ["Cascade"]

# Faces that take the steps together: what is known of them stays in the cache, too.
_TOGETHER = 64
# Numbers of shapes that are added up at once.
_NUMBERS_AT_ONCE = 1 << 17
# How far around the points seen so far a photo is made grey, as a share of their spread: in 98 of
# 100 photos later steps look no further.
_MARGIN = 0.3


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

    # Arrays have a column for each face, so that all faces do the same side by side.

    def __init__(self, path: Path):
        self._mean_shape, self._moves, self._steps = read_shape_predictor(path)
        self._to_turn = _turning_matrix(self._mean_shape)

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
        edges = boxes.T[:, None]
        corner, side = edges[:2], edges[2:] - 1 - edges[:2]
        shapes = np.repeat(self._mean_shape[:, :, None], len(boxes), axis=2)
        for trees in self._steps:
            points = _rotate(self._best_turn(shapes), trees.offsets)
            points += shapes.take(trees.anchors, axis=1)
            brightness = photos.brightness(_whole(points * side + corner))
            shapes = self._move(shapes, _drop(trees, brightness))
        return _whole(shapes * side + corner).transpose(2, 1, 0)

    def _best_turn(self, shapes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Rotate and scale the mean shape to fit others best by least squares (Umeyama, 1991).

        Returns
        -------
        ndarray of shape (2, n_shapes), float32
            Scale times cosine, and times sine.
        """
        flat = shapes.reshape(-1, shapes.shape[2]).astype(np.float64)
        return (self._to_turn @ flat).astype(np.float32)

    def _move(
        self, shapes: npt.NDArray[np.float32], leaves: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Add to each shape what its leaves say, one after the other."""
        total = np.ascontiguousarray(shapes.transpose(2, 1, 0)).reshape(shapes.shape[2], -1)
        n_trees = max(1, _NUMBERS_AT_ONCE // total.size)
        for start in range(0, len(leaves), n_trees):
            moves = self._moves.take(leaves[start : start + n_trees], axis=0)
            moves[0] += total
            # Along the first axis numpy adds in order.
            total = np.add.reduce(moves, axis=0)
        return np.ascontiguousarray(total.reshape(len(total), -1, 2).transpose(2, 1, 0))


class _Photos:
    """Looks up how bright points of photos are.

    Only what is around the points is made grey, and all of that stands in one array.

    Parameters
    ----------
    pixels : sequence of ndarray of shape (height, width, 3), uint8
    """

    def __init__(self, pixels: Sequence[npt.NDArray[np.uint8]]):
        self._pixels = pixels
        self._sizes = np.array([photo.shape[1::-1] for photo in pixels], np.float64).T
        # Of what is grey: its left and upper edges, and the right and lower ones, which are not
        # part of it any more.
        self._start = np.full(self._sizes.shape, np.inf)
        self._end = np.full(self._sizes.shape, -np.inf)

    def brightness(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
        """Take the mean of red, green and blue, rounded down; 0 outside the photo.

        Parameters
        ----------
        points : ndarray of shape (2, n_points, n_photos)
            Across and down, in whole pixels. It is written over.

        Returns
        -------
        ndarray of shape (n_points, n_photos), int16
        """
        first, last = points.min(axis=1), points.max(axis=1)
        outside = None
        if (first < self._start).any() or (last >= self._end).any():
            if self._lacks(first, last):
                self._make_grey(first, last)
            outside = (points < self._start[:, None]) | (points >= self._end[:, None])
        x, y = points
        y *= self._widths
        y += x
        y += self._places
        if outside is not None:
            # The first place is black.
            y[outside[0] | outside[1]] = 0
        return self._grey.take(y.astype(np.intp)).astype(np.int16)

    def _lacks(self, first: npt.NDArray[np.float64], last: npt.NDArray[np.float64]) -> bool:
        """Whether something of the photos from here to there is not grey yet."""
        begins_before = first.clip(0) < self._start
        ends_behind = np.minimum(last + 1, self._sizes) > self._end
        return bool((begins_before | ends_behind).any())

    def _make_grey(self, first: npt.NDArray[np.float64], last: npt.NDArray[np.float64]) -> None:
        """Make grey what is around points from here to there, and what was grey already."""
        margin = np.ceil(_MARGIN * (last - first))
        limits = self._sizes
        self._start = np.minimum(first - margin, self._start).clip(0, limits)
        self._end = np.maximum(last + margin + 1, self._end).clip(self._start, limits)
        parts = [np.zeros(1, np.uint8)]
        corners = np.vstack([self._start, self._end]).astype(int).T.tolist()
        for photo, (left, top, right, bottom) in zip(self._pixels, corners, strict=True):
            kept = photo[top:bottom, left:right]
            total = kept[..., 0].astype(np.uint16)
            total += kept[..., 1]
            total += kept[..., 2]
            total //= 3
            parts.append(total.astype(np.uint8).ravel())
        self._grey = np.concatenate(parts)
        starts = np.cumsum([part.size for part in parts])[:-1]
        self._widths = self._end[0] - self._start[0]
        # Of the pixel at 0, 0 of each photo, if it were grey.
        self._places = starts - self._start[1] * self._widths - self._start[0]


def _whole(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round to the nearest whole pixels, a half upwards."""
    points += 0.5
    return np.floor(points, out=points)


def _drop(trees: Trees, brightness: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """Let each face fall through each tree, and return the rows of its leaves.

    All splits are looked at, though a face passes only one of each level: that is quicker than to
    look up which.
    """
    difference = brightness.take(trees.first, axis=0)
    difference -= brightness.take(trees.second, axis=0)
    right = (difference <= trees.thresholds[:, :, None]).view(np.uint8)
    # Below split s are 2 s + 1 and 2 s + 2. From the last level upwards, what is kept of each split
    # is the leaf that a face comes to from there.
    n_splits = len(right) // 2
    leaf, n_leaves = right[n_splits:], 1
    while n_splits:
        n_leaves *= 2
        goes_right = np.negative(right[n_splits // 2 : n_splits])
        n_splits //= 2
        # Bits of the left leaf, or of the right one where all bits are set.
        change = leaf[1::2] + np.uint8(n_leaves)
        change ^= leaf[::2]
        change &= goes_right
        change ^= leaf[::2]
        leaf = change
    n_trees = leaf.shape[1]
    return leaf[0] + (trees.first_row + (len(right) + 1) * np.arange(n_trees))[:, None]


def _turning_matrix(mean_shape: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Make what takes coordinates of a shape to the turn that fits the mean shape to it best."""
    x, y = mean_shape - mean_shape.mean(axis=1, keepdims=True, dtype=np.float64)
    # The mean of the other shape need not be taken off: that of the mean shape is.
    return np.stack([np.append(x, y), np.append(-y, x)]) / (x @ x + y @ y)


def _rotate(
    turn: npt.NDArray[np.float32], offsets: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    (cosine, sine), (x, y) = turn, offsets[:, :, None]
    rotated = np.empty((2, len(x), len(cosine)), np.float32)
    np.subtract(cosine * x, sine * y, out=rotated[0])
    np.add(sine * x, cosine * y, out=rotated[1])
    return rotated
