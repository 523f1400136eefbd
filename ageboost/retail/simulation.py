"""What a model would say of buyers whose ages are known, without a photo at hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from ageboost.errors import RetailDataError
from ageboost.models import AgeEstimator
from ageboost.models.calibration import calibration_of
from ageboost.models.known_people import known_people
from ageboost.retail._shop_mix import FEWEST_PEOPLE
from ageboost.retail.buyers import DEFAULT_AGES, buyers_from_distribution
from ageboost.retail.groups import AgeGroups
from ageboost.retail.tables import need_columns

__all__ = ["simulate_buyers"]


def simulate_buyers(
    truth: pd.DataFrame,
    model: AgeEstimator,
    groups: AgeGroups | None = None,
    ages: Iterable[float] = DEFAULT_AGES,
    *,
    missing: float = 0.0,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Give buyers of known ages the answers that a model gave for real people as old as they are.

    A model keeps what it said of photos that it had not seen, and how old the people in them were.
    Each buyer gets the answer for one of these people. So it can be tried on receipts, before there
    is a camera, how much of what a shop wants to know survives the error of the ages.

    Parameters
    ----------
    truth : DataFrame
        ``receipt_id`` and ``age`` (years).
    model : AgeEstimator
        Calibrated, as those that ship are.
    groups : AgeGroups, optional
        As for :func:`estimate_buyers`.
    ages : iterable of float, default=(12, 18, 25, 35, 45, 55, 65)
        As for :func:`estimate_buyers`.
    missing : float, default=0.0
        Share of receipts without a usable photo.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    DataFrame
        As :func:`estimate_buyers` gives it. A buyer whose age none of these people has gets the
        answer for somebody of the age next to it. Of groups that the model was adapted with too few
        people of, it is the answer for people whom it knew before.

    Raises
    ------
    RetailDataError
        If a column is missing, or an age is.
    ValueError
        If the model does not know how far its ages are off.

    Examples
    --------
    >>> import ageboost
    >>> import pandas as pd
    >>> from ageboost.retail import simulate_buyers
    >>> truth = pd.DataFrame({"receipt_id": ["a", "b"], "age": [9, 70]})
    >>> buyers = simulate_buyers(truth, ageboost.load_pretrained("fast"), random_state=0)
    >>> (buyers["age"] > 25).tolist()
    [False, True]
    """
    need_columns(truth, ["receipt_id", "age"], "true ages")
    true_ages = truth["age"].to_numpy(dtype=np.float64)
    if np.isnan(true_ages).any():
        raise RetailDataError(
            f"{int(np.isnan(true_ages).sum()):,} true ages are missing: leave these receipts out"
        )
    calibration = calibration_of(model)
    groups = AgeGroups() if groups is None else groups
    seen = known_people(calibration, groups.edges, FEWEST_PEOPLE)
    rng = check_random_state(random_state)
    order = np.argsort(seen.ages, kind="stable")
    known = seen.ages[order]
    # Whose age is the nearest to a buyer's: from the first to the last of them, one is drawn.
    later = np.searchsorted(known, true_ages).clip(0, len(known) - 1)
    earlier = (later - 1).clip(0)
    nearest = np.where(
        np.abs(known[earlier] - true_ages) < np.abs(known[later] - true_ages),
        known[earlier],
        known[later],
    )
    first = np.searchsorted(known, nearest, side="left")
    last = np.searchsorted(known, nearest, side="right")
    people = order[first + (rng.uniform(size=len(first)) * (last - first)).astype(np.intp)]
    predictions = seen.predictions[people]
    predictions[rng.uniform(size=len(people)) < missing] = np.nan
    distribution = calibration.distribution(predictions, seen.scales[people])
    return buyers_from_distribution(truth["receipt_id"], distribution, groups, ages)
