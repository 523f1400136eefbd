"""Networks in whole numbers take patches of chips: their answers are those that pixels give."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ageboost._onnx import make_session
from ageboost.features import Network
from ageboost.features._graphs import extract_part
from ageboost.features._patches import take_patches
from ageboost.features._whole_numbers import Ranges, to_whole_numbers
from ageboost.features.known_networks import get_network, in_whole_numbers

SIZE = 21


def answers_to_pixels(network, chips):
    part = extract_part(network.read_weights(), None, network.levels, network.name)
    session = make_session(part.SerializeToString())
    return session.run(list(network.levels), {session.get_inputs()[0].name: network.prepare(chips)})


def assert_same_answers(network, chips):
    for view in (chips, chips[:, :, ::-1]):
        for found, expected in zip(
            network.run(view, network.levels), answers_to_pixels(network, view), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
    for one_by_one, together in zip(
        network.run(list(chips), network.levels), network.run(chips, network.levels), strict=True
    ):
        np.testing.assert_array_equal(one_by_one, together)


def random_chips(n_faces, size):
    return np.random.default_rng(0).integers(0, 256, (n_faces, size, size, 3), np.uint8)


@pytest.mark.parametrize(
    "network",
    [
        get_network("utkface-mobilenet-small"),
        get_network("utkface-dlib"),
        in_whole_numbers(get_network("mobilenet-age-large")),
        in_whole_numbers(get_network("dlib")),
    ],
    ids=lambda network: network.name,
)
def test_patches_give_the_answers_that_pixels_give(network):
    assert_same_answers(network, random_chips(3, network.input_size))


def one_convolution(side=(3, 3), **settings):
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(8, 3, *side)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["pixels", "weights", "bias"], ["sum"], **settings),
            helper.make_node("Relu", ["sum"], ["answer"]),
        ],
        "one convolution",
        [helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, ["n", 3, None, None])],
        [helper.make_tensor_value_info("answer", onnx.TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(rng.normal(size=8).astype(np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    ranges = Ranges({"pixels": (1.07, 113), "answer": (3.1, 0)}, {})
    content = to_whole_numbers(model, ranges).SerializeToString()
    return Network("mine", content, SIZE, ["answer"], "bgr", (103.9, 116.8, 123.7), 0.9)


PATCHES = [
    {"side": (3, 3), "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"side": (3, 3), "strides": [2, 2], "pads": [0, 0, 1, 1]},
    {"side": (5, 5), "pads": [2, 2, 2, 2]},
    {"side": (7, 7), "strides": [3, 3]},
    {"side": (1, 1), "strides": [4, 4]},
]
PIXELS = [
    {"side": (3, 5)},
    {"strides": [1, 2]},
    {"dilations": [2, 2]},
    {"pads": [1, 0, 1, 0]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
]


@pytest.mark.parametrize("settings", PATCHES + PIXELS, ids=str)
def test_any_first_convolution_gives_the_same_by_patches(settings):
    network = one_convolution(**settings)
    assert_same_answers(network, random_chips(4, SIZE))
    assert network.run(random_chips(0, SIZE), network.levels)[0].shape[0] == 0


@pytest.mark.parametrize(
    ("all_settings", "levels", "taken"),
    [
        (PATCHES, ["answer"], True),
        (PIXELS, ["answer"], False),
        (PATCHES, ["pixels in steps"], False),
    ],
    ids=["squares", "other shapes", "what is asked for stays"],
)
def test_patches_are_taken_where_they_can_be(all_settings, levels, taken):
    for settings in all_settings:
        content = one_convolution(**settings).read_weights()
        part = extract_part(content, None, levels, "mine")
        before = part.SerializeToString()
        found = take_patches(part, np.zeros((3, 256), np.float32), bgr=False)
        assert (found is not None) == taken
        assert (part.SerializeToString() != before) == taken


def changed(network, names, change):
    """Let constants of a network be others."""
    model = onnx.load_from_string(network.read_weights())
    for tensor in model.graph.initializer:
        if tensor.name in names:
            values = change(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(values), tensor.name))
    return replace(network, weights=model.SerializeToString())


@pytest.mark.parametrize(
    ("names", "change"),
    [
        ({"pixels in steps zero"}, lambda zero: np.int8(3)),
        ({"sum weights zero"}, lambda zeros: zeros + np.int8(5)),
    ],
    ids=["steps below zero", "weights around another number than zero"],
)
def test_networks_that_others_put_in_whole_numbers_answer_the_same(names, change):
    network = changed(one_convolution(**PATCHES[0]), names, change)
    assert_same_answers(network, random_chips(4, SIZE))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_smallest_chips_have_patches_too(size):
    network = replace(one_convolution(**PATCHES[0]), input_size=size)
    assert_same_answers(network, random_chips(2, size))
