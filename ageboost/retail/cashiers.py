"""Which cashiers to talk to: those who let more minors pass than colleagues would have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix

from ageboost._notebook import ShownInNotebooks
from ageboost._pages.figures import axes_or_new, plain_text
from ageboost.models import AgeCalibrator, AgeEstimator
from ageboost.retail._age_mix import AgeMix, estimate_age_mix, index_of
from ageboost.retail._colleagues import expected_checks
from ageboost.retail._excess import Excess, false_discovery_rates, find_excess
from ageboost.retail._origin import check_origin
from ageboost.retail.counts import count_outcomes, describe_counts
from ageboost.retail.policy import AlcoholPolicy
from ageboost.retail.sales import AlcoholSales
from ageboost.retail.tables import need_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CashierReview", "review_cashiers"]

_NEEDED = ("cashier", "age", "under_legal", "under_challenge", "required", "id_checked")
_N_DRAWS = 200
_HOURS = 4
_SATURDAY = 5
_COLUMNS = {
    "cashier": "str",
    "sales": "int64",
    "cannot_tell": "int64",
    "not_recorded": "int64",
    "required": "int64",
    "required_asked": "int64",
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
    "p_value": "float64",
    "q_value": "float64",
    "talk_to": "bool",
}
_OF_THE_SHOP = ("share_asked", "unchecked_minors")
_COMPARED = "compared with colleagues"
_ALONE = "cashier has no colleagues in the store"
_NO_FACE = "no usable face"
_NOT_RECORDED = "not recorded whether a card was asked for"
_NOBODY = "no cashier named"


@dataclass(frozen=True, repr=False)
class CashierReview(ShownInNotebooks):
    """What the sales of restricted goods tell about cashiers.

    Nothing here is a verdict. A photo proves nothing about one sale, and a number about many sales
    is a reason to talk to somebody and to look closer, such as by test purchases.

    Attributes
    ----------
    table : DataFrame
        One row for each cashier, the most surprising first. ``sales`` with restricted goods;
        ``cannot_tell``, how many of them have no usable face; ``not_recorded``, how many do not say
        whether a card was asked for. Of the others: ``required``, in how many the policy required
        to ask, by the photo; ``required_asked``, in how many of these a card was asked for;
        ``asked``, in how many of all, and ``colleagues_would_ask``, in how many colleagues would
        have; ``colleagues`` on the same tills. ``share_asked`` of buyers under the challenge age;
        ``unchecked_minors``, the number of sales to minors without a check that the photos make one
        expect; ``excess_minors``, how many more than colleagues would have had. Each has its
        interval, ``_low`` to ``_high``. ``p_value`` of the excess, ``q_value`` (adjusted for the
        number of cashiers), ``talk_to``. NaN for who cannot be compared.
    to_talk_to : DataFrame
        Rows of ``table``: cashiers whose excess is not to be explained by chance. On average, a
        share of at most ``fdr`` of such a list is like their colleagues after all.
    overall : DataFrame
        One row: the same for the whole shop, without comparison.
    counts : DataFrame
        ``of``, ``outcome``, ``rows``: what became of each sale and of each cashier.
    fdr : float
    coverage : float
    policy : AlcoholPolicy
    """

    table: pd.DataFrame
    overall: pd.DataFrame
    counts: pd.DataFrame
    fdr: float
    coverage: float
    policy: AlcoholPolicy

    @property
    def to_talk_to(self) -> pd.DataFrame:
        """Cashiers whose excess is not to be explained by chance: rows of ``table``."""
        return self.table[self.table["talk_to"]].reset_index(drop=True)

    def __str__(self) -> str:
        whole = self.overall.iloc[0]
        lines = [describe_counts(self.counts)]
        if not np.isnan(whole["share_asked"]):
            lines.append(
                f"Of buyers under {self.policy.challenge_age:g}, "
                f"{whole['share_asked']:.0%} ({whole['share_asked_low']:.0%} to "
                f"{whole['share_asked_high']:.0%}) were asked for a card. Going by photos alone, "
                f"{whole['unchecked_minors']:.0f} ({whole['unchecked_minors_low']:.0f} to "
                f"{whole['unchecked_minors_high']:.0f}) sales to buyers under "
                f"{self.policy.legal_age:g} were not checked. Who sees the buyer knows more than a "
                "photo tells: where cashiers are careful, the lower end is nearer the truth."
            )
        named = self.to_talk_to
        compared = int(self.table["p_value"].notna().sum())
        if not compared:
            lines.append("No cashier can be compared with colleagues.")
        elif named.empty:
            lines.append(
                f"None of {compared} cashiers stands out: differences between them are no larger "
                "than chance and ordinary habits make them."
            )
        else:
            lines.append(
                f"{len(named)} of {compared} cashiers to talk to (on average, at most "
                f"{self.fdr:.0%} of such a list are no different from their colleagues):"
            )
            lines += [
                f"  {row.cashier}: about {row.excess_minors:.0f} ({row.excess_minors_low:.0f} to "
                f"{row.excess_minors_high:.0f}) more minors not asked than colleagues would have "
                f"had, in {row.sales:,} sales"
                for row in named.itertuples()
            ]
        lines.append(
            "This is a reason to talk and to look closer, not a proof: no photo tells what "
            "happened in one sale."
        )
        return "\n".join(lines)

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
            f"unchecked buyers under {self.policy.legal_age:g} beyond what colleagues would have\n"
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
        As :func:`alcohol_sales` gives it. A cashier's name must mean one person in all stores.
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

    Returns
    -------
    CashierReview

    Raises
    ------
    RetailDataError
        If a column is missing, or the ages were estimated by another model.
    ValueError
        If the model does not know how far its ages are off, or a share makes no sense.

    Notes
    -----
    Ages of a shop's buyers are not those of the photos that a model learnt from. So the mix of ages
    at each till is estimated first, and probabilities are those for this mix.

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
    facts = _Facts.of(table)
    frame = facts.frame(table)
    if facts.use.any():
        rng = np.random.default_rng(random_state)
        overall = _compute(frame, facts, calibration, policy, fdr, coverage, rng)
    else:
        overall = pd.DataFrame(
            {column: [np.nan] for column in _COLUMNS if column.startswith(_OF_THE_SHOP)}
        )
    known = frame["p_value"].notna()
    frame.loc[known, "q_value"] = false_discovery_rates(frame.loc[known, "p_value"].to_numpy())
    frame["talk_to"] = (frame["q_value"] <= fdr) & (frame["excess_minors"] > 0)
    frame = frame.sort_values(["p_value", "cashier"], kind="stable", ignore_index=True)
    counts = pd.concat(
        [
            count_outcomes("sales of restricted goods", pd.Series(facts.outcome), [_COMPARED]),
            count_outcomes(
                "cashiers",
                {
                    "compared with colleagues": int(known.sum()),
                    "cannot be compared": int((~known).sum()),
                },
            ),
        ],
        ignore_index=True,
    )
    return CashierReview(
        frame[list(_COLUMNS)].astype(_COLUMNS), overall, counts, fdr, coverage, policy
    )


@dataclass(frozen=True)
class _Facts:
    """Sales as arrays; names as numbers."""

    names: npt.NDArray
    cashiers: npt.NDArray[np.intp]
    stores: npt.NDArray[np.intp]
    tills: npt.NDArray[np.intp]
    hours: npt.NDArray[np.intp]
    checked: npt.NDArray[np.bool_]
    legal: npt.NDArray[np.float64]
    challenge: npt.NDArray[np.float64]
    use: npt.NDArray[np.bool_]
    compare: npt.NDArray[np.bool_]
    colleagues: npt.NDArray[np.intp]
    outcome: npt.NDArray

    @classmethod
    def of(cls, table: pd.DataFrame) -> _Facts:
        cashiers, names = pd.factorize(table["cashier"].astype("str"), sort=True)
        stores = _codes(table, "store")
        tills = _pairs(stores, _codes(table, "till"))
        hours = _pairs(stores, _hours_of(table))
        legal = table["under_legal"].to_numpy(dtype=np.float64)
        challenge = table["under_challenge"].to_numpy(dtype=np.float64)
        recorded = table["id_checked"].notna().to_numpy()
        checked = table["id_checked"].astype("boolean").fillna(False).to_numpy(dtype=bool)
        face = ~np.isnan(legal)
        use = face & recorded & (cashiers >= 0)
        in_store = _company(cashiers[use], stores[use], len(names))
        compare = use & (np.append(in_store, 0)[cashiers] > 0)
        outcome = np.select(
            [cashiers < 0, ~recorded, ~face, ~compare],
            [_NOBODY, _NOT_RECORDED, _NO_FACE, _ALONE],
            _COMPARED,
        )
        colleagues = _company(cashiers[use], tills[use], len(names))
        return cls(
            np.asarray(names, dtype=object),
            cashiers,
            stores,
            tills,
            hours,
            checked,
            legal,
            challenge,
            use,
            compare,
            colleagues,
            outcome,
        )

    def frame(self, table: pd.DataFrame) -> pd.DataFrame:
        """Count what can be counted without a model: one row for each cashier."""
        ask = (table["required"] == "ask").to_numpy(dtype=bool)

        def count(rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
            return np.bincount(
                self.cashiers[rows & (self.cashiers >= 0)], minlength=len(self.names)
            )

        recorded = self.outcome != _NOT_RECORDED
        frame = pd.DataFrame(dict.fromkeys(_COLUMNS, np.nan), index=range(len(self.names)))
        return frame.assign(
            cashier=pd.Series(self.names, dtype="str"),
            sales=count(np.ones(len(table), dtype=bool)),
            cannot_tell=count(recorded & np.isnan(self.legal)),
            not_recorded=count(~recorded),
            required=count(self.use & ask),
            required_asked=count(self.use & ask & self.checked),
            asked=count(self.use & self.checked),
            colleagues=self.colleagues,
        )


def _compute(
    frame: pd.DataFrame,
    facts: _Facts,
    calibration: AgeCalibrator,
    policy: AlcoholPolicy,
    fdr: float,
    coverage: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Fill in what needs the model, and give the row of the whole shop."""
    rows = np.flatnonzero(facts.use)
    rows = rows[np.argsort(facts.cashiers[rows], kind="stable")]
    cashiers, checked = facts.cashiers[rows], facts.checked[rows]
    index = index_of(facts.legal[rows], facts.challenge[rows])
    _, tills = np.unique(facts.tills[rows], return_inverse=True)

    def mix_of(index: npt.NDArray[np.float64], groups: npt.NDArray[np.intp]) -> AgeMix:
        return estimate_age_mix(
            calibration, policy.legal_age, policy.challenge_age, index, groups, _N_DRAWS, rng
        )

    mix = mix_of(index, tills)
    bins = mix.bins(index)
    n_bins = mix.under_legal.shape[2]
    cells = tills * n_bins + bins
    n_cells = (int(tills.max()) + 1) * n_bins
    minors = mix.under_legal.reshape(-1, n_cells)
    young = mix.under_challenge.reshape(-1, n_cells)

    def by_cashier(values, of=slice(None)) -> csr_matrix:
        places = (cashiers[of], cells[of])
        return csr_matrix((values, places), shape=(len(frame), n_cells), dtype=np.float64)

    unchecked, asked = by_cashier(~checked), by_cashier(checked)
    tails = [(1 - coverage) / 2, (1 + coverage) / 2]
    present = np.unique(cashiers)
    share = _share_asked(asked @ young.T, unchecked @ young.T, tails, rng)
    number, of_shop = _expected_minors(
        index, cashiers, tills, ~checked, len(frame), mix_of, mix, tails, rng
    )
    for name, values in (("share_asked", share), ("unchecked_minors", number)):
        for suffix, column in zip(("", "_low", "_high"), values, strict=True):
            frame.loc[present, name + suffix] = column[present]
    overall = _overall(asked, unchecked, young, of_shop, tails, rng)
    compare = facts.compare[rows]
    if not compare.any():
        return overall
    who, codes = np.unique(cashiers[compare], return_inverse=True)
    legal, challenge = minors[0, cells[compare]], young[0, cells[compare]]
    part = rows[compare]
    expected = expected_checks(
        index[compare],
        legal,
        challenge,
        checked[compare],
        codes,
        [facts.stores[part], facts.tills[part], facts.hours[part]],
    )
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    found = find_excess(expected, checked[compare], facts.legal[part], starts, fdr)
    frame.loc[who, "colleagues_would_ask"] = np.add.reduceat(expected, starts)
    frame.loc[who, "p_value"] = found.p
    reach = by_cashier(expected, compare) @ minors.T
    power = by_cashier(expected * found.weights, compare) @ minors.T
    for suffix, column in zip(
        ("", "_low", "_high"),
        _excess_minors(found, reach[who], power[who], tails, rng),
        strict=True,
    ):
        frame.loc[who, "excess_minors" + suffix] = column
    return overall


