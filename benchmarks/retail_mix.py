"""How far the estimated mix of a shop's ages is off, and how often its intervals hold.

Shops are made up whose customers are of other ages than the people in the photos that the model
was calibrated with, within each age group, too. Every customer is a real photo of known age; one
half of the people whom the model had not seen calibrates, the other half comes to the shop:

    python benchmarks/retail_mix.py --out docs/retail-mix.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _one_thread  # noqa: F401
import _page
import numpy as np
import numpy.typing as npt
import pandas as pd
from _shop_simulator import draw_people

import ageboost
from ageboost.datasets import make_shop
from ageboost.models import AgeCalibrator, AgeDistribution
from ageboost.retail import (
    AgeGroups,
    buyers_from_distribution,
    customers_by_age_group,
    purchases_by_age_group,
)

GROUPS = AgeGroups()
YEARS = np.arange(91)
N_RECEIPTS = (1000, 5000, 20_000)

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--out", type=Path, help="page whose table is filled in")
    options = parser.parse_args()
    whole = ageboost.load_pretrained(options.model, camera="known").calibration_
    seeds = range(options.first_seed, options.first_seed + options.runs)
    rows = []
    for name, mix in SHOPS.items():
        for n_receipts in N_RECEIPTS:
            runs = pd.DataFrame([run(whole, mix, n_receipts, seed) for seed in seeds])
            rows.append([name, f"{n_receipts:,}", *describe(runs)])
            print(_page.table(HEADER, rows[-1:]), flush=True)
    cells = pd.concat([run_cells(whole, seed) for seed in seeds])
    found = cells.groupby("cells", sort=False).agg(
        n=("off", "size"), off=("off", "mean"), holds=("holds", "mean"), width=("width", "mean")
    )
    of_cells = [
        [name, f"{row.n:.0f}", f"{100 * row.off:.1f}", f"{row.holds:.1%}", f"{100 * row.width:.1f}"]
        for name, row in found.iterrows()
    ]
    tables = [_page.table(HEADER, rows), _page.table(CELLS_HEADER, of_cells)]
    print(tables[1])
    if options.out:
        _page.put_tables(options.out, tables)


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


def answer(
    whole: AgeCalibrator, age: Floats, rng: np.random.Generator
) -> tuple[AgeCalibrator, AgeDistribution]:
    """Calibrate with half of the people, and answer for others as old as the buyers."""
    people = draw_people(whole, rng)
    by_age = np.argsort(people.ages, kind="stable")
    known = people.ages[by_age]
    first, last = np.searchsorted(known, age), np.searchsorted(known, age, side="right")
    # Of an age that nobody has, the next older one comes.
    last = np.maximum(last, first + 1).clip(max=len(known))
    first = np.minimum(first, last - 1)
    photo = by_age[first + (rng.random(len(age)) * (last - first)).astype(int)]
    half = people.calibration
    return half, half.distribution(people.predictions[photo], people.scales[photo])


if __name__ == "__main__":
    main()
