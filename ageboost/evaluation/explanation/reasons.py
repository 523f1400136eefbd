"""Why a model says an age: for one photo, and over many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils.validation import check_is_fitted, validate_data

from ageboost._notebook import show_table
from ageboost.errors import PhotoError, PhotosError
from ageboost.evaluation.explanation.contributions import feature_contributions
from ageboost.evaluation.explanation.drawing import draw_explanation, draw_importance
from ageboost.evaluation.explanation.places import frame_of, place_years
from ageboost.evaluation.explanation.regions import REGIONS, Frame, label_regions
from ageboost.faces import Face
from ageboost.faces._boxes import check_boxes
from ageboost.models import AgeEstimator
from ageboost.photos import check_photos

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explanation", "FeatureImportance", "explain", "feature_importance"]

# What columns that look at the whole face are summed as, where there is no face to cover.
_WHOLE_FACE = "whole face"
_FACES_AT_ONCE = 32


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """What each part of a face gives to its predicted age, in years.

    The base value and any one of ``contributions``, ``regions``, ``groups`` and ``heatmap`` add up
    to the prediction. It holds a picture of the face: treat it as personal data.

    Attributes
    ----------
    prediction : float
        Years, before ages under 0 are set to 0.
    base_value : float
        Years that the model says when it knows nothing of the face.
    regions : Series
        Years, by part of the face: ``"forehead"``, ``"eyes"`` (with brows), ``"nose"``,
        ``"mouth"``, ``"cheeks"``, ``"contour"`` (jaw and chin), ``"surroundings"``.
    groups : Series
        Years, by transformer of ``model.features_``.
    contributions : Series
        Years, by column of the features.
    heatmap : ndarray of shape (side, side)
        Years of each pixel of the chip.
    chip : ndarray of shape (side, side, 3), uint8
        The aligned face, RGB.
    region_labels : ndarray of shape (side, side), uint8
        Position in ``regions`` of the region of each pixel.
    """

    prediction: float
    base_value: float
    regions: pd.Series
    groups: pd.Series
    contributions: pd.Series = field(repr=False)
    heatmap: npt.NDArray[np.float64] = field(repr=False)
    chip: npt.NDArray[np.uint8] = field(repr=False)
    region_labels: npt.NDArray[np.uint8] = field(repr=False)

    def __repr__(self) -> str:
        return (
            f"<Explanation: {self.prediction:.1f} years; on average {self.base_value:.1f}; "
            f"{_largest(self.regions)}>"
        )

    def _repr_html_(self) -> str:
        text = (
            f"Explanation\nthis face: {self.prediction:.1f} years; "
            f"on average: {self.base_value:.1f} years"
        )
        groups = show_table("by feature", self.groups.to_frame())
        return show_table(text, self.regions.to_frame()) + groups

    def draw(self) -> Figure:
        """Draw the face beside the map of years and the table of regions.

        Returns
        -------
        matplotlib.figure.Figure
            ``figure.savefig("reasons.png")`` writes it.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return draw_explanation(
            self.prediction,
            self.base_value,
            self.regions,
            self.heatmap,
            self.chip,
            self.region_labels,
        )


