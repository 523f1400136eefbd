"""When customers of each age group come, and where: shares of receipts, with intervals.

A model's answers mix neighbouring ages, and each hour has a mix of its own. So the mix of every
hour (day, store) is estimated from what the model said of its buyers, as that of the shop is; where
there are few receipts it stays near to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from ageboost._age_bands import AgeBands
from ageboost._notebook import ShownInNotebooks
from ageboost._pages.figures import axes_or_new, plain_text
from ageboost.errors import RetailDataError
from ageboost.models import AgeCalibrator
from ageboost.models.known_people import KnownPeople
from ageboost.retail._joins import check_join, customers_of
from ageboost.retail._origin import find_calibration, origin_of
from ageboost.retail._repeated import check_unique, drop_repeated
from ageboost.retail._shop_mix import (
    adapt_memberships,
    names_known_before,
    people_of_groups,
    say_known_before,
)
from ageboost.retail._sums import answers_of
from ageboost.retail.counts import (
    FEWEST_BUYERS,
    FEWEST_RECEIPTS,
    count_outcomes,
    describe_counts,
)
from ageboost.retail.groups import AgeGroups
from ageboost.retail.tables import Source, need_columns, read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Customers", "Part", "customers_by_age_group", "customers_together"]

Part: TypeAlias = Literal["store", "date", "weekday", "hour"]

_PARTS = ("store", "date", "weekday", "hour")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NO_STORE = "(none)"
_N_DRAWS = 20
_STEPS = 200
_TOLERANCE = 1e-4
_PRIOR_RECEIPTS = 10.0
_DUST = 1e-9
_SURE = 0.95
_CLASS_EDGES = (8, 12, 15, 18, 21, 25, 30, 35, 40, 45, 50, 55, 60, 65, 72)
_PEOPLE_OF_A_CLASS = 50
_HIDDEN = f"not shown, of fewer than {FEWEST_RECEIPTS} receipts or {FEWEST_BUYERS} customers"

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Customers(ShownInNotebooks):
    """How many customers of each age group come, and when.

    Attributes
    ----------
    table : DataFrame
        One row for each cell (an hour of a store, say) and group: the columns of ``by``;
        ``group``; ``receipts`` of the cell, and ``with_age``, how many of them have the age of the
        buyer; ``share`` of the group among them, with ``share_low`` and ``share_high``;
        ``customers``, that share of all receipts of the cell, with ``customers_low`` and
        ``customers_high``: buyers whose age is not known are taken to be like the others;
        ``relative``, the share relative to that of all receipts, and ``sure``, how probable it is
        that the group is in fact more (or less) frequent there than among all. Cells of fewer than
        ten receipts with an age, or of fewer than three customers, are left out, and counted.
    counts : DataFrame
        ``of``, ``outcome``, ``rows``: what became of receipts.
    by : tuple of str
    coverage : float
        Of the intervals.
    known_before : tuple of str
        Groups of which the model was adapted with too few people: what is said of them rests on
        what it knew before.
    """

    table: pd.DataFrame
    counts: pd.DataFrame
    by: tuple[str, ...]
    coverage: float
    known_before: tuple[str, ...] = ()

    def __str__(self) -> str:
        n_cells = len(self.table) // max(self.table["group"].nunique(), 1)
        cells = f"{n_cells:,} cells by {', '.join(self.by)}"
        said = say_known_before(self.known_before)
        return f"{describe_counts(self.counts)}\n{cells}\n{said}".rstrip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of each group by the last column of ``by``, with its interval.

        Bold shares are surely (at 95 %) above or below that of the group among all. Where there are
        several columns, cells that differ in the others are added up, without intervals.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default in a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        column = self.by[-1]
        places = list(dict.fromkeys(self.table.sort_values(column)[column]))
        if column == "weekday":
            places = [name for name in _WEEKDAYS if name in places]
        groups = list(dict.fromkeys(self.table["group"]))
        ax = axes_or_new(ax, 2.0 + 0.62 * max(len(places), 5), 1.2 + 0.4 * max(len(groups), 4))
        ax.set(xlabel=_LABELS[column], ylabel="age group (years)")
        if not places:
            ax.set_title("too few receipts to say", fontsize="small")
            return ax
        cells = self.table.groupby(["group", column], sort=False)
        sums = cells[["customers", "receipts"]].sum()
        share = 100 * sums["customers"] / sums["receipts"]
        shares = np.array([[share[group, place] for place in places] for group in groups])
        drawn = ax.imshow(shares, cmap="Greys", vmin=0, aspect="auto")
        limit = shares.max() / 2
        one_each = len(self.by) == 1
        for row in self.table.itertuples() if one_each else ():
            at = places.index(getattr(row, column)), groups.index(row.group)
            color = "white" if 100 * row.share > limit else "black"
            weight = "bold" if row.sure >= _SURE else "normal"
            style: dict[str, Any] = {"ha": "center", "color": color}
            text = f"{100 * row.share:.0f}"
            ax.text(at[0], at[1], text, va="bottom", fontsize=8, weight=weight, **style)
            text = f"{100 * row.share_low:.0f}\N{EN DASH}{100 * row.share_high:.0f}"
            ax.text(at[0], at[1] + 0.05, text, va="top", fontsize=6, **style)
        ax.set_xticks(np.arange(len(places)), [_name(place) for place in places])
        ax.tick_params(axis="x", rotation=0 if column == "hour" or len(places) < 5 else 30)
        ax.set_yticks(np.arange(len(groups)), [plain_text(group) for group in groups])
        ax.figure.colorbar(drawn, ax=ax, shrink=0.7, label="share of receipts (%)")
        return ax


def customers_by_age_group(
    receipts: Source,
    buyers: Source,
    groups: AgeGroups | None = None,
    by: Sequence[Part] = ("store", "date", "hour"),
    *,
    calibration: AgeCalibrator | None = None,
    coverage: float = 0.95,
    zone: str | None = None,
) -> Customers:
    """Count customers of each age group, by hour, day and store.

    Parameters
    ----------
    receipts : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As for :func:`read_table`; with ``time`` unless ``by`` is ``["store"]``. Where there is a
        column ``customer``, receipts of one customer are not taken to be independent.
    buyers : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As :func:`estimate_buyers` gives it.
    groups : AgeGroups, optional
        By default ``AgeGroups()``.
    by : sequence of {"store", "date", "weekday", "hour"}, default=("store", "date", "hour")
        What a cell is.
    calibration : AgeCalibrator, optional
        As for :func:`purchases_by_age_group`.
    coverage : float, default=0.95
        Of the intervals.
    zone : str, optional
        Where the shop is, such as ``"Europe/Berlin"``, for times that have a time zone. By default
        hours are those of the times as they are given.

    Returns
    -------
    Customers

    Raises
    ------
    RetailDataError
        If a column is missing, a receipt is there twice, the ages were estimated by another model
        than ``calibration`` is of, or that model knows too few people of a group.

    Notes
    -----
    The mix of each cell is estimated in classes of ages that are narrower than the groups, since
    people of a cell are of other ages within a group than those of the whole shop. For intervals,
    the photos that the model was calibrated with and the customers are drawn anew twenty times.
    How often they hold was measured: "How well the mix of a shop's ages is known" in the
    documentation.

    Examples
    --------
    >>> import ageboost
    >>> from ageboost.datasets import make_shop
    >>> from ageboost.retail import customers_by_age_group, simulate_buyers
    >>> shop, model = make_shop(2000, random_state=0), ageboost.load_pretrained("fast")
    >>> buyers = simulate_buyers(shop.truth, model, random_state=0)
    >>> seen = customers_by_age_group(shop.receipts, buyers, by=["weekday"])
    >>> int(seen.table["receipts"].sum())  # of 2000, once for each of eight groups
    16000
    """
    [found] = customers_together(
        receipts, buyers, groups, [by], calibration=calibration, coverage=coverage, zone=zone
    )
    return found


def customers_together(
    receipts: Source,
    buyers: Source,
    groups: AgeGroups | None,
    several: Sequence[Sequence[Part]],
    *,
    calibration: AgeCalibrator | None = None,
    coverage: float = 0.95,
    zone: str | None = None,
) -> list[Customers]:
    """Count customers by several kinds of cells, with the work of one.

    Parameters
    ----------
    several : sequence of sequence of {"store", "date", "weekday", "hour"}
        Each as ``by`` of :func:`customers_by_age_group`, as are the other parameters.
    receipts, buyers, groups, calibration, coverage, zone
        As for :func:`customers_by_age_group`.

    Returns
    -------
    list of Customers
    """
    kinds = [_check(by, coverage) for by in several]
    groups = AgeGroups() if groups is None else groups
    receipts = read_table(receipts, "receipts")
    for parts in kinds:
        need_columns(receipts, _needed(parts), "receipts")
    receipts, _ = drop_repeated(receipts)
    buyers = read_table(buyers, "buyers")
    need_columns(buyers, ["status", "age"], "buyers")
    check_unique(buyers, "buyers")
    check_join(receipts["receipt_id"], buyers["receipt_id"], "receipts", "buyers")
    place = pd.Index(receipts["receipt_id"]).get_indexer(buyers["receipt_id"])
    known, answers, answer, customer = answers_of(
        buyers, groups, customers_of(buyers, receipts), place >= 0
    )
    fitting = find_calibration(origin_of(buyers), calibration)
    people = people_of_groups(fitting, groups)
    known_before = names_known_before(people, groups)
    classes = _narrow_classes(groups, people)
    adapted = adapt_memberships(answers, classes, fitting, people, _N_DRAWS)
    visits = []
    for parts in kinds:
        cells, cell = _find_cells(receipts, parts, zone)
        mixes = _Mixes(cell[place[known]], answer, customer, len(cells))
        visits.append(
            _Visits(parts, cells, cell, mixes, mixes.estimate(adapted.membership, adapted.mix))
        )
    rng = np.random.default_rng(0)
    wholes = []
    for membership, shares in adapted.draws:
        wholes.append(shares)
        for one in visits:
            one.drawn.append(one.mixes.estimate(membership, shares, one.mix, rng))
    # From classes back to groups, which begin where some class begins.
    group_of = np.eye(len(groups))[groups.index([0, *classes.edges])]
    ages = count_outcomes(
        "buyers", {"with an age": len(answer), "without": len(buyers) - len(answer)}
    )
    described = [
        one.describe(groups, group_of, adapted.mix, wholes, coverage, ages) for one in visits
    ]
    return [replace(one, known_before=known_before) for one in described]


_LABELS = {"store": "store", "date": "day", "weekday": "weekday", "hour": "hour of the day"}
_FIGURES = (
    *("share", "share_low", "share_high", "customers", "customers_low", "customers_high"),
    *("relative", "sure"),
)


@dataclass
class _Visits:
    """Cells of one kind, and the mixes of them that were estimated."""

    parts: tuple[str, ...]
    cells: pd.DataFrame
    cell: npt.NDArray[np.intp]
    mixes: _Mixes
    mix: Array
    drawn: list[Array] = field(default_factory=list)

    def describe(
        self,
        groups: AgeGroups,
        group_of: Array,
        whole: Array,
        wholes: list[Array],
        coverage: float,
        ages: pd.DataFrame,
    ) -> Customers:
        n_receipts = np.bincount(self.cell[self.cell >= 0], minlength=len(self.cells))
        with_age, n_customers = self.mixes.count()
        there = (with_age >= FEWEST_RECEIPTS) & (n_customers >= FEWEST_BUYERS)
        table = _tabulate(self.cells[there], groups, n_receipts[there], with_age[there])
        if self.drawn:
            shares = np.stack([one[there] @ group_of for one in self.drawn])
            of_all = np.stack(wholes) @ group_of
            found = self.mix[there] @ group_of
            table = _add_shares(table, found, whole @ group_of, shares, of_all, coverage)
        else:
            table = table.iloc[:0].assign(**dict.fromkeys(_FIGURES, np.array([])))
        outcomes = {
            "shown": int(n_receipts[there].sum()),
            _HIDDEN: int(n_receipts[~there].sum()),
            "without time": int((self.cell < 0).sum()),
        }
        outcomes = {name: rows for name, rows in outcomes.items() if rows}
        counts = [count_outcomes("receipts", outcomes), ages]
        return Customers(table, pd.concat(counts, ignore_index=True), self.parts, coverage)


def _narrow_classes(groups: AgeGroups, people: KnownPeople) -> AgeBands:
    """Part groups into classes, each with people enough to know what is said of them."""
    edges = {*groups.edges}
    for edge in _CLASS_EDGES:
        starts = sorted(edges | {edge})
        counts, at = people.count(starts), starts.index(edge)
        if edge not in edges and min(counts[at], counts[at + 1]) >= _PEOPLE_OF_A_CLASS:
            edges.add(edge)
    return AgeBands(sorted(edges))


def _check(by: Sequence[str], coverage: float) -> tuple[str, ...]:
    if not by or isinstance(by, str) or set(by) - set(_PARTS) or len(set(by)) < len(by):
        raise ValueError(f"by={by!r}: pass some of {', '.join(map(repr, _PARTS))}")
    if not 0 < coverage < 1:
        raise ValueError(f"coverage={coverage!r}: pass a share above 0 and below 1")
    return tuple(by)


def _needed(by: Sequence[str]) -> list[str]:
    return [*(["store"] if "store" in by else []), *(["time"] if {*by} - {"store"} else [])]


def _find_cells(
    receipts: pd.DataFrame, by: Sequence[str], zone: str | None
) -> tuple[pd.DataFrame, npt.NDArray[np.intp]]:
    """Find the cells, in order, and which each receipt belongs to; -1 without a time."""
    parts: dict[str, pd.Series] = {}
    if "store" in by:
        parts["store"] = receipts["store"].fillna(NO_STORE)
    if set(by) - {"store"}:
        times = receipts["time"]
        if zone is not None:
            if times.dt.tz is None:
                raise RetailDataError(f"zone={zone!r}, but times have no time zone: leave it out")
            times = times.dt.tz_convert(zone)
        times = times.dt.tz_localize(None)
        parts |= {
            "date": times.dt.normalize(),
            "weekday": times.dt.day_of_week,
            "hour": times.dt.hour,
        }
    table = pd.DataFrame({name: parts[name] for name in by})
    cell = table.groupby(list(by), sort=True, dropna=True).ngroup()
    cell = cell.where(table.notna().all(axis=1), -1).fillna(-1).to_numpy(np.intp)
    used = cell >= 0
    cells = table[used].assign(cell=cell[used]).drop_duplicates("cell").sort_values("cell")
    cells = cells.drop(columns="cell").reset_index(drop=True)
    if "weekday" in by:
        names = cells["weekday"].astype(int).map(dict(enumerate(_WEEKDAYS)))
        cells = cells.assign(weekday=names.astype("str"))
    if "hour" in by:
        cells = cells.assign(hour=cells["hour"].astype("int64"))
    return cells, cell


class _Mixes:
    """The mix of ages in each cell, by expectation maximisation from answers of a model."""

    def __init__(
        self,
        cell: npt.NDArray[np.intp],
        answer: npt.NDArray[np.intp],
        customer: npt.NDArray[np.intp],
        n_cells: int,
    ):
        used = cell >= 0
        cell, answer, customer = cell[used], answer[used], customer[used]
        self._cell, self._customer, self._n_cells = cell, customer, n_cells
        n_answers = int(answer.max(initial=-1)) + 1
        pairs, self._pair = np.unique(
            cell * np.int64(max(n_answers, 1)) + answer, return_inverse=True
        )
        self._of_cell, self._answer = np.divmod(pairs, max(n_answers, 1))
        self._first = np.flatnonzero(np.diff(self._of_cell, prepend=-1))

    def count(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Count receipts with an age and customers in each cell."""
        alone = np.bincount(self._cell[self._customer < 0], minlength=self._n_cells)
        known = self._customer >= 0
        named = pd.DataFrame({"cell": self._cell[known], "customer": self._customer[known]})
        named = named.drop_duplicates()["cell"].to_numpy(np.intp)
        n_receipts = np.bincount(self._cell, minlength=self._n_cells)
        return n_receipts, alone + np.bincount(named, minlength=self._n_cells)

    def estimate(
        self,
        membership: Array,
        mix: Array,
        start: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Array:
        """Estimate the mix of each cell; with ``rng``, of customers drawn anew."""
        weights = np.ones(len(self._pair)) if rng is None else self._draw(rng)
        counts = np.bincount(self._pair, weights, len(self._answer))
        likelihood = (membership / mix.clip(_DUST))[self._answer]
        found = np.tile(mix, (self._n_cells, 1)) if start is None else start
        there = self._of_cell[self._first]
        prior = _PRIOR_RECEIPTS * mix
        for _ in range(_STEPS if len(counts) else 0):
            before = found
            parts = likelihood * found[self._of_cell]
            parts *= (counts / parts.sum(axis=1).clip(_DUST))[:, None]
            sums = np.add.reduceat(parts, self._first) + prior
            found = found.copy()
            found[there] = sums / sums.sum(axis=1, keepdims=True)
            if np.abs(found - before).max() < _TOLERANCE:
                break
        return found

    def _draw(self, rng: np.random.Generator) -> Array:
        weights = rng.exponential(1.0, len(self._pair))
        known = self._customer >= 0
        if known.any():
            of_customer = rng.exponential(1.0, int(self._customer.max()) + 1)
            weights[known] = of_customer[self._customer[known]]
        return weights


def _tabulate(
    cells: pd.DataFrame,
    groups: AgeGroups,
    n_receipts: npt.NDArray[np.intp],
    with_age: npt.NDArray[np.intp],
) -> pd.DataFrame:
    n_groups = len(groups)
    table = cells.loc[cells.index.repeat(n_groups)].reset_index(drop=True)
    return table.assign(
        group=pd.Series(list(groups.names) * len(cells), dtype="str"),
        receipts=np.repeat(n_receipts, n_groups),
        with_age=np.repeat(with_age, n_groups),
    )


def _add_shares(
    table: pd.DataFrame, mix: Array, whole: Array, drawn: Array, wholes: Array, coverage: float
) -> pd.DataFrame:
    """Put intervals around shares, by the spread of their log odds over draws."""
    odds, odds_drawn = _log_odds(mix), _log_odds(drawn)
    reach = stats.t.ppf((1 + coverage) / 2, len(drawn) - 1) * odds_drawn.std(axis=0, ddof=1)
    low, high = (1 / (1 + np.exp(-(odds + side * reach))) for side in (-1, 1))
    # Whatever draws do to a cell and to all alike is no difference between them.
    apart = odds - _log_odds(whole)
    spread = (odds_drawn - _log_odds(wholes)[:, None, :]).std(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        sure = stats.t.cdf(np.abs(apart) / spread, len(drawn) - 1)
    n = table["receipts"].to_numpy()
    return table.assign(
        share=mix.ravel(),
        share_low=low.ravel(),
        share_high=high.ravel(),
        customers=n * mix.ravel(),
        customers_low=n * low.ravel(),
        customers_high=n * high.ravel(),
        relative=(mix / whole.clip(_DUST)).ravel(),
        sure=np.nan_to_num(sure, nan=0.5).ravel(),
    )


def _log_odds(shares: Array) -> Array:
    return np.log(shares.clip(_DUST) / (1 - shares).clip(_DUST))


def _name(place: object) -> str:
    if isinstance(place, pd.Timestamp):
        return f"{place:%Y-%m-%d}"
    return plain_text(str(place)[:10])
