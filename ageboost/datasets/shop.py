"""A made-up supermarket of which everything is known: receipts, cashiers, and who bought what."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import check_random_state

from ageboost._age_bands import SHOP_EDGES

__all__ = ["Shop", "make_shop", "make_till_photos"]

_FIRST_AGES = (6, *SHOP_EDGES)
_LAST_AGES = (*(edge - 1 for edge in SHOP_EDGES), 90)
# Shares of these age groups among those who pay, in a usual store and in one beside a college.
_USUAL_MIX = (0.01, 0.04, 0.10, 0.20, 0.20, 0.17, 0.14, 0.14)
_YOUNG_MIX = (0.02, 0.14, 0.34, 0.20, 0.12, 0.08, 0.06, 0.04)
_RESTRICTED = ("beer", "wine", "spirits")
_LEGAL_AGE, _CHALLENGE_AGE = 18, 25
_YOUNGEST_TO_TRY = 15
_YEARS_MISJUDGED = 3.0
_OPENS, _CLOSES = 8, 21


@dataclass(frozen=True)
class Shop:
    """What a supermarket knows, and what nobody knows of a real one.

    Attributes
    ----------
    receipts : DataFrame
        ``receipt_id``, ``time``, ``store``, ``till``, ``cashier`` and ``id_checked``: whether the
        cashier asked for an identity card. In order of time.
    lines : DataFrame
        ``receipt_id``, ``product``, ``category``, ``quantity``, ``price`` of one piece.
    truth : DataFrame
        ``receipt_id`` and ``age``, the age of the buyer in years.
    cashiers : DataFrame
        ``cashier``, ``store`` and ``honest``.
    products : DataFrame
        ``product``, ``category``, ``price``, ``rate`` (share of receipts with it) and, for each
        age group, by which factor its members buy more of it.
    """

    receipts: pd.DataFrame
    lines: pd.DataFrame
    truth: pd.DataFrame
    cashiers: pd.DataFrame
    products: pd.DataFrame


def make_shop(
    n_receipts: int = 5000,
    *,
    n_stores: int = 2,
    n_tills: int = 3,
    n_cashiers: int = 8,
    dishonest: int = 1,
    random_state: int | np.random.RandomState | None = None,
) -> Shop:
    """Make up a year of receipts of a small chain of supermarkets.

    Age groups buy by known rates. The last of two or more stores stands beside a college, and has
    far younger customers. Minors try to buy alcohol from 15 on. Cashiers ask for an identity card
    who looks younger than 25 to them, are sometimes wrong about looks and forget one check in
    fifty; who is asked and is under 18 gets no alcohol. Dishonest ones do not ask half of the
    minors.

    Parameters
    ----------
    n_receipts : int, default=5000
    n_stores : int, default=2
    n_tills : int, default=3
        In each store.
    n_cashiers : int, default=8
        In each store.
    dishonest : int, default=1
        How many cashiers of each store are dishonest.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    Shop

    Examples
    --------
    >>> from ageboost.datasets import make_shop
    >>> shop = make_shop(1000, random_state=0)
    >>> len(shop.receipts), sorted(shop.lines["category"].unique())[:3]
    (1000, ['baby', 'beer', 'bread'])
    """
    if not 0 <= dishonest <= n_cashiers:
        raise ValueError(f"dishonest={dishonest} of n_cashiers={n_cashiers}: pass at most as many")
    rng = check_random_state(random_state)
    with files("ageboost.datasets").joinpath("shop_products.csv").open(encoding="utf-8") as source:
        products = pd.read_csv(source)
    # One receipt in thirty would be empty; real ones are not.
    n_drawn = int(n_receipts * 1.1) + 50
    store = rng.randint(n_stores, size=n_drawn)
    ages = _draw_ages(store, n_stores, rng)
    bought = _draw_baskets(ages, products, rng)
    receipts = _draw_visits(store, n_tills, n_cashiers, rng)
    number = receipts["cashier"].to_numpy()
    honest = np.tile(np.arange(n_cashiers) >= dishonest, n_stores)
    restricted = products["category"].isin(_RESTRICTED).to_numpy()
    bought[np.ix_(ages < _YOUNGEST_TO_TRY, restricted)] = False
    checked = _draw_checks(ages, number, honest, rng) & bought[:, restricted].any(axis=1)
    bought[np.ix_(checked & (ages < _LEGAL_AGE), restricted)] = False

    kept = np.flatnonzero(bought.any(axis=1))[:n_receipts]
    kept = kept[np.argsort(receipts["time"].to_numpy()[kept], kind="stable")]
    ids = pd.Series([f"R{row:07d}" for row in range(len(kept))], dtype="str")
    names = [f"C{row:03d}" for row in range(n_stores * n_cashiers)]
    receipts = receipts.iloc[kept].reset_index(drop=True)
    receipts["store"] = [f"S{row}" for row in receipts["store"]]
    receipts["till"] = [f"T{row}" for row in receipts["till"]]
    receipts["cashier"] = [names[row] for row in receipts["cashier"]]
    receipts.insert(0, "receipt_id", ids)
    receipts["id_checked"] = checked[kept]
    row, column = np.nonzero(bought[kept])
    lines = pd.DataFrame(
        {
            "receipt_id": ids.to_numpy()[row],
            "product": products["product"].to_numpy()[column],
            "category": products["category"].to_numpy()[column],
            "quantity": 1 + rng.poisson(0.3, size=len(row)),
            "price": products["price"].to_numpy()[column],
        }
    )
    return Shop(
        receipts,
        lines,
        pd.DataFrame({"receipt_id": ids, "age": ages[kept]}),
        pd.DataFrame(
            {
                "cashier": names,
                "store": [f"S{row // n_cashiers}" for row in range(len(names))],
                "honest": honest,
            }
        ),
        products,
    )


def make_till_photos(
    shop: Shop,
    labels: pd.DataFrame,
    *,
    missing: float = 0.02,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Give each buyer of a made-up shop a real photo of somebody of that age.

    Parameters
    ----------
    shop : Shop
    labels : DataFrame
        ``photo`` and ``age``, as the readers of this package give them.
    missing : float, default=0.02
        Share of receipts for which the camera took no photo.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    DataFrame
        ``photo``, ``time`` (up to 20 seconds before the receipt's), ``store`` and ``till``. A buyer
        whose age nobody has in ``labels`` gets somebody of the age next to it.

    Raises
    ------
    ValueError
        If there are no labelled photos.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.datasets import make_shop, make_till_photos
    >>> labels = pd.DataFrame({"photo": ["ann.jpg", "bob.jpg"], "age": [20, 60]})
    >>> photos = make_till_photos(make_shop(100, random_state=0), labels, random_state=0)
    >>> list(photos), 90 < len(photos) <= 100
    (['photo', 'time', 'store', 'till'], True)
    """
    if labels.empty:
        raise ValueError("no labelled photos to take buyers from: pass at least one")
    rng = check_random_state(random_state)
    by_age = labels.groupby("age")["photo"].apply(list)
    known = by_age.index.to_numpy(dtype=float)
    ages = shop.truth["age"].to_numpy()
    nearest = np.abs(ages[:, None] - known).argmin(axis=1)
    people = [by_age.iloc[place] for place in nearest]
    photos = [group[rng.randint(len(group))] for group in people]
    seconds = pd.to_timedelta(rng.randint(0, 21, size=len(ages)), unit="s")
    table = pd.DataFrame(
        {
            "photo": photos,
            "time": shop.receipts["time"] - seconds,
            "store": shop.receipts["store"],
            "till": shop.receipts["till"],
        }
    )
    return table[rng.uniform(size=len(table)) >= missing].reset_index(drop=True)


