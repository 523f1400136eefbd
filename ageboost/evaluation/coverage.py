"""Whether ranges hold as many true ages as was promised, at every age."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost.evaluation.metrics import share_interval
from ageboost.models import AgeDistribution

__all__ = ["interval_coverage"]

# True ages that are counted apart: minors, and adults who are near to them.
_YOUNG = range(13, 26)


def interval_coverage(
    ages: npt.ArrayLike,
    distribution: AgeDistribution,
    coverages: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
    years: int = 10,
) -> pd.DataFrame:
    """Count true ages inside their ranges, for all photos, by predicted age and of the young.

    Ranges that hold on average can be too narrow for children and too wide for adults. By predicted
    age they should hold their promise. By true age, which nobody knows beforehand, they need not:
    ranges that hold for 17-year-olds are wide for all who look 22. From 13 to 24 years that is what
    models are made to do, where enough minors were learnt from.

    Parameters
    ----------
    ages : array-like of shape (n_photos,)
        True ages in years.
    distribution : AgeDistribution
        Of the same photos; those without an age are left out.
    coverages : sequence of float, default=(0.5, 0.8, 0.9, 0.95)
        Shares promised.
    years : int, default=10
        Width of the bins of predicted age.

    Returns
    -------
    DataFrame
        One row for each share promised and bin: ``coverage`` (promised), ``by`` (``"all"``,
        ``"predicted age"`` or, for each year from 13 to 25, ``"true age"``), ``group`` (such as
        ``"30-39"`` or ``"17"``), ``photos``, ``inside`` (share of true ages in their ranges),
        ``low``, ``high`` (its 95 % interval, of Wilson), ``width`` (mean width of the ranges in
        years) and ``bias`` (mean of prediction less age in years).

    References
    ----------
    R. Foygel Barber et al., "The Limits of Distribution-Free Conditional Predictive Inference",
    Information and Inference 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.evaluation import interval_coverage
    >>> from ageboost.models import AgeCalibrator
    >>> rng = np.random.default_rng(0)
    >>> predictions = rng.uniform(0, 80, 2000)
    >>> ages, nothing = rng.normal(predictions, 3), np.zeros((2000, 1))
    >>> calibrator = AgeCalibrator(random_state=0).fit(nothing, predictions, ages)
    >>> table = interval_coverage(ages, calibrator.predict(nothing, predictions))
    >>> table = table.query("by == 'all'")
    >>> bool((table["inside"] - table["coverage"]).abs().max() < 0.03)
    True
    """
    ages = np.asarray(ages, dtype=np.float64)
    if len(ages) != len(distribution.ages):
        raise ValueError(f"{len(ages)} ages but distributions of {len(distribution.ages)} photos")
    known = ~np.isnan(distribution.ages)
    starts = (distribution.ages // years * years)[known]
    parts = [("all", "all", np.ones(known.sum(), dtype=bool))]
    parts += [
        ("predicted age", f"{start:.0f}-{start + years - 1:.0f}", starts == start)
        for start in np.unique(starts)
    ]
    completed = np.floor(ages[known])
    parts += [("true age", f"{year}", completed == year) for year in _YOUNG]
    errors = (distribution.ages - ages)[known]
    rows = []
    for coverage in coverages:
        low, high = distribution.interval(coverage)[known].T
        inside = (low <= ages[known]) & (ages[known] <= high)
        for by, group, part in parts:
            n_photos, n_inside = int(part.sum()), int(inside[part].sum())
            if n_photos:
                bounds = share_interval(n_inside, n_photos)
                width = float((high - low)[part].mean())
                share, bias = n_inside / n_photos, float(errors[part].mean())
                rows.append((coverage, by, group, n_photos, share, *bounds, width, bias))
    names = ["coverage", "by", "group", "photos", "inside", "low", "high", "width", "bias"]
    return pd.DataFrame(rows, columns=names)
