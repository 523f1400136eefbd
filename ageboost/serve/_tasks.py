"""What is asked of the model: some photos of one kind of request, to one result for each."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from ageboost.errors import PhotoError
from ageboost.evaluation import explain
from ageboost.models import AgeEstimator
from ageboost.photos import PhotoFile
from ageboost.retail import AlcoholPolicy, Answer, check_each

__all__ = ["Analyze", "Check", "Explain", "Reasons"]

# Figures are 10 inches wide.
_DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Check:
    """Whether to sell, to ask or that nothing can be said."""

    most: ClassVar[int] = 8
    policy: AlcoholPolicy
    # The same for all checks of a service.
    age_weights: pd.Series | None = field(default=None, compare=False)

    def __call__(self, model: AgeEstimator, photos: Sequence[PhotoFile]) -> list[Answer]:
        return check_each(photos, self.policy, model, self.age_weights)


@dataclass(frozen=True)
class Analyze:
    """Every face of each photo: rows of ``AgeEstimator.analyze``, with None for what is missing."""

    most: ClassVar[int] = 8

    def __call__(
        self, model: AgeEstimator, photos: Sequence[PhotoFile]
    ) -> list[list[dict[str, Any]]]:
        rows: list[list[dict[str, Any]]] = []
        table = model.analyze(photos).astype(object)
        for row in table.where(table.notna(), None).to_dict("records"):
            if not row["face"]:
                rows.append([])
            rows[-1].append(row)
        return rows


@dataclass(frozen=True)
class Reasons:
    """Why a model says an age: years by region, and a picture of them."""

    prediction: float
    base_value: float
    regions: dict[str, float]
    picture: bytes


@dataclass(frozen=True)
class Explain:
    """Reasons for the main face of each photo, or what is wrong with the photo."""

    most: ClassVar[int] = 1

    def __call__(
        self, model: AgeEstimator, photos: Sequence[PhotoFile]
    ) -> list[Reasons | PhotoError]:
        return [_reasons(model, photo) for photo in photos]


def _reasons(model: AgeEstimator, photo: PhotoFile) -> Reasons | PhotoError:
    try:
        found = explain(model, photo)
    except PhotoError as error:
        return error
    picture = io.BytesIO()
    found.draw().savefig(picture, format="png", dpi=_DOTS_PER_INCH)
    regions = {str(name): float(years) for name, years in found.regions.items()}
    return Reasons(found.prediction, found.base_value, regions, picture.getvalue())