def _draw_ages(store: npt.NDArray, n_stores: int, rng) -> npt.NDArray[np.intp]:
    beside_college = (store == n_stores - 1) & (n_stores > 1)
    mixes = np.where(beside_college[:, None], _YOUNG_MIX, _USUAL_MIX).cumsum(axis=1)
    group = (rng.uniform(size=(len(store), 1)) > mixes[:, :-1]).sum(axis=1)
    return rng.randint(np.take(_FIRST_AGES, group), np.take(_LAST_AGES, group) + 1)


def _draw_baskets(ages: npt.NDArray, products: pd.DataFrame, rng) -> npt.NDArray[np.bool_]:
    factors = products.iloc[:, -len(_FIRST_AGES) :].to_numpy()
    group = np.searchsorted(_FIRST_AGES, ages, side="right") - 1
    rates = (products["rate"].to_numpy()[:, None] * factors).clip(0, 0.95)
    return rng.uniform(size=(len(ages), len(products))) < rates.T[group]


def _draw_visits(store: npt.NDArray, n_tills: int, n_cashiers: int, rng) -> pd.DataFrame:
    n_visits = len(store)
    till = rng.randint(n_tills, size=n_visits)
    day = rng.randint(365, size=n_visits)
    second = rng.randint(_OPENS * 3600, _CLOSES * 3600, size=n_visits)
    shift = second * 2 // ((_OPENS + _CLOSES) * 3600)
    # Each shift of each till has one cashier of that store.
    on_duty = rng.randint(n_cashiers, size=(store.max() + 1, n_tills, 365, 2))
    time = pd.Timestamp("2025-01-01") + pd.to_timedelta(day * 86400 + second, unit="s")
    return pd.DataFrame(
        {
            "time": time,
            "store": store,
            "till": till,
            "cashier": store * n_cashiers + on_duty[store, till, day, shift],
        }
    )


def _draw_checks(ages, cashier, honest, rng) -> npt.NDArray[np.bool_]:
    """Draw whom each cashier would ask for a card, if there were alcohol on the receipt."""
    looks = ages + rng.normal(0, _YEARS_MISJUDGED, size=len(ages))
    thorough = rng.beta(196, 4, size=len(honest))[cashier]
    asked = (looks < _CHALLENGE_AGE) & (rng.uniform(size=len(ages)) < thorough)
    minor = ages < _LEGAL_AGE
    asked |= minor & (rng.uniform(size=len(ages)) < 0.98)
    waved_through = minor & ~honest[cashier] & (rng.uniform(size=len(ages)) < 0.5)
    return asked & ~waved_through
