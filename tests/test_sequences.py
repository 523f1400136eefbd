"""Wherever a sequence is asked for, a list is as good as a tuple."""

import numpy as np
import pytest

from ageboost.evaluation import FoldProtocol
from ageboost.faces import FaceFinder
from ageboost.features import LBP, CNNActivations, Network
from ageboost.features.known_networks import get_network


@pytest.fixture(scope="module")
def faces(portrait):
    return FaceFinder().find(portrait)


def test_a_network_takes_lists_and_bytes_that_can_change(faces):
    known = get_network("dlib-age")
    weights = known.read_weights()
    shared = {"input_size": known.input_size, "scale": known.scale, "padding": known.padding}
    one = Network("mine", bytearray(weights), levels=["means"], mean=list(known.mean), **shared)
    other = Network("mine", weights, levels=("means",), mean=known.mean, **shared)
    assert one == other
    assert hash(one) == hash(other)
    np.testing.assert_array_equal(
        CNNActivations(one).transform(faces), CNNActivations(other).transform(faces)
    )
    from_array = Network("mine", weights, levels=np.array(["means"]), **shared)
    assert from_array.levels == ("means",)


@pytest.mark.parametrize(
    "make",
    [
        lambda name: Network("mine", b"", 112, name),
        lambda name: CNNActivations(levels=name)._levels(),
    ],
)
def test_one_name_in_the_place_of_a_list_is_refused(make):
    with pytest.raises(ValueError, match=r"pass a list of names, \['pool3'\]"):
        make("pool3")


@pytest.mark.parametrize("make", [lambda grid: LBP(grid=grid)])
def test_transformers_take_lists(faces, make):
    np.testing.assert_array_equal(make([4, 4]).transform(faces), make((4, 4)).transform(faces))


def test_a_protocol_takes_lists_and_ranges():
    protocol = FoldProtocol(range(6), [6, 7], [8])
    assert protocol == FoldProtocol((0, 1, 2, 3, 4, 5), (6, 7), (8,))
    assert hash(protocol) == hash(FoldProtocol((0, 1, 2, 3, 4, 5), (6, 7), (8,)))
