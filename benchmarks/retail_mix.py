"""How far the estimated mix of a shop's ages is off, and how often its intervals hold.

Shops are made up whose customers are of other ages than the people in the photos that the model
was calibrated with, within each age group, too. Every customer is a real photo of known age; one
half of the people whom the model had not seen calibrates, the other half comes to the shop. In
shops of the last table, some adults of the other half are photographed first, with a camera that
makes everybody older, younger or neither, and the model is adapted to these photos:

    python benchmarks/retail_mix.py --out docs/retail-mix.md
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import _one_thread  # noqa: F401
import _page
import numpy as np
import numpy.typing as npt
import pandas as pd
from _shop_simulator import draw_people

import ageboost
from ageboost.datasets import make_shop
from ageboost.models import AgeCalibrator, AgeCorrection, AgeDistribution
from ageboost.retail import (
    AgeGroups,
    buyers_from_distribution,
    customers_by_age_group,
    purchases_by_age_group,
)

GROUPS = AgeGroups()
YEARS = np.arange(91)
N_RECEIPTS = (1000, 5000, 20_000)

# Of adults that a model is adapted to, and years by which their camera makes everybody older.
N_ADULTS, SHIFTS, N_RECEIPTS_ADAPTED = (100, 300), (-3.0, 0.0, 3.0), 3000

Floats = npt.NDArray[np.float64]


def _bell(middle: float, width: float) -> Floats:
    share = np.exp(-0.5 * ((YEARS - middle) / width) ** 2)
    return share / share.sum()


# Shares of ages among those who come.
SHOPS: dict[str, Floats] = {
    "a supermarket": _bell(47, 19) * np.where(YEARS < 12, 0.02, 1.0),
    "beside a college": 0.75 * _bell(21, 2.5) + 0.25 * _bell(45, 17),
    "beside a home for the old": _bell(66, 12),
    "in a town of the young": _bell(30, 9),
    "families": 0.3 * _bell(9, 4) + 0.7 * _bell(38, 6),
    "as many of each age from 16 to 79": np.where((YEARS >= 16) & (YEARS < 80), 1.0, 0.01),
}
HEADER = ["customers", "receipts", "hard labels, points off", "probabilities as given"]
CELLS_HEADER = [
    "cells",
    "shares",
    "points off",
    "95 % intervals hold, within half a point",
    "width",
]
HEADER += ["adapted", "worst group of a run", "95 % intervals hold", "within half a point", "width"]
CELLS_HEADER = ["cells", "shares", "points off", "intervals hold, within half a point", "width"]
ADAPTED_HEADER = [
    "adapted to photos of adults",
    "shops",
    "probabilities as given, points off",
    "adapted",
    "groups known before, points off",
    "95 % intervals hold, within half a point",
    "of groups known before",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--tables", nargs="+", default=["mix", "cells", "adapted"])
    parser.add_argument("--out", type=Path, help="page whose table is filled in")
    options = parser.parse_args()
    whole = ageboost.load_pretrained(options.model, camera="known").calibration_
    seeds = range(options.first_seed, options.first_seed + options.runs)
    makers = {"mix": table_of_mixes, "cells": table_of_cells, "adapted": table_of_adapted}
    for name in options.tables:
        made = makers[name](whole, seeds)
        print(made, flush=True)
        if options.out:
            _page.put_tables(options.out, [made])


def table_of_mixes(whole: AgeCalibrator, seeds: range) -> str:
    rows = []
    for name, mix in SHOPS.items():
        for n_receipts in N_RECEIPTS:
            runs = pd.DataFrame([run(whole, mix, n_receipts, seed) for seed in seeds])
            rows.append([name, f"{n_receipts:,}", *describe(runs)])
    return _page.table(HEADER, rows)


def table_of_cells(whole: AgeCalibrator, seeds: range) -> str:
    cells = pd.concat([run_cells(whole, seed) for seed in seeds])
    found = cells.groupby("cells", sort=False).agg(
        n=("off", "size"), off=("off", "mean"), holds=("holds", "mean"), width=("width", "mean")
    )
    of_cells = [
        [name, f"{row.n:.0f}", f"{100 * row.off:.1f}", f"{row.holds:.1%}", f"{100 * row.width:.1f}"]
        for name, row in found.iterrows()
    ]
    return _page.table(CELLS_HEADER, of_cells)


def table_of_adapted(whole: AgeCalibrator, seeds: range) -> str:
    """Say how well mixes are known by a model that was adapted to adults."""
    kinds = [
        ((shop, camera), mix, shift)
        for shop, mix in enumerate(SHOPS.values())
        for camera, shift in enumerate(SHIFTS)
    ]
    rows = []
    for n_adults in N_ADULTS:
        runs = [
            run_adapted(whole, mix, n_adults, shift, np.random.default_rng([seed, *place]))
            for place, mix, shift in kinds
            for seed in seeds
        ]
        groups = pd.concat(runs)
        before = groups[groups["known_before"]]
        rows.append(
            [
                f"{n_adults}",
                f"{len(runs)}",
                *(f"{100 * groups[name].mean():.1f}" for name in ("given", "adapted")),
                f"{100 * before['adapted'].mean():.1f}",
                *(f"{part['holds'].mean():.1%}" for part in (groups, before)),
            ]
        )
    return _page.table(ADAPTED_HEADER, rows)


def describe(runs: pd.DataFrame) -> list[str]:
    points = [f"{100 * runs[name].mean():.1f}" for name in ("labels", "given", "adapted")]
    shares = [f"{runs[name].mean():.1%}" for name in ("holds", "nearly")]
    return [
        *points,
        f"{100 * runs['worst'].max():.1f}",
        *shares,
        f"{100 * runs['width'].mean():.1f}",
    ]


def run(whole: AgeCalibrator, mix: Floats, n_receipts: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    age = rng.choice(YEARS, n_receipts, p=mix / mix.sum())
    half, estimated = answer(whole, age, rng)
    receipts = np.arange(n_receipts).astype(str)
    buyers = buyers_from_distribution(receipts, estimated, GROUPS)
    lines = pd.DataFrame({"receipt_id": receipts, "product": "bread"})
    found = purchases_by_age_group(lines, buyers, GROUPS, calibration=half)
    given = purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
    true = np.bincount(GROUPS.index(YEARS), mix / mix.sum(), len(GROUPS))
    labels = np.bincount(GROUPS.index(estimated.ages), minlength=len(GROUPS)) / n_receipts
    low, high = (found.mix_interval[side].to_numpy() for side in ("low", "high"))
    off = np.abs(found.mix.to_numpy() - true)
    return {
        "labels": np.abs(labels - true).mean(),
        "given": np.abs(given.mix.to_numpy() - true).mean(),
        "adapted": off.mean(),
        "worst": off.max(),
        "holds": ((low <= true) & (true <= high)).mean(),
        "nearly": ((low - 0.005 <= true) & (true <= high + 0.005)).mean(),
        "width": (high - low).mean(),
    }


def run_cells(whole: AgeCalibrator, seed: int) -> pd.DataFrame:
    """One shop whose stores and hours have customers of other ages each."""
    rng = np.random.default_rng(seed)
    shop = make_shop(20_000, random_state=seed)
    age = np.floor(shop.truth["age"].to_numpy(float))
    half, estimated = answer(whole, age, rng)
    buyers = buyers_from_distribution(shop.truth["receipt_id"], estimated, GROUPS)
    receipts = shop.receipts.assign(
        hour=shop.receipts["time"].dt.hour,
        group=np.array(GROUPS.names)[GROUPS.index(age)],
    )
    rows = []
    for by in (["store"], ["hour"], ["store", "hour"]):
        found = customers_by_age_group(shop.receipts, buyers, GROUPS, by=by, calibration=half).table
        counts = receipts.groupby([*by, "group"]).size()
        true = found.set_index([*by, "group"]).index.map(counts).to_numpy(float)
        true = np.nan_to_num(true) / found["receipts"].to_numpy()
        low, high = found["share_low"], found["share_high"]
        rows.append(
            pd.DataFrame(
                {
                    "cells": " and ".join(by),
                    "off": np.abs(found["share"] - true),
                    "holds": (low - 0.005 <= true) & (true <= high + 0.005),
                    "width": high - low,
                }
            )
        )
    return pd.concat(rows)


def run_adapted(
    whole: AgeCalibrator, mix: Floats, n_adults: int, shift: float, rng: np.random.Generator
) -> pd.DataFrame:
    """One shop whose model was adapted to adults: one row for each group."""
    people = draw_people(whole, rng)
    mine, others = np.array_split(rng.permutation(len(people.ages)), [len(people.ages) // 3])
    predictions, ages = people.predictions + shift, people.ages.astype(float)
    usual = np.where((YEARS >= 18) & (YEARS < 80), SHOPS["a supermarket"], 0)
    wanted = rng.choice(YEARS, n_adults, p=usual / usual.sum())
    own = mine[people_of(ages[mine], wanted, rng)]
    correction = AgeCorrection().fit(predictions[own].clip(0), ages[own], people.scales[own])
    adapted = copy.copy(people.calibration).adapt(
        ages[own] - correction.errors_, ages[own], people.scales[own]
    )
    age = rng.choice(YEARS, N_RECEIPTS_ADAPTED, p=mix / mix.sum())
    buying = others[people_of(ages[others], age, rng)]
    estimated = adapted.distribution(
        correction.correct(predictions[buying].clip(0)), people.scales[buying]
    )
    receipts = np.arange(len(age)).astype(str)
    buyers = buyers_from_distribution(receipts, estimated, GROUPS)
    lines = pd.DataFrame({"receipt_id": receipts, "product": "bread"})
    found = purchases_by_age_group(lines, buyers, GROUPS, calibration=adapted)
    given = purchases_by_age_group(lines, buyers, GROUPS, adapt=False)
    true = np.bincount(GROUPS.index(YEARS), mix / mix.sum(), len(GROUPS))
    low, high = found.mix_interval["low"], found.mix_interval["high"]
    return pd.DataFrame(
        {
            "given": np.abs(given.mix - true),
            "adapted": np.abs(found.mix - true),
            "holds": (low - 0.005 <= true) & (true <= high + 0.005),
            "known_before": found.mix.index.isin(found.known_before),
        }
    )


def people_of(
    ages: npt.NDArray, wanted: npt.NDArray, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Draw somebody of each wanted age."""
    by_age = np.argsort(ages, kind="stable")
    known = ages[by_age]
    first, last = np.searchsorted(known, wanted), np.searchsorted(known, wanted, side="right")
    # Of an age that nobody has, the next older one comes.
    last = np.maximum(last, first + 1).clip(max=len(known))
    first = np.minimum(first, last - 1)
    return by_age[first + (rng.random(len(wanted)) * (last - first)).astype(int)]


def answer(
    whole: AgeCalibrator, age: Floats, rng: np.random.Generator
) -> tuple[AgeCalibrator, AgeDistribution]:
    """Calibrate with half of the people, and answer for others as old as the buyers."""
    people = draw_people(whole, rng)
    photo = people_of(people.ages, age, rng)
    half = people.calibration
    return half, half.distribution(people.predictions[photo], people.scales[photo])


if __name__ == "__main__":
    main()
