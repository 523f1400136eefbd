"""The table of a till's visitors: rows are safe once they are written, whatever happens then."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ageboost._partial import PartialTable
from ageboost.cli._shared import replace_table
from ageboost.errors import AgeboostError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VisitTable", "VisitTableError"]

_MERGE_SECONDS = 60.0
_FLOAT_FORMAT = "%.10g"
_ROW, _CHECKPOINT = "visit", "checkpoint"


class VisitTableError(AgeboostError, ValueError):
    """The table that is there cannot be gone on with."""


class VisitTable:
    """A table of people, to which rows are added as people leave.

    A row goes to a file beside the table at once, with a checksum, and is flushed to the disk. Each
    minute, and at the end, what is there goes into the table, which is written under another name
    and takes its place. A row has a number, so one that is in both files is there once.

    Of a live source, rows are added to those that the table has. Of a film, they take the place of
    those that the table has of this film, once it has been looked at to its end; a run that was
    killed goes on from the last moment at which nobody was there.

    Parameters
    ----------
    path : Path
        Ends in ``.csv`` or ``.parquet``.
    columns : mapping of str to str or None
        Columns that are the same in all rows, such as ``source`` and ``till``.
    dated : bool
        Whether times are seconds since 1970.
    began : str or None
        When a film began.
    film : mapping or None
        All that the rows of a film depend on; None for a live source.

    Attributes
    ----------
    first_frame : int
        With which frame of a film to go on.
    n_tracks : int
        How many tracks have begun before.
    """

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, str | None],
        dated: bool,
        began: str | None,
        film: Mapping[str, Any] | None,
    ):
        self.path = path
        self._columns = {name: value for name, value in columns.items() if value is not None}
        self._dated, self._began, self._film = dated, began, film
        self._old = self._read()
        suffix = ".live" if film is None else ".partial"
        self._beside = path.with_name(f"{path.name}{suffix}")
        self._settings = {"visits": 1} if film is None else dict(film)
        self._rows: dict[int, list[Any]] = {}
        self.first_frame, self.n_tracks = 0, 0
        self._open()
        if film is None and len(self._old):
            self.n_tracks = int(self._old["track"].max()) + 1
        self.n_tracks = max([self.n_tracks, *(number + 1 for number in self._rows)])
        self._merged = time.monotonic()

    @property
    def n_rows(self) -> int:
        """How many rows of this run, and of those that it goes on with, are not in the table."""
        return len(self._rows)

    def add(self, rows: list[list[Any]], checkpoint: tuple[int, int] | None = None) -> None:
        """Keep rows: when this returns, they are on the disk.

        Parameters
        ----------
        rows : list of list
            In the order of the columns of ``people_table``; the number of the track comes first.
        checkpoint : (int, int), optional
            With which frame a film can go on, and how many tracks have begun by then.
        """
        records: list[tuple[str, Any, list[list[Any]]]] = [
            (_ROW, (int(row[0]),), [row]) for row in rows if int(row[0]) not in self._rows
        ]
        if checkpoint is not None and self._film is not None:
            records.append((_CHECKPOINT, (0,), [list(checkpoint)]))
        # First here: Ctrl-C may come at any point, and what is known here goes into the table.
        for row in rows:
            self._rows.setdefault(int(row[0]), row)
        if records:
            self._partial.append(records)
        if self._film is None and time.monotonic() - self._merged > _MERGE_SECONDS:
            self.merge()

    def merge(self) -> None:
        """Put what is there of a live source into the table."""
        if self._rows:
            self._old = self._table()
            replace_table(self._old, self.path, _FLOAT_FORMAT)
            self._partial.remove()
            self._rows = {}
            self._open()
        self._merged = time.monotonic()

    def finish(self, faults: pd.DataFrame) -> None:
        """Write the table of a film that has been looked at to its end, or what there is live.

        Parameters
        ----------
        faults : DataFrame
            Rows without a track.
        """
        replace_table(self._table(faults), self.path, _FLOAT_FORMAT)
        self._partial.remove()

    def close(self) -> None:
        """Leave the file beside the table for another run."""
        self._partial.close()

    def _open(self) -> None:
        self._partial = PartialTable(self._beside, self._settings)
        try:
            _lock(self._partial._file)
        except OSError as error:
            self._partial.close()
            raise VisitTableError(
                f"{str(self.path)!r}: another run is writing to it: give each its own table"
            ) from error
        done = self._in_table()
        for (kind, stamp), [row] in self._partial.rows.items():
            if kind == _CHECKPOINT:
                self.first_frame, self.n_tracks = row
            elif int(stamp[0]) not in done:
                self._rows[int(stamp[0])] = row

    def _read(self) -> pd.DataFrame:
        import pandas as pd

        if not self.path.exists():
            return pd.DataFrame()
        try:
            if self.path.suffix.lower() == ".parquet":
                table = pd.read_parquet(self.path)
            else:
                table = pd.read_csv(self.path, dtype={"till": "str", "store": "str"})
                table["track"] = table["track"].astype("Int64")
                table["reliable"] = table["reliable"].astype("boolean")
                for column in ("start", "end"):
                    if table[column].dtype.kind not in "fi":
                        table[column] = pd.to_datetime(table[column], format="ISO8601")
                table["message"] = table["message"].fillna("")
        except (OSError, ValueError, KeyError) as error:
            raise VisitTableError(
                f"{str(self.path)!r} was not written by ageboost watch: choose another file"
            ) from error
        has_dates = len(table) > 0 and table["start"].dtype.kind == "M"
        if len(table) and has_dates != (self._dated or self._began is not None):
            kind, way = ("dates", "pass") if has_dates else ("seconds", "leave out")
            raise VisitTableError(
                f"{str(self.path)!r} has {kind} in its column start: {way} --began, or name "
                f"another table"
            )
        return table

    def _in_table(self) -> set[int]:
        """Return the numbers of the rows that the table of a live source has."""
        if self._film is not None or not len(self._old):
            return set()
        return set(self._old["track"].dropna().astype(int))

    def _table(self, faults: pd.DataFrame | None = None) -> pd.DataFrame:
        import pandas as pd

        from ageboost.video.analysis import date_table
        from ageboost.video.person import COLUMNS

        # A merge that Ctrl-C interrupted may have put them there.
        rows = [self._rows[number] for number in sorted(self._rows.keys() - self._in_table())]
        new = pd.DataFrame(rows, columns=list(COLUMNS))
        new = new.where(new.notna(), None).astype(COLUMNS)
        if faults is not None and len(faults):
            new = pd.concat([new, faults], ignore_index=True)
        new = date_table(new, self._dated, self._began)
        for place, (name, value) in enumerate(self._columns.items()):
            new.insert(place, name, pd.Series(value, index=new.index, dtype="str"))
        old = self._old
        if self._film is not None and len(old):
            old = old[old["source"] != self._columns["source"]]
        return pd.concat([old, new], ignore_index=True) if len(old) else new


def _lock(file: Any) -> None:
    """Keep a second run away; where the system cannot, go without."""
    with suppress(ImportError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
