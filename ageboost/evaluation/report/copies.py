"""Photos that are there twice, as the same file or as nearly the same picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["find_near_pairs", "group_pairs", "same_digests"]

_ROWS_AT_ONCE = 512


def find_near_pairs(hashes: npt.NDArray[np.uint64], n_bits: int) -> npt.NDArray[np.intp]:
    """Find pairs of photos whose hashes differ in few bits, in each view of them.

    Parameters
    ----------
    hashes : ndarray of shape (n_photos, n_views, n_words), uint64
        Zeros in the first view stand for photos that have none. It is compared for all pairs, so
        it should be the one that differs most between photos.
    n_bits : int
        How many bits of a view may differ.

    Returns
    -------
    ndarray of shape (n_pairs, 2)
        Positions, the smaller first.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.evaluation.report.copies import find_near_pairs
    >>> hashes = np.array([[[0b1111]], [[0b1110]], [[0b10000]]], np.uint64)
    >>> find_near_pairs(hashes, n_bits=1).tolist()
    [[0, 1]]
    """
    known = np.flatnonzero(hashes[:, 0].any(axis=1))
    words = np.ascontiguousarray(hashes[known, 0].T)
    pairs = [np.empty((0, 2), np.intp)]
    for start in range(0, len(known), _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, len(known))
        # Word by word, so that what is held is one small number for each pair.
        distances = np.zeros((stop - start, len(known) - start), np.uint16)
        for word in words:
            distances += np.bitwise_count(word[start:stop, None] ^ word[None, start:])
        first, second = np.nonzero(distances <= n_bits)
        found = known[np.stack([first, second], axis=1)[first < second] + start]
        others = hashes[found[:, 0], 1:] ^ hashes[found[:, 1], 1:]
        pairs.append(found[(np.bitwise_count(others).sum(axis=2) <= n_bits).all(axis=1)])
    return np.concatenate(pairs)


def group_pairs(pairs: npt.NDArray[np.intp], n_photos: int) -> npt.NDArray[np.intp]:
    """Number the sets of photos that pairs link, directly or through others.

    Parameters
    ----------
    pairs : ndarray of shape (n_pairs, 2)
    n_photos : int

    Returns
    -------
    ndarray of shape (n_photos,)
        A photo that is in no pair is a set of its own.
    """
    edges = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (n_photos, n_photos))
    return connected_components(edges, directed=False)[1].astype(np.intp)


def same_digests(digests: Sequence[object]) -> npt.NDArray[np.intp]:
    """Pair each photo with the first one of the same content.

    Parameters
    ----------
    digests : sequence of str of length n_photos
        Missing where a photo cannot be read; such a photo is in no pair.

    Returns
    -------
    ndarray of shape (n_pairs, 2)
    """
    known = pd.Series(digests, dtype=object).dropna()
    positions = known.index.to_series()
    first = positions.groupby(known).transform("first").to_numpy()
    pairs = np.stack([first, positions.to_numpy()], axis=1).astype(np.intp)
    return pairs[pairs[:, 0] < pairs[:, 1]]
