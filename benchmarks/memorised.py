"""Whether a network that came ready-made has learnt photos of a source by heart.

A network hits the exact year of a photo that it has never seen hardly more often than it misses by
one year up or down: both are luck. Where it hits the year many times as often, the photos were in
its training, and its error on them says nothing about a new camera.

    python benchmarks/memorised.py --data UTKFACE --elsewhere FOLDER
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import _one_thread  # noqa: F401
import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from _data import add_data_arguments, read_data

from ageboost.errors import PhotoError
from ageboost.faces import Face, FaceFinder, stack_chips
from ageboost.features.known_networks import get_network

ELSEWHERE = Path(__file__).resolve().parents[2] / "shared" / "datasets" / "elsewhere"
# What a network says of each age, and the whole years that it knows.
NETWORKS = {"dlib-age": ("shares", np.arange(81)), "mobilenet-age": ("logits", np.arange(100))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument(
        "--elsewhere",
        type=Path,
        default=Path(os.environ.get("AGEBOOST_ELSEWHERE", ELSEWHERE)),
        help="folder of other sources, with labels.csv (default: $AGEBOOST_ELSEWHERE)",
    )
    parser.add_argument("--photos", type=int, default=1000, help="of a source (default: 1000)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    sources = pd.read_csv(options.elsewhere / "labels.csv")
    sources["photo"] = [str(options.elsewhere / photo) for photo in sources["photo"]]
    # Of some portraits only a window of age is known: no year can be hit there.
    sources = sources[sources["age_low"] == sources["age_high"]]
    utkface = read_data(options.data).assign(source="utkface")
    table = pd.concat([sources, utkface])[["source", "photo", "age"]]
    print("| source | network | photos | exact year | one year off (mean of both sides) | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for source, part in table.groupby("source"):
        part = part.sample(min(options.photos, len(part)), random_state=0)
        faces, ages = find_faces(part)
        for name, (level, years) in NETWORKS.items():
            # Ages beyond a network's last year cannot be hit.
            known = ages < years[-1]
            missed = most_probable_ages(name, level, years, faces) - ages
            exact = (missed[known] == 0).mean()
            beside = (np.abs(missed[known]) == 1).mean() / 2
            print(
                f"| {source} | {name} | {known.sum()} | {exact:.1%} | {beside:.1%} | "
                f"{exact / beside:.1f} |",
                flush=True,
            )


def find_faces(table: pd.DataFrame) -> tuple[list[Face], npt.NDArray[np.float64]]:
    finder, faces, ages = FaceFinder(), [], []
    for photo, age in zip(table["photo"], table["age"], strict=True):
        try:
            faces.append(finder.find(photo, main_only=True)[0])
        except PhotoError:
            continue
        ages.append(float(age))
    return faces, np.floor(ages)


def most_probable_ages(
    name: str, level: str, years: npt.NDArray[np.intp], faces: list[Face]
) -> npt.NDArray[np.intp]:
    network = get_network(name)
    answers = []
    for start in range(0, len(faces), 64):
        chips = stack_chips(
            faces[start : start + 64],
            network.input_size,
            network.padding,
            n_landmarks=network.landmarks,
        )
        answers.append(network.run(chips, (level,))[0].argmax(1))
    return years[np.concatenate(answers)]


if __name__ == "__main__":
    main()
