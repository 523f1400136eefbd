"""By which model buyers' ages were estimated: its calibration alone fits them."""

from __future__ import annotations

import pandas as pd

from ageboost.errors import RetailDataError
from ageboost.models import AgeCalibrator, AgeEstimator, load_pretrained
from ageboost.models.calibration import calibration_of
from ageboost.models.persistence import pretrained_names

__all__ = [
    "camera_of",
    "check_origin",
    "find_calibration",
    "find_shipped_model",
    "name_model",
    "origin_of",
]


def origin_of(buyers: pd.DataFrame) -> str | None:
    """Return the fingerprint of the calibration behind buyers' ages, where they say it.

    Parameters
    ----------
    buyers : DataFrame
        As :func:`estimate_buyers` gives it.

    Returns
    -------
    str or None

    Raises
    ------
    RetailDataError
        If there are several.
    """
    if "calibration" not in buyers:
        return None
    said = buyers["calibration"].dropna().unique()
    if len(said) > 1:
        raise RetailDataError(
            f"these buyers' ages were estimated by {len(said)} models: use those of one at a time"
        )
    return str(said[0]) if len(said) else None


def camera_of(buyers: pd.DataFrame) -> str | None:
    """Return whether the model knew the camera that showed the buyers, where they say it.

    Parameters
    ----------
    buyers : DataFrame
        As :func:`estimate_buyers` gives it.

    Returns
    -------
    {"known", "foreign"} or None
        Foreign if it was so for any of them.
    """
    said = set(buyers["camera"].dropna()) if "camera" in buyers else set()
    return "foreign" if "foreign" in said else "known" if said else None


def check_origin(origin: str | None, model: AgeEstimator | AgeCalibrator) -> AgeCalibrator:
    """Refuse a model that did not estimate the ages.

    Parameters
    ----------
    origin : str or None
        What :func:`origin_of` gives; None fits every model.
    model : AgeEstimator or AgeCalibrator

    Returns
    -------
    AgeCalibrator
        That of the model.

    Raises
    ------
    RetailDataError
        If the ages are of another model.
    """
    calibration = calibration_of(model)
    if origin is not None and origin != calibration.fingerprint_:
        shipped = _shipped(origin)
        name = "another one" if shipped is None else f"the one that ships as {shipped[0]!r}"
        raise RetailDataError(
            "these buyers' ages were not estimated by the given model, or before it was "
            f"calibrated, but by {name}",
            "pass the calibration_ of that model",
            "pass that one as --model" if shipped is None else "leave out --model",
        )
    return calibration


def find_calibration(
    origin: str | None, model: AgeEstimator | AgeCalibrator | None = None
) -> AgeCalibrator:
    """Find the calibration that fits ages.

    Parameters
    ----------
    origin : str or None
        What :func:`origin_of` gives.
    model : AgeEstimator or AgeCalibrator, optional
        The one that estimated the ages. By default it is looked for among those that ship.

    Returns
    -------
    AgeCalibrator

    Raises
    ------
    RetailDataError
        If the ages are of another model, or it is not known of which.
    """
    if model is not None:
        return check_origin(origin, model)
    ways_out = (
        "pass the calibration_ of the model that estimated them",
        "pass the model that estimated them as --model",
    )
    if origin is None:
        raise RetailDataError("these buyers do not say which model estimated their ages", *ways_out)
    shipped = _shipped(origin)
    if shipped is None:
        raise RetailDataError("these buyers' ages were estimated by a model of your own", *ways_out)
    return shipped[1]


def find_shipped_model(origin: str | None) -> AgeEstimator | None:
    """Find the model that estimated ages among those that ship.

    Parameters
    ----------
    origin : str or None
        What :func:`origin_of` gives.

    Returns
    -------
    AgeEstimator or None
    """
    shipped = None if origin is None else _shipped(origin)
    return None if shipped is None else load_pretrained(shipped[0])


def name_model(origin: str | None) -> str:
    """Name the model that estimated ages.

    Parameters
    ----------
    origin : str or None
        What :func:`origin_of` gives.

    Returns
    -------
    str
    """
    shipped = None if origin is None else _shipped(origin)
    return "one of your own" if shipped is None else shipped[0]


def _shipped(origin: str) -> tuple[str, AgeCalibrator] | None:
    for name in pretrained_names():
        calibration = load_pretrained(name).calibration_
        if calibration is not None and calibration.fingerprint_ == origin:
            return name, calibration
    return None
