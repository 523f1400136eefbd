"""Rules that make one age of several frames, compared on the same frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
from _track_records import ClipRecord

from ageboost import AgeEstimator
from ageboost.evaluation import people_interval, share_interval
from ageboost.faces import Box
from ageboost.video.combination import TrackErrors, combine_ages
from ageboost.video.person import BestFrames, Measured, PersonTrack

N_BEST = 8
# What is shown begins when so many frames were measured, as `check` waits for them.
N_SHOWN = 3
_NOWHERE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass
class Frames:
    """What single frames of one person say, and what they say with their mirror images."""

    age: float
    person: str
    times: npt.NDArray[np.float64]
    ages: npt.NDArray[np.float64]
    both_ages: npt.NDArray[np.float64]
    both_scales: npt.NDArray[np.float64]
    inside: npt.NDArray[np.bool_]
    widths: npt.NDArray[np.float64]
    qualities: list


def frames_of(record: ClipRecord, person: str, model: AgeEstimator) -> Frames | None:
    """Ask a model about the longest track of a clip; None if no face was found."""
    if not len(record.times):
        return None
    own = record.tracks == np.bincount(record.tracks).argmax()
    plain = model.age_regressor_.predict_distribution(record.matrix[own])
    mirrored = model.age_regressor_.predict_distribution(record.mirrored[own])
    low, high = plain.interval(0.9).T
    return Frames(
        record.age,
        person,
        record.times[own],
        plain.ages,
        (plain.ages + mirrored.ages) / 2,
        (plain.scales + mirrored.scales) / 2,
        (low <= record.age) & (record.age <= high),
        high - low,
        [quality for quality, mine in zip(record.qualities, own, strict=True) if mine],
    )


def chosen(frames: Frames, model: AgeEstimator) -> list[Measured]:
    """Choose frames as a person's track does."""
    return _play(frames, model)[-1]


def _play(frames: Frames, model: AgeEstimator) -> list[list[Measured]]:
    """Play a clip; give the frames that are used after each sighting, and at the end."""
    best = BestFrames(N_BEST)
    person = PersonTrack(0, frames.times[0], frames.times[-1], _NOWHERE, model, best)
    played = []

    def keep(due):
        if due is None:
            return
        seconds, face = due
        i = face.place
        best.keep(
            Measured(
                seconds, frames.both_ages[i], frames.both_scales[i], frames.qualities[i], _NOWHERE
            )
        )

    for i, seconds in enumerate(frames.times):
        keep(best.offer(SimpleNamespace(quality=frames.qualities[i], place=i), seconds))
        played.append(list(person.used))
    keep(best.take())
    return [*played, list(person.used)]


def combined(used: Sequence[Measured], errors: TrackErrors | None = None) -> tuple[float, float]:
    """Combine as a person's track does."""
    return combine_ages(
        [one.age for one in used],
        [one.scale for one in used],
        [one.quality for one in used],
        errors,
    )


def errors_by_rule(clips: list[Frames], model: AgeEstimator) -> dict[str, npt.NDArray]:
    """Absolute errors of each clip, by rule; of a random frame, their mean over all frames."""
    best = [int(np.argmax([q.overall for q in clip.qualities])) for clip in clips]
    true = np.array([clip.age for clip in clips])
    first = np.array([clip.ages[0] for clip in clips])
    sharpest = np.array([clip.ages[place] for clip, place in zip(clips, best, strict=True)])
    mean = np.array([clip.ages.mean() for clip in clips])
    ours = np.array([combined(chosen(clip, model))[0] for clip in clips])
    random = np.array([np.abs(clip.ages - clip.age).mean() for clip in clips])
    return {
        "a random frame": random,
        "the first": np.abs(first - true),
        "the best by quality": np.abs(sharpest - true),
        "the mean of all": np.abs(mean - true),
        "**ours**": np.abs(ours - true),
    }


