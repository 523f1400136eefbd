"""Whom the list of cashiers to talk to names, how many of those are honest, and who is found.

A year of tills is made up, with honest and dishonest cashiers (`_shop_simulator.py`). Every buyer
is a real photo of known age: one half of the people whom the model that ships had not seen when it
predicted their ages (``calibration_``) calibrates, and the other half buys, so nothing but the
package is needed. Run it from the root of the repository:

    python benchmarks/retail_alcohol.py --out docs/retail-alcohol.md

Each table of the page is replaced; rows of settings that are not run stay (``--only``). Constants
of the method were chosen on seeds from 10,000 on, and figures are of seeds from 0 on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import _one_thread  # noqa: F401
import _page
import numpy as np
import pandas as pd
from _shop_simulator import N_DAYS, STRENGTHS, Setting, adapt_to_adults, draw_people, simulate
from joblib import Parallel, delayed
from scipy.stats import binomtest

import ageboost
from ageboost.models import AgeCalibrator
from ageboost.retail import AlcoholPolicy, ReviewPeriod
from ageboost.retail._evidence import compare_with_colleagues
from ageboost.retail._facts import Facts
from ageboost.retail._minors import count_young_buyers
from ageboost.retail._naming import SPARED, name_cashiers

FDR = 0.05
POLICY = AlcoholPolicy()
SALES = (1000, 2000, 5000, 10_000)
HONEST = [
    "nobody is dishonest",
    "runs",
    "chains that name somebody",
    "95 % interval",
    "fewest sales a name stands on",
    "measured",
]
MIXED = [
    "four are dishonest",
    "runs",
    "honest among the named",
    "runs that name an honest one, 95 % interval",
    "dishonest found",
    "fewest sales a name stands on",
    "measured",
]
POWER_HEADER = ["sales of restricted goods per cashier", "runs"]


@dataclass(frozen=True)
class Outcome:
    """What one run names: strengths of those named, on how much, and what power was stated."""

    strengths: tuple[float, ...]
    named: tuple[float, ...]
    fewest: float
    stated: tuple[float, ...]

    @property
    def false(self) -> int:
        return sum(strength == 0 for strength in self.named)

    @property
    def false_share(self) -> float:
        return self.false / max(len(self.named), 1)


def settings() -> dict[str, Setting]:
    """Name the settings that the list must keep its promise in, and some beyond."""
    usual = Setting("usual", young=False)
    found = [
        replace(usual, name="usual tills"),
        Setting("some tills have far younger customers"),
        Setting("younger tills, and refused sales leave no receipt", refusals=False),
    ]
    found += [
        replace(usual, name=f"customers come again: {share:.0%} of sales, known", regulars=share)
        for share in (0.15, 0.3, 0.5)
    ]
    found += [
        replace(usual, name="half of the cashiers have 50 sales", few=0.5),
        replace(usual, name="cameras of tills differ: 3 years up, down or not", camera="two"),
        replace(usual, name="cameras of tills differ: standard deviation 3 years", camera="each"),
        replace(
            usual, name="the same, and each cashier has a till alone", camera="each", own_till=True
        ),
        replace(usual, name="all cameras overestimate ages by 3 years", bias=3.0),
        replace(usual, name="all cameras underestimate ages by 3 years", bias=-3.0),
        replace(usual, name="one store of ten cashiers", n_stores=1),
        replace(usual, name="from July on cashiers ask under 30", policy_change=True),
        replace(usual, name="half of the buyers under 25 have no photo", missing=0.5),
        replace(
            usual,
            name="customers come again, 30 % of sales, and cards were seen before the year",
            regulars=0.3,
            acquainted=True,
        ),
        replace(usual, name="customers come again, 30 % of sales, but are not known", regulars=0.3),
        replace(
            usual,
            name="a model adapted to 100 adults, where cameras overestimate by 3 years",
            adapted_to=100,
            bias=3.0,
        ),
        replace(usual, name="monthly looks, registered", n_runs=200),
        replace(usual, name="monthly looks, not registered", n_runs=100),
        replace(usual, name="weekly looks, registered", n_runs=200),
    ]
    return {setting.name: setting for setting in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, help="of each setting")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", help="settings whose names begin so; several by |")
    parser.add_argument("--tables", nargs="+", default=["honest", "mixed", "power", "ranges"])
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, help="page whose tables are filled in")
    options = parser.parse_args()
    whole = ageboost.load_pretrained(camera="known").calibration_
    chosen = settings()
    if options.only:
        chosen = {
            name: one
            for name, one in chosen.items()
            if name.startswith(tuple(options.only.split("|")))
        }
    measure = _Measure(whole, options)
    for setting in chosen.values():
        if "honest" in options.tables:
            measure.honest(setting)
    for name, setting in chosen.items():
        if "mixed" in options.tables and "looks" not in name and "not known" not in name:
            measure.mixed(setting)
    if "power" in options.tables:
        measure.power()
    if "ranges" in options.tables:
        measure.brackets()


class _Measure:
    """Run settings, and fill in a row of the page after each."""

    def __init__(self, whole: AgeCalibrator, options: argparse.Namespace):
        self.whole, self.options = whole, options

    def runs(self, setting: Setting) -> list[Outcome]:
        n_runs = self.options.runs or setting.n_runs
        first = self.options.first_seed
        start = time.perf_counter()
        done = Parallel(self.options.jobs)(
            delayed(run)(setting, self.whole, seed) for seed in range(first, first + n_runs)
        )
        print(f"{time.perf_counter() - start:6.0f} s  {setting.name}", flush=True)
        return done

    def honest(self, setting: Setting) -> None:
        runs = self.runs(replace(setting, strengths=()))
        naming = sum(bool(one.named) for one in runs)
        cells = [setting.name, str(len(runs)), f"{naming / len(runs):.1%}"]
        self.put(HONEST, [*cells, interval(naming, len(runs)), fewest(runs)])

    def mixed(self, setting: Setting) -> None:
        runs = self.runs(setting)
        found = sum(strength > 0 for one in runs for strength in one.named)
        there = sum(len(one.strengths) for one in runs)
        cells = [
            f"{np.mean([one.false_share for one in runs]):.1%}",
            interval(sum(one.false > 0 for one in runs), len(runs)),
            f"{found / there:.0%}",
            fewest(runs),
        ]
        self.put(MIXED, [setting.name, str(len(runs)), *cells])

    def power(self) -> None:
        """Compare what is found with the power that reviews stated beforehand."""
        names = [f"{share:.0%} of minors spared: found (stated)" for share in SPARED]
        for n_sales in SALES:
            n_runs = self.options.runs or 40
            runs = self.runs(Setting(f"{n_sales:,} sales", n_runs, n_sales, young=False))
            cells = [f"{n_sales:,}", str(len(runs))]
            for place, strength in enumerate(STRENGTHS):
                found = sum(one.named.count(strength) for one in runs) / len(runs)
                cells.append(f"{found:.0%} ({np.mean([one.stated[place] for one in runs]):.0%})")
            self.put([*POWER_HEADER, *names, "measured"], cells)

    def brackets(self) -> None:
        """See whether ranges hold the share of young buyers who were asked, and the minors."""
        header = ["setting", "runs", "under 25 and asked: truth", "range", "ranges that hold it"]
        header += ["minors not asked: truth", "range", "ranges that hold it", "measured"]
        for name, young in (("usual tills", False), ("some tills have younger customers", True)):
            setting = Setting(name, young=young)
            found = [bracket(setting, self.whole, seed) for seed in range(self.options.runs or 40)]
            cells = [name, str(len(found))]
            for at, form in ((0, "{:.0%}"), (3, "{:.0f}")):
                truth, low, high = np.array([one[at : at + 3] for one in found]).T
                cells += [form.format(truth.mean())]
                cells += [f"{form.format(low.mean())}-{form.format(high.mean())}"]
                cells += [f"{((low <= truth) & (truth <= high)).mean():.0%}"]
            self.put(header, cells)

    def put(self, header: list[str], cells: list[str]) -> None:
        # Rows of a page are of different days: methods and models change between them.
        cells = [*cells, date.today().isoformat()]
        print(_page.table(header, [cells]), flush=True)
        if self.options.out:
            _page.put_row(self.options.out, header, cells)


def run(setting: Setting, whole: AgeCalibrator, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    people = draw_people(whole, rng)
    if setting.adapted_to:
        people = adapt_to_adults(people, setting.adapted_to, setting.bias, rng)
        setting = replace(setting, bias=0.0)
    sales, strengths = simulate(setting, people, rng)
    if "not known" in setting.name:
        sales = sales.drop(columns="customer")
    look_at: Callable[..., tuple[dict[int, float], tuple[float, ...]]] = look_once
    if "looks" in setting.name:
        look_at = look_often
    named, stated = look_at(setting, sales, people.calibration)
    return Outcome(
        tuple(strengths[strengths > 0]),
        tuple(float(strengths[cashier]) for cashier in named),
        min(named.values(), default=np.inf),
        stated,
    )


def look_once(
    setting: Setting,
    sales: pd.DataFrame,
    calibration: AgeCalibrator,
    period: ReviewPeriod | None = None,
) -> tuple[dict[int, float], tuple[float, ...]]:
    """Name cashiers as ``review_cashiers`` does, which computes much else beside it."""
    facts = Facts.of(sales, cashiers_move=False)
    evidence = compare_with_colleagues(facts, calibration, POLICY, FDR, np.random.default_rng(0))
    if evidence is None:
        return {}, (0.0,) * len(SPARED)
    named = name_cashiers(evidence, facts, sales["time"], FDR, period)
    places = np.flatnonzero(named.talk_to)
    return (
        {int(facts.names[evidence.who[at]]): float(evidence.unchecked[at]) for at in places},
        tuple(named.powers["found"]),
    )


def look_often(
    setting: Setting, sales: pd.DataFrame, calibration: AgeCalibrator
) -> tuple[dict[int, float], tuple[float, ...]]:
    """Look at all sales so far, again and again; who was named once is named."""
    n_looks = 52 if setting.name.startswith("weekly") else 12
    begin = pd.Timestamp("2025-01-01")
    named: dict[int, float] = {}
    stated: tuple[float, ...] = ()
    with tempfile.TemporaryDirectory() as folder:
        period = None
        if "not registered" not in setting.name:
            period = ReviewPeriod(Path(folder, "looks.json"), "2025-01-01", "2025-12-31")
        for look in range(1, n_looks + 1):
            until = begin + pd.Timedelta(days=round(look * N_DAYS / n_looks))
            so_far = sales.iloc[: sales["time"].searchsorted(until)]
            found, stated = look_once(setting, so_far, calibration, period)
            named = found | named
    return named, stated


def bracket(setting: Setting, whole: AgeCalibrator, seed: int) -> tuple[float, ...]:
    """True share of buyers under 25 who were asked, and its range; minors not asked, and theirs."""
    rng = np.random.default_rng(seed)
    people = draw_people(whole, rng)
    sales, _ = simulate(setting, people, rng)
    facts = Facts.of(sales, cashiers_move=False)
    found = count_young_buyers(facts, people.calibration, POLICY, 0.95, np.random.default_rng(0))
    share, minors = found.share_of_shop, found.unchecked_of_shop
    young, asked = sales["true_age"] < 25, sales["id_checked"]
    return (
        float(asked[young].mean()),
        float(share.low[0]),
        float(share.high[0]),
        float((~asked[sales["true_age"] < 18]).sum()),
        float(minors.low[0]),
        float(minors.high[0]),
    )


def interval(n: int, of: int) -> str:
    found = binomtest(n, of).proportion_ci(method="wilson")
    return f"{found.low:.1%}-{found.high:.1%}"


def fewest(runs: list[Outcome]) -> str:
    least = min(one.fewest for one in runs)
    return f"{least:.0f}" if np.isfinite(least) else "-"


if __name__ == "__main__":
    main()
