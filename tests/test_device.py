import importlib.metadata

import numpy as np
import pytest

import ageboost
from ageboost import AgeEstimator, DeviceError
from ageboost._device import count_cuda_devices
from ageboost.features import HOG, CNNActivations, FaceFeatures, LandmarkGeometry

SMALL = [("hog", HOG(cell_size=32)), ("geometry", LandmarkGeometry())]


@pytest.fixture
def no_cuda():
    if count_cuda_devices():
        pytest.skip("there is a CUDA device")


@pytest.fixture
def cuda():
    if not count_cuda_devices():
        pytest.skip("no CUDA device")


def test_a_model_is_saved_where_other_builds_of_its_libraries_are_installed(tmp_path, monkeypatch):
    installed = importlib.metadata.version
    others = {"xgboost-cpu": "xgboost", "onnxruntime-gpu": "onnxruntime", "dlib": "dlib-bin"}

    def version(name):
        if name in others.values():
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(others.get(name, name))

    monkeypatch.setattr("ageboost._versions.version", version)
    ageboost.load_pretrained("fast").save(tmp_path / "mine.ageboost")
    ageboost.load(tmp_path / "mine.ageboost")
    assert f"xgboost {installed('xgboost')}" in (tmp_path / "mine.md").read_text("utf-8")


@pytest.mark.parametrize("regressor", ["xgboost", "catboost"])
def test_a_device_that_is_not_there_is_refused_before_any_photo_is_read(no_cuda, regressor):
    estimator = AgeEstimator(FaceFeatures(SMALL), regressor=regressor, device="cuda")
    with pytest.raises(DeviceError, match=r"nvidia-smi lists one, or pass device='cpu'"):
        estimator.fit(["missing.jpg"], [30])


def test_a_loaded_model_is_refused_a_device_that_is_not_there(no_cuda, portrait):
    model = ageboost.load_pretrained("fast").set_params(device="cuda")
    with pytest.raises(DeviceError, match="no CUDA device"):
        model.predict([portrait])


def test_a_network_of_its_own_is_refused_a_device_that_is_not_there(no_cuda, face):
    with pytest.raises(DeviceError, match="no CUDA device"):
        CNNActivations(levels=["descriptor"], device="cuda").transform([face])


def test_an_unknown_device_is_named(portrait):
    model = ageboost.load_pretrained("fast").set_params(device="tpu")
    with pytest.raises(ValueError, match=r"device='tpu': pass 'cpu' or 'cuda'"):
        model.predict([portrait])


def test_the_processor_can_be_asked_for_by_name(portrait, tmp_path):
    model = ageboost.load_pretrained("fast").set_params(cache=tmp_path)
    expected = model.predict([portrait])
    # The same rows of the cache, too.
    by_name = model.set_params(device="cpu")
    np.testing.assert_array_equal(by_name.predict([portrait]), expected)
    from sqlite3 import connect

    [[rows]] = connect(tmp_path / "features.sqlite").execute("SELECT count(*) FROM features")
    assert rows == 2


def test_the_device_of_the_training_stays_out_of_the_model_file(face_variants, tmp_path):
    photos, ages = face_variants
    estimator = AgeEstimator(FaceFeatures(SMALL), device="cpu", interval_folds=None)
    estimator.set_params(regressor__n_estimators=5).fit(photos, ages)
    estimator.save(tmp_path / "mine.ageboost")
    assert estimator.device == "cpu"
    assert ageboost.load(tmp_path / "mine.ageboost").device is None


@pytest.mark.parametrize("name", ["fast", "accurate"])
def test_ages_from_an_accelerator_are_those_of_the_processor(cuda, name, portrait):
    model = ageboost.load_pretrained(name)
    expected = model.predict([portrait])
    ages = model.set_params(device="cuda").predict([portrait])
    np.testing.assert_allclose(ages, expected, atol=0.05)


@pytest.mark.parametrize("regressor", ["xgboost", "catboost"])
def test_trees_from_an_accelerator_answer_on_the_processor(cuda, regressor, face_variants):
    photos, ages = face_variants
    estimator = AgeEstimator(
        FaceFeatures(SMALL), regressor=regressor, device="cuda", interval_folds=None
    )
    estimator.fit(photos, ages)
    near = np.abs(estimator.predict(photos) - ages).mean()
    assert near < np.abs(ages - ages.mean()).mean()
    assert estimator.regressor_.get_params().get("device") in (None, "cpu")
