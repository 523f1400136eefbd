"""Keep what networks answered for photos that they had not seen, for regressors to learn from.

Three networks of each kind were trained without two of folds 0 to 5 each. They take an hour to
train and 50 MB to keep; what they answered for these folds takes two. Photos are named by digests
of their files.

    python benchmarks/out_of_fold.py --data UTKFACE --networks FOLDER

where ``--networks`` is the folder of `train_networks.py`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from _data import add_data_arguments, read_data
from _features import ANSWERS, TRAIN_FOLDS, VIEWS, cross_fitted_matrix, name_answers, name_photos

from ageboost.features import CNNActivations, FaceFeatures

# Networks whose three are kept by nobody else, and the model that ships and asks them.
NETWORKS = ("utkface-dlib", "utkface-mobilenet-large")
MODEL = "accurate"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--networks", type=Path, required=True, help="of cross-fitted networks")
    parser.add_argument("--out", type=Path, default=ANSWERS, help="file to write")
    options = parser.parse_args()
    table = read_data(options.data)
    table = table[table["fold"] < TRAIN_FOLDS].reset_index(drop=True)
    asked = [CNNActivations(network, mirror=view) for network in NETWORKS for view in VIEWS]
    names = [name_answers(transformer.network, transformer.mirror) for transformer in asked]
    with tempfile.TemporaryDirectory() as scratch:
        features = FaceFeatures(
            list(zip(names, asked, strict=True)),
            FaceFeatures(MODEL).get_finder(),
            cache=options.cache or scratch,
            n_jobs=options.jobs,
            on_error="nan",
        )
        matrix = cross_fitted_matrix(features, table, options.networks).astype(np.float16)
    answers = dict(zip(names, np.split(matrix, len(asked), axis=1), strict=True))
    np.savez_compressed(options.out, photos=name_photos(table), **answers)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