def _overall(asked, unchecked, young, number, tails, rng) -> pd.DataFrame:
    asked, unchecked = csr_matrix(asked.sum(axis=0)), csr_matrix(unchecked.sum(axis=0))
    share = _share_asked(asked @ young.T, unchecked @ young.T, tails, rng)
    return pd.DataFrame(
        {
            name + suffix: column
            for name, values in (("share_asked", share), ("unchecked_minors", number))
            for suffix, column in zip(("", "_low", "_high"), values, strict=True)
        }
    )


def _share_asked(asked, unchecked, tails, rng) -> tuple[npt.NDArray, ...]:
    """Of buyers under the challenge age: the draws vary the model, and then the sales."""
    drawn = rng.beta(asked[:, 1:] + 0.5, unchecked[:, 1:] + 0.5)
    with np.errstate(invalid="ignore"):
        share = asked[:, 0] / (asked[:, 0] + unchecked[:, 0])
    low, high = np.quantile(drawn, tails, axis=1)
    return share, np.fmin(low, share), np.fmax(high, share)


def _expected_minors(
    index, cashiers, tills, unchecked, n_cashiers, mix_of, mix, tails, rng
) -> tuple[tuple[npt.NDArray, ...], tuple[npt.NDArray, ...]]:
    """Numbers of minors among unchecked buyers, of each cashier and of all.

    If unchecked buyers were as old as all buyers of their tills, it would be what the photos say.
    They are older where cashiers ask with care, since these see the person. How old they are can be
    told from each cashier's own, but too old: a minor who is not asked looks older than others. The
    larger of the two numbers is given, and the interval goes from the one to the other.
    """
    index, cashiers, tills = index[unchecked], cashiers[unchecked], tills[unchecked]
    if not len(index):
        nothing = np.zeros(n_cashiers)
        return (nothing,) * 3, (nothing[:1],) * 3
    every, own = (
        _sums(chosen, mix.bins(index), groups, cashiers, n_cashiers)
        for chosen, groups in ((mix, tills), (mix_of(index, cashiers), cashiers))
    )

    def together(add) -> tuple[npt.NDArray, ...]:
        number, low, high = _number(add(every[0]), add(every[1]), tails, rng)
        of_own, own_low, own_high = _number(add(own[0]), add(own[1]), tails, rng)
        return np.maximum(number, of_own), np.minimum(low, own_low), np.maximum(high, own_high)

    return together(lambda sums: sums), together(lambda sums: sums.sum(axis=0, keepdims=True))


