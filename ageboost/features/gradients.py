"""Histograms of oriented gradients: the edges, folds and wrinkles of a face, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ageboost.faces import Face
from ageboost.faces.chips import stack_chips
from ageboost.features._base import FaceTransformer, area_on_face

__all__ = ["HOG", "hog"]

# A gradient is the difference of two grey levels, so there are 511 x 511 of them. A row of the
# table is 512 long, and the gradient (0, 0) is in its middle.
_ROW = 512
_NO_GRADIENT = 255 * _ROW + 255
# The bin is kept in the lowest bits of the magnitude, which changes it by less than 1 in 10^13.
_BIN_BITS = 255
# Chips at a time: what they need at once should stay in a core's own cache.
_PIXELS_AT_A_TIME = 1 << 15


def hog(
    chips: npt.NDArray[np.uint8],
    *,
    orientations: int = 9,
    cell_size: int = 16,
    block_size: int = 2,
) -> npt.NDArray[np.float32]:
    """Histograms of oriented gradients of a batch of chips.

    The same numbers as ``skimage.feature.hog`` with ``block_norm="L2-Hys"``, many chips at a time.

    Parameters
    ----------
    chips : ndarray of shape (n_faces, height, width), uint8
        Grey chips. Rows and columns that do not fill a cell, at the bottom and on the right, give
        gradients to their neighbours but are not counted themselves.
    orientations : int, default=9
        Number of bins that share 180 degrees, at most 180.
    cell_size : int, default=16
        Side of a cell in pixels.
    block_size : int, default=2
        Side in cells of the blocks that are normalised together.

    Returns
    -------
    ndarray of shape (n_faces, n_features), float32
        For each block, for each of its cells, the bins; row by row.

    References
    ----------
    N. Dalal and B. Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.features.gradients import hog
    >>> ramp = np.tile(np.arange(32, dtype=np.uint8), (1, 32, 1))
    >>> hog(ramp, orientations=4).reshape(4, 4)
    array([[0.5, 0. , 0. , 0. ],
           [0.5, 0. , 0. , 0. ],
           [0.5, 0. , 0. , 0. ],
           [0.5, 0. , 0. , 0. ]], dtype=float32)
    """
    if chips.dtype != np.uint8 or chips.ndim != 3:
        raise ValueError(
            f"chips are {chips.dtype} of shape {chips.shape}: "
            f"pass grey uint8 chips of shape (n_faces, height, width)"
        )
    n_faces, height, width = chips.shape
    rows, columns = _count_cells(height, width, orientations, cell_size, block_size)
    cells = np.empty((n_faces, rows, columns, orientations))
    at_a_time = max(1, _PIXELS_AT_A_TIME // (height * width))
    for start in range(0, n_faces, at_a_time):
        part = slice(start, start + at_a_time)
        cells[part] = _cell_histograms(chips[part], rows, columns, orientations, cell_size)
    return _normalise_blocks(cells, block_size)


class HOG(FaceTransformer):
    """Histograms of oriented gradients of a face: which way its edges run, and where.

    Folds beside the nose, bags under the eyes and lines on the forehead are edges of a certain
    direction at a certain place of the aligned face; that is what these numbers count.

    Parameters
    ----------
    chip_size : int, default=128
        Side in pixels of the aligned chip.
    padding : float, default=0.25
        Surroundings of the face to include, as a share of its size on each side.
    orientations : int, default=9
        Number of bins that share 180 degrees, at most 180.
    cell_size : int, default=16
        Side of a cell in pixels.
    block_size : int, default=2
        Side in cells of the blocks that are normalised together.

    See Also
    --------
    hog : The same on an array of grey chips.
    ageboost.features.lbp.LBP : The texture of the skin.

    References
    ----------
    N. Dalal and B. Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.faces import FaceFinder
    >>> from ageboost.features.gradients import HOG
    >>> HOG().fit_transform(FaceFinder().find(astronaut())).shape
    (1, 1764)
    >>> print(HOG().get_feature_names_out()[40])
    block_row0_col1_cell_row0_col1_orientation80
    """

    def __init__(self, chip_size=128, padding=0.25, orientations=9, cell_size=16, block_size=2):
        self.chip_size = chip_size
        self.padding = padding
        self.orientations = orientations
        self.cell_size = cell_size
        self.block_size = block_size

    def feature_areas(self) -> npt.NDArray[np.float64]:
        """Compute which part of the face each column looks at: that of its cell.

        Returns
        -------
        ndarray of shape (n_features, 4)
            As for any transformer of faces: left, top, right, bottom, in sides of the chip without
            padding.
        """
        rows, columns = _count_cells(
            self.chip_size, self.chip_size, self.orientations, self.cell_size, self.block_size
        )
        side, block = self.cell_size / self.chip_size, range(self.block_size)
        areas = [
            area_on_face(
                ((row + down) * side, (row + down + 1) * side),
                ((column + right) * side, (column + right + 1) * side),
                self.padding,
            )
            for row in range(rows - self.block_size + 1)
            for column in range(columns - self.block_size + 1)
            for down in block
            for right in block
        ]
        return np.repeat(areas, self.orientations, axis=0)

    def _transform(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        return hog(
            stack_chips(faces, self.chip_size, self.padding, grey=True),
            orientations=self.orientations,
            cell_size=self.cell_size,
            block_size=self.block_size,
        )

    def _feature_names(self) -> list[str]:
        rows, columns = _count_cells(
            self.chip_size, self.chip_size, self.orientations, self.cell_size, self.block_size
        )
        block = range(self.block_size)
        return [
            f"block_row{row}_col{column}_cell_row{row + down}_col{column + right}"
            f"_orientation{180 * bin_ / self.orientations:g}"
            for row in range(rows - self.block_size + 1)
            for column in range(columns - self.block_size + 1)
            for down in block
            for right in block
            for bin_ in range(self.orientations)
        ]


def _count_cells(
    height: int, width: int, orientations: int, cell_size: int, block_size: int
) -> tuple[int, int]:
    """Number of cells down and across, once it is sure that they make a block."""
    if not 1 <= orientations <= 180:
        raise ValueError(f"orientations={orientations!r}: pass 1 to 180")
    if cell_size < 1:
        raise ValueError(f"cell_size={cell_size!r}: pass 1 or more pixels")
    if block_size < 1:
        raise ValueError(f"block_size={block_size!r}: pass 1 or more cells")
    rows, columns = height // cell_size, width // cell_size
    if min(rows, columns) < block_size:
        raise ValueError(
            f"cell_size={cell_size} and block_size={block_size} need chips of at least "
            f"{cell_size * block_size} pixels, and these are {width} x {height}: "
            f"pass a smaller cell_size or larger chips"
        )
    return rows, columns


@lru_cache(maxsize=8)
def _gradient_table(orientations: int) -> npt.NDArray[np.float64]:
    """Magnitude of every gradient, with its bin in the lowest bits."""
    across, down = np.meshgrid(np.arange(-255.0, 257), np.arange(-255.0, 256))
    degrees = np.arctan2(down, across) * (180 / np.pi) % 180
    # scikit-image compares with limits of single precision.
    limits = (180.0 / orientations * np.arange(1, orientations)).astype(np.float32)
    bins = np.searchsorted(limits.astype(np.float64), degrees, side="right")
    table = np.hypot(across, down)
    packed = table.view(np.int64)
    packed &= ~_BIN_BITS
    packed |= bins
    return table.ravel()


def _cell_histograms(
    chips: npt.NDArray[np.uint8], rows: int, columns: int, orientations: int, cell_size: int
) -> npt.NDArray[np.float64]:
    """Sum of the gradients' magnitudes by cell and orientation."""
    n_faces, _, width = chips.shape
    levels = chips.astype(np.int16)
    # Gradients are zero along the border of a chip.
    down, across = np.zeros_like(levels), np.zeros_like(levels)
    np.subtract(levels[:, 2:], levels[:, :-2], out=down[:, 1:-1])
    np.subtract(levels[:, :, 2:], levels[:, :, :-2], out=across[:, :, 1:-1])
    place = cv2.addWeighted(
        down.reshape(-1, width), _ROW, across.reshape(-1, width), 1, _NO_GRADIENT, dtype=cv2.CV_32S
    )
    place = place.reshape(chips.shape)[:, : rows * cell_size, : columns * cell_size]
    magnitudes = _gradient_table(orientations).take(place)
    bins = magnitudes.view(np.int64) & _BIN_BITS
    n_cells = rows * columns
    cells = np.arange(n_cells).reshape(rows, columns) * orientations
    bins += cells.repeat(cell_size, axis=0).repeat(cell_size, axis=1)
    bins += (np.arange(n_faces) * (n_cells * orientations))[:, None, None]
    sums = np.bincount(bins.ravel(), magnitudes.ravel(), minlength=n_faces * n_cells * orientations)
    return sums.reshape(n_faces, rows, columns, orientations) / cell_size**2


def _normalise_blocks(cells: npt.NDArray[np.float64], block_size: int) -> npt.NDArray[np.float32]:
    """Bring each block to length one, cut what stands out, and bring it to length one again."""
    windows = np.lib.stride_tricks.sliding_window_view(cells, (block_size, block_size), (1, 2))
    # (face, block row, block column, orientation, cell row, cell column) to bins last.
    blocks = np.moveaxis(windows, 3, 5).astype(np.float32)
    blocks = blocks.reshape(*blocks.shape[:3], -1)
    for limit in (np.float32(0.2), None):
        squares = np.einsum("...i,...i->...", blocks, blocks)
        blocks /= np.sqrt(squares + 1e-10)[..., None]
        if limit is not None:
            np.minimum(blocks, limit, out=blocks)
    return blocks.reshape(len(cells), -1)
