"""How much the answer of another network should count where photos look foreign.

For several shares: mean absolute error and bias of `accurate` at each source, which was left out of
what was learnt from the others, and of UTKFace's photos out of fold. Run it from the root of the
repository:

    python benchmarks/second_opinion.py --data UTKFACE --elsewhere FOLDER
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
import numpy.typing as npt
from _data import add_data_arguments, add_elsewhere_argument
from _meeting import predict_left_out, read_collection, read_elsewhere_photos, with_opinion
from _page import table

from ageboost.models.persistence import load_trained, pretrained_path

SHARES = (0.6, 0.75, 0.85, 1.0)
TEENAGERS = (13, 18)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = load_trained(pretrained_path("accurate"))
        model.set_params(cache=options.cache or scratch, n_jobs=options.jobs)
        elsewhere = read_elsewhere_photos(model, options.elsewhere)
        collection = read_collection(model, options.data)
    base, ages = model.age_regressor_, elsewhere.table["age"].to_numpy(float)
    sources = elsewhere.table["source"].to_numpy()
    young = (sources == "fgnet") & (ages >= TEENAGERS[0]) & (ages < TEENAGERS[1])
    rows = []
    for share in SHARES:
        predicted = predict_left_out(base, collection, elsewhere, share)
        kept = with_opinion(base, collection, elsewhere, share).calibration_
        rows.append([f"{share:g}", errors(kept.predictions_ - kept.ages_)])
        rows[-1] += [errors((predicted - ages)[sources == name]) for name in dict.fromkeys(sources)]
        rows[-1].append(f"{(predicted - ages)[young].mean():+.1f}")
    names = ["share", "UTKFace", *dict.fromkeys(sources), "FG-NET, 13 to 17"]
    print(table(names, rows))


def errors(missed: npt.NDArray[np.floating]) -> str:
    return f"{np.abs(missed).mean():.2f} {missed.mean():+.1f}"


if __name__ == "__main__":
    main()
