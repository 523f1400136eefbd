"""A folder ``final_files/`` of photos beside ``labels.csv``, as courses hand it out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ageboost.datasets._table import OnError, PathLike, check_labels
from ageboost.datasets.labels_csv import read_columns

__all__ = ["read_final_files"]


def read_final_files(folder: PathLike, *, on_error: OnError = "raise") -> pd.DataFrame:
    r"""Read a folder of two parts: ``labels.csv`` and the photos in ``final_files/``.

    Parameters
    ----------
    folder : path
        Holds ``labels.csv``, with the columns ``file_name`` and ``real_age``, and ``final_files/``.
    on_error : {"raise", "drop"}, default="raise"
        Whether rows that cannot be used are an error, or are left out with a warning.

    Returns
    -------
    DataFrame
        In the order of ``labels.csv``: ``photo`` (its path) and ``age`` (years).

    Raises
    ------
    LabelsError
        If photos are missing or ages are not numbers from 0 to 120, and ``on_error="raise"``; it
        names every such row.
    FileNotFoundError
        If one of the two parts is missing.

    See Also
    --------
    read_csv : The same with other names.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ageboost.datasets import read_final_files
    >>> folder = tempfile.TemporaryDirectory()
    >>> Path(folder.name, "final_files").mkdir()
    >>> Path(folder.name, "final_files", "000000.jpg").touch()
    >>> _ = Path(folder.name, "labels.csv").write_text("file_name,real_age\n000000.jpg,4")
    >>> read_final_files(folder.name).drop(columns="photo")
       age
    0  4.0
    >>> folder.cleanup()
    """
    path = Path(folder) / "labels.csv"
    table, problems, places = read_columns(
        path, photo="file_name", age="real_age", folder=Path(folder) / "final_files"
    )
    return check_labels(table, path, on_error=on_error, problems=problems, places=places)
