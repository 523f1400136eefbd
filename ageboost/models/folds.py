"""Folds of photos that keep together what must not be learnt from and tested on at once."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import GroupKFold, KFold, check_cv

from ageboost.errors import PhotoError
from ageboost.photos import photo_digest

__all__ = ["digests_of", "keep_together", "split_photos"]

Fold = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


def digests_of(photos: Sequence[object]) -> list[str]:
    """Digest each photo's content; one that cannot be read stands for itself.

    Parameters
    ----------
    photos : sequence of length n_photos

    Returns
    -------
    list of str
    """
    digests = []
    for position, photo in enumerate(photos):
        try:
            digests.append(photo_digest(photo))
        except PhotoError:
            digests.append(f"unreadable {position}")
    return digests


def keep_together(digests: Sequence[str], groups: Iterable[object] | None) -> npt.NDArray[np.intp]:
    """Number the sets of photos that share a group or a copy, directly or through others.

    Parameters
    ----------
    digests : sequence of str of length n_photos
    groups : sequence of length n_photos, optional

    Returns
    -------
    ndarray of shape (n_photos,)

    Raises
    ------
    ValueError
        If a photo has no group, or the lengths differ.

    Examples
    --------
    >>> from ageboost.models.folds import keep_together
    >>> keep_together(["a", "b", "b", "c"], ["ann", "ann", "bob", "cem"]).tolist()
    [0, 0, 0, 1]
    """
    copies, _ = pd.factorize(np.asarray(digests, dtype=object))
    if groups is None:
        return copies
    named = pd.Series(list(groups), dtype=object)
    if len(named) != len(digests):
        raise ValueError(f"{len(digests)} photos but {len(named)} groups: give one for each photo")
    missing = np.flatnonzero(named.isna())
    if len(missing):
        raise ValueError(
            f"groups has no entry for {len(missing)} photos, the first in row {missing[0]}: "
            "name their subjects, or leave them out"
        )
    subjects, _ = pd.factorize(named)
    # A graph whose nodes are copies and subjects, and whose edges are photos.
    n_copies = copies.max(initial=-1) + 1
    n_nodes = n_copies + subjects.max(initial=-1) + 1
    edges = coo_array((np.ones(len(copies)), (copies, n_copies + subjects)), (n_nodes, n_nodes))
    return connected_components(edges, directed=False)[1][copies].astype(np.intp)


def split_photos(
    together: npt.NDArray[np.intp], ages: npt.NDArray[np.float64], cv: Any, seed: int
) -> list[Fold]:
    """Split photos into folds for training and testing.

    Parameters
    ----------
    together : ndarray of shape (n_photos,)
        As :func:`keep_together` gives it.
    ages : ndarray of shape (n_photos,)
        Years.
    cv : int or scikit-learn splitter
        A splitter that pays no regard to groups loses, from the side that trains, what belongs
        together with photos of the side that tests.
    seed : int

    Returns
    -------
    list of (ndarray of int, ndarray of int)
        Positions that train and positions that test.

    Raises
    ------
    ValueError
        If there are too few photos or groups, or nothing is left to train on.
    """
    n_sets = len(np.unique(together))
    if isinstance(cv, int):
        if cv < 2:
            raise ValueError(f"cv={cv}: pass 2 or more")
        if n_sets < cv:
            raise ValueError(
                f"cv={cv} folds of {n_sets} groups: pass fewer folds, or photos of more people"
            )
        splitter = KFold if n_sets == len(together) else GroupKFold
        cv = splitter(cv, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # What a splitter that ignores groups does to them is seen to below.
        warnings.filterwarnings("ignore", message="The groups parameter is ignored")
        splits = list(check_cv(cv).split(np.zeros((len(ages), 1)), ages, together))
    folds = []
    n_removed = 0
    for train, test in splits:
        clean = train[~np.isin(together[train], together[test])]
        n_removed += len(train) - len(clean)
        if len(clean) == 0 or len(test) == 0:
            raise ValueError(
                f"cv={cv!r} leaves no photos to train on, or none to test on: "
                "pass a splitter that keeps groups together, such as GroupKFold"
            )
        folds.append((clean, test))
    if n_removed:
        warnings.warn(
            f"{n_removed} photos are left out of training: a copy or the same person is in the "
            "test fold: pass a splitter that keeps groups together, such as GroupKFold",
            stacklevel=3,
        )
    return folds
