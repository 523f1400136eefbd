"""What each age group buys more of than others, and what to offer it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from ageboost._notebook import ShownInNotebooks
from ageboost._pages.figures import axes_or_new, plain_text
from ageboost.models import AgeCalibrator
from ageboost.retail._engine import sums_in_engine
from ageboost.retail._origin import find_calibration
from ageboost.retail._places import is_in_place
from ageboost.retail._rates import clear_offers, widen_chosen
from ageboost.retail._shop_mix import (
    adapt_memberships,
    names_known_before,
    people_of_groups,
    say_known_before,
)
from ageboost.retail._sums import Sums, sum_in_memory
from ageboost.retail._things import tabulate
from ageboost.retail._who_bought import WhoBought
from ageboost.retail.counts import (
    FEWEST_BUYERS,
    FEWEST_RECEIPTS,
    count_outcomes,
    describe_counts,
)
from ageboost.retail.groups import AgeGroups
from ageboost.retail.tables import Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Purchases", "purchases_by_age_group"]

Array = npt.NDArray[np.float64]

_DUST = 1e-9
_N_DRAWS = 20
_ADULT = 18
_HIDDEN = (
    f"not shown, of things on fewer than {FEWEST_RECEIPTS} receipts or of fewer than "
    f"{FEWEST_BUYERS} customers"
)
_UNKNOWN_CUSTOMERS = (
    "It is not known which customers came again, so no share of false differences is "
    "promised: what one household buys each week looks like a habit of its age. Add the column "
    "'customer' to the receipts; in Python, also pass customers=shop.receipts."
)


@dataclass(frozen=True, repr=False)
class Purchases(ShownInNotebooks):
    """What each age group buys: a table, and what follows from it.

    Attributes
    ----------
    table : DataFrame
        One row for each thing and group. ``product`` or ``category``, ``group``; ``receipts`` (how
        many of the group's have the thing) and ``spend`` (on it), both weighted by membership, so
        that they add up over groups; ``share`` of the group's receipts that have the thing;
        ``lift``, that share relative to the share of all receipts, with ``lift_low`` and
        ``lift_high``; ``uncorrected_lift`` and ``uncorrected_low``, the same without a correction
        for mixed groups; ``p_value`` of a lift of 1, and ``q_value``, the false discovery rate at
        which it would be claimed that there is a difference; ``significant``, whether that is at
        most ``fdr``; ``supported``, whether there are enough receipts to say anything. Where there
        are not, p and q are missing. Things on fewer than ten receipts, or of fewer than three
        customers, are left out, and counted.
    counts : DataFrame
        ``of``, ``outcome``, ``rows``: what became of receipts and lines. Each part adds up to
        what was given.
    mix : Series
        Share of each group among the buyers.
    mix_interval : DataFrame
        ``low`` and ``high`` of these shares, for each group.
    by : {"product", "category"}
    coverage : float
        Of the intervals.
    fdr : float
    customers_known : bool
        Whether it is known who came again. Otherwise no share of false differences is promised.
    minors : tuple of str
        Groups all of whom are under 18: they get no offers unless those are asked for.
    known_before : tuple of str
        Groups of which the model was adapted with too few people: what is said of them rests on
        what it knew before.
    """

    table: pd.DataFrame
    counts: pd.DataFrame
    mix: pd.Series
    mix_interval: pd.DataFrame
    by: str
    coverage: float
    fdr: float
    customers_known: bool
    minors: tuple[str, ...]
    known_before: tuple[str, ...] = ()

    @property
    def promise(self) -> str:
        """What may be believed of the differences, in a sentence or two."""
        if not self.customers_known:
            return _UNKNOWN_CUSTOMERS
        return (
            f"On average over many shops, at most {self.fdr:.0%} of the differences called "
            'significant are false (measured: "Do ages estimated from photos lead to the same '
            'offers as true ages?" in the documentation, rows "customers known").'
        )

    def __str__(self) -> str:
        n_cells = int(self.table["supported"].sum())
        n_things = self.table[self.by].nunique()
        return (
            f"{describe_counts(self.counts)}\n{n_cells:,} of {len(self.table):,} pairs of {self.by}"
            f" ({n_things:,}) and age group have enough receipts; "
            f"{int(self.table['significant'].sum()):,} differ at a false discovery rate of "
            f"{self.fdr:.0%}. {self.promise}\n{say_known_before(self.known_before)}"
        ).rstrip()

    def offers(
        self,
        group: str,
        n: int = 10,
        certainty: float = 0.75,
        staple: float = 0.1,
        minors: bool = False,
    ) -> pd.DataFrame:
        """Choose what to offer to a group: what it buys most plainly more of than others.

        Things are ranked by a lower bound of their uncorrected lift, so that neither luck with a
        few receipts nor what everybody buys alike comes first. Mixing of groups makes differences
        smaller but hardly changes their order, and undoing it adds chance. So the correction says
        how large a lift is, and takes out what only a neighbouring group buys more of, but does not
        rank. Only things with enough receipts and a lift above 1 are there, and none that a large
        share of all receipts have: those are bought anyway.

        Parameters
        ----------
        group : str
            A name of ``mix.index``.
        n : int, default=10
            How many at most.
        certainty : float, default=0.75
            How sure it should be that the uncorrected lift is above the bound, from 0.5. The surer,
            the more common the things that come first.
        staple : float, default=0.1
            Things that at least this share of all receipts have are left out.
        minors : bool, default=False
            Whether groups of minors get offers, too. Otherwise theirs are empty.

        Returns
        -------
        DataFrame
            Rows of ``table``, the best first, and ``lift_bound``, which they are ranked by;
            ``offer_low`` and ``offer_high``, an interval of the lift that holds although the
            offers were chosen for it. ``significant`` says which of them stand up to the number of
            things compared.

        Raises
        ------
        ValueError
            If there is no such group.

        References
        ----------
        Y. Benjamini and D. Yekutieli, "False Discovery Rate-Adjusted Multiple Confidence Intervals
        for Selected Parameters", JASA 2005.
        """
        if not 0.5 <= certainty < 1:
            raise ValueError(f"certainty={certainty!r}: pass 0.5 or more, and less than 1")
        rows = self._of(group)
        reach = stats.norm.ppf(certainty) / stats.norm.ppf((1 + self.coverage) / 2)
        width = rows["uncorrected_low"] / rows["uncorrected_lift"]
        bound = rows["uncorrected_lift"] * width**reach
        overall = rows["share"] / rows["lift"]
        fit = rows["supported"] & (rows["lift"] > 1) & (overall < staple)
        if group in self.minors and not minors:
            fit &= False
        # Of equal bounds the first by name, so that the same data give the same offers.
        best = rows.assign(lift_bound=bound)[fit]
        best = best.sort_values(["lift_bound", self.by], ascending=[False, True])
        best = best.head(n).reset_index(drop=True)
        low, high = widen_chosen(best, self.coverage, int(rows["supported"].sum()))
        return best.assign(offer_low=low, offer_high=high)

    def plot_heatmap(self, n: int = 25, ax: Axes | None = None) -> Axes:
        """Draw lifts of the things that groups differ most in.

        Parameters
        ----------
        n : int, default=25
            How many things.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default in a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        lifts = self._spread_out("lift")
        usable = self._spread_out("supported").astype(bool)
        logs = np.log2(lifts.where(usable))
        # How sure a difference is counts, not only how large it is.
        sure = self.table[self.table["supported"]]
        sure = sure.assign(distance=-np.log(sure["lift"]).abs())
        order = sure.groupby(self.by)[["p_value", "distance"]].min()
        shown = order.sort_values(["p_value", "distance"], kind="stable").index[:n]
        logs, lifts = logs.loc[shown], lifts.loc[shown]
        # Neighbouring rows look alike: from what the youngest buy down to what the oldest do.
        places = np.arange(logs.shape[1])
        weight = logs.clip(lower=0).fillna(0).to_numpy() + 1e-9
        rows = np.argsort((weight * places).sum(axis=1) / weight.sum(axis=1), kind="stable")
        logs, lifts = logs.iloc[rows], lifts.iloc[rows]
        ax = axes_or_new(ax, 7.0, 1.4 + 0.24 * max(len(logs), 4))
        ax.set(xlabel="age group (years)", ylabel=self.by)
        if logs.empty:
            ax.set_title("too few receipts to say", fontsize="small")
            return ax
        drawn = ax.imshow(
            np.ma.masked_invalid(logs.to_numpy(float)),
            cmap="PuOr_r",
            vmin=-1.5,
            vmax=1.5,
            aspect="auto",
        )
        for row, values in enumerate(lifts.where(usable).to_numpy(float)):
            for column, value in enumerate(values):
                if np.isfinite(value):
                    dark = abs(np.log2(value)) > 1
                    ax.text(
                        column,
                        row,
                        f"{value:.1f}",
                        ha="center",
                        va="center",
                        fontsize=7,
                        color="white" if dark else "black",
                    )
        ax.set_xticks(places, list(map(_label, logs.columns)), rotation=30, ha="right")
        ax.set_yticks(np.arange(len(logs)), [_label(name) for name in logs.index], fontsize=8)
        bar = ax.figure.colorbar(drawn, ax=ax, ticks=[-1, 0, 1], shrink=0.5)
        bar.ax.set_yticklabels(["half", "as all", "twice"])
        bar.set_label("share of receipts, relative to all")
        return ax

    def plot_offers(self, group: str, n: int = 10, ax: Axes | None = None) -> Axes:
        """Draw the lifts of the things to offer to a group, with their intervals.

        Parameters
        ----------
        group : str
            A name of ``mix.index``.
        n : int, default=10
            How many at most.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default in a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If there is no such group.
        """
        best = self.offers(group, n)
        ax = axes_or_new(ax, 6.4, 1.4 + 0.32 * max(len(best), 3))
        places = np.arange(len(best))
        reach = [best["lift"] - best["offer_low"], best["offer_high"] - best["lift"]]
        shades = np.where(clear_offers(best), "0.55", "0.85")
        ax.barh(places, best["lift"], color=shades, edgecolor="black", linewidth=0.6)
        ax.errorbar(best["lift"], places, xerr=reach, fmt="none", ecolor="black", capsize=2.5)
        ax.axvline(1, color="black", linestyle="--", linewidth=1)
        ax.set_yticks(places, [_label(name) for name in best[self.by]])
        ax.invert_yaxis()
        ax.set(
            xlabel=f"lift among {_label(group)} (1: as all buyers)\n"
            f"with {self.coverage:.0%} interval of chosen offers",
            title="dark: significant, with an interval above 1",
        )
        ax.title.set_fontsize("small")
        return ax

    def _spread_out(self, column: str) -> pd.DataFrame:
        """One row for each thing, one column for each group."""
        values = self.table[column].to_numpy().reshape(-1, len(self.mix))
        things = self.table[self.by].to_numpy()[:: len(self.mix)]
        return pd.DataFrame(values, index=things, columns=list(self.mix.index))

    def _of(self, group: str) -> pd.DataFrame:
        if group not in self.mix.index:
            raise ValueError(f"group={group!r}: pass one of {', '.join(map(repr, self.mix.index))}")
        return self.table[self.table["group"] == group]


def purchases_by_age_group(
    lines: Source,
    buyers: Source,
    groups: AgeGroups | None = None,
    *,
    by: Literal["product", "category"] = "product",
    correct: bool = True,
    adapt: bool = True,
    calibration: AgeCalibrator | None = None,
    customers: WhoBought = None,
    coverage: float = 0.95,
    min_receipts: int = 30,
    fdr: float = 0.05,
) -> Purchases:
    """Tell what each age group buys, and of what more than others.

    Nobody is put into one group: a receipt counts for each group as much as it is probable that its
    buyer is of that group. Receipts whose buyer's status is ``"ok"`` and which have lines are
    counted, the others are listed in ``counts``. What was brought back is taken off within its
    receipt; a thing counts as bought where something is left.

    Parameters
    ----------
    lines : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As for :func:`read_table`. Lines of a folder of Parquet files, of a pattern such as
        ``"lines-*.csv"``, or of a query (but of SQLite, ADBC and DB-API) are summed up where they
        are, by DuckDB or the database. Without a column ``quantity`` each line counts as one piece.
        A line without a price adds nothing to ``spend``, which is missing for a thing without any
        price. A missing product or category is ``"(none)"``.
    buyers : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As :func:`estimate_buyers` gives it.
    groups : AgeGroups, optional
        By default ``AgeGroups()``.
    by : {"product", "category"}, default="product"
        What the things are.
    correct : bool, default=True
        Whether to part groups that memberships mix. Ages are estimated with an error, so what
        teenagers buy also shows among young adults. How much so is known, and it is undone as far
        as the data bear it: rates are shrunk towards the uncorrected ones, the more the rarer a
        thing is.
    adapt : bool, default=True
        Whether memberships are adapted to the shop's own mix of ages, which is estimated from the
        buyers. Otherwise they are what the model said, which is right for people as old as those it
        was calibrated with.
    calibration : AgeCalibrator, optional
        ``model.calibration_`` of the model that estimated the ages, for ``adapt``. By default it is
        looked for among the models that ship.
    customers : DataFrame, array-like of shape (n_buyers,) or str, optional
        Who bought, if that is known: the table of receipts (of any kind but a path) with a column
        ``customer``, a name for each buyer, or the name of the column of buyers that holds it.
        Receipts of one customer are not independent, which makes intervals wider. A missing value
        is a customer of one receipt.
    coverage : float, default=0.95
        Of the intervals of lifts.
    min_receipts : int, default=30
        A thing is reported only if so many receipts have it, and only in groups where five or more
        receipts would have it if all groups bought alike.
    fdr : float, default=0.05
        Share of false claims among all differences that are called significant.

    Returns
    -------
    Purchases

    Raises
    ------
    RetailDataError
        If a column is missing, a receipt is there twice among the buyers, (almost) no line is of
        one of the buyers, their ages were estimated by another model than ``calibration`` is of, or
        that model knows too few people of a group.

    Notes
    -----
    Variances are of the sandwich kind (Liang and Zeger). Intervals hold that of memberships, too:
    the photos behind the calibration, and the customers behind the mix, are drawn anew. Tests do
    not, since groups that buy alike do so whatever the memberships. False discoveries are
    controlled by the procedure of Benjamini and Hochberg.

    References
    ----------
    Y. Benjamini and Y. Hochberg, "Controlling the False Discovery Rate", JRSS B 1995.

    K.-Y. Liang and S. Zeger, "Longitudinal Data Analysis Using Generalized Linear Models",
    Biometrika 1986.

    C. Morris, "Parametric Empirical Bayes Inference", JASA 1983.

    Examples
    --------
    >>> import numpy as np
    >>> import ageboost
    >>> from ageboost.datasets import make_shop
    >>> from ageboost.retail import buyers_from_distribution, purchases_by_age_group
    >>> shop = make_shop(3000, random_state=0)
    >>> seen = ageboost.load_pretrained().calibration_.distribution
    >>> told = seen(shop.truth["age"].to_numpy(float), np.full(3000, 3.0))
    >>> buyers = buyers_from_distribution(shop.truth["receipt_id"], told)
    >>> bought = purchases_by_age_group(shop.lines, buyers, by="category")
    >>> list(bought.offers("65+", 1))[:4]
    ['category', 'group', 'receipts', 'spend']
    """
    if by not in ("product", "category"):
        raise ValueError(f"by={by!r}: pass 'product' or 'category'")
    for name, share in (("coverage", coverage), ("fdr", fdr)):
        if not 0 < share < 1:
            raise ValueError(f"{name}={share!r}: pass a share above 0 and below 1")
    groups = AgeGroups() if groups is None else groups
    with _open_sums(lines, buyers, groups, by, customers) as sums:
        answers, counts = sums.answers, sums.counts
        draws: Iterator[tuple[Array, Array]] = iter(())
        known_before: tuple[str, ...] = ()
        n_receipts = answers.counts
        if adapt and n_receipts.any():
            fitting = find_calibration(sums.origin, calibration)
            people = people_of_groups(fitting, groups)
            adapted = adapt_memberships(answers, groups, fitting, people, _N_DRAWS)
            known_before = names_known_before(people, groups)
            membership, mix, draws = adapted.membership, adapted.mix, adapted.draws
        else:
            membership = groups.share_out(answers.under)
            with np.errstate(invalid="ignore"):
                mix = n_receipts @ membership / n_receipts.sum()
        table, mixes, n_hidden = tabulate(
            sums,
            membership,
            draws,
            groups,
            by,
            correct=correct,
            coverage=coverage,
            min_receipts=min_receipts,
            fdr=fdr,
        )
    if n_hidden:
        shown = counts["of"] == "things on receipts"
        counts.loc[shown & (counts["outcome"] == "bought"), "rows"] -= n_hidden
        hidden = count_outcomes("things on receipts", {_HIDDEN: n_hidden})
        counts = pd.concat([counts, hidden], ignore_index=True)
    share = pd.Series(mix, index=list(groups.names), name="share")
    return Purchases(
        table,
        counts,
        share,
        _mix_interval(share, mixes, coverage),
        by,
        coverage,
        fdr,
        answers.customers.shape[1] > 0,
        tuple(
            name for name, edge in zip(groups.names, groups.edges, strict=False) if edge <= _ADULT
        ),
        known_before,
    )


def _open_sums(
    lines: Source,
    buyers: Source,
    groups: AgeGroups,
    by: str,
    customers: WhoBought,
) -> AbstractContextManager[Sums]:
    """Sum up where the lines are: in an engine, or in memory."""
    if is_in_place(lines):
        return sums_in_engine(lines, buyers, groups, by, customers)
    return nullcontext(sum_in_memory(lines, buyers, groups, by, customers))


def _mix_interval(share: pd.Series, mixes: Array | None, coverage: float) -> pd.DataFrame:
    """Range of each group's share over draws; not known where none were made."""
    if mixes is None:
        return pd.DataFrame({"low": np.nan, "high": np.nan}, index=share.index)
    # Logarithms of the odds are nearer to normal, and few draws show their spread well enough.
    odds = np.log(mixes.clip(_DUST) / (1 - mixes).clip(_DUST))
    middle = np.log(share.clip(_DUST) / (1 - share).clip(_DUST))
    reach = stats.t.ppf((1 + coverage) / 2, len(mixes) - 1) * odds.std(axis=0, ddof=1)
    low, high = (1 / (1 + np.exp(-(middle + side * reach))) for side in (-1, 1))
    return pd.DataFrame({"low": low, "high": high}, index=share.index)


def _label(name: object) -> str:
    return plain_text(str(name)[:40])
