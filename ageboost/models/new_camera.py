"""How far ages can be off at a camera that was never met, from sources that were left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import t

__all__ = ["errors_at_a_new_camera"]

# How finely the shift of a camera is drawn, and each source's scatter described.
_N_SHIFTS, _N_SCATTER = 39, 199


def errors_at_a_new_camera(
    errors: npt.NDArray[np.floating], sources: npt.NDArray, n_errors: int
) -> npt.NDArray[np.float64]:
    """Combine errors of several sources into those to expect at another one.

    A source's errors are a shift that all of its photos share, and a scatter around it. A new
    source has the mean scatter of the others and a shift of its own, drawn from Student's
    distribution with one degree of freedom less than there are sources.

    Parameters
    ----------
    errors : ndarray of shape (n_photos,)
        True less predicted ages, in any unit, each from a model that had not learnt from the
        photo's source.
    sources : ndarray of shape (n_photos,)
        Where each photo is from: two sources or more.
    n_errors : int
        How many errors to return.

    Returns
    -------
    ndarray of shape (n_errors,)
        Errors that are equally probable, sorted.

    Raises
    ------
    ValueError
        If all photos are of one source.

    References
    ----------
    J. Higgins, S. Thompson and D. Spiegelhalter, "A Re-evaluation of Random-effects Meta-analysis",
    Journal of the Royal Statistical Society A 2009.
    R. Dunn, L. Wasserman and A. Ramdas, "Distribution-Free Prediction Sets for Two-Layer
    Hierarchical Models", JASA 2022.
    """
    names = np.unique(sources)
    if len(names) < 2:
        raise ValueError("errors at a new camera are learnt from two sources or more")
    parts = [errors[sources == name] for name in names]
    shifts = np.array([np.median(part) for part in parts])
    spread = shifts.std(ddof=1) * np.sqrt(1 + 1 / len(names))
    levels = (np.arange(_N_SHIFTS) + 0.5) / _N_SHIFTS
    new_shifts = shifts.mean() + spread * t.ppf(levels, len(names) - 1)
    # As many errors of each source, so that none drowns.
    shares = (np.arange(_N_SCATTER) + 0.5) / _N_SCATTER
    scatter = [np.quantile(part - shift, shares) for part, shift in zip(parts, shifts, strict=True)]
    together = np.add.outer(np.concatenate(scatter), new_shifts)
    return np.quantile(together, (np.arange(n_errors) + 0.5) / n_errors)
