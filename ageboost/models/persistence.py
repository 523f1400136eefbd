"""Save and load models, and those that ship: see :mod:`ageboost.models._model_file`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal

import joblib

from ageboost.errors import ModelFileError
from ageboost.faces import FaceFinder
from ageboost.models._earlier_files import earlier_modules
from ageboost.models._elsewhere import elsewhere_path, read_elsewhere
from ageboost.models._model_file import read_model, write_model
from ageboost.models.estimator import AgeEstimator
from ageboost.models.new_camera import NewCameraCalibrator
from ageboost.terms import photo_terms

__all__ = [
    "load",
    "load_pickle",
    "load_pretrained",
    "load_trained",
    "pretrained_names",
    "pretrained_path",
    "save",
]


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
    write_model(estimator, Path(path))


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
    return read_model(Path(path), AgeEstimator, trusted)


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
        with earlier_modules():
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
        ``"accurate"`` looks at features of all kinds and asks three networks, ``"fast"`` asks one
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
        raise ValueError(
            f"no pretrained model {name!r}: available models: {', '.join(names) or 'none'}"
        )
    model = load_trained(pretrained_path(name))
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


def load_trained(path: Path) -> AgeEstimator:
    """Load the large file of a model that ships, without what other sources say of it.

    Parameters
    ----------
    path : Path

    Returns
    -------
    AgeEstimator
    """
    model = load(path).set_params(on_error="nan")
    # They learnt from faces that dlib's detector had found. Those that today's finds get the same
    # ages but for chance (`benchmarks/detector_ages.py`), and it finds more.
    model.features_.set_params(finder__detector=FaceFinder().detector)
    if "photo_terms_" not in vars(model.age_regressor_):
        # It was written by an earlier release, which learnt from UTKFace only.
        model.photo_terms_ = list(photo_terms("utkface"))
    return model


def pretrained_path(name: str) -> Path:
    """Return where the file of a model that ships is.

    Parameters
    ----------
    name : str

    Returns
    -------
    Path
    """
    return Path(str(files("ageboost.models.pretrained") / f"{name}.ageboost"))
