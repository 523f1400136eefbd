import json
import zipfile

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.svm import SVR

import ageboost
from ageboost import AgeEstimator, ModelFileError
from ageboost.features import CNNActivations, FaceFeatures, LandmarkGeometry
from ageboost.features.networks import get_network


class Stranger(Ridge):
    """A regressor of a type that ageboost does not know."""


@pytest.fixture
def saved(fitted, tmp_path):
    fitted.save(tmp_path / "model.ageboost")
    return tmp_path / "model.ageboost"


def geometry(regressor):
    features = FaceFeatures([("geometry", LandmarkGeometry())])
    return AgeEstimator(features, reduction="pca", regressor=regressor, random_state=0)


def test_a_loaded_model_gives_the_same_table(fitted, saved, portrait):
    loaded = ageboost.load(saved)
    assert loaded.analyze([portrait]).equals(fitted.analyze([portrait]))
    assert AgeEstimator.load(saved).get_params()["regressor__n_estimators"] == 20


@pytest.mark.parametrize("regressor", ["catboost", Ridge(), SVR()])
def test_other_regressors_come_back_too(regressor, face_variants, portrait, tmp_path):
    estimator = geometry(regressor).fit(*face_variants)
    estimator.save(tmp_path / "model.ageboost")
    loaded = ageboost.load(tmp_path / "model.ageboost")
    np.testing.assert_array_equal(loaded.predict([portrait]), estimator.predict([portrait]))


def test_weights_of_a_network_of_ones_own_go_into_the_file(face_variants, portrait, tmp_path):
    from dataclasses import replace

    network = replace(get_network("dlib"), name="mine", levels=("descriptor",))
    weights = tmp_path / "weights.onnx"
    weights.write_bytes(network.read_weights())
    features = FaceFeatures([("mine", CNNActivations(replace(network, weights=weights)))])
    estimator = AgeEstimator(features, reduction=None, regressor=Ridge()).fit(*face_variants)
    estimator.save(tmp_path / "model.ageboost")
    weights.unlink()
    loaded = ageboost.load(tmp_path / "model.ageboost")
    expected = estimator.regressor_.n_features_in_
    assert loaded.features_.transform([portrait]).shape == (1, expected)


def test_nothing_of_this_machine_goes_into_the_file(face_variants, tmp_path):
    estimator = geometry(Ridge()).set_params(cache=tmp_path / "cache").fit(*face_variants)
    estimator.save(tmp_path / "model.ageboost")
    with zipfile.ZipFile(tmp_path / "model.ageboost") as archive:
        contents = b"".join(archive.read(name) for name in archive.namelist())
    assert str(tmp_path).encode() not in contents
    assert ageboost.load(tmp_path / "model.ageboost").cache is None


def rewrite(path, change):
    """Write the archive again, with its files changed."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def change_manifest(**facts):
    def change(files):
        files["manifest.json"] = json.dumps({**json.loads(files["manifest.json"]), **facts})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.update({"regressor.ubj": b"other"}), "checksum"),
        (lambda files: files.update({"../evil.py": b"x"}), "not those that its manifest names"),
        (lambda files: files.pop("estimator.skops"), "not those that its manifest names"),
        (lambda files: files.pop("manifest.json"), "no manifest"),
        (lambda files: files.update({"manifest.json": b"{"}), "damaged"),
        (change_manifest(format="other"), "not an ageboost model"),
        (change_manifest(format_version=99), "is of format 99"),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(ModelFileError, match=message):
        ageboost.load(saved)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "x.ageboost").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"x\.ageboost"):
        ageboost.load(tmp_path / "x.ageboost")
    with pytest.raises(FileNotFoundError, match=r"y\.ageboost"):
        ageboost.load(tmp_path / "y.ageboost")


def test_an_unknown_type_is_refused_by_name_and_built_only_if_asked(face_variants, tmp_path):
    estimator = geometry(Stranger()).fit(*face_variants)
    estimator.save(tmp_path / "model.ageboost")
    with pytest.raises(ModelFileError, match="Stranger") as caught:
        ageboost.load(tmp_path / "model.ageboost")
    assert "trusted=" in str(caught.value)
    name = f"{Stranger.__module__}.Stranger"
    loaded = ageboost.load(tmp_path / "model.ageboost", trusted=[name])
    assert isinstance(loaded.regressor_, Stranger)


def test_a_pickle_is_never_opened(tmp_path):
    import pickle

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "x.ageboost").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelFileError):
        ageboost.load(tmp_path / "x.ageboost")
    assert not (tmp_path / "sprung").exists()


def test_the_models_that_ship_are_named(tmp_path):
    with pytest.raises(ValueError, match="'other': there is accurate, classical, fast"):
        ageboost.load_pretrained("other")
