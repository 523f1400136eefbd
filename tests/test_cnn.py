import dlib
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from sklearn.base import clone

from ageboost.faces import FaceFinder, stack_chips
from ageboost.faces.landmarks import dlib_weights
from ageboost.features import CNNActivations, FaceFeatures, Network


@pytest.fixture(scope="module")
def own_network(tmp_path_factory):
    """A network small enough to compute by hand: the mean of each channel, as map and as number."""
    path = tmp_path_factory.mktemp("network") / "mean.onnx"
    nodes = [
        helper.make_node("AveragePool", ["x"], ["map"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("GlobalAveragePool", ["map"], ["mean4d"]),
        helper.make_node("Flatten", ["mean4d"], ["mean"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return Network(
        "mean", path, 32, ("map", "mean"), channels="bgr", mean=(1, 2, 3), scale=0.5, padding=0.1
    )


def test_the_descriptor_is_that_of_dlib(portrait, face):
    weights = dlib_weights("dlib_face_recognition_resnet_model_v1.dat")
    network = dlib.face_recognition_model_v1(str(weights))
    faces = [face, *FaceFinder().find(np.ascontiguousarray(portrait[:, ::-1]))]
    expected = [network.compute_face_descriptor(f.chip(150, 0.25)) for f in faces]
    found = CNNActivations(levels=["descriptor"]).transform(faces)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_levels_have_the_shapes_of_the_network(face):
    cnn = CNNActivations(levels=["level1", "level2", "level3", "level4", "level5"], pool=99)
    sizes = [32 * 35 * 35, 64 * 17 * 17, 128 * 8 * 8, 256 * 4 * 4, 256 * 2 * 2]
    assert cnn.transform([face]).shape == (1, sum(sizes))


def test_pooling_takes_means_of_areas(face):
    whole = CNNActivations(levels=["level3"], pool=8).transform([face]).reshape(128, 8, 8)
    pooled = CNNActivations(levels=["level3"], pool=4).transform([face]).reshape(128, 4, 4)
    expected = whole.reshape(128, 4, 2, 4, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)


def test_names_are_unique_and_say_where_on_the_face(face):
    names = CNNActivations().get_feature_names_out()
    assert len(set(names)) == len(names) == CNNActivations().transform([face]).shape[1]
    assert "level4_row3_col0_channel255" in names


def test_a_batch_gives_what_single_faces_give(portrait, face):
    [other] = FaceFinder().find(np.ascontiguousarray(portrait[:, ::-1]))
    cnn = CNNActivations()
    batch = cnn.transform([face, other])
    single = np.concatenate([cnn.transform([face]), cnn.transform([other])])
    np.testing.assert_allclose(batch, single, atol=1e-4)


def test_a_network_of_the_users_own_sees_what_its_record_asks_for(face, own_network):
    found = CNNActivations(own_network).transform([face])
    chip = stack_chips([face], 32, 0.1).astype(np.float64)[0, :, :, ::-1]
    expected = ((chip - (1, 2, 3)) * 0.5).reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(found[0, -3:], expected, rtol=1e-4)
    assert found.shape == (1, 3 * 4 * 4 + 3)


def test_several_networks_look_at_one_face(portrait, own_network):
    features = FaceFeatures([("dlib", CNNActivations()), ("mine", CNNActivations(own_network))])
    assert features.transform([portrait]).shape[1] == len(features.get_feature_names_out())


def test_the_record_in_shared_models_works(utkface, face):
    weights = utkface.parents[1] / "models" / "age_resnet10.onnx"
    if not weights.is_file():
        pytest.skip(f"needs {weights}")
    output = onnx.load(weights).graph.output[0].name
    network = Network(
        "age",
        weights,
        64,
        (output,),
        mean=(122.782, 117.001, 104.298),
        scale=1 / 256,
        padding=0.2,
        landmarks=5,
    )
    probabilities = CNNActivations(network).transform([face])
    assert probabilities.sum() == pytest.approx(1, abs=1e-3)
    years = np.r_[0.25, np.arange(1, 81)]
    assert 20 < (probabilities[0] * years).sum() < 60


@pytest.mark.parametrize(
    ("change", "message"),
    [({"channels": "grb"}, "channels"), ({"mean": (1, 2)}, "mean"), ({"levels": ()}, "levels")],
)
def test_a_wrong_record_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Network(**{"name": "n", "weights": "x.onnx", "input_size": 8, "levels": ("a",), **change})


def test_a_missing_file_level_or_name_is_named(face, own_network):
    with pytest.raises(FileNotFoundError, match=r"nothing\.onnx"):
        CNNActivations(Network("n", "nothing.onnx", 8, ("a",))).transform([face])
    with pytest.raises(ValueError, match="no tensor level99: it has"):
        CNNActivations(levels=["level99"]).transform([face])
    with pytest.raises(ValueError, match="network='vgg'"):
        CNNActivations("vgg").transform([face])


def test_it_can_be_cloned_and_gives_data_frames(face, own_network):
    cnn = clone(CNNActivations(own_network)).set_output(transform="pandas")
    assert list(cnn.transform([face]).columns) == list(cnn.get_feature_names_out())
