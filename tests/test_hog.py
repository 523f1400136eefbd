import numpy as np
import pytest
import skimage.feature
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from sklearn.base import clone

from ageboost.faces import stack_chips
from ageboost.features import HOG, hog


def expected(chips, orientations=9, cell=16, block=2):
    sizes = ((cell, cell), (block, block))
    return np.stack([skimage.feature.hog(chip, orientations, *sizes) for chip in chips])


@pytest.mark.parametrize(
    ("shape", "orientations", "cell", "block"),
    [((128, 128), 9, 16, 2), ((128, 128), 8, 8, 3), ((50, 67), 12, 7, 1), ((33, 40), 7, 5, 3)],
)
def test_it_equals_scikit_image_on_a_real_photo(portrait, shape, orientations, cell, block):
    chips = np.stack([portrait[i : i + shape[0], 60 : 60 + shape[1], 0] for i in (0, 70, 200)])
    found = hog(chips, orientations=orientations, cell_size=cell, block_size=block)
    np.testing.assert_allclose(found, expected(chips, orientations, cell, block), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, min_side=8, max_side=20)))
def test_it_equals_scikit_image_on_anything(chips):
    found = hog(chips, cell_size=4)
    np.testing.assert_allclose(found, expected(chips, cell=4), atol=1e-5)


def test_flat_chips_have_no_edges():
    assert not hog(np.full((2, 64, 64), 200, np.uint8)).any()


def test_a_chip_does_not_depend_on_the_others_in_its_batch():
    chips = np.random.default_rng(0).integers(0, 255, (70, 32, 32), dtype=np.uint8)
    single = np.concatenate([hog(chip[None]) for chip in chips])
    np.testing.assert_array_equal(hog(chips), single)


@pytest.mark.parametrize("chips", [np.zeros((2, 64, 64)), np.zeros((64, 64), np.uint8)])
def test_what_is_no_batch_of_grey_chips_is_refused(chips):
    with pytest.raises(ValueError, match="chips"):
        hog(chips)


@pytest.mark.parametrize("params", [{"cell_size": 60}, {"cell_size": 0}, {"orientations": 0}])
def test_a_wrong_parameter_is_named(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        hog(np.zeros((1, 64, 64), np.uint8), **params)


@pytest.mark.parametrize(
    "settings",
    [{}, {"chip_size": 48, "padding": 0, "orientations": 6, "cell_size": 8, "block_size": 3}],
)
def test_the_transformer_gives_the_histograms_of_the_chip_that_its_settings_cut_out(face, settings):
    chosen = {"chip_size": 128, "padding": 0.25, "orientations": 9}
    chosen |= {"cell_size": 16, "block_size": 2, **settings}
    chips = stack_chips([face], chosen.pop("chip_size"), chosen.pop("padding"), grey=True)
    found = HOG(**settings).transform([face])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, hog(chips, **chosen))


def test_the_transformer_names_every_column(face):
    transformer = clone(HOG(cell_size=32)).set_output(transform="pandas")
    table = transformer.fit_transform([face, face])
    assert table.shape == (2, 324)
    assert list(table.columns) == list(transformer.get_feature_names_out())
    assert table.columns.is_unique
    assert transformer.transform([]).shape == (0, 324)


def test_photos_in_place_of_faces_are_refused(portrait):
    with pytest.raises(TypeError, match="FaceFinder"):
        HOG().transform([portrait])


def test_names_and_areas_tell_the_cell_and_the_direction_that_a_column_counts():
    part = HOG(chip_size=64, padding=0.5, orientations=4, cell_size=16, block_size=2)
    names, areas = part.get_feature_names_out(), part.feature_areas()
    stripes = np.tile(np.repeat(np.array([0, 200], np.uint8), 2), (12, 3))
    for degrees, patch in ((0, stripes), (90, stripes.T)):
        chip = np.zeros((1, 64, 64), np.uint8)
        chip[0, 18:30, 34:46] = patch
        found = hog(chip, orientations=4)[0]
        assert f"cell_row1_col2_orientation{degrees}" in names[found.argmax()]
        seen = found > 0
        assert all("cell_row1_col2" in name for name in names[seen])
        # The chip of 64 shows a face of 32 in its middle.
        np.testing.assert_array_equal(areas[seen], np.tile([0.5, 0, 1, 0.5], (seen.sum(), 1)))
    assert len(areas) == len(names) == 3 * 3 * 4 * 4
    for name, (left, top, right, bottom) in zip(names, areas, strict=True):
        row, column = (int(part[3:]) for part in name.split("cell_")[1].split("_")[:2])
        assert (left, top) == (column / 2 - 0.5, row / 2 - 0.5)
        assert (right - left, bottom - top) == (0.5, 0.5)


def test_a_parameter_at_its_limit_is_taken_and_one_beyond_is_not():
    chips = np.random.default_rng(0).integers(0, 255, (1, 32, 32), dtype=np.uint8)
    assert hog(chips, cell_size=16, block_size=2).shape == (1, 36)
    assert hog(chips, cell_size=1, block_size=1).shape == (1, 9 * 32 * 32)
    assert hog(chips, orientations=1).shape == (1, 4)
    assert hog(chips, orientations=180).shape == (1, 4 * 180)
    for params in ({"orientations": 181}, {"block_size": 0}, {"block_size": 3}):
        with pytest.raises(ValueError, match=next(iter(params))):
            hog(chips, **params)
    for shape in ((1, 31, 32), (1, 32, 31)):
        with pytest.raises(ValueError, match="need chips of at least 32 pixels"):
            hog(np.zeros(shape, np.uint8))


def test_contrast_changes_nothing_unless_there_is_almost_none():
    chips = np.random.default_rng(0).integers(0, 60, (2, 64, 64), dtype=np.uint8)
    np.testing.assert_allclose(hog(chips * np.uint8(4)), hog(chips), atol=1e-5)


@pytest.mark.parametrize("cell", [8, 32, 256])
def test_it_equals_scikit_image_where_edges_are_as_faint_as_can_be(cell):
    # The larger the cell, the farther from length one when what stands out is cut.
    chips = np.full((1, 256, 256), 100, np.uint8)
    chips[0, 7, 9:19] = 101
    found = hog(chips, cell_size=cell, block_size=1)
    np.testing.assert_allclose(found, expected(chips, cell=cell, block=1), rtol=1e-6)
