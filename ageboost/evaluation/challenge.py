"""Whom to ask for an identity card: minors who pass, and adults who are bothered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost.evaluation.metrics import share_interval

__all__ = ["challenge_ages"]


def challenge_ages(
    ages: npt.ArrayLike,
    estimates: npt.ArrayLike,
    legal_age: float = 18,
    thresholds: Sequence[float] = tuple(range(18, 41)),
    by_age: bool = False,
) -> pd.DataFrame:
    """Compute what comes of asking everybody for identity who looks younger than an age.

    Parameters
    ----------
    ages : array-like of shape (n_people,)
        True ages in years.
    estimates : array-like of shape (n_people,)
        Predicted ages in years, or anything else that rises with age and is compared with the
        thresholds, such as the probability of being an adult. Who has no estimate (NaN) is asked.
    legal_age : float, default=18
        Years. Who is younger is called a minor.
    thresholds : sequence of float, default=(18, 19, ..., 40)
        Challenge ages: who is estimated to be younger is asked.
    by_age : bool, default=False
        Whether to compute it for each age in whole years as well.

    Returns
    -------
    DataFrame
        One row for each threshold: ``threshold``, ``minors``, ``waved_through`` (share of minors
        who are not asked), ``waved_low``, ``waved_high`` (95 % interval), ``adults``, ``asked``
        (share of adults who are), ``asked_low``, ``asked_high``. With ``by_age``, one for each
        threshold and age: ``threshold``, ``age``, ``people``, ``asked``, ``low``, ``high``.

    References
    ----------
    K. Hanaoka et al., "Face Analysis Technology Evaluation: Age Estimation and Verification", NIST
    IR 8525, 2024.

    Examples
    --------
    >>> from ageboost.evaluation import challenge_ages
    >>> table = challenge_ages([15, 17, 20, 40], [14, 26, 22, 41], thresholds=[25])
    >>> table[["waved_through", "asked"]].values.tolist()
    [[0.5, 0.5]]
    """
    ages = np.asarray(ages, dtype=np.float64)
    estimates = np.asarray(estimates, dtype=np.float64)
    minor = ages < legal_age
    rows: list[tuple] = []
    for threshold in thresholds:
        asked = ~(estimates >= threshold)
        if by_age:
            rows += [
                (threshold, int(age), *_share(asked[np.floor(ages) == age]))
                for age in np.unique(np.floor(ages))
            ]
        else:
            rows.append((threshold, *_share(~asked[minor]), *_share(asked[~minor])))
    if by_age:
        return pd.DataFrame(rows, columns=["threshold", "age", "people", "asked", "low", "high"])
    names = ["minors", "waved_through", "waved_low", "waved_high"]
    names += ["adults", "asked", "asked_low", "asked_high"]
    return pd.DataFrame(rows, columns=["threshold", *names])


def _share(counted: npt.NDArray[np.bool_]) -> tuple[int, float, float, float]:
    share = float(counted.mean()) if len(counted) else float("nan")
    return len(counted), share, *share_interval(int(counted.sum()), len(counted))