@dataclass(frozen=True, eq=False, repr=False)
class FeatureImportance:
    """How many years features, and parts of the face, move ages by on average.

    Each number is a mean over photos of absolute years. Years of either sign cancel within a
    region or group before that, so regions and groups do not sum to the same.

    Attributes
    ----------
    n_photos : int
    regions : Series
        Years, by part of the face, as in :class:`Explanation`. From a matrix, ``"whole face"``
        stands for columns that look at all of it.
    groups : Series
        Years, by transformer of ``model.features_``.
    contributions : Series
        Years, by column of the features.
    heatmap : ndarray of shape (side, side)
        Years of each pixel of the chip.
    chip : ndarray of shape (side, side, 3), uint8, or None
        The mean of the aligned faces, RGB; None from a matrix.
    region_labels : ndarray of shape (side, side), uint8
        Position in ``regions`` of the region of each pixel of the mean shape.
    left_out : list of (int, PhotoError)
        Position and fault of each photo that gives no face.
    """

    n_photos: int
    regions: pd.Series
    groups: pd.Series
    contributions: pd.Series = field(repr=False)
    heatmap: npt.NDArray[np.float64] = field(repr=False)
    chip: npt.NDArray[np.uint8] | None = field(repr=False)
    region_labels: npt.NDArray[np.uint8] = field(repr=False)
    left_out: list[tuple[int, PhotoError]] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<FeatureImportance over {self.n_photos:,} photos: {_largest(self.regions, '')}>"

    def _repr_html_(self) -> str:
        text = f"FeatureImportance\nyears by which ages are moved, mean of {self.n_photos:,} photos"
        groups = show_table("by feature", self.groups.to_frame())
        return show_table(text, self.regions.to_frame()) + groups

    def draw(self) -> Figure:
        """Draw the map on the mean face, beside regions and groups of features.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return draw_importance(
            self.n_photos, self.regions, self.groups, self.heatmap, self.chip, self.region_labels
        )


def _largest(years: pd.Series, sign: str = "+") -> str:
    order = years.abs().sort_values(ascending=False).index[:3]
    return ", ".join(f"{name} {years[name]:{sign}.1f}" for name in order)


def explain(
    model: AgeEstimator, photo: object, boxes: object = None, cropped: bool = False
) -> Explanation:
    """Explain how many years each part of a face adds to or subtracts from its predicted age.

    Contributions of trees are exact Shapley values. What stands before the trees passes them on:
    linear stages and components exactly, kernels by integrated gradients from the mean face, each
    so that the sum is kept. Columns that look at a cell of the chip or at a landmark are laid out
    there; columns that look at the whole face, such as a network's own answer, by covering: one of
    25 parts of the chip at a time is blurred, and what such a column gives is shared among parts by
    how much that moves the column.

    A contribution says what the model made of the face, not what makes the person look their age.

    Parameters
    ----------
    model : AgeEstimator
        Fitted, with a regressor of XGBoost, CatBoost, a linear model, the blend or a pipeline of
        these, behind ``"kernel"``, ``"pca"`` or nothing.
    photo : path, bytes, binary file, PIL image or array
        Its main face is explained.
    boxes : array-like of shape (4,) or (n_faces, 4), optional
        Faces found by another detector: left, top, right, bottom in pixels of the upright photo.
    cropped : bool, default=False
        Whether the photo is a face that another detector has cut out.

    Returns
    -------
    Explanation

    Raises
    ------
    PhotoError
        If the photo cannot be read or shows no face.
    ValueError
        If the model has a stage that cannot be taken apart; it names those that can.

    References
    ----------
    S. Lundberg et al., "From Local Explanations to Global Understanding with Explainable AI for
    Trees", Nature Machine Intelligence 2020.
    M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
    M. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014.

    Examples
    --------
    >>> import ageboost
    >>> from ageboost.evaluation import explain
    >>> from skimage.data import astronaut
    >>> model = ageboost.load_pretrained("fast")
    >>> reasons = explain(model, astronaut())
    >>> reasons.regions.index.tolist()
    ['forehead', 'eyes', 'nose', 'mouth', 'cheeks', 'contour', 'surroundings']
    >>> [age] = model.predict([astronaut()])
    >>> bool(abs(reasons.base_value + reasons.regions.sum() - age) < 0.05)
    True
    """
    check_is_fitted(model, "age_regressor_")
    features = model.features_now()
    face = features.get_finder().find(photo, boxes=boxes, cropped=cropped)[0]
    contributions, [base_value] = feature_contributions(
        model.age_regressor_, features.transform_faces([face])
    )
    frame = frame_of(features)
    heatmap, regions, _ = place_years(features, contributions[0], face, frame)
    names = features.get_feature_names_out()
    return Explanation(
        prediction=float(base_value + contributions[0].sum()),
        base_value=float(base_value),
        regions=pd.Series(regions, REGIONS, name="years"),
        groups=pd.Series(_by_group(contributions, names)[0], _groups_of(names), name="years"),
        contributions=pd.Series(contributions[0], names, name="years"),
        heatmap=heatmap,
        chip=face.chip(*frame),
        region_labels=label_regions(frame.shape_of(face), frame.size),
    )


def feature_importance(
    model: AgeEstimator,
    photos: Iterable[object] | None = None,
    matrix: npt.ArrayLike | None = None,
    boxes: Iterable[object] | None = None,
    cropped: bool = False,
) -> FeatureImportance:
    """Measure what a model looks at: how many years its features move ages by, on average.

    Parameters
    ----------
    model : AgeEstimator
        As for :func:`explain`.
    photos : sequence of length n_photos, optional
        Paths, bytes, open binary files, PIL images or arrays: a few hundred photos like those that
        the model is for.
    matrix : array-like of shape (n_photos, n_features), optional
        In place of photos, features that are there already, as ``model.features_.transform`` gives
        them. Much faster, but columns that look at the whole face have no place then.
    boxes : sequence of length n_photos, optional
        As for ``model.predict``.
    cropped : bool, default=False
        As for ``model.predict``.

    Returns
    -------
    FeatureImportance

    Raises
    ------
    PhotosError
        If photos give no face and the model has ``on_error="raise"``, or if none does.
    ValueError
        If there are neither photos nor a matrix, or both, or the model has a stage that cannot be
        taken apart.

    Examples
    --------
    >>> import ageboost
    >>> from ageboost.evaluation import feature_importance
    >>> from skimage.data import astronaut
    >>> model = ageboost.load_pretrained("classical")
    >>> feature_importance(model, [astronaut()]).groups.index.tolist()
    ['hog', 'lbp', 'geometry']
    """
    check_is_fitted(model, "age_regressor_")
    if (photos is None) == (matrix is None):
        raise ValueError("pass either photos or a matrix")
    names = model.features_.get_feature_names_out()
    failures: list[tuple[int, PhotoError]] = []
    batches: Iterable[tuple[npt.NDArray[np.float32], Sequence[Face | None]]]
    if photos is not None:
        listed = check_photos(photos)
        if not listed:
            raise ValueError("there are no photos: pass at least one")
        batches = _face_batches(model, listed, boxes, cropped, failures)
    elif matrix is not None:
        batches = _row_batches(
            validate_data(
                model.age_regressor_, matrix, dtype=np.float32, reset=False, ensure_min_samples=0
            )
        )
    features = model.features_now()
    frame = frame_of(features)
    sums = _Sums(frame, len(names), len(_groups_of(names)))
    for measured, faces in batches:
        contributions, _ = feature_contributions(model.age_regressor_, measured)
        sums.columns += np.abs(contributions).sum(axis=0)
        sums.groups += np.abs(_by_group(contributions, names)).sum(axis=0)
        for row, face in zip(contributions, faces, strict=True):
            sums.add(*place_years(features, row, face, frame), face)
    return sums.means(names, failures)


class _Sums:
    """Absolute years so far, and the pixels of chips."""

    def __init__(self, frame: Frame, n_columns: int, n_groups: int):
        self.frame = frame
        self.n_photos = 0
        self.columns, self.groups = np.zeros(n_columns), np.zeros(n_groups)
        self.regions = np.zeros(len(REGIONS) + 1)
        self.heatmap = np.zeros((frame.size, frame.size))
        self.chips: npt.NDArray[np.float64] | None = None

    def add(self, heatmap, regions, elsewhere, face: Face | None) -> None:
        self.n_photos += 1
        self.heatmap += np.abs(heatmap)
        self.regions += np.abs([*regions, elsewhere])
        if face is not None:
            chip = face.chip(*self.frame).astype(np.float64)
            self.chips = chip if self.chips is None else self.chips + chip

    def means(self, names, failures: list[tuple[int, PhotoError]]) -> FeatureImportance:
        regions = pd.Series(self.regions / self.n_photos, [*REGIONS, _WHOLE_FACE], name="years")
        chip = None if self.chips is None else np.rint(self.chips / self.n_photos).astype(np.uint8)
        return FeatureImportance(
            n_photos=self.n_photos,
            regions=regions if regions[_WHOLE_FACE] else regions.drop(_WHOLE_FACE),
            groups=pd.Series(self.groups / self.n_photos, _groups_of(names), name="years"),
            contributions=pd.Series(self.columns / self.n_photos, names, name="years"),
            heatmap=self.heatmap / self.n_photos,
            chip=chip,
            region_labels=label_regions(self.frame.shape_of(None), self.frame.size),
            left_out=failures,
        )


def _face_batches(
    model: AgeEstimator,
    photos: list[object],
    boxes: Iterable[object] | None,
    cropped: bool,
    failures: list[tuple[int, PhotoError]],
) -> Iterator[tuple[npt.NDArray[np.float32], list[Face]]]:
    """Find and measure the main faces; photos without one go to the failures."""
    faces: list[Face] = []
    n_found = 0
    features = model.features_now()
    listed = check_boxes(boxes, len(photos))
    for position, (photo, given) in enumerate(zip(photos, listed, strict=True)):
        try:
            faces.append(features.get_finder().find(photo, boxes=given, cropped=cropped)[0])
        except PhotoError as error:
            failures.append((position, error))
        if len(faces) == _FACES_AT_ONCE:
            yield features.transform_faces(faces), faces
            n_found, faces = n_found + len(faces), []
    if failures and (model.on_error == "raise" or not n_found + len(faces)):
        raise PhotosError(failures, len(photos))
    if faces:
        yield features.transform_faces(faces), faces


def _row_batches(
    rows: npt.NDArray[np.float32],
) -> Iterator[tuple[npt.NDArray[np.float32], Sequence[None]]]:
    if len(rows) == 0:
        raise ValueError("the matrix has no rows: pass at least one")
    for start in range(0, len(rows), _FACES_AT_ONCE):
        batch = rows[start : start + _FACES_AT_ONCE]
        yield batch, [None] * len(batch)


def _groups_of(names: npt.NDArray[np.object_]) -> list[str]:
    return list(dict.fromkeys(name.partition("__")[0] for name in names))


def _by_group(
    contributions: npt.NDArray[np.float64], names: npt.NDArray[np.object_]
) -> npt.NDArray[np.float64]:
    owners = [name.partition("__")[0] for name in names]
    return np.stack(
        [
            contributions[:, [owner == group for owner in owners]].sum(axis=1)
            for group in _groups_of(names)
        ],
        axis=1,
    )
