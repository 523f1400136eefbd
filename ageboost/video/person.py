"""One person in a video: the frames that show the face best, and one age from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ageboost.faces import Box, Face, Quality
from ageboost.models.distribution import AgeDistribution
from ageboost.models.estimator import AgeEstimator
from ageboost.video.combination import TrackErrors, combine_ages

__all__ = ["COLUMNS", "BestFrames", "Measured", "PersonTrack", "people_table"]

COLUMNS = {
    "track": "Int64",
    "start": "float64",
    "end": "float64",
    "n_frames": "Int64",
    "n_used": "Int64",
    "left": "float64",
    "top": "float64",
    "width": "float64",
    "height": "float64",
    "age": "float64",
    "age_low": "float64",
    "age_high": "float64",
    "p_under_18": "float64",
    "scale": "float64",
    "quality": "float64",
    "reliable": "boolean",
    "status": "str",
    "message": "str",
}
# So long, in seconds, the best of some frames is waited for before it is measured.
_SHORTEST_SLOT = 0.2


@dataclass(frozen=True)
class Measured:
    """What one frame says of a person.

    Attributes
    ----------
    time : float
        Seconds, of its frame.
    age, scale : float
        Years: estimated age, and how large an error to expect.
    seen : Quality
        How well the face could be seen.
    box : Box
        Where the face was.
    """

    time: float
    age: float
    scale: float
    seen: Quality
    box: Box

    @property
    def quality(self) -> float:
        """How well the face could be seen, from 0 to 1."""
        return self.seen.overall

    @property
    def rank(self) -> tuple[bool, float]:
        """More is better: any face as usual comes before every one with a defect."""
        return not self.seen.defect, self.quality


class BestFrames:
    """Chooses which frames of a person are measured, and keeps what the best of them say.

    Time goes in slots, and of each slot the best face is measured. Slots grow with the time that
    the person has been there, so that few faces are measured however long that is. Of what was
    measured, as much is kept as is asked for: the best, but none that is close in time to a better
    one while others are apart. A face with a defect, such as one that is covered, is kept only as
    long as there is nothing better.

    Parameters
    ----------
    n_kept : int
    """

    def __init__(self, n_kept: int):
        self.n_kept = n_kept
        self.kept: list[Measured] = []
        self._best: tuple[tuple[bool, float, float], float, Face] | None = None
        self._slot: float | None = None
        self._first: float | None = None

    def offer(self, face: Face, seconds: float) -> tuple[float, Face] | None:
        """Take notice of a face; give one back that is to be measured now, with its time."""
        if self._first is None or self._slot is None:
            self._first = self._slot = seconds
        due = None
        if seconds >= self._slot + max(_SHORTEST_SLOT, (self._slot - self._first) / self.n_kept):
            due, self._slot = self.take(), seconds
        quality = face.quality
        rank = (not quality.defect, quality.overall, -abs(quality.yaw))
        if self._best is None or rank > self._best[0]:
            self._best = rank, seconds, face
        return due

    def take(self) -> tuple[float, Face] | None:
        """Give the best face of the slot that has begun, with its time."""
        best, self._best = self._best, None
        return None if best is None else best[1:]

    def keep(self, measured: Measured) -> None:
        """Keep what a face says, if it is one of the best."""
        self.kept.append(measured)
        if len(self.kept) > self.n_kept:
            self.kept.pop(self._least_useful())

    def _least_useful(self) -> int:
        defective = [one for one in self.kept if one.seen.defect]
        if defective:
            return self.kept.index(min(defective, key=lambda one: one.quality))
        times = np.array([one.time for one in self.kept])
        away = np.abs(times[:, None] - times)
        np.fill_diagonal(away, np.inf)
        usual = max(np.ptp(times) / len(times), 1e-9)
        near = np.minimum(away.min(axis=1) / usual, 1)
        return int(np.argmin([one.quality for one in self.kept] * (0.5 + 0.5 * near)))


@dataclass
class PersonTrack:
    """One person in a video, from the first frame to the last.

    Attributes
    ----------
    number : int
        From 0.
    start, end : float
        Seconds of the first and the last frame that show the face.
    n_frames : int
        How many frames show it.
    box : Box
        Where it is, or was last.
    """

    number: int
    start: float
    end: float
    box: Box
    model: AgeEstimator
    best: BestFrames
    errors: TrackErrors | None = None
    n_frames: int = 0

    @property
    def used(self) -> list[Measured]:
        """The frames that the age comes from: those that can be relied on, if there are any.

        If there are none, those without a defect; and if all have one, all.
        """
        kept = self.best.kept
        return self._good() or [one for one in kept if not one.seen.defect] or kept

    @property
    def n_used(self) -> int:
        """How many frames the age comes from."""
        return len(self.used)

    @property
    def quality(self) -> float:
        """How well the face could be seen, from 0 to 1: the median of the frames that are used."""
        return float(np.median([one.quality for one in self.used])) if self.used else math.nan

    @property
    def reliable(self) -> bool | None:
        """Whether the age can be relied on; None if the model does not know that."""
        knows = self.model.quality_threshold_ is not None
        if self._good():
            return True if knows else None
        return False if knows or self.used else None

    @property
    def reason(self) -> str:
        """What is amiss with the best frame, if the age cannot be relied on; or else empty."""
        if not self.used:
            return "the face was never seen apart from another"
        best = max(self.used, key=lambda one: one.rank)
        return best.seen.explain(self.model.quality_threshold_ or 0.0)

    @property
    def age(self) -> float:
        """Years; NaN as long as no frame was measured."""
        return self._estimate()[0]

    @property
    def scale(self) -> float:
        """How large an error to expect of the age, in years."""
        return self._estimate()[1]

    @property
    def distribution(self) -> AgeDistribution:
        """All that is believed about the age, from the frames so far; of one person."""
        from ageboost.models.calibration import calibration_of

        age, scale = self._estimate()
        return calibration_of(self.model).distribution(np.array([age]), np.array([scale]))

    def _good(self) -> list[Measured]:
        least = self.model.quality_threshold_
        return [
            one
            for one in self.best.kept
            if not one.seen.defect and (least is None or one.quality >= least)
        ]

    def _estimate(self) -> tuple[float, float]:
        used = self.used
        if not used:
            return math.nan, math.nan
        return combine_ages(
            [one.age for one in used],
            [one.scale for one in used],
            [one.quality for one in used],
            self.errors,
        )


def people_table(people: list[PersonTrack], coverage: float) -> pd.DataFrame:
    """Make a table with a row for each person.

    Parameters
    ----------
    people : list of PersonTrack of length n_people
    coverage : float
        Share of true ages that should lie between ``age_low`` and ``age_high``.

    Returns
    -------
    DataFrame
        See :func:`ageboost.video.analyze_video`.
    """
    rows = [_row(person, coverage) for person in people]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _row(person: PersonTrack, coverage: float) -> tuple[object, ...]:
    used = person.used
    box = max(used, key=lambda one: one.rank).box if used else person.box
    low = high = under = math.nan
    if used and person.model.calibration_ is not None:
        distribution = person.distribution
        [[low, high]] = distribution.interval(coverage)
        under = 1 - float(distribution.over(18)[0])
    return (
        *(person.number, person.start, person.end, person.n_frames, person.n_used),
        *(box.left, box.top, box.right - box.left, box.bottom - box.top),
        *(person.age, low, high, under),
        *(person.scale if person.model.calibration_ is not None else math.nan, person.quality),
        pd.NA if person.reliable is None else person.reliable,
        *("ok" if used else "no age", person.reason),
    )
