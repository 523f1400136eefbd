"""What every reader shares: listing a folder's photos and refusing labels that cannot be used."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from ageboost._age_bands import OLDEST
from ageboost._tables.cells import show_value
from ageboost.errors import LabelsError
from ageboost.folders import scan_folder

__all__ = ["OnError", "PathLike", "check_labels", "list_photos"]

OnError = Literal["raise", "drop"]
PathLike = str | os.PathLike[str]

# A quote that is never closed makes one cell of the rest of the file.
_LONGEST_SHOWN = 200


def list_photos(folder: PathLike) -> list[str]:
    """List the paths of the photos in a folder, or in ``images/`` inside it, sorted by name.

    Parameters
    ----------
    folder : path
        Not searched any deeper. Hidden files, such as the twins "._name.jpg" that a Mac adds to
        archives, are left out.

    Returns
    -------
    list of str
        Each begins with ``folder`` as it was given.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no photo in it.
    ValueError
        If names are not valid Unicode, which a DataFrame cannot hold.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"no folder {os.fspath(folder)!r}: pass the folder that holds the photos"
        )
    for candidate in (Path(folder), Path(folder) / "images"):
        if not candidate.is_dir():
            continue
        found = scan_folder(candidate, deep=False)
        if found.raw:
            warnings.warn(
                f"{str(candidate)!r}: left out: {found.left_out()}", UserWarning, stacklevel=2
            )
        names = [os.path.basename(path) for path in found.photos]
        unnameable = [name for name in names if not _is_unicode(name)]
        if unnameable:
            raise ValueError(
                f"names in {str(candidate)!r} that are not valid Unicode: {unnameable}: rename them"
            )
        if names:
            return [str(candidate / name) for name in names]
    raise FileNotFoundError(
        f"no photos in the folder {os.fspath(folder)!r}, nor in 'images' inside it: "
        "pass the folder that holds the photos"
    )


def check_labels(
    table: pd.DataFrame,
    source: PathLike,
    *,
    on_error: OnError,
    problems: Mapping[int, str] | None = None,
    places: Callable[[int], str] = "row {}".format,
) -> pd.DataFrame:
    """Make ages numbers, and report all rows that cannot be used at once.

    Parameters
    ----------
    table : DataFrame
        ``photo`` holds paths or None, ``age`` anything. Other columns pass unchanged.
    source : path
        What the error calls the table.
    on_error : {"raise", "drop"}
        Whether such rows are an error, or left out with one warning.
    problems : mapping of int to str, optional
        What the reader found wrong with a row; such a row is not looked at any further.
    places : callable, optional
        Takes a row, and returns what messages call it. By default "row 0" is the first.

    Returns
    -------
    DataFrame
        The rows that can be used, in the same order, numbered from 0.

    Raises
    ------
    LabelsError
        If a photo's file is missing or its age is not a number from 0 to 120, and
        ``on_error="raise"``. It names every such row.

    Examples
    --------
    >>> table = pd.DataFrame({"photo": ["nobody.jpg"], "age": ["old"]})
    >>> check_labels(table, "labels.csv", on_error="raise")
    Traceback (most recent call last):
    ageboost.errors.LabelsError: 1 unusable row...
      row 0: 'nobody.jpg': no such file; age 'old' is not a number
    """
    if on_error not in ("raise", "drop"):
        raise ValueError(f"on_error={on_error!r}: pass 'raise' or 'drop'")
    found = dict(problems or {})
    ages = [_to_number(age) for age in table["age"]]
    for row, (photo, given, age) in enumerate(zip(table["photo"], table["age"], ages, strict=True)):
        wrong = [_photo_problem(photo), _age_problem(given, age)]
        if row not in found and any(wrong):
            found[row] = "; ".join(filter(None, wrong))
    checked = table.assign(age=pd.Series(ages, index=table.index, dtype="float64"))
    if not found:
        return checked
    photos = table["photo"].tolist()
    listed = [
        (row, f"{show_value(photos[row], _LONGEST_SHOWN)}: {found[row]}")
        if isinstance(photos[row], str)
        else (row, found[row])
        for row in sorted(found)
    ]
    error = LabelsError(
        show_value(os.fspath(source), _LONGEST_SHOWN),
        listed,
        places=[places(row) for row, _ in listed],
    )
    if on_error == "raise":
        raise error
    _, first = listed[0]
    warnings.warn(
        f"{len(listed)} of {len(table)} rows of {error.source} are left out; "
        f"the first is {error.places[0]}: {first}",
        UserWarning,
        stacklevel=3,
    )
    return checked[~checked.index.isin(list(found))].reset_index(drop=True)


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _photo_problem(photo: object) -> str | None:
    if not isinstance(photo, str):
        return "no photo is named"
    return None if os.path.isfile(photo) else "no such file"


def _age_problem(given: object, age: float) -> str | None:
    if given is None or given == "":
        return "no age is given"
    shown = show_value(given, _LONGEST_SHOWN)
    if math.isnan(age):
        return f"age {shown} is not a number"
    return None if 0 <= age <= OLDEST else f"age {shown} is not from 0 to {OLDEST}"


def _to_number(age: object) -> float:
    try:
        # Python would read "3_4" as 34.
        return math.nan if "_" in str(age) else float(str(age))
    except ValueError:
        return math.nan
