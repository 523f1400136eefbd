"""Whom the list of cashiers to talk to names, and how many of those are honest.

A year of tills is made up, with honest and dishonest cashiers. Every buyer is a real photo of known
age: one half of the people whom the model that ships had not seen when it estimated their ages
(``calibration_``) calibrates, and the other half buys, so nothing but the package is needed. Run it
from the root of the repository:

    python benchmarks/retail_alcohol.py --out docs/retail-alcohol.md

Honest cashiers ask who looks younger to them than about 25 (it differs between them by a year),
where looks lie halfway between the true age and what the model saw, and the cashier is off by 2.5
years. They forget 2 % of checks, some 1 % and some 4 %, and more so in the evening. Dishonest ones
do the same, and spare a share of the minors whom they would have asked.
"""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import binom, poisson

import ageboost
from ageboost.evaluation import bootstrap_interval
from ageboost.models import AgeCalibrator
from ageboost.retail import AlcoholPolicy, review_cashiers

FDR = 0.05
STRENGTHS = (0.1, 0.25, 0.5, 1.0)
SALES = (1000, 2000, 5000, 10_000, 20_000, 40_000)
N_STORES, N_TILLS, N_CASHIERS = 3, 4, 10
# Of those who try to buy: ages, and shares at a usual till and at one with younger customers.
AGES = ((15, 17), (18, 24), (25, 34), (35, 44), (45, 64), (65, 90))
USUAL = (0.015, 0.12, 0.2, 0.22, 0.3, 0.145)
YOUNG = (0.04, 0.5, 0.2, 0.12, 0.1, 0.04)
OURS = "ageboost"
ANY = "any unchecked buyer of predicted age under 18"
OFTEN = "unchecked more often than others, predicted age under 18"
SUMS = "more unchecked minors than others, by summed probability"
RULES = (OURS, ANY, OFTEN, SUMS)


@dataclass(frozen=True)
class Setting:
    """A chain of shops and its cashiers."""

    name: str
    n_runs: int
    per_cashier: int = 5000
    strengths: tuple[float, ...] = STRENGTHS
    young: bool = True
    refusals: bool = True
    n_stores: int = N_STORES


@dataclass(frozen=True)
class People:
    """The half that calibrates, and the half that buys."""

    calibration: AgeCalibrator
    ages: npt.NDArray[np.intp]
    predictions: npt.NDArray[np.float64]
    under_legal: npt.NDArray[np.float64]
    under_challenge: npt.NDArray[np.float64]


