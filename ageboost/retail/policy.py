"""Which goods are restricted, and whom a cashier must ask for an identity card."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["AlcoholPolicy"]

_OLDEST = 120


@dataclass(frozen=True)
class AlcoholPolicy:
    """What a shop sells to adults only, and whom its cashiers must ask for a card.

    Parameters
    ----------
    legal_age : float, default=18
        Years. Restricted goods are not for anybody younger.
    challenge_age : float, default=25
        Years, at least ``legal_age``. Whoever looks younger is to be asked for a card.
    categories : sequence of str, default=("alcohol",)
        Categories whose goods are all restricted. Upper and lower case do not matter.
    products : sequence of str, default=()
        Products that are restricted, whatever their category.
    certainty : float, optional
        Ask by probability in place of ``challenge_age``: whoever is of legal age with a smaller
        probability than this is to be asked. It bothers fewer adults for as many minors:
        :func:`choose_challenge_age` computes how many.

    Raises
    ------
    ValueError
        If an age or the certainty makes no sense, or no goods are named.

    Examples
    --------
    >>> from ageboost.retail import AlcoholPolicy
    >>> policy = AlcoholPolicy(categories=["beer", "wine"], products=["rum cake"])
    >>> policy.challenge_age
    25
    """

    legal_age: float = 18
    challenge_age: float = 25
    categories: Iterable[str] = ("alcohol",)
    products: Iterable[str] = ()
    certainty: float | None = None

    def __post_init__(self) -> None:
        for name in ("categories", "products"):
            object.__setattr__(self, name, _names(getattr(self, name), name))
        if not 0 < self.legal_age < _OLDEST:
            raise ValueError(f"legal_age={self.legal_age!r}: pass years, such as 18")
        if not self.legal_age <= self.challenge_age < _OLDEST:
            raise ValueError(
                f"challenge_age={self.challenge_age!r}: pass years, at least "
                f"legal_age={self.legal_age!r}"
            )
        if self.certainty is not None and not 0 < self.certainty < 1:
            raise ValueError(f"certainty={self.certainty!r}: pass a probability between 0 and 1")
        if not (self.categories or self.products):
            raise ValueError("no restricted goods: name categories or products")

    def restricted(self, lines: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Find which lines of receipts are restricted goods.

        Parameters
        ----------
        lines : DataFrame
            With ``product`` and ``category``.

        Returns
        -------
        ndarray of shape (n_lines,), bool

        Raises
        ------
        ValueError
            If a category or product is not among the lines. The message lists near names: a
            misspelt name would restrict nothing, and nobody would see it.

        Examples
        --------
        >>> import pandas as pd
        >>> from ageboost.retail import AlcoholPolicy
        >>> lines = pd.DataFrame({"product": ["Pils", "Bread"], "category": ["Beer", "Bakery"]})
        >>> AlcoholPolicy(categories=["beer"]).restricted(lines).tolist()
        [True, False]
        """
        found = np.zeros(len(lines), dtype=bool)
        for column, names in (("category", self.categories), ("product", self.products)):
            if names and len(lines):
                found |= _is_one_of(lines[column], tuple(names), column)
        return found

    def required(self, age: npt.ArrayLike, under_legal: npt.ArrayLike) -> npt.NDArray[np.str_]:
        """Return what the policy requires for estimates of buyers' ages.

        Parameters
        ----------
        age : array-like of shape (n_buyers,)
            Estimated ages in years; NaN where there is none.
        under_legal : array-like of shape (n_buyers,)
            Probabilities of being under the legal age; NaN where there is none.

        Returns
        -------
        ndarray of shape (n_buyers,)
            ``"sell"``, ``"ask"`` or, where there is no estimate, ``"cannot tell"``.

        Examples
        --------
        >>> from ageboost.retail import AlcoholPolicy
        >>> AlcoholPolicy().required([41, 22, float("nan")], [0, 0.1, float("nan")]).tolist()
        ['sell', 'ask', 'cannot tell']
        """
        age = np.asarray(age, dtype=np.float64)
        under_legal = np.asarray(under_legal, dtype=np.float64)
        if self.certainty is None:
            ask, unknown = age < self.challenge_age, np.isnan(age)
        else:
            ask, unknown = 1 - under_legal < self.certainty, np.isnan(under_legal)
        return np.select([unknown, ask], ["cannot tell", "ask"], "sell")


def _names(given: Iterable[str], what: str) -> tuple[str, ...]:
    if isinstance(given, str):
        raise ValueError(f"{what}={given!r}: pass a list of names, such as [{given!r}]")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"{what}: {name!r} is no name")
    return names


def _is_one_of(values: pd.Series, names: tuple[str, ...], column: str) -> npt.NDArray[np.bool_]:
    # A shop has few names and many lines: each name is looked at once.
    codes, uniques = pd.factorize(values)
    spelt = {_fold(str(name)): str(name) for name in uniques}
    for name in names:
        if _fold(name) not in spelt:
            near = difflib.get_close_matches(_fold(name), spelt, n=5, cutoff=0.5)
            if near:
                hint = "near it are " + ", ".join(repr(spelt[one]) for one in near)
            else:
                some = sorted(spelt.values())
                hint = "there are " + ", ".join(repr(one) for one in some[:10])
                hint += f" and {len(some) - 10} more" if len(some) > 10 else ""
            raise ValueError(f"no {column} {name!r} in the lines: {hint}")
    wanted = {_fold(name) for name in names}
    known = np.array([_fold(str(name)) in wanted for name in uniques] + [False])
    return known[codes]


def _fold(name: str) -> str:
    return " ".join(name.casefold().split())
