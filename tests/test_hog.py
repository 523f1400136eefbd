import numpy as np
import pytest
import skimage.feature
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from sklearn.base import clone

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
