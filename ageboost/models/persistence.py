"""Save and load: a zip that can be looked into before it is trusted, and is never unpickled.

``manifest.json`` names every other file with its size and checksum. Boosters are kept in their own
libraries' formats, which stay readable from version to version; the rest goes through skops, which
builds only types that are on a list. Trees are checked before their libraries read them, which take
what they read as it is.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import joblib
import numpy as np
import numpy.typing as npt
import skops.io
from catboost import CatBoostRegressor
from sklearn.base import BaseEstimator, clone
from skops.io.exceptions import UntrustedTypesFoundException
from xgboost import XGBRegressor

from ageboost._files import replacing
from ageboost.errors import ModelFileError
from ageboost.features import Network
from ageboost.models._catboost_file import CheckedCatBoost, check_catboost
from ageboost.models._cuts import load_between_values, round_leaves
from ageboost.models._elsewhere import elsewhere_path, read_elsewhere
from ageboost.models._xgboost_file import CheckedBooster, check_xgboost
from ageboost.models.card import card_path, check_card_path, write_card
from ageboost.models.estimator import AgeEstimator
from ageboost.models.new_camera import NewCameraCalibrator
from ageboost.models.terms import known_network_terms
from ageboost.terms import photo_terms

__all__ = ["load", "load_pickle", "load_pretrained", "save"]

_FORMAT = "ageboost model"
_FORMAT_VERSION = 3
# Those of 2 keep what is in the regressor on the estimator itself.
_READABLE_VERSIONS = (2, 3)
_MANIFEST = "manifest.json"
_ESTIMATOR = "estimator.skops"
_BOOSTERS = {XGBRegressor: "regressor.ubj", CatBoostRegressor: "regressor.cbm"}
# A model is a few dozen megabytes; a file that claims more is broken or means harm.
_LARGEST_BYTES = 1_000_000_000
_LARGEST_MANIFEST = 10_000_000
_PACKAGES = ("ageboost", "catboost", "numpy", "scikit-learn", "skops", "xgboost")
_TRUSTED = [
    "ageboost.faces.detection.FaceFinder",
    "ageboost.features.cnn.CNNActivations",
    "ageboost.features.extraction.FaceFeatures",
    "ageboost.features.geometry.LandmarkGeometry",
    "ageboost.features.hog.HOG",
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
    "ageboost.models._catboost_file.CheckedCatBoost",
    "ageboost.models._xgboost_file.CheckedBooster",
    "sklearn.utils._bunch.Bunch",
    "xgboost.sklearn.XGBRegressor",
]
# Inside another estimator, trees are built by these. The types themselves are not on the list, so
# none is built unchecked unless the user says so.
_CHECKED = {
    "catboost.core.CatBoostRegressor": CheckedCatBoost,
    "xgboost.core.Booster": CheckedBooster,
}
_SCHEMA = "schema.json"


def save(estimator: AgeEstimator, path: str | os.PathLike[str]) -> None:
    """Save a fitted estimator as one file, and its card beside it.

    The card, ``mine.md`` beside ``mine.ageboost`` and ``v1.2.card.md`` beside ``v1.2``, says in
    Markdown what the model is and how far off it was in cross-validation: see :func:`write_card`.
    Weights of networks of your own go into the file. Where features are kept (``cache``), the
    device and names of photos do not.

    Parameters
    ----------
    estimator : AgeEstimator
        Fitted.
    path : path
        By custom, ending in ``.ageboost``. A file that is there is replaced, once the new one is
        whole; so is the card.

    Raises
    ------
    ValueError
        If the name ends in ``.md``, which is a card's.
    FileExistsError
        If something other than a card stands where the card belongs.
    """
    path = Path(path)
    card = card_path(path)
    check_card_path(card)
    regressor = estimator.regressor_
    stripped = copy.copy(estimator)
    stripped.age_regressor_ = copy.copy(estimator.age_regressor_)
    stripped.cache = stripped.device = stripped.age_regressor_.device = None
    stripped.left_out_ = []
    stripped.features = _portable(estimator.features)
    stripped.features_ = _portable(estimator.features_)
    contents = {}
    file_name = _BOOSTERS.get(type(regressor))
    if file_name is not None:
        stripped.age_regressor_.regressor_ = clone(regressor)
        contents[file_name] = _booster_bytes(regressor, file_name)
    contents[_ESTIMATOR] = skops.io.dumps(stripped)
    names = estimator.features_.get_feature_names_out().tolist()
    manifest = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "versions": {package: version(package) for package in _PACKAGES},
        "n_photos": estimator.n_photos_,
        # For those who look into the file before they load it; the estimator has its own.
        "terms": [asdict(part) for part in estimator.terms.parts],
        "trial_ages": _trial_ages(estimator, len(names)).tolist(),
        "feature_names": names,
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        },
    }
    with (
        replacing(path) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
        for name, content in contents.items():
            archive.writestr(name, content)
    with replacing(card) as partial:
        partial.write_text(write_card(estimator), "utf-8")


def load(path: str | os.PathLike[str], trusted: Sequence[str] = ()) -> AgeEstimator:
    """Load an estimator, without unpickling anything.

    Parameters
    ----------
    path : path
    trusted : sequence of str, default=()
        Types to build beside those of ageboost, scikit-learn, numpy, XGBoost and CatBoost, by their
        full names: those of a regressor of your own. Name only what you know; building an object
        can run its code. ``xgboost.core.Booster`` and ``catboost.core.CatBoostRegressor`` have
        their trees read unchecked, also those for classes.

    Returns
    -------
    AgeEstimator

    Raises
    ------
    ModelFileError
        If the file is damaged, of another format, larger than a gigabyte when unpacked, holds types
        that are not trusted; it names them. Or if it holds trees whose numbers do not fit together,
        or if the model does not give the ages that it gave when it was saved.
    FileNotFoundError
        If there is no such file.

    See Also
    --------
    load_pickle : For models that were pickled, from sources that are trusted with everything.

    Examples
    --------
    >>> import os, tempfile
    >>> import ageboost
    >>> model = ageboost.load_pretrained()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "mine.ageboost")
    ...     model.save(path)
    ...     ageboost.load(path).n_photos_ == model.n_photos_
    True
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file {str(path)!r}")
    contents, manifest = _read_contents(path)
    written_by = manifest["versions"]
    _check_sizes(contents[_ESTIMATOR], path)
    try:
        checked = _with_checked_trees(contents[_ESTIMATOR], trusted)
        estimator = skops.io.loads(checked, trusted=[*_TRUSTED, *trusted])
    except UntrustedTypesFoundException as error:
        found = skops.io.get_untrusted_types(data=checked)
        names = sorted(set(found) - {*_TRUSTED, *trusted})
        raise ModelFileError(
            f"{path}: holds types that ageboost does not know: {', '.join(names)}; "
            f"if you know where the file comes from, pass trusted={names}"
        ) from error
    except ModelFileError as error:
        raise _damaged_trees(path, _ESTIMATOR, error) from error
    except Exception as error:
        raise ModelFileError(
            f"{path}: cannot be read: {type(error).__name__}: {error}; {_differences(written_by)}"
        ) from error
    if not isinstance(estimator, AgeEstimator):
        raise ModelFileError(f"{path}: holds a {type(estimator).__name__}, not an AgeEstimator")
    boosters = contents.keys() - {_ESTIMATOR}
    expected = _BOOSTERS.get(type(getattr(estimator, "regressor_", None)))
    if boosters != ({expected} if expected else set()):
        found = ", ".join(sorted(boosters)) or "nothing"
        raise ModelFileError(f"{path}: holds {found} where {expected or 'nothing'} belongs")
    if expected:
        _load_booster(estimator.regressor_, expected, contents[expected], path)
    _check_trial_ages(estimator, manifest, path)
    return estimator


