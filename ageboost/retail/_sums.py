"""Sums over receipts, by thing and by answer about the buyer: all that statistics need of lines.

Here they are computed from tables in memory; `_engine` lets a database compute the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ageboost.retail._answers import Answers, number_answers
from ageboost.retail._joins import check_join
from ageboost.retail._net_lines import count_uses, net_lines
from ageboost.retail._origin import origin_of
from ageboost.retail._repeated import check_unique
from ageboost.retail._who_bought import WhoBought, given_customers
from ageboost.retail.groups import AgeGroups, probability_under
from ageboost.retail.tables import Source, need_columns, read_table

__all__ = ["Sums", "answers_of", "sum_in_memory"]

_PAIRS_AT_ONCE = 200_000

Array = npt.NDArray[np.float64]


class Sums(Protocol):
    """What can be asked of receipts that are counted.

    Attributes
    ----------
    names : ndarray of shape (n_things,), object
        In rising order.
    n_receipts, n_buyers, n_priced : ndarray of shape (n_things,)
        Receipts that have each thing, their customers, and lines with a price.
    answers : Answers
    counts : DataFrame
        ``of``, ``outcome``, ``rows``: what became of receipts and lines.
    origin : str or None
        By which model ages were estimated, as :func:`origin_of` gives it.
    """

    @property
    def names(self) -> npt.NDArray[np.object_]: ...
    @property
    def n_receipts(self) -> Array: ...
    @property
    def n_buyers(self) -> Array: ...
    @property
    def n_priced(self) -> Array: ...
    @property
    def answers(self) -> Answers: ...
    @property
    def counts(self) -> pd.DataFrame: ...
    @property
    def origin(self) -> str | None: ...

    def bought(self, values: Array, *, alone: bool = False) -> Array:
        """Sum values of answers over the receipts that have each thing.

        Parameters
        ----------
        values : ndarray of shape (n_answers, n_values)
        alone : bool, default=False
            Whether to leave out receipts of known customers.

        Returns
        -------
        ndarray of shape (n_things, n_values)
        """
        ...

    def spent(self, values: Array) -> Array:
        """Sum values of answers, times what was paid for each thing.

        Parameters
        ----------
        values : ndarray of shape (n_answers, n_values)

        Returns
        -------
        ndarray of shape (n_things, n_values)
        """
        ...

    def by_customer(self, values: Array, totals: Array) -> tuple[Array, Array]:
        """Sum products of each known customer's sums of values over receipts with each thing.

        Parameters
        ----------
        values : ndarray of shape (n_answers, n_values)
        totals : ndarray of shape (n_customers, n_values)

        Returns
        -------
        squares, crossed : ndarray of shape (n_things, n_values, n_values)
            Of a customer's sums with each other, and with the customer's totals.
        """
        ...


@dataclass(frozen=True)
class _SumsInMemory:
    names: npt.NDArray[np.object_]
    n_receipts: Array
    n_buyers: Array
    n_priced: Array
    answers: Answers
    counts: pd.DataFrame
    origin: str | None
    _bought: sparse.csr_array  # (n_things, n_answers), as are the next two
    _alone: sparse.csr_array
    _spent: sparse.csr_array
    _pairs: sparse.csr_array  # (n_pairs of a thing and a customer, n_answers)
    _of_pair: npt.NDArray[np.intp]  # (n_pairs, 2)

    def bought(self, values: Array, *, alone: bool = False) -> Array:
        return np.asarray((self._alone if alone else self._bought) @ values)

    def spent(self, values: Array) -> Array:
        return np.asarray(self._spent @ values)

    def by_customer(self, values: Array, totals: Array) -> tuple[Array, Array]:
        n_values = values.shape[1]
        squares, crossed = np.zeros((2, len(self.names), n_values, n_values))
        for start in range(0, len(self._of_pair), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            things, customers = self._of_pair[part].T
            own = np.asarray(self._pairs[part] @ values)
            total = totals[customers]
            first = np.flatnonzero(np.diff(things, prepend=-1))
            squares[things[first]] += np.add.reduceat(own[:, :, None] * own[:, None, :], first)
            crossed[things[first]] += np.add.reduceat(own[:, :, None] * total[:, None, :], first)
        return squares, crossed


def sum_in_memory(
    lines: Source,
    buyers: Source,
    groups: AgeGroups,
    by: str,
    customers: WhoBought,
) -> Sums:
    """Read tables, and sum up what is counted.

    Parameters
    ----------
    lines, buyers : Source
        As for :func:`purchases_by_age_group`.
    groups : AgeGroups
    by : {"product", "category"}
    customers : array-like of shape (n_buyers,), table of receipts or str, optional
        As for :func:`purchases_by_age_group`.

    Returns
    -------
    Sums

    Raises
    ------
    RetailDataError
        As :func:`purchases_by_age_group`.
    """
    lines = read_table(lines, "lines")
    need_columns(lines, [by], "lines")
    buyers = read_table(buyers, "buyers")
    need_columns(buyers, ["status", "age"], "buyers")
    ids = buyers["receipt_id"]
    check_unique(buyers, "buyers")
    check_join(lines["receipt_id"], ids, "lines", "buyers")
    receipt = pd.Index(ids).get_indexer(lines["receipt_id"])
    has_lines = np.bincount(receipt[receipt >= 0], minlength=len(ids)) > 0
    counted, answers, answer, customer = answers_of(buyers, groups, customers, has_lines)
    # One place more, for lines whose receipt is at -1: the last.
    place = np.append(np.where(counted, counted.cumsum() - 1, -1), -1)
    used = place[receipt] >= 0
    sold = net_lines(lines[used], place[receipt[used]], by)
    status = buyers["status"].astype("str").reset_index(drop=True)
    told = _has_age(buyers, groups)
    counts = count_uses(lines, receipt, used, sold, status, told, has_lines)
    return _sum_up(sold, answer, customer, answers, counts, origin_of(buyers))


def answers_of(
    buyers: pd.DataFrame,
    groups: AgeGroups,
    customers: WhoBought,
    wanted: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], Answers, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find what the model said of buyers whose age is known.

    Parameters
    ----------
    buyers : DataFrame
    groups : AgeGroups
    customers : array-like of shape (n_buyers,), table of receipts or str, optional
        As for :func:`purchases_by_age_group`.
    wanted : ndarray of shape (n_buyers,), bool
        Whose receipts are counted, if their age is known.

    Returns
    -------
    counted : ndarray of shape (n_buyers,), bool
    answers : Answers
    answer, customer : ndarray of shape (n_counted,), int
        Of each buyer that is counted; -1 for a customer who is not known.
    """
    counted = _has_age(buyers, groups) & wanted
    distinct, answer = number_answers(_said(buyers, groups)[counted])
    customer, n_customers = _number_customers(customers, buyers, counted)
    known = customer >= 0
    ones = np.ones(int(known.sum()))
    answers = Answers(
        distinct[:, 1:],
        distinct[:, 0],
        np.bincount(answer[~known], minlength=len(distinct)).astype(np.float64),
        sparse.csr_array(
            (ones, (answer[known], customer[known])), shape=(len(distinct), n_customers)
        ),
    )
    return counted, answers, answer, customer


