"""How far off the models that ship are on photos of sources other than UTKFace, and how fast.

python benchmarks/which_model.py --elsewhere FOLDER

Prints the mean absolute error of each source, in years; Congress is measured against the middle of
the window in which the age lies. London and Congress are photos that `open` was trained on, and the
second opinion of `accurate` learnt from all: cards have the figures with each source left out.
Times are of one core's work, from file to age, the models in turns.
"""

from __future__ import annotations

import argparse
import time

import _one_thread  # noqa: F401
import numpy as np
from _data import add_elsewhere_argument

import ageboost
from ageboost.datasets import read_sources
from ageboost.models.persistence import pretrained_names

COLUMNS = {
    "fgnet": "FG-NET",
    "london": "London",
    "congress": "Congress",
    "congress_grey": "Congress",
}
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_elsewhere_argument(parser)
    parser.add_argument("--models", nargs="*", default=pretrained_names())
    parser.add_argument("--photos", type=int, help="take so many photos only, drawn at random")
    options = parser.parse_args()
    table = read_sources(options.elsewhere).sample(frac=1, random_state=0, ignore_index=True)
    table = table.head(options.photos) if options.photos else table
    photos, columns = table["photo"].tolist(), table["source"].map(COLUMNS)
    models = {name: ageboost.load_pretrained(name).set_params(n_jobs=1) for name in options.models}
    for model in models.values():
        model.predict(photos[:1])
    ages = {name: [] for name in models}
    times = {name: [] for name in models}
    for start in range(0, len(photos), BATCH):
        for name, model in models.items():
            before = time.process_time()
            ages[name].append(model.predict(photos[start : start + BATCH]))
            times[name].append((time.process_time() - before) / len(ages[name][-1]))
    names = list(dict.fromkeys(COLUMNS.values()))
    print(f"| model | {' | '.join(f'{name} MAE (bias)' for name in names)} | ms per face |")
    print(f"| --- |{' --- |' * len(names)} --- |")
    for name in models:
        errors = np.concatenate(ages[name]) - table["age"]
        cells = [
            f"{errors[columns == c].abs().mean():.2f} ({errors[columns == c].mean():+.1f})"
            for c in names
        ]
        print(f"| {name} | {' | '.join(cells)} | {np.median(times[name]) * 1e3:.0f} |", flush=True)


if __name__ == "__main__":
    main()
