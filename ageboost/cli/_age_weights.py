"""How old the people at a till are, as commands read it: a table of ages and numbers of people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ageboost.cli._shared import refuse, refuse_errors

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AgeWeightsOption", "read_age_weights"]

AgeWeightsOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV, Parquet or JSON: age, people. How many people of each age come to the till; "
        "with --certainty."
    ),
]

_NAMES = ("age", "people")


def read_age_weights(path: Path | None, certainty: float | None) -> pd.Series | None:
    """Read how many people of each age come, from a file with the columns age and people.

    Parameters
    ----------
    path : Path, optional
        CSV, Parquet or JSON.
    certainty : float, optional
        Of the policy, which must go by one.

    Returns
    -------
    Series of float, or None
        By age; None without a file.
    """
    if path is None:
        return None
    if certainty is None:
        refuse(
            "--age-weights changes probabilities, and a rule by age alone does not ask for them: "
            "pass --certainty as well"
        )
    return refuse_errors(lambda: _read(path))


def _read(path: Path) -> pd.Series:
    import pandas as pd

    from ageboost._age_bands import OLDEST
    from ageboost._tables.cells import read_numbers, refuse_rows
    from ageboost._tables.names import list_names, match_names
    from ageboost._tables.readers import load_table, name_source
    from ageboost.errors import TableError

    loaded = load_table(path)
    where = loaded.named(name_source(path, "ages"))
    names = match_names(loaded.names, _NAMES, {}, where)
    missing = [name for name in _NAMES if name not in names]
    if missing:
        raise TableError(
            f"{where} has no column {list_names(missing)}, only {list_names(loaded.names)}",
            "pass one row for each age, with the columns age and people",
        )
    rows = pd.Series(loaded.bad_rows, dtype="str").reindex(range(len(loaded.cells)))
    refuse_rows(rows.notna(), rows, where, "cells do not fit the header")
    ages, people = (loaded.cells.iloc[:, names.index(name)] for name in _NAMES)
    age, number = read_numbers({"age": ages, "number of people": people}, where).values()
    whole = age.between(0, OLDEST) & (age % 1 == 0)
    refuse_rows(~whole, ages, where, f"age is not a whole number from 0 to {OLDEST}")
    refuse_rows(age.duplicated(), ages, where, "age is there twice")
    refuse_rows(~(number >= 0), people, where, "number of people is missing or below 0")
    return pd.Series(number.to_numpy(), index=age.astype("int64"))
