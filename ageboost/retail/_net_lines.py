"""What is left of each thing on each receipt, and what became of all lines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost.retail.counts import count_outcomes

__all__ = ["LEAST_PIECES", "NO_THING", "count_uses", "list_uses", "net_lines"]

NO_THING = "(none)"
#: Of weighed goods less is left by rounding alone, where all was brought back.
LEAST_PIECES = 1e-9


def net_lines(lines: pd.DataFrame, receipt: npt.NDArray[np.intp], by: str) -> pd.DataFrame:
    """Sum up each thing of each receipt: its pieces and what was paid."""
    codes, names = pd.factorize(lines[by].fillna(NO_THING), sort=True)
    quantity = (
        lines["quantity"].fillna(1.0).to_numpy() if "quantity" in lines else np.ones(len(lines))
    )
    price = lines["price"].to_numpy() if "price" in lines else np.full(len(lines), np.nan)
    priced = ~np.isnan(price)
    pairs, places = np.unique(receipt.astype(np.int64) * len(names) + codes, return_inverse=True)
    pieces = np.bincount(places, quantity, len(pairs))
    return pd.DataFrame(
        {
            "receipt": pairs // max(len(names), 1),
            "thing": pd.Categorical.from_codes(pairs % max(len(names), 1), names),
            "pieces": np.where(np.abs(pieces) < LEAST_PIECES, 0.0, pieces),
            "spend": np.bincount(places, quantity * np.where(priced, price, 0), len(pairs)),
            "priced": np.bincount(places, priced, len(pairs)),
        }
    )


def count_uses(
    lines: pd.DataFrame,
    receipt: npt.NDArray[np.intp],
    used: npt.NDArray[np.bool_],
    sold: pd.DataFrame,
    status: pd.Series,
    has_age: npt.NDArray[np.bool_],
    has_lines: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    """Count what became of receipts and lines in memory."""
    outcome = status.mask((status == "ok") & ~has_age, "no age").mask(
        has_age & ~has_lines, "no lines"
    )
    outcome = outcome.mask(has_age & has_lines, "used")
    unknown = int((receipt < 0).sum())
    kinds = None
    if "quantity" in lines:
        quantity = lines.loc[used, "quantity"]
        kinds = {
            "sold": int((quantity > 0).sum()),
            "brought back": int((quantity < 0).sum()),
            "of no pieces": int((quantity == 0).sum()),
            "without a quantity, taken as one piece": int(quantity.isna().sum()),
        }
    return list_uses(
        {str(name): int(rows) for name, rows in outcome.value_counts().items()},
        (int(used.sum()), unknown, int((~used).sum()) - unknown),
        kinds,
        int(lines.loc[used, "price"].isna().sum()) if "price" in lines else 0,
        (int((sold["pieces"] > 0).sum()), len(sold)),
    )


def list_uses(
    receipts: Mapping[str, int],
    lines: tuple[int, int, int],
    kinds: Mapping[str, int] | None,
    n_unpriced: int,
    things: tuple[int, int],
) -> pd.DataFrame:
    """List what became of receipts and lines.

    Parameters
    ----------
    receipts : mapping of str to int
        How many of each outcome.
    lines : (int, int, int)
        Used, of an unknown receipt, of a buyer whose age is not known.
    kinds : mapping of str to int or None
        Lines used, by what their quantity says; None where there is no such column.
    n_unpriced : int
        Lines used without a price, where prices are given.
    things : (int, int)
        Things on receipts that were bought, and all.

    Returns
    -------
    DataFrame
        As :func:`count_outcomes` gives it.
    """
    used, unknown, of_no_age = lines
    fates = {
        "used": used,
        "of an unknown receipt": unknown,
        "of a receipt whose buyer's age is not known": of_no_age,
    }
    bought, on_receipts = things
    parts = [
        count_outcomes("receipts", _frequent_first(receipts), ["used", "no lines"]),
        count_outcomes("lines", _frequent_first(fates), ["used"]),
    ]
    if kinds is not None:
        parts.append(count_outcomes("lines used", _frequent_first(kinds), ["sold", "brought back"]))
    if n_unpriced:
        prices = {"known": used - n_unpriced, "missing": n_unpriced}
        parts.append(count_outcomes("prices of lines used", prices))
    parts.append(
        count_outcomes(
            "things on receipts", {"bought": bought, "brought back": on_receipts - bought}
        )
    )
    return pd.concat(parts, ignore_index=True)


def _frequent_first(outcomes: Mapping[str, int]) -> dict[str, int]:
    """Outcomes that there are, the most frequent first."""
    there = [(name, rows) for name, rows in outcomes.items() if rows]
    return dict(sorted(there, key=lambda one: (-one[1], one[0])))