def accuracy_rows(clips: list[Frames], errors: dict[str, npt.NDArray]) -> list[list[str]]:
    """Write the MAE of each rule with its interval, over people, and ours less that of the rule."""
    people = [clip.person for clip in clips]
    ours, random = errors["**ours**"], errors["a random frame"]
    rows = []
    for rule, one in errors.items():
        low, high = people_interval(one, people)
        ratio = one.mean() / random.mean() - 1
        row = [rule, f"{one.mean():.2f}", f"{low:.2f}-{high:.2f}", f"{ratio:+.1%}"]
        if rule != "**ours**":
            less = ours - one
            low, high = people_interval(less, people)
            row.append(f"{less.mean():+.2f} ({low:+.2f} to {high:+.2f})")
        rows.append([*row, ""][:5])
    return rows


def coverage_rows(clips: list[Frames], model: AgeEstimator) -> list[list[str]]:
    """Write how many true ages are inside 90 % ranges, by the number of frames that are used.

    Constants that widen ranges are learnt from other clips than those that they are judged on: from
    four fifths of them, five times.
    """
    fifth = np.arange(len(clips)) % 5
    learnt = [
        learn_errors([clip for clip, one in zip(clips, fifth, strict=True) if one != part], model)
        for part in range(5)
    ]
    print("learnt from four fifths:", *learnt, sep="\n", flush=True)
    true = np.array([clip.age for clip in clips])
    used = [chosen(clip, model) for clip in clips]
    whose = [learnt[part] for part in fifth]
    single = np.concatenate([clip.inside for clip in clips])
    widths = np.concatenate([clip.widths for clip in clips])
    rows = [["each frame by itself", f"{single.mean():.1%}", f"{widths.mean():.1f}"]]
    for n in (1, 2, 3, 5, N_BEST):
        ages, scales = np.array(
            [combined(one[:n], errors) for one, errors in zip(used, whose, strict=True)]
        ).T
        low, high = model.calibration_.distribution(ages, scales).interval(0.9).T
        inside = (low <= true) & (true <= high)
        few, many = share_interval(int(inside.sum()), len(inside))
        share = f"{inside.mean():.1%} ({few:.1%} to {many:.1%})"
        rows.append([f"ours, of {n} at most", share, f"{(high - low).mean():.1f}"])
    return rows


def learn_errors(clips: list[Frames], model: AgeEstimator) -> TrackErrors:
    """Learn how ranges shrink with the number of frames, so that 90 % hold for every number."""
    plain = TrackErrors(shared=1.0, factor=1.0)
    inverse, squares = [], []
    true = np.array([clip.age for clip in clips])
    all_used = [chosen(clip, model) for clip in clips]
    for n in range(1, N_BEST + 1):
        ages, scales = np.array([combined(used[:n], plain) for used in all_used]).T
        low, high = model.calibration_.distribution(ages, scales).quantiles([0.05, 0.95]).T
        off = true - ages
        needed = np.where(
            off > 0, off / np.maximum(high - ages, 0.1), off / np.minimum(low - ages, -0.1)
        )
        equal = []
        for used in all_used:
            weights = np.array([max(one.quality, 0.05) / one.scale**2 for one in used[:n]])
            equal.append((weights**2).sum() / weights.sum() ** 2)
        inverse.append(np.mean(equal))
        squares.append(np.quantile(needed, 0.9) ** 2)
    slope, level = np.polyfit(inverse, squares, 1)
    slope = max(slope, 0.0)
    total = level + slope
    return TrackErrors(
        shared=round(float(level / total), 3), factor=round(float(np.sqrt(total)), 3)
    )


def jitter(clips: list[Frames], model: AgeEstimator) -> tuple[float, float]:
    """Mean standard deviation over time, of single frames and of what is shown."""
    single, shown = [], []
    for clip in clips:
        played = [combined(used)[0] for used in _play(clip, model) if len(used) >= N_SHOWN]
        if len(played) > 1:
            single.append(clip.ages.std())
            shown.append(np.std(played))
    return float(np.mean(single)), float(np.mean(shown))