@dataclass
class Outcome:
    """What one run names: by rule, the strengths of dishonest cashiers and how many honest ones."""

    honest: dict[str, int] = field(default_factory=dict)
    found: dict[str, list[float]] = field(default_factory=dict)

    def false_share(self, rule: str) -> float:
        named = self.honest[rule] + len(self.found[rule])
        return self.honest[rule] / named if named else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few runs")
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: all cores)")
    parser.add_argument("--out", type=Path, help="where to write the page")
    options = parser.parse_args()
    start = time.perf_counter()
    n_runs, n_more, n_power = (4, 2, 2) if options.quick else (200, 100, 40)
    checks = [
        Setting("all tills have the usual customers", n_runs, young=False),
        Setting("some tills have far younger ones", n_runs),
        Setting("the same, refused sales leave no receipt", n_more, refusals=False),
        Setting("younger tills, one store of ten cashiers", n_more, n_stores=1, strengths=(0.5,)),
        Setting(
            "younger tills, two stores, 20,000 sales, all dishonest ones spare one in ten",
            n_more,
            20_000,
            (0.1, 0.1, 0.1),
            n_stores=2,
        ),
        Setting("younger tills, nobody dishonest", n_more, strengths=()),
    ]
    powers = [Setting(f"{n:,}", n_power, n) for n in SALES]
    sparing = [
        Setting(f"{n:,}, all spare 10%", n_power, n, (0.1, 0.1, 0.1), n_stores=2) for n in SALES
    ]
    if options.quick:
        checks = [setting for setting in checks if setting.per_cashier <= 5000]
        powers, sparing = powers[:4], sparing[:4]
    whole = ageboost.load_pretrained().calibration_
    results = {}
    for setting in [*checks, *powers, *sparing]:
        results[setting.name] = Parallel(options.jobs)(
            delayed(run)(setting, whole, seed) for seed in range(setting.n_runs)
        )
        seconds = time.perf_counter() - start
        print(f"{seconds:6.0f} s  {setting.name}", flush=True)
    text = describe(checks, powers, sparing, results, options.quick)
    print("\n" + text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", "utf-8")


def run(setting: Setting, whole: AgeCalibrator, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    people = draw_people(whole, rng)
    sales, strengths = simulate(setting, people, rng)
    review = review_cashiers(sales, AlcoholPolicy(), people.calibration, fdr=FDR)
    named = {OURS: review.to_talk_to["cashier"].to_numpy(), **naive_rules(sales)}
    outcome = Outcome()
    for rule, cashiers in named.items():
        each = strengths[[int(name[1:]) for name in cashiers]]
        outcome.honest[rule] = int((each == 0).sum())
        outcome.found[rule] = each[each > 0].tolist()
    return outcome


def draw_people(whole: AgeCalibrator, rng: np.random.Generator) -> People:
    order = rng.permutation(len(whole.ages_))
    kept, buying = np.array_split(order, 2)
    predictions, scales = whole.predictions_.astype(float), whole.scales_.astype(float)
    calibration = copy.copy(whole).keep(predictions[kept], whole.ages_[kept], scales[kept])
    estimated = calibration.distribution(predictions[buying], scales[buying])
    under = 1 - estimated.over([18, 25])
    return People(
        calibration, whole.ages_[buying].astype(int), predictions[buying], under[:, 0], under[:, 1]
    )


def simulate(
    setting: Setting, people: People, rng: np.random.Generator
) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Make up the sales of restricted goods, and the share of minors that each cashier spares."""
    n_cashiers = setting.n_stores * N_CASHIERS
    n_sales = n_cashiers * setting.per_cashier
    cashier = np.repeat(np.arange(n_cashiers), setting.per_cashier)
    store = cashier // N_CASHIERS
    # Cashiers have tills that they sit at more often.
    habit = np.cumsum(rng.dirichlet(np.ones(N_TILLS), n_cashiers), axis=1)
    till = (rng.random(n_sales)[:, None] > habit[cashier]).sum(axis=1).clip(max=N_TILLS - 1)
    hour, day = rng.integers(8, 22, n_sales), rng.integers(0, 365, n_sales)
    # The last of several stores stands beside a university, and so does the first till of each.
    young = setting.young & ((till == 0) | ((store == setting.n_stores - 1) & (store > 0)))
    photo = np.empty(n_sales, dtype=int)
    for is_young, mix in ((False, USUAL), (True, YOUNG)):
        rows = young == is_young
        photo[rows] = rng.choice(len(people.ages), rows.sum(), p=chances(people.ages, mix))
    age, predicted = people.ages[photo], people.predictions[photo]
    looks = age + 0.5 * (predicted - age) + rng.normal(0, 2.5, n_sales)
    asks_under = rng.normal(25, 1, n_cashiers)
    forgets = rng.beta(4, 196, n_cashiers)
    forgotten = rng.random(n_sales) < forgets[cashier] * np.where(hour >= 17, 1.5, 0.8)
    checked = (looks < asks_under[cashier]) & ~forgotten
    strengths = np.zeros(n_cashiers)
    strengths[rng.permutation(n_cashiers)[: len(setting.strengths)]] = setting.strengths
    minor = age < 18
    checked &= ~(minor & (rng.random(n_sales) < strengths[cashier]))
    table = pd.DataFrame(
        {
            "time": np.datetime64("2025-01-01") + (day * 24 + hour).astype("timedelta64[h]"),
            "store": store,
            "till": till,
            "cashier": np.char.add("C", cashier.astype(str)),
            "age": predicted,
            "under_legal": people.under_legal[photo],
            "under_challenge": people.under_challenge[photo],
            "required": np.where(predicted < 25, "ask", "sell"),
            "id_checked": checked,
        }
    )
    if not setting.refusals:
        table = table[~(minor & checked)].reset_index(drop=True)
    return table, strengths


def chances(ages: npt.NDArray[np.intp], mix: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Chance of each photo, so that ages are mixed as wanted."""
    weights = np.zeros(len(ages))
    for (low, high), share in zip(AGES, mix, strict=True):
        years = [year for year in range(low, high + 1) if (ages == year).any()]
        for year in years:
            who = ages == year
            weights[who] = share / len(years) / who.sum()
    return weights / weights.sum()


def naive_rules(sales: pd.DataFrame) -> dict[str, npt.NDArray]:
    """Whom rules name that take a photo's word for it."""
    minor, unchecked = sales["age"] < 18, ~sales["id_checked"]
    by = pd.DataFrame(
        {
            "cashier": sales["cashier"],
            "sales": 1,
            "minors": minor,
            "missed": minor & unchecked,
            "expected": sales["under_legal"].where(unchecked, 0.0),
        }
    )
    sums = by.groupby("cashier").sum()
    share = sums["missed"].sum() / max(sums["minors"].sum(), 1)
    often = binom.sf(sums["missed"] - 1, sums["minors"], share)
    usual = sums["sales"] * sums["expected"].sum() / sums["sales"].sum()
    more = poisson.sf(np.floor(sums["expected"]) - 1, usual)
    names = sums.index.to_numpy()
    return {
        ANY: names[sums["missed"] > 0],
        OFTEN: names[step_up(often)],
        SUMS: names[step_up(more)],
    }


def step_up(p: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Benjamini and Hochberg's choice, for the rules that we compare with."""
    fits = np.sort(p) <= FDR * np.arange(1, len(p) + 1) / len(p)
    return p <= (np.sort(p)[fits].max() if fits.any() else -1)


def describe(
    checks: list[Setting],
    powers: list[Setting],
    sparing: list[Setting],
    results: dict[str, list[Outcome]],
    quick: bool,
) -> str:
    rows = [
        "| setting | runs | rule | honest among the named | 95 % interval | named per run "
        "| dishonest found |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for setting in checks:
        runs = results[setting.name]
        for rule in RULES:
            false = [one.false_share(rule) for one in runs]
            low, high = bootstrap_interval(false)
            named = np.mean([one.honest[rule] + len(one.found[rule]) for one in runs])
            found = np.mean([len(one.found[rule]) for one in runs])
            power = f"{found / len(setting.strengths):.0%}" if setting.strengths else "-"
            rows.append(
                f"| {setting.name} | {len(runs)} | {rule} | {np.mean(false):.1%} "
                f"| {low:.1%}-{high:.1%} | {named:.1f} | {power} |"
            )
    found_by = [
        "| sales of restricted goods per cashier | runs | "
        + " | ".join(f"spares {strength:.0%} of minors" for strength in STRENGTHS)
        + " | honest among the named |",
        "| --- " * (len(STRENGTHS) + 3) + "|",
    ]
    for setting in powers:
        runs = results[setting.name]
        power = [power_of(setting, runs, strength) for strength in STRENGTHS]
        false = np.mean([one.false_share(OURS) for one in runs])
        found_by.append(
            f"| {setting.name} | {len(runs)} | "
            + " | ".join(f"{share:.0%}" for share in power)
            + f" | {false:.1%} |"
        )
    rivals = [
        "| sales of restricted goods per cashier | runs | found | honest among the named "
        "| found by the photo's word | honest among those |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for setting in sparing:
        runs = results[setting.name]
        cells = [f"{setting.per_cashier:,}", f"{len(runs)}"]
        for rule in (OURS, OFTEN):
            found = np.mean([len(one.found[rule]) for one in runs]) / len(setting.strengths)
            cells += [f"{found:.0%}", f"{np.mean([one.false_share(rule) for one in runs]):.1%}"]
        rivals.append(f"| {' | '.join(cells)} |")
    needed = [
        f"- who spares {strength:.0%} of minors: {sales_needed(powers, results, strength)}"
        for strength in STRENGTHS
    ]
    return "\n".join(
        [
            "# Which cashiers to talk to",
            "",
            *(["Few runs: a try, no figure to quote.", ""] if quick else []),
            "`python benchmarks/retail_alcohol.py` prints this. A year of tills is made up; every "
            "buyer is a real photo of known age, and answers are those of the model `accurate` for "
            "people whom it had not seen: one half of them calibrates, the other buys.",
            "",
            f"A chain has {N_STORES} stores of {N_TILLS} tills and {N_CASHIERS} cashiers each. "
            f"Where nothing else is said, four of the {N_STORES * N_CASHIERS} cashiers are "
            "dishonest: they spare 10 %, 25 %, 50 % and all of the minors whom they would have "
            "asked, and each cashier has 5,000 sales of restricted goods. Honest cashiers ask who "
            "looks younger to them than about 25 (it differs between them by a year, standard "
            "deviation), and are off by 2.5 years about looks, which lie halfway between the true "
            "age and what the model saw. They forget 2 % of checks (standard deviation 1 %), more "
            "in the evening. Of who tries to buy, 1.5 % are 15 to 17 years old and 12 % 18 to 24; "
            "at tills with far younger customers (one in four, and all of one store) 4 % and 50 %.",
            "",
            "## How many of those named are honest",
            "",
            f"The list promises a false discovery rate of {FDR:.0%}. Runs that name nobody count "
            "as 0 %. Where nobody is dishonest, it is the share of runs that name anybody. The "
            "last two rules control the false discovery rate at the same level, and believe the "
            "photos.",
            "",
            *rows,
            "",
            "## Who is found",
            "",
            "Some tills have far younger customers; share of dishonest cashiers who are named.",
            "",
            *found_by,
            "",
            "Sales of restricted goods after which half of such cashiers are named, between the "
            "rows above:",
            "",
            *needed,
            "",
            "Two stores, three of 20 cashiers spare one minor in ten, nobody more; half of them "
            f"are named after {sales_needed(sparing, results, 0.1)} sales. Beside it, the rule "
            "that names who leaves buyers of predicted age under 18 unchecked more often than "
            "others:",
            "",
            *rivals,
        ]
    )


def power_of(setting: Setting, runs: list[Outcome], strength: float) -> float:
    there = setting.strengths.count(strength) * len(runs)
    return sum(one.found[OURS].count(strength) for one in runs) / there


def sales_needed(
    powers: list[Setting], results: dict[str, list[Outcome]], strength: float, share: float = 0.5
) -> str:
    """Where the power passes a share, between settings (on a scale of logarithms)."""
    sales = np.log([setting.per_cashier for setting in powers])
    power = np.maximum.accumulate([power_of(one, results[one.name], strength) for one in powers])
    if power[-1] < share:
        return f"more than {powers[-1].per_cashier:,}"
    if power[0] >= share:
        return f"fewer than {powers[0].per_cashier:,}"
    after = int(np.argmax(power >= share))
    at = np.interp(share, power[after - 1 : after + 1], sales[after - 1 : after + 1])
    return f"about {round(float(np.exp(at)), -2):,.0f}"


if __name__ == "__main__":
    main()