def _sums(mix, bins, groups, cashiers, n_cashiers) -> tuple[npt.NDArray, npt.NDArray]:
    """Sums of probabilities and of their variances, for each cashier and draw."""
    n_bins = mix.under_legal.shape[2]
    chances = mix.under_legal.reshape(len(mix.under_legal), -1)
    counts = csr_matrix(
        (np.ones(len(bins)), (cashiers, groups * n_bins + bins)),
        shape=(n_cashiers, chances.shape[1]),
    )
    return counts @ chances.T, counts @ (chances * (1 - chances)).T


def _number(mean, variance, tails, rng) -> tuple[npt.NDArray, ...]:
    """How many it may be: a sum of independent, unequal chances, for each draw of them."""
    # A binomial number of the same mean and variance stands for it.
    chance = np.clip(1 - variance[:, 1:] / np.maximum(mean[:, 1:], 1e-12), 1e-6, 1)
    tries = np.ceil(mean[:, 1:] / chance)
    drawn = rng.binomial(tries.astype(np.int64), np.clip(mean[:, 1:] / np.maximum(tries, 1), 0, 1))
    low, high = np.quantile(drawn, tails, axis=1)
    return mean[:, 0], np.minimum(low, mean[:, 0]), np.maximum(high, mean[:, 0])


