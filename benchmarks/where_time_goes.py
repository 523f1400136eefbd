"""Where the time of a photo goes, from file to age: milliseconds by step, with their sum.

Each step counts what it takes itself, without the steps inside it, in processor time of one thread:
photos in batches, as `predict` and `analyze` take them, and one at a time. Run it from the root of
the repository:

    python benchmarks/where_time_goes.py --data UTKFACE --models fast accurate
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import _one_thread  # noqa: F401
import cv2
from _data import add_data_arguments, read_data
from _page import put_tables, table
from _processor import describe_processor

import ageboost
from ageboost.faces import (
    _appearance,
    _dlib_search,
    _network_search,
    detection,
    landmarks,
)
from ageboost.features import FaceTransformer, Network, cnn
from ageboost.models import AgeRegressor, GroupedPCA, KernelScores, age_regressor

# What is measured, by the name under which it is called, and what the table calls it.
STEPS = [
    (detection, "load_photo", "read the file"),
    (_dlib_search, "detect_main", "find the main face"),
    (_dlib_search, "detect_filling", "find it, further looks"),
    (_dlib_search, "detect", "find it, further looks"),
    (_dlib_search, "find_with_cnn", "find it, further looks"),
    (_network_search, "shrink", "find faces"),
    (_network_search, "look", "find faces"),
    (_network_search, "find_among", "find faces"),
    (landmarks.ShapePredictor, "predict", "landmarks"),
    (detection, "place_face", "surroundings and quality"),
    (detection, "measure_sharpness", "sharpness"),
    (detection, "measure_appearance", "appearance"),
    (_appearance, "_chip", "chip for appearance"),
    (cnn, "cut_out", "chips for networks"),
    (Network, "prepare", "networks: chips to numbers"),
    (GroupedPCA, "transform_checked", "components"),
    (KernelScores, "transform_checked", "kernels"),
    (age_regressor, "predict_rows", "trees and lines"),
    (AgeRegressor, "predict", "checks of the matrix"),
]
REST, WHOLE = "between steps", "**whole**"
ROUNDS = 3


class Stopwatch:
    """Adds up what each step takes without those inside it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inside = [0.0]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.thread_time()
        self._inside.append(0.0)
        try:
            yield
        finally:
            passed = time.thread_time() - start
            self.seconds[name] += passed - self._inside.pop()
            self._inside[-1] += passed

    def watched(self, function: Callable, name: Callable[..., str]) -> Callable:
        def call(*args, **kwargs):
            with self.step(name(*args)):
                return function(*args, **kwargs)

        return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, default=128, help="how many photos (default: 128)")
    parser.add_argument("--models", nargs="+", default=["fast", "accurate"])
    parser.add_argument("--out", type=Path, help="Markdown page whose tables are to be replaced")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(describe_processor(), flush=True)
    photos = read_data(options.data)["photo"].sample(options.photos, random_state=0).tolist()
    tables = []
    for name in options.models:
        model = ageboost.load_pretrained(name).set_params(n_jobs=1)
        model.predict(photos)
        many = measure(lambda model=model: model.predict(photos), len(photos))
        alone = measure(
            lambda model=model: [model.predict([photo]) for photo in photos], len(photos)
        )
        steps = sorted({*many, *alone} - {REST, WHOLE}, key=lambda step: -many.get(step, 0))
        rows = [
            [step, f"{many.get(step, 0):.2f}", f"{alone.get(step, 0):.2f}"]
            for step in [*steps, REST, WHOLE]
        ]
        tables.append(table([f"{name}, ms per photo", "in batches of 32", "one at a time"], rows))
        print(f"\n{tables[-1]}", flush=True)
    if options.out:
        put_tables(options.out, tables)


def measure(program: Callable[[], object], n_photos: int) -> dict[str, float]:
    """Take the quickest of some rounds, in milliseconds for each photo."""
    rounds = []
    for _ in range(ROUNDS):
        stopwatch = Stopwatch()
        with watching(stopwatch), stopwatch.step(REST):
            program()
        rounds.append({step: 1e3 * s / n_photos for step, s in stopwatch.seconds.items()})
    quickest = min(rounds, key=lambda steps: sum(steps.values()))
    return quickest | {WHOLE: sum(quickest.values())}


@contextmanager
def watching(stopwatch: Stopwatch) -> Iterator[None]:
    """Time all steps while inside."""
    named = [(owner, attribute, lambda *_, title=title: title) for owner, attribute, title in STEPS]
    named.append(
        (FaceTransformer, "transform", lambda part, *_: f"features: {type(part).__name__}")
    )
    named.append((Network, "run", lambda network, *_: f"network {network.name}"))
    patches = [
        patch.object(owner, attribute, stopwatch.watched(getattr(owner, attribute), name))
        for owner, attribute, name in named
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in reversed(patches):
            one.stop()


if __name__ == "__main__":
    main()
