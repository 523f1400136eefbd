"""Sales as arrays: whose they are, where and when, and which of them can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix

from ageboost.retail.counts import count_outcomes

__all__ = ["Facts"]

_HOURS = 4
_SATURDAY = 5
COMPARED = "compared with colleagues"
_ALONE = "no colleague of the cashier at the till"
_AGAIN = "the cashier had served this customer before"
_NO_FACE = "no usable face"
_NOT_RECORDED = "not recorded whether a card was asked for"
_NOBODY = "no cashier named"
# Of a till where colleagues have fewer sales than this, nobody knows how its camera sees.
_SALES_OF_COLLEAGUES = 30
_SURE_WITH_CUSTOMERS = 0.9

Codes = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Facts:
    """What is known of each sale; names as numbers.

    Parameters
    ----------
    names, store_names : ndarray of shape (n_cashiers,)
        What each cashier is called, and where; the store is missing where a name means one person
        in all stores.
    cashiers, stores, tills, hours, days : ndarray of shape (n_sales,)
        A cashier who is not named is -1.
    checked : ndarray of shape (n_sales,)
    legal, challenge : ndarray of shape (n_sales,)
        Probabilities of being under the two ages; NaN without a usable face.
    use : ndarray of shape (n_sales,)
        Sales with a cashier, a face and a record.
    compare : ndarray of shape (n_sales,)
        Those of them that say something of the cashier beside colleagues: the first to each
        customer, at a till where colleagues sell as well.
    colleagues : ndarray of shape (n_cashiers,)
        On the same tills.
    outcome : ndarray of shape (n_sales,)
        In words.
    customers_known : float
        Share of sales of which it is known who bought.
    """

    names: npt.NDArray
    store_names: npt.NDArray
    cashiers: Codes
    stores: Codes
    tills: Codes
    hours: Codes
    days: Codes
    checked: Flags
    legal: Floats
    challenge: Floats
    use: Flags
    compare: Flags
    colleagues: Codes
    outcome: npt.NDArray
    customers_known: float

    @classmethod
    def of(cls, table: pd.DataFrame, cashiers_move: bool) -> Facts:
        """Read a table of sales.

        Parameters
        ----------
        table : DataFrame
        cashiers_move : bool
            Whether a cashier's name means one person in all stores.

        Returns
        -------
        Facts
        """
        stores, store_names = _codes(table, "store")
        cashiers, names, of_store = _people(table, stores, store_names, cashiers_move)
        n = len(names)
        tills = _pairs(stores, _codes(table, "till")[0])
        checked = table["id_checked"].astype("boolean")
        recorded = checked.notna().to_numpy()
        legal = table["under_legal"].to_numpy(dtype=np.float64)
        face = ~np.isnan(legal)
        use = face & recorded & (cashiers >= 0)
        customers = _customers(table)
        first = np.zeros(len(table), dtype=bool)
        first[use] = _first_sales(cashiers[use], customers[use], _order(table)[use])
        company = np.zeros(len(table), dtype=bool)
        company[first] = _colleagues_sell(cashiers[first], tills[first], n)
        outcome = np.select(
            [cashiers < 0, ~recorded, ~face, ~first, ~company],
            [_NOBODY, _NOT_RECORDED, _NO_FACE, _AGAIN, _ALONE],
            COMPARED,
        )
        return cls(
            names=names,
            store_names=of_store,
            cashiers=cashiers,
            stores=stores,
            tills=tills,
            hours=_pairs(stores, _hours(table)),
            days=_days(table),
            checked=checked.fillna(False).to_numpy(dtype=bool),
            legal=legal,
            challenge=table["under_challenge"].to_numpy(dtype=np.float64),
            use=use,
            compare=company,
            colleagues=_company(cashiers[use], tills[use], n),
            outcome=outcome,
            customers_known=float((customers[use] >= 0).mean()) if use.any() else 0.0,
        )

    @property
    def knows_customers(self) -> bool:
        """Whether enough is known of who came again."""
        return self.customers_known >= _SURE_WITH_CUSTOMERS

    def count(self, rows: Flags) -> Codes:
        """Count sales of each cashier."""
        return np.bincount(self.cashiers[rows & (self.cashiers >= 0)], minlength=len(self.names))

    def recorded(self) -> Flags:
        return self.outcome != _NOT_RECORDED

    def describe(self) -> pd.DataFrame:
        """Count sales by what became of them."""
        return count_outcomes("sales of restricted goods", pd.Series(self.outcome), [COMPARED])


def _people(
    table: pd.DataFrame, stores: Codes, store_names: npt.NDArray, cashiers_move: bool
) -> tuple[Codes, npt.NDArray, npt.NDArray]:
    """Number the cashiers: one of each store and name, or of each name."""
    codes, names = _codes(table, "cashier")
    codes, names = codes - 1, names[1:]
    if cashiers_move:
        return codes, names, np.full(len(names), None, dtype=object)
    known = codes >= 0
    n_stores = int(stores.max(initial=0)) + 1
    pairs, place = _number(codes[known] * n_stores + stores[known])
    people = np.full(len(table), -1, dtype=np.intp)
    people[known] = place
    return people, names[pairs // n_stores], store_names[pairs % n_stores]


def _codes(table: pd.DataFrame, column: str) -> tuple[Codes, npt.NDArray]:
    """Number the names of a column in their order, from 1; what is missing is 0."""
    if column not in table:
        return np.zeros(len(table), dtype=np.intp), np.array([None], dtype=object)
    codes, found = pd.factorize(table[column])
    texts = pd.Series(found).astype("str").to_numpy(dtype=object)
    order = np.argsort(texts, kind="stable")
    rank = np.empty(len(order) + 1, dtype=np.intp)
    rank[order] = np.arange(1, len(order) + 1)
    rank[-1] = 0
    return rank[codes], np.append([None], texts[order])


def _pairs(first: Codes, second: Codes) -> Codes:
    return _number(first * (int(second.max(initial=0)) + 1) + second)[1]


def _number(codes: Codes) -> tuple[Codes, Codes]:
    """Find the codes that occur, in their order, and the place of each sale's among them."""
    # By a table of hashes: to sort all sales takes ten times as long.
    places, found = pd.factorize(codes, sort=True)
    return found, places


