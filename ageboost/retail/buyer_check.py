"""One buyer at the till: sell, ask for a card, or cannot tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._notebook import show_table
from ageboost.features import ExtractedBatch
from ageboost.models import AgeDistribution, AgeEstimator, load_pretrained
from ageboost.models.calibration import calibration_of
from ageboost.retail._till_ages import over_at_till
from ageboost.retail.policy import AlcoholPolicy
from ageboost.video.person import PersonTrack

__all__ = ["Answer", "check", "check_each"]

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
    status : {"ok", "no face", "unreadable", "too large"}
        What is wrong with the photo, in the words of ``AgeEstimator.analyze``.
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
    status: str = "ok"

    def __str__(self) -> str:
        return f"{self.answer}: {self.reason}"

    def _repr_html_(self) -> str:
        facts = {name: value for name, value in asdict(self).items() if value is not None}
        del facts["answer"], facts["reason"], facts["status"]
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
    [answer] = check_each([photo], policy, model, age_weights)
    return answer


def check_each(
    photos: Iterable[object],
    policy: AlcoholPolicy,
    model: AgeEstimator | None = None,
    age_weights: pd.Series | None = None,
) -> list[Answer]:
    """Do what :func:`check` does for several photos, in less time than one by one.

    Parameters
    ----------
    photos : sequence of length n_photos
        Paths, bytes, open binary files, PIL images or arrays.
    policy : AlcoholPolicy
    model : AgeEstimator, optional
        As for :func:`check`.
    age_weights : Series, optional
        As for :func:`check`.

    Returns
    -------
    list of Answer of length n_photos
        Each is the very answer that :func:`check` gives.

    Raises
    ------
    ValueError
        As for :func:`check`.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.retail import AlcoholPolicy, check_each
    >>> [answer.answer for answer in check_each([astronaut(), b"no photo"], AlcoholPolicy())]
    ['sell', 'cannot tell']
    """
    model = _default_model() if model is None else model
    answers: list[Answer] = []
    for batch in model.extract(photos, all_faces=True):
        answers += _check_batch(batch, len(answers), policy, model, age_weights)
    return answers


def _check_batch(
    batch: ExtractedBatch,
    first: int,
    policy: AlcoholPolicy,
    model: AgeEstimator,
    age_weights: pd.Series | None,
) -> list[Answer]:
    """Answer for some consecutive photos, of which the first has this position."""
    least = model.quality_threshold_ or 0.0
    answers: dict[int, Answer] = {}
    for position, error in batch.failures:
        answers[position] = Answer(
            "cannot tell",
            f"{error}; look at the buyer, and ask if in doubt",
            status=error.status,
        )
    faces_of: dict[int, list[int]] = {}
    for row, owner in enumerate(batch.owners):
        faces_of.setdefault(owner, []).append(row)
    usable = []
    for position, rows in faces_of.items():
        reliable = [row for row in rows if batch.qualities[row].is_reliable(least)]
        usable += reliable
        if not reliable:
            why = batch.qualities[rows[0]].explain(least)
            answers[position] = Answer(
                "cannot tell",
                f"the face cannot be seen well ({why}): look at the buyer, and ask if in doubt",
                faces=len(rows),
            )
    if usable:
        for row, answer in _youngest(batch, usable, policy, model, age_weights):
            n_faces = len(faces_of[batch.owners[row]])
            reason = answer.reason
            if n_faces > 1:
                reason += f"; of {n_faces} faces, this is the one that looks youngest"
            answers[batch.owners[row]] = replace(answer, reason=reason, faces=n_faces)
    return [answers[position] for position in range(first, first + batch.n_photos)]


def _youngest(
    batch: ExtractedBatch,
    usable: list[int],
    policy: AlcoholPolicy,
    model: AgeEstimator,
    age_weights: pd.Series | None,
) -> Iterator[tuple[int, Answer]]:
    """Answer for the face of each photo that looks youngest of those that can be relied on."""
    distribution = model.age_regressor_.predict_distribution(batch.matrix[usable])
    over = _over(distribution, policy, model, age_weights)
    ranges = distribution.interval(0.9)
    # By the rule of the policy: who would be asked first.
    order = distribution.ages if policy.certainty is None else over[:, 0]
    chosen: dict[int, int] = {}
    for place, row in enumerate(usable):
        owner = batch.owners[row]
        if owner not in chosen or order[place] < order[chosen[owner]]:
            chosen[owner] = place
    places = list(chosen.values())
    scores = _familiarity(model, batch, [usable[place] for place in places])
    for place, score in zip(places, scores, strict=True):
        age, (low, high) = float(distribution.ages[place]), ranges[place]
        under_legal, under_challenge = 1 - over[place]
        answer = str(policy.required([age], [under_legal])[0])
        yield (
            usable[place],
            Answer(
                answer,
                _reason(answer, policy, age, (low, high), 1 - under_legal),
                1,
                age,
                float(low),
                float(high),
                float(under_legal),
                float(under_challenge),
                score,
            ),
        )


def _familiarity(
    model: AgeEstimator, batch: ExtractedBatch, rows: list[int]
) -> list[float] | list[None]:
    looks = model.looks_
    if looks is None:
        return [None] * len(rows)
    qualities = [batch.qualities[row] for row in rows]
    return looks.scores(qualities, model.age_regressor_.texture(batch.matrix[rows])).tolist()


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
        return Answer("cannot tell", "the face has not been seen for long enough yet")
    if person.reliable is False:
        return Answer(
            "cannot tell",
            f"the face cannot be seen well ({person.reason}): look at the buyer, and ask if in "
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
        answer, reason = "cannot tell", "the face has not been seen for long enough yet"
    return Answer(
        answer, reason, 1, age, float(low), float(high), float(under_legal), float(under_challenge)
    )


def _reason(
    answer: str, policy: AlcoholPolicy, age: float, span: tuple[float, float], adult: float
) -> str:
    looks = f"looks about {age:.0f} (90 % range: {span[0]:.0f} to {span[1]:.0f} years)"
    if policy.certainty is not None:
        side = "below" if answer == "ask" else "not below"
        return (
            f"{looks}; {policy.legal_age:g} or older with a probability of {adult:.1%}, {side} the "
            f"{policy.certainty:.1%} that the policy requires"
        )
    side = "younger" if answer == "ask" else "not younger"
    return f"{looks}, {side} than the challenge age of {policy.challenge_age:g}"


@lru_cache(maxsize=1)
def _default_model() -> AgeEstimator:
    return load_pretrained("fast")
