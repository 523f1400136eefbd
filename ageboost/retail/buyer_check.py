"""One buyer at the till: sell, ask for a card, or cannot tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._notebook import show_table
from ageboost.errors import PhotoError
from ageboost.faces import Quality
from ageboost.models import AgeDistribution, AgeEstimator, load_pretrained
from ageboost.models.calibration import calibration_of
from ageboost.retail._till_ages import over_at_till
from ageboost.retail.policy import AlcoholPolicy
from ageboost.video.person import PersonTrack

__all__ = ["Answer", "check"]

# With fewer frames of a video, nobody is waved through yet.
_FEWEST_FRAMES = 3


@dataclass(frozen=True)
class Answer:
    """What to do about one buyer, and why. It is advice to a cashier, who sees the person.

    Attributes
    ----------
    answer : {"sell", "ask", "cannot tell"}
        The cashier decides when no age can be estimated, and asks if in doubt.
    reason : str
        In plain words.
    faces : int
        How many faces the photo shows.
    age, age_low, age_high : float
        Years of the face that the answer is about, and the range that holds the true age nine times
        in ten; None where there is none, so that ``dataclasses.asdict(answer)`` is JSON.
    under_legal, under_challenge : float
        Probabilities of being under the legal and under the challenge age; None without an age.
    familiarity : float
        The share of photos that the model knows which look at least as unusual as this one: where
        it is near 0 for buyer after buyer, adapt the model to the camera. None if it is not known.
    """

    answer: str
    reason: str
    faces: int = 0
    age: float | None = None
    age_low: float | None = None
    age_high: float | None = None
    under_legal: float | None = None
    under_challenge: float | None = None
    familiarity: float | None = None

    def __str__(self) -> str:
        return f"{self.answer}: {self.reason}"

    def _repr_html_(self) -> str:
        facts = {name: value for name, value in asdict(self).items() if value is not None}
        del facts["answer"], facts["reason"]
        return show_table(f"{self.answer}\n{self.reason}", pd.DataFrame([facts]))


def check(
    photo: object | PersonTrack,
    policy: AlcoholPolicy,
    model: AgeEstimator | None = None,
    age_weights: pd.Series | None = None,
) -> Answer:
    """Advise a cashier whether to sell, or to ask for a card.

    A person in a video can be checked in the place of a photo, as often as one likes while that
    person stands there: "ask" is said from the first frame that can be relied on, "sell" not before
    three of them agree to it.

    It never raises for a photo. With several faces, the answer is about the one that looks youngest
    of those that can be relied on: the shop does not know who of them pays, and to ask once too
    often does little harm.

    Parameters
    ----------
    photo : path, bytes, open binary file, PIL image, array or PersonTrack
        Of :func:`ageboost.video.watch_video`, for a person in a video.
    policy : AlcoholPolicy
    model : AgeEstimator, optional
        By default the model ``"fast"``, loaded at the first call and kept. A person in a video has
        the model that looks at the video.
    age_weights : Series, optional
        For each age in whole years (the index), how many people of that age come to the till, as
        for :func:`choose_challenge_age`. Probabilities come true among them; by default they do
        where people are as old as those that the model was calibrated with, of whom many are small
        children, and few are 16 or 17.

    Returns
    -------
    Answer

    Raises
    ------
    ValueError
        If the model does not know how far its ages are off, or ``age_weights`` has nobody under the
        legal or under the challenge age, or nobody else.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.retail import AlcoholPolicy, check
    >>> answer = check(astronaut(), AlcoholPolicy())
    >>> answer.answer
    'sell'
    >>> print(check(b"no photo", AlcoholPolicy()).answer)
    cannot tell
    """
    if isinstance(photo, PersonTrack):
        return _check_person(photo, policy, age_weights)
    model = _default_model() if model is None else model
    failures: list[PhotoError] = []
    batches = []
    for batch in model.extract([photo], all_faces=True):
        failures += [error for _, error in batch.failures]
        batches.append(batch)
    matrix = np.concatenate([batch.matrix for batch in batches])
    if not len(matrix):
        what = str(failures[0]) if failures else "no face in the photo"
        return Answer("cannot tell", f"{what}, so look at the buyer, and ask if in doubt")
    least = model.quality_threshold_ or 0.0
    qualities = [one for batch in batches for one in batch.qualities]
    reliable = np.array([one.is_reliable(least) for one in qualities])
    if not reliable.any():
        why = qualities[0].explain(least)
        return Answer(
            "cannot tell",
            f"the face is seen too badly ({why}), so look at the buyer, and ask if in doubt",
            faces=len(matrix),
        )
    distribution = model.age_regressor_.predict_distribution(matrix)
    over = _over(distribution, policy, model, age_weights)
    low, high = distribution.interval(0.9).T
    # By the rule of the policy: who would be asked first.
    order = distribution.ages if policy.certainty is None else over[:, 0]
    face = int(np.argmin(np.where(reliable, order, np.inf)))
    age, (under_legal, under_challenge) = float(distribution.ages[face]), 1 - over[face]
    answer = str(policy.required([age], [under_legal])[0])
    reason = _reason(answer, policy, age, (low[face], high[face]), 1 - under_legal)
    if len(matrix) > 1:
        reason += f"; of {len(matrix)} faces, this is the one that looks youngest"
    return Answer(
        answer,
        reason,
        len(matrix),
        age,
        float(low[face]),
        float(high[face]),
        float(under_legal),
        float(under_challenge),
        _familiarity(model, matrix[[face]], qualities[face]),
    )


def _familiarity(
    model: AgeEstimator, matrix: npt.NDArray[np.float32], quality: Quality
) -> float | None:
    looks = model.looks_
    if looks is None:
        return None
    [score] = looks.scores([quality], model.age_regressor_.texture(matrix))
    return float(score)


def _over(
    distribution: AgeDistribution,
    policy: AlcoholPolicy,
    model: AgeEstimator,
    age_weights: pd.Series | None,
) -> npt.NDArray[np.float64]:
    """Probabilities of being of legal and of challenge age."""
    ages = [policy.legal_age, policy.challenge_age]
    if age_weights is None:
        return distribution.over(ages)
    return over_at_till(distribution, calibration_of(model), ages, age_weights)


def _check_person(
    person: PersonTrack, policy: AlcoholPolicy, age_weights: pd.Series | None
) -> Answer:
    if not person.used:
        return Answer("cannot tell", "the face was not seen for long enough yet")
    if person.reliable is False:
        return Answer(
            "cannot tell",
            f"the face is seen too badly ({person.reason}), so look at the buyer, and ask if in "
            f"doubt",
            faces=1,
        )
    distribution = person.distribution
    [over] = _over(distribution, policy, person.model, age_weights)
    [[low, high]] = distribution.interval(0.9)
    age, (under_legal, under_challenge) = person.age, (1 - over).tolist()
    answer = str(policy.required([age], [under_legal])[0])
    reason = _reason(answer, policy, age, (low, high), 1 - under_legal)
    if answer == "sell" and person.n_used < _FEWEST_FRAMES:
        answer, reason = "cannot tell", "the face was not seen for long enough yet"
    return Answer(
        answer, reason, 1, age, float(low), float(high), float(under_legal), float(under_challenge)
    )


def _reason(
    answer: str, policy: AlcoholPolicy, age: float, span: tuple[float, float], adult: float
) -> str:
    looks = f"looks about {age:.0f} (most such people are {span[0]:.0f} to {span[1]:.0f})"
    if policy.certainty is not None:
        side = "below" if answer == "ask" else "not below"
        return (
            f"{looks}; {policy.legal_age:g} or older with a probability of {adult:.1%}, {side} the "
            f"{policy.certainty:.1%} that the policy asks for"
        )
    side = "younger" if answer == "ask" else "not younger"
    return f"{looks}, {side} than the challenge age of {policy.challenge_age:g}"


@lru_cache(maxsize=1)
def _default_model() -> AgeEstimator:
    return load_pretrained("fast")
