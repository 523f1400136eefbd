"""Names of columns: in any case, with spaces or without, and those that are nearly right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping

from ageboost.errors import TableError

__all__ = ["fold_name", "list_names", "match_names", "near_names"]

_MOST_SHOWN = 40
_LONGEST_SHOWN = 60
_NEAR = 0.8
# What tills and spreadsheets call columns without which a result would be another one.
_OTHER_WORDS = {
    "quantity": ("qty", "pieces", "units", "menge", "anzahl"),
    "price": ("unitprice", "preis", "prix"),
    "time": ("date", "datetime", "timestamp", "zeit", "uhrzeit"),
    "store": ("shop", "branch", "filiale"),
    "till": ("register", "pos", "kasse"),
    "receipt_id": (
        "receipt",
        "receiptno",
        "receiptnr",
        "receiptnumber",
        "basketid",
        "basket",
        "bon",
        "bonnr",
        "transactionid",
    ),
    "photo": ("file", "filename", "path", "image", "imagepath"),
    "product": ("item", "article", "artikel"),
}


def fold_name(name: object) -> str:
    """Bring a name to a form that case, spaces, hyphens and underscores do not change."""
    return re.sub(r"[\s_-]+", "", str(name).removeprefix("\ufeff")).casefold()


def list_names(names: Iterable[object]) -> str:
    """List names of columns for a message: all of them, unless there are very many."""
    listed = [repr(str(name)[:_LONGEST_SHOWN]) for name in names]
    n_more = len(listed) - _MOST_SHOWN
    return ", ".join(listed[:_MOST_SHOWN]) + (f" and {n_more} more" if n_more > 0 else "")


def match_names(
    names: Iterable[object], known: Collection[str], columns: Mapping[str, str], where: str
) -> list[str]:
    """Give columns the names that they are known by.

    Parameters
    ----------
    names : iterable
        Of the columns.
    known : collection of str
        Names that mean something here. A column is one of them whatever the case, and with
        spaces or hyphens in place of underscores.
    columns : mapping of str to str
        Names in the table, and which known one each of them is.
    where : str
        What an error calls the table.

    Returns
    -------
    list of str
        One for each column. A column whose name is taken by one of ``columns`` keeps out of the
        way: it gets an empty name.

    Raises
    ------
    TableError
        If a name of ``columns`` is not there, or two columns have one known name.
    """
    stripped = [str(name).removeprefix("\ufeff").strip() for name in names]
    by_fold = {fold_name(name): name for name in known}
    found: dict[int, str] = {}
    for theirs, ours in columns.items():
        places = [at for at, name in enumerate(stripped) if name == theirs.strip()]
        places = places or [
            at for at, name in enumerate(stripped) if fold_name(name) == fold_name(theirs)
        ]
        if not places:
            raise TableError(
                f"a column {theirs!r} was named, which {where} does not have: its columns are "
                f"{list_names(stripped)}"
            )
        if len(places) > 1:
            raise _twice(theirs, where)
        found[places[0]] = ours
    taken = set(found.values())
    matched = []
    for at, name in enumerate(stripped):
        ours = by_fold.get(fold_name(name), name)
        matched.append(found.get(at, "" if ours in taken else ours))
    seen: dict[str, int] = {}
    for at, name in enumerate(matched):
        if name in seen and name in known:
            raise _twice(name, where)
        seen[name] = seen.get(name, -1) + 1
        if name and seen[name]:
            # What means nothing here may be there twice.
            matched[at] = f"{name}.{seen[name]}"
    return matched


def near_names(names: Iterable[str], absent: Iterable[str]) -> dict[str, str]:
    """Find columns whose names are nearly those of known ones that are absent.

    Parameters
    ----------
    names : iterable of str
        Columns that mean nothing so far.
    absent : iterable of str
        Known names that no column has.

    Returns
    -------
    dict of str to str
        A name of a column, and the known one that it may be.
    """
    near = {}
    absent = list(absent)
    for name in filter(None, names):
        for known in absent:
            folded = fold_name(name)
            likeness = difflib.SequenceMatcher(None, folded, fold_name(known)).ratio()
            if folded in _OTHER_WORDS.get(known, ()) or likeness >= _NEAR:
                near[name] = known
                break
    return near


def _twice(name: str, where: str) -> TableError:
    return TableError(f"more than one column {name!r} in {where}: rename one of them")
