"""How old the buyer of each receipt is: one row for each receipt, with what is believed of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ageboost._age_bands import SHOP_EDGES
from ageboost.errors import RetailDataError
from ageboost.models import AgeDistribution, AgeEstimator, load_pretrained
from ageboost.models.calibration import calibration_of
from ageboost.models.looks_so_far import LooksSoFar
from ageboost.photos import photo_name
from ageboost.retail._joins import check_join
from ageboost.retail._repeated import check_unique
from ageboost.retail.groups import AgeGroups
from ageboost.retail.matching import MatchedPhotos
from ageboost.retail.tables import Source, need_columns, read_table

__all__ = ["DEFAULT_AGES", "buyers_from_distribution", "estimate_buyers"]

DEFAULT_AGES = SHOP_EDGES


def estimate_buyers(
    matched: MatchedPhotos | pd.DataFrame,
    receipts: Source,
    model: AgeEstimator | None = None,
    groups: AgeGroups | None = None,
    ages: Iterable[float] = DEFAULT_AGES,
    several: Literal["main", "leave out"] = "main",
    coverage: float = 0.9,
    cache: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Estimate the age of the buyer of each receipt, from its photo.

    Each photo is looked at once, batch by batch. What is not known of a receipt gets a status,
    and every receipt a row.

    Parameters
    ----------
    matched : MatchedPhotos or DataFrame
        What :func:`match_photos` gives, or a table with ``photo`` and ``receipt_id``.
    receipts : path, DataFrame, Query, or a table of Arrow, Polars or DuckDB
        As for :func:`read_table`.
    model : AgeEstimator, optional
        By default the one of :func:`ageboost.load_pretrained`.
    groups : AgeGroups, optional
        Age groups that will be asked for; their edges are added to ``ages``.
    ages : iterable of float, default=(12, 18, 25, 35, 45, 55, 65)
        Ages T for which the probability of being younger is kept as ``under_T``.
    several : {"main", "leave out"}, default="main"
        Who the buyer is where a photo shows several faces: the one with the main face, which is the
        largest (see :meth:`ageboost.faces.FaceFinder.find`), or nobody, with the status ``"several
        faces"``.
    coverage : float, default=0.9
        Share of true ages that should lie between ``age_low`` and ``age_high``.
    cache : path, optional
        Folder to keep features in, as for :class:`ageboost.AgeEstimator`. They identify
        is: treat the folder as personal data.
    n_jobs : int, optional
        Processes that look at photos; -1 for all cores.

    Returns
    -------
    DataFrame
        One row for each receipt, in their order: ``receipt_id``, ``photo`` (its name), ``status``,
        ``faces`` (how many the photo shows), ``age``, ``age_low``, ``age_high`` (years),
        ``quality`` (0 to 1), ``reliable``, ``under_12``... (probabilities), ``calibration``,
        the fingerprint of the model's calibration, which alone fits these ages, and ``camera``:
        ``"foreign"`` if all photos together do not look like those that the model knows, as
        :meth:`AgeEstimator.familiarity` finds out, or else ``"known"``. ``status`` is
        ``"ok"``, ``"unreliable"`` (an age is estimated, but the face is seen so badly that it
        should not be relied on), ``"several faces"``, ``"no face"``, ``"unreadable"``, ``"too
        large"`` or ``"no photo"``. What comes after counts ``"ok"`` only.

    Raises
    ------
    RetailDataError
        If a column is missing, or a receipt is there twice or has two photos.
    ValueError
        If the model does not know how far its ages are off.

    Examples
    --------
    >>> import pandas as pd
    >>> from skimage.data import astronaut
    >>> from ageboost.retail import estimate_buyers
    >>> photos = pd.DataFrame({"photo": [astronaut()], "receipt_id": ["a"]})
    >>> buyers = estimate_buyers(photos, pd.DataFrame({"receipt_id": ["a", "b"]}))
    >>> buyers["status"].tolist()
    ['ok', 'no photo']
    >>> bool(buyers["under_18"][0] < 0.05)
    True
    """
    if several not in ("main", "leave out"):
        raise ValueError(f"several={several!r}: pass 'main' or 'leave out'")
    receipts = read_table(receipts, "receipts")
    check_unique(receipts)
    photos = _photo_of_each(matched, receipts)
    thresholds = _thresholds(groups, ages)
    model = load_pretrained() if model is None else model
    estimates, camera = _estimate_photos(
        model, photos["photo"].tolist(), thresholds, several, coverage, cache=cache, n_jobs=n_jobs
    )
    estimates.index = photos.index
    table = estimates.reindex(receipts.index)
    table["status"] = table["status"].fillna("no photo").astype("str")
    table["faces"] = table["faces"].fillna(0).astype("int64")
    table.insert(0, "receipt_id", receipts["receipt_id"])
    fingerprint = calibration_of(model).fingerprint_
    return table.assign(
        calibration=_repeat(fingerprint, len(table)), camera=_repeat(camera, len(table))
    )


