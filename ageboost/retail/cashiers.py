"""Which cashiers to talk to: those who let more minors pass than colleagues would have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix

from ageboost._notebook import ShownInNotebooks
from ageboost._pages.figures import axes_or_new, plain_text
from ageboost.errors import RetailDataError
from ageboost.models import AgeCalibrator, AgeEstimator
from ageboost.retail._evidence import Evidence, compare_with_colleagues
from ageboost.retail._facts import Facts
from ageboost.retail._minors import Range, YoungBuyers, count_young_buyers
from ageboost.retail._naming import SPARED, name_cashiers
from ageboost.retail._origin import check_origin
from ageboost.retail.counts import (
    FEWEST_RECEIPTS,
    count_outcomes,
    describe_counts,
    enumerate_words,
)
from ageboost.retail.looks import ReviewPeriod
from ageboost.retail.policy import AlcoholPolicy
from ageboost.retail.sales import AlcoholSales
from ageboost.retail.tables import need_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MINORS_KNOWN_BEFORE", "CashierReview", "review_cashiers"]

_NEEDED = ("cashier", "under_legal", "under_challenge", "required", "id_checked")
_COLUMNS = {
    "store": "str",
    "cashier": "str",
    "sales": "int64",
    "cannot_tell": "int64",
    "not_recorded": "int64",
    "required": "int64",
    "required_asked": "int64",
    "compared": "int64",
    "asked": "int64",
    "colleagues": "int64",
    "colleagues_would_ask": "float64",
    "share_asked": "float64",
    "share_asked_low": "float64",
    "share_asked_high": "float64",
    "unchecked_minors": "float64",
    "unchecked_minors_low": "float64",
    "unchecked_minors_high": "float64",
    "excess_minors": "float64",
    "excess_minors_low": "float64",
    "excess_minors_high": "float64",
    "stands_on_sales": "int64",
    "stands_on_days": "int64",
    "power": "float64",
    "p_value": "float64",
    "q_value": "float64",
    "local_rate": "float64",
    "note": "str",
    "talk_to": "bool",
}
_OF_THE_SHOP = ("share_asked", "unchecked_minors")
_NO_COLLEAGUES = "no colleague has enough sales at the same tills"
_UNKNOWN_CUSTOMERS = (
    "It is not known which customers came again, so no share of false names is promised: a "
    "cashier who has seen a regular's card need not ask again, and looks careless. Where 30 % of "
    "sales were to regulars, {named:.0%} of honest chains had somebody on a list like this "
    '("Which cashiers to talk to" in the documentation, row "but are not known"). Add the '
    "column 'customer' to the receipts, filled for at least nine in ten sales."
)
_NAMED_WITHOUT_CUSTOMERS = 0.66
_FOREIGN = "the photos do not look like those that the model knows"
MINORS_KNOWN_BEFORE = (
    "The model was adapted with too few minors of about the legal age: what is said of minors "
    "rests on what it knew before, as if this camera showed them as well or as badly as the others."
)


@dataclass(frozen=True, repr=False)
class CashierReview(ShownInNotebooks):
    """What the sales of restricted goods say of cashiers.

    Nothing here is a verdict. A photo proves nothing about one sale, and a number about many sales
    is a reason to talk to somebody and to look closer, such as by test purchases.

    Attributes
    ----------
    table : DataFrame
        One row for each cashier of ten sales or more, the most surprising first. ``store`` and
        ``cashier``; ``sales`` with restricted goods; ``cannot_tell``, how many of them have no
        usable face; ``not_recorded``, how many do not say whether a card was asked for. Of the
        others: ``required``, in how many the policy required to ask, by the photo;
        ``required_asked``, in how many of these a card was asked for. ``compared``, how many sales
        to possible minors are compared with colleagues, ``asked``, in how many of these a card was
        asked for, and ``colleagues_would_ask``, in how many colleagues would have; ``colleagues``
        on the same tills. ``share_asked`` of buyers under the challenge age; ``unchecked_minors``,
        the number of sales to minors without a check that the photos make one expect;
        ``excess_minors``, how many more than colleagues would have had. Each has its interval,
        ``_low`` to ``_high``. ``stands_on_sales`` and ``stands_on_days``, how many sales without a
        check, and days, the excess stands on; ``power``, how probably this cashier
        would be named who spared half of the minors. ``p_value`` of the excess, ``q_value``
        (adjusted for the number of cashiers), ``local_rate`` (how probable it is that this name is
        a false one), ``note`` (why somebody cannot be compared, or is not named), ``talk_to``. NaN
        for who cannot be compared.
    overall : DataFrame
        One row: the same for the whole shop, without comparison.
    powers : DataFrame
        ``spared`` (a share of minors) and ``found``: how probably a cashier of this shop who spares
        as many would be on the list.
    counts : DataFrame
        ``of``, ``outcome``, ``rows``: what became of each sale and of each cashier.
    fdr : float
    coverage : float
    policy : AlcoholPolicy
    customers_known : bool
        Whether it is known who came again. Otherwise no share of false names is promised.
    withheld : bool
        Whether nobody is named because the photos look foreign to the model.
    minors_known_before : bool
        Whether the model was adapted with too few minors who might buy: what is said of minors
        rests on what it knew before.
    """

    table: pd.DataFrame
    overall: pd.DataFrame
    powers: pd.DataFrame
    counts: pd.DataFrame
    fdr: float
    coverage: float
    policy: AlcoholPolicy
    customers_known: bool
    withheld: bool = False
    minors_known_before: bool = False

    @property
    def to_talk_to(self) -> pd.DataFrame:
        """Cashiers whose excess is not to be explained by chance: rows of ``table``."""
        return self.table[self.table["talk_to"]].reset_index(drop=True)

    @property
    def promise(self) -> str:
        """What may be believed of the list, in a sentence or two."""
        if not self.customers_known:
            return _UNKNOWN_CUSTOMERS.format(named=_NAMED_WITHOUT_CUSTOMERS)
        return (
            f"Over many shops and periods, at most {self.fdr:.0%} of the names on these lists "
            'belong to people who are like their colleagues (measured: "Which cashiers to talk '
            'to" in the documentation, under "How often honest chains name somebody"). How likely '
            "a single name is to be false is stated beside it."
        )

    @property
    def reach(self) -> str:
        """What could have been found with these sales, in a sentence."""
        parts = [
            f"{row.found:.0%} of those who spare {row.spared:.0%} of the minors"
            for row in self.powers.itertuples()
        ]
        return f"With these sales, such a list finds {enumerate_words(parts)}."

    def __str__(self) -> str:
        return "\n".join(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if self.withheld:
            yield f"Nobody is named, because {_FOREIGN}: adapt it with photos from this camera."
        yield describe_counts(self.counts)
        if self.minors_known_before:
            yield MINORS_KNOWN_BEFORE
        whole = self.overall.iloc[0]
        if not np.isnan(whole["share_asked"]):
            yield (
                f"Of buyers under {self.policy.challenge_age:g}, "
                f"{whole['share_asked_low']:.0%} to {whole['share_asked_high']:.0%} were asked for "
                "a card. Going by photos alone, "
                f"{whole['unchecked_minors']:.0f} ({whole['unchecked_minors_low']:.0f} to "
                f"{whole['unchecked_minors_high']:.0f}) sales to buyers under "
                f"{self.policy.legal_age:g} were not checked. Cashiers see more than a photo "
                "shows: where they are careful, the lower end is closer to the truth."
            )
        named = self.to_talk_to
        compared = int(self.table["p_value"].notna().sum())
        if not compared:
            yield "No cashier can be compared with colleagues."
            return
        if self.withheld:
            return
        if named.empty:
            yield f"None of {compared} cashiers stands out."
        else:
            yield f"{len(named)} of {compared} cashiers to talk to:"
        for row in named.itertuples():
            where = "" if pd.isna(row.store) else f" of store {row.store}"
            yield (
                f"  {row.cashier}{where}: about {row.excess_minors:.0f} "
                f"({row.excess_minors_low:.0f} to {row.excess_minors_high:.0f}) more minors not "
                f"asked than by colleagues, in {row.sales:,} sales; the name is false with a "
                f"probability of {row.local_rate:.1%}"
            )
        yield self.promise
        yield self.reach
        yield (
            "This is a reason to talk and to look closer, not a proof: no photo shows what "
            "happened in one sale."
        )

    def plot_excess(self, n_cashiers: int = 30, ax: Axes | None = None) -> Axes:
        """Draw each cashier's excess of unchecked minors with its interval.

        Parameters
        ----------
        n_cashiers : int, default=30
            How many, from the most surprising on.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default in a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        rows = self.table[self.table["p_value"].notna()].head(n_cashiers)
        ax = axes_or_new(ax, height=1.4 + 0.22 * len(rows))
        for place, row in enumerate(rows.itertuples()):
            ax.plot(
                [row.excess_minors_low, row.excess_minors_high], [place, place], "-", color="black"
            )
            face = "black" if row.talk_to else "white"
            ax.plot(row.excess_minors, place, "o", color="black", markerfacecolor=face)
        ax.axvline(0, color="0.5", linestyle=":", linewidth=1)
        ax.set_yticks(np.arange(len(rows)), list(map(plain_text, rows["cashier"])))
        ax.invert_yaxis()
        ax.set_xlabel(
            f"more unchecked buyers under {self.policy.legal_age:g} than colleagues would have\n"
            f"had, with {self.coverage:.0%} interval (filled: to talk to)"
        )
        return ax

    def plot_checks(self, ax: Axes | None = None) -> Axes:
        """Draw the cards asked for by each cashier over those that colleagues would have asked for.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default in a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_or_new(ax)
        rows = self.table[self.table["p_value"].notna()]
        top = 1.05 * max([1.0, *rows["asked"], *rows["colleagues_would_ask"]])
        ax.plot([0, top], [0, top], "--", color="0.5", linewidth=1)
        for talk, face, label in ((False, "white", "others"), (True, "black", "to talk to")):
            part = rows[rows["talk_to"] == talk]
            ax.plot(
                part["colleagues_would_ask"],
                part["asked"],
                "o",
                color="black",
                markerfacecolor=face,
                label=label,
            )
        ax.set(
            xlabel="sales in which colleagues would have asked for a card",
            ylabel="sales in which the cashier did",
            xlim=(0, top),
            ylim=(0, top),
        )
        ax.legend(frameon=False)
        return ax


def review_cashiers(
    sales: AlcoholSales | pd.DataFrame,
    policy: AlcoholPolicy,
    model: AgeEstimator | AgeCalibrator,
    fdr: float = 0.05,
    coverage: float = 0.95,
    random_state: int = 0,
    *,
    period: ReviewPeriod | None = None,
    cashiers_move: bool = False,
    name_at_foreign_camera: bool = False,
) -> CashierReview:
    """Compare cashiers with their colleagues on the same tills and at the same hours.

    A cashier sees the person. So of buyers who look like minors in a photo and were not asked for
    a card by a careful cashier, most were adults, and more so at a till with many young adults: to
    add up probabilities accuses the careful. What can be compared is this: for each sale, how
    probable it is that colleagues would have asked, given the photo, the ages of this till's
    buyers, the store, the till and the hours. Sales that were not checked although colleagues would
    have asked are added up, those of likely minors with more weight. That honest cashiers differ in
    how often they ask is allowed for, by as much as the middle half of all cashiers does.

    Parameters
    ----------
    sales : AlcoholSales or DataFrame
        As :func:`alcohol_sales` gives it. With a column ``customer``, only the first sale of each
        cashier to each customer counts, since who has seen a card need not ask again.
    policy : AlcoholPolicy
        The one that the sales were found with.
    model : AgeEstimator or AgeCalibrator
        The model that estimated the ages, or its ``calibration_``.
    fdr : float, default=0.05
        Share of the cashiers to talk to that may be no different from their colleagues, on average.
    coverage : float, default=0.95
        Of intervals. They hold the error of the model as well, learnt from people whom it had not
        seen.
    random_state : int, default=0
        Of the draws behind the intervals.
    period : ReviewPeriod, optional
        Where the same sales are looked at again with later ones added. By default, they are looked
        at once.
    cashiers_move : bool, default=False
        Whether a cashier's name means one person in all stores. By default it is the store and the
        name that do.
    name_at_foreign_camera : bool, default=False
        Whether to name cashiers although the photos do not look like those that the model knows,
        so that all ages may be off in one direction. By default nobody is named then.

    Returns
    -------
    CashierReview

    Raises
    ------
    RetailDataError
        If a column is missing, the ages were estimated by another model, or the sales are not all
        those since the period began.
    ValueError
        If the model does not know how far its ages are off, or a share makes no sense.

    Notes
    -----
    Ages of a shop's buyers are not those of the photos that a model learnt from. So the mix of ages
    at each till is estimated first, and probabilities are those for this mix.

    Nobody is named whose excess stands on fewer than five sales without a check, or three days. A
    camera may see people older or younger than others do, so cashiers are compared at tills where
    colleagues sell as well.

    What all cashiers do alike does not show here: see ``overall``. Where half of them let minors
    pass, that is the habit of the place.
    """
    for name, value in (("fdr", fdr), ("coverage", coverage)):
        if not 0 < value < 1:
            raise ValueError(f"{name}={value!r}: pass a share above 0 and below 1")
    known = sales.calibration if isinstance(sales, AlcoholSales) else None
    calibration = check_origin(known, model)
    table = sales.table if isinstance(sales, AlcoholSales) else sales
    need_columns(table, _NEEDED, "sales")
    if period is not None and "time" not in table:
        raise RetailDataError("looks of a period need the time of each sale, but there is none")
    facts = Facts.of(table, cashiers_move)
    frame = _count(facts, table)
    overall = pd.DataFrame({name: [np.nan] for name in _COLUMNS if name.startswith(_OF_THE_SHOP)})
    powers = pd.DataFrame({"spared": SPARED, "found": 0.0})
    minors_known_before = False
    if facts.use.any():
        rng = np.random.default_rng(random_state)
        young = count_young_buyers(facts, calibration, policy, coverage, rng)
        minors_known_before = young.mix.minors_known_before
        overall = pd.DataFrame(
            young.share_of_shop.columns("share_asked")
            | young.unchecked_of_shop.columns("unchecked_minors")
        )
        present = np.unique(facts.cashiers[facts.use])
        _fill(frame, present, young.share_asked, "share_asked")
        _fill(frame, present, young.unchecked_minors, "unchecked_minors")
        evidence = compare_with_colleagues(facts, calibration, policy, fdr, rng)
        if evidence is not None:
            named = name_cashiers(evidence, facts, table.get("time"), fdr, period)
            powers = named.powers
            excess = _excess_minors(evidence, facts, young, coverage, rng)
            for name, values in {
                **excess.columns("excess_minors"),
                "compared": evidence.total(np.ones(len(evidence.rows), dtype=np.int64)),
                "asked": evidence.total(facts.checked[evidence.rows].astype(np.int64)),
                "colleagues_would_ask": evidence.total(evidence.expected),
                "stands_on_sales": evidence.unchecked,
                "stands_on_days": evidence.days,
                "power": named.power,
                "p_value": named.p,
                "q_value": named.q,
                "local_rate": named.local,
                "note": named.note,
                "talk_to": named.talk_to,
            }.items():
                frame.loc[evidence.who, name] = values
    foreign = isinstance(sales, AlcoholSales) and sales.camera == "foreign"
    withheld = foreign and not name_at_foreign_camera
    if withheld:
        frame.loc[frame["talk_to"].astype(bool), "note"] = _FOREIGN
        frame["talk_to"] = False
    frame = frame.sort_values(["p_value", "store", "cashier"], kind="stable", ignore_index=True)
    compared, shown = frame["p_value"].notna(), frame["sales"] >= FEWEST_RECEIPTS
    outcomes = {
        "compared with colleagues": int((compared & shown).sum()),
        "cannot be compared": int((~compared & shown).sum()),
        f"left out, with fewer than {FEWEST_RECEIPTS} sales": int((~shown).sum()),
    }
    return CashierReview(
        frame.loc[shown, list(_COLUMNS)].astype(_COLUMNS).reset_index(drop=True),
        overall,
        powers,
        pd.concat([facts.describe(), count_outcomes("cashiers", outcomes)], ignore_index=True),
        fdr,
        coverage,
        policy,
        facts.knows_customers,
        withheld,
        minors_known_before,
    )


def _count(facts: Facts, table: pd.DataFrame) -> pd.DataFrame:
    """Count what can be counted without a model: one row for each cashier."""
    ask = (table["required"] == "ask").to_numpy(dtype=bool)
    recorded = facts.recorded()
    frame = pd.DataFrame(
        {name: pd.Series(np.nan, range(len(facts.names)), dtype="float64") for name in _COLUMNS}
    )
    return frame.assign(
        store=pd.Series(facts.store_names, dtype="str"),
        cashier=pd.Series(facts.names, dtype="str"),
        sales=facts.count(np.ones(len(table), dtype=bool)),
        cannot_tell=facts.count(recorded & np.isnan(facts.legal)),
        not_recorded=facts.count(~recorded),
        required=facts.count(facts.use & ask),
        required_asked=facts.count(facts.use & ask & facts.checked),
        compared=0,
        asked=0,
        stands_on_sales=0,
        stands_on_days=0,
        colleagues=facts.colleagues,
        note=pd.Series(_NO_COLLEAGUES, range(len(facts.names)), dtype="str"),
        talk_to=False,
    )


def _fill(frame: pd.DataFrame, places: npt.NDArray[np.intp], values: Range, name: str) -> None:
    for column, numbers in values.columns(name).items():
        frame.loc[places, column] = numbers[places]


def _excess_minors(
    evidence: Evidence,
    facts: Facts,
    young: YoungBuyers,
    coverage: float,
    rng: np.random.Generator,
) -> Range:
    """Turn weighted sums into numbers of minors: what is missing, over what one minor weighs."""
    found, n_bins = evidence.excess, young.mix.under_legal.shape[2]
    minors = young.mix.under_legal.reshape(len(young.mix.under_legal), -1)
    place = np.cumsum(facts.use)[evidence.rows] - 1
    cells = young.tills[place] * n_bins + young.bins[place]
    codes = np.repeat(
        np.arange(len(evidence.who)), np.diff(np.append(evidence.starts, len(evidence.rows)))
    )

    def add_up(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        shape = (len(evidence.who), minors.shape[1])
        return csr_matrix((values, (codes, cells)), shape=shape) @ minors.T

    reach, power = add_up(evidence.expected), add_up(evidence.expected * found.weights)
    floor = np.maximum(0.2 * power[:, :1], 1e-9)
    scale = reach / np.maximum(power, floor)
    noise = rng.standard_normal((len(found.total), scale.shape[1] - 1))
    drawn = (found.total[:, None] + np.sqrt(found.variance)[:, None] * noise) * scale[:, 1:]
    low, high = np.quantile(drawn, [(1 - coverage) / 2, (1 + coverage) / 2], axis=1)
    excess = found.total * scale[:, 0]
    return Range(excess, np.minimum(low, excess), np.maximum(high, excess))
