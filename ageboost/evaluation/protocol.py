"""A protocol that cannot fool us: who trains, who is looked at, and what is touched once."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ageboost.errors import ProtocolError
from ageboost.models.folds import digests_of

__all__ = ["UTKFACE_PROTOCOL", "FoldProtocol"]


@dataclass(frozen=True)
class FoldProtocol:
    """Which folds of a labelled collection train, which choose, and which test.

    Photos for testing do not come out of :meth:`split` and :meth:`folds`, so nothing that is chosen
    can have seen them. :meth:`open_test` gives them, once: it leaves a record, and refuses the next
    time.

    Parameters
    ----------
    train : tuple of int
        Folds to learn from.
    validation : tuple of int
        Folds to choose settings by.
    test : tuple of int
        Folds for the figure that is reported at the end.

    References
    ----------
    J. Paplham and V. Franc, "A Call to Reflect on Evaluation Practices for Age Estimation",
    CVPR 2024.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from ageboost.evaluation import FoldProtocol
    >>> photos = [np.full((2, 2, 3), value, np.uint8) for value in (1, 2, 1, 3, 4)]
    >>> table = pd.DataFrame({"photo": photos, "age": 30, "fold": [0, 0, 1, 1, 2]})
    >>> train, validation = FoldProtocol((0,), (1,), (2,)).split(table)
    >>> validation.index.tolist()  # photo 2 is a copy of photo 0, which trains
    [3]
    """

    train: Sequence[int]
    validation: Sequence[int]
    test: Sequence[int]

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        folds = [*self.train, *self.validation, *self.test]
        if len(set(folds)) != len(folds):
            raise ValueError(f"a fold has two roles: {self}")

    def split(self, table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Split into photos that train and photos to choose by, without copies of the former.

        Parameters
        ----------
        table : DataFrame
            With the columns ``photo``, ``age`` and ``fold``. Rows of test folds are ignored.

        Returns
        -------
        train, validation : DataFrame
        """
        return self._apart(table, self.train, self.validation)

    def folds(self, table: pd.DataFrame) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
        """Split by each fold in turn: the other folds train, less copies of its photos.

        Parameters
        ----------
        table : DataFrame
            As for :meth:`split`.

        Returns
        -------
        list of (DataFrame, DataFrame)
            What trains and what is held out, for each of the folds that are no test folds.
        """
        known = (*self.train, *self.validation)
        parts = []
        for fold in known:
            others = tuple(other for other in known if other != fold)
            held_out, rest = self._apart(table, (fold,), others)
            parts.append((rest, held_out))
        return parts

    def open_test(
        self, table: pd.DataFrame, record: str | os.PathLike[str]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Give the photos for the last figure, and what may train for it; possible once.

        Parameters
        ----------
        table : DataFrame
            As for :meth:`split`, with rows of test folds.
        record : path
            A file to write down that the test part was opened.

        Returns
        -------
        train, test : DataFrame
            Everything that is no test fold, and the test folds less copies of these photos.

        Raises
        ------
        ProtocolError
            If the record is there already, or the table has no photos for testing.
        """
        record = Path(record)
        known = (*self.train, *self.validation)
        train, test = self._apart(table, known, self.test)
        if test.empty:
            raise ProtocolError(f"the table has no photos of the test folds {self.test}")
        try:
            with record.open("x") as file:
                json.dump({"opened": datetime.now(UTC).isoformat(), "photos": len(test)}, file)
        except FileExistsError as error:
            raise ProtocolError(
                f"the test part was opened before, as {str(record)!r} records: a second look makes "
                "its figure a validation figure. Report the first one, or say that you looked twice"
            ) from error
        return train, test

    def _apart(
        self, table: pd.DataFrame, first: Sequence[int], second: Sequence[int]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows of the first folds, and rows of the second that are no copies of them."""
        missing = {"photo", "age", "fold"} - set(table.columns)
        if missing:
            raise ProtocolError(f"the table lacks the columns {', '.join(sorted(missing))}")
        kept = table[table["fold"].isin(first)]
        others = table[table["fold"].isin(second)]
        known = set(digests_of(kept["photo"].tolist()))
        copies = np.array([d in known for d in digests_of(others["photo"].tolist())], dtype=bool)
        return kept, others[~copies]


#: The first split of the protocol of Paplham and Franc, as ``read_utkface`` numbers the folds.
UTKFACE_PROTOCOL = FoldProtocol(train=(0, 1, 2, 3, 4, 5), validation=(6, 7), test=(8, 9))
