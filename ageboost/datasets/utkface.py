"""UTKFace: 23,708 faces, aged 0 to 116, with the labels in the file names."""

from __future__ import annotations

import hashlib
import os
import re

import pandas as pd

from ageboost.datasets._table import OnError, PathLike, check_labels, list_photos

__all__ = ["matches_utkface", "read_utkface"]

# Two real names lack a field, and which one is not known; one lacks the dot before "jpg".
_NAME = re.compile(
    r"(?P<age>\d{1,3})_(?:(?P<sex>\d*)_(?P<race>\d*)|\d*)_\d{8,}\D*", re.ASCII | re.DOTALL
)
_SEXES = {"0": "male", "1": "female"}
_RACES = {"0": "white", "1": "black", "2": "asian", "3": "indian", "4": "other"}


def read_utkface(folder: PathLike, *, on_error: OnError = "raise") -> pd.DataFrame:
    """Read the UTKFace collection.

    The labels stand in the file names, ``[age]_[sex]_[race]_[date].jpg.chip.jpg`` or, for whole
    photos, ``[age]_[sex]_[race]_[date].jpg``. Some names lack a field: their sex and race are
    empty, their age is still known.

    Parameters
    ----------
    folder : path
        The folder of the photos, or the one that holds them in ``images/``.
    on_error : {"raise", "drop"}, default="raise"
        Whether a name that says no age is an error, or is left out with a warning.

    Returns
    -------
    DataFrame
        One row for each photo, sorted by file name: ``photo`` (its path), ``age`` (years), ``sex``
        (male or female), ``race`` (white, black, asian, indian or other) and ``fold``.
        The fold, ``int(sha1(file_name), 16) % 10``, is the same wherever the photos lie and
        whichever of them are there.

    Raises
    ------
    LabelsError
        If file names cannot be understood and ``on_error="raise"``; it names all of them.
    FileNotFoundError
        If there is no such folder, or no photo in it.

    See Also
    --------
    read_labels : Recognise the layout.

    References
    ----------
    Zhang, Song and Qi, "Age Progression/Regression by Conditional Adversarial Autoencoder",
    CVPR 2017. For non-commercial research only.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ageboost.datasets import read_utkface
    >>> folder = tempfile.TemporaryDirectory()
    >>> Path(folder.name, "34_1_2_20170116174525125.jpg.chip.jpg").touch()
    >>> read_utkface(folder.name).drop(columns="photo")
        age     sex   race  fold
    0  34.0  female  asian     7
    >>> folder.cleanup()
    """
    photos = list_photos(folder)
    names = [os.path.basename(photo) for photo in photos]
    fields = [_fields(name) for name in names]
    table = pd.DataFrame(
        {
            "photo": photos,
            "age": [found.get("age") for found in fields],
            "sex": [_SEXES.get(found.get("sex") or "") for found in fields],
            "race": [_RACES.get(found.get("race") or "") for found in fields],
            "fold": [_fold(name) for name in names],
        }
    )
    problems = {
        row: "the name is not [age]_[sex]_[race]_[date].jpg"
        for row, found in enumerate(fields)
        if not found
    }
    return check_labels(table, folder, on_error=on_error, problems=problems)


def matches_utkface(name: str) -> bool:
    """Whether a file name says an age in UTKFace's way."""
    return bool(_fields(name))


def _fields(name: str) -> dict[str, str | None]:
    match = _NAME.fullmatch(name)
    return match.groupdict() if match else {}


def _fold(name: str) -> int:
    return int(hashlib.sha1(name.encode()).hexdigest(), 16) % 10
