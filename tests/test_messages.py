"""Messages are short enough to be read, and all that is wrong can still be asked for."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ageboost import LabelsError, PhotosError, UnreadablePhotoError
from ageboost.models import AgeCalibrator, make_regressor, search_space
from ageboost.models.regressors import REGRESSORS


@pytest.fixture(scope="module")
def model_to_ask():
    rng = np.random.default_rng(0)
    ages = rng.uniform(5, 80, 50)
    calibrator = AgeCalibrator(random_state=0).fit(np.zeros((50, 1)), ages, ages + 1)
    return calibrator.predict(np.zeros((2, 1)), np.array([20.0, 40.0]))


texts = st.lists(st.text(max_size=400), min_size=1, max_size=200)


@given(texts)
def test_no_list_of_failures_is_longer_than_500_characters(names):
    failures = [(i, UnreadablePhotoError(name)) for i, name in enumerate(names)]
    error = PhotosError(failures, len(names))
    assert len(str(error)) <= 500
    assert len(error.failures) == len(names)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    labels = LabelsError("labels.csv", [(i, name) for i, name in enumerate(names)])
    assert len(str(labels)) <= 500
    assert len(labels.problems) == len(names)


def test_what_has_no_room_is_counted():
    failures = [(i, UnreadablePhotoError(f"photo {i}: no such file")) for i in range(100)]
    text = str(PhotosError(failures, 200))
    assert text.startswith("100 of 200 photos give no age")
    n_named = text.count("no such file")
    assert n_named > 5
    assert text.endswith(f"and {100 - n_named} more: see error.failures")
    few = str(PhotosError(failures[:3], 200))
    assert few.count("no such file") == 3
    assert "more" not in few


def test_a_name_that_is_not_known_is_answered_by_all_that_are():
    from ageboost import AgeEstimator
    from ageboost.features import FaceFeatures
    from ageboost.features.extraction import FEATURE_SETS

    for make, names in (
        (lambda: make_regressor("blah"), REGRESSORS),
        (lambda: AgeEstimator(regressor="blah").fit([], []), REGRESSORS),
        (lambda: AgeEstimator("blah").fit([], []), FEATURE_SETS),
        (lambda: AgeEstimator(reduction="blah").fit([], []), ("kernel", "pca")),
        (lambda: FaceFeatures("blah").fit([]), FEATURE_SETS),
        (lambda: search_space("blah"), ("xgboost", "catboost", "blend")),
    ):
        with pytest.raises(ValueError, match="blah") as caught:
            make()
        assert all(repr(name) in str(caught.value) for name in names)


def test_no_wrong_value_makes_a_message_long(model_to_ask):
    from ageboost import AgeEstimator
    from ageboost.features import CNNActivations, FaceFeatures, Network
    from ageboost.features.known_networks import get_network

    long = "x" * 100_000
    many = [float(i) for i in range(100_000)]
    for make in (
        lambda: make_regressor(long),
        lambda: AgeEstimator(regressor=long).fit([], []),
        lambda: AgeEstimator(long).fit([], []),
        lambda: AgeEstimator(many).fit([], []),
        lambda: AgeEstimator(reduction=long).fit([], []),
        lambda: FaceFeatures(long).fit([]),
        lambda: get_network(long),
        lambda: Network("mine", b"", 112, long),
        lambda: CNNActivations(levels=long)._levels(),
        lambda: search_space(long),
        lambda: model_to_ask.quantiles(many),
        lambda: model_to_ask.interval(2.0),
        lambda: AgeEstimator().fit([long] * 1000, [long] * 1000),
    ):
        with pytest.raises(ValueError, match=r"x|pass") as caught:
            make()
        assert len(str(caught.value)) <= 500
