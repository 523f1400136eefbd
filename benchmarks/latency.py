"""How long one photo takes when it comes alone, as a till would ask: median and 99th percentile.

Processor time stands beside it, over all threads: where it is not more than the time that passed,
neighbours on other cores are left alone. Run it from the root of the repository:

    python benchmarks/latency.py --data UTKFACE
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import _one_thread  # noqa: F401
import numpy as np
from _data import add_data_arguments, read_data
from _processor import describe_processor
from speed import MODELS, make_large

import ageboost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, default=300, help="how many photos (default: 300)")
    options = parser.parse_args()
    print(describe_processor())
    small = read_data(options.data)["photo"].sample(options.photos, random_state=0).tolist()
    print("| model | photos | first, s | median, ms | 99th percentile, ms | processor time, ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        large = make_large(small[:20], Path(folder)) * 5
        for name in MODELS:
            start = time.perf_counter()
            model = ageboost.load_pretrained(name).set_params(n_jobs=1)
            model.predict(small[:1])
            first = time.perf_counter() - start
            for kind, photos in [("200 x 200", small), ("12 megapixels", large)]:
                times, busy = np.transpose([measure(model, photo) for photo in photos]) * 1e3
                median, rare = np.percentile(times, [50, 99])
                figures = f"{first:.2f} | {median:.1f} | {rare:.1f} | {np.median(busy):.1f}"
                print(f"| {name} | {kind} | {figures} |", flush=True)


def measure(model: ageboost.AgeEstimator, photo: str) -> tuple[float, float]:
    start, busy = time.perf_counter(), time.process_time()
    model.predict([photo])
    return time.perf_counter() - start, time.process_time() - busy


if __name__ == "__main__":
    main()
