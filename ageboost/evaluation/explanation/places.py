"""Years of columns to years of places on the face: cells, landmarks, and parts that are covered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ageboost._arrays import with_arrays
from ageboost.evaluation.explanation.regions import (
    REGIONS,
    Frame,
    cover_face,
    label_regions,
    landmark_regions,
)
from ageboost.faces import Face
from ageboost.faces.alignment import five_of_68
from ageboost.features import FaceFeatures, FaceTransformer, LandmarkGeometry

__all__ = ["frame_of", "place_years"]

_SIZE = 150
# Parts of the chip to cover, down and across: one is as large as an eye with its brow. The edges of
# smaller covers move networks as much as what is hidden by them.
_GRID = 5
# The copy of the face whose parts are covered: small, so that this takes no time.
_COPY = Frame(224, 0.6)
# Standard deviation, in pixels of the chip, of the spot that a landmark's years are drawn as.
_SPOT = 3.0


def frame_of(features: FaceFeatures) -> Frame:
    """Choose the chip to explain on: wide enough for what any of the transformers sees.

    Parameters
    ----------
    features : FaceFeatures

    Returns
    -------
    Frame
    """
    areas = [part.feature_areas() for _, part in features.get_transformers()]
    known = np.concatenate(areas)[:, :2]
    known = known[~np.isnan(known[:, 0])]
    return Frame(_SIZE, max(0.25, -float(known.min(initial=0))))


def place_years(
    features: FaceFeatures,
    contributions: npt.NDArray[np.float64],
    face: Face | None,
    frame: Frame,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """Lay the contributions of columns out on the chip, and sum them by region.

    Columns that look at a cell give their years to its pixels evenly; coordinates of a landmark to
    the landmark. A column that looks at the whole chip gives its years to the parts of the chip in
    proportion to how much it moves when the part is covered (occlusion).

    Parameters
    ----------
    features : FaceFeatures
    contributions : ndarray of shape (n_features,)
        Years.
    face : Face or None
        None for no face in particular: nothing can be covered.
    frame : Frame

    Returns
    -------
    heatmap : ndarray of shape (frame.size, frame.size)
        Years of each pixel.
    regions : ndarray of shape (n_regions,)
        Years of each region.
    elsewhere : float
        Years of columns that look at the whole chip, if there is no face.

    References
    ----------
    M. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014.
    """
    shape = frame.shape_of(face)
    heatmap, spots = np.zeros((frame.size, frame.size)), np.zeros((frame.size, frame.size))
    regions, elsewhere, start = np.zeros(len(REGIONS)), 0.0, 0
    copy = None if face is None else _copy(face)
    for _, part in features.get_transformers():
        areas = part.feature_areas()
        years = contributions[start : start + len(areas)]
        start += len(areas)
        if isinstance(part, LandmarkGeometry):
            _add_landmarks(part, years, shape, spots, regions)
            continue
        placed = ~np.isnan(areas[:, 0])
        _add_areas(areas[placed], years[placed], frame, heatmap)
        if placed.all():
            continue
        if copy is None:
            elsewhere += years[~placed].sum()
        else:
            _add_areas(*_years_by_covering(part, ~placed, years, copy, frame), frame, heatmap)
    labels = label_regions(shape, frame.size)
    regions += np.bincount(labels.ravel(), heatmap.ravel(), len(REGIONS))
    return heatmap + spots, regions, elsewhere


def _add_areas(
    areas: npt.NDArray[np.float64],
    years: npt.NDArray[np.float64],
    frame: Frame,
    heatmap: npt.NDArray[np.float64],
) -> None:
    """Add years to the pixels of areas, to those at the edge by the share that is covered."""
    if len(areas) == 0:
        return
    distinct, which = np.unique(areas.round(9), axis=0, return_inverse=True)
    sums = np.bincount(which.ravel(), years)
    edges = frame.pixels_of(distinct)
    across, down = _overlaps(edges[:, [0, 2]], frame.size), _overlaps(edges[:, [1, 3]], frame.size)
    heatmap += np.einsum("a,ay,ax->yx", sums, down, across, optimize=True)


def _overlaps(spans: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """Share of each span that lies in each pixel of a row."""
    pixels = np.arange(size)
    inside = np.minimum(spans[:, 1:], pixels + 1) - np.maximum(spans[:, :1], pixels)
    inside = inside.clip(0)
    return inside / inside.sum(axis=1, keepdims=True)


def _add_landmarks(
    part: LandmarkGeometry,
    years: npt.NDArray[np.float64],
    shape: npt.NDArray[np.float64],
    spots: npt.NDArray[np.float64],
    regions: npt.NDArray[np.float64],
) -> None:
    names = landmark_regions(part.n_landmarks)
    points = shape if part.n_landmarks == 68 else five_of_68(shape)
    pixels = np.arange(len(spots))
    for name, point, amount in zip(names, points, years.reshape(-1, 2).sum(axis=1), strict=True):
        regions[REGIONS.index(name)] += amount
        # A landmark can lie off the chip; its years are drawn at the border then.
        x, y = point.clip(0, len(spots) - 1)
        across, down = (np.exp(-0.5 * ((pixels - place) / _SPOT) ** 2) for place in (x, y))
        spots += np.outer(down, across) * (amount / (down.sum() * across.sum()))


def _copy(face: Face) -> Face:
    """Make a small, upright copy of a face and what any transformer sees around it."""
    pixels = face.chip(*_COPY)
    return Face(pixels, _COPY.landmarks_of(face), face.box, face.quality)


def _years_by_covering(
    part: FaceTransformer,
    unplaced: npt.NDArray[np.bool_],
    years: npt.NDArray[np.float64],
    face: Face,
    frame: Frame,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Share years of columns among parts of the chip by how much covering a part moves them."""
    cells = [
        (np.array([column, row, column + 1, row + 1]) / _GRID) * (1 + 2 * frame.padding)
        - frame.padding
        for row in range(_GRID)
        for column in range(_GRID)
    ]
    edges = np.rint(frame.pixels_of(np.array(cells))).astype(int)
    masks = np.zeros((len(cells), frame.size, frame.size), np.float32)
    for mask, (left, top, right, bottom) in zip(masks, edges, strict=True):
        mask[top:bottom, left:right] = 1
    covered = [face, *cover_face(face, masks, frame)]
    matrix = np.asarray(with_arrays(part.transform)(covered))[:, unplaced]
    moved = np.abs(matrix[1:].astype(np.float64) - matrix[0])
    total = moved.sum(axis=0)
    shares = np.where(total > 0, moved / np.where(total > 0, total, 1), 1 / len(cells))
    return np.array(cells), shares @ years[unplaced]
