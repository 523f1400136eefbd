"""Networks in whole numbers: nearly what they see otherwise, for twice the speed."""

import numpy as np
import pytest

from ageboost.faces import FaceFinder
from ageboost.features import CNNActivations, Network
from ageboost.features.known_networks import get_network


@pytest.fixture(scope="module")
def faces(portrait):
    shades = [portrait, portrait[:, ::-1], (portrait * 0.5).astype(np.uint8)]
    return [found[0] for found in FaceFinder().find_each(shades, main_only=True)]


@pytest.mark.parametrize("name", ["dlib", "mobilenet-age"])
def test_levels_in_whole_numbers_are_nearly_those_that_they_stand_for(faces, name):
    exact, whole = (
        CNNActivations(name, whole_numbers=which).transform(faces) for which in (False, True)
    )
    assert whole.shape == exact.shape
    assert np.corrcoef(exact.ravel(), whole.ravel())[0, 1] > 0.99
    assert (exact != whole).any()


def test_a_face_has_the_same_whole_numbers_alone_and_among_others(faces):
    network = CNNActivations("dlib", whole_numbers=True)
    alone = np.concatenate([network.transform([face]) for face in faces])
    np.testing.assert_array_equal(network.transform(faces * 7)[: len(faces)], alone)


@pytest.mark.parametrize(
    "network",
    ["dlib-age", Network("dlib", b"other weights", 150, ["level3"])],
    ids=["a network", "a record of the same name"],
)
def test_a_network_whose_ranges_are_unknown_is_refused(faces, network):
    with pytest.raises(ValueError, match=r"whole_numbers=True.*not known.*'dlib'"):
        CNNActivations(network, whole_numbers=True).transform(faces)


def test_a_network_chosen_by_its_record_may_compute_in_whole_numbers(faces):
    by_name, by_record = (
        CNNActivations(network, whole_numbers=True).transform(faces)
        for network in ("dlib", get_network("dlib"))
    )
    np.testing.assert_array_equal(by_name, by_record)
