"""Local binary patterns: the texture of the skin, cell by cell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ageboost.faces import Face
from ageboost.faces.chips import stack_chips
from ageboost.features._base import FaceTransformer, area_on_face

__all__ = ["LBP", "lbp_histograms", "local_binary_pattern"]

# What is worked on at once should stay in a core's own cache, and be large enough for the time of a
# call not to count.
_PIXELS_AT_A_TIME = 1 << 16

# Beyond it, the weights of interpolation lose a bit; see _compare_eight.
_LAST_OF_EVEN_WEIGHTS = 512

# Rows and columns of the usual eight neighbours, in the order of scikit-image.
_EIGHT = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
_DIAGONALS = (1, 3, 5, 7)


def local_binary_pattern(
    chips: npt.NDArray[np.uint8], *, n_points: int = 8, radius: float = 1
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Uniform local binary pattern around every pixel of a batch of chips.

    The neighbours on a circle that are at least as bright as the pixel are its pattern. A pattern
    with one arc of such neighbours, or none, has a code of its own, which says how long the arc is
    and where; all others share the last code.

    Every code is the one of ``skimage.feature.local_binary_pattern`` with
    ``method="nri_uniform"``, also where a neighbour is exactly as bright as the pixel.

    Parameters
    ----------
    chips : ndarray of shape (n_faces, height, width), uint8
        Grey chips. Neighbours outside the chip are black.
    n_points : int, default=8
        Number of neighbours on the circle, 2 to 24.
    radius : float, default=1
        Radius of the circle in pixels.

    Returns
    -------
    ndarray of shape (n_faces, height, width), uint8, or uint16 if n_points is above 16
        Codes from 0 to ``n_points * (n_points - 1) + 2``.

    References
    ----------
    T. Ojala, M. Pietikainen and T. Maenpaa, "Multiresolution Gray-Scale and Rotation Invariant
    Texture Classification with Local Binary Patterns", TPAMI 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.features.lbp import local_binary_pattern
    >>> chip = np.array([[[9, 1, 1], [9, 5, 1], [9, 9, 9]]], dtype=np.uint8)
    >>> int(local_binary_pattern(chip)[0, 1, 1])
    38
    """
    _check_circle(n_points, radius)
    _check_chips(chips)
    codes = np.empty(chips.shape, dtype=np.uint8 if _count_codes(n_points) <= 256 else np.uint16)
    if not chips.size:
        return codes
    if n_points == 8 and radius == 1 and max(chips.shape[1:]) <= _LAST_OF_EVEN_WEIGHTS:
        codes[:] = _code(_brighter_of_eight(chips), n_points)
    else:
        for chip, codes_of_chip in zip(chips, codes, strict=True):
            codes_of_chip[:] = _code(_brighter_neighbours(chip, n_points, radius), n_points)
    return codes


def lbp_histograms(
    chips: npt.NDArray[np.uint8],
    *,
    grid: tuple[int, int] = (8, 8),
    n_points: int = 8,
    radius: float = 1,
) -> npt.NDArray[np.float32]:
    """Histograms of uniform local binary patterns over a grid of cells.

    Parameters
    ----------
    chips : ndarray of shape (n_faces, height, width), uint8
        Grey chips.
    grid : tuple of int, default=(8, 8)
        Number of cells down and across. Cells differ by one pixel where they do not fit.
    n_points : int, default=8
        Number of neighbours on the circle, 2 to 24.
    radius : float, default=1
        Radius of the circle in pixels.

    Returns
    -------
    ndarray of shape (n_faces, grid[0] * grid[1] * n_codes), float32
        Each cell's histogram sums to one; there are ``n_points * (n_points - 1) + 3`` codes.

    References
    ----------
    T. Ahonen, A. Hadid and M. Pietikainen, "Face Recognition with Local Binary Patterns",
    ECCV 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.features.lbp import lbp_histograms
    >>> noise = np.random.default_rng(0).integers(256, size=(2, 64, 64), dtype=np.uint8)
    >>> histograms = lbp_histograms(noise, grid=(4, 4))
    >>> histograms.shape
    (2, 944)
    >>> float(histograms[0].sum())
    16.0
    """
    _check_circle(n_points, radius)
    _check_chips(chips)
    _check_grid(grid, *chips.shape[1:])
    n_codes, n_cells = _count_codes(n_points), grid[0] * grid[1]
    cells = _cell_of_each_pixel(*chips.shape[1:], *grid)
    sizes = np.bincount(cells.ravel())
    first_bins = cells * np.int32(n_codes)
    codes = local_binary_pattern(chips, n_points=n_points, radius=radius)
    histograms = np.empty((len(chips), n_cells * n_codes), dtype=np.float32)
    for codes_of_chip, histogram in zip(codes, histograms, strict=True):
        bins = (first_bins + codes_of_chip).ravel()
        histogram[:] = np.bincount(bins, minlength=n_cells * n_codes)
    histograms /= np.repeat(sizes, n_codes).astype(np.float32)
    return histograms


