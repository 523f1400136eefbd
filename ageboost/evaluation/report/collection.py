"""All that a report says about photos, gathered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ageboost._pages.blocks import Picture
from ageboost._pages.thumbnails import make_thumbnails
from ageboost.faces import Box

__all__ = ["LABEL_COLUMNS", "NOT_LABELLED", "Collection"]

LABEL_COLUMNS = ("sex", "race")
NOT_LABELLED = "not labelled"
_N_LABELS = 8
_LONGEST_LABEL = 30


@dataclass
class Collection:
    """Labelled photos and what was seen in them.

    Attributes
    ----------
    photos : list of length n_photos
    table : DataFrame of n_photos rows
        ``photo`` (a name), ``age``, ``sex`` and ``race`` where they are labelled, ``status``,
        ``message``, ``box``, ``face_size``, ``sharpness``, ``yaw``, ``score``, ``quality``,
        ``width``, ``height``, ``digest``, ``copies`` and ``near_copies`` (numbers of sets of
        photos), ``estimate``, ``usual_error``, ``times``.
    with_photos : bool
        Whether photos may be shown.
    n_jobs : int or None
        Processes.
    """

    photos: list[object]
    table: pd.DataFrame
    with_photos: bool
    n_jobs: int | None

    def labels(self, column: str) -> pd.Series:
        """Take a column of labels: the commonest, cut short, and words for the others.

        Parameters
        ----------
        column : {"sex", "race"}

        Returns
        -------
        Series of str
        """
        values = self.table[column]
        texts = values.astype(str).str.slice(0, _LONGEST_LABEL)
        common = texts[values.notna()].value_counts().index[:_N_LABELS]
        return texts.where(texts.isin(common), "other labels").where(values.notna(), NOT_LABELLED)

    def describe(self, position: int) -> str:
        """Describe a photo's labels in a few words.

        Parameters
        ----------
        position : int

        Returns
        -------
        str
            Such as ``"labelled 34, female, asian"``.
        """
        row = self.table.iloc[position]
        others = [str(row[name])[:_LONGEST_LABEL] for name in LABEL_COLUMNS if name in row]
        known = [text for text in others if text not in ("None", "nan", "<NA>")]
        return ", ".join([f"labelled {row['age']:g}", *known])

    def pictures(self, sets: Sequence[Sequence[int]]) -> list[list[Picture]]:
        """Make small pictures of photos, by sets of their positions.

        Parameters
        ----------
        sets : sequence of sequence of int

        Returns
        -------
        list of list of Picture
            Empty lists if photos must not be shown; a photo that cannot be read has no picture.
        """
        if not self.with_photos:
            return [[] for _ in sets]
        flat = [position for positions in sets for position in positions]
        boxes = [self._box(position) for position in flat]
        sources = iter(make_thumbnails([self.photos[i] for i in flat], boxes, self.n_jobs))
        made = []
        for positions in sets:
            pairs = [(position, next(sources)) for position in positions]
            made.append(
                [
                    Picture(source, f"Photo {self.table['photo'].iloc[i]}, {self.describe(i)}")
                    for i, source in pairs
                    if source
                ]
            )
        return made

    def _box(self, position: int) -> Box | None:
        box = self.table["box"].iloc[position]
        return box if isinstance(box, Box) else None
