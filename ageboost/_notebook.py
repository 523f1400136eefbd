"""How results show themselves: a line in a console, a table in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ShownInNotebooks", "show_table"]

_N_ROWS = 10
_LONGEST_LINE = 200


class ShownInNotebooks:
    """A result with a text of its own (``str``) and a table to look at."""

    def _table_to_show(self) -> pd.DataFrame:
        return self.table  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        line = " ".join(str(self).split())
        if len(line) > _LONGEST_LINE:
            line = f"{line[: _LONGEST_LINE - 4]} ..."
        return f"<{type(self).__name__}: {line}>"

    def _repr_html_(self) -> str:
        return show_table(f"{type(self).__name__}\n{self}", self._table_to_show())


def show_table(text: str, table: pd.DataFrame) -> str:
    """Write a text and the first rows of a table in HTML; names in either are escaped.

    Parameters
    ----------
    text : str
        Its first line is set in bold.
    table : DataFrame

    Returns
    -------
    str

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost._notebook import show_table
    >>> page = show_table("Goods", pd.DataFrame({"product": ["<b>rum</b>"]}))
    >>> "&lt;b&gt;rum&lt;/b&gt;" in page
    True
    """
    title, _, rest = html.escape(text).partition("\n")
    paragraph = "<br>".join([f"<b>{title}</b>", *rest.splitlines()])
    shown = table.head(_N_ROWS)
    if "photo" in shown:
        shown = shown.assign(photo=[_name(photo) for photo in shown["photo"]])
    rows = shown.to_html(border=0, escape=True, float_format=_number, na_rep="", max_cols=14)
    more = f"<p>first {len(shown)} of {len(table):,} rows</p>" if len(table) > len(shown) else ""
    return f"<p>{paragraph}</p>{rows}{more}"


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _name(photo: Any) -> str:
    """Name what is no text: the content of a photo is not to be seen."""
    from ageboost.photos import photo_name

    return photo if isinstance(photo, str) else photo_name(photo)
