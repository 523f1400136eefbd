"""Photos per second from file to age, and each step beside scikit-image's or dlib's own.

Every figure is the best of several rounds, so that other work on the machine counts as little as it
can; ratios are of figures from the same run. Run it from the root of the repository:

    python benchmarks/speed.py --data UTKFACE
"""

from __future__ import annotations

import os

# One core is one thread, also in the libraries that would start more.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import time
from collections.abc import Callable

import cv2
import dlib
import numpy as np
import skimage.feature
from _data import add_data_arguments, read_data
from joblib import Parallel, delayed

import ageboost
from ageboost.faces import FaceFinder, stack_chips
from ageboost.faces.landmarks import dlib_weights
from ageboost.features import (
    CNNActivations,
    FaceTransformer,
    LandmarkGeometry,
    hog,
    lbp_histograms,
    local_binary_pattern,
)
from ageboost.photos import load_photo

BATCH = 32
MODELS = ("fast", "classical", "accurate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, default=256, help="how many photos (default: 256)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table = read_data(options.data)
    paths = table["photo"].sample(options.photos, random_state=0).tolist()
    measure_steps(paths)
    measure_models(paths)
    measure_programs(paths)


def measure_steps(paths: list[str]) -> None:
    finder = FaceFinder()
    loaded = [load_photo(path) for path in paths]
    found = []
    for photo in loaded:
        try:
            found.append((photo, finder.find(photo)[0]))
        except ageboost.NoFaceError:
            continue
    faces = [face for _, face in found]
    grey = stack_chips(faces, 128, grey=True)
    chips = stack_chips(faces, 150)
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(dlib_weights("shape_predictor_68_face_landmarks.dat")))
    resnet = dlib.face_recognition_model_v1(
        str(dlib_weights("dlib_face_recognition_resnet_model_v1.dat"))
    )
    few = chips[:BATCH]
    descriptor = CNNActivations(levels=("descriptor",))
    steps = [
        (
            "read a 200 x 200 JPEG",
            lambda: [load_photo(path) for path in paths],
            len(paths),
            "OpenCV",
            lambda: [cv2.imread(path) for path in paths],
            len(paths),
        ),
        (
            "face, landmarks, quality",
            lambda: [finder.find(photo) for photo, _ in found],
            len(found),
            "dlib (no quality)",
            lambda: [
                [predictor(photo.pixels, box) for box in detector(photo.pixels, 0)]
                for photo, _ in found
            ],
            len(found),
        ),
        (
            "HOG",
            lambda: [hog(part) for part in batches(grey)],
            len(grey),
            "scikit-image",
            lambda: [skimage.feature.hog(chip, 9, (16, 16), (2, 2)) for chip in grey],
            len(grey),
        ),
        (
            "LBP, codes",
            lambda: [local_binary_pattern(part) for part in batches(grey)],
            len(grey),
            "scikit-image",
            lambda: [
                skimage.feature.local_binary_pattern(chip, 8, 1, "nri_uniform") for chip in grey
            ],
            len(grey),
        ),
        (
            "LBP, histograms of 8 x 8 cells",
            lambda: [lbp_histograms(part) for part in batches(grey)],
            len(grey),
            "scikit-image, numpy",
            lambda: [histograms_of_cells(chip) for chip in grey],
            len(grey),
        ),
        (
            "landmark geometry",
            lambda: [LandmarkGeometry().transform(part) for part in batches(faces)],
            len(faces),
            "",
            None,
            1,
        ),
        (
            "network, descriptor",
            lambda: [descriptor.transform(part) for part in batches(faces)],
            len(faces),
            "dlib-bin",
            lambda: [resnet.compute_face_descriptor(chip) for chip in few],
            len(few),
        ),
    ]
    print("| step | ours, ms | rival | its ms | times faster |")
    print("| --- | --- | --- | --- | --- |")
    for name, ours, n_ours, rival, theirs, n_theirs in steps:
        mine = best(ours) / n_ours
        if theirs is None:
            print(f"| {name} | {mine * 1e3:.2f} | | | |")
        else:
            other = best(theirs) / n_theirs
            times = f"{mine * 1e3:.2f} | {rival} | {other * 1e3:.2f} | {other / mine:.1f}"
            print(f"| {name} | {times} |")


def histograms_of_cells(chip: np.ndarray) -> np.ndarray:
    codes = skimage.feature.local_binary_pattern(chip, 8, 1, "nri_uniform").astype(int)
    cells = codes.reshape(8, 16, 8, 16).transpose(0, 2, 1, 3).reshape(64, 256)
    return np.concatenate([np.bincount(cell, minlength=59) / 256 for cell in cells])


def measure_models(paths: list[str]) -> None:
    """What each model that ships costs for a face that is found, on one core."""
    finder = FaceFinder()
    faces = [found[0] for path in paths[: 2 * BATCH] if (found := finder.find(path))]
    print("\n| model | features, ms per face | components, kernels and trees, ms per face |")
    print("| --- | --- | --- |")
    for name in MODELS:
        model = ageboost.load_pretrained(name)
        model.regressor_.set_params(xgboost__n_jobs=1, catboost__thread_count=1)
        transformers = [
            part
            for part in model.features_.get_params().values()
            if isinstance(part, FaceTransformer)
        ]

        def measure(transformers=transformers):
            for face in faces:
                face._chips.clear()
            return np.hstack(
                [
                    np.concatenate([part.transform(batch) for batch in batches(faces)])
                    for part in transformers
                ]
            )

        matrix = measure()
        features = best(measure, rounds=3) / len(faces)
        ages = best(lambda model=model, matrix=matrix: model.predict_features(matrix)) / len(faces)
        print(f"| {name} | {features * 1e3:.1f} | {ages * 1e3:.2f} |")


def measure_programs(paths: list[str]) -> None:
    """From files to ages, and what people write who put the libraries together by hand."""
    n_cores = min(2, os.cpu_count() or 1)
    programs = []
    for name in MODELS:
        model = ageboost.load_pretrained(name)
        # Worker processes start once, before the clock.
        Parallel(n_jobs=n_cores)(delayed(model.predict)(paths[:BATCH]) for _ in range(n_cores))
        for n_jobs in sorted({1, n_cores}):
            programs.append(
                (
                    f"ageboost, {name}, {n_jobs} core{'s' if n_jobs > 1 else ''}",
                    lambda model=model, n_jobs=n_jobs: model.set_params(n_jobs=n_jobs).predict(
                        paths
                    ),
                    len(paths),
                )
            )
    programs.append(
        (
            "HOG, LBP, landmarks, 128 numbers in loops over dlib and scikit-image, one core",
            lambda: loop(paths[:BATCH]),
            BATCH,
        )
    )
    print("\n| from file to age | photos per second |")
    print("| --- | --- |")
    for name, program, n_photos in programs:
        print(f"| {name} | {n_photos / best(program, rounds=2):.0f} |")


def loop(paths: list[str]) -> list[np.ndarray]:
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(dlib_weights("shape_predictor_68_face_landmarks.dat")))
    resnet = dlib.face_recognition_model_v1(
        str(dlib_weights("dlib_face_recognition_resnet_model_v1.dat"))
    )
    rows = []
    for path in paths:
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


def batches(items):
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def best(program: Callable[[], object], rounds: int = 7) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        program()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
