"""What a model that ships knows of other cameras: a small file beside it, made after it.

The large file is what was trained on one collection. What sources elsewhere say of its ages is
learnt from its predictions, may be learnt again when there are more of them, and takes no more room
than it needs.
"""

from __future__ import annotations

import copy
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import skops.io

from ageboost._files import replacing
from ageboost.errors import ModelFileError
from ageboost.models.calibration import calibration_of

if TYPE_CHECKING:
    from ageboost.models.age_regressor import AgeRegressor

__all__ = ["elsewhere_path", "read_elsewhere", "write_elsewhere"]

_TRUSTED = [
    "ageboost.models.calibration.AgeCalibrator",
    "ageboost.models.familiarity.Looks",
    "ageboost.models.new_camera.NewCameraCalibrator",
    "ageboost.models.second_opinion.SecondOpinion",
    "ageboost.models.shrinkage.ShrinkageCorrection",
    "ageboost.models.young_ages.YoungAges",
    "ageboost.terms.PartTerms",
]


def elsewhere_path(model: Path) -> Path:
    """Find what a model knows of other cameras.

    Parameters
    ----------
    model : Path
        The model's file.

    Returns
    -------
    Path
    """
    return model.with_suffix(".elsewhere")


def write_elsewhere(regressor: AgeRegressor, base: AgeRegressor, path: Path) -> None:
    """Write what was learnt from other sources.

    Parameters
    ----------
    regressor : AgeRegressor
        With all that was learnt.
    base : AgeRegressor
        The same before.
    path : Path
    """
    calibration: Any = copy.copy(regressor.calibration_)
    known = copy.copy(calibration.known_)
    # The trees that expect errors are those of the base.
    calibration.scale_regressor_ = known.scale_regressor_ = None
    calibration.known_ = known
    learnt = {
        "base": calibration_of(base).fingerprint_,
        "calibration": calibration,
        "second_opinion": regressor.second_opinion_,
        "shrinkage": regressor.shrinkage_,
        "looks": regressor.looks_,
        "photo_terms": list(regressor.photo_terms_),
    }
    with replacing(path) as partial:
        partial.write_bytes(skops.io.dumps(learnt, compression=zipfile.ZIP_DEFLATED))


def read_elsewhere(regressor: AgeRegressor, path: Path) -> None:
    """Let a regressor know what was learnt from other sources.

    Parameters
    ----------
    regressor : AgeRegressor
        Fitted; changed.
    path : Path

    Raises
    ------
    ModelFileError
        If the file belongs to another model.
    """
    learnt = skops.io.loads(path.read_bytes(), trusted=_TRUSTED)
    before = calibration_of(regressor)
    if learnt["base"] != before.fingerprint_:
        raise ModelFileError(f"{path}: was made for another model than the one beside it")
    calibration = learnt["calibration"]
    calibration.scale_regressor_ = before.scale_regressor_
    calibration.known_.scale_regressor_ = before.scale_regressor_
    regressor.calibration_ = calibration
    regressor.second_opinion_ = learnt["second_opinion"]
    regressor.shrinkage_ = learnt["shrinkage"]
    regressor.looks_ = learnt["looks"]
    regressor.photo_terms_ = learnt["photo_terms"]
