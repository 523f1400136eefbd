"""One page about labelled photos and, where there is one, about what a model makes of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.preprocessing import StandardScaler

from ageboost._arrays import with_arrays
from ageboost._pages.blocks import Section, import_report_packages
from ageboost._pages.page import Page, render_page
from ageboost._progress import stage, track
from ageboost.evaluation.report.answers import AnswersSoFar
from ageboost.evaluation.report.collection import LABEL_COLUMNS, Collection
from ageboost.evaluation.report.copies import find_near_pairs, group_pairs, same_digests
from ageboost.evaluation.report.data_sections import DOUBTFUL, data_sections, unusable_section
from ageboost.evaluation.report.model_sections import model_sections
from ageboost.evaluation.report.survey import look_at_photos, photo_names, survey_faces
from ageboost.evaluation.report.suspects import estimate_out_of_fold, rank_labels
from ageboost.faces import Box, FaceFinder
from ageboost.features import ExtractedBatch, FaceFeatures
from ageboost.models._checks import check_ages
from ageboost.models.estimator import AgeEstimator
from ageboost.models.looks_so_far import LooksSoFar
from ageboost.photos import check_photos

__all__ = ["Report", "make_report"]

# Of 256. In UTKFace, pairs under this are one photo twice; different people begin above it.
_NEAR_BITS = 24
_WARNINGS = ["Photos that the model learnt from look better than others: measure it on new ones."]


@dataclass(frozen=True, repr=False)
class Report(Page):
    """A page about labelled photos, which needs nothing but a browser.

    Attributes
    ----------
    html : str
        The page: styles, figures and photos are inside.
    photos : DataFrame
        What it was written from, one row per photo, in the order of the table: ``photo`` (a name
        as in the page), ``age``, ``status``, ``message``, ``face_size``, ``sharpness``, ``yaw``,
        ``score``, ``quality``, ``width``, ``height``, ``copies`` and ``near_copies`` (photos of
        one number are copies of each other), ``estimate`` (years, from other photos),
        ``usual_error`` (years), ``times`` (how many times the usual error the label is off) and,
        with a model, ``predicted`` (years).

    See Also
    --------
    make_report : Write one.
    """

    photos: pd.DataFrame = field(compare=False)

    def __repr__(self) -> str:
        return f"Report of {len(self.photos):,} photos: save(path) writes the page"


@with_arrays
def make_report(
    table: pd.DataFrame,
    model: AgeEstimator | None = None,
    *,
    title: str = "A look at the data",
    folder: str | os.PathLike[str] | None = None,
    unusable: Sequence[tuple[int | str, str]] = (),
    photos: bool = True,
    cache: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
) -> Report:
    """Look at labelled photos, and at what a model makes of them.

    The page reports ages, quality, copies, photos without a face, and doubtful labels; with a model
    also how far its ages are off and for whom, how far its ranges and probabilities can be relied
    on, and its worst errors.

    Labels are compared with ages that a quick method estimates from the other photos, by the
    features of the model or, without one, by those of the set ``"open"``, which are for anybody.
    The terms of the model stand at the top.

    Parameters
    ----------
    table : DataFrame
        ``photo`` (anything that can be read as a photo) and ``age`` (years); ``sex`` and ``race``,
        where they are there, serve to count photos and to compare errors by them.
    model : AgeEstimator, optional
        Fitted. Photos that it has learnt from look better than others.
    title : str, default="A look at the data"
    folder : path, optional
        Where the names of photos in the page begin. By default, the folder that holds all.
    unusable : sequence of (int or str, str), optional
        Rows of the labels that are not in the table, and why: ``LabelsError.problems``, or
        ``LabelsError.places`` in place of the rows.
    photos : bool, default=True
        Whether the page may show faces. It is personal data then.
    cache : path, optional
        Folder to keep features in, as for :class:`ageboost.features.FaceFeatures`.
    n_jobs : int, optional
        Processes; -1 for all cores.

    Returns
    -------
    Report

    Raises
    ------
    ImportError
        If Jinja2 or matplotlib is not installed.
    LabelsError
        If an age is missing or not from 0 to 120.
    ValueError
        If the table is empty or lacks a column, or none of its photos shows a face.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.evaluation import make_report
    >>> from skimage.data import astronaut
    >>> report = make_report(pd.DataFrame({"photo": [astronaut()], "age": [41]}))
    >>> report.photos["status"].tolist()
    ['ok']
    >>> report.save("report.html")  # doctest: +SKIP
    """
    import_report_packages()
    listed, ages = _check_table(table)
    names = photo_names(listed, folder)
    features = (
        FaceFeatures("open", cache=cache, n_jobs=n_jobs) if model is None else model.features_
    )
    batches = (
        track(
            features.extract(listed),
            "Looking at photos",
            len(listed),
            lambda batch: len(set(batch.owners)) + len(batch.failures),
        )
        if model is None
        else model.extract(listed, cache=cache, n_jobs=n_jobs)
    )
    looks = None
    if model is not None:
        looks = LooksSoFar(model.age_regressor_)
        batches = _looked_at(batches, looks)
    asked = None if model is None else AnswersSoFar(model)
    parts, matrices = [], []
    for rows, matrix in survey_faces(batches, listed, names):
        parts.append(rows)
        matrices.append(matrix) if asked is None else asked.add(matrix)
    seen = pd.concat(parts).sort_index()
    if not (seen["status"] == "ok").any():
        raise ValueError(
            f"none of the {len(listed)} photos shows a face that can be found, "
            f"first: {seen['message'].iloc[0]}"
        )
    labelled = pd.DataFrame({"photo": names, "age": ages})
    for name in LABEL_COLUMNS:
        if name in table:
            labelled[name] = table[name].to_numpy()
    found = pd.concat([labelled, seen], axis=1)
    if asked is None:
        matrix = StandardScaler().fit_transform(np.concatenate(matrices))
    else:
        answers, matrix = asked.finish()
        found.loc[found["status"] == "ok", "predicted"] = answers.predicted
    with stage("Comparing photos and labels"):
        found = _compare(found, listed, matrix, features.get_finder(), n_jobs)
    collection = Collection(listed, found, photos, n_jobs)
    warnings = [] if model is None else [f"Terms of the model: {model.terms.summary}", *_WARNINGS]
    compared = None if looks is None else looks.compare()
    if compared is not None and compared.foreign:
        warnings.append(f"{compared.sentence} Adapt the model before relying on its ages.")
    with stage("Writing the page"):
        sections = data_sections(collection)
        if unusable:
            sections.insert(0, unusable_section(unusable, folder))
        if model is not None:
            sections = [*model_sections(collection, model, answers), *sections]
        page = _render(collection, title, sections, warnings)
    return Report(page, found.drop(columns=["box", "digest"]))


def _looked_at(batches: Iterable[ExtractedBatch], looks: LooksSoFar) -> Iterator[ExtractedBatch]:
    for batch in batches:
        # Ages of labelled photos are on the page already.
        looks.add(batch.matrix, batch.qualities, np.full(len(batch.matrix), np.nan))
        yield batch


def _check_table(table: pd.DataFrame) -> tuple[list[object], npt.NDArray[np.float64]]:
    missing = [name for name in ("photo", "age") if name not in table]
    if missing:
        raise ValueError(
            f"the table lacks the column {' and '.join(missing)}: it has "
            f"{', '.join(map(str, table)) or 'none'}; rename them, or read the labels with "
            "ageboost.datasets.read_labels"
        )
    if table.empty:
        raise ValueError("the table has no rows: there is nothing to look at")
    listed = check_photos(table["photo"].tolist())
    return listed, check_ages(table["age"], listed)


def _compare(
    found: pd.DataFrame,
    photos: list[object],
    matrix: npt.NDArray,
    finder: FaceFinder,
    n_jobs: int | None,
) -> pd.DataFrame:
    """Find copies, and labels that other photos speak against."""
    boxes = [box if isinstance(box, Box) else None for box in found["box"]]
    looked, hashes = look_at_photos(photos, boxes, finder, n_jobs)
    copies = same_digests(looked["digest"].tolist())
    near = np.concatenate([copies, find_near_pairs(hashes, _NEAR_BITS)])
    found = found.join(looked).assign(
        copies=group_pairs(copies, len(photos)), near_copies=group_pairs(near, len(photos))
    )
    rows = np.flatnonzero(found["status"] == "ok")
    ages = found["age"].to_numpy()[rows]
    groups = found["near_copies"].to_numpy()[rows]
    ranked = rank_labels(ages, estimate_out_of_fold(matrix, ages, groups))
    ranked.index = found.index[rows[ranked.index]]
    return found.join(ranked.drop(columns="age"))


def _render(
    collection: Collection, title: str, sections: Sequence[Section], warnings: Sequence[str]
) -> str:
    privacy = (
        "It shows faces and names of files, which are personal data: protect it as you would the "
        "photos."
        if collection.with_photos
        else "It was made without photos; names of files are in it."
    )
    return render_page(
        title,
        sections=sections,
        facts=_facts(collection.table),
        privacy=privacy,
        warnings=warnings,
        photos=collection.with_photos,
    )


def _facts(table: pd.DataFrame) -> list[tuple[str, str]]:
    ages = table["age"]
    of_a_file = ages.groupby(table["copies"])
    differ = of_a_file.max() > of_a_file.min()
    doubtful = table["times"] >= DOUBTFUL
    return [
        ("photos", f"{len(table):,}"),
        ("years, the youngest to the oldest", f"{ages.min():g}\N{EN DASH}{ages.max():g}"),
        ("years, median", f"{ages.median():g}"),
        ("without a face", f"{(table['status'] != 'ok').sum():,}"),
        ("copies of a file", f"{len(table) - table['copies'].nunique():,}"),
        ("files of several ages", f"{differ.sum():,}"),
        ("near copies", f"{table['copies'].nunique() - table['near_copies'].nunique():,}"),
        ("doubtful labels", f"{doubtful.sum():,}"),
    ]
