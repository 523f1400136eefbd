"""Whether the parts of a face that `explain` names are those that the age comes from.

On photos of folds 6 and 7 of UTKFace, the part that ``explain`` names is covered by a strong blur,
and so is a part of the same shape at a random place of the same face. The landmarks stay, and
the model looks again. Parts are chosen in two ways: the region of the face with the most years,
and the square of a ninth of the chip whose pixels sum to the most years. A random part has its
centre in the face, lies on the chip, and overlaps with the named one by no more than half. Run it
from the root of the repository:

    python benchmarks/explain.py --data UTKFACE --model accurate --photos 500

Models that ship have learnt from these photos, which is no matter here: the model is asked what
moves it, not how far it is off.
"""

from __future__ import annotations

import argparse
import os
import time

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from _data import add_data_arguments, read_data, split
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import ageboost
from ageboost import AgeEstimator
from ageboost.errors import PhotoError
from ageboost.evaluation import bootstrap_interval, explain
from ageboost.evaluation.explanation.places import frame_of
from ageboost.evaluation.explanation.regions import REGIONS, cover_face
from ageboost.faces import FaceFinder
from ageboost.features import FaceTransformer

KINDS = ("region", "square")
SURROUNDINGS = REGIONS.index("surroundings")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--model", default="accurate", help="a model that ships, or a file")
    parser.add_argument("--photos", type=int, default=500, help="how many (default: 500)")
    arguments = parser.parse_args()
    _, validation = split(read_data(arguments.data))
    # A few more than asked for, in the place of those without a face.
    chosen = validation["photo"].sample(min(len(validation), arguments.photos + 20), random_state=0)
    batches = np.array_split(chosen.to_numpy(), max(1, len(chosen) // 5))
    measured = Parallel(n_jobs=arguments.jobs)(
        delayed(measure)(arguments.model, list(batch), seed) for seed, batch in enumerate(batches)
    )
    report(pd.concat(measured, ignore_index=True).iloc[: arguments.photos], arguments.model)


def measure(name: str, photos: list[str], seed: int) -> pd.DataFrame:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    with threadpool_limits(1):
        model = load(name)
        return pd.DataFrame([row for photo in photos if (row := look(model, photo, rng))])


_LOADED: dict[str, AgeEstimator] = {}


def load(name: str) -> AgeEstimator:
    if name not in _LOADED:
        read = ageboost.load if os.path.exists(name) else ageboost.load_pretrained
        _LOADED[name] = read(name).set_params(n_jobs=1)
    return _LOADED[name]


def look(model: AgeEstimator, photo: str, rng: np.random.Generator) -> dict | None:
    try:
        face = FaceFinder().find(photo)[0]
    except PhotoError:
        return None
    start = time.perf_counter()
    reasons = explain(model, photo)
    row = {"seconds": time.perf_counter() - start}
    frame = frame_of(model.features_)
    in_face = reasons.region_labels != SURROUNDINGS
    masks = []
    for named in (largest_region(reasons), largest_square(reasons)):
        masks += [named, moved(named, in_face, rng)]
    ages = predict(model, [face, *cover_face(face, masks, frame)])
    for i, kind in enumerate(KINDS):
        row[f"{kind} named"], row[f"{kind} random"] = np.abs(ages[1 + 2 * i : 3 + 2 * i] - ages[0])
    parts = [reasons.contributions, reasons.regions, reasons.groups, reasons.heatmap]
    sums = np.array([reasons.base_value + part.sum() for part in parts])
    row["error"] = np.abs(sums.clip(0) - model.predict([photo])).max()
    return row


def predict(model: AgeEstimator, faces: list) -> npt.NDArray[np.float64]:
    parts = model.features_.get_params().values()
    blocks = [part.transform(faces) for part in parts if isinstance(part, FaceTransformer)]
    return model.age_regressor_.predict(np.hstack(blocks))


def largest_region(reasons) -> npt.NDArray[np.bool_]:
    years = reasons.regions.drop("surroundings").abs()
    return reasons.region_labels == REGIONS.index(years.idxmax())


def largest_square(reasons) -> npt.NDArray[np.bool_]:
    size = len(reasons.heatmap)
    side = size // 3
    sums = np.pad(reasons.heatmap, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    squares = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(np.abs(squares).argmax(), squares.shape)
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def moved(
    mask: npt.NDArray[np.bool_], in_face: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Bring the shape to a random place; one that is too large for that goes as far as it can."""
    rows, columns = np.nonzero(mask)
    size = len(mask)
    best, least = mask, 1.0
    for _ in range(200):
        down = rng.integers(-rows.min(), size - rows.max())
        right = rng.integers(-columns.min(), size - columns.max())
        centre = int(rows.mean() + down), int(columns.mean() + right)
        if not in_face[centre]:
            continue
        shifted = np.zeros_like(mask)
        shifted[rows + down, columns + right] = True
        overlap = (shifted & mask).sum() / mask.sum()
        if overlap <= 0.5:
            return shifted
        if overlap < least:
            best, least = shifted, overlap
    return best


def report(rows: pd.DataFrame, model: str) -> None:
    print(f"{model}, {len(rows)} photos of folds 6 and 7\n")
    print("| covered | named, years | random, years | difference | named moves more |")
    print("| --- | --- | --- | --- | --- |")
    for kind in KINDS:
        named, random = rows[f"{kind} named"].to_numpy(), rows[f"{kind} random"].to_numpy()
        cells = [with_interval(named), with_interval(random), with_interval(named - random)]
        print(f"| {kind} | {' | '.join(cells)} | {(named > random).mean():.1%} of photos |")
    print(f"\nsums are off by {rows['error'].max():.1e} years at most")
    print(f"{rows['seconds'].median():.2f} s for an explanation, on one core (median)")


def with_interval(years: npt.NDArray[np.float64]) -> str:
    low, high = bootstrap_interval(years)
    return f"{years.mean():.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
