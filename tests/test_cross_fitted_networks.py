"""The scripts that train networks and models: who is asked about which photo, and what is kept."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import numpy_helper
from PIL import Image

from ageboost.features import CNNActivations, FaceFeatures
from ageboost.features._dlib_resnet import build_dlib_resnet
from ageboost.features.known_networks import get_network

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def photo(portrait, tmp_path):
    path = tmp_path / "portrait.png"
    Image.fromarray(portrait).save(path)
    return str(path)


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in [name for name in sys.modules if name.startswith("_onnx") or name == "_features"]:
        del sys.modules[name]


def write_member(path, age):
    """Write a network that says the same age of everybody."""
    model = onnx.load_from_string(get_network("utkface-mobilenet").read_weights())
    for entry in model.graph.initializer:
        if entry.name == "head_bias":
            bias = np.zeros(101, np.float32)
            bias[age] = 1e4
            entry.CopyFrom(numpy_helper.from_array(bias, "head_bias"))
    path.write_bytes(model.SerializeToString())


def test_each_photo_is_shown_to_the_network_that_was_trained_without_it(
    scripts, portrait, tmp_path
):
    from _features import cross_fitted_matrix

    for member in range(3):
        write_member(tmp_path / f"mobilenet-{member}.onnx", 10 * (member + 1))
    table = pd.DataFrame({"photo": [portrait] * 8, "fold": range(8)})
    features = FaceFeatures(
        [("net", CNNActivations("utkface-mobilenet-small", levels=["age"]))], on_error="nan"
    )
    ages = cross_fitted_matrix(features, table, tmp_path)[:, 0]
    np.testing.assert_allclose(ages[:6], [10, 10, 20, 20, 30, 30], atol=1e-3)
    own = features.transform([portrait])[0, 0]
    np.testing.assert_allclose(ages[6:], own, atol=1e-3)


def test_what_the_others_said_is_read_where_they_are_not_at_hand(
    scripts, photo, tmp_path, monkeypatch
):
    import _features

    table = pd.DataFrame({"photo": [photo] * 2, "fold": [0, 6]})
    answers = np.arange(22, dtype=np.float16)[None]
    kept = {"photos": _features.name_photos(table[:1])}
    for view, times in zip(_features.VIEWS, (1, 3), strict=True):
        kept[_features.name_answers("utkface-mobilenet-small", view)] = times * answers
    monkeypatch.setattr(_features, "ANSWERS", tmp_path / "answers.npz")
    np.savez(_features.ANSWERS, **kept)
    for mirror, times in ((False, 1), (True, 2), ("only", 3)):
        small = CNNActivations("utkface-mobilenet-small", mirror=mirror)
        features = FaceFeatures([("net", small)], on_error="nan")
        matrix = _features.cross_fitted_matrix(features, table, None)
        np.testing.assert_array_equal(matrix[:1], times * answers)
        np.testing.assert_array_equal(matrix[1], features.transform([photo])[0])


def test_networks_without_their_cross_fitted_members_are_not_trusted(scripts, photo):
    from _features import cross_fitted_matrix

    table = pd.DataFrame({"photo": [photo], "fold": [0]})
    with pytest.raises(SystemExit, match="has seen folds 0 to 5"):
        cross_fitted_matrix(FaceFeatures("fast", on_error="nan"), table, None)


def test_a_network_in_pytorch_and_back_gives_what_onnx_gave(scripts):
    torch = pytest.importorskip("torch", reason="trains networks: pip install '.[networks]'")
    from _onnx_half import to_half
    from _onnx_torch import OnnxModule, fold_constants

    from ageboost.faces.landmarks import dlib_weights

    weights = dlib_weights("dlib_face_recognition_resnet_model_v1.dat").read_bytes()
    model = fold_constants(build_dlib_resnet(weights))
    chips = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 3, 150, 150)).astype(np.float32)

    def run(graph, tensor):
        session = onnxruntime.InferenceSession(graph.SerializeToString())
        return session.run([tensor], {"chips": chips})[0]

    module = OnnxModule(model, ("level4", "descriptor"))
    with torch.no_grad():
        level, descriptor = (output.numpy() for output in module(torch.tensor(chips)))
    np.testing.assert_allclose(level, run(model, "level4"), atol=1e-5)
    np.testing.assert_allclose(descriptor, run(model, "descriptor"), atol=1e-6)
    np.testing.assert_allclose(run(module.to_onnx(), "descriptor"), descriptor, atol=1e-6)
    half = to_half(module.to_onnx(), {"descriptor": "descriptor"})
    np.testing.assert_allclose(run(half, "descriptor"), descriptor, atol=2e-3)
    assert half.ByteSize() < 0.55 * model.ByteSize()
