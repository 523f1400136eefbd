"""Activations of a frozen convolutional network."""

from __future__ import annotations

from collections.abc import Sequence
from reprlib import repr as brief
from typing import Any

import numpy as np
import numpy.typing as npt

from ageboost.faces import Face
from ageboost.features._base import FaceTransformer, area_on_face
from ageboost.features.known_networks import get_network, in_whole_numbers
from ageboost.features.networks import Network, cut_out, mirrored

__all__ = ["CNNActivations"]


class CNNActivations(FaceTransformer):
    """What the levels of a frozen network see in a face.

    A network that was trained to recognise people has learnt to ignore how old they are, so its
    last layer has lost most of the age. The levels before it have not.

    Parameters
    ----------
    network : str or Network, default="dlib"
        One that is known by name, such as ``"dlib"`` or ``"mobilenet-age"`` (see
        :func:`get_network` for all of them and on what terms they are), or a record of your own.
    levels : sequence of str, optional
        Which levels to take. By default, those that the network's record names.
    pool : int, default=4
        Levels of more than this many rows or columns are averaged over areas down to this many.
    mirror : bool or "only", default=False
        Whether to average over the face and its mirror image: steadier, and twice the time.
        ``"only"`` looks at the mirror image alone: of two networks, one may look at that and one at
        the face as it is.
    device : {"cpu", "cuda"}, default="cpu"
        Where the network runs. CUDA needs the package onnxruntime-gpu in the place of onnxruntime.
    whole_numbers : bool, default=False
        Whether ``"dlib"``, ``"mobilenet-age"`` or ``"mobilenet-age-large"`` compute in whole
        numbers of 8 bits: in about half the time, and activations differ by some percent of their
        spread. The networks trained on UTKFace do so in any case.

    See Also
    --------
    Network : How to declare a network.

    References
    ----------
    D. E. King, "Dlib-ml: A Machine Learning Toolkit", JMLR 2009.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.faces import FaceFinder
    >>> from ageboost.features import CNNActivations
    >>> cnn = CNNActivations(levels=["level5", "descriptor"])
    >>> cnn.transform(FaceFinder().find(astronaut())).shape
    (1, 1152)
    >>> cnn.get_feature_names_out()[[0, -1]].tolist()
    ['level5_row0_col0_channel0', 'descriptor_channel127']
    """

    def __init__(
        self,
        network="dlib",
        levels=None,
        pool=4,
        mirror=False,
        device="cpu",
        whole_numbers=False,
    ):
        self.network = network
        self.levels = levels
        self.pool = pool
        self.mirror = mirror
        self.device = device
        self.whole_numbers = whole_numbers

    def feature_areas(self) -> npt.NDArray[np.float64]:
        """Compute which part of the face each column looks at: its place on the level's map.

        An activation depends on more than its place, the deeper the level the more. Columns of
        levels without rows and columns look at the whole chip, and so do those that are a mean over
        the face and its mirror image.

        Returns
        -------
        ndarray of shape (n_features, 4)
            As for any transformer of faces: left, top, right, bottom, in sides of the chip without
            padding; NaN for the whole chip.
        """
        network = get_network(self.network)
        levels = self._levels()
        blocks = []
        for shape in network.level_shapes(levels):
            n_rows, n_columns = (min(side, self.pool) for side in (*shape, 1, 1)[1:3])
            whole = len(shape) != 3 or self.mirror or n_rows * n_columns == 1
            places = [
                (np.nan,) * 4
                if whole
                else area_on_face(
                    (row / n_rows, (row + 1) / n_rows),
                    (column / n_columns, (column + 1) / n_columns),
                    network.padding,
                )
                for row in range(n_rows)
                for column in range(n_columns)
            ]
            blocks.append(np.tile(places, (int(np.prod(shape[:1])), 1)))
        return np.concatenate(blocks)

    def _levels(self) -> tuple[str, ...]:
        if isinstance(self.levels, str):
            raise ValueError(
                f"levels={brief(self.levels)}: pass a list of names, [{brief(self.levels)}]"
            )
        return tuple(get_network(self.network).levels if self.levels is None else self.levels)

    def _transform(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        network = get_network(self.network)
        if self.whole_numbers:
            network = in_whole_numbers(network)
        levels = self._levels()
        if not self.mirror and (key := network.stem_key(levels)) is not None:
            begun = self._begin(network, f"{self.device} {key}", faces)
            return self._together(network.finish(begun, levels, self.device))
        chips = cut_out(faces, network)
        if self.mirror == "only":
            return self._activations(network, mirrored(chips))
        matrix = self._activations(network, chips)
        if self.mirror:
            matrix = (matrix + self._activations(network, mirrored(chips))) / 2
        return matrix

    def _activations(self, network: Network, chips: list[npt.NDArray[np.uint8]]) -> npt.NDArray:
        return self._together(network.run(chips, self._levels(), self.device))

    def _together(self, levels: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        blocks = [_pool(level, self.pool).reshape(len(level), -1) for level in levels]
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    def _begin(
        self, network: Network, key: str, faces: Sequence[Face]
    ) -> list[npt.NDArray[np.generic]]:
        """Compute the stem of a network, but for faces of which another one has done so."""
        new = [face for face in faces if key not in face._begun]
        if new:
            computed = network.begin(cut_out(new, network), self.device)
            for face, begun in zip(new, computed, strict=True):
                face._begun[key] = begun
        return [face._begun[key] for face in faces]

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Model files of earlier releases lack what has been added since.
        super().__setstate__({"device": "cpu", "whole_numbers": False} | state)

    def _feature_names(self) -> list[str]:
        levels = self._levels()
        names = []
        for level, shape in zip(
            levels, get_network(self.network).level_shapes(levels), strict=True
        ):
            if len(shape) == 3:
                rows, columns = (min(side, self.pool) for side in shape[1:])
                names += [
                    f"{level}_row{row}_col{column}_channel{channel}"
                    for channel in range(shape[0])
                    for row in range(rows)
                    for column in range(columns)
                ]
            else:
                names += [f"{level}_channel{channel}" for channel in range(int(np.prod(shape)))]
        return names


def _pool(activations: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """Average maps down to at most ``side`` rows and columns; areas may overlap by one."""
    if activations.ndim < 4:
        return activations
    for axis in (2, 3):
        length = activations.shape[axis]
        if length > side:
            edges = np.arange(side + 1) * length / side
            starts, ends = np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int)
            areas = [
                activations.take(range(start, end), axis).mean(axis)
                for start, end in zip(starts, ends, strict=True)
            ]
            activations = np.stack(areas, axis)
    return activations
