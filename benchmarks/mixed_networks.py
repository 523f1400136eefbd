"""One age from two networks: the mean of their answers, or the median of their mixed distributions.

The mean of two answers gives each network the same say on every photo. The median of the mixture
follows the one that is surer of itself, and is not drawn up by the long tail of old ages that
distributions of children have.

    python benchmarks/mixed_networks.py --data UTKFACE --elsewhere FOLDER
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
from _data import add_data_arguments, read_data, split
from memorised import ELSEWHERE, find_faces

from ageboost.faces import Face, stack_chips
from ageboost.features.known_networks import get_network

YEARS = np.arange(100)
# Ages whose chance of being reached the second network gives; see train_networks.py.
OLDER = np.array([2, 4, 6, 9, 12, 15, 18, 21, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85])
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


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
    _, apart = split(read_data(options.data))
    table = pd.concat([sources, apart.assign(source="utkface, apart")])
    print("Mean absolute error and bias in years; bias at 13 to 17. Photo and mirror image.\n")
    print(
        "| source | share of utkface-mobilenet | mean of answers | median of the mixture | 13-17 |"
    )
    print("| --- | --- | --- | --- | --- |")
    for source, part in table.groupby("source"):
        part = part.sample(min(options.photos, len(part)), random_state=0)
        faces, ages = find_faces(part)
        first_age, first = ask_first(faces)
        second_age, second = ask_second(faces)
        for share in SHARES:
            means = (1 - share) * first_age + share * second_age
            medians = median_ages((1 - share) * first + share * second)
            errors = [
                f"{np.abs(x - ages).mean():.2f} {(x - ages).mean():+.2f}" for x in (means, medians)
            ]
            teens = (ages >= 13) & (ages <= 17)
            biases = [f"{(x - ages)[teens].mean():+.1f}" for x in (means, medians) if teens.any()]
            print(
                f"| {source} ({len(ages)}) | {share} | {errors[0]} | {errors[1]} | "
                f"{', '.join(biases) or '-'} |",
                flush=True,
            )


def ask_first(faces: list[Face]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Expected ages of ``mobilenet-age``, and chances of being of each age in OLDER or more."""
    logits = [part.astype(np.float64) for part in ask("mobilenet-age", ("logits",), faces)[0]]
    shares = np.mean([np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in logits], axis=0)
    return shares @ YEARS, shares @ (YEARS[:, None] >= OLDER)


def ask_second(faces: list[Face]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The same of ``utkface-mobilenet``, which gives both by itself."""
    ages, older = ask("utkface-mobilenet", ("age", "older"), faces)
    return np.mean(ages, axis=0)[:, 0], np.mean(older, axis=0)


def ask(name: str, levels: tuple[str, ...], faces: list[Face]) -> list[list[npt.NDArray]]:
    """What a network answers to photos and to their mirror images: for each level, both."""
    network = get_network(name)
    parts = [
        [network.run(np.ascontiguousarray(chips[:, :, ::step]), levels) for step in (1, -1)]
        for chips in (
            stack_chips(faces[i : i + 64], network.input_size, network.padding, n_landmarks=5)
            for i in range(0, len(faces), 64)
        )
    ]
    return [
        [np.concatenate([part[side][level] for part in parts]) for side in (0, 1)]
        for level in range(len(levels))
    ]


def median_ages(older: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ages that half of each distribution reaches, between the ages whose chances are known."""
    # A person of 20 whole years is between 20 and 21: half a year less is the middle of it.
    ages = np.r_[0, OLDER, 101] - 0.5
    return np.array([np.interp(-0.5, -np.r_[1, row, 0], ages) for row in older])


if __name__ == "__main__":
    main()
