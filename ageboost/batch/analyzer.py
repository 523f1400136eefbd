"""Analyzer: a table of photos to a table of faces, wherever an engine calls it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import pandas as pd

from ageboost._once import once_per_process, pack, unpack_once
from ageboost.errors import TableError
from ageboost.models import AgeEstimator, load, load_pretrained
from ageboost.models._face_table import faces_table
from ageboost.models.persistence import pretrained_names

__all__ = ["Analyzer"]

_SPARK_TYPES = {"Int64": "bigint", "Float64": "double", "boolean": "boolean", "str": "string"}


class Analyzer:
    """Estimates the age of every face of every photo of a table: table in, table out.

    It can be pickled, and each process that it is sent to loads its model once. So it is all that
    Dask's ``map_partitions``, Ray's ``map_batches`` and Spark's ``mapInPandas`` need.

    Parameters
    ----------
    model : AgeEstimator, str or path, default="accurate"
        A fitted model travels with the analyzer. A name (see :func:`ageboost.load_pretrained`), or
        a path that is the same on every machine, is loaded there.
    photo : str, default="photo"
        The column of photos: paths that exist on every machine, or the bytes of files.
    keep : sequence of str, default=()
        Columns to hand on, such as the number of a receipt, so that rows can be joined again.
    coverage : float, default=0.9
        Share of true ages that should lie between ``age_low`` and ``age_high``.

    Attributes
    ----------
    spark_schema : str
        The columns of its tables, those that are handed on left out, for Spark.

    See Also
    --------
    ageboost.AgeEstimator.analyze : For photos on one machine.
    write_shards : For many machines without an engine.

    Examples
    --------
    >>> import pandas as pd
    >>> from ageboost.batch import Analyzer
    >>> analyzer = Analyzer("fast", keep=["receipt"])
    >>> table = pd.DataFrame({"receipt": [7, 8], "photo": ["gone.jpg", b"no photo"]})
    >>> analyzer(table)[["receipt", "photo", "face", "status"]]
       receipt                photo  face      status
    0        7             gone.jpg  <NA>  unreadable
    1        8  photo 1 (8 bytes)    <NA>  unreadable
    """

    def __init__(
        self,
        model: AgeEstimator | str | os.PathLike[str] = "accurate",
        photo: str = "photo",
        keep: Sequence[str] = (),
        coverage: float = 0.9,
    ):
        if isinstance(keep, str):
            raise TypeError(f"keep={keep!r}: pass a list of columns, [{keep!r}]")
        taken = sorted({*keep} & {*faces_table([])})
        if taken:
            raise ValueError(f"keep={list(keep)}: a table of faces has {', '.join(taken)} already")
        self.photo, self.keep, self.coverage = photo, list(keep), coverage
        if isinstance(model, AgeEstimator):
            model.check_fitted()
            alone = copy.copy(model)
            # The engine has processes enough.
            alone.n_jobs = 1
            self._key, content = pack(alone)
            self._load: Callable[[], AgeEstimator] = _Content(self._key, content)
        else:
            self._key = name = os.fspath(model)
            shipped = name in pretrained_names() and not os.path.exists(name)
            self._load = _Named(name, shipped)
            self._load()

    @property
    def spark_schema(self) -> str:
        """The columns of its tables, for Spark."""
        types = faces_table([]).dtypes
        return ", ".join(f"`{name}` {_SPARK_TYPES[str(kind)]}" for name, kind in types.items())

    def __call__(self, table: pd.DataFrame | Mapping[str, Any]) -> pd.DataFrame:
        """Look at the photos of a table.

        Parameters
        ----------
        table : DataFrame, or mapping of str to sequence
            Any number of rows, none included.

        Returns
        -------
        DataFrame
            The columns to keep, then those of :meth:`ageboost.AgeEstimator.analyze`: one row for
            each face, and one for each photo without any, in the order of the table.

        Raises
        ------
        TableError
            If a column is not there.
        """
        if not isinstance(table, pd.DataFrame):
            table = pd.DataFrame(dict(table))
        for name in (self.photo, *self.keep):
            if name not in table.columns:
                raise TableError(
                    f"a table without a column {name!r}, but {', '.join(map(str, table.columns))}",
                    "name the column of photos, Analyzer(model, photo=...), and those to keep",
                )
        photos = [None if _is_missing(photo) else photo for photo in table[self.photo]]
        if not photos:
            faces = faces_table([])
        else:
            faces = self._load().analyze(photos, coverage=self.coverage)
        if not self.keep:
            return faces
        # A photo's first face is number 0, or none.
        first = faces["face"].isna() | (faces["face"] == 0)
        owners = np.cumsum(first.to_numpy(dtype=np.intp)) - 1
        kept = table[self.keep].iloc[owners].reset_index(drop=True)
        return pd.concat([kept, faces], axis=1)


class _Content:
    """A model that is sent along."""

    def __init__(self, key: str, content: bytes):
        self.key, self.content = key, content

    def __call__(self) -> AgeEstimator:
        return unpack_once(self.key, self.content)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        _one_core()


class _Named:
    """A model that each machine has."""

    def __init__(self, name: str, shipped: bool):
        self.name, self.shipped = name, shipped

    def __call__(self) -> AgeEstimator:
        make = load_pretrained if self.shipped else load
        return once_per_process(
            f"{make.__name__} {self.name}", lambda: make(self.name).set_params(n_jobs=1)
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        _one_core()


def _one_core() -> None:
    # An engine gives each of its processes a core; OpenCV would start threads for all of them.
    cv2.setNumThreads(1)


def _is_missing(photo: object) -> bool:
    return photo is None or photo is pd.NA or (isinstance(photo, float) and np.isnan(photo))