def buyers_from_distribution(
    receipt_ids: Iterable[object],
    distribution: AgeDistribution,
    groups: AgeGroups | None = None,
    ages: Iterable[float] = DEFAULT_AGES,
    coverage: float = 0.9,
) -> pd.DataFrame:
    """Make the table of buyers from ages that have been estimated already.

    Parameters
    ----------
    receipt_ids : iterable of length n_receipts
    distribution : AgeDistribution
        Of n_receipts faces; NaN for a buyer of unknown age, whose status will be ``"no photo"``.
    groups : AgeGroups, optional
        As for :func:`estimate_buyers`.
    ages : iterable of float, default=(12, 18, 25, 35, 45, 55, 65)
        As for :func:`estimate_buyers`.
    coverage : float, default=0.9
        As for :func:`estimate_buyers`.

    Returns
    -------
    DataFrame
        As :func:`estimate_buyers` gives it, without ``photo`` and ``quality``, which are not known.

    Raises
    ------
    RetailDataError
        If a receipt is there twice.

    Examples
    --------
    >>> import ageboost
    >>> from ageboost.retail import buyers_from_distribution
    >>> seen = ageboost.load_pretrained().calibration_.distribution
    >>> import numpy as np
    >>> buyers = buyers_from_distribution(["a", "b"], seen(np.array([9.0, 40]), np.array([2.0, 4])))
    >>> buyers["under_18"].round().tolist()
    [1.0, 0.0]
    """
    ids = pd.DataFrame({"receipt_id": list(receipt_ids)})
    if len(ids) != len(distribution):
        raise ValueError(
            f"{len(ids)} receipt_ids but {len(distribution)} ages: give one of each per receipt"
        )
    receipts = read_table(ids, "receipts")
    check_unique(receipts)
    estimates = _describe_ages(distribution, _thresholds(groups, ages), coverage)
    known = estimates["age"].notna()
    estimates.insert(
        0, "status", pd.Series("ok", index=estimates.index, dtype="str").where(known, "no photo")
    )
    estimates.insert(1, "faces", known.astype("int64"))
    estimates.insert(0, "photo", pd.Series(pd.NA, index=estimates.index, dtype="str"))
    estimates.insert(0, "receipt_id", receipts["receipt_id"])
    place = estimates.columns.get_loc("age_high") + 1
    estimates.insert(place, "quality", np.nan)
    estimates.insert(
        place + 1, "reliable", pd.Series(pd.NA, index=estimates.index, dtype="boolean")
    )
    return estimates.assign(
        calibration=_repeat(distribution.calibration, len(estimates)),
        camera=_repeat(None, len(estimates)),
    )


def _repeat(word: str | None, n_rows: int) -> pd.Series:
    return pd.Series([word] * n_rows, dtype="str")


def _thresholds(groups: AgeGroups | None, ages: Iterable[float]) -> list[float]:
    edges = AgeGroups().edges if groups is None else groups.edges
    return sorted({*ages, *edges})


