"""Sales of restricted goods: what was known of each buyer, what was required, what was recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._notebook import ShownInNotebooks
from ageboost.errors import RetailDataError
from ageboost.retail._joins import check_join
from ageboost.retail._origin import camera_of, origin_of
from ageboost.retail._repeated import check_unique
from ageboost.retail.counts import count_outcomes, describe_counts
from ageboost.retail.policy import AlcoholPolicy
from ageboost.retail.tables import Source, need_columns, read_table

__all__ = ["AlcoholSales", "alcohol_sales"]

_OF_RECEIPTS = ("receipt_id", "time", "store", "till", "cashier", "customer", "id_checked")


@dataclass(frozen=True, repr=False)
class AlcoholSales(ShownInNotebooks):
    """Receipts with restricted goods, and what became of all receipts and lines.

    Attributes
    ----------
    table : DataFrame
        One row for each receipt that sold restricted goods, in the order of the receipts:
        ``receipt_id``, ``time``, ``store``, ``till``, ``cashier``, ``customer`` (who bought, where
        receipts say it), ``spend`` (on restricted goods; missing where none of them has a price),
        ``status`` (of the buyer's photo), ``age`` (years), ``under_legal``, ``under_challenge``
        (probabilities of being under these ages), ``required`` (``"sell"``, ``"ask"``, or ``"cannot
        tell"`` where there is no usable face), ``id_checked`` (recorded; may be missing).
    counts : DataFrame
        ``of``, ``outcome``, ``rows``: receipts, lines and sales by what became of them.
    calibration : str or None
        The fingerprint of the calibration behind the ages, where the buyers say it.
    camera : {"known", "foreign"} or None
        Whether the model knew the camera that showed the buyers, where they say it.
    """

    table: pd.DataFrame
    counts: pd.DataFrame
    calibration: str | None = None
    camera: str | None = None

    def __str__(self) -> str:
        return describe_counts(self.counts)


def alcohol_sales(
    receipts: Source, lines: Source, buyers: Source, policy: AlcoholPolicy
) -> AlcoholSales:
    """Find the receipts that sold restricted goods, and put together what is known of each.

    Goods that were brought back on the same receipt were not sold.

    Parameters
    ----------
    receipts : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As for :func:`read_table`, with ``cashier`` and ``id_checked``: whether the cashier asked
        for an identity card.
    lines : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As for :func:`read_table`. A line without a quantity counts as one piece, and one without a
        price adds nothing to what is spent.
    buyers : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As :func:`estimate_buyers` gives it, with the policy's ages among its ``ages``.
    policy : AlcoholPolicy

    Returns
    -------
    AlcoholSales

    Raises
    ------
    RetailDataError
        If a column is missing, a receipt is there twice, or (almost) none of the lines or of the
        buyers is of one of the receipts.
    ValueError
        If none of the lines has one of the policy's categories or products.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import ageboost
    >>> from ageboost.retail import AlcoholPolicy, alcohol_sales, buyers_from_distribution
    >>> receipts = pd.DataFrame(
    ...     {"receipt_id": ["a", "b"], "cashier": ["Z", "Z"], "id_checked": [True, False]}
    ... )
    >>> lines = pd.DataFrame(
    ...     {"receipt_id": ["a", "b"], "product": ["Pils", "Bread"], "category": ["beer", "bread"]}
    ... )
    >>> calibration = ageboost.load_pretrained().calibration_
    >>> ages = calibration.distribution(np.array([20.0, 50.0]), np.array([3.0, 4.0]))
    >>> buyers = buyers_from_distribution(["a", "b"], ages)
    >>> sales = alcohol_sales(receipts, lines, buyers, AlcoholPolicy(categories=["beer"]))
    >>> sales.table[["receipt_id", "required", "id_checked"]]
      receipt_id required  id_checked
    0          a      ask        True
    """
    receipts = read_table(receipts, "receipts")
    check_unique(receipts)
    need_columns(receipts, ["cashier"], "receipts")
    if "id_checked" not in receipts:
        raise RetailDataError(
            "receipts do not say whether a card was asked for: add a column 'id_checked' (true or "
            "false) from the till's record of age checks",
            'or name the column that has it: read_table(..., "receipts", '
            'columns={"its name": "id_checked"})',
            "or name the column that has it: --column ITS_NAME=id_checked",
        )
    lines = read_table(lines, "lines")
    if policy.categories:
        need_columns(lines, ["category"], "lines")
    buyers = read_table(buyers, "buyers")
    check_join(lines["receipt_id"], receipts["receipt_id"], "lines", "receipts")
    check_join(buyers["receipt_id"], receipts["receipt_id"], "buyers", "receipts")
    places = pd.Index(receipts["receipt_id"]).get_indexer(lines["receipt_id"])
    restricted = policy.restricted(lines)
    sold, spend, line_counts = _net_sales(lines, places, restricted, len(receipts))
    known = [name for name in _OF_RECEIPTS if name != "customer" or name in receipts]
    table = receipts.reindex(columns=known)[sold].reset_index(drop=True)
    table.insert(len(known) - 1, "spend", spend[sold])
    told = _told_of(table["receipt_id"], buyers, policy)
    for place, column in enumerate(told, start=len(known)):
        table.insert(place, column, told[column])
    required = policy.required(table["age"], table["under_legal"])
    table.insert(table.columns.get_loc("id_checked"), "required", pd.Series(required, dtype="str"))
    touched = np.zeros(len(receipts), dtype=bool)
    touched[places[restricted & (places >= 0)]] = True
    counts = [
        count_outcomes(
            "receipts",
            {
                "sold restricted goods": int(sold.sum()),
                "brought all restricted goods back": int((touched & ~sold).sum()),
                "no restricted goods": int((~touched).sum()),
            },
        ),
        line_counts,
        count_outcomes("buyers of restricted goods", table["status"], ["ok"]),
        count_outcomes(
            "sales of restricted goods",
            {
                "asked for a card": int((table["id_checked"] == True).sum()),  # noqa: E712
                "not asked": int((table["id_checked"] == False).sum()),  # noqa: E712
                "not recorded": int(table["id_checked"].isna().sum()),
            },
        ),
    ]
    return AlcoholSales(
        table, pd.concat(counts, ignore_index=True), origin_of(buyers), camera_of(buyers)
    )


def _net_sales(
    lines: pd.DataFrame,
    places: npt.NDArray[np.intp],
    restricted: npt.NDArray[np.bool_],
    n_receipts: int,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64], pd.DataFrame]:
    """Tell which receipts keep restricted goods once returns are taken off, and what they cost."""
    known = places >= 0
    part = lines[restricted & known]
    place = places[restricted & known]
    quantity = np.ones(len(part))
    if "quantity" in part:
        quantity = part["quantity"].fillna(1.0).to_numpy(dtype=np.float64)
    price = np.full(len(part), np.nan)
    if "price" in part:
        price = part["price"].to_numpy(dtype=np.float64)
    product = pd.factorize(part["product"])[0]
    net = pd.Series(quantity).groupby([place, product]).sum()
    sold = np.zeros(n_receipts, dtype=bool)
    sold[net.index.get_level_values(0)[net.to_numpy() > 0]] = True
    priced = ~np.isnan(price)
    paid = np.bincount(place, quantity * np.where(priced, price, 0), n_receipts)
    spend = np.where(np.bincount(place[priced], minlength=n_receipts) > 0, paid, np.nan)
    counts = count_outcomes(
        "lines",
        {
            "restricted": int((quantity >= 0).sum()),
            "restricted, brought back": int((quantity < 0).sum()),
            "not restricted": int((~restricted & known).sum()),
            "of an unknown receipt": int((~known).sum()),
        },
    )
    if "price" in part and not priced.all():
        known = count_outcomes(
            "prices of restricted lines",
            {"known": int(priced.sum()), "missing": int((~priced).sum())},
        )
        counts = pd.concat([counts, known], ignore_index=True)
    return sold, spend, counts


def _told_of(ids: pd.Series, buyers: pd.DataFrame, policy: AlcoholPolicy) -> pd.DataFrame:
    """Take what is known of the buyers, and nothing where the face is not to be relied on."""
    need_columns(buyers, ["receipt_id", "status", "age"], "buyers")
    columns = {
        f"under_{policy.legal_age:g}": "under_legal",
        f"under_{policy.challenge_age:g}": "under_challenge",
    }
    for column in columns:
        if column not in buyers:
            age = column.removeprefix("under_")
            raise RetailDataError(
                f"buyers have no column {column!r}, which the policy needs",
                f"pass estimate_buyers(..., ages=[..., {age}])",
                "estimate them anew with the same ages: --photos in place of --buyers",
            )
    known = buyers["receipt_id"]
    check_unique(buyers, "buyers")
    rows = pd.Index(known).get_indexer(ids)
    # Row -1 is there for receipts without a buyer.
    status = np.append(buyers["status"].to_numpy(dtype=object), "no photo")[rows]
    usable = status == "ok"
    told = pd.DataFrame({"status": pd.Series(status, dtype="str")})
    both = {} if policy.legal_age != policy.challenge_age else {"under_challenge": "under_legal"}
    for source, name in {"age": "age", **columns}.items():
        values = np.append(buyers[source].to_numpy(dtype=np.float64), np.nan)[rows]
        told[name] = np.where(usable, values, np.nan)
    for name, source in both.items():
        told.insert(2, source, told[name])
    return told