def load_pickle(path: str | os.PathLike[str], *, trusted: bool = False) -> AgeEstimator:
    """Load an estimator that was pickled, by ``pickle`` or joblib.

    Unpickling a file runs whatever its maker put into it, with all that you may do on this machine,
    before anything of it can be checked. Open only files that you wrote, and that nobody else could
    change since. :func:`load` has no such danger.

    Parameters
    ----------
    path : path
    trusted : bool, default=False
        True says that you trust the file with everything.

    Returns
    -------
    AgeEstimator

    Raises
    ------
    ModelFileError
        If you do not say that you trust it; nothing of the file is read then. Or if it holds
        something else.

    Examples
    --------
    >>> import os, tempfile
    >>> import ageboost, joblib
    >>> from ageboost.models import load_pickle
    >>> model = ageboost.load_pretrained("fast")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "mine.joblib")
    ...     _ = joblib.dump(model, path)
    ...     load_pickle(path, trusted=True).n_photos_ == model.n_photos_
    True
    """
    path = Path(path)
    if trusted is not True:
        raise ModelFileError(
            f"{path}: unpickling runs whatever the file's maker wants: pass trusted=True if you "
            f"wrote it yourself, or save models with model.save(path)"
        )
    try:
        estimator = joblib.load(path)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ModelFileError(
            f"{path}: cannot be unpickled: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(estimator, AgeEstimator):
        raise ModelFileError(f"{path}: holds a {type(estimator).__name__}, not an AgeEstimator")
    return estimator


def load_pretrained(
    name: str = "accurate", camera: Literal["new", "known"] = "new"
) -> AgeEstimator:
    """Load a model that ships with ageboost.

    Parameters
    ----------
    name : {"accurate", "fast", "classical", "open"}, default="accurate"
        ``"accurate"`` looks at features of all kinds and asks four networks, ``"fast"`` asks one
        small network, ``"classical"`` none. These were trained on UTKFace, whose terms allow
        non-commercial research only. ``"open"`` takes two networks as they come, and a business may
        use it; it learnt from few photos, all of adults. ``model.terms`` says it at length. A card
        stands beside each, such as ``accurate.md``.
    camera : {"new", "known"}, default="new"
        What ranges and probabilities promise. ``"new"`` is for a camera that the model never met,
        from errors on sources that were left out (:class:`NewCameraCalibrator`); ``"known"`` is for
        photos like those it learnt from, which are rarely one's own.

    Returns
    -------
    AgeEstimator
        With ``on_error="nan"``: photos that give no age get NaN.

    Raises
    ------
    ValueError
        If there is none of that name, or it makes no such promise.

    Examples
    --------
    >>> import ageboost
    >>> model = ageboost.load_pretrained()
    >>> model.n_photos_ > 18_000
    True
    """
    if camera not in ("new", "known"):
        raise ValueError(f"camera={camera!r}: pass 'new' or 'known'")
    names = pretrained_names()
    if name not in names:
        raise ValueError(f"no pretrained model {name!r}: there is {', '.join(names) or 'none'}")
    model = load(pretrained_path(name)).set_params(on_error="nan")
    if "photo_terms_" not in vars(model.age_regressor_):
        # It was written by an earlier release, which learnt from UTKFace only.
        model.photo_terms_ = list(photo_terms("utkface"))
    beside = elsewhere_path(pretrained_path(name))
    if beside.is_file():
        read_elsewhere(model.age_regressor_, beside)
    if camera == "known":
        if not isinstance(model.calibration_, NewCameraCalibrator):
            raise ValueError(f"the model {name!r} knows no camera: its ranges are for new ones")
        model.calibration_ = model.calibration_.known_
    return model


def pretrained_names() -> list[str]:
    """List the models that ship.

    Returns
    -------
    list of str
    """
    entries = files("ageboost.models.pretrained").iterdir()
    return sorted(
        entry.name.removesuffix(".ageboost")
        for entry in entries
        if entry.name.endswith(".ageboost")
    )


def pretrained_path(name: str) -> Path:
    """Tell where the file of a model that ships is.

    Parameters
    ----------
    name : str

    Returns
    -------
    Path
    """
    return Path(str(files("ageboost.models.pretrained") / f"{name}.ageboost"))


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


def _booster_bytes(regressor: BaseEstimator, file_name: str) -> bytes:
    if isinstance(regressor, XGBRegressor):
        return bytes(regressor.get_booster().save_raw("ubj"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file_name
        regressor.save_model(str(path))
        return path.read_bytes()


def _load_booster(regressor: BaseEstimator, file_name: str, content: bytes, path: Path) -> None:
    try:
        if isinstance(regressor, XGBRegressor):
            check_xgboost(content)
            regressor.load_model(bytearray(content))
            load_between_values(regressor.get_booster(), content)
        else:
            check_catboost(content)
            # From memory, CatBoost takes trees that cannot be changed.
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / file_name
                file.write_bytes(content)
                regressor.load_model(str(file))
            round_leaves(regressor)
    except ModelFileError as error:
        raise _damaged_trees(path, file_name, error) from error
    except Exception as error:
        raise ModelFileError(f"{path}: {file_name} cannot be read: {error}") from error


def _with_checked_trees(content: bytes, trusted: Sequence[str]) -> bytes:
    """Name the types that check trees in the place of those that do not."""

    def rename(node: dict) -> dict:
        name = f"{node.get('__module__')}.{node.get('__class__')}"
        kind = None if name in trusted else _CHECKED.get(name)
        if kind is None:
            return node
        return node | {"__module__": kind.__module__, "__class__": kind.__name__}

    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        zipfile.ZipFile(buffer, "w") as renamed,
    ):
        for name in dict.fromkeys(archive.namelist()):
            if name != _SCHEMA:
                renamed.writestr(name, archive.read(name))
        schema = json.loads(archive.read(_SCHEMA), object_hook=rename)
        renamed.writestr(_SCHEMA, json.dumps(schema))
    return buffer.getvalue()


def _damaged_trees(path: Path, file_name: str, error: ModelFileError) -> ModelFileError:
    return ModelFileError(
        f"{path}: {file_name} cannot be read: its trees are damaged or forged: {error}; get the "
        f"file again from whom you trust, or train the model again"
    )


def _trial_ages(estimator: AgeEstimator, n_features: int) -> npt.NDArray[np.float64]:
    """Ages for rows that are no faces, which show whether a model still answers as it did."""
    rows = np.stack([np.zeros(n_features), np.linspace(-1, 1, n_features)])
    return estimator.age_regressor_.predict(rows.astype(np.float32))


def _check_trial_ages(estimator: AgeEstimator, manifest: Mapping, path: Path) -> None:
    """Refuse a model whose parts do not fit together, or that is read in another way than meant.

    An older or newer library can read a booster without a word, and give other ages.
    """
    versions = manifest["versions"]
    try:
        n_features = len(manifest["feature_names"])
        if not hasattr(estimator.age_regressor_, "n_features_in_"):
            # It was written by an earlier release.
            estimator.age_regressor_.n_features_in_ = n_features
        with np.errstate(all="ignore"):
            found = _trial_ages(estimator, n_features)
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


def _read_contents(path: Path) -> tuple[dict[str, bytes], dict]:
    """Read every file that the manifest names, and check that nothing is other than it says."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_BYTES:
                raise ModelFileError(f"{path}: unpacks to more than {_LARGEST_BYTES:,} bytes")
            if _MANIFEST not in sizes:
                raise ModelFileError(f"{path}: not an ageboost model: it has no {_MANIFEST}")
            if sizes[_MANIFEST] > _LARGEST_MANIFEST:
                raise ModelFileError(
                    f"{path}: its {_MANIFEST} is larger than {_LARGEST_MANIFEST:,} bytes"
                )
            manifest = json.loads(archive.read(_MANIFEST))
            _check_manifest(manifest, path)
            listed = manifest["files"]
            if sorted(names) != sorted([_MANIFEST, *listed]) or _ESTIMATOR not in listed:
                raise ModelFileError(f"{path}: its files are not those that its manifest names")
            contents = {}
            for name, facts in listed.items():
                if sizes[name] != facts["bytes"]:
                    raise ModelFileError(f"{path}: {name} is damaged: its size differs")
                contents[name] = content = archive.read(name)
                if hashlib.sha256(content).hexdigest() != facts["sha256"]:
                    raise ModelFileError(f"{path}: {name} is damaged: its checksum differs")
            return contents, manifest | {"versions": dict(manifest.get("versions", {}))}
    except ModelFileError:
        raise
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error) as error:
        raise ModelFileError(f"{path}: not an ageboost model, or damaged: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ModelFileError(f"{path}: its {_MANIFEST} is damaged: {error}") from error


def _check_manifest(manifest: dict, path: Path) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise ModelFileError(f"{path}: not an ageboost model")
    found = manifest.get("format_version")
    if found in _READABLE_VERSIONS:
        return
    writer = manifest.get("versions", {}).get("ageboost")
    if isinstance(found, int) and found > _FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: is of format {found}, which is newer than this version of ageboost reads "
            f"({_FORMAT_VERSION}): install ageboost {writer}, which wrote it, or a later one"
        )
    raise ModelFileError(
        f"{path}: is of format {found}, which this version of ageboost no longer reads: "
        f"train the model again, or load it with ageboost {writer}, which wrote it"
    )


def _check_sizes(content: bytes, path: Path) -> None:
    """Refuse an estimator whose own archive would not fit in memory."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            n_bytes = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, struct.error) as error:
        raise ModelFileError(f"{path}: {_ESTIMATOR} cannot be read: {error}") from error
    if n_bytes > _LARGEST_BYTES:
        raise ModelFileError(f"{path}: {_ESTIMATOR} unpacks to more than {_LARGEST_BYTES:,} bytes")


def _differences(written_by: Mapping[str, str]) -> str:
    """Tell which libraries are of other versions than when the file was written."""
    others = [
        f"{package} {then} (here {version(package)})"
        for package, then in written_by.items()
        if package in _PACKAGES and then != version(package)
    ]
    return f"it was written with {', '.join(others)}" if others else "its versions are those here"