class LBP(FaceTransformer):
    """Local binary patterns of a face: how smooth, spotted or lined the skin is, and where.

    Parameters
    ----------
    chip_size : int, default=128
        Side in pixels of the aligned chip.
    padding : float, default=0.25
        Surroundings of the face to include, as a share of its size on each side.
    grid : tuple of int, default=(8, 8)
        Number of cells down and across.
    n_points : int, default=8
        Number of neighbours on the circle, 2 to 24.
    radius : float, default=1
        Radius of the circle in pixels.

    See Also
    --------
    lbp_histograms : The same on an array of grey chips.
    ageboost.features.gradients.HOG : The edges and folds of the face.

    References
    ----------
    T. Ahonen, A. Hadid and M. Pietikainen, "Face Recognition with Local Binary Patterns",
    ECCV 2004.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.faces import FaceFinder
    >>> from ageboost.features.lbp import LBP
    >>> LBP().fit_transform(FaceFinder().find(astronaut())).shape
    (1, 3776)
    >>> print(LBP().get_feature_names_out()[194])
    row0_col3_pattern17
    """

    def __init__(self, chip_size=128, padding=0.25, grid=(8, 8), n_points=8, radius=1):
        self.chip_size = chip_size
        self.padding = padding
        self.grid = grid
        self.n_points = n_points
        self.radius = radius

    def feature_areas(self) -> npt.NDArray[np.float64]:
        """Compute which part of the face each column looks at: that of its cell.

        Returns
        -------
        ndarray of shape (n_features, 4)
            As for any transformer of faces: left, top, right, bottom, in sides of the chip without
            padding.
        """
        rows, columns = self.grid
        areas = [
            area_on_face(
                (row / rows, (row + 1) / rows),
                (column / columns, (column + 1) / columns),
                self.padding,
            )
            for row in range(rows)
            for column in range(columns)
        ]
        return np.repeat(areas, _count_codes(self.n_points), axis=0)

    def _transform(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        return lbp_histograms(
            stack_chips(faces, self.chip_size, self.padding, grey=True),
            grid=self.grid,
            n_points=self.n_points,
            radius=self.radius,
        )

    def _feature_names(self) -> list[str]:
        _check_circle(self.n_points, self.radius)
        _check_grid(self.grid, self.chip_size, self.chip_size)
        rows, columns = self.grid
        return [
            f"row{row}_col{column}_pattern{code}"
            for row in range(rows)
            for column in range(columns)
            for code in range(_count_codes(self.n_points))
        ]


def _check_chips(chips: npt.NDArray[np.uint8]) -> None:
    if chips.dtype != np.uint8 or chips.ndim != 3:
        raise ValueError(
            f"chips are {chips.dtype} of shape {chips.shape}: "
            f"pass grey uint8 chips of shape (n_faces, height, width)"
        )


def _check_circle(n_points: int, radius: float) -> None:
    if not 2 <= n_points <= 24:
        raise ValueError(f"n_points={n_points!r}: pass 2 to 24 neighbours")
    if not radius > 0:
        raise ValueError(f"radius={radius!r}: pass a number of pixels above 0")


def _check_grid(grid: tuple[int, int], height: int, width: int) -> None:
    if len(grid) != 2 or min(grid) < 1:
        raise ValueError(f"grid={grid!r}: pass the number of cells down and across, like (8, 8)")
    if grid[0] > height or grid[1] > width:
        raise ValueError(
            f"grid={grid!r} has more cells than chips of {width} x {height} have pixels: "
            f"pass a smaller grid or larger chips"
        )


def _count_codes(n_points: int) -> int:
    return n_points * (n_points - 1) + 3


@lru_cache(maxsize=8)
def _cell_of_each_pixel(height: int, width: int, rows: int, columns: int) -> npt.NDArray[np.int32]:
    row = np.arange(height, dtype=np.int32) * rows // height
    column = np.arange(width, dtype=np.int32) * columns // width
    return row[:, None] * columns + column


def _circle(n_points: int, radius: float) -> list[tuple[float, float]]:
    """Row and column of each neighbour, seen from the pixel, as scikit-image rounds them."""
    angles = 2 * np.pi * np.arange(n_points) / n_points
    radius = float(np.float32(radius))
    rows, columns = -radius * np.sin(angles), radius * np.cos(angles)
    return list(zip(np.round(rows, 5).tolist(), np.round(columns, 5).tolist(), strict=True))


@lru_cache(maxsize=64)
def _weights(offset: float, n_pixels: int) -> tuple[npt.NDArray[np.float64], ...]:
    """Weights of the two pixels around each place that is a fraction of a pixel away from a pixel.

    They are the same for all pixels but for their last bits. These bits decide whether a neighbour
    is as bright as the pixel, so they have to come from the positions, as in scikit-image.
    """
    positions = np.arange(n_pixels) + offset
    second = positions - np.floor(positions)
    return 1 - second, second


def _brighter_neighbours(
    chip: npt.NDArray[np.uint8], n_points: int, radius: float
) -> npt.NDArray[np.unsignedinteger]:
    """One bit for each neighbour of each pixel: whether it is at least as bright.

    Neighbours between pixels are interpolated in double precision with the operations of
    scikit-image in their order, first along the row and then along the column. All neighbours in
    the same column share the first half.
    """
    height, width = chip.shape
    margin = math.ceil(radius)
    # One row and column more than the circle needs: the far side of a neighbour with weight 0.
    levels = np.pad(chip, ((margin, margin + 1), (margin, margin + 1))).astype(np.float64)
    centre = levels[margin : margin + height, margin : margin + width]
    bits = np.zeros(chip.shape, dtype=np.min_scalar_type((1 << n_points) - 1))
    asides: dict[float, npt.NDArray[np.float64]] = {}
    for point, (row, column) in enumerate(_circle(n_points, radius)):
        if column not in asides:
            left = margin + math.floor(column)
            here, there = _weights(column, width)
            asides[column] = levels[:, left : left + width] * here
            asides[column] += levels[:, left + 1 : left + 1 + width] * there
        above = margin + math.floor(row)
        here, there = (weight[:, None] for weight in _weights(row, height))
        neighbour = asides[column][above : above + height] * here
        neighbour += asides[column][above + 1 : above + 1 + height] * there
        brighter = (neighbour >= centre).view(np.uint8)
        bits |= brighter.astype(bits.dtype) << bits.dtype.type(point)
    return bits


def _brighter_of_eight(chips: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Do the same for the usual eight neighbours at one pixel, many times as fast.

    Whole numbers decide on nearly all of them, and scikit-image's own arithmetic on the others.
    """
    n_chips, height, width = chips.shape
    per_chip, margin = (height + 1) * (width + 1), width + 2
    # All pixels, with black between rows and between chips, in one run of memory: the way to a
    # neighbour is the same from everywhere. What is computed for the black is thrown away.
    n_places = n_chips * per_chip
    run = np.zeros(n_places + 2 * margin, dtype=np.uint8)
    inside = (n_chips, height + 1, width + 1)
    run[margin:-margin].reshape(inside)[:, :height, :width] = chips
    bits = np.zeros(n_places, dtype=np.uint8)
    unsure: dict[int, list[npt.NDArray[np.intp]]] = {point: [] for point in _DIAGONALS}
    at_a_time = max(1, _PIXELS_AT_A_TIME // per_chip)
    for first_chip in range(0, n_chips, at_a_time):
        n_now = min(at_a_time, n_chips - first_chip)
        start, stop = first_chip * per_chip, (first_chip + n_now) * per_chip
        for point, places in _compare_eight(
            run[start : stop + 2 * margin],
            _first_rows_and_columns(n_now, height, width),
            width + 1,
            bits[start:stop],
        ):
            unsure[point].append(places + start)
    for point, parts in unsure.items():
        places = np.concatenate(parts)
        exact = _is_brighter(run, places, _EIGHT[point], height, width)
        bit = np.uint8(1 << point)
        bits[places] = np.where(exact, bits[places] | bit, bits[places] & ~bit)
    return bits.reshape(inside)[:, :height, :width]


def _compare_eight(
    run: npt.NDArray[np.uint8],
    first_rows_and_columns: npt.NDArray[np.uint8],
    stride: int,
    bits: npt.NDArray[np.uint8],
) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Set the bits of all neighbours, and name the places where a diagonal one is yet unsure.

    A neighbour on the diagonal lies between the pixel p, two beside it, a and b, and the one in the
    corner, c. It is at least as bright if ``w (a + b - 2 p) + (c - p) >= 0``, where w = 0.414207 is
    the ratio of two interpolation weights. 29 / 70 is so near to w that the sign in whole numbers
    of 16 bits is right, unless their sum is within 1 of zero. It is right, too, where c = p: then a
    sum within 1 is zero, the neighbour exactly as bright as the pixel, and scikit-image's
    arithmetic finds that it is, for all levels of brightness, but in the first two rows and
    columns and beyond the 512th, where the weights have other last bits.
    """
    margin, n_places = stride + 1, len(bits)
    pixels = run[margin:-margin]
    side, corner = run * np.int16(29), run * np.int16(70)
    # 1 less, so that sums within 1 of zero are 0 to 2.
    centre = pixels * np.int16(128)
    centre -= np.int16(1)
    # A corner that differs from this, with a sum within 1 of zero, is unsure. One level is added
    # where equal ones are unsure, too, if they are not black, than which nothing is darker; a
    # corner that is one level brighter has no such sum.
    settled = pixels + np.minimum(pixels, first_rows_and_columns)
    brighter, unsure = np.empty(n_places, dtype=bool), np.empty(n_places, dtype=bool)
    total = np.empty(n_places, dtype=np.int16)
    without_column = {row: side[margin + row * stride :][:n_places] - centre for row in (-1, 1)}
    for point, (row, column) in enumerate(_EIGHT):
        beside, there = margin + column, margin + row * stride + column
        if point in _DIAGONALS:
            np.add(without_column[row], side[beside : beside + n_places], out=total)
            total += corner[there : there + n_places]
            np.greater_equal(total, 1, out=brighter)
            np.not_equal(run[there : there + n_places], settled, out=unsure)
            unsure &= total.view(np.uint16) < 3
            yield point, np.flatnonzero(unsure)
        else:
            np.greater_equal(run[there : there + n_places], pixels, out=brighter)
        # Numpy multiplies bytes several times as fast as it shifts them.
        bits |= np.multiply(brighter.view(np.uint8), np.uint8(1 << point))


@lru_cache(maxsize=8)
def _first_rows_and_columns(n_chips: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """1 for places of a run of chips in the first two rows or columns of a chip, else 0."""
    row, column = np.ogrid[: height + 1, : width + 1]
    return np.tile(((row < 2) | (column < 2)).ravel(), n_chips).view(np.uint8)


def _is_brighter(
    run: npt.NDArray[np.uint8],
    places: npt.NDArray[np.intp],
    direction: tuple[int, int],
    height: int,
    width: int,
) -> npt.NDArray[np.bool_]:
    """Decide on the diagonal neighbour of some places in a run in scikit-image's own arithmetic."""
    down, across = direction
    stride = width + 1
    _, diagonal = _circle(8, 1.0)[1]
    rows, columns = places // stride % (height + 1), places % stride
    above, below = (weights[rows] for weights in _weights(down * diagonal, height + 1))
    left, right = (weights[columns] for weights in _weights(across * diagonal, stride))
    pixel = places + (stride + 1)
    top_left = pixel + (min(down, 0) * stride + min(across, 0))
    upper = left * run[top_left] + right * run[top_left + 1]
    lower = left * run[top_left + stride] + right * run[top_left + stride + 1]
    return above * upper + below * lower >= run[pixel]


def _code(
    bits: npt.NDArray[np.unsignedinteger], n_points: int
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Number the patterns."""
    if n_points > 16:
        return _number_patterns(bits, n_points)
    table = _code_table(n_points)
    if n_points > 8:
        return table[bits]
    return cv2.LUT(bits.ravel(), table).reshape(bits.shape)


@lru_cache(maxsize=8)
def _code_table(n_points: int) -> npt.NDArray[np.uint8]:
    bits = np.arange(max(256, 1 << n_points), dtype=np.uint32)
    return _number_patterns(bits, n_points).astype(np.uint8)


def _number_patterns(
    bits: npt.NDArray[np.unsignedinteger], n_points: int
) -> npt.NDArray[np.uint16]:
    """Number uniform patterns by the length of their arc and where it is, as scikit-image does."""
    bits = bits.astype(np.int32)
    changes = np.bitwise_count((bits ^ (bits >> 1)) & ((1 << (n_points - 1)) - 1))
    n_ones = np.bitwise_count(bits).astype(np.int32)
    # The place of the first zero in patterns that start with a one, else of the first one.
    first_change = np.bitwise_count(np.where(bits & 1, bits & ~(bits + 1), ~bits & (bits - 1)))
    turn = np.where(bits & 1, n_ones, n_points) - first_change
    codes = 1 + (n_ones - 1) * n_points + turn
    codes[n_ones == 0] = 0
    codes[n_ones == n_points] = n_points * (n_points - 1) + 1
    codes[changes > 2] = n_points * (n_points - 1) + 2
    return codes.astype(np.uint16)
