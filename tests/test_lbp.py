import numpy as np
import pytest
import skimage.feature
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone

from ageboost.faces import stack_chips
from ageboost.features import LBP, lbp_histograms, local_binary_pattern

CIRCLES = [(8, 1), (8, 2), (16, 2), (24, 3), (8, 1.5), (4, 1), (6, 1)]


def expected(chips, n_points=8, radius=1):
    return np.stack(
        [
            skimage.feature.local_binary_pattern(chip, n_points, radius, "nri_uniform")
            for chip in chips
        ]
    )


@pytest.mark.parametrize(("n_points", "radius"), CIRCLES)
def test_it_equals_scikit_image_on_a_real_face(face, portrait, n_points, radius):
    for chips in (stack_chips([face], 128, grey=True), portrait[None, 50:170, 100:301, 1]):
        found = local_binary_pattern(chips, n_points=n_points, radius=radius)
        np.testing.assert_array_equal(found, expected(chips, n_points, radius))


@settings(max_examples=80, deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=12),
        # Few levels make many ties, where the last bits decide.
        elements=st.sampled_from([0, 1, 2, 100, 101, 128, 254, 255]),
    ),
    st.sampled_from(CIRCLES),
)
def test_it_equals_scikit_image_on_anything(chips, circle):
    found = local_binary_pattern(chips, n_points=circle[0], radius=circle[1])
    np.testing.assert_array_equal(found, expected(chips, *circle))


@pytest.mark.parametrize("level", [0, 1, 7, 77, 128, 200, 255])
def test_it_equals_scikit_image_where_all_is_flat(level):
    chips = np.full((1, 130, 70), level, np.uint8)
    np.testing.assert_array_equal(local_binary_pattern(chips), expected(chips))


