"""Sources of photos: splits that leave one out, ages known as windows, intervals over people."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost.evaluation.group_metrics import age_groups
from ageboost.models import AgeDistribution
from ageboost.models.folds import digests_of, keep_together

__all__ = ["leave_sources_out", "people_interval", "source_metrics", "window_errors"]

_N_DRAWS = 1000


def leave_sources_out(
    table: pd.DataFrame,
) -> Iterator[tuple[str, npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Split by each source in turn: what is learnt from the others is tested on it.

    Photos of one collection share cameras, taste and mistakes in labels, so folds of it say little
    of photos from anywhere else. Who is seen in the source that tests does not train, nor does a
    copy of one of its photos.

    Parameters
    ----------
    table : DataFrame
        With the columns ``photo`` and ``source``, and ``subject`` where people are known.

    Yields
    ------
    source : str
        Which source tests.
    train, test : ndarray of int
        Positions of rows.

    Raises
    ------
    ValueError
        If there are fewer than two sources.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from ageboost.evaluation import leave_sources_out
    >>> photos = [np.full((2, 2, 3), value, np.uint8) for value in (1, 2, 1, 3)]
    >>> table = pd.DataFrame({"photo": photos, "source": ["web", "web", "till", "till"]})
    >>> for source, train, test in leave_sources_out(table):
    ...     print(source, train.tolist(), test.tolist())  # photo 2 is a copy of photo 0
    till [1] [2, 3]
    web [3] [0, 1]
    """
    sources = table["source"].to_numpy(dtype=object)
    names = sorted(set(sources))
    if len(names) < 2:
        raise ValueError(f"photos of {len(names)} source: give those of two or more")
    subjects = table["subject"].tolist() if "subject" in table else None
    together = keep_together(digests_of(table["photo"].tolist()), subjects)
    for name in names:
        test = np.flatnonzero(sources == name)
        train = np.flatnonzero((sources != name) & ~np.isin(together, together[test]))
        yield name, train, test