def _excess_minors(
    found: Excess, reach, power, tails, rng: np.random.Generator
) -> tuple[npt.NDArray, ...]:
    """Turn weighted sums into numbers of minors: what is missing, over what one minor weighs."""
    floor = np.maximum(0.2 * power[:, :1], 1e-9)
    scale = reach / np.maximum(power, floor)
    noise = rng.standard_normal((len(found.total), scale.shape[1] - 1))
    drawn = (found.total[:, None] + np.sqrt(found.variance)[:, None] * noise) * scale[:, 1:]
    low, high = np.quantile(drawn, tails, axis=1)
    excess = found.total * scale[:, 0]
    return excess, np.minimum(low, excess), np.maximum(high, excess)


def _codes(table: pd.DataFrame, column: str) -> npt.NDArray[np.intp]:
    if column not in table:
        return np.zeros(len(table), dtype=np.intp)
    # Sales of which it is not known are one place of their own.
    return pd.factorize(table[column].astype("str"), sort=True)[0] + 1


def _pairs(first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.unique(first * (int(second.max(initial=0)) + 1) + second, return_inverse=True)[1]


def _hours_of(table: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Four hours of working days, or of weekends."""
    if "time" not in table or not pd.api.types.is_datetime64_any_dtype(table["time"]):
        return np.zeros(len(table), dtype=np.intp)
    time = table["time"].dt
    part = time.hour // _HOURS + np.where(time.day_of_week >= _SATURDAY, 24 // _HOURS, 0)
    return (part.fillna(-1).to_numpy() + 1).astype(np.intp)


def _company(
    cashiers: npt.NDArray[np.intp], places: npt.NDArray[np.intp], n_cashiers: int
) -> npt.NDArray[np.intp]:
    """Number of others who worked at any of the places of each cashier."""
    if not len(cashiers):
        return np.zeros(n_cashiers, dtype=np.intp)
    n_places = int(places.max()) + 1
    cells = np.unique(cashiers.astype(np.int64) * n_places + places)
    there = csr_matrix(
        (np.ones(len(cells), dtype=np.int64), (cells // n_places, cells % n_places)),
        shape=(n_cashiers, n_places),
    )
    together = (there @ there.T).tocsr()
    return np.maximum(np.diff(together.indptr) - 1, 0).astype(np.intp)
