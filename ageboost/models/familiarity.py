"""Whether photos look like those that a model knows, and what differs if not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import kstwobign
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ageboost._notebook import show_table
from ageboost.faces.face import Quality

__all__ = ["SIGNS", "Familiarity", "Looks"]

# What can be seen of a photo without knowing whose face it is, and what less and more of it is
# called. Ages come last: other people are no other camera.
SIGNS = {
    "size": ("smaller faces", "larger faces"),
    "sharpness": ("more blurred", "sharper"),
    "brightness": ("darker", "brighter"),
    "contrast": ("flatter", "harder in contrast"),
    "chroma": ("greyer", "more colourful"),
    "turn": ("faces less turned to a side", "faces more turned to a side"),
    "tilt": ("heads less tilted", "heads more tilted"),
    "texture": ("of a more usual texture", "of another texture"),
    "age": ("younger people", "older people"),
}
_AGE = "age"
_N_KEPT = 101
# Together, all signs of a batch from known cameras are taken for foreign so often, by chance.
_ERROR = 0.01
_WAY_OUT = (
    "Adapt the model to them, with 25 photos of known ages or more: model.adapt(photos, ages)."
)
# A difference that is certain and smaller than this matters to nobody.
_LEAST_DISTANCE = 0.15


class Looks(BaseEstimator):
    """What the photos looked like that a model knows, in numbers that identify nobody.

    Keeps a hundred and one quantiles of each sign over all photos: sizes of faces, sharpness,
    brightness, contrast, colour, turn and tilt of heads, texture where the model has a
    :class:`SecondOpinion`, and ages. Nothing of a single photo is kept.

    Attributes
    ----------
    signs_ : list of str
        Those of ``SIGNS`` that are known.
    quantiles_ : ndarray of shape (n_signs, 101), float32
    unusual_ : ndarray of shape (101,), float32
        Quantiles over the photos of how far out each is in its most unusual sign.
    n_photos_ : int

    References
    ----------
    F. J. Massey, "The Kolmogorov-Smirnov Test for Goodness of Fit", Journal of the American
    Statistical Association 1951.

    Examples
    --------
    >>> import numpy as np
    >>> from ageboost.faces import Quality
    >>> from ageboost.models import Looks
    >>> rng = np.random.default_rng(0)
    >>> seen = [Quality(size, 12, 0, 1, brightness=120) for size in rng.uniform(80, 120, 500)]
    >>> looks = Looks().fit(seen)
    >>> looks.compare(seen[:100]).foreign
    False
    >>> print(looks.compare([one._replace(brightness=40) for one in seen[:100]]).sentence)
    These photos look foreign: darker (brightness 40, where 120 is known).
    """

    def fit(
        self,
        qualities: Sequence[Quality],
        ages: npt.ArrayLike | None = None,
        texture: npt.ArrayLike | None = None,
    ) -> Looks:
        """Remember what photos look like.

        Parameters
        ----------
        qualities : sequence of Quality of length n_photos
        ages : array-like of shape (n_photos,), optional
            Predicted ages in years.
        texture : array-like of shape (n_photos,), optional
            Logarithm of the odds that the photo is foreign, of a :class:`SecondOpinion`.

        Returns
        -------
        self
        """
        signs = _signs(qualities, ages, texture)
        shares = np.linspace(0, 1, _N_KEPT)
        self.signs_ = [name for name, values in signs.items() if not np.isnan(values).all()]
        kept = [np.nanquantile(signs[name], shares) for name in self.signs_]
        self.quantiles_ = np.array(kept, dtype=np.float32)
        self.n_photos_ = len(qualities)
        self.unusual_ = np.quantile(self._how_unusual(signs), shares).astype(np.float32)
        return self

    def compare(
        self,
        qualities: Sequence[Quality],
        ages: npt.ArrayLike | None = None,
        texture: npt.ArrayLike | None = None,
    ) -> Familiarity:
        """Compare photos with those that were remembered.

        Parameters
        ----------
        qualities : sequence of Quality of length n_photos
        ages : array-like of shape (n_photos,), optional
        texture : array-like of shape (n_photos,), optional

        Returns
        -------
        Familiarity
        """
        check_is_fitted(self)
        signs = _signs(qualities, ages, texture)
        rows = []
        for name, kept in zip(self.signs_, self.quantiles_, strict=True):
            here = np.sort(signs[name][~np.isnan(signs[name])])
            if len(here):
                rows.append((name, *self._test(name, here, kept)))
        columns = ["sign", "here", "known", "distance", "p_value", "differs", "what"]
        differences = pd.DataFrame(rows, columns=columns)
        differs = differences["differs"].astype(bool) & (differences["sign"] != _AGE)
        return Familiarity(bool(differs.any()), differences, self.scores(qualities, texture))

    def scores(
        self, qualities: Sequence[Quality], texture: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float64]:
        """Compute for each photo how many of those known were at least as unusual.

        Parameters
        ----------
        qualities : sequence of Quality of length n_photos
        texture : array-like of shape (n_photos,), optional

        Returns
        -------
        ndarray of shape (n_photos,)
            From 0 to 1; 0 for a photo unlike all that are known.
        """
        check_is_fitted(self)
        unusual = self._how_unusual(_signs(qualities, None, texture))
        return 1 - np.searchsorted(self.unusual_, unusual, side="left") / _N_KEPT

    def _how_unusual(self, signs: dict[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """How far out each photo is in its most unusual sign: 0 in the middle, 1 at an end."""
        places = []
        for name, kept in zip(self.signs_, self.quantiles_, strict=True):
            if name != _AGE:
                here = signs[name]
                below = np.searchsorted(kept, here, side="left")
                upto = np.searchsorted(kept, here, side="right")
                # In single precision both ends of what is known are inside.
                out = np.abs(below + upto - _N_KEPT) / _N_KEPT
                places.append(np.where(np.isnan(here), 0, out))
        return np.max(places, axis=0).astype(np.float32)

    def _test(
        self, name: str, here: npt.NDArray[np.float32], kept: npt.NDArray[np.float32]
    ) -> tuple[float, float, float, float, bool, str]:
        points = np.concatenate([here, kept])
        apart = np.searchsorted(here, points, side="right") / len(here)
        apart = apart - np.searchsorted(kept, points, side="right") / len(kept)
        # A hundredth is what the quantiles do not resolve.
        distance = max(float(np.abs(apart).max()) - 1 / _N_KEPT, 0.0)
        n_effective = len(here) * self.n_photos_ / (len(here) + self.n_photos_)
        p_value = float(kstwobign.sf(distance * np.sqrt(n_effective)))
        differs = distance >= _LEAST_DISTANCE and p_value <= _ERROR / len(self.signs_)
        median, known = float(np.median(here)), float(np.median(kept))
        # More of it are above, where the curve of those here lies below.
        more = apart[np.abs(apart).argmax()] < 0
        return median, known, distance, p_value, differs, SIGNS[name][int(more)]


@dataclass(frozen=True, repr=False)
class Familiarity:
    """How a batch of photos compares with those that a model knows.

    Attributes
    ----------
    foreign : bool
        Whether they look as if they came from a camera that the model does not know. Other ages
        alone do not make a camera foreign.
    differences : DataFrame
        One row for each sign: ``sign``, ``here`` and ``known`` (medians), ``distance`` (largest
        difference between the two distributions, from 0 to 1), ``p_value`` (of the
        Kolmogorov-Smirnov test), ``differs`` and ``what`` (in words).
    sentence : str
        Whether they look foreign, and in what. Printed, it has the way out behind it.
    scores : ndarray of shape (n_photos,)
        For each photo the share of known ones that look at least as unusual; NaN without a face.
    """

    foreign: bool
    differences: pd.DataFrame
    scores: npt.NDArray[np.float64] = field(compare=False)

    @property
    def sentence(self) -> str:
        """Whether they look foreign, and in what."""
        found = self.differences[self.differences["differs"].astype(bool)]
        found = found.sort_values("distance", ascending=False)
        parts = ", ".join(
            f"{row.what} ({row.sign} {row.here:.0f}, where {row.known:.0f} is known)"
            if row.sign != "texture"
            else row.what
            for row in found.itertuples()
        )
        if self.foreign:
            return f"These photos look foreign: {parts}."
        if parts:
            return f"These photos look like those that the model knows, with {parts}."
        return "These photos look like those that the model knows."

    def __str__(self) -> str:
        return f"{self.sentence} {_WAY_OUT}" if self.foreign else self.sentence

    def __repr__(self) -> str:
        return f"<Familiarity of {len(self.scores):,} photos: {self}>"

    def _repr_html_(self) -> str:
        return show_table(str(self), self.differences)


def _signs(
    qualities: Sequence[Quality],
    ages: npt.ArrayLike | None,
    texture: npt.ArrayLike | None,
) -> dict[str, npt.NDArray[np.float32]]:
    parts = np.array(qualities, dtype=np.float32).reshape(-1, len(Quality._fields)).T
    seen = dict(zip(Quality._fields, parts, strict=True))
    seen["turn"], seen["tilt"] = np.abs(seen["yaw"]), np.abs(seen["roll"])
    unknown = np.full(len(qualities), np.nan, np.float32)
    for name, values in (("texture", texture), (_AGE, ages)):
        # Single precision: what was kept and what is compared with it are rounded alike.
        seen[name] = unknown if values is None else np.asarray(values, dtype=np.float32)
    return {name: seen[name] for name in SIGNS}
