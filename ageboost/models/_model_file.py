"""Fitted models as files that are never unpickled.

``manifest.json`` names every other file with its size and checksum. Boosters are kept in their own
libraries' formats, which stay readable from version to version; the rest goes through skops, which
builds only types that are on a list. Trees are checked before their libraries read them, which take
what they read as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skops.io
from sklearn.base import clone
from skops.io.exceptions import UntrustedTypesFoundException

from ageboost._files import replacing
from ageboost._versions import package_version
from ageboost.errors import ModelFileError
from ageboost.features import Network
from ageboost.models._archive import ESTIMATOR, read_archive, write_archive
from ageboost.models._trees_in_files import (
    booster_file,
    damaged_trees,
    dump_booster,
    load_booster,
    with_checked_trees,
)
from ageboost.models.card import card_path, check_card_path, write_card
from ageboost.models.model_terms import known_network_terms

__all__ = ["read_model", "write_model"]

_PACKAGES = ("ageboost", "catboost", "numpy", "scikit-learn", "skops", "xgboost")
_TRUSTED = [
    "ageboost.faces.detection.FaceFinder",
    "ageboost.features.cnn.CNNActivations",
    "ageboost.features.extraction.FaceFeatures",
    "ageboost.features.geometry.LandmarkGeometry",
    "ageboost.features.gradients.HOG",
    "ageboost.features.lbp.LBP",
    "ageboost.features.networks.Network",
    "ageboost.features.network_ages.NetworkAges",
    "ageboost.models.adaptation.AgeCorrection",
    "ageboost.models.age_regressor.AgeRegressor",
    "ageboost.models.borrowed.BorrowedCalibrator",
    "ageboost.models.calibration.AgeCalibrator",
    "ageboost.models.estimator.AgeEstimator",
    "ageboost.models.familiarity.Looks",
    "ageboost.models.kernel.KernelScores",
    "ageboost.models.new_camera.NewCameraCalibrator",
    "ageboost.models.opinion_pool.OpinionPool",
    "ageboost.models.opinion_pool.PoolSpread",
    "ageboost.models.reduction.GroupedPCA",
    "ageboost.terms.PartTerms",
    "ageboost.models.second_opinion.SecondOpinion",
    "ageboost.models.shrinkage.ShrinkageCorrection",
    "ageboost.models.young_ages.YoungAges",
    "ageboost.models._catboost_file.CheckedCatBoost",
    "ageboost.models._xgboost_file.CheckedBooster",
    "sklearn.utils._bunch.Bunch",
    "xgboost.sklearn.XGBRegressor",
]


def write_model(model: Any, path: Path) -> None:
    """Write a fitted estimator, and its card beside it: see :func:`ageboost.models.save`.

    Parameters
    ----------
    model : AgeEstimator
    path : Path
    """
    card = card_path(path)
    check_card_path(card)
    regressor = model.regressor_
    stripped = copy.copy(model)
    stripped.age_regressor_ = copy.copy(model.age_regressor_)
    stripped.cache = stripped.device = stripped.age_regressor_.device = None
    stripped.left_out_ = []
    stripped.features = _portable(model.features)
    stripped.features_ = _portable(model.features_)
    contents = {}
    file_name = booster_file(regressor)
    if file_name is not None:
        stripped.age_regressor_.regressor_ = clone(regressor)
        contents[file_name] = dump_booster(regressor)
    contents[ESTIMATOR] = skops.io.dumps(stripped)
    names = model.features_.get_feature_names_out().tolist()
    facts = {
        "versions": {package: package_version(package) for package in _PACKAGES},
        "n_photos": model.n_photos_,
        # For those who look into the file before they load it; the estimator has its own.
        "terms": [asdict(part) for part in model.terms.parts],
        "trial_ages": _trial_ages(model, len(names)).tolist(),
        "feature_names": names,
    }
    write_archive(path, facts, contents)
    with replacing(card) as partial:
        partial.write_text(write_card(model), "utf-8")


def read_model(path: Path, kind: Any, trusted: Sequence[str] = ()) -> Any:
    """Read an estimator: see :func:`ageboost.models.load`.

    Parameters
    ----------
    path : Path
    kind : type
        What the file must hold.
    trusted : sequence of str, default=()
        Types to build beside those that are known.

    Returns
    -------
    object
        Of this kind.
    """
    contents, manifest = read_archive(path)
    written_by = manifest["versions"]
    try:
        checked = with_checked_trees(contents[ESTIMATOR], trusted)
        model = skops.io.loads(checked, trusted=[*_TRUSTED, *trusted])
    except UntrustedTypesFoundException as error:
        found = skops.io.get_untrusted_types(data=checked)
        names = sorted(set(found) - {*_TRUSTED, *trusted})
        raise ModelFileError(
            f"{path}: holds types that ageboost does not know: {', '.join(names)}; "
            f"if you know where the file comes from, pass trusted={names}"
        ) from error
    except ModelFileError as error:
        raise damaged_trees(path, ESTIMATOR, error) from error
    except Exception as error:
        raise ModelFileError(
            f"{path}: cannot be read: {type(error).__name__}: {error}; {_differences(written_by)}"
        ) from error
    if not isinstance(model, kind):
        raise ModelFileError(f"{path}: holds a {type(model).__name__}, not an {kind.__name__}")
    boosters = contents.keys() - {ESTIMATOR}
    expected = booster_file(getattr(model, "regressor_", None))
    if boosters != ({expected} if expected else set()):
        found = ", ".join(sorted(boosters)) or "nothing"
        raise ModelFileError(f"{path}: holds {found} where {expected or 'nothing'} belongs")
    if expected:
        load_booster(model.regressor_, expected, contents[expected], path)
    _check_trial_ages(model, manifest, path)
    return model


def _portable(features: Any) -> Any:
    """Take out what holds only on this machine, and put in what is outside the file."""
    if isinstance(features, str):
        return features
    features = copy.deepcopy(features)
    features.cache = None
    if not isinstance(features.transformers, str):
        for _, transformer in features.transformers:
            network = getattr(transformer, "network", None)
            if isinstance(network, Network):
                # Weights inside a file have no name any more by which their terms are known.
                transformer.network = replace(
                    network, weights=network.read_weights(), terms=known_network_terms(network)
                )
    return features


def _trial_ages(model: Any, n_features: int) -> npt.NDArray[np.float64]:
    """Ages for rows that are no faces, which show whether a model still answers as it did."""
    rows = np.stack([np.zeros(n_features), np.linspace(-1, 1, n_features)])
    return model.age_regressor_.predict(rows.astype(np.float32))


def _check_trial_ages(model: Any, manifest: Mapping, path: Path) -> None:
    """Refuse a model whose parts do not fit together, or that is read in another way than meant.

    An older or newer library can read a booster without a word, and give other ages.
    """
    versions = manifest["versions"]
    try:
        n_features = len(manifest["feature_names"])
        if not hasattr(model.age_regressor_, "n_features_in_"):
            # It was written by an earlier release.
            model.age_regressor_.n_features_in_ = n_features
        with np.errstate(all="ignore"):
            found = _trial_ages(model, n_features)
        # Files of earlier releases do not say what the ages were.
        expected = np.array(manifest.get("trial_ages", found), dtype=float)
        same = np.allclose(found, expected, rtol=0, atol=0.05)
    except Exception as error:
        raise ModelFileError(
            f"{path}: gives no ages: {type(error).__name__}: {error}; {_differences(versions)}"
        ) from error
    if not same:
        raise ModelFileError(
            f"{path}: gives other ages here than where it was saved: in a trial "
            f"{found.round(2).tolist()} instead of {expected.round(2).tolist()}; "
            f"{_differences(versions)}"
        )


def _differences(written_by: Mapping[str, str]) -> str:
    """Describe which libraries are of other versions than when the file was written."""
    others = [
        f"{package} {then} (here {package_version(package)})"
        for package, then in written_by.items()
        if package in _PACKAGES and then != package_version(package)
    ]
    return f"it was written with {', '.join(others)}" if others else "its versions are those here"
