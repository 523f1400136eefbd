"""Whom to ask for an identity card: minors who pass, and adults who are bothered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from ageboost.evaluation.metrics import share_interval

__all__ = ["challenge_ages", "minors_passing"]


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


def minors_passing(
    ages: npt.ArrayLike,
    estimates: npt.ArrayLike,
    groups: Mapping[str, npt.ArrayLike] | pd.DataFrame,
    challenge_age: float = 25,
    age: int = 17,
) -> pd.DataFrame:
    """Count who passes of minors just under the legal age, group by group.

    This is NIST's false positive rate: of people of 17, by sex and region, and not of all minors,
    among whom small children make any system look safe.

    Parameters
    ----------
    ages : array-like of shape (n_people,)
        True ages in years.
    estimates : array-like of shape (n_people,)
        Predicted ages in years. Who has no estimate (NaN) is asked.
    groups : DataFrame or mapping of str to array-like of shape (n_people,)
        Such as sex and region; groups are all pairs that occur.
    challenge_age : float, default=25
        Who is estimated to be younger is asked.
    age : int, default=17
        Whole years.

    Returns
    -------
    DataFrame
        One row for each group: a column for each of ``groups``, ``people``, ``passed``, ``share``,
        ``low``, ``high`` (95 % interval). The first row, ``"mean of groups"``, is their mean, in
        which each group counts alike.

    References
    ----------
    K. Hanaoka et al., "Face Analysis Technology Evaluation: Age Estimation and Verification", NIST
    IR 8525, 2024.

    Examples
    --------
    >>> from ageboost.evaluation import minors_passing
    >>> table = minors_passing([17, 17.5, 17, 30], [20, 26, 24, 31], {"sex": ["f", "f", "m", "m"]})
    >>> table[["sex", "people", "share"]].values.tolist()
    [['mean of groups', 3, 0.25], ['f', 2, 0.5], ['m', 1, 0.0]]
    """
    frame = pd.DataFrame(
        {name: np.asarray(column, dtype=str) for name, column in dict(groups).items()}
    )
    names = [*frame.columns]
    estimates = np.asarray(estimates, dtype=np.float64)
    chosen = np.floor(np.asarray(ages, dtype=np.float64)) == age
    frame["passed"] = estimates >= challenge_age
    rows = []
    for key, part in frame[chosen].groupby(names, sort=True):
        people, passed = len(part), int(part["passed"].sum())
        rows.append((*key, people, passed, passed / people, *share_interval(passed, people)))
    table = pd.DataFrame(rows, columns=[*names, "people", "passed", "share", "low", "high"])
    if table.empty:
        return table
    # Each group's share has its own variance, with one half more on either side (Agresti, Coull).
    centre = (table["passed"] + 2) / (table["people"] + 4)
    variance = (centre * (1 - centre) / (table["people"] + 4)).sum() / len(table) ** 2
    mean, reach = table["share"].mean(), norm.ppf(0.975) * np.sqrt(variance)
    whole = ["mean of groups", *[""] * (len(names) - 1), table["people"].sum()]
    whole += [table["passed"].sum(), mean, max(mean - reach, 0.0), min(mean + reach, 1.0)]
    return pd.concat([pd.DataFrame([whole], columns=table.columns), table], ignore_index=True)


def _share(counted: npt.NDArray[np.bool_]) -> tuple[int, float, float, float]:
    share = float(counted.mean()) if len(counted) else float("nan")
    return len(counted), share, *share_interval(int(counted.sum()), len(counted))
