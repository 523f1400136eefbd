"""APPA-REAL: 7,591 photos, each with the real age and how old some 38 people thought it was."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from ageboost.datasets._table import OnError, PathLike, check_labels
from ageboost.datasets.labels_csv import read_columns

__all__ = ["Split", "labels_name", "read_appa_real"]

Split = Literal["train", "valid", "test"]

_SPLITS: tuple[Split, ...] = ("train", "valid", "test")
_COLUMNS = {"real": "real_age", "apparent": "apparent_age_avg"}


def read_appa_real(
    folder: PathLike,
    *,
    split: Split | None = None,
    age: Literal["real", "apparent"] = "real",
    faces: bool = True,
    on_error: OnError = "raise",
) -> pd.DataFrame:
    r"""Read the APPA-REAL collection.

    Parameters
    ----------
    folder : path
        Holds ``gt_avg_train.csv``, ``gt_avg_valid.csv`` and ``gt_avg_test.csv``, and the photos in
        ``train/``, ``valid/`` and ``test/``.
    split : {"train", "valid", "test"}, optional
        By default all three, one after another.
    age : {"real", "apparent"}, default="real"
        How old the person was, or looked to people on average.
    faces : bool, default=True
        Whether to take the collection's own crops, ``000000.jpg_face.jpg``, which show the
        person that the label means, or the whole photos, ``000000.jpg``.
    on_error : {"raise", "drop"}, default="raise"
        Whether rows that cannot be used are an error, or are left out with a warning.

    Returns
    -------
    DataFrame
        In the order of the label files: ``photo`` (its path), ``age`` (years) and ``split``.

    Raises
    ------
    LabelsError
        If photos are missing or ages are not numbers from 0 to 120, and ``on_error="raise"``; it
        names every such row, counted from the first row of the first split.
    FileNotFoundError
        If a label file or a folder is missing.

    References
    ----------
    Agustsson, Timofte, Escalera, Baro, Guyon and Rothe, "Apparent and Real Age Estimation in Still
    Images with Deep Residual Regressors on APPA-REAL Database", FG 2017.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ageboost.datasets import read_appa_real
    >>> folder = tempfile.TemporaryDirectory()
    >>> Path(folder.name, "test").mkdir()
    >>> Path(folder.name, "test", "005613.jpg_face.jpg").touch()
    >>> _ = Path(folder.name, "gt_avg_test.csv").write_text(
    ...     "file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age\n"
    ...     "005613.jpg,36,21.4,3.1,24\n"
    ... )
    >>> read_appa_real(folder.name, split="test", age="apparent").drop(columns="photo")
        age split
    0  21.4  test
    >>> folder.cleanup()
    """
    if split is not None and split not in _SPLITS:
        raise ValueError(f"split={split!r}: pass 'train', 'valid', 'test' or None for all")
    if age not in _COLUMNS:
        raise ValueError(f"age={age!r}: pass 'real' or 'apparent'")
    tables: list[pd.DataFrame] = []
    problems: dict[int, str] = {}
    places: list[str] = []
    for part in _SPLITS if split is None else (split,):
        path = Path(folder) / labels_name(part)
        table, found, place_of = read_columns(
            path, photo="file_name", age=_COLUMNS[age], folder=Path(folder) / part
        )
        problems |= {len(places) + row: text for row, text in found.items()}
        places += [f"{place_of(row)} of {path.name}" for row in range(len(table))]
        tables.append(table[["photo", "age"]].assign(split=part))
    table = pd.concat(tables, ignore_index=True)
    if faces:
        table["photo"] += "_face.jpg"
    return check_labels(
        table, folder, on_error=on_error, problems=problems, places=places.__getitem__
    )


def labels_name(split: Split) -> str:
    """Name of the file of a split's labels."""
    return f"gt_avg_{split}.csv"
