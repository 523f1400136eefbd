"""Which collection a path leads to: for callers who are given nothing but the path."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from ageboost.datasets._table import OnError, PathLike, list_photos
from ageboost.datasets.appa_real import Split, labels_name, read_appa_real
from ageboost.datasets.fgnet import matches_fgnet, read_fgnet
from ageboost.datasets.final_files import read_final_files
from ageboost.datasets.labels_csv import read_columns, read_csv
from ageboost.datasets.sources import matches_sources, read_sources
from ageboost.datasets.utkface import matches_utkface, read_utkface

__all__ = ["read_labels"]

_SPLITS: dict[str, Split] = {
    labels_name("train"): "train",
    labels_name("valid"): "valid",
    labels_name("test"): "test",
}


def read_labels(
    path: PathLike,
    *,
    photo: str | None = None,
    age: str | None = None,
    others: Sequence[str] = (),
    on_error: OnError = "raise",
) -> pd.DataFrame:
    """Read labelled photos from a CSV file, or from the folder of a known collection.

    A folder is APPA-REAL if it holds ``gt_avg_train.csv`` or its like, and UTKFace or FG-NET if
    most of its photos are named so. Otherwise it must hold ``labels.csv``; if that names sources
    and windows of age, they are read, too. One file of APPA-REAL's labels gives that split alone.
    The paths in any other CSV file begin in its own folder, or in ``final_files/`` or ``images/``
    beside it.

    Parameters
    ----------
    path : path
        A file or a folder.
    photo, age : str, optional
        Columns of the paths and of the ages, if it is a CSV file of yours.
    others : sequence of str, optional
        More columns to pass on, if it is a CSV file of yours.
    on_error : {"raise", "drop"}, default="raise"
        Whether rows that cannot be used are an error, or are left out with a warning.

    Returns
    -------
    DataFrame
        ``photo`` (a path that can be opened), ``age`` (years), and those of ``sex``, ``race``,
        ``subject``, ``fold``, ``split``, ``source``, ``age_low`` and ``age_high`` that are known,
        then ``others``.

    Raises
    ------
    LabelsError
        If rows cannot be used and ``on_error="raise"``; it names all of them.
    FileNotFoundError
        If there is nothing at this path.
    ValueError
        If the folder is none of these, or it is not clear which columns of a file to read.

    See Also
    --------
    read_appa_real, read_csv, read_fgnet, read_final_files, read_sources, read_utkface :
        The readers, each with its choices.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ageboost.datasets import read_labels
    >>> folder = tempfile.TemporaryDirectory()
    >>> Path(folder.name, "001A02.JPG").touch()
    >>> read_labels(folder.name).drop(columns="photo")
       age subject
    0  2.0     001
    >>> folder.cleanup()
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path, photo, age, others, on_error)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {str(path)!r}")
    if path.name in _SPLITS:
        return read_appa_real(path.parent, split=_SPLITS[path.name], on_error=on_error)
    return _read_csv(path, photo, age, others, on_error)


def _read_csv(
    path: Path, photo: str | None, age: str | None, others: Sequence[str], on_error: OnError
) -> pd.DataFrame:
    folder = _photo_folder(path, photo, age)
    return read_csv(path, photo=photo, age=age, folder=folder, others=others, on_error=on_error)


def _read_folder(
    folder: Path, photo: str | None, age: str | None, others: Sequence[str], on_error: OnError
) -> pd.DataFrame:
    if any((folder / name).is_file() for name in _SPLITS):
        return read_appa_real(folder, on_error=on_error)
    labels = folder / "labels.csv"
    if labels.is_file() and (folder / "final_files").is_dir():
        return read_final_files(folder, on_error=on_error)
    if labels.is_file() and not others and matches_sources(labels):
        return read_sources(folder, on_error=on_error)
    if _most_photos(folder, matches_utkface):
        return read_utkface(folder, on_error=on_error)
    if _most_photos(folder, matches_fgnet):
        return read_fgnet(folder, on_error=on_error)
    if labels.is_file():
        return _read_csv(labels, photo, age, others, on_error)
    raise ValueError(
        f"the folder {str(folder)!r} is neither UTKFace, FG-NET nor APPA-REAL, and holds no "
        "labels.csv: pass a CSV file with the columns photo and age"
    )


def _most_photos(folder: Path, matches: Callable[[str], bool]) -> bool:
    try:
        photos = list_photos(folder)
    except FileNotFoundError:
        return False
    return 2 * sum(matches(os.path.basename(photo)) for photo in photos) > len(photos)


def _photo_folder(labels: Path, photo: str | None, age: str | None) -> Path:
    """Find where the paths in a CSV file begin."""
    for folder in (labels.parent, labels.parent / "final_files", labels.parent / "images"):
        if folder.is_dir():
            photos = read_columns(labels, photo=photo, age=age, folder=folder)[0]["photo"]
            if any(isinstance(name, str) and os.path.isfile(name) for name in photos):
                return folder
    return labels.parent
