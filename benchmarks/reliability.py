"""What `reliable` lets through: photos turned, negative, stretched, too bright, covered.

Shows photos of folds 6 and 7 of UTKFace to a model that ships, as they are and disturbed, and
counts how many are called reliable, and whether their 90 % ranges hold the true age. Beside it
stands what the four older measures of quality alone (size, sharpness, turn of the head, detector)
let through. Then `retail.check` is asked about minors, upright and turned. The network that knows
disturbed faces has learnt from folds 0 to 5; its threshold was last changed after a look at 400
photos of folds 6 and 7, so the share of these that stays reliable as they are is not independent of
it. The regressor of a model that ships has learnt from folds 6 and 7 as well, so ranges of photos
as they are hold more than elsewhere. ``--refit`` puts a regressor in its place that is fitted on
fold 6 and judged on fold 7, and the other way round.

    python benchmarks/reliability.py --data UTKFACE --photos 1500
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import _page
import cv2
import numpy as np
import pandas as pd
from _data import add_data_arguments, read_data, split
from _degrade import degrade
from _disturb import brighter, cover, negative, stretched
from train_pretrained import make_estimator

import ageboost
from ageboost import read_photo, retail
from ageboost.errors import PhotoError
from ageboost.faces import FaceFinder
from ageboost.faces.landmarks import load_predictor, predict_landmarks

SEED = 0
ADULT = 18


def landmarks(photo: np.ndarray) -> np.ndarray | None:
    try:
        [face] = FaceFinder(landmarks=5).find(photo, main_only=True)
    except PhotoError:
        return None
    return predict_landmarks(load_predictor(5), photo, np.array(face.box))


def covering(part: str, fill: str | None) -> Callable:
    def apply(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        points = landmarks(photo)
        return photo if points is None else cover(photo, points, part, rng, fill)

    return apply


def bar(top: float, bottom: float, level: int) -> Callable:
    """Cover a bar across the photo, by shares of its height."""

    def apply(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        covered, height = photo.copy(), len(photo)
        covered[round(top * height) : round(bottom * height)] = level
        return covered

    return apply


def plain(change: Callable) -> Callable:
    return lambda photo, rng: np.ascontiguousarray(change(photo))


KINDS: dict[str, Callable] = {
    "as they are": plain(lambda photo: photo),
    "turned by 90 degrees": plain(np.rot90),
    "turned by 270 degrees": plain(lambda photo: np.rot90(photo, 3)),
    "negative": plain(negative),
    "stretched 2:1": plain(lambda photo: stretched(photo, 2)),
    "stretched 1:2": plain(lambda photo: stretched(photo, 0.5)),
    "three times too bright": plain(lambda photo: brighter(photo, 3)),
    "eyes covered, any way": covering("eyes", None),
    "eyes under a black bar": bar(0.34, 0.54, 0),
    "lower half covered, any way": covering("lower half", None),
    "lower half black": bar(0.55, 1, 0),
    "lower half grey": bar(0.55, 1, 128),
    "sunglasses": covering("sunglasses", None),
    "mask": covering("mask", None),
    "red and blue exchanged": plain(lambda photo: photo[..., ::-1]),
    "upside down": plain(lambda photo: np.rot90(photo, 2)),
    "a tenth as bright": plain(lambda photo: cv2.convertScaleAbs(photo, alpha=0.1)),
    "small, blurred or dark": lambda photo, rng: degrade(photo, rng),
}


def look(features, table: pd.DataFrame, change: Callable) -> tuple[np.ndarray, list, np.ndarray]:
    """Features and qualities of the main faces of photos that are changed one at a time."""
    rng = np.random.default_rng(SEED)
    photos = (change(read_photo(path), rng) for path in table["photo"])
    matrices, qualities, owners = [], [], []
    for batch in features.extract(photos):
        matrices.append(batch.matrix)
        qualities += batch.qualities
        owners += batch.owners
    return np.concatenate(matrices), qualities, np.array(owners, dtype=int)


def row(kind: str, table, model, matrix, qualities, owners) -> list[object]:
    ages = table["age"].to_numpy()[owners]
    low, high = model.age_regressor_.predict_distribution(matrix).interval(0.9).T
    inside = (low <= ages) & (ages <= high)
    errors = np.abs(model.age_regressor_.predict(matrix) - ages)
    least = model.quality_threshold_ or 0.0
    before = np.array([quality.overall >= least for quality in qualities])
    now = np.array([quality.is_reliable(least) for quality in qualities])
    cells: list[object] = [kind, len(table)]
    for part in (before, now):
        cells += [
            f"{part.sum() / len(table):.1%}",
            f"{inside[part].mean():.1%}" if part.any() else "",
            f"{errors[part].mean():.1f}" if part.any() else "",
        ]
    return cells


HEADER = ["photos", "number", "reliable by older measures", "in range", "MAE"]
HEADER += ["reliable", "in range", "MAE"]


def refitted(name: str, model, table: pd.DataFrame, matrix, owners) -> dict[int, object]:
    """Fit the regressor on one of folds 6 and 7, to judge the other."""
    models = {}
    folds, ages = table["fold"].to_numpy()[owners], table["age"].to_numpy()[owners]
    for fold in (6, 7):
        known = folds != fold
        models[fold] = make_estimator(name, 1).fit_features(matrix[known], ages[known])
        models[fold].quality_threshold_ = model.quality_threshold_
    return models


def count_sales(model, table: pd.DataFrame) -> list[list[object]]:
    policy = retail.AlcoholPolicy()
    rows = []
    for name, quarters in [("upright", 0), ("turned by 90 degrees", 1), ("by 270 degrees", 3)]:
        answers = [
            retail.check(np.ascontiguousarray(np.rot90(read_photo(p), quarters)), policy, model)
            for p in table["photo"]
        ]
        said = pd.Series([answer.answer for answer in answers])
        rows.append(
            [name, len(table), *((said == a).sum() for a in ("sell", "ask", "cannot tell"))]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--photos", type=int, default=1500)
    parser.add_argument("--minors", type=int, default=500)
    parser.add_argument("--kinds", help="only kinds that begin so, separated by commas")
    parser.add_argument("--folds", choices=["6-7", "0-5"], default="6-7", help="0-5: to choose")
    parser.add_argument("--refit", action="store_true")
    parser.add_argument("--out", type=Path, help="Markdown page whose tables are to be replaced")
    options = parser.parse_args()
    table = read_data(options.data)
    train, test = split(table)
    table = test if options.folds == "6-7" else train
    everything = table.reset_index(drop=True)
    table = everything.sample(min(options.photos, len(everything)), random_state=SEED)
    model = ageboost.load_pretrained(options.model, camera="known")
    features = model.features_
    features.set_params(n_jobs=options.jobs, cache=None)
    models = None
    if options.refit:
        features.set_params(cache=options.cache)
        matrices = look(features, everything, plain(lambda photo: photo))
        models = refitted(options.model, model, everything, matrices[0], matrices[2])
        features.set_params(cache=None)
    rows, again = [], []
    kinds = [k for k in KINDS if not options.kinds or k.startswith(tuple(options.kinds.split(",")))]
    for kind in kinds:
        start = time.perf_counter()
        if models is None:
            rows.append(row(kind, table, model, *look(features, table, KINDS[kind])))
            print(rows[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
            continue
        parts = []
        for fold, judged in models.items():
            part = table[table["fold"] == fold].reset_index(drop=True)
            parts.append(row(kind, part, judged, *look(features, part, KINDS[kind])))
            print(f"fold {fold}", parts[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
        again += [
            [f"{cells[0]} (fold {f})", *cells[1:]] for f, cells in zip(models, parts, strict=True)
        ]
    text = [_page.table(HEADER, [[str(v) for v in cells] for cells in rows or again])]
    if not options.kinds:
        minors = everything[everything["age"] < ADULT]
        minors = minors.sample(min(options.minors, len(minors)), random_state=SEED)
        sales = count_sales(model, minors)
        header = ["minors", "number", "sell", "ask", "cannot tell"]
        text.append(_page.table(header, [[str(v) for v in cells] for cells in sales]))
    print("\n\n".join(text))
    if options.out is not None:
        _page.put_tables(options.out, text)


if __name__ == "__main__":
    main()
