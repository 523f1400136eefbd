"""FG-NET: 1,002 photos of 82 people from childhood on, with the labels in the file names."""

from __future__ import annotations

import os
import re

import pandas as pd

from ageboost.datasets._table import OnError, PathLike, check_labels, list_photos

__all__ = ["matches_fgnet", "read_fgnet"]

# A letter distinguishes several photos of one person at one age.
_NAME = re.compile(r"(?P<subject>\d{3})A(?P<age>\d{1,3})[a-z]?\.\w+", re.ASCII | re.IGNORECASE)


def read_fgnet(folder: PathLike, *, on_error: OnError = "raise") -> pd.DataFrame:
    """Read the FG-NET collection.

    The labels stand in the file names: ``078A11a.JPG`` is subject 078 at the age of 11. Photos of
    one subject resemble each other, so split by subject: leave one out, or use groups.

    Parameters
    ----------
    folder : path
        The folder of the photos, or the one that holds them in ``images/``.
    on_error : {"raise", "drop"}, default="raise"
        Whether a name that says no age is an error, or is left out with a warning.

    Returns
    -------
    DataFrame
        One row for each photo, sorted by file name: ``photo`` (its path), ``age`` (years) and
        ``subject`` (three digits, as text).

    Raises
    ------
    LabelsError
        If file names cannot be understood and ``on_error="raise"``; it names all of them.
    FileNotFoundError
        If there is no such folder, or no photo in it.

    See Also
    --------
    sklearn.model_selection.LeaveOneGroupOut : Test on people that were not learnt from.

    References
    ----------
    Panis, Lanitis, Tsapatsoulis and Cootes, "Overview of research on facial ageing using the
    FG-NET ageing database", IET Biometrics 2016.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ageboost.datasets import read_fgnet
    >>> folder = tempfile.TemporaryDirectory()
    >>> Path(folder.name, "078A11a.JPG").touch()
    >>> read_fgnet(folder.name).drop(columns="photo")
        age subject
    0  11.0     078
    >>> folder.cleanup()
    """
    photos = list_photos(folder)
    matches = [_NAME.fullmatch(os.path.basename(photo)) for photo in photos]
    table = pd.DataFrame(
        {
            "photo": photos,
            "age": [match and match["age"] for match in matches],
            "subject": [match and match["subject"] for match in matches],
        }
    )
    problems = {
        row: "the name is not [subject]A[age].JPG"
        for row, match in enumerate(matches)
        if match is None
    }
    return check_labels(table, folder, on_error=on_error, problems=problems)


def matches_fgnet(name: str) -> bool:
    """Whether a file name says an age in FG-NET's way."""
    return _NAME.fullmatch(name) is not None
