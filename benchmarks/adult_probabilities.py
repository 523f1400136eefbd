"""Whether another calibration says more truly how probable it is that somebody is 18 or older.

`accurate` keeps ages of photos that it had not seen. Each pair of folds among 0 to 5 is judged by
what the other four teach; beside it stands how far probabilities would seem to be off that are
exactly right. Folds 6 and 7 are looked at for what ships, and for the one attempt that did best on
the others. Run it from the root of the repository:

    python benchmarks/adult_probabilities.py --data UTKFACE --cache FOLDER --out docs/elsewhere.md

Two networks are asked for every photo once: without a cache that takes twenty minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import _one_thread  # noqa: F401
import _page
import numpy as np
import numpy.typing as npt
from _data import TEST_FOLDS, add_data_arguments, photo_digests
from _meeting import SEED, kept_photos, look, taught_by
from scipy.special import expit, logit, softmax
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

import ageboost
from ageboost.evaluation import calibration_error
from ageboost.features import CNNActivations
from ageboost.models import AgeCalibrator, AgeEstimator
from ageboost.models._venn_abers import venn_abers

LEGAL_AGE, UNSURE = 18, 0.02
PAIRS = ((0, 1), (2, 3), (4, 5))
KNOTS = np.array([2.0, 8, 12, 15, 18, 21, 24, 28, 34, 45])[:, None]
CUTS = (16, 18, 22)
SUREST = 1e-4
N_DRAWS = 200
SHIPS, LOOKED_AT = "what ships", "mean of what ships and splines"

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Attempt = Callable[[Rows, Rows], Floats]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--out", type=Path, help="page whose table is filled in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = ageboost.load_pretrained("accurate").set_params(
            cache=options.cache or scratch, n_jobs=options.jobs
        )
        photos = kept_photos(model, options.data)
        answers = network_answers(model, photos["photo"].tolist())
    alone = ~photo_digests(photos).duplicated(keep=False).to_numpy()
    attempts = _Attempts(
        model.calibration_.known_, photos["fold"].to_numpy(), describe_answers(answers)
    )
    table = judge(attempts, alone)
    print(table)
    if options.out:
        _page.put_tables(options.out, [table])


def network_answers(model: AgeEstimator, photos: list[str]) -> list[Floats]:
    """Ask both networks that have not seen these photos for a probability of each year."""
    features = model.features_now()
    networks = {"dlib_age": "dlib-age", "mobilenet_age": "mobilenet-age"}
    features.transformers = [(name, CNNActivations(networks[name])) for name in networks]
    names = features.get_feature_names_out().astype(str)
    matrix, _, _ = look(features, photos)
    shares, logits = (
        matrix[:, np.char.startswith(names, start)].astype(np.float64)
        for start in ("dlib_age__shares", "mobilenet_age__logits")
    )
    return [shares / shares.sum(axis=1, keepdims=True), softmax(logits, axis=1)]


def describe_answers(answers: list[Floats]) -> Floats:
    """Log odds of being younger than three ages, and the expected age, by each network."""
    columns = []
    for shares in answers:
        younger = np.column_stack([shares[:, :cut].sum(axis=1) for cut in CUTS])
        columns += [logit(younger.clip(SUREST, 1 - SUREST)), shares @ np.arange(shares.shape[1])]
    return np.column_stack(columns)


class _Attempts:
    """Ways to learn the probability from some photos, and to say it of others."""

    def __init__(self, kept: AgeCalibrator, folds: npt.NDArray, answers: Floats):
        self.kept, self.folds, self.answers = kept, folds, answers
        self.predictions = kept.predictions_.astype(np.float64)
        self.scales = kept.scales_.astype(np.float64)
        self.adult = kept.ages_ >= LEGAL_AGE

    def by_name(self) -> dict[str, Attempt]:
        return {
            SHIPS: self.shipped,
            "splines of age and expected error, logistic": self.splines,
            LOOKED_AT: self.mean_of(self.shipped, self.splines),
            "splines, and what two networks answer by themselves": self.with_answers,
            "mean of what ships and these": self.mean_of(self.shipped, self.with_answers),
            "Venn-Abers of these": self.put_right,
            "boosted trees of the same": self.trees,
        }

    def shipped(self, taught: Rows, asked: Rows) -> Floats:
        learnt = taught_by(self.kept, taught)
        return learnt.distribution(self.predictions[asked], self.scales[asked]).over(LEGAL_AGE)

    def splines(self, taught: Rows, asked: Rows) -> Floats:
        return self._logistic(self._columns(), taught, asked)

    def with_answers(self, taught: Rows, asked: Rows) -> Floats:
        return self._logistic(np.column_stack([self._columns(), self.answers]), taught, asked)

    def put_right(self, taught: Rows, asked: Rows) -> Floats:
        scores = np.empty(len(taught))
        for fold in np.unique(self.folds[taught]):
            held = self.folds[taught] == fold
            scores[held] = self.with_answers(taught[~held], taught[held])
        return np.interp(self.with_answers(taught, asked), *venn_abers(scores, self.adult[taught]))

    def trees(self, taught: Rows, asked: Rows) -> Floats:
        columns = np.column_stack([self.predictions, np.log(self.scales), self.answers])
        trees = HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=120,
            max_leaf_nodes=8,
            min_samples_leaf=60,
            l2_regularization=5,
            monotonic_cst=[1] + [0] * (columns.shape[1] - 1),
            random_state=SEED,
        ).fit(columns[taught], self.adult[taught])
        return trees.predict_proba(columns[asked])[:, 1]

    @staticmethod
    def mean_of(*attempts: Attempt) -> Attempt:
        def say(taught: Rows, asked: Rows) -> Floats:
            said = [one(taught, asked).clip(1e-6, 1 - 1e-6) for one in attempts]
            return expit(np.mean([logit(one) for one in said], axis=0))

        return say

    def _columns(self) -> Floats:
        bent = SplineTransformer(knots=KNOTS, extrapolation="linear").fit_transform(
            self.predictions[:, None].clip(KNOTS[0], KNOTS[-1])
        )
        older, size = self.predictions - LEGAL_AGE, np.log(self.scales)
        ratio = (older / self.scales.clip(0.5)).clip(-8, 8)
        return np.column_stack([bent, size, size * older.clip(-15, 15), ratio])

    def _logistic(self, columns: Floats, taught: Rows, asked: Rows) -> Floats:
        line = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        line.fit(columns[taught], self.adult[taught])
        return line.predict_proba(columns[asked])[:, 1]


def judge(attempts: _Attempts, alone: npt.NDArray[np.bool_]) -> str:
    """Write how far each attempt is off, as a table."""
    folds, adult = attempts.folds, attempts.adult
    tested = np.isin(folds, TEST_FOLDS)
    rng = np.random.default_rng(SEED)
    rows = []
    for name, attempt in attempts.by_name().items():
        said, cells = np.full(len(folds), np.nan), [name]
        for pair in PAIRS:
            held = np.isin(folds, pair)
            said[held] = attempt(np.flatnonzero(~tested & ~held), np.flatnonzero(held))
            cells.append(f"{points(adult[held & alone], said[held & alone]):.1f}")
        use = ~tested & alone
        chance = [points(rng.random(use.sum()) < said[use], said[use]) for _ in range(N_DRAWS)]
        cells.append(f"{points(adult[use], said[use]):.1f} ({np.mean(chance):.1f})")
        cells.append(f"{1000 * log_loss(adult[use], said[use]):.1f}")
        last = np.flatnonzero(tested & alone)
        looked_at = name in (SHIPS, LOOKED_AT)
        found = points(adult[last], attempt(np.flatnonzero(~tested), last)) if looked_at else None
        rows.append([*cells, "" if found is None else f"{found:.1f}"])
    header = ["probability of being 18 or older", *("folds {}, {}".format(*one) for one in PAIRS)]
    return _page.table([*header, "all six (by chance)", "loss", "folds 6, 7"], rows)


def points(adult: npt.NDArray[np.bool_], said: Floats) -> float:
    """The expected calibration error of what is not sure, in points."""
    return 100 * calibration_error(adult, said, sure=UNSURE)


if __name__ == "__main__":
    main()
