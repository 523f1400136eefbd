"""Rules that make one age of several frames, compared on the same frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
from _track_records import ClipRecord

from ageboost import AgeEstimator
from ageboost.evaluation import bootstrap_interval
from ageboost.video.combination import TrackErrors, combine_ages
from ageboost.video.person import BestFrames, Measured

N_BEST = 8
# What is shown begins when so many frames were measured, as `check` waits for them.
N_SHOWN = 3


@dataclass
class Frames:
    """What single frames of one person say, and what they say with their mirror images."""

    age: float
    times: npt.NDArray[np.float64]
    ages: npt.NDArray[np.float64]
    both_ages: npt.NDArray[np.float64]
    both_scales: npt.NDArray[np.float64]
    inside: npt.NDArray[np.bool_]
    qualities: list


def frames_of(record: ClipRecord, model: AgeEstimator) -> Frames | None:
    """Ask a model about the longest track of a clip; None if no face was found."""
    if not len(record.times):
        return None
    own = record.tracks == np.bincount(record.tracks).argmax()
    plain = model.age_regressor_.predict_distribution(record.matrix[own])
    mirrored = model.age_regressor_.predict_distribution(record.mirrored[own])
    low, high = plain.interval(0.9).T
    return Frames(
        record.age,
        record.times[own],
        plain.ages,
        (plain.ages + mirrored.ages) / 2,
        (plain.scales + mirrored.scales) / 2,
        (low <= record.age) & (record.age <= high),
        [quality for quality, mine in zip(record.qualities, own, strict=True) if mine],
    )


def chosen(frames: Frames, least: float | None, upto: float = np.inf) -> list[Measured]:
    """Choose frames as a person's track does, as if the clip ended at a time."""
    return _play(frames, least, upto)[-1]


def _play(frames: Frames, least: float | None, upto: float = np.inf) -> list[list[Measured]]:
    """Play a clip; give the frames that are used after each sighting, and at the end."""
    best = BestFrames(N_BEST)
    played = []

    def keep(due):
        if due is None:
            return
        seconds, face = due
        i = face.place
        best.keep(
            Measured(
                seconds,
                frames.both_ages[i],
                frames.both_scales[i],
                frames.qualities[i].overall,
                None,
                frames.qualities[i].defect,
            )
        )

    for i, seconds in enumerate(frames.times):
        if seconds > upto:
            break
        keep(best.offer(SimpleNamespace(quality=frames.qualities[i], place=i), seconds))
        played.append(_used(best, least))
    keep(best.take())
    return [*played, _used(best, least)]


def _used(best: BestFrames, least: float | None) -> list[Measured]:
    good = [one for one in best.kept if not one.defect and (least is None or one.quality >= least)]
    return good or list(best.kept)


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
    least = model.quality_threshold_
    best = [int(np.argmax([q.overall for q in clip.qualities])) for clip in clips]
    true = np.array([clip.age for clip in clips])
    first = np.array([clip.ages[0] for clip in clips])
    sharpest = np.array([clip.ages[place] for clip, place in zip(clips, best, strict=True)])
    mean = np.array([clip.ages.mean() for clip in clips])
    ours = np.array([combined(chosen(clip, least))[0] for clip in clips])
    random = np.array([np.abs(clip.ages - clip.age).mean() for clip in clips])
    return {
        "a random frame": random,
        "the first": np.abs(first - true),
        "the best by quality": np.abs(sharpest - true),
        "the mean of all": np.abs(mean - true),
        "**ours**": np.abs(ours - true),
    }


def accuracy_rows(errors: dict[str, npt.NDArray]) -> list[list[str]]:
    """Write the MAE of each rule with its interval, over people, and against a random frame."""
    random = errors["a random frame"]
    rows = []
    for rule, one in errors.items():
        low, high = bootstrap_interval(one)
        ratio = one.mean() / random.mean() - 1
        rows.append([rule, f"{one.mean():.2f}", f"{low:.2f}-{high:.2f}", f"{ratio:+.1%}"])
    return rows


def paired_difference(errors: dict[str, npt.NDArray], rival: str) -> tuple[float, float, float]:
    """How much larger our error is than a rival's, with its interval over people."""
    difference = errors["**ours**"] - errors[rival]
    low, high = bootstrap_interval(difference)
    return float(difference.mean()), low, high


def coverage_by_count(
    clips: list[Frames], model: AgeEstimator, errors: TrackErrors | None = None
) -> list[tuple[int, float, float]]:
    """Number of frames used, share of true ages inside 90 % ranges, mean width of these."""
    rows = []
    true = np.array([clip.age for clip in clips])
    used = [chosen(clip, model.quality_threshold_) for clip in clips]
    for n in (1, 2, 3, 5, N_BEST):
        ages, scales = np.array([combined(one[:n], errors) for one in used]).T
        low, high = model.calibration_.distribution(ages, scales).interval(0.9).T
        inside = (low <= true) & (true <= high)
        rows.append((n, float(inside.mean()), float((high - low).mean())))
    return rows


def learn_errors(clips: list[Frames], model: AgeEstimator) -> TrackErrors:
    """Learn how ranges shrink with the number of frames, so that 90 % hold for every number."""
    plain = TrackErrors(shared=1.0, factor=1.0)
    inverse, squares = [], []
    true = np.array([clip.age for clip in clips])
    all_used = [chosen(clip, model.quality_threshold_) for clip in clips]
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
        print(f"{n} frames: ranges {np.sqrt(squares[-1]):.3f} times as wide hold 90 %", flush=True)
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
        played = [
            combined(used)[0]
            for used in _play(clip, model.quality_threshold_)
            if len(used) >= N_SHOWN
        ]
        if len(played) > 1:
            single.append(clip.ages.std())
            shown.append(np.std(played))
    return float(np.mean(single)), float(np.mean(shown))
