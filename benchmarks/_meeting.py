"""What a model that was trained on one collection learns from photos of other sources."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from _data import TEST_FOLDS, read_data
from scipy.special import softmax

import ageboost
from ageboost.datasets import read_sources
from ageboost.faces import Quality
from ageboost.features import FaceFeatures, LandmarkGeometry
from ageboost.models import (
    AgeCalibrator,
    AgeEstimator,
    AgeRegressor,
    Looks,
    NewCameraCalibrator,
    SecondOpinion,
    ShrinkageCorrection,
)
from ageboost.models.model_terms import add_photo_terms
from ageboost.models.persistence import load_trained, pretrained_path

SEED = 0
# Photos of the collection from which it is learnt how such photos look.
N_FAMILIAR = 3000
# What a second opinion reads.
_TEXTURE, _ANSWER = "lbp", "mobilenet_age"


def taught_by(kept: AgeCalibrator, rows: npt.NDArray) -> AgeCalibrator:
    """Calibrate anew by some of the photos whose ages a calibrator keeps."""
    return copy.copy(kept).keep(kept.predictions_[rows], kept.ages_[rows], kept.scales_[rows])


def load_untaught(name: str, **settings: object) -> AgeEstimator:
    """Load a model that ships without what it learnt from other sources."""
    model = load_trained(pretrained_path(name)).set_params(**settings)
    model.photo_terms_ = []
    return model


@dataclass
class Elsewhere:
    """Photos of other sources that show a face.

    Attributes
    ----------
    table : DataFrame
        With a column ``family``: portraits of one parliament are one source.
    matrix : ndarray of shape (n_photos, n_features)
    qualities : list of Quality of length n_photos
    """

    table: pd.DataFrame
    matrix: npt.NDArray[np.float32]
    qualities: list[Quality]

    def part(self, rows: npt.NDArray[np.bool_]) -> Elsewhere:
        qualities = [quality for quality, taken in zip(self.qualities, rows, strict=True) if taken]
        return Elsewhere(self.table[rows].reset_index(drop=True), self.matrix[rows], qualities)

    def families(self) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
        family = self.table["family"].to_numpy()
        for name in dict.fromkeys(family):
            yield name, family == name


@dataclass
class Collection:
    """Photos of the collection that a model learnt from.

    Attributes
    ----------
    qualities : list of Quality of length n_familiar
        Of some of them, none of the folds that test.
    ages : ndarray of shape (n_familiar,)
        In years.
    familiar : ndarray of shape (n_familiar,) or None
        Where they stand among the photos whose out-of-fold ages the model keeps.
    opinions : ndarray of shape (n_kept, n_columns) or None
        What a second opinion reads of these.
    columns : ndarray of shape (n_columns,)
        Where that stands among the model's features.
    names : ndarray of str of shape (n_columns,)
    """

    qualities: list[Quality]
    ages: npt.NDArray
    familiar: npt.NDArray[np.intp] | None = None
    opinions: npt.NDArray[np.float32] | None = None
    columns: npt.NDArray[np.intp] | None = None
    names: npt.NDArray | None = None


def read_elsewhere_photos(model: AgeEstimator, folder: Path) -> Elsewhere:
    table = read_sources(folder)
    table["family"] = table["source"].str.partition("_")[0]
    matrix, rows, qualities = look(model.features_now(), table["photo"].tolist())
    return Elsewhere(table.iloc[rows].reset_index(drop=True), matrix, qualities)


def read_collection(model: AgeEstimator, folder: Path) -> Collection:
    table = read_data(folder)
    features = model.features_now()
    parts = {name: part for name, part in features.get_params().items() if "__" not in name}
    if _TEXTURE not in parts or _ANSWER not in parts:
        # No second opinion: it is enough to see some of the faces.
        some = table[~table["fold"].isin(TEST_FOLDS)]
        some = some.iloc[:: -(-len(some) // N_FAMILIAR)]
        features.transformers = [("geometry", LandmarkGeometry(n_landmarks=5))]
        _, rows, qualities = look(features, some["photo"].tolist())
        return Collection(qualities, some["age"].to_numpy()[rows])
    wide = features.get_feature_names_out().astype(str)
    features.transformers = [(name, parts[name]) for name in (_TEXTURE, _ANSWER)]
    names = features.get_feature_names_out().astype(str)
    matrix, rows, qualities = look(features, table["photo"].tolist())
    ages = table["age"].to_numpy()[rows]
    kept = match_kept(ages, answered_ages(matrix, names), model.calibration_)
    familiar = np.flatnonzero(~table["fold"].isin(TEST_FOLDS).to_numpy()[rows[kept]])
    familiar = familiar[:: -(-len(familiar) // N_FAMILIAR)]
    return Collection(
        [qualities[row] for row in kept[familiar]],
        ages[kept[familiar]],
        familiar,
        matrix[kept],
        np.flatnonzero(np.isin(wide, names)),
        names,
    )


def kept_photos(model: AgeEstimator, folder: Path) -> pd.DataFrame:
    """Read which photos of the collection a model keeps out-of-fold ages of, in their order."""
    table = read_data(folder)
    asked = ageboost.load_pretrained("accurate")
    asked.set_params(cache=model.cache, n_jobs=model.n_jobs)
    features = asked.features_now()
    features.transformers = [(_ANSWER, features.get_params()[_ANSWER])]
    matrix, rows, _ = look(features, table["photo"].tolist())
    answers = answered_ages(matrix, features.get_feature_names_out().astype(str))
    known = model.calibration_.known_
    kept = match_kept(table["age"].to_numpy()[rows], answers, known)
    return table.iloc[rows[kept]].reset_index(drop=True)


def look(
    features: FaceFeatures, photos: list[str]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp], list[Quality]]:
    """Compute features and qualities of the photos that show a face."""
    matrices, owners, qualities = [], [], []
    for batch in features.extract(photos):
        matrices.append(batch.matrix)
        owners += batch.owners
        qualities += batch.qualities
    return np.concatenate(matrices), np.array(owners, dtype=np.intp), qualities


def answered_ages(matrix: npt.NDArray, names: npt.NDArray) -> npt.NDArray[np.float64]:
    logits = matrix[:, np.char.startswith(names, f"{_ANSWER}__logits_")].astype(np.float64)
    shares = softmax(logits, axis=1)
    return shares @ np.arange(shares.shape[1])


def match_kept(
    ages: npt.NDArray, answers: npt.NDArray[np.float64], calibrator: AgeCalibrator
) -> npt.NDArray[np.intp]:
    """Find the photos whose ages the model keeps, in their order.

    Faces are found today in a few photos that showed none when the model was trained. Which ones
    these are among people of one age is where its predictions fit what a network answers best.
    """
    found = []
    for age in dict.fromkeys(ages):
        photos = np.flatnonzero(ages == age)
        predicted = calibrator.predictions_[calibrator.ages_ == age]
        n_more = len(photos) - len(predicted)
        if n_more < 0:
            raise SystemExit(f"{-n_more} photos of {age}-year-olds show no face any more")
        # costs[d]: of the best way to place what came so far, with d photos left out.
        costs, ways = np.zeros(n_more + 1), np.zeros((len(predicted), n_more + 1), int)
        for place, one in enumerate(predicted):
            ways[place] = [int(np.argmin(costs[: d + 1])) for d in range(n_more + 1)]
            costs = costs[ways[place]] + np.abs(answers[photos[place : place + n_more + 1]] - one)
        taken, d = np.empty(len(predicted), int), int(np.argmin(costs)) if len(predicted) else 0
        for place in reversed(range(len(predicted))):
            taken[place] = place + d
            d = ways[place, d]
        found.append(photos[taken])
    order = np.concatenate(found)
    # People of one age stand together, in the order in which the model keeps them.
    kept_ages = calibrator.ages_
    rows = np.empty(len(order), np.intp)
    for age in dict.fromkeys(ages):
        rows[kept_ages == age] = order[ages[order] == age]
    return rows


def meet(regressor: AgeRegressor, collection: Collection, elsewhere: Elsewhere) -> AgeRegressor:
    """Let a copy of a regressor learn what photos of other sources say of its ages.

    A second opinion where it has the features for it, ranges for a camera never met, from sources
    left out one by one, and what its own photos look like.
    """
    met = with_opinion(regressor, collection, elsewhere)
    known = met.calibration_
    predictions = predict_left_out(regressor, collection, elsewhere)
    years = np.floor(elsewhere.table["age"].to_numpy())
    met.calibration_ = NewCameraCalibrator(random_state=SEED).move(
        known, predictions, years, elsewhere.table["family"].to_numpy().astype(str)
    )
    texture, opinion = None, met.second_opinion_
    if opinion is not None:
        opinion = _among(opinion, np.searchsorted, collection.columns)
        texture = opinion.log_odds(collection.opinions[collection.familiar])
    met.looks_ = Looks().fit(collection.qualities, collection.ages, texture)
    sources = list(dict.fromkeys(elsewhere.table["source"]))
    met.photo_terms_ = add_photo_terms(met.photo_terms_, sources, False)
    return met


def predict_left_out(
    regressor: AgeRegressor,
    collection: Collection,
    elsewhere: Elsewhere,
    share: float = SecondOpinion().share,
) -> npt.NDArray[np.float64]:
    """Predict ages of each source with what is learnt from the others alone."""
    predictions = np.empty(len(elsewhere.table))
    for _, rows in elsewhere.families():
        without = with_opinion(regressor, collection, elsewhere.part(~rows), share)
        predictions[rows] = without.predict(elsewhere.matrix[rows])
    return predictions


def with_opinion(
    regressor: AgeRegressor,
    collection: Collection,
    elsewhere: Elsewhere,
    share: float = SecondOpinion().share,
) -> AgeRegressor:
    """Give a copy of a regressor a second opinion, ages that shrink less, and errors to match."""
    met = copy.copy(regressor)
    predictions = regressor.calibration_.predictions_.astype(float)
    if collection.opinions is not None and len(elsewhere.table):
        opinion = SecondOpinion(share=share, random_state=SEED)
        met.second_opinion_, predictions = _opinion(opinion, predictions, collection, elsewhere)
    met.shrinkage_ = ShrinkageCorrection().fit(predictions, regressor.calibration_.ages_)
    known = copy.copy(regressor.calibration_)
    met.calibration_ = known.keep(met.shrinkage_.correct(predictions), known.ages_, known.scales_)
    return met


def _opinion(
    opinion: SecondOpinion,
    predictions: npt.NDArray[np.float64],
    collection: Collection,
    elsewhere: Elsewhere,
) -> tuple[SecondOpinion, npt.NDArray[np.float64]]:
    """Learn a second opinion; return it and the ages of the collection that it revised."""
    familiar = collection.opinions[collection.familiar]
    small = opinion.fit(
        np.concatenate([familiar, elsewhere.matrix[:, collection.columns]]),
        [*[None] * len(familiar), *elsewhere.table["family"]],
        collection.names,
    )
    revised = small.revise(collection.opinions, predictions).clip(0)
    return _among(small, np.take, collection.columns), revised


def _among(opinion: SecondOpinion, place: Callable, columns: npt.NDArray) -> SecondOpinion:
    """Let an opinion find its columns among other ones."""
    moved = copy.copy(opinion)
    moved.texture_columns_ = place(columns, opinion.texture_columns_)
    moved.answer_columns_ = place(columns, opinion.answer_columns_)
    return moved
