"""Two models on the same photos: by how much one is better, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["compare_models", "describe_comparison"]

_NEAR = 5.0
_DRAWS_AT_ONCE = 100


def compare_models(
    ages: npt.ArrayLike,
    predictions_a: npt.ArrayLike,
    predictions_b: npt.ArrayLike,
    groups: Iterable[object] | None = None,
    coverage: float = 0.95,
    n_draws: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare the errors of two models on the same photos, with an interval for each difference.

    Photos that are hard for one model are mostly hard for the other. So the difference is known far
    better than either figure: it is computed photo by photo, and people are drawn anew (bootstrap),
    each with all of their photos.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        True ages in years.
    predictions_a, predictions_b : array-like of shape (n_photos,)
        Predicted ages in years. Photos for which either is NaN are left out.
    groups : sequence of length n_photos, optional
        Who is on each photo. By default, everybody is on one photo; so is who is not known (None or
        NaN).
    coverage : float, default=0.95
        Of the intervals.
    n_draws : int, default=2000
    random_state : int, default=0

    Returns
    -------
    DataFrame
        One row for each metric: ``metric`` (``"MAE"``, ``"RMSE"``, ``"bias"`` in years, ``"within 5
        years"``, a share), ``a``, ``b``, ``difference`` (b less a), its interval ``low`` and
        ``high``, ``certain`` (whether that excludes 0), ``photos`` and ``people``. Its
        ``attrs["sentence"]`` says which of them is better, and by how much.

    Raises
    ------
    ValueError
        If lengths differ, or no photo has an age by both.

    References
    ----------
    B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993.

    Examples
    --------
    >>> from ageboost.evaluation import compare_models
    >>> ages = [20, 30, 40, 50] * 20
    >>> rough, fine = [26, 33, 45, 50] * 20, [22, 31, 42, 50] * 20
    >>> table = compare_models(ages, rough, fine).set_index("metric")
    >>> table.loc["MAE", ["a", "b", "difference"]].astype(float).tolist()
    [3.5, 1.25, -2.25]
    >>> bool(table.loc["MAE", "certain"])
    True
    >>> print(table.attrs["sentence"])
    b is better: off by 2.25 years less than a on average (95 % interval: 1.9... to 2.5...).
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage={coverage!r}: pass a share above 0 and below 1")
    years = np.asarray(ages, dtype=np.float64)
    errors = [values - years for values in _check(years, predictions_a, predictions_b)]
    people = _people(groups, len(years))
    known = ~np.isnan(errors[0]) & ~np.isnan(errors[1])
    if not known.any():
        raise ValueError("there is no photo for which both models give an age")
    _, owner = np.unique(people[known], return_inverse=True)
    n_people = int(owner.max()) + 1
    sums = np.stack(
        [
            np.bincount(owner, values, n_people)
            for values in (np.ones(known.sum()), *(t for e in errors for t in _terms(e[known])))
        ],
        axis=1,
        dtype=np.float64,
    )
    drawn = _draw(sums, n_draws, random_state)
    edges = [(1 - coverage) / 2, (1 + coverage) / 2]
    rows = []
    for place, (metric, finish) in enumerate(_METRICS.items()):
        a, b = (finish(sums[:, column].sum() / known.sum()) for column in (1 + place, 5 + place))
        means = drawn[:, [1 + place, 5 + place]] / drawn[:, :1]
        low, high = np.quantile(finish(means[:, 1]) - finish(means[:, 0]), edges)
        certain = bool(low > 0 or high < 0)
        rows.append((metric, a, b, b - a, low, high, certain, int(known.sum()), n_people))
    names = ["metric", "a", "b", "difference", "low", "high", "certain", "photos", "people"]
    table = pd.DataFrame(rows, columns=names)
    same = bool(np.array_equal(errors[0][known], errors[1][known]))
    table.attrs = {"same": same, "coverage": coverage}
    table.attrs["sentence"] = describe_comparison(table)
    return table


def describe_comparison(table: pd.DataFrame, a: str = "a", b: str = "b") -> str:
    """Say which of two models is better, and by how much.

    Parameters
    ----------
    table : DataFrame
        As :func:`compare_models` gives it.
    a, b : str
        What the models are called.

    Returns
    -------
    str
        A sentence.
    """
    if table.attrs["same"]:
        return f"The ages of {a} and {b} are the same."
    mae = table.set_index("metric").loc["MAE"]
    # Years by which the better one is less off, and the interval of that.
    gain, low, high = -mae["difference"], -mae["high"], -mae["low"]
    better, other = b, a
    if gain < 0:
        gain, low, high = -gain, mae["low"], mae["high"]
        better, other = a, b
    interval = f"{100 * table.attrs['coverage']:g} % interval: {low:.2f} to {high:.2f}"
    off = f"off by {gain:.2f} years less than {other} on average"
    if mae["certain"]:
        return f"{better} is better: {off} ({interval})."
    return f"{better} is {off}, which may be chance ({interval})."


def _same(means):
    return means


# What is made of the mean of a term over photos.
_METRICS: dict[str, Callable] = {
    "MAE": _same,
    "RMSE": np.sqrt,
    "bias": _same,
    f"within {_NEAR:g} years": _same,
}


def _terms(errors: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """What each metric is the mean of, in their order."""
    sizes = np.abs(errors)
    return [sizes, errors**2, errors, (sizes <= _NEAR).astype(np.float64)]


def _check(years: npt.NDArray[np.float64], *predictions: npt.ArrayLike) -> list[npt.NDArray]:
    checked = [np.asarray(values, dtype=np.float64) for values in predictions]
    for name, values in zip(("predictions_a", "predictions_b"), checked, strict=True):
        if values.shape != years.shape:
            raise ValueError(f"{len(years)} ages but {len(values)} {name}")
    return checked


def _people(groups: Iterable[object] | None, n_photos: int) -> npt.NDArray[np.intp]:
    """Number people; whoever is not known is somebody else on each photo."""
    if groups is None:
        return np.arange(n_photos)
    labels = pd.Series(list(groups), dtype=object)
    if len(labels) != n_photos:
        raise ValueError(f"{n_photos} photos but {len(labels)} groups")
    numbers = pd.factorize(labels)[0]
    unknown = np.flatnonzero(numbers < 0)
    numbers[unknown] = numbers.max(initial=-1) + 1 + np.arange(len(unknown))
    return numbers


def _draw(
    sums: npt.NDArray[np.float64], n_draws: int, random_state: int
) -> npt.NDArray[np.float64]:
    """Sum over people who are drawn with replacement, as many as there are."""
    rng = np.random.default_rng(random_state)
    shares = np.full(len(sums), 1 / len(sums))
    drawn = [
        rng.multinomial(len(sums), shares, min(_DRAWS_AT_ONCE, n_draws - start)) @ sums
        for start in range(0, n_draws, _DRAWS_AT_ONCE)
    ]
    return np.concatenate(drawn)
