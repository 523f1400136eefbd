"""A year of tills, made up: who buys, who is asked for a card, and who spares minors.

Every buyer is a real photo of known age. One half of the people whom the model had not seen when
it predicted their ages calibrates, and the other half buys.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost.models import AgeCalibrator, AgeCorrection

N_STORES, N_TILLS, N_CASHIERS = 3, 4, 10
N_DAYS = 365
# Of those who try to buy: ages, and shares at a usual till and at one with younger customers.
AGES = ((15, 17), (18, 24), (25, 34), (35, 44), (45, 64), (65, 90))
USUAL = (0.015, 0.12, 0.2, 0.22, 0.3, 0.145)
YOUNG = (0.04, 0.5, 0.2, 0.12, 0.1, 0.04)
STRENGTHS = (0.1, 0.25, 0.5, 1.0)
VISITS_OF_REGULARS = 25.0

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Setting:
    """A chain of shops, its cashiers, its customers and its cameras.

    Attributes
    ----------
    name : str
    n_runs : int
    per_cashier : int
        Sales of restricted goods of each cashier in a year.
    strengths : tuple of float
        Share of minors that each dishonest cashier spares; the others are honest.
    young : bool
        Whether some tills have far younger customers.
    refusals : bool
        Whether a refused sale leaves a receipt.
    n_stores : int
    regulars : float
        Share of sales to customers who come again and again.
    memory : float
        A cashier who has seen a regular's card asks that person less often by this share.
    favourite : float
        Share of a regular's visits that go to one and the same cashier.
    acquainted : bool
        Whether cashiers have seen regulars' cards before the year begins.
    few : float
        Share of cashiers who have ``few_sales`` sales each.
    few_sales : int
    camera : {"same", "two", "each"}
        How cameras of tills differ: not at all; each by 3 years up, down or not; by a normal number
        with a standard deviation of 3 years.
    own_till : bool
        Whether every cashier sits at a till of their own.
    bias : float
        Years by which all cameras of the chain overestimate ages.
    policy_change : bool
        Whether cashiers ask under 25 up to July, and under 30 from then on.
    missing : float
        Share of buyers under 25 without a photo; a fifth of it among the others.
    adapted_to : int
        Photos of adults that the model is adapted to first; none by default.
    """

    name: str
    n_runs: int = 200
    per_cashier: int = 5000
    strengths: tuple[float, ...] = STRENGTHS
    young: bool = True
    refusals: bool = True
    n_stores: int = N_STORES
    regulars: float = 0.0
    memory: float = 0.9
    favourite: float = 0.3
    acquainted: bool = False
    few: float = 0.0
    few_sales: int = 50
    camera: str = "same"
    own_till: bool = False
    bias: float = 0.0
    policy_change: bool = False
    missing: float = 0.0
    adapted_to: int = 0


@dataclass(frozen=True)
class People:
    """The half that calibrates, and the half that buys."""

    calibration: AgeCalibrator
    ages: Codes
    predictions: Floats
    scales: Floats

    def answers(self, shift: float) -> Floats:
        """Age, and probabilities of being under 18 and 25, where a camera is off by ``shift``."""
        seen = self.predictions + shift
        estimated = self.calibration.distribution(seen, self.scales)
        return np.column_stack([seen, 1 - estimated.over([18, 25])])


def draw_people(whole: AgeCalibrator, rng: np.random.Generator) -> People:
    """Part the people whom a model had not seen into two halves."""
    order = rng.permutation(len(whole.ages_))
    kept, buying = np.array_split(order, 2)
    predictions, scales = whole.predictions_.astype(float), whole.scales_.astype(float)
    calibration = copy.copy(whole).keep(predictions[kept], whole.ages_[kept], scales[kept])
    return People(calibration, whole.ages_[buying].astype(int), predictions[buying], scales[buying])


def adapt_to_adults(people: People, n_photos: int, bias: float, rng: np.random.Generator) -> People:
    """Adapt the model to adults whom a camera makes older; they do not buy."""
    adults = np.flatnonzero((people.ages >= 18) & (people.ages < 80))
    own = rng.choice(adults, n_photos, replace=False, p=_evenly(people.ages[adults]))
    predictions = (people.predictions + bias).clip(0)
    ages, scales = people.ages[own].astype(float), people.scales[own]
    correction = AgeCorrection().fit(predictions[own], ages, scales)
    adapted = copy.copy(people.calibration).adapt(ages - correction.errors_, ages, scales)
    others = np.setdiff1d(np.arange(len(people.ages)), own)
    return People(
        adapted,
        people.ages[others],
        correction.correct(predictions[others]),
        people.scales[others],
    )


def _evenly(ages: Codes) -> Floats:
    """Chances by which every age comes as often."""
    weights = 1 / np.bincount(ages)[ages]
    return weights / weights.sum()


def simulate(
    setting: Setting, people: People, rng: np.random.Generator
) -> tuple[pd.DataFrame, Floats]:
    """Make up the sales of restricted goods, and the share of minors that each cashier spares."""
    n_cashiers = setting.n_stores * N_CASHIERS
    sizes = np.full(n_cashiers, setting.per_cashier)
    sizes[rng.permutation(n_cashiers)[: round(setting.few * n_cashiers)]] = setting.few_sales
    strengths = np.zeros(n_cashiers)
    strengths[rng.permutation(n_cashiers)[: len(setting.strengths)]] = setting.strengths
    cashier = np.repeat(np.arange(n_cashiers), sizes)
    n_sales = len(cashier)
    customer = np.full(n_sales, -1)
    n_regulars = 0
    if setting.regulars:
        customer, n_regulars = _visits(setting, cashier, rng)
    strangers = customer < 0
    customer[strangers] = n_regulars + np.arange(strangers.sum())
    store = cashier // N_CASHIERS
    n_tills = N_CASHIERS if setting.own_till else N_TILLS
    if setting.own_till:
        till = cashier % N_CASHIERS
    else:
        # Cashiers have tills that they sit at more often.
        habit = np.cumsum(rng.dirichlet(np.ones(N_TILLS), n_cashiers), axis=1)
        till = (rng.random(n_sales)[:, None] > habit[cashier]).sum(axis=1).clip(max=N_TILLS - 1)
    hour, day = rng.integers(8, 22, n_sales), rng.integers(0, N_DAYS, n_sales)
    # The last of several stores stands beside a university, and so does the first till of each.
    young = setting.young & ((till == 0) | ((store == setting.n_stores - 1) & (store > 0)))
    photo = np.empty(n_sales, dtype=int)
    for is_young, mix in ((False, USUAL), (True, YOUNG)):
        rows = young == is_young
        photo[rows] = rng.choice(len(people.ages), rows.sum(), p=chances(people.ages, mix))
    if n_regulars:
        # A regular is one person at all visits: the one who came first.
        _, first, back = np.unique(customer, return_index=True, return_inverse=True)
        photo = photo[first][back]
    age, predicted = people.ages[photo], people.predictions[photo]
    looks = age + 0.5 * (predicted - age) + rng.normal(0, 2.5, n_sales)
    asks_under = rng.normal(25, 1, n_cashiers)[cashier]
    if setting.policy_change:
        asks_under = asks_under + 5 * (day >= N_DAYS // 2)
    forgets = rng.beta(4, 196, n_cashiers)
    forgotten = rng.random(n_sales) < forgets[cashier] * np.where(hour >= 17, 1.5, 0.8)
    checked = (looks < asks_under) & ~forgotten
    minor = age < 18
    checked &= ~(minor & (rng.random(n_sales) < strengths[cashier]))
    order = np.argsort(day * 24 + hour, kind="stable")
    if n_regulars:
        known = _known(customer, cashier, checked, order, n_regulars)
        if setting.acquainted:
            known |= customer < n_regulars
        checked &= ~(known & ~minor & (rng.random(n_sales) < setting.memory))
    answers = _seen_by_cameras(setting, people, photo, store * n_tills + till, rng)
    if setting.missing:
        rate = np.where(age < 25, setting.missing, setting.missing / 5)
        answers[rng.random(n_sales) < rate] = np.nan
    seen = answers[:, 0]
    table = pd.DataFrame(
        {
            "time": np.datetime64("2025-01-01") + (day * 24 + hour).astype("timedelta64[h]"),
            "store": store,
            "till": till,
            "cashier": cashier,
            "customer": customer,
            "age": seen,
            "true_age": age,
            "under_legal": answers[:, 1],
            "under_challenge": answers[:, 2],
            "required": np.select([np.isnan(seen), seen < 25], ["cannot tell", "ask"], "sell"),
            "id_checked": checked,
        }
    ).iloc[order]
    if not setting.refusals:
        table = table[~(minor & checked)[order]]
    return table.reset_index(drop=True), strengths


def chances(ages: Codes, mix: tuple[float, ...]) -> Floats:
    """Chance of each photo, so that ages are mixed as wanted."""
    weights = np.zeros(len(ages))
    for (low, high), share in zip(AGES, mix, strict=True):
        years = [year for year in range(low, high + 1) if (ages == year).any()]
        for year in years:
            who = ages == year
            weights[who] = share / len(years) / who.sum()
    return weights / weights.sum()


def _visits(setting: Setting, cashier: Codes, rng: np.random.Generator) -> tuple[Codes, int]:
    """Who of the regulars buys in each sale; -1 for a stranger."""
    n_cashiers = int(cashier.max()) + 1
    customer = np.full(len(cashier), -1)
    regular = np.flatnonzero(rng.random(len(cashier)) < setting.regulars)
    n_regulars = max(1, round(len(regular) / VISITS_OF_REGULARS))
    # Some come every other day, some once a month; each has a cashier whom they go to most.
    how_often = rng.gamma(1.5, 1.0, n_regulars)
    sales = np.bincount(cashier, minlength=n_cashiers)
    favourite = rng.choice(n_cashiers, n_regulars, p=sales / sales.sum())
    of_store = favourite // N_CASHIERS
    for one in np.unique(cashier):
        mine = regular[cashier[regular] == one]
        fans = np.flatnonzero(favourite == one)
        others = np.flatnonzero(of_store == one // N_CASHIERS)
        to_fans = rng.random(len(mine)) < setting.favourite
        for who, rows in ((fans, mine[to_fans]), (others, mine[~to_fans])):
            if len(who):
                p = how_often[who] / how_often[who].sum()
                customer[rows] = rng.choice(who, len(rows), p=p)
    return customer, n_regulars


def _known(
    customer: Codes,
    cashier: Codes,
    asked: npt.NDArray[np.bool_],
    order: Codes,
    n_regulars: int,
) -> npt.NDArray[np.bool_]:
    """In which sales the cashier has seen the customer's card before."""
    rows = order[customer[order] < n_regulars]
    pair = customer[rows] * (int(cashier.max()) + 1) + cashier[rows]
    rows = rows[np.argsort(pair, kind="stable")]
    pair = np.sort(pair, kind="stable")
    start = np.flatnonzero(np.diff(pair, prepend=-1))
    before = np.cumsum(asked[rows]) - asked[rows]
    sizes = np.diff(np.append(start, len(rows)))
    seen = before - np.repeat(before[start], sizes) if len(rows) else before
    known = np.zeros(len(customer), dtype=bool)
    known[rows] = seen > 0
    return known


def _seen_by_cameras(
    setting: Setting, people: People, photo: Codes, till: Codes, rng: np.random.Generator
) -> Floats:
    n_tills = int(till.max()) + 1
    if setting.camera == "same":
        return people.answers(setting.bias)[photo]
    if setting.camera == "two":
        shifts = 3.0 * rng.integers(-1, 2, n_tills)
    else:
        shifts = rng.normal(0, 3, n_tills)
    answers = np.empty((len(photo), 3))
    for shift in np.unique(shifts):
        rows = shifts[till] == shift
        answers[rows] = people.answers(setting.bias + shift)[photo[rows]]
    return answers
