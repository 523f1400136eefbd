"""Ages corrected for a camera of one's own, from few photos: as much as they bear out, no more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from ageboost._age_bands import OLDEST
from ageboost.models._age_map import AgeMap, make_rising, read_map
from ageboost.models.shrinkage import ShrinkageCorrection

__all__ = ["MIN_PHOTOS_TO_ADAPT", "AgeCorrection", "correct_ages", "learn_correction"]

MIN_PHOTOS_TO_ADAPT = 25
_FOLDS = 5
_REPEATS = 4
_ROUNDS = 10
# Years by which ages may be off together, and years within which they are off alike. Those that
# change least come first, and win where more is not clearly better.
_STRENGTHS = (1.0, 2.0, 4.0, 8.0)
_LENGTHS = (np.inf, 40.0, 20.0, 10.0)
# Standard errors by which a correction must be better than none.
_CLEARLY = 1.5
# An error of less than half a year is as good as none.
_SMALL_ERROR = 0.5


class AgeCorrection(AgeMap):
    """A monotone correction of predicted ages, drawn towards no change.

    Errors at one camera are taken for a smooth function of the predicted age that is zero before
    anything is known: a Gaussian process, fitted to absolute errors, so that single wrong labels
    count for little. How large it may be and how quickly it may vary is chosen by cross-validation
    in which nobody both teaches and tests; where no correction is clearly better than none, there
    is none. Corrected ages rise with predicted ages.

    Parameters
    ----------
    random_state : int or None, default=0
        Of the folds.

    Attributes
    ----------
    corrections_ : ndarray of shape (121,), float32
        Years added at the predicted ages 0 to 120.
    strength_ : float
        Years by which ages were allowed to be off; 0 where nothing is corrected.
    length_ : float
        Years within which corrections are alike.
    errors_ : ndarray of shape (n_photos,), float32
        True less corrected ages, each by a correction that was learnt from other people.
    seen_ : ndarray of shape (2,), float32
        Smallest and largest predicted age that it was learnt from.
    n_photos_ : int
    replaces_shrinkage_ : bool
        Whether it corrects ages that were not drawn away from the middle before: see
        :class:`ShrinkageCorrection`.

    References
    ----------
    C. Rasmussen and C. Williams, "Gaussian Processes for Machine Learning", 2006.
    L. Breiman et al., "Classification and Regression Trees", 1984, for the rule of one standard
    error.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models import AgeCorrection
    >>> rng = np.random.default_rng(0)
    >>> ages = rng.uniform(18, 70, 100)
    >>> estimated = ages + rng.normal(4, 3, 100)
    >>> correction = AgeCorrection().fit(estimated, ages)
    >>> bool(abs(correction.correct([30.0])[0] - 26) < 1.5)
    True

    Printed, it says what it does:

    >>> print(correction)
    moves ages by up to ... years
    """

    # Of models that earlier releases adapted.
    seen_: Sequence[float] | npt.NDArray[np.float32] = (0.0, OLDEST)
    replaces_shrinkage_ = False

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(
        self,
        predictions: npt.ArrayLike,
        ages: npt.ArrayLike,
        scales: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
    ) -> AgeCorrection:
        """Learn from photos that the model had not seen.

        Parameters
        ----------
        predictions : array-like of shape (n_photos,)
            Years.
        ages : array-like of shape (n_photos,)
            True ages in years.
        scales : array-like of shape (n_photos,), optional
            Errors that are expected, in years. By default all alike.
        groups : array-like of shape (n_photos,), optional
            Who is in each photo. By default everybody is in one.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are fewer than 25 photos, or photos of fewer than 5 people.
        """
        estimated = np.asarray(predictions, dtype=np.float64)
        errors = np.asarray(ages, dtype=np.float64) - estimated
        noise = np.ones(len(estimated)) if scales is None else np.asarray(scales, dtype=np.float64)
        people = np.arange(len(estimated)) if groups is None else np.asarray(groups, dtype=object)
        people = np.unique(people.astype(str), return_inverse=True)[1]
        n_people = people.max(initial=-1) + 1
        if len(estimated) < MIN_PHOTOS_TO_ADAPT or n_people < _FOLDS:
            raise ValueError(
                f"{len(estimated)} photos of {n_people} people are too few to adapt to: give "
                f"{MIN_PHOTOS_TO_ADAPT} photos or, better, a hundred, of {_FOLDS} people or more"
            )
        # Noise is known up to a factor, which is that of this camera.
        noise = noise * np.median(np.abs(errors - np.median(errors)) / noise) * 1.4826
        noise = np.maximum(noise, _SMALL_ERROR)
        left = self._errors_left(estimated, errors, noise, people)
        self.strength_, self.length_ = _choose(left, people)
        self.errors_ = left[self.strength_, self.length_].mean(axis=0).astype(np.float32)
        self.corrections_ = _corrections(
            estimated, errors, noise, self.strength_, self.length_
        ).astype(np.float32)
        self.seen_ = np.array([estimated.min(), estimated.max()], dtype=np.float32)
        self.n_photos_ = len(estimated)
        return self

    def __str__(self) -> str:
        # Unlike `repr`, which shows parameters as scikit-learn does.
        if not hasattr(self, "corrections_"):
            return repr(self)
        if self.strength_ == 0:
            return "none, as no correction was better in cross-validation"
        # Beyond the photos' ages a correction runs on, and may be large without meaning anything.
        low, high = self.seen_
        ages = np.arange(np.floor(low), np.ceil(high) + 1)
        return f"moves ages by up to {np.abs(read_map(self.corrections_, ages)).max():.1f} years"

    def _errors_left(
        self,
        estimated: npt.NDArray,
        errors: npt.NDArray,
        noise: npt.NDArray,
        people: npt.NDArray,
    ) -> dict[tuple[float, float], npt.NDArray[np.float64]]:
        """Errors that each correction leaves to people that it was not learnt from."""
        candidates = [(0.0, np.inf), *((s, x) for s in _STRENGTHS for x in _LENGTHS)]
        left = {candidate: np.empty((_REPEATS, len(estimated))) for candidate in candidates}
        rng = np.random.default_rng(self.random_state)
        for repeat in range(_REPEATS):
            folds = GroupKFold(_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
            for train, test in folds.split(estimated, groups=people):
                for strength, length in candidates:
                    learnt = _corrections(
                        estimated[train], errors[train], noise[train], strength, length
                    )
                    left[strength, length][repeat, test] = errors[test] - read_map(
                        learnt, estimated[test]
                    )
        return left


def learn_correction(
    plain: npt.NDArray[np.float64],
    shrinkage: ShrinkageCorrection | None,
    ages: npt.NDArray[np.float64],
    scales: npt.NDArray[np.float64],
    people: npt.NDArray | None,
) -> AgeCorrection:
    """Learn what to correct at a camera, after what is drawn away from the middle or in its place.

    What draws ages apart was learnt from other photos, and a correction from here need not begin
    with it: at sources left out, those that did not ended 0.05 to 0.2 years better.

    Parameters
    ----------
    plain : ndarray of shape (n_photos,)
        Predicted ages, before they are drawn away from the middle.
    shrinkage : ShrinkageCorrection, optional
    ages, scales, people : ndarray of shape (n_photos,)
        As for :meth:`AgeCorrection.fit`.

    Returns
    -------
    AgeCorrection
    """
    correction = AgeCorrection().fit(plain, ages, scales, people)
    if shrinkage is None:
        return correction
    drawn = shrinkage.correct(plain)
    better = np.abs(correction.errors_).mean() < np.abs(ages - drawn).mean()
    if correction.strength_ > 0 and better:
        correction.replaces_shrinkage_ = True
        return correction
    return AgeCorrection().fit(drawn, ages, scales, people)


def correct_ages(
    plain: npt.NDArray[np.float64],
    shrinkage: ShrinkageCorrection | None,
    correction: AgeCorrection | None,
) -> npt.NDArray[np.float64]:
    """Correct predicted ages by what a model has learnt of them.

    Parameters
    ----------
    plain : ndarray of shape (n_faces,)
        Years.
    shrinkage : ShrinkageCorrection, optional
    correction : AgeCorrection, optional

    Returns
    -------
    ndarray of shape (n_faces,)
        Years.
    """
    if shrinkage is not None and not (correction is not None and correction.replaces_shrinkage_):
        plain = shrinkage.correct(plain)
    return plain if correction is None else correction.correct(plain)


def _choose(
    left: dict[tuple[float, float], npt.NDArray[np.float64]], people: npt.NDArray
) -> tuple[float, float]:
    """Take the least correction that is as good as the best, and none if that is no better."""
    counts = np.bincount(people)

    def gains(candidate: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
        """How much less it is off than the other, and the standard error of that."""
        gain = (np.abs(left[other]) - np.abs(left[candidate])).mean(axis=0)
        by_person = np.bincount(people, gain - gain.mean())
        error = np.sqrt((by_person**2).sum() * len(counts) / max(len(counts) - 1, 1)) / len(gain)
        return float(gain.mean()), float(error)

    none, *others = left
    best = min(others, key=lambda candidate: np.abs(left[candidate]).mean())
    gain, error = gains(best, none)
    if gain <= _CLEARLY * error:
        return none
    for candidate in others:
        lost, doubt = gains(best, candidate)
        gain, error = gains(candidate, none)
        if lost <= doubt / 2 and gain > _CLEARLY * error:
            return candidate
    return best


def _corrections(
    estimated: npt.NDArray, errors: npt.NDArray, noise: npt.NDArray, strength: float, length: float
) -> npt.NDArray[np.float64]:
    """Years to add at the ages 0 to 120, so that ages still rise."""
    if strength == 0:
        return np.zeros(OLDEST + 1)
    waves = strength * _waves(length)
    rows = np.column_stack([read_map(wave, estimated) for wave in waves.T])
    weights = np.zeros(waves.shape[1])
    for _ in range(_ROUNDS):
        # Squares, with other weights each time, become absolute errors, but for small ones.
        left = np.abs(errors - rows @ weights)
        weighted = rows.T / (noise * np.maximum(left, noise / 4))
        weights = np.linalg.solve(weighted @ rows + np.eye(len(weights)), weighted @ errors)
    return make_rising(waves @ weights)


@lru_cache(maxsize=len(_LENGTHS))
def _waves(length: float) -> npt.NDArray[np.float64]:
    """Shapes whose sums, with normal weights, are the process: smooth over this many years."""
    grid = np.arange(OLDEST + 1.0)
    if np.isinf(length):
        return np.ones((len(grid), 1))
    values, vectors = np.linalg.eigh(np.exp(-((grid[:, None] - grid) ** 2) / (2 * length**2)))
    kept = values > 1e-4 * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])
