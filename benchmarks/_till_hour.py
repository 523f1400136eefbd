"""A till's hour, made: people come, wait, stand at the till, cross, leave; the truth is exact."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import _page
import cv2
import numpy as np
import numpy.typing as npt

from ageboost.faces import FaceFinder
from ageboost.photos import load_photo
from ageboost.video import FaceTracker

SIZE = (1280, 720)
PER_SECOND = 8.0
# Where the buyer stands, and the first three of the queue behind; the face's side there, in pixels.
_TILL, _QUEUE = (520, 380, 190), [(820, 300, 125), (960, 280, 110), (1080, 265, 100)]
_DOOR, _EXIT = (1380, 260, 95), (-150, 400, 190)
# A photo of UTKFace is this much larger than the box of the face in it.
_CUT = 1.25


@dataclass
class Visitor:
    """One person: where the face is at which times, between which it moves evenly."""

    photo: npt.NDArray[np.uint8]
    times: list[float]
    places: list[tuple[float, float, float]]
    buyer: bool
    phase: float

    def place(self, time: float) -> tuple[float, float, float] | None:
        if not self.times[0] <= time <= self.times[-1]:
            return None
        x, y, side = (
            np.interp(time, self.times, values) for values in zip(*self.places, strict=True)
        )
        # Nobody stands still.
        sway = time + self.phase
        return x + 9 * np.sin(1.3 * sway), y + 5 * np.sin(1.9 * sway), side


def make_hour(photos: list[str], seconds: float, rng: np.random.Generator) -> list[Visitor]:
    """Let buyers come, some in company, queue, pay and leave; let others cross the picture."""
    pictures = iter(photos)
    visitors: list[Visitor] = []
    free_at = 2.0
    arrival = 1.0
    # When those who came before leave their place in the queue for the till.
    turns: list[float] = []

    def add(times, places, buyer):
        photo = load_photo(next(pictures)).pixels
        visitors.append(Visitor(photo, times, places, buyer, rng.uniform(0, 9)))

    while arrival < seconds - 40:
        if sum(turn > arrival for turn in turns) >= len(_QUEUE):
            # Who finds no place in the queue goes to another till.
            arrival = turns[-len(_QUEUE)] + rng.uniform(0.5, 2)
        stay = rng.uniform(12, 45)
        at_till = max(arrival + 3, free_at)
        leave = at_till + stay
        times, places = [arrival], [_DOOR]
        if at_till > arrival + 4:
            queue_times, queue_places = _wait(turns, arrival, at_till - 2)
            times += queue_times
            places += queue_places
        turns.append(at_till - 2)
        times += [at_till, leave, leave + 3.0]
        places += [_TILL, _TILL, _EXIT]
        add(times, places, True)
        if rng.random() < 0.2:
            # Company stands beside, and leaves a little before or behind.
            late = rng.uniform(0.3, 1.2)
            beside = (_TILL[0] - 260, _TILL[1] + rng.uniform(-40, 60), 165)
            add(
                [at_till - 2.2 + late, at_till + late, leave + late / 2, leave + 2.2],
                [(-150, 480, 165), beside, beside, (-150, 480, 165)],
                False,
            )
        free_at = leave + rng.uniform(1.0, 4.0)
        arrival = max(arrival + rng.exponential(38), arrival + 4)
    time = 5.0
    while time < seconds - 10:
        # Others pass before or behind the till, from one side to the other.
        time += rng.exponential(60)
        lasts, y, side = rng.uniform(3, 6), rng.uniform(150, 560), rng.uniform(100, 200)
        ends = [(-150, y, side), (1430, y, side)]
        if rng.random() < 0.5:
            ends.reverse()
        add([time, time + lasts], ends, False)
    return visitors


def _wait(turns: list[float], arrival: float, turn: float):
    """Stand behind those who wait, and move up as they go."""
    before = [one for one in turns if one > arrival + 2.5]
    times, places = [arrival + 2.5], [_QUEUE[len(before)]]
    for number, gone in enumerate(before):
        start = max(gone + 0.4, times[-1])
        times += [start, start + 1.2]
        places += [places[-1], _QUEUE[len(before) - number - 1]]
    end = max(turn, times[-1])
    return [*times, end], [*places, places[-1]]


def render(
    visitors: list[Visitor], seconds: float, rng: np.random.Generator
) -> Iterator[tuple[float, npt.NDArray[np.uint8], list[tuple[int, npt.NDArray[np.float64]]]]]:
    """Yield time, frame, and who is where: nearer (larger) faces hide those behind."""
    shop = cv2.resize(
        rng.integers(60, 150, (9, 16, 3)).astype(np.uint8), SIZE, interpolation=cv2.INTER_CUBIC
    )
    # Drawn once: to draw a million numbers for each frame would take longer than to look at it.
    grains = [_grain(rng) for _ in range(9)]
    for number in range(int(seconds * PER_SECOND)):
        time = number / PER_SECOND
        frame, truth = shop.copy(), []
        here = [(place, who) for who, one in enumerate(visitors) if (place := one.place(time))]
        for (x, y, side), who in sorted(here, key=lambda one: one[0][2]):
            _paste(frame, visitors[who].photo, x, y, side * _CUT)
            truth.append((who, np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])))
        yield time, cv2.add(frame, grains[rng.integers(len(grains))], dtype=cv2.CV_8U), truth


def _grain(rng: np.random.Generator) -> npt.NDArray[np.int16]:
    noise = rng.integers(-6, 7, (SIZE[1] // 4, SIZE[0] // 4, 1), dtype=np.int16)
    return np.repeat(noise, 3, axis=2).repeat(4, axis=0).repeat(4, axis=1)


def _paste(frame, photo, x: float, y: float, side: float) -> None:
    """Put a face into the frame, as an oval with soft edges."""
    scale = side / photo.shape[0]
    place = np.array([[scale, 0, x - side / 2], [0, scale, y - side / 2]], np.float32)
    x0, y0 = max(0, int(x - side / 2) - 1), max(0, int(y - side / 2) - 1)
    x1, y1 = min(SIZE[0], int(x + side / 2) + 2), min(SIZE[1], int(y + side / 2) + 2)
    if x0 >= x1 or y0 >= y1:
        return
    place[:, 2] -= (x0, y0)
    size = (x1 - x0, y1 - y0)
    mask = np.zeros(photo.shape[:2], np.float32)
    half = photo.shape[0] // 2
    cv2.ellipse(mask, (half, half), (int(0.94 * half), half - 1), 0, 0, 360, 1.0, -1)
    mask = cv2.warpAffine(cv2.GaussianBlur(mask, (0, 0), 3), place, size)[..., None]
    face = cv2.warpAffine(photo, place, size, flags=cv2.INTER_AREA)
    part = frame[y0:y1, x0:x1]
    part[:] = (mask * face + (1 - mask) * part).astype(np.uint8)


def try_hour(photos: list[str], minutes: float, seed: int = 0) -> list[str]:
    """Follow everybody through the first minutes of a made hour, and compare with the truth.

    Whoever is there at the end is not counted.
    """
    rng = np.random.default_rng(seed)
    seconds = minutes * 60
    visitors = make_hour(photos, 3600, rng)
    # Where faces are is all that is asked for, not how well they can be seen.
    tracker = FaceTracker(FaceFinder(landmarks=5, appearance=None))
    of_track: dict[int, Counter] = {}
    ended: list[tuple[int, bool]] = []
    seen_in: Counter = Counter()
    for time, frame, truth in render(visitors, seconds, rng):
        for sighting in tracker.update(frame, time):
            who = _whose(sighting.face.box, truth)
            of_track.setdefault(sighting.track, Counter())[who] += 1
            seen_in[who] += 1
        ended += tracker.pop_ended()
        if time % 300 == 0:
            print(
                f"{time / 60:.0f} minutes, {tracker.n_tracks} tracks", file=sys.stderr, flush=True
            )
    people = [track for track, was_person in ended if was_person]
    whose = {track: of_track[track].most_common(1)[0][0] for track in people}
    # Two or more sightings of somebody else: one may be a box between two faces.
    mixed = [
        track
        for track in people
        if sum(n for who, n in of_track[track].items() if who != whose[track] and who >= 0) > 1
    ]
    tracks_of = Counter(who for who in whose.values() if who >= 0)
    # A track ends some seconds after its person has left.
    gone = [who for who, one in enumerate(visitors) if one.times[-1] < seconds - 2]
    buyers = [who for who in gone if visitors[who].buyer]
    n_tracks = Counter(min(tracks_of[who], 3) for who in buyers)
    rows = [
        ["minutes, frames a second", f"{minutes:g}, {PER_SECOND:g}"],
        ["buyers; others", f"{len(buyers)}; {len(gone) - len(buyers)}"],
        ["buyers with exactly one track", f"{n_tracks[1]} ({n_tracks[1] / len(buyers):.1%})"],
        ["with none; two; more", f"{n_tracks[0]}; {n_tracks[2]}; {n_tracks[3]}"],
        ["tracks", f"{len(people)}"],
        ["that mix two people", f"{len(mixed)} ({len(mixed) / len(people):.1%})"],
        ["that are of nobody", f"{sum(who < 0 for who in whose.values())}"],
    ]
    return [_page.table(["a till's hour", ""], rows)]


def _whose(box, truth: list[tuple[int, npt.NDArray[np.float64]]]) -> int:
    """Whose face a box shows: the nearest to the camera of those that it fits; -1 if none."""
    centre = np.array([box.left + box.right, box.top + box.bottom]) / 2
    fits = []
    for who, true in truth:
        side = true[2] - true[0]
        away = np.abs(centre - (true[:2] + true[2:]) / 2).max() / side
        if away < 0.4:
            fits.append((away, who))
    return min(fits)[1] if fits else -1