def test_it_equals_scikit_image_on_noise_and_slopes():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (5, 128, 128), dtype=np.uint8)
    slopes = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)[None]
    for chips in (noise, noise // 32, slopes, slopes // 2):
        np.testing.assert_array_equal(local_binary_pattern(chips), expected(chips))


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("shape", [(40, 40), (512, 5), (5, 512), (514, 5), (5, 514), (530, 530)])
def test_it_equals_scikit_image_where_neighbours_are_exactly_as_bright(shape, turn):
    # Two pixels beside each pixel differ from it by as much in either direction.
    down, across = np.ogrid[: shape[0], : shape[1]]
    steps = np.arange(0, 256, 1 if max(shape) < 100 else 25)[:, None, None]
    chips = (steps * (down + turn * across) + steps // 2).astype(np.uint8)
    np.testing.assert_array_equal(local_binary_pattern(chips), expected(chips))


def test_it_equals_scikit_image_where_a_neighbour_is_hardly_darker_or_brighter():
    # The pixel, the corner, and the two beside, which are brighter together by as much as the
    # corner is darker, or the other way round, as the interpolation weighs them.
    patches = []
    for corner in range(-255, 256):
        for beside in range(round(-corner * 70 / 29) - 2, round(-corner * 70 / 29) + 3):
            lowest = max(0, -corner, -(beside // 2))
            highest = min(255, 255 - corner, (510 - beside) // 2)
            for pixel in {lowest, highest} if corner and lowest <= highest else ():
                first = min(255, beside + 2 * pixel)
                second = beside + 2 * pixel - first
                patches.append([[pixel, first], [second, pixel + corner]])
    assert len(patches) > 100
    chips = np.zeros((len(patches), 8, 8), np.uint8)
    chips[:, 3:5, 3:5] = patches
    for turned in (chips, chips[:, ::-1], chips[:, :, ::-1], chips[:, ::-1, ::-1]):
        np.testing.assert_array_equal(local_binary_pattern(turned), expected(turned))


def test_a_chip_does_not_depend_on_the_others_in_its_batch():
    chips = np.random.default_rng(0).integers(0, 9, (50, 40, 30), dtype=np.uint8)
    single = np.concatenate([local_binary_pattern(chip[None]) for chip in chips])
    np.testing.assert_array_equal(local_binary_pattern(chips), single)


@pytest.mark.parametrize(("n_points", "radius"), [(8, 1), (6, 2)])
def test_histograms_count_the_patterns_of_each_cell(n_points, radius):
    circle = {"n_points": n_points, "radius": radius}
    chips = np.random.default_rng(0).integers(0, 255, (3, 64, 48), dtype=np.uint8)
    found = lbp_histograms(chips, grid=(4, 3), **circle).reshape(3, 4, 3, -1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=3), 1, rtol=1e-6)
    cell = local_binary_pattern(chips, **circle)[1, 16:32, 32:48]
    counts = np.bincount(cell.ravel(), minlength=found.shape[3]) / cell.size
    np.testing.assert_allclose(found[1, 1, 2], counts, rtol=1e-6)


@pytest.mark.parametrize("chips", [np.zeros((2, 64, 64)), np.zeros((64, 64), np.uint8)])
def test_what_is_no_batch_of_grey_chips_is_refused(chips):
    with pytest.raises(ValueError, match="chips"):
        local_binary_pattern(chips)


@pytest.mark.parametrize("params", [{"n_points": 1}, {"radius": 0}, {"grid": (99, 1)}])
def test_a_wrong_parameter_is_named(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        lbp_histograms(np.zeros((1, 64, 64), np.uint8), **params)


@pytest.mark.parametrize(
    "settings", [{}, {"chip_size": 48, "padding": 0, "grid": (2, 3), "n_points": 6, "radius": 2}]
)
def test_the_transformer_gives_the_histograms_of_the_chip_that_its_settings_cut_out(face, settings):
    chosen = {"chip_size": 128, "padding": 0.25, "grid": (8, 8), "n_points": 8, "radius": 1}
    chosen |= settings
    chips = stack_chips([face], chosen.pop("chip_size"), chosen.pop("padding"), grey=True)
    found = LBP(**settings).transform([face])
    np.testing.assert_array_equal(found, lbp_histograms(chips, **chosen))


def test_the_transformer_names_every_column(face):
    transformer = clone(LBP(grid=(2, 3))).set_output(transform="pandas")
    table = transformer.fit_transform([face])
    assert table.shape == (1, 2 * 3 * 59)
    assert list(table.columns) == list(transformer.get_feature_names_out())
    assert table.columns.is_unique


def test_names_and_areas_tell_the_cell_and_the_pattern_that_a_column_counts():
    part = LBP(chip_size=64, padding=0.5, grid=(2, 4))
    names, areas = part.get_feature_names_out(), part.feature_areas()
    chips = np.random.default_rng(0).integers(0, 255, (1, 64, 64), dtype=np.uint8)
    before, codes = lbp_histograms(chips, grid=(2, 4))[0], local_binary_pattern(chips)[0]
    chips[0, 40:60, 20:28] = 7
    moved = lbp_histograms(chips, grid=(2, 4))[0] != before
    assert moved.any()
    assert all(name.startswith("row1_col1_") for name in names[moved])
    np.testing.assert_array_equal(areas[moved], np.tile([0, 0.5, 0.5, 1.5], (moved.sum(), 1)))
    counts = dict(zip(names, before * 32 * 16, strict=True))
    for row, column, code in ((0, 3, 5), (1, 0, 58), (1, 2, 0)):
        cell = codes[32 * row : 32 * (row + 1), 16 * column : 16 * (column + 1)]
        assert round(counts[f"row{row}_col{column}_pattern{code}"]) == (cell == code).sum()
    for name, (left, top, right, bottom) in zip(names, areas, strict=True):
        row, column = (int(part[3:]) for part in name.split("_")[:2])
        assert (left, top) == (column / 2 - 0.5, row - 0.5)
        assert (right - left, bottom - top) == (0.5, 1)


def test_a_parameter_at_its_limit_is_taken_and_one_beyond_is_not():
    chips = np.random.default_rng(0).integers(0, 255, (1, 6, 8), dtype=np.uint8)
    for rows, columns in ((6, 8), (1, 1)):
        assert lbp_histograms(chips, grid=(rows, columns)).shape == (1, rows * columns * 59)
    for grid in ((7, 8), (6, 9), (0, 1), (1, 0), (2,), (1, 1, 1)):
        with pytest.raises(ValueError, match="grid="):
            lbp_histograms(chips, grid=grid)
    for n_points in (2, 24):
        found = local_binary_pattern(chips, n_points=n_points, radius=0.5)
        np.testing.assert_array_equal(found, expected(chips, n_points, 0.5))
    for params in ({"n_points": 25}, {"radius": -1}, {"radius": float("nan")}):
        with pytest.raises(ValueError, match=next(iter(params))):
            local_binary_pattern(chips, **params)


@pytest.mark.parametrize("n_points", [15, 16, 17, 24])
def test_codes_have_the_smallest_type_that_holds_them(n_points):
    chips = np.random.default_rng(0).integers(0, 255, (2, 20, 20), dtype=np.uint8)
    found = local_binary_pattern(chips, n_points=n_points, radius=2)
    assert found.dtype == (np.uint8 if n_points <= 16 else np.uint16)
    np.testing.assert_array_equal(found, expected(chips, n_points, 2))


@pytest.mark.parametrize("shape", [(0, 9, 9), (2, 0, 9), (2, 9, 0)])
def test_no_pixels_have_no_patterns(shape):
    for params in ({}, {"radius": 2}):
        assert local_binary_pattern(np.zeros(shape, np.uint8), **params).shape == shape