def _said(buyers: pd.DataFrame, groups: AgeGroups) -> Array:
    return np.column_stack(
        [buyers["age"].to_numpy(np.float64), probability_under(buyers, groups.edges)]
    )


def _has_age(buyers: pd.DataFrame, groups: AgeGroups) -> npt.NDArray[np.bool_]:
    known = ~np.isnan(_said(buyers, groups)).any(axis=1)
    return (buyers["status"] == "ok").to_numpy(bool, na_value=False) & known


def _sum_up(
    sold: pd.DataFrame,
    answer: npt.NDArray[np.intp],
    customer: npt.NDArray[np.intp],
    answers: Answers,
    counts: pd.DataFrame,
    origin: str | None,
) -> _SumsInMemory:
    """Sum up lines by thing and answer, and by thing and customer."""
    names = sold["thing"].cat.categories
    thing = sold["thing"].cat.codes.to_numpy().astype(np.intp)
    receipt = sold["receipt"].to_numpy()
    answer, customer = answer[receipt], customer[receipt]
    there = (sold["pieces"] > 0).to_numpy()
    shape = (len(names), len(answers.alone))

    def table(of: npt.NDArray[np.bool_], values: npt.ArrayLike) -> sparse.csr_array:
        return sparse.csr_array((values, (thing[of], answer[of])), shape=shape)

    alone = there & (customer < 0)
    of_known = there & (customer >= 0)
    n_customers = np.intp(max(answers.customers.shape[1], 1))
    keys, pair = np.unique(thing[of_known] * n_customers + customer[of_known], return_inverse=True)
    of_pair = np.column_stack(np.divmod(keys, n_customers))
    everything = np.ones(len(sold), dtype=bool)
    return _SumsInMemory(
        np.asarray(names, dtype=object),
        np.bincount(thing[there], minlength=len(names)).astype(np.float64),
        (
            np.bincount(thing[alone], minlength=len(names))
            + np.bincount(of_pair[:, 0], minlength=len(names))
        ).astype(np.float64),
        np.bincount(thing, sold["priced"], len(names)).astype(np.float64),
        answers,
        counts,
        origin,
        table(there, np.ones(int(there.sum()))),
        table(alone, np.ones(int(alone.sum()))),
        table(everything, sold["spend"].to_numpy()),
        sparse.csr_array(
            (np.ones(len(pair)), (pair, answer[of_known])), shape=(len(keys), shape[1])
        ),
        of_pair,
    )


def _number_customers(
    customers: WhoBought, buyers: pd.DataFrame, counted: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.intp], int]:
    """Number customers by their names; -1 for who is not known."""
    names = given_customers(customers, buyers)
    if names is None:
        return np.full(int(counted.sum()), -1, dtype=np.intp), 0
    given = pd.Series(names)[counted]
    texts = given.astype("str").where(given.notna())
    codes, names = pd.factorize(texts, sort=True)
    return codes, len(names)
