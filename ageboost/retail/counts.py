"""How the rows of a table were used: parts that add up to the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

__all__ = [
    "FEWEST_BUYERS",
    "FEWEST_RECEIPTS",
    "count_outcomes",
    "describe_counts",
    "enumerate_words",
]

# Of fewer receipts, or of fewer buyers, a table would be about single people.
FEWEST_RECEIPTS = 10
FEWEST_BUYERS = 3


def count_outcomes(
    of: str, outcomes: pd.Series | Mapping[str, int], known: Iterable[str] = ()
) -> pd.DataFrame:
    """Count the rows of a table by what became of them.

    Parameters
    ----------
    of : str
        What is counted, such as ``"photos"``.
    outcomes : Series of str, or mapping of str to int
        The outcome of each row, or the number of rows of each outcome.
    known : iterable of str, optional
        Outcomes that are listed even where there is no such row, in this order.

    Returns
    -------
    DataFrame
        ``of``, ``outcome``, ``rows``, which add up to the rows of the table.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.retail import count_outcomes
    >>> count_outcomes("photos", pd.Series(["ok", "no face", "ok"]), ["ok"])
           of  outcome  rows
    0  photos       ok     2
    1  photos  no face     1
    """
    if isinstance(outcomes, pd.Series):
        outcomes = {str(name): int(rows) for name, rows in outcomes.value_counts().items()}
    found = dict.fromkeys(known, 0) | dict(outcomes)
    return pd.DataFrame(
        {"of": [of] * len(found), "outcome": [*found], "rows": [*found.values()]}
    ).astype({"of": "str", "outcome": "str", "rows": "int64"})


def describe_counts(counts: pd.DataFrame) -> str:
    """Write counts as one line of text for each thing that is counted.

    Parameters
    ----------
    counts : DataFrame
        As :func:`count_outcomes` gives it; several may be put together.

    Returns
    -------
    str

    Examples
    --------
    >>> from ageboost.retail import count_outcomes, describe_counts
    >>> print(describe_counts(count_outcomes("photos", {"ok": 1200, "no face": 1})))
    1,201 photos: 1,200 ok, 1 no face
    """
    lines = []
    for of, part in counts.groupby("of", sort=False):
        parts = [
            f"{row.rows:,} {row.outcome}" for row in part.itertuples() if row.rows or len(part) == 1
        ]
        lines.append(f"{part['rows'].sum():,} {of}" + (f": {', '.join(parts)}" if parts else ""))
    return "\n".join(lines)


def enumerate_words(words: Sequence[str]) -> str:
    """List words in a sentence: the last two are joined by "and".

    Parameters
    ----------
    words : sequence of str
        At least one.

    Returns
    -------
    str
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
