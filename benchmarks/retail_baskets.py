"""How often differences of baskets are false, and how often intervals hold.

A shop is made up of which everything is known: what each age group buys more of, the habits of each
customer, and how old they are. Every customer is a real photo of known age; one half of the people
whom the model had not seen calibrates, the other half buys. Nothing but the package is needed:

    python benchmarks/retail_baskets.py --out docs/retail-offers.md
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import _one_thread  # noqa: F401
import _page
import numpy as np
import numpy.typing as npt
import pandas as pd
from _shop_simulator import draw_people

import ageboost
from ageboost.evaluation import bootstrap_interval
from ageboost.models import AgeCalibrator
from ageboost.retail import AgeGroups, buyers_from_distribution, purchases_by_age_group

GROUPS = AgeGroups()
# Shares of the groups among those who come; there are hardly any children.
MIX = np.array([0.015, 0.03, 0.13, 0.2, 0.16, 0.165, 0.15, 0.15])
N_THINGS = 120
VISITS = 12.0
TASTE = 0.5
N_OFFERS = 10

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """How large the shop is, how much habits differ, and what is known."""

    name: str
    habit: float
    known: bool = True
    n_receipts: int = 20_000
    shift: float = 0.0


SETTINGS = (
    Setting("habits of 0.8, customers known", 0.8),
    Setting("habits of 1.0, customers known", 1.0),
    Setting("habits of 0.8, customers not known", 0.8, known=False),
    Setting("5,000 receipts, habits of 0.8, customers known", 0.8, n_receipts=5000),
    Setting("a camera 3 years off, habits of 0.8, customers known", 0.8, shift=3.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="+", help="numbers of settings, from 0")
    parser.add_argument("--out", type=Path, help="page whose table is filled in")
    options = parser.parse_args()
    whole = ageboost.load_pretrained(camera="known").calibration_
    header = ["setting", "runs", "significant", "of them false", "95 % interval"]
    header += ["intervals of all lifts hold", "of offers, unadjusted", "of offers, adjusted"]
    header += ["intervals of the mix hold", "groups said to be the largest, and are"]
    for place, setting in enumerate(SETTINGS):
        if options.only and place not in options.only:
            continue
        first = options.first_seed
        runs = [run(setting, whole, seed) for seed in range(first, first + options.runs)]
        table = pd.DataFrame(runs)
        share = table["false"] / table["significant"].clip(lower=1)
        # Of the mean over shops.
        low, high = bootstrap_interval(share.to_numpy())
        largest = f"{int(table['largest_right'].sum())} of {int(table['largest_said'].sum())}"
        row = [setting.name, str(len(runs)), f"{table['significant'].mean():.0f}"]
        row += [f"{share.mean():.1%}", f"{low:.1%}-{high:.1%}"]
        row += [f"{table[name].mean():.1%}" for name in ("all_hold", "plain_hold", "offers_hold")]
        row += [f"{table['mix_hold'].mean():.1%}", largest]
        print(_page.table(header, [row]), flush=True)
        if options.out:
            _page.put_row(options.out, header, row)


def run(setting: Setting, whole: AgeCalibrator, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    half, buyers, lines, customers, truth = make_shop(setting, whole, rng)
    found = purchases_by_age_group(
        lines,
        buyers,
        GROUPS,
        calibration=half,
        customers=customers if setting.known else None,
    )
    table = found.table[found.table["supported"]]
    thing = table["product"].str[1:].astype(int).to_numpy()
    true = truth[thing, [GROUPS.names.index(name) for name in table["group"]]]
    sure = table["significant"].to_numpy()
    holds = (table["lift_low"] <= true) & (true <= table["lift_high"])
    plain, adjusted = [], []
    for place, group in enumerate(GROUPS.names):
        best = found.offers(group, N_OFFERS)
        real = truth[best["product"].str[1:].astype(int), place]
        plain += [*((best["lift_low"] <= real) & (real <= best["lift_high"]))]
        adjusted += [*((best["offer_low"] <= real) & (real <= best["offer_high"]))]
    mix = found.mix_interval
    largest = found.mix.idxmax()
    said = mix["low"][largest] > mix["high"].drop(largest).max()
    return {
        "significant": sure.sum(),
        "false": (sure & (np.sign(table["lift"].to_numpy() - 1) != np.sign(true - 1))).sum(),
        "all_hold": holds.mean(),
        "plain_hold": np.mean(plain) if plain else np.nan,
        "offers_hold": np.mean(adjusted) if adjusted else np.nan,
        "mix_hold": ((mix["low"] <= MIX) & (mix["high"] >= MIX)).mean(),
        "largest_said": said,
        "largest_right": said and largest == GROUPS.names[int(MIX.argmax())],
    }


def make_shop(
    setting: Setting, whole: AgeCalibrator, rng: np.random.Generator
) -> tuple[AgeCalibrator, pd.DataFrame, pd.DataFrame, npt.NDArray[np.intp], Floats]:
    """Give a calibration, buyers, lines, customers, and true lifts of things by group."""
    people = draw_people(whole, rng)
    half = people.calibration
    n_customers = round(setting.n_receipts / VISITS)
    group = rng.choice(len(GROUPS), n_customers, p=MIX)
    known = GROUPS.index(people.ages)
    photo = np.array([rng.choice(np.flatnonzero(known == place)) for place in group])
    often = rng.gamma(1.0, 1.0, n_customers)
    customer = np.sort(rng.choice(n_customers, setting.n_receipts, p=often / often.sum()))
    # Two in five things are bought by all groups alike.
    taste = rng.normal(0, TASTE, (N_THINGS, len(GROUPS)))
    taste[: 2 * N_THINGS // 5] = 0
    base = np.geomspace(0.005, 0.12, N_THINGS)[rng.permutation(N_THINGS)]
    habit = np.exp(rng.normal(-(setting.habit**2) / 2, setting.habit, (n_customers, N_THINGS)))
    rates = base * np.exp(taste.T[group]) * habit
    bought = rng.random((setting.n_receipts, N_THINGS)) < rates[customer].clip(max=0.95)
    receipt, thing = np.nonzero(bought)
    lines = pd.DataFrame(
        {"receipt_id": receipt.astype(str), "product": np.char.add("p", thing.astype(str))}
    )
    seen = people.predictions[photo] + setting.shift
    estimated = half.distribution(seen, people.scales[photo])
    buyers = buyers_from_distribution(np.arange(n_customers).astype(str), estimated, GROUPS)
    buyers = buyers.iloc[customer].reset_index(drop=True)
    buyers["receipt_id"] = np.arange(setting.n_receipts).astype(str)
    lifts = np.exp(taste)
    return half, buyers, lines, customer, lifts / (lifts @ MIX)[:, None]


if __name__ == "__main__":
    main()
