"""What a fitted model estimates of photos: ages, ranges, probabilities and the table of faces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from ageboost.errors import PhotoError, PhotosError
from ageboost.models._batch_answers import AgesAndScales, FacesTable, MainAges
from ageboost.models._checks import check_ages
from ageboost.models._extracting import ExtractingFeatures
from ageboost.models._face_table import faces_table
from ageboost.models._model_file import read_model, write_model
from ageboost.models.age_regressor import AgeRegressor
from ageboost.models.calibration import calibration_of
from ageboost.models.distribution import AgeDistribution
from ageboost.models.familiarity import Familiarity
from ageboost.models.looks_so_far import LooksSoFar
from ageboost.photos import check_photos

__all__ = ["PhotoMethods"]


class PhotoMethods(ExtractingFeatures):
    """The methods of :class:`AgeEstimator` that estimate, and change nothing."""

    # Of the estimator.
    age_regressor_: AgeRegressor
    check_settings: Callable[[], None]

    def predict(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Estimate the age of the main person in each photo.

        That is the one with the largest face, where faces of which the detector is unsure count for
        less: see :meth:`ageboost.faces.FaceFinder.find`.

        Parameters
        ----------
        photos : iterable of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_photos,)
            Years.

        Raises
        ------
        PhotosError
            If photos give no age and ``on_error="raise"``; ``failures`` has all of them.
        """
        self.check_fitted()
        return self._per_photo(MainAges(self.age_regressor_), photos, boxes, cropped)[:, 0]

    def predict_interval(
        self,
        photos: Iterable[object],
        coverage: float = 0.9,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Estimate between which ages the main person in each photo is.

        Parameters
        ----------
        photos : iterable of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        coverage : float, default=0.9
            Share of true ages that should lie inside.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_photos, 2)
            Lowest and highest age in years.

        Raises
        ------
        PhotosError
            If photos give no age and ``on_error="raise"``; ``failures`` has all of them.
        ValueError
            If the model was fitted without ``interval_folds``.
        """
        return self.predict_distribution(photos, boxes, cropped).interval(coverage)

    def predict_over(
        self,
        photos: Iterable[object],
        age: npt.ArrayLike,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Estimate how probable it is that the main person in each photo is of an age, or older.

        Parameters
        ----------
        photos : iterable of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        age : float or array-like of shape (n_ages,)
            Years, such as 18.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_photos,) or (n_photos, n_ages)
            Probabilities, which never rise with the age that is asked for.

        Raises
        ------
        PhotosError
            If photos give no age and ``on_error="raise"``; ``failures`` has all of them.
        ValueError
            If the model was fitted without ``interval_folds``.

        Examples
        --------
        >>> import ageboost
        >>> from skimage.data import astronaut
        >>> model = ageboost.load_pretrained()
        >>> model.predict_over([astronaut()], [12, 18, 60]).round(1).tolist()
        [[1.0, 1.0, 0.0]]
        """
        return self.predict_distribution(photos, boxes, cropped).over(age)

    def predict_quantiles(
        self,
        photos: Iterable[object],
        quantiles: npt.ArrayLike,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Estimate the ages that a share of people who look like this are younger than.

        Parameters
        ----------
        photos : iterable of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        quantiles : array-like of shape (n_quantiles,)
            Shares above 0 and below 1.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_photos, n_quantiles)
            Years.

        Raises
        ------
        PhotosError
            If photos give no age and ``on_error="raise"``; ``failures`` has all of them.
        ValueError
            If the model was fitted without ``interval_folds``.
        """
        return self.predict_distribution(photos, boxes, cropped).quantiles(quantiles)

    def predict_distribution(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> AgeDistribution:
        """Estimate the age of the main person in each photo, with how far it may be off.

        Ranges, quantiles and probabilities can be computed from it without looking at the photos
        again.

        Parameters
        ----------
        photos : iterable of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        AgeDistribution
            Of n_photos faces; NaN for photos without an age.

        Raises
        ------
        PhotosError
            If photos give no age and ``on_error="raise"``; ``failures`` has all of them.
        ValueError
            If the model was fitted without ``interval_folds``.
        """
        self.check_fitted()
        calibration = calibration_of(self.age_regressor_)
        found = self._per_photo(AgesAndScales(self.age_regressor_), photos, boxes, cropped)
        return calibration.distribution(found[:, 0], found[:, 1])

    def analyze(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        coverage: float = 0.9,
    ) -> pd.DataFrame:
        """Estimate the age of every face of every photo, in one table.

        Never raises for a photo: one that cannot be read or shows no face gets one row whose
        ``status`` says so.

        Parameters
        ----------
        photos : iterable of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`; several boxes for a photo give several rows.
        cropped : bool, default=False
            As for :meth:`fit`.
        coverage : float, default=0.9
            Share of true ages that should lie between ``age_low`` and ``age_high``.

        Returns
        -------
        DataFrame
            Missing values are ``NA``, so ``to_dict("records")`` and ``to_json`` give None and null.
            One row per face, in the order of the photos and in each photo the main face first.
            ``photo`` (name; bytes that are no text are escaped), ``face`` (0, 1, ...), ``left``,
            ``top``, ``width``, ``height`` (pixels of the upright photo), ``age``, ``age_low``,
            ``age_high`` (years), ``quality`` (0 to 1), ``reliable`` (False for a face that is seen
            so badly that ages of such faces are much further off than others, or that is turned,
            stretched, covered, too bright, in wrong colours or none), ``familiarity`` (the share of
            photos that the model knows which look at least as unusual: near 0 if it is foreign),
            ``status`` (``"ok"``, ``"no face"``, ``"unreadable"`` or ``"too large"``), ``message``
            (why there is no age, or why it is not reliable).
        """
        tables = [faces_table([]), *self.analyze_batches(photos, boxes, cropped, coverage)]
        return pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]

    def analyze_batches(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
        coverage: float = 0.9,
    ) -> Iterator[pd.DataFrame]:
        """Make the table of :meth:`analyze` batch by batch, to keep rows as they come.

        Parameters
        ----------
        photos : iterable of length n_photos
            As for :meth:`analyze`. They are taken as they are needed, a few batches ahead.
        boxes : sequence of length n_photos, optional
            As for :meth:`analyze`.
        cropped : bool, default=False
            As for :meth:`fit`.
        coverage : float, default=0.9
            As for :meth:`analyze`.

        Yields
        ------
        DataFrame
            The rows of the next photos, as many as ``features_.batch_size`` or, at the end, fewer.

        Examples
        --------
        >>> import ageboost
        >>> from skimage.data import astronaut
        >>> model = ageboost.load_pretrained("fast")
        >>> [len(table) for table in model.analyze_batches([astronaut()] * 40)]
        [32, 8]
        """
        self.check_fitted()
        answer = FacesTable(self.age_regressor_, coverage)
        yield from self.answer_batches(answer, photos, boxes, cropped, all_faces=True)

    def familiarity(
        self,
        photos: Iterable[object],
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> Familiarity:
        """Compare photos with those that the model knows, to see whether it knows their camera.

        Looks at the main face of each photo. Take some hundred photos as they come: of one photo
        alone, little can be said. A model that was adapted to a camera, or calibrated for it, knows
        that one.

        Parameters
        ----------
        photos : iterable of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        Familiarity
            Whether the camera is ``foreign``, what ``differences`` there are, and a score for each
            photo.

        Raises
        ------
        PhotosError
            If none of the photos shows a face.
        ValueError
            If the model does not know what its photos looked like, since it was fitted on features
            alone or by an earlier release.

        Examples
        --------
        >>> import ageboost
        >>> from skimage.data import astronaut
        >>> dark = (astronaut() * 0.3).astype("uint8")
        >>> print(ageboost.load_pretrained("fast").familiarity([dark] * 40))
        These photos look foreign: ...darker...
        """
        self.check_fitted()
        if self.age_regressor_.looks_ is None:
            raise ValueError(
                "this model does not know what its photos looked like: fit, calibrate or adapt it "
                "with photos"
            )
        so_far, owners, n_photos = LooksSoFar(self.age_regressor_), [], 0
        failures: list[tuple[int, PhotoError]] = []
        for batch in self.extract(photos, boxes, cropped):
            so_far.add(batch.matrix, batch.qualities)
            owners += batch.owners
            n_photos += batch.n_photos
            failures += batch.failures
        found = so_far.compare()
        if found is None:
            raise PhotosError(failures, n_photos)
        scores = np.full(n_photos, np.nan)
        scores[owners] = found.scores
        return replace(found, scores=scores)

    def score(
        self,
        photos: Iterable[object],
        ages: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        boxes: Iterable[object] | None = None,
        cropped: bool = False,
    ) -> float:
        """Compute the coefficient of determination, over the photos that give an age.

        Parameters
        ----------
        photos : iterable of length n_photos
            Paths, bytes, open binary files, PIL images or arrays.
        ages : array-like of shape (n_photos,)
            Years.
        sample_weight : array-like of shape (n_photos,), optional
        boxes : sequence of length n_photos, optional
            As for :meth:`fit`.
        cropped : bool, default=False
            As for :meth:`fit`.

        Returns
        -------
        float
        """
        photos = check_photos(photos)
        ages = check_ages(ages, photos)
        predicted = self.predict(photos, boxes, cropped)
        known = ~np.isnan(predicted)
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return r2_score(ages[known], predicted[known], sample_weight=weight)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted model as one file that can be loaded without unpickling.

        A card is written beside it, in Markdown: what the model is, and how far off it was for
        photos that it had not learnt from.

        Parameters
        ----------
        path : path
            By custom, ending in ``.ageboost``.

        See Also
        --------
        ageboost.load : The way back.
        """
        write_model(self, Path(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load a model that :meth:`save` wrote.

        Parameters
        ----------
        path : path

        Returns
        -------
        AgeEstimator

        Raises
        ------
        ModelFileError
            If the file is damaged, of another format, or holds types that are not trusted.
        """
        return read_model(Path(path), cls)

    def check_fitted(self) -> None:
        """Check that the model is fitted, and that its settings still make sense.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ValueError
            If a parameter was set to something wrong since.
        """
        check_is_fitted(self, "age_regressor_")
        self.check_settings()

    def _per_photo(
        self,
        answer: MainAges,
        photos: Iterable[object],
        boxes: Iterable[object] | None,
        cropped: bool,
    ) -> npt.NDArray[np.float64]:
        """Predict from the features of main faces; NaN where a photo has none."""
        parts = [np.empty((0, answer.n_columns))]
        failures: list[tuple[int, PhotoError]] = []
        for rows, failed in self.answer_batches(answer, photos, boxes, cropped, sharpness=False):
            parts.append(rows)
            if self.on_error == "raise":
                failures += failed
        found = np.concatenate(parts)
        if failures:
            raise PhotosError(failures, len(found))
        return found