def _hours(table: pd.DataFrame) -> Codes:
    """Four hours of working days, or of weekends."""
    if not _has_times(table):
        return np.zeros(len(table), dtype=np.intp)
    time = table["time"].dt
    part = time.hour // _HOURS + np.where(time.day_of_week >= _SATURDAY, 24 // _HOURS, 0)
    return (part.fillna(-1).to_numpy() + 1).astype(np.intp)


def _days(table: pd.DataFrame) -> Codes:
    """Number of the day; sales without one are of one day."""
    if not _has_times(table):
        return np.zeros(len(table), dtype=np.intp)
    return pd.factorize(table["time"].dt.normalize())[0].astype(np.intp)


def _order(table: pd.DataFrame) -> Codes:
    """Places of sales in time; those without one come last."""
    if not _has_times(table):
        return np.arange(len(table))
    order = np.argsort(table["time"].to_numpy(), kind="stable")
    places = np.empty(len(table), dtype=np.intp)
    places[order] = np.arange(len(table))
    return places


def _has_times(table: pd.DataFrame) -> bool:
    return "time" in table and pd.api.types.is_datetime64_any_dtype(table["time"])


def _customers(table: pd.DataFrame) -> Codes:
    if "customer" not in table:
        return np.full(len(table), -1, dtype=np.intp)
    return pd.factorize(table["customer"])[0].astype(np.intp)


def _first_sales(cashiers: Codes, customers: Codes, order: Codes) -> Flags:
    """Find the first sale of each cashier to each customer; a stranger's is always one.

    Who has seen a card need not ask for it again, so later sales say nothing of care.
    """
    first = customers < 0
    rows = np.flatnonzero(~first)
    rows = rows[np.argsort(order[rows])]
    pairs = cashiers[rows] * (int(customers.max(initial=0)) + 1) + customers[rows]
    first[rows[~pd.Series(pairs).duplicated().to_numpy()]] = True
    return first


def _colleagues_sell(cashiers: Codes, tills: Codes, n_cashiers: int) -> Flags:
    """Whether colleagues have sales enough at the till of each sale."""
    at_till = np.bincount(tills)
    n_tills = len(at_till)
    own = np.bincount(cashiers * n_tills + tills, minlength=n_cashiers * n_tills)
    return at_till[tills] - own[cashiers * n_tills + tills] >= _SALES_OF_COLLEAGUES


def _company(cashiers: Codes, places: Codes, n_cashiers: int) -> Codes:
    """Number of others who worked at any of the places of each cashier."""
    if not len(cashiers):
        return np.zeros(n_cashiers, dtype=np.intp)
    n_places = int(places.max()) + 1
    cells = pd.unique(cashiers.astype(np.int64) * n_places + places)
    there = csr_matrix(
        (np.ones(len(cells), dtype=np.int64), (cells // n_places, cells % n_places)),
        shape=(n_cashiers, n_places),
    )
    together = (there @ there.T).tocsr()
    return np.maximum(np.diff(together.indptr) - 1, 0).astype(np.intp)
