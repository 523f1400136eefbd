"""What the fast model gains and loses when it aligns faces by five landmarks instead of 68.

    python benchmarks/landmarks.py --data UTKFACE

The model has learnt from these photos, too: only the differences count.
"""

from __future__ import annotations

import argparse
import time

import _one_thread  # noqa: F401
import cv2
import numpy as np
from _data import TEST_FOLDS, add_data_arguments, read_data

import ageboost
from ageboost.faces import FaceFinder
from ageboost.features import FaceFeatures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, help="how many photos (default: all of two folds)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table = read_data(options.data)
    table = table[table["fold"].isin(TEST_FOLDS)]
    if options.photos:
        table = table.sample(options.photos, random_state=0)
    photos, ages = table["photo"].tolist(), table["age"].to_numpy()
    model = ageboost.load_pretrained("fast").set_params(n_jobs=1)
    print("| landmarks | mean error, years | 90 % ranges hold | ms per photo |")
    print("| --- | --- | --- | --- |")
    for landmarks in (68, 5):
        model.features_ = FaceFeatures("fast", finder=FaceFinder(landmarks=landmarks))
        model.predict(photos[:64])
        start = time.process_time()
        found = model.predict_distribution(photos)
        milliseconds = (time.process_time() - start) / len(photos) * 1e3
        known = ~np.isnan(found.ages)
        error = np.abs(found.ages - ages)[known].mean()
        low, high = found.interval(0.9)[known].T
        inside = ((low <= ages[known]) & (ages[known] <= high)).mean()
        print(f"| {landmarks} | {error:.2f} | {inside:.1%} | {milliseconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
