"""A model's card: what it is, how far it is off, and what it must not be used for."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.model_selection import KFold

from ageboost._age_bands import MEASURED_BANDS
from ageboost._versions import package_version
from ageboost.models.borrowed import BorrowedCalibrator
from ageboost.models.calibration import AgeCalibrator
from ageboost.models.distribution import AgeDistribution
from ageboost.models.new_camera import NewCameraCalibrator
from ageboost.terms import Terms

__all__ = ["card_path", "check_card_path", "judge_by_halves", "write_card"]

_COVERAGE = 0.9
# Years of true age that are written apart: minors, and adults who are near to them.
_YEARS = range(13, 26)
_PACKAGES = ("ageboost", "catboost", "numpy", "onnxruntime", "scikit-learn", "xgboost")

_TITLE = "# Model card"
_CARD = """# Model card

Estimates the age of a person, in years, from a photo of the face, with a range that should hold the
true age nine times in ten.

## Terms

{terms}

## What it is

- Features: {features}
- Between features and regressor: {reduction}
- Regressor: {regressor}
- Learnt from {n_photos:,} photos{adapted}
- Written on {date} with {versions}

## How far it is off

{errors}

## Faces that should not be relied on

{reliability}

## What it must not be used for

- To accuse anybody. One photo proves nothing: the range is wide, and widest where it matters. The
  law asks for an identity card, not for a guess.
- To identify or follow people, or to judge anything other than age.
- On people who are rare among the photos that it learnt from, without measuring its error there.

Light, lenses and poses differ from place to place: measure on photos of your own
(`ageboost evaluate MODEL LABELS`), and calibrate with them (`ageboost calibrate MODEL LABELS`).
"""

_ERRORS = """Measured on {n_photos:,} photos, each by a model that had not learnt from it.

| | |
| --- | --- |
| mean absolute error (MAE) | {mae:.2f} years |
| within 5 years | {within:.1%} |
| bias | {bias:+.2f} years |
| true age inside the 90 % range | {inside:.1%} |
| mean width of the 90 % range | {width:.1f} years |

| age | photos | MAE | bias | inside the 90 % range | mean width |
| --- | --- | --- | --- | --- | --- |
{by_age}{by_year}"""

_YOUNG = """{promise} In years:

| true age | photos | MAE | bias | inside the 90 % range | mean width |
| --- | --- | --- | --- | --- | --- |"""


def card_path(model: Path) -> Path:
    """Find where a model's card belongs: no two models share one, and none is its own card.

    Parameters
    ----------
    model : Path
        The model's file.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the model has the name of a card.

    Examples
    --------
    >>> from pathlib import Path
    >>> from ageboost.models.card import card_path
    >>> [card_path(Path(name)).name for name in ("mine.ageboost", "v1.2", "v1.3")]
    ['mine.md', 'v1.2.card.md', 'v1.3.card.md']
    """
    if model.suffix.lower() == ".md":
        raise ValueError(
            f"{str(model)!r}: .md is for the card that is written beside a model: "
            f"name the model {model.stem}.ageboost"
        )
    if model.suffix.lower() == ".ageboost":
        return model.with_suffix(".md")
    return model.with_name(f"{model.name}.card.md")


def check_card_path(card: Path) -> None:
    """Check that no file would be lost where a card is to be written.

    Parameters
    ----------
    card : Path

    Raises
    ------
    FileExistsError
        If a file that is no card stands there.
    """
    try:
        with card.open("rb") as file:
            start = file.read(len(_TITLE))
    except FileNotFoundError:
        return
    if start != _TITLE.encode():
        raise FileExistsError(
            f"{str(card)!r} is where the model's card belongs, and holds something else: move it, "
            "or give the model another name"
        )


def write_card(estimator: Any) -> str:
    """Write the card of a fitted model, in Markdown.

    Its figures are those of the photos that calibrated the model: predictions by a model that had
    not seen them, ranges drawn from the errors of other photos.

    Parameters
    ----------
    estimator : AgeEstimator
        Fitted.

    Returns
    -------
    str

    Examples
    --------
    >>> import ageboost
    >>> from ageboost.models import write_card
    >>> print(write_card(ageboost.load_pretrained("classical")).splitlines()[0])
    # Model card
    """
    names = estimator.features_.get_feature_names_out()
    return _CARD.format(
        terms=_write_terms(estimator.terms),
        features=", ".join(dict.fromkeys(name.partition("__")[0] for name in names)),
        reduction=type(estimator.reduction_).__name__ if estimator.reduction_ else "nothing",
        regressor=_describe(estimator.regressor_),
        n_photos=estimator.n_photos_,
        adapted=_describe_correction(estimator),
        date=date.today().strftime("%d %B %Y"),
        versions=", ".join(f"{package} {package_version(package)}" for package in _PACKAGES),
        errors=_write_errors(estimator.calibration_),
        reliability=_write_reliability(estimator.quality_threshold_),
    )


def _write_terms(terms: Terms) -> str:
    written = terms.to_markdown()
    if terms.commercial == "yes":
        return written
    return (
        f"{written}\n\nA business uses the model `open`, or trains one of its own with "
        "`ageboost train LABELS --commercial --out MODEL`, which takes nothing that forbids it."
    )


def _describe_correction(estimator: Any) -> str:
    correction = estimator.correction_
    if correction is None:
        return ""
    return f"; adapted to {correction.n_photos_:,} photos of one camera (correction: {correction})"


def _describe(regressor: object) -> str:
    parts = getattr(regressor, "estimators_", None)
    name = type(regressor).__name__
    if not isinstance(parts, list):
        return name
    return f"{name} of {', '.join(type(part).__name__ for part in parts)}"


def _write_errors(calibrator: AgeCalibrator | None) -> str:
    if calibrator is None:
        return "Not measured: the model was fitted with `interval_folds=None`."
    if isinstance(calibrator, BorrowedCalibrator):
        return (
            f"Not measured on photos like yours. Ranges rest on {calibrator.n_borrowed_:,} photos "
            f"of {', '.join(calibrator.sources_)}, each estimated by a model that had seen nothing "
            "of its source, with an allowance for a new camera and for other ages."
        )
    if isinstance(calibrator, NewCameraCalibrator):
        return (
            f"Ranges are for a camera that the model never met, where its ages are off by "
            f"{calibrator.shift_:.1f} years together (root mean square over the sources "
            f"{', '.join(calibrator.sources_)}, each left out). Narrower ones, for photos like "
            f"those learnt from, are at hand as `calibration_.known_`.\n\n"
            f"{_write_errors(calibrator.known_)}"
        )
    ages = calibrator.ages_.astype(np.float64)
    errors = calibrator.predictions_ - ages
    ranges = np.empty((len(ages), 2))
    for half, distribution in judge_by_halves(calibrator):
        ranges[half] = distribution.interval(_COVERAGE)
    inside = (ranges[:, 0] <= ages) & (ages <= ranges[:, 1])
    width = ranges[:, 1] - ranges[:, 0]

    def row(name: str, part: npt.NDArray[np.bool_]) -> str:
        return (
            f"| {name} | {part.sum()} | {np.abs(errors[part]).mean():.2f} | "
            f"{errors[part].mean():+.2f} | {inside[part].mean():.1%} | {width[part].mean():.1f} |"
        )

    bands, years = MEASURED_BANDS.index(ages), np.floor(ages)
    by_age = [
        row(name, bands == band)
        for band, name in enumerate(MEASURED_BANDS.names)
        if (bands == band).any()
    ]
    by_year = [row(str(year), years == year) for year in _YEARS if (years == year).any()]
    young = ""
    if by_year:
        promise = (
            "Ranges of 80 % or more are made to hold at each true age from 13 to 24."
            if calibrator.young_ is not None
            else "There were too few minors to make ranges hold at each true age."
        )
        young = f"\n\n{_YOUNG.format(promise=promise)}\n" + "\n".join(by_year)
    return _ERRORS.format(
        n_photos=len(ages),
        mae=np.abs(errors).mean(),
        within=(np.abs(errors) <= 5).mean(),
        bias=errors.mean(),
        inside=inside.mean(),
        width=width.mean(),
        by_age="\n".join(by_age),
        by_year=young,
    )


def judge_by_halves(
    calibrator: AgeCalibrator,
) -> Iterator[tuple[npt.NDArray[np.intp], AgeDistribution]]:
    """Judge each half of the photos that were learnt from by what the other half teaches.

    Parameters
    ----------
    calibrator : AgeCalibrator

    Yields
    ------
    photos : ndarray of shape (n_half,), int
        Which photos these are.
    distribution : AgeDistribution
        Of their ages.
    """
    new = calibrator if isinstance(calibrator, NewCameraCalibrator) else None
    photos = calibrator if new is None else new.known_
    predictions, ages, scales = photos.predictions_, photos.ages_, photos.scales_
    for known, others in KFold(2, shuffle=True, random_state=0).split(ages):
        half = clone(photos).keep(predictions[known], ages[known], scales[known])
        half.scale_regressor_ = None
        if half.young_ is None:
            # Few photos of one's own: what else was known of the young is no secret to them.
            half.young_ = photos.young_
        learnt = half if new is None else copy.copy(new).around(half)
        yield (
            others,
            learnt.distribution(
                predictions[others].astype(np.float64), scales[others].astype(np.float64)
            ),
        )


def _write_reliability(threshold: float | None) -> str:
    if threshold is None:
        return "Not known: the model was fitted on features alone."
    if threshold == 0:
        return "None: no photos that it was calibrated with were so bad that ages were much off."
    return (
        f"Those of a quality below {threshold:.2f} (from 0 to 1: size, sharpness, turn of the head "
        "and the detector's confidence). Ages of such faces were at least half as far off again as "
        "is usual. `analyze` says so in the column `reliable`."
    )