def window_errors(
    predictions: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Compute how far predicted ages are outside the windows in which the true ages lie.

    Parameters
    ----------
    predictions : array-like of shape (n_photos,)
        Years.
    low, high : array-like of shape (n_photos,)
        Ends of each window in years; equal where the age is known.

    Returns
    -------
    ndarray of shape (n_photos,)
        Years: positive above the window, negative below it, 0 inside; NaN without a prediction.

    Examples
    --------
    >>> from ageboost.evaluation import window_errors
    >>> window_errors([30, 41, 52], [40, 40, 40], [42, 42, 42]).tolist()
    [-10.0, 0.0, 10.0]
    """
    estimated, lowest, highest = (np.asarray(v, dtype=np.float64) for v in (predictions, low, high))
    if not (lowest <= highest).all():
        raise ValueError("a window ends before it begins: low must not exceed high")
    return np.maximum(estimated - highest, 0) + np.minimum(estimated - lowest, 0)


def people_interval(
    values: npt.ArrayLike,
    subjects: npt.ArrayLike,
    coverage: float = 0.95,
    random_state: int = 0,
) -> tuple[float, float]:
    """Compute how far a mean over photos can be off, by drawing people again and again.

    Photos of one person err alike, so drawing photos would make intervals too narrow.

    Parameters
    ----------
    values : array-like of shape (n_photos,)
        One value for each photo, such as its absolute error; NaN is left out.
    subjects : array-like of shape (n_photos,)
        Who is in each photo.
    coverage : float, default=0.95
        Share of draws whose mean lies inside.
    random_state : int, default=0

    Returns
    -------
    low, high : float

    References
    ----------
    C. Field and A. Welsh, "Bootstrapping Clustered Data", Journal of the Royal Statistical Society
    B 2007.

    Examples
    --------
    >>> from ageboost.evaluation import people_interval
    >>> people_interval([1.0, 1.0, 3.0, 3.0], ["ann", "ann", "bob", "bob"])
    (1.0, 3.0)
    """
    given = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(given)
    if not known.any():
        return float("nan"), float("nan")
    people, _ = pd.factorize(np.asarray(subjects, dtype=object)[known])
    counts = np.bincount(people)
    sums = np.bincount(people, given[known])
    rng = np.random.default_rng(random_state)
    draws = rng.integers(len(counts), size=(_N_DRAWS, len(counts)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(means, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def source_metrics(
    table: pd.DataFrame,
    predictions: npt.ArrayLike,
    distribution: AgeDistribution | None = None,
    coverage: float = 0.9,
    legal_age: float = 18,
    challenge_age: float = 25,
) -> pd.DataFrame:
    """Measure predicted ages by source and by true age.

    Parameters
    ----------
    table : DataFrame
        With the columns ``source`` and ``age``, and where they are known ``age_low``, ``age_high``
        and ``subject``: see :func:`ageboost.datasets.read_sources`.
    predictions : array-like of shape (n_photos,)
        Predicted ages in years; NaN where there is none, which is left out.
    distribution : AgeDistribution, optional
        Of the same photos, for what concerns ranges and probabilities.
    coverage : float, default=0.9
        Of the ranges.
    legal_age : float, default=18
        Years.
    challenge_age : float, default=25
        Years.

    Returns
    -------
    DataFrame
        One row for each source (``age group`` is ``"all"``) and each age group of it: ``source``,
        ``age group``, ``photos``, ``people``, ``without an age``, ``MAE`` with its 95 % interval
        ``low`` and ``high`` (by drawing people), ``outside`` (mean distance outside the window of
        age), ``bias`` (mean of predicted less true age), ``inside`` (how much of the window of age
        the ranges hold, on average; of an age that is known, all or nothing), ``said adult`` (mean
        probability of the legal age or more), ``adult`` (share that is that old) and ``minors waved
        through`` (share of minors predicted to be of the challenge age or older). NaN where there
        is nothing to measure.

    See Also
    --------
    age_metrics : The same for groups of people of one source.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.evaluation import source_metrics
    >>> table = pd.DataFrame({"source": ["till", "till", "web"], "age": [16, 30, 40]})
    >>> metrics = source_metrics(table, [26, 31, 38])
    >>> metrics.query("`age group` == 'all'")[["source", "MAE", "minors waved through"]]
      source  MAE  minors waved through
    0   till  5.5                   1.0
    3    web  2.0                   NaN
    """
    ages = table["age"].to_numpy(dtype=np.float64)
    estimated = np.asarray(predictions, dtype=np.float64)
    if estimated.shape != ages.shape:
        raise ValueError(f"{len(ages)} photos but {len(estimated)} predictions")
    low = table["age_low"].to_numpy(dtype=np.float64) if "age_low" in table else ages
    high = table["age_high"].to_numpy(dtype=np.float64) if "age_high" in table else ages
    errors, minor = estimated - ages, ages < legal_age
    known = ~np.isnan(estimated)
    columns = {
        "MAE": np.abs(errors),
        "outside": np.abs(window_errors(estimated, low, high)),
        "bias": errors,
        "inside": np.full(len(ages), np.nan),
        "said adult": np.full(len(ages), np.nan),
        "adult": np.where(known, ~minor, np.nan),
        "minors waved through": np.where(known & minor, estimated >= challenge_age, np.nan),
    }
    if distribution is not None:
        columns["inside"] = _share_inside(distribution.interval(coverage), low, high)
        columns["said adult"] = distribution.over(legal_age)
    values = pd.DataFrame(columns)
    subjects = (table["subject"] if "subject" in table else pd.Series(range(len(ages)))).to_numpy()
    groups, sources = age_groups(ages), table["source"].to_numpy(dtype=object)
    rows = []
    for source in dict.fromkeys(sources):
        of_source = sources == source
        for group in ["all", *groups.categories]:
            part = of_source if group == "all" else of_source & (groups == group)
            if not part.any():
                continue
            measured = values[part]
            reach = people_interval(measured["MAE"], subjects[part])
            counts = (part.sum(), len(set(subjects[part])), int(np.isnan(estimated[part]).sum()))
            means = measured.mean()
            rows.append((source, group, *counts, means["MAE"], *reach, *means.iloc[1:]))
    names = ["source", "age group", "photos", "people", "without an age", "MAE", "low", "high"]
    return pd.DataFrame(rows, columns=[*names, *values.columns[1:]])


def _share_inside(ranges, low, high) -> npt.NDArray[np.float64]:
    """How much of each window of age a range holds: 0 or 1 where the age is known."""
    held = np.minimum(high, ranges[:, 1]) - np.maximum(low, ranges[:, 0])
    width = high - low
    share = np.where(width > 0, np.clip(held, 0, None) / np.where(width > 0, width, 1), held >= 0)
    return np.where(np.isnan(ranges).any(axis=1), np.nan, share)
