"""What it costs to draw ages away from the middle: errors and bias by true age, by the penalty.

Out-of-fold ages that the models in the package keep of UTKFace, corrected by maps that other
photos taught (five folds), without a second opinion. No photos are needed:

    python benchmarks/shrinkage.py
"""

from __future__ import annotations

import argparse

import _one_thread  # noqa: F401
import numpy as np
import numpy.typing as npt
from _page import table
from sklearn.model_selection import KFold

from ageboost._age_bands import MEASURED_BANDS
from ageboost.models import ShrinkageCorrection
from ageboost.models.persistence import load_trained, pretrained_path

STRENGTHS = (0.0, 0.002, 0.01, 0.03, 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["accurate", "fast", "classical"])
    options = parser.parse_args()
    rows = []
    for name in options.models:
        kept = load_trained(pretrained_path(name)).calibration_
        predicted, ages = kept.predictions_.astype(float), kept.ages_.astype(float)
        rows.append([name, "as predicted", *errors(predicted, ages)])
        for strength in STRENGTHS:
            corrected, _ = correct(predicted, ages, strength)
            rows.append([name, f"{strength:g}", *errors(corrected, ages)])
        corrected, strengths = correct(predicted, ages, None)
        chosen = f"**chosen ({min(strengths):.3f}-{max(strengths):.3f})**"
        rows.append([name, chosen, *errors(corrected, ages)])
    bands = [f"bias, {band}" for band in MEASURED_BANDS.names]
    print(table(["model", "penalty", "MAE", *bands], rows))


def correct(
    predicted: npt.NDArray[np.float64], ages: npt.NDArray[np.float64], strength: float | None
) -> tuple[npt.NDArray[np.float64], list[float]]:
    """Correct each fold by the others; return the penalties as well, chosen where none is given."""
    corrected, strengths = np.empty_like(predicted), []
    for train, test in KFold(5, shuffle=True, random_state=1).split(ages):
        correction = ShrinkageCorrection(strength=strength).fit(predicted[train], ages[train])
        corrected[test] = correction.correct(predicted[test])
        strengths.append(correction.strength_)
    return corrected, strengths


def errors(predicted: npt.NDArray[np.float64], ages: npt.NDArray[np.float64]) -> list[str]:
    bands = MEASURED_BANDS.index(ages)
    biases = [(predicted - ages)[bands == band].mean() for band in range(len(MEASURED_BANDS))]
    return [f"{np.abs(predicted - ages).mean():.2f}", *(f"{bias:+.1f}" for bias in biases)]


if __name__ == "__main__":
    main()
