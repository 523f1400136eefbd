"""Photos of several sources in one folder, where some ages are known as windows of time only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ageboost._tables.csv_file import read_csv_table
from ageboost.datasets._table import OnError, PathLike, check_labels
from ageboost.datasets.labels_csv import read_columns
from ageboost.errors import TableError

__all__ = ["matches_sources", "read_sources"]

_NEEDED = ("photo", "source", "age", "age_low", "age_high")
_SEXES = {"0": "male", "1": "female"}


def read_sources(
    folder: PathLike, *, sources: list[str] | None = None, on_error: OnError = "raise"
) -> pd.DataFrame:
    r"""Read labelled photos of several sources: other cameras, other people, other times.

    Where somebody was born is often known to the day, and when the photo was taken only roughly:
    then the age lies in a window, and ``age`` is its middle. Score such photos with
    :func:`ageboost.evaluation.window_errors`.

    Parameters
    ----------
    folder : path
        Holds ``labels.csv``, with the columns ``photo`` (a path that begins in the folder),
        ``source``, ``age``, ``age_low`` and ``age_high`` (years) and, where they are known,
        ``subject`` (who it is, by one name in all sources) and ``sex`` (0 for male, 1 for female).
    sources : list of str, optional
        Which of the sources to read; by default all.
    on_error : {"raise", "drop"}, default="raise"
        Whether rows that cannot be used are an error, or are left out with a warning.

    Returns
    -------
    DataFrame
        In the order of ``labels.csv``: ``photo`` (a path that can be opened), ``age``,
        ``age_low``, ``age_high`` (years), ``source``, ``subject`` (the photo's own path
        where nobody is named) and ``sex`` (male, female or None).

    Raises
    ------
    LabelsError
        If photos are missing, ages are not numbers from 0 to 120, a window does not hold its age or
        a source is not named, and ``on_error="raise"``; it names every such row.
    FileNotFoundError
        If there is no such folder or no ``labels.csv`` in it.
    ValueError
        If columns are missing, or there is no such source.

    See Also
    --------
    ageboost.evaluation.window_errors : How far ages are outside such windows.
    ageboost.evaluation.leave_sources_out : Splits that test on a source that was not learnt from.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ageboost.datasets import read_sources
    >>> folder = tempfile.TemporaryDirectory()
    >>> Path(folder.name, "ann.jpg").touch()
    >>> _ = Path(folder.name, "labels.csv").write_text(
    ...     "photo,source,age,age_low,age_high,subject,sex\nann.jpg,till,34.5,34,35,ann,1"
    ... )
    >>> read_sources(folder.name).drop(columns="photo")
        age  age_low  age_high source subject     sex
    0  34.5     34.0      35.0   till     ann  female
    >>> folder.cleanup()
    """
    path = Path(folder) / "labels.csv"
    missing = [name for name in _NEEDED if name not in _header(path)] if path.is_file() else []
    if missing:
        raise ValueError(
            f"{str(path)!r} has no column {', '.join(missing)}: it needs {', '.join(_NEEDED)}"
        )
    table, problems, places = read_columns(
        path, photo="photo", age="age", others=["source", "age_low", "age_high"]
    )
    named = table["photo"].fillna("")
    for name in ("subject", "sex"):
        if name not in table:
            table[name] = None
    table["sex"] = table["sex"].map(_SEXES).astype(object).where(table["sex"].notna(), None)
    # Who is not named is taken for somebody of their own.
    table["subject"] = table["subject"].where(table["subject"].notna(), named)
    for name in ("age_low", "age_high"):
        table[name] = pd.to_numeric(table[name], errors="coerce").astype("float64")
    years = pd.to_numeric(table["age"], errors="coerce")
    # An age in years completed is below the exact one by less than a year.
    holds = (table["age_low"] < years + 1) & (years <= table["age_high"])
    holds &= table["age_low"] <= table["age_high"]
    for row in np.flatnonzero(~holds & years.notna()):
        problems.setdefault(int(row), "the age is not from age_low to age_high")
    for row in np.flatnonzero(table["source"].isna()):
        problems.setdefault(int(row), "no source is named")
    checked = check_labels(table, path, on_error=on_error, problems=problems, places=places)
    if sources is not None:
        unknown = sorted(set(sources) - set(checked["source"]))
        if unknown:
            known = ", ".join(checked["source"].unique())
            raise ValueError(f"no source {', '.join(map(repr, unknown))} in {str(path)!r}: {known}")
        checked = checked[checked["source"].isin(sources)].reset_index(drop=True)
    return checked[["photo", "age", "age_low", "age_high", "source", "subject", "sex"]]


def matches_sources(labels: Path) -> bool:
    """Whether a ``labels.csv`` names sources and windows of age."""
    return set(_NEEDED) <= set(_header(labels))


def _header(labels: Path) -> list[str]:
    try:
        return read_csv_table(labels, header_only=True).names
    except TableError:
        return []
