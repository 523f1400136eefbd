"""Metrics of ages for everybody and for each group of people, and the gaps between groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from ageboost._age_bands import MEASURED_BANDS
from ageboost.evaluation.metrics import share_interval
from ageboost.models import AgeDistribution

__all__ = ["age_groups", "age_metrics", "fairness_gaps"]

_N_DRAWS, _DRAWS_AT_ONCE = 1000, 100
_FEWEST_OF_AN_AGE = 5
_SHARES = ("within 5 years", "inside", "minors waved through", "adults asked")


def age_groups(ages: npt.ArrayLike) -> pd.Categorical:
    """Name the age group of each person.

    Parameters
    ----------
    ages : array-like of shape (n_people,)
        Years.

    Returns
    -------
    Categorical of length n_people
        Ordered: ``"0-12"``, ``"13-17"``, ``"18-24"``, ``"25-34"``, ``"35-44"``, ``"45-59"``,
        ``"60+"``.

    Examples
    --------
    >>> from ageboost.evaluation import age_groups
    >>> list(age_groups([3, 17.9, 18, 70]))
    ['0-12', '13-17', '18-24', '60+']
    """
    edges = [0, *MEASURED_BANDS.edges, np.inf]
    return pd.cut(
        np.asarray(ages, dtype=np.float64), edges, right=False, labels=[*MEASURED_BANDS.names]
    )


def age_metrics(
    ages: npt.ArrayLike,
    predictions: npt.ArrayLike,
    distribution: AgeDistribution | None = None,
    groups: Mapping[str, npt.ArrayLike] | pd.DataFrame | None = None,
    coverage: float = 0.9,
    legal_age: float = 18,
    challenge_age: float = 25,
) -> pd.DataFrame:
    """Measure predicted ages, for everybody and for each group, with an interval for each figure.

    ``MAE`` (mean absolute error), ``RMSE`` (root of the mean squared error) and ``bias`` (mean of
    predicted less true age) are in years, ``within 5 years`` is a share. Of ranges: ``inside`` is
    the share of true ages in them, ``width`` their mean width in years. ``P(adult) bias`` is the
    mean probability of the legal age or more, less the share of people who are that old; it is not
    given by age group, where everybody is or nobody. Of age checks, as in NIST IR 8525: ``minors
    waved through`` is the share of people under the legal age who are predicted to be of the
    challenge age or older, ``adults asked`` the share of people of the legal age or older who are
    not.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        True ages in years.
    predictions : array-like of shape (n_photos,)
        Predicted ages in years; NaN where there is none, which is left out.
    distribution : AgeDistribution, optional
        Of the same photos, for what concerns ranges and probabilities.
    groups : DataFrame or mapping of str to array-like of shape (n_photos,), optional
        Labels of people, such as ``sex``. The age group of the true age is added. People without a
        label are left out there.
    coverage : float, default=0.9
        Of the ranges.
    legal_age : float, default=18
        Years.
    challenge_age : float, default=25
        Years.

    Returns
    -------
    DataFrame
        One row for each group and metric: ``by`` (``"all"``, a column of ``groups`` or
        ``"age group"``), ``group``, ``metric``, ``photos``, ``value``, and ``low`` and ``high``, a
        95 % interval: of Wilson for shares, by bootstrap over photos for others.

    References
    ----------
    K. Hanaoka et al., "Face Analysis Technology Evaluation: Age Estimation and Verification", NIST
    IR 8525, 2024.

    Examples
    --------
    >>> from ageboost.evaluation import age_metrics
    >>> table = age_metrics([16, 30, 50], [20, 33, 48], groups={"sex": ["f", "f", "m"]})
    >>> table.query("by == 'sex' and metric == 'MAE'")[["group", "photos", "value"]].values.tolist()
    [['f', 2, 3.5], ['m', 1, 2.0]]
    """
    values = _values(ages, predictions, distribution, coverage, legal_age, challenge_age)
    rows = []
    for by, group, part in _parts(values, np.asarray(ages), groups):
        for metric, counted, draws in _draw(part):
            value = _mean(metric, counted)
            if metric in _SHARES:
                low, high = share_interval(int(counted.sum()), len(counted))
            else:
                low, high = np.quantile(draws, [0.025, 0.975])
                # Of one photo, or of equal ones, all draws are the value, but for rounding.
                low, high = min(low, value), max(high, value)
            rows.append((by, group, metric, len(counted), value, float(low), float(high)))
    names = ["by", "group", "metric", "photos", "value", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def fairness_gaps(
    ages: npt.ArrayLike,
    predictions: npt.ArrayLike,
    groups: Mapping[str, npt.ArrayLike] | pd.DataFrame,
    distribution: AgeDistribution | None = None,
    coverage: float = 0.9,
    legal_age: float = 18,
    challenge_age: float = 25,
    min_photos: int = 30,
) -> pd.DataFrame:
    """Name the two groups between which each metric differs most.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        True ages in years.
    predictions : array-like of shape (n_photos,)
        Predicted ages in years.
    groups : DataFrame or mapping of str to array-like of shape (n_photos,)
        As for :func:`age_metrics`.
    distribution : AgeDistribution, optional
        As for :func:`age_metrics`.
    coverage : float, default=0.9
        As for :func:`age_metrics`.
    legal_age : float, default=18
        As for :func:`age_metrics`.
    challenge_age : float, default=25
        As for :func:`age_metrics`.
    min_photos : int, default=30
        Groups with fewer photos that a metric can be computed from are not compared.

    Returns
    -------
    DataFrame
        One row for each kind of group and metric, the largest gap of each metric first: ``by``,
        ``metric``, ``gap`` (in the units of the metric), its 95 % interval ``low`` and ``high``,
        ``lowest`` and ``highest`` (groups), ``certain`` (whether the interval excludes 0),
        ``left_out`` (groups of too few photos, and how many each has), and ``at_equal_ages``, the
        gap between the same two groups among people as old as each other, with its 95 % interval
        ``equal_low`` and ``equal_high``. The gap is NaN where fewer than two groups have enough,
        and the one at equal ages where they have no age group in common. Intervals are by bootstrap
        over photos, of shares from their Jeffreys distribution, and hold for all pairs of groups at
        once: among groups that do not differ, a gap is called certain one time in twenty, however
        many they are.

    Notes
    -----
    Errors depend on age, and groups are not of the same ages, so that a gap can be one of ages, or
    be hidden by them. Gaps at equal ages are standardised: means of age groups in which both groups
    have five photos or more are weighted alike.

    References
    ----------
    P. Westfall and S. Young, "Resampling-Based Multiple Testing", 1993.
    L. Brown, T. Cai and A. DasGupta, "Interval Estimation for a Binomial Proportion", Statistical
    Science 2001.

    Examples
    --------
    >>> from ageboost.evaluation import fairness_gaps
    >>> ages, predictions = [20, 30] * 50, [21, 34] * 50
    >>> gaps = fairness_gaps(ages, predictions, {"sex": ["f", "m"] * 50})
    >>> gaps.query("by == 'sex' and metric == 'MAE'")[["gap", "lowest", "highest"]].values.tolist()
    [[3.0, 'f', 'm']]
    """
    values = _values(ages, predictions, distribution, coverage, legal_age, challenge_age)
    labels = {by: np.asarray(column) for by, column in dict(groups).items()}
    found: dict[tuple[str, str], dict[str, tuple[float, npt.NDArray]]] = {}
    left_out: dict[tuple[str, str], list[str]] = {}
    for number, (by, group, part) in enumerate(_parts(values, np.asarray(ages), groups)):
        for metric, counted, draws in _draw(part, number):
            if by == "all":
                continue
            if len(counted) < min_photos:
                left_out.setdefault((by, metric), []).append(f"{group} ({len(counted)})")
            else:
                if metric in _SHARES:
                    draws = _draw_share(counted, number)
                found.setdefault((by, metric), {})[group] = _mean(metric, counted), draws
    rows: list[tuple] = []
    bins = np.asarray(age_groups(ages).codes)
    # Groups that are too small to compare are named, lest that be taken for the absence of a gap.
    for by, metric in dict.fromkeys([*found, *left_out]):
        means = found.get((by, metric), {})
        few = ", ".join(left_out.get((by, metric), []))
        if len(means) >= 2:
            lowest, highest = (pick(means, key=lambda name: means[name][0]) for pick in (min, max))
            gap = means[highest][0] - means[lowest][0]
            reach = _reach({group: draws for group, (_, draws) in means.items()}, lowest, highest)
            certain = bool(gap > reach)
            equal = (np.nan,) * 3
            if by in labels:
                pair = (lowest, highest)
                equal = _gap_at_equal_ages(metric, values[metric], bins, labels[by], pair)
            row = (by, metric, gap, gap - reach, gap + reach, lowest, highest, certain, few)
            rows.append((*row, *equal))
        elif few:
            rows.append((by, metric, *[np.nan] * 3, "", "", False, few, *[np.nan] * 3))
    names = ["by", "metric", "gap", "low", "high", "lowest", "highest", "certain", "left_out"]
    names += ["at_equal_ages", "equal_low", "equal_high"]
    table = pd.DataFrame(rows, columns=names)
    order = {metric: place for place, metric in enumerate(dict.fromkeys(table["metric"]))}
    table["order"] = table["metric"].map(order)
    table = table.sort_values(["order", "gap"], ascending=[True, False], kind="stable")
    return table.drop(columns="order").reset_index(drop=True)


def _gap_at_equal_ages(
    metric: str,
    values: pd.Series,
    bins: npt.NDArray,
    labels: npt.NDArray,
    pair: tuple[str, str],
) -> tuple[float, float, float]:
    """Standardise two groups to the same ages: the gap between them, and its interval."""
    counted = values.to_numpy(dtype=np.float64)
    known = ~np.isnan(counted)
    sides = [known & (labels.astype(str) == name) for name in pair]
    n_bins = len(MEASURED_BANDS)
    counts = np.array([np.bincount(bins[side], minlength=n_bins) for side in sides])
    both = (counts >= _FEWEST_OF_AN_AGE).all(axis=0)
    if not both.any():
        return (np.nan,) * 3
    weights = counts.sum(axis=0) * both
    weights = weights / weights.sum()
    means, variances = [], []
    for side, n in zip(sides, counts, strict=True):
        n = np.maximum(n, 1)
        mean = np.bincount(bins[side], counted[side], n_bins) / n
        spread = np.bincount(bins[side], counted[side] ** 2, n_bins) / n - mean**2
        means.append(float(weights @ mean))
        variances.append(float(weights**2 @ (spread.clip(0) / np.maximum(n - 1, 1))))
    if metric == "RMSE":
        means = [float(np.sqrt(mean)) for mean in means]
        variances = [
            one / max(4 * mean**2, 1e-12) for one, mean in zip(variances, means, strict=True)
        ]
    gap = means[1] - means[0]
    reach = norm.ppf(0.975) * float(np.sqrt(sum(variances)))
    return gap, gap - reach, gap + reach


def _values(ages, predictions, distribution, coverage, legal_age, challenge_age) -> pd.DataFrame:
    """Lay out what each metric is the mean of, photo by photo; NaN where a photo does not count."""
    ages = np.asarray(ages, dtype=np.float64)
    predictions = np.asarray(predictions, dtype=np.float64)
    if ages.shape != predictions.shape:
        raise ValueError(f"{len(ages)} ages but {len(predictions)} predictions")
    known, minor = ~np.isnan(predictions), ages < legal_age
    errors = predictions - ages
    frame = pd.DataFrame(
        {
            "MAE": np.abs(errors),
            "RMSE": errors**2,
            "bias": errors,
            "within 5 years": np.where(known, np.abs(errors) <= 5, np.nan),
        }
    )
    if distribution is not None:
        low, high = distribution.interval(coverage).T
        frame["inside"] = np.where(known, (low <= ages) & (ages <= high), np.nan)
        frame["width"] = high - low
        frame["P(adult) bias"] = distribution.over(legal_age) - ~minor
    older = predictions >= challenge_age
    frame["minors waved through"] = np.where(known & minor, older, np.nan)
    frame["adults asked"] = np.where(known & ~minor, ~older, np.nan)
    return frame


def _parts(values: pd.DataFrame, ages, groups) -> Iterator[tuple[str, str, pd.DataFrame]]:
    yield "all", "all", values
    for by, labels in {
        **dict({} if groups is None else groups),
        "age group": age_groups(ages),
    }.items():
        column = pd.Series(labels, copy=False).reset_index(drop=True)
        if len(column) != len(values):
            raise ValueError(f"{len(values)} photos but {len(column)} labels in groups[{by!r}]")
        # Whose true age is known is an adult or not: no probability in between can be right.
        kept_rows = (
            values.drop(columns="P(adult) bias", errors="ignore") if by == "age group" else values
        )
        for name, part in kept_rows.groupby(column, observed=True):
            yield by, str(name), part


def _draw(part: pd.DataFrame, seed: int = 0) -> Iterator[tuple[str, npt.NDArray, npt.NDArray]]:
    """Yield each metric, the values it is the mean of, and the metric over photos drawn anew."""
    rng = np.random.default_rng(seed)
    matrix = part.to_numpy(dtype=np.float64)
    known = ~np.isnan(matrix)
    filled = np.where(known, matrix, 0.0)
    columns = np.hstack([filled, known]).astype(np.float32)
    # How often each photo is drawn is near enough to Poisson's distribution, and quicker so.
    drawn = [
        rng.poisson(1.0, (_DRAWS_AT_ONCE, len(part))).astype(np.float32) @ columns
        for _ in range(_N_DRAWS // _DRAWS_AT_ONCE)
    ]
    sums, counts = np.split(np.concatenate(drawn).astype(np.float64), 2, axis=1)
    # A draw without any photo, of which there are some where photos are very few, is left out.
    whole = filled.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), whole)
    for place, metric in enumerate(part.columns):
        if known[:, place].any():
            draws = np.sqrt(means[:, place]) if metric == "RMSE" else means[:, place]
            yield metric, matrix[known[:, place], place], draws


def _draw_share(counted: npt.NDArray, seed: int) -> npt.NDArray:
    """Draw shares that may lie behind a counted one, which differ even where none was counted."""
    n_counted = counted.sum()
    rng = np.random.default_rng(seed)
    return rng.beta(n_counted + 0.5, len(counted) - n_counted + 0.5, _N_DRAWS)


def _reach(draws: dict[str, npt.NDArray], lowest: str, highest: str) -> float:
    """Compute how far the gap between two groups can be off, where all pairs could have been named.

    Of many pairs, one seems to differ by chance. So the reach is that of the pair that is furthest
    off in each draw, in units of the pair's standard error.
    """
    off = np.array([values - values.mean() for values in draws.values()])
    variances = off.var(axis=1)
    one, other = np.triu_indices(len(off), 1)
    errors = np.sqrt(variances[one] + variances[other])
    known = errors > 0
    names = [*draws]
    error = float(np.sqrt(variances[[names.index(lowest), names.index(highest)]].sum()))
    if not known.any():
        return error
    furthest = np.abs(off[one] - off[other])[known] / errors[known, None]
    return float(np.quantile(furthest.max(axis=0), 0.95)) * error


def _mean(metric: str, counted: npt.NDArray) -> float:
    return float(np.sqrt(counted.mean()) if metric == "RMSE" else counted.mean())
