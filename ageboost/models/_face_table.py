"""The table of faces: one row for each, and one for each photo without any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ageboost.features import ExtractedBatch
from ageboost.models.age_regressor import AgeRegressor

__all__ = ["face_rows", "faces_table"]

_COLUMNS = {
    "photo": "str",
    "face": "Int64",
    "left": "Float64",
    "top": "Float64",
    "width": "Float64",
    "height": "Float64",
    "age": "Float64",
    "age_low": "Float64",
    "age_high": "Float64",
    "quality": "Float64",
    "reliable": "boolean",
    "familiarity": "Float64",
    "status": "str",
    "message": "str",
}


def faces_table(rows: Sequence[Sequence[object]]) -> pd.DataFrame:
    """Make the table of :meth:`AgeEstimator.analyze` from its rows.

    Parameters
    ----------
    rows : sequence of sequences of length 14
        In the order of its columns.

    Returns
    -------
    DataFrame
    """
    columns = zip(*rows, strict=True) if rows else [()] * len(_COLUMNS)
    return pd.DataFrame(
        {
            name: pd.array(list(column), dtype=kind)
            for (name, kind), column in zip(_COLUMNS.items(), columns, strict=True)
        }
    )


def face_rows(
    regressor: AgeRegressor, batch: ExtractedBatch, coverage: float
) -> list[tuple[object, ...]]:
    """Make the rows of a batch of photos, in their order.

    Parameters
    ----------
    regressor : AgeRegressor
        Fitted.
    batch : ExtractedBatch
    coverage : float
        Share of true ages that should lie in the range.

    Returns
    -------
    list of tuples of length 14
        For :func:`faces_table`.
    """
    if regressor.calibration_ is None:
        ages = regressor.predict(batch.matrix)
        ranges = np.full((len(ages), 2), np.nan)
    else:
        distribution = regressor.predict_distribution(batch.matrix)
        ages, ranges = distribution.ages, distribution.interval(coverage)
    scores = np.full(len(ages), np.nan)
    if regressor.looks_ is not None:
        scores = regressor.looks_.scores(batch.qualities, regressor.texture(batch.matrix))
    least = regressor.quality_threshold_
    rows = []
    n_before: dict[int, int] = {}
    for owner, age, (low, high), score, box, quality in zip(
        batch.owners, ages, ranges, scores, batch.boxes, batch.qualities, strict=True
    ):
        face = n_before[owner] = n_before.get(owner, -1) + 1
        place = (box.left, box.top, box.right - box.left, box.bottom - box.top)
        reliable = pd.NA if least is None else quality.is_reliable(least)
        if quality.defect:
            reliable = False
        seen, why = quality.overall, quality.explain(least or 0.0)
        rows.append((owner, face, *place, age, low, high, seen, reliable, score, "ok", why))
    blank = (np.nan,) * 8
    rows += [(owner, pd.NA, *blank, pd.NA, np.nan, e.status, str(e)) for owner, e in batch.failures]
    rows.sort(key=lambda row: row[0])
    return [
        (_as_text(batch.names[owner - batch.first]), *rest, _as_text(message))
        for owner, *rest, message in rows
    ]


def _as_text(name: str) -> str:
    """Escape bytes of a file's name that are no text: not every table can hold them."""
    return name.encode("utf-8", "backslashreplace").decode()
