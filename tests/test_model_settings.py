"""Whatever looks at photos with a model does so on its device, and with its cache."""

import pandas as pd
import pytest

import ageboost
from ageboost import DeviceError, retail
from ageboost._device import count_cuda_devices
from ageboost.evaluation import explain, feature_importance, make_report

RECEIPTS = pd.DataFrame({"receipt_id": ["a"]})


def buyers(model, photo, **options):
    photos = pd.DataFrame({"photo": [photo], "receipt_id": ["a"]})
    return retail.estimate_buyers(photos, RECEIPTS, model, **options)


def report(model, photo):
    pytest.importorskip("jinja2")
    return make_report(pd.DataFrame({"photo": [photo], "age": [41]}), model)


LOOKS = {
    "extract": lambda model, photo: list(model.extract([photo])),
    "predict": lambda model, photo: model.predict([photo]),
    "analyze": lambda model, photo: model.analyze([photo]),
    "check": lambda model, photo: retail.check(photo, retail.AlcoholPolicy(), model),
    "estimate_buyers": buyers,
    "make_report": report,
    "explain": explain,
    "feature_importance": lambda model, photo: feature_importance(model, [photo]),
}
KEEPS = [name for name in LOOKS if name not in ("explain", "feature_importance")]


@pytest.fixture
def model():
    return ageboost.load_pretrained("fast")


@pytest.mark.parametrize("name", LOOKS)
def test_a_device_that_is_not_there_is_asked_for_and_missed(model, portrait, name):
    if count_cuda_devices():
        pytest.skip("there is a CUDA device")
    with pytest.raises(DeviceError, match="no CUDA device can be used here"):
        LOOKS[name](model.set_params(device="cuda"), portrait)


@pytest.mark.parametrize("name", KEEPS)
def test_features_are_kept_in_the_cache_of_the_model(model, portrait, name, tmp_path):
    LOOKS[name](model.set_params(cache=tmp_path / "kept"), portrait)
    assert (tmp_path / "kept" / "features.sqlite").exists()


def test_a_cache_of_one_call_takes_the_place_of_the_models(model, portrait, tmp_path):
    model.set_params(cache=tmp_path / "model")
    list(model.extract([portrait], cache=tmp_path / "call"))
    buyers(model, portrait, cache=tmp_path / "call")
    assert [path.name for path in tmp_path.iterdir()] == ["call"]
    assert model.cache == tmp_path / "model"
