"""Another network's answer, trusted where a photo looks foreign."""

import copy

import numpy as np
import pytest

import ageboost
from ageboost.evaluation.explanation.contributions import feature_contributions
from ageboost.features import LBP, CNNActivations, FaceFeatures
from ageboost.models import SecondOpinion

N_TEXTURE, N_YEARS = 12, 100
NAMES = [f"lbp__row{i}" for i in range(N_TEXTURE)]
NAMES += [f"mobilenet_age__logits_channel{i}" for i in range(N_YEARS)]


def faces(n_faces, shift, answer, seed):
    rng = np.random.default_rng(seed)
    logits = np.full((n_faces, N_YEARS), -20.0)
    logits[:, answer] = 20
    return np.hstack([rng.normal(shift, 1, (n_faces, N_TEXTURE)), logits]).astype(np.float32)


@pytest.fixture(scope="module")
def opinion():
    matrix = np.vstack([faces(300, 0, 20, 0), faces(100, 3, 20, 1)])
    return SecondOpinion().fit(matrix, [None] * 300 + ["till"] * 100, NAMES)


def test_familiar_photos_keep_their_ages_and_foreign_ones_move_towards_the_answer(opinion):
    ages = np.full(50, 30.0)
    familiar = opinion.revise(faces(50, 0, 20, 2), ages)
    foreign = opinion.revise(faces(50, 3, 20, 3), ages)
    assert np.median(familiar) > 27
    # So much of the way is as far as it goes.
    assert 30 - 10 * opinion.share <= foreign.min() <= np.median(foreign) < 24


def test_a_photo_is_as_foreign_alone_as_among_others(opinion):
    matrix = faces(37, 1, 20, 4)
    together = opinion.foreign(matrix)
    alone = [opinion.foreign(matrix[[row]])[0] for row in range(37)]
    np.testing.assert_array_equal(together, alone)


def test_photos_of_one_kind_or_features_without_texture_are_an_error():
    with pytest.raises(ValueError, match="of the collection and of other sources"):
        SecondOpinion().fit(faces(30, 0, 20, 0), [None] * 30, NAMES)
    with pytest.raises(ValueError, match="needs the features 'lbp' and 'mobilenet_age'"):
        SecondOpinion().fit(faces(30, 0, 20, 0), [None] * 30, ["x"] * len(NAMES))


@pytest.fixture(scope="module")
def with_opinion(face_variants):
    features = FaceFeatures(
        [("lbp", LBP()), ("mobilenet_age", CNNActivations("mobilenet-age", levels=("logits",)))]
    )
    model = ageboost.AgeEstimator(features, reduction="pca", random_state=0)
    model.set_params(regressor__n_estimators=10)
    matrix = features.transform(face_variants[0])
    model.fit_features(matrix, face_variants[1])
    before = model.age_regressor_.predict(matrix)
    sources = [None] * 15 + ["till"] * 15
    model.second_opinion_ = SecondOpinion().fit(matrix, sources, features.get_feature_names_out())
    return model, matrix, before


def test_a_model_with_a_second_opinion_is_the_same_after_saving(with_opinion, tmp_path):
    model, matrix, before = with_opinion
    after = model.age_regressor_.predict(matrix)
    assert np.abs(after - before).max() > 1
    np.testing.assert_array_equal(model.age_regressor_.predict_distribution(matrix).ages, after)
    model.save(tmp_path / "mine.ageboost")
    loaded = ageboost.load(tmp_path / "mine.ageboost")
    np.testing.assert_allclose(loaded.age_regressor_.predict(matrix), after, atol=1e-3)


def test_reasons_add_up_to_the_revised_age_and_a_new_fit_has_no_second_opinion(
    with_opinion, face_variants
):
    model, matrix, _ = with_opinion
    years, base = feature_contributions(model, matrix[:3])
    np.testing.assert_allclose(
        base + years.sum(axis=1), model.age_regressor_.predict(matrix[:3]), atol=0.1
    )
    assert copy.copy(model).fit_features(matrix, face_variants[1]).second_opinion_ is None
