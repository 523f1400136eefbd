"""How commands read labels: by the columns that are named, without rows that cannot be used."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ageboost.cli._shared import message_of, refuse, refuse_errors

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LabelColumns", "name_rows", "read_labels_or_refuse", "read_usable_labels"]


def name_rows(problems: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((place, f"{place}: {problem}") for place, problem in problems)


class LabelColumns(NamedTuple):
    """What columns of labels are called."""

    photo: str | None
    age: str | None
    group: str | None = None

    def read(self, path: Path, on_error: Literal["raise", "drop"] = "raise") -> pd.DataFrame:
        from ageboost.datasets import read_labels

        others = [] if self.group is None else [self.group]
        return read_labels(path, photo=self.photo, age=self.age, others=others, on_error=on_error)


def read_labels_or_refuse(
    path: Path, columns: LabelColumns, skip_bad_rows: bool = False
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Read labels, and the column of people; name the rows that are left out."""
    if skip_bad_rows:
        table, problems = read_usable_labels(path, columns)
    else:
        table, problems = refuse_errors(lambda: columns.read(path)), []
    if columns.group is not None and columns.group not in table:
        refuse(f"no column {columns.group!r} in {str(path)!r}, which has {', '.join(table)}")
    return table, [*name_rows(problems)]


def read_usable_labels(
    path: Path, columns: LabelColumns
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Read what can be used, and return where the other rows are, and their problems."""
    from ageboost.errors import LabelsError

    try:
        return columns.read(path), []
    except LabelsError as error:
        with warnings.catch_warnings():
            # They are named one by one at the end, and in the page.
            warnings.simplefilter("ignore", UserWarning)
            table = refuse_errors(lambda: columns.read(path, "drop"))
        if table.empty:
            refuse(str(error))
        return table, [
            (place, problem)
            for place, (_, problem) in zip(error.places, error.problems, strict=True)
        ]
    except (OSError, ValueError) as error:
        refuse(message_of(error))
