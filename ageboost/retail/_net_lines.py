"""What is left of each thing on each receipt, and what became of all lines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost.retail.counts import count_outcomes

__all__ = ["count_uses", "net_lines"]

_NONE = "(none)"


def net_lines(lines: pd.DataFrame, receipt: npt.NDArray[np.intp], by: str) -> pd.DataFrame:
    """Sum up each thing of each receipt: its pieces and what was paid."""
    codes, names = pd.factorize(lines[by].fillna(_NONE), sort=True)
    quantity = (
        lines["quantity"].fillna(1.0).to_numpy() if "quantity" in lines else np.ones(len(lines))
    )
    price = lines["price"].to_numpy() if "price" in lines else np.full(len(lines), np.nan)
    priced = ~np.isnan(price)
    pairs, places = np.unique(receipt.astype(np.int64) * len(names) + codes, return_inverse=True)
    return pd.DataFrame(
        {
            "receipt": pairs // max(len(names), 1),
            "thing": pd.Categorical.from_codes(pairs % max(len(names), 1), names),
            "pieces": np.bincount(places, quantity, len(pairs)),
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
    outcome = status.mask((status == "ok") & ~has_age, "no age").mask(
        has_age & ~has_lines, "no lines"
    )
    outcome = outcome.mask(has_age & has_lines, "used")
    fate = pd.Series("of a receipt whose buyer's age is not known", index=lines.index, dtype="str")
    fate = fate.mask(used, "used").mask(receipt < 0, "of an unknown receipt")
    parts = [
        count_outcomes("receipts", outcome, ["used", "no lines"]),
        count_outcomes("lines", fate, ["used"]),
    ]
    if "quantity" in lines:
        quantity = lines.loc[used, "quantity"]
        kinds = pd.Series("sold", index=quantity.index, dtype="str")
        kinds = kinds.mask(quantity < 0, "brought back").mask(quantity == 0, "of no pieces")
        kinds = kinds.mask(quantity.isna(), "without a quantity, taken as one piece")
        parts.append(count_outcomes("lines used", kinds, ["sold", "brought back"]))
    if "price" in lines and lines.loc[used, "price"].isna().any():
        missing = int(lines.loc[used, "price"].isna().sum())
        parts.append(
            count_outcomes(
                "prices of lines used", {"known": int(used.sum()) - missing, "missing": missing}
            )
        )
    bought = int((sold["pieces"] > 0).sum())
    parts.append(
        count_outcomes("things on receipts", {"bought": bought, "brought back": len(sold) - bought})
    )
    return pd.concat(parts, ignore_index=True)
