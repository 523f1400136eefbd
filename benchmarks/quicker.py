"""What quicker features do to the ages of a model that ships, beside those that it was fitted on.

Mean absolute errors on folds 6 and 7 of UTKFace, which no part of the model has seen, and on photos
of other sources; the difference has a 95 % interval over photos. Run it from the root of the
repository:

    python benchmarks/quicker.py --data UTKFACE --elsewhere FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _one_thread  # noqa: F401
import numpy as np
import pandas as pd
from _data import add_data_arguments, add_elsewhere_argument, read_data, split
from _page import put_tables, table

import ageboost
from ageboost.datasets import read_sources

MODEL = "accurate"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    parser.add_argument("--photos", type=int, default=1000, help="of each source at most")
    parser.add_argument("--out", type=Path, help="Markdown page whose table is to be replaced")
    options = parser.parse_args()
    _, test = split(read_data(options.data))
    others = read_sources(options.elsewhere)
    sources = {"UTKFace, folds 6 and 7": test} | dict(list(others.groupby("source")))
    quick = ageboost.load_pretrained(MODEL).set_params(n_jobs=options.jobs)
    exact = ageboost.load_pretrained(MODEL).set_params(n_jobs=options.jobs)
    quick.features_ = exact.features_.quicker()
    rows = []
    for name, photos in sources.items():
        sample = photos.sample(min(options.photos, len(photos)), random_state=0)
        rows.append([name, *compare(sample, exact, quick)])
        print(*rows[-1], flush=True)
    header = ["photos of", "photos", "as fitted, MAE", "quicker, MAE", "difference"]
    tables = [table([*header, "ages move by, mean", "99 of 100"], rows)]
    print(tables[0])
    if options.out:
        put_tables(options.out, tables)


def compare(
    photos: pd.DataFrame, exact: ageboost.AgeEstimator, quick: ageboost.AgeEstimator
) -> list[str]:
    years = photos["age"].to_numpy(dtype=float)
    before, after = (model.predict(photos["photo"].tolist()) for model in (exact, quick))
    found = ~np.isnan(before + after)
    years, before, after = years[found], before[found], after[found]
    change = np.abs(after - years) - np.abs(before - years)
    half = 1.96 * change.std() / np.sqrt(len(change))
    moved = np.abs(after - before)
    return [
        str(len(years)),
        f"{np.abs(before - years).mean():.3f}",
        f"{np.abs(after - years).mean():.3f}",
        f"{change.mean():+.3f} ± {half:.3f}",
        f"{moved.mean():.2f}",
        f"{np.quantile(moved, 0.99):.2f}",
    ]


if __name__ == "__main__":
    main()
