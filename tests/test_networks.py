import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from ageboost.faces import FaceFinder, stack_chips
from ageboost.features import CNNActivations, FaceFeatures, Network
from ageboost.features.known_networks import get_network, in_whole_numbers

SHIPPED = [
    *("dlib-age", "utkface-dlib", "utkface-mobilenet", "utkface-mobilenet-small"),
    "utkface-mobilenet-large",
]
WITH_AGES = SHIPPED[1:]


@pytest.mark.parametrize("name", ["dlib", *SHIPPED])
def test_a_network_is_known_by_its_name(name, face):
    row = CNNActivations(name).transform([face])
    assert row.shape == (1, len(CNNActivations(name).get_feature_names_out()))
    assert np.isfinite(row).all()


def read_network(name):
    model = onnx.load_from_string(get_network(name).read_weights())
    onnx.checker.check_model(model, full_check=True)
    return model


def test_weights_ship_as_valid_onnx_in_half_precision():
    large = [w for w in read_network("dlib-age").graph.initializer if np.prod(w.dims) >= 1024]
    assert {w.data_type for w in large} == {TensorProto.FLOAT16}


@pytest.mark.parametrize("name", WITH_AGES)
def test_convolutions_trained_on_utkface_ship_in_whole_numbers_that_cannot_overflow(name):
    model = read_network(name)
    producers = {output: node for node in model.graph.node for output in node.output}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) in (27, 29)
    for node in convolutions:
        values = numpy_helper.to_array(weights[producers[node.input[1]].input[0]])
        assert values.dtype == np.int8
        # Two products of a weight and a level of 255 stay within 16 bits.
        assert np.abs(values.astype(int)).max() <= 64


@pytest.mark.parametrize("name", WITH_AGES)
def test_whole_numbers_tell_nearly_the_ages_of_the_original(name, face):
    originals = Path(__file__).parents[1] / "benchmarks" / "networks"
    network = get_network(name)
    chips = stack_chips([face], network.input_size, network.padding, n_landmarks=5)
    chips = np.concatenate([chips, chips[:, :, ::-1], (chips * 0.6).astype(np.uint8)])
    original = replace(network, weights=originals / Path(network.weights).name)
    [ages], [expected] = network.run(chips, ("age",)), original.run(chips, ("age",))
    assert np.abs(ages - expected).max() < 1.5


@pytest.mark.parametrize("name", WITH_AGES)
def test_networks_that_remember_age_tell_a_likely_one(name, face):
    [[age]] = CNNActivations(name, levels=["age"]).transform([face])
    assert 20 < age < 50


@pytest.mark.parametrize("name", WITH_AGES)
def test_probabilities_of_being_older_fall_with_age(name, face):
    [row] = CNNActivations(name, levels=["older"]).transform([face])
    assert len(row) == 21
    assert ((row >= 0) & (row <= 1 + 1e-5)).all()
    assert (np.diff(row) <= 1e-6).all()


def test_the_age_network_of_dlib_gives_shares_that_sum_to_one(face):
    [shares] = CNNActivations("dlib-age", levels=["shares"]).transform([face])
    assert len(shares) == 81
    assert shares.sum() == pytest.approx(1, abs=1e-4)


def test_a_face_and_its_mirror_image_get_the_same_row_when_asked(face):
    mirrored = CNNActivations("utkface-mobilenet-small", mirror=True)
    plain = CNNActivations("utkface-mobilenet-small")
    turned = replace(face, _chips={})
    for key in [(128, 0.3, 5)]:
        turned._chips[key] = np.ascontiguousarray(face.chip(*key)[:, ::-1])
    assert np.allclose(mirrored.transform([face]), mirrored.transform([turned]), atol=1e-3)
    assert not np.allclose(plain.transform([face]), plain.transform([turned]), atol=1e-3)


def test_several_networks_are_joined_with_a_record_of_ones_own(portrait):
    mine = replace(get_network("dlib-age"), name="mine", levels=("means",))
    features = FaceFeatures(
        [
            ("dlib", CNNActivations(levels=["descriptor"])),
            ("mine", CNNActivations(mine)),
            ("age", CNNActivations("utkface-mobilenet-small", levels=["age"])),
        ]
    )
    assert features.transform([portrait]).shape == (1, 128 + 256 + 1)
    names = features.get_feature_names_out()
    assert names[128].startswith("mine__means")


def test_an_unknown_network_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="'utkface-dlib'"):
        get_network("no such network")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"channels": "grb"}, "pass rgb or bgr"),
        ({"mean": (104.0,)}, "pass three numbers"),
        ({"levels": ()}, "name at least one tensor"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(ValueError, match=f"'mine'.*{said}"):
        replace(get_network("dlib-age"), name="mine", **wrong)


def networks_that_begin_alike():
    return in_whole_numbers(get_network("mobilenet-age-large")), get_network(
        "utkface-mobilenet-large"
    )


def test_a_network_that_kept_the_first_layers_of_another_begins_as_that_does(face):
    first, second = networks_that_begin_alike()
    key = second.stem_key(second.levels)
    assert first.stem_key(first.levels) == key
    assert replace(second, padding=0.5).stem_key(second.levels) != key
    assert key is not None
    chips = stack_chips([face] * 3, first.input_size, first.padding, n_landmarks=5)
    begun = first.begin(chips)
    for network in (first, second):
        whole = network.run(chips, network.levels)
        for level, expected in zip(network.finish(begun, network.levels), whole, strict=True):
            np.testing.assert_array_equal(level, expected)


def test_what_networks_share_is_computed_once_for_each_face_and_does_not_travel(
    face_variants, monkeypatch
):
    found = FaceFinder().find_each(face_variants[0][:3], main_only=True)
    faces = [faces[0] for faces in found]
    parts = [
        CNNActivations("mobilenet-age-large", whole_numbers=True),
        CNNActivations("utkface-mobilenet-large"),
    ]
    alone = [[part.transform([replace(face)])[0] for face in faces] for part in parts]
    looked_at = []
    begin = Network.begin
    monkeypatch.setattr(
        Network,
        "begin",
        lambda self, chips, *on: looked_at.append(len(chips)) or begin(self, chips, *on),
    )
    parts[1].transform(faces[:1])
    for part, rows in zip(parts, alone, strict=True):
        np.testing.assert_array_equal(part.transform(faces), rows)
    assert looked_at == [1, 2]
    assert len(pickle.dumps(faces[0])) < 2 * faces[0].pixels.nbytes


def test_levels_before_the_stem_are_computed_without_it(face):
    early = "conv1_relu/clip_by_value"
    row = CNNActivations("utkface-mobilenet-large", levels=[early, "age"], pool=1).transform([face])
    age = CNNActivations("utkface-mobilenet-large", levels=["age"]).transform([replace(face)])
    assert row.shape == (1, 33)
    assert row[0, -1] == age[0, 0]


def test_a_network_of_ones_own_may_share_its_first_layers(face, tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes(get_network("dlib-age").read_weights())
    own = replace(get_network("dlib-age"), name="mine", weights=path, stem="level2")
    deeper = replace(own, levels=("level3", "means"))
    row = CNNActivations(deeper).transform([replace(face)])
    np.testing.assert_allclose(
        row, CNNActivations("dlib-age", levels=["level3", "means"]).transform([face]), atol=1e-4
    )
    with pytest.raises(ValueError, match="'mine' has no tensor nowhere"):
        CNNActivations(replace(deeper, stem="nowhere")).transform([replace(face)])