def _photo_of_each(matched: MatchedPhotos | pd.DataFrame, receipts: pd.DataFrame) -> pd.DataFrame:
    """Take the photos of receipts, labelled by the position of their receipt."""
    table = matched.table if isinstance(matched, MatchedPhotos) else matched
    photos = read_table(table, "photos")
    need_columns(photos, ["receipt_id"], "photos")
    photos = photos[photos["receipt_id"].notna()]
    again = photos["receipt_id"].duplicated()
    if again.any():
        raise RetailDataError(
            f"{again.sum():,} receipts have more than one photo, such as "
            f"{photos.loc[again, 'receipt_id'].iloc[0]!r}: match_photos(photos, receipts) chooses"
        )
    check_join(photos["receipt_id"], receipts["receipt_id"], "photos", "receipts")
    places = pd.Index(receipts["receipt_id"]).get_indexer(photos["receipt_id"])
    if (places < 0).any():
        lost = photos.loc[places < 0, "receipt_id"]
        raise RetailDataError(
            f"{len(lost):,} photos are of receipts that are not there, such as {lost.iloc[0]!r}: "
            "match_photos(photos, receipts) counts them and goes on without"
        )
    return photos.set_index(places)


def _estimate_photos(
    model: AgeEstimator,
    photos: list[object],
    thresholds: list[float],
    several: str,
    coverage: float,
    *,
    cache: str | os.PathLike[str] | None,
    n_jobs: int | None,
) -> tuple[pd.DataFrame, str | None]:
    least = model.quality_threshold_
    parts, looks = [], LooksSoFar(model.age_regressor_)
    status = np.full(len(photos), "ok", dtype=object)
    faces = np.zeros(len(photos), dtype=np.int64)
    for batch in model.extract(photos, all_faces=True, cache=cache, n_jobs=n_jobs):
        # The main face comes first.
        owners, first, n_faces = np.unique(batch.owners, return_index=True, return_counts=True)
        owners = owners.astype(np.intp)
        faces[owners] = n_faces
        distribution = model.age_regressor_.predict_distribution(batch.matrix[first])
        seen = [batch.qualities[place] for place in first]
        looks.add(batch.matrix[first], seen, distribution.ages)
        estimates = _describe_ages(distribution, thresholds, coverage).set_index(owners)
        quality = np.array([one.overall for one in seen])
        place = estimates.columns.get_loc("age_high") + 1
        estimates.insert(place, "quality", quality)
        sound = np.array([one.is_reliable(least or 0.0) for one in seen], bool)
        reliable = pd.array(sound, dtype="boolean")
        if least is None:
            reliable[sound] = pd.NA
        estimates.insert(place + 1, "reliable", pd.Series(reliable, owners, dtype="boolean"))
        status[owners[~sound]] = "unreliable"
        if several == "leave out":
            many = owners[n_faces > 1]
            status[many] = "several faces"
            estimates.loc[
                many, [c for c in estimates.columns if c not in ("quality", "reliable")]
            ] = np.nan
        for position, error in batch.failures:
            status[position] = error.status
        parts.append(estimates)
    empty = _describe_ages(
        model.age_regressor_.predict_distribution(_no_rows(model)), thresholds, coverage
    )
    place = empty.columns.get_loc("age_high") + 1
    empty.insert(place, "quality", pd.Series(dtype="float64"))
    empty.insert(place + 1, "reliable", pd.Series(dtype="boolean"))
    table = pd.concat(parts or [empty]).reindex(range(len(photos)))
    names = [photo_name(photo, place) for place, photo in enumerate(photos)]
    table.insert(0, "photo", pd.Series(names, dtype="str"))
    table.insert(1, "status", pd.Series(status, dtype="str"))
    table.insert(2, "faces", faces)
    found = looks.compare()
    return table, None if found is None else "foreign" if found.foreign else "known"


def _no_rows(model: AgeEstimator) -> npt.NDArray[np.float32]:
    return np.empty((0, len(model.features_.get_feature_names_out())), dtype=np.float32)


def _describe_ages(
    distribution: AgeDistribution, thresholds: list[float], coverage: float
) -> pd.DataFrame:
    low, high = distribution.interval(coverage).T
    under = 1 - distribution.over(thresholds)
    table = pd.DataFrame({"age": distribution.ages, "age_low": low, "age_high": high})
    return table.assign(
        **{f"under_{age:g}": under[:, place] for place, age in enumerate(thresholds)}
    )
