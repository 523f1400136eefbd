"""How far an age can be off: intervals from the errors of out-of-fold predictions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ResidualIntervals"]


class ResidualIntervals:
    """Intervals around predicted ages, as wide as errors were at such ages.

    The errors of predictions for photos that the model had not seen are sorted by predicted age.
    The interval of a new prediction holds the wanted share of the errors of its neighbours, with
    one error of infinite size added on each side, as in conformal prediction.

    Parameters
    ----------
    predictions : array-like of shape (n_photos,)
        Out-of-fold predictions in years.
    ages : array-like of shape (n_photos,)
        True ages in years.
    n_neighbors : int, default=500
        How many errors an interval is drawn from.

    References
    ----------
    J. Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.models import ResidualIntervals
    >>> rng = np.random.default_rng(0)
    >>> predictions = rng.uniform(0, 80, 5000)
    >>> ages = rng.normal(predictions, 3).clip(0)
    >>> ResidualIntervals(predictions, ages).interval([50.0], coverage=0.9).round().tolist()
    [[45.0, 55.0]]
    """

    def __init__(
        self, predictions: npt.ArrayLike, ages: npt.ArrayLike, n_neighbors: int = 500
    ) -> None:
        predictions = np.asarray(predictions, dtype=np.float32)
        order = np.argsort(predictions, kind="stable")
        self.predictions = predictions[order]
        self.residuals = (np.asarray(ages, dtype=np.float32) - predictions)[order]
        self.n_neighbors = min(n_neighbors, len(predictions))

    def interval(self, predictions: npt.ArrayLike, coverage: float) -> npt.NDArray[np.float64]:
        """Draw intervals.

        Parameters
        ----------
        predictions : array-like of shape (n_photos,)
            Years; NaN gives NaN.
        coverage : float
            Share of true ages that should lie inside, above 0 and below 1.

        Returns
        -------
        ndarray of shape (n_photos, 2)
            Lowest and highest age in years; 0 or infinity where there are too few errors to tell.
        """
        if not 0 < coverage < 1:
            raise ValueError(f"coverage={coverage!r}: pass a share above 0 and below 1")
        predictions = np.asarray(predictions, dtype=np.float64)
        k = self.n_neighbors
        start = np.searchsorted(self.predictions, predictions) - k // 2
        start = np.clip(start, 0, len(self.predictions) - k)
        near = np.sort(self.residuals[start[:, None] + np.arange(k)], axis=1)
        # k + 1 places between k errors are equally likely: leave out a share at each end.
        n_out = int((1 - coverage) / 2 * (k + 1))
        if n_out == 0:
            low, high = np.full_like(predictions, -np.inf), np.full_like(predictions, np.inf)
        else:
            low, high = predictions + near[:, n_out - 1], predictions + near[:, -n_out]
        interval = np.stack([low, high], axis=1).clip(0)
        # A prediction lies in its own interval, even where errors lean to one side.
        interval[:, 0] = np.minimum(interval[:, 0], predictions)
        interval[:, 1] = np.maximum(interval[:, 1], predictions)
        interval[np.isnan(predictions)] = np.nan
        return interval
