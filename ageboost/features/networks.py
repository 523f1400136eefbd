"""A frozen network as a declared record: weights, input, the chip it wants, its levels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from reprlib import repr as brief
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ageboost._files import file_stamp
from ageboost._onnx import make_session
from ageboost.faces import Face
from ageboost.features._dlib_resnet import build_dlib_resnet
from ageboost.features._graphs import extract_part, is_complete, part_digest
from ageboost.features._patches import Chips, Patches, take_patches
from ageboost.terms import PartTerms

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["Network", "cut_out", "mirrored", "weights_stamp"]

# Activations of more chips than this leave the processor's cache before the next layer reads them.
_CHIPS_AT_ONCE = 16


@dataclass(frozen=True)
class Network:
    """A network that looks at faces: where its weights are, and what it wants to see.

    Parameters
    ----------
    name : str
        What errors and records call it.
    weights : path or bytes
        An ONNX file, or its content. Its first input takes float32 of shape (n, 3, side, side).
    input_size : int
        Side of the chip in pixels.
    levels : sequence of str
        Tensors of the graph to take as features, by their names in the ONNX file. They need not be
        outputs of the graph. Layers after the last of them are not computed.
    channels : {"rgb", "bgr"}, default="rgb"
        Order of the colours.
    mean : sequence of three floats, default=(0, 0, 0)
        Subtracted from each channel, in the network's order; levels run from 0 to 255.
    scale : float, default=1.0
        What the difference is multiplied by.
    padding : float, default=0.25
        Surroundings on the chip, as a share of the face's size on each side.
    landmarks : {5, 68}, optional
        How many landmarks align the chip. By default, all that a face has.
    terms : PartTerms, optional
        On what terms it may be used. By default nothing is known of that.
    stem : str, optional
        Tensor up to which other networks compute the same from the same chips. It is computed once
        for each face then, wherever nodes and weights before it are equal, their names included.
        By default nothing is shared.

    Examples
    --------
    >>> from ageboost.features import CNNActivations, Network
    >>> mine = Network("mine", "mine.onnx", 112, ("pool3", "pool4"), channels="bgr", scale=1 / 128)
    >>> CNNActivations(mine)
    CNNActivations(network=Network(name='mine', ...
    """

    name: str
    weights: str | os.PathLike[str] | bytes
    input_size: int
    levels: Sequence[str]
    channels: str = "rgb"
    mean: Sequence[float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    padding: float = 0.25
    landmarks: int | None = None
    terms: PartTerms | None = None
    stem: str | None = None

    def __post_init__(self) -> None:
        if self.channels not in ("rgb", "bgr"):
            raise ValueError(f"network {self.name!r}: channels={self.channels!r}: pass rgb or bgr")
        if isinstance(self.levels, str):
            raise ValueError(
                f"network {self.name!r}: levels={brief(self.levels)}: pass a list of names, "
                f"[{brief(self.levels)}]"
            )
        # Sessions are kept by record, so that all in it must be fixed.
        object.__setattr__(self, "levels", tuple(self.levels))
        object.__setattr__(self, "mean", tuple(float(channel) for channel in self.mean))
        if isinstance(self.weights, bytearray | memoryview):
            object.__setattr__(self, "weights", bytes(self.weights))
        if len(self.mean) != 3:
            raise ValueError(f"network {self.name!r}: mean={self.mean!r}: pass three numbers")
        if not self.levels:
            raise ValueError(f"network {self.name!r}: levels is empty: name at least one tensor")

    def __repr__(self) -> str:
        weights = (
            f"{len(self.weights):,} bytes" if isinstance(self.weights, bytes) else self.weights
        )
        return (
            f"Network(name={self.name!r}, weights={str(weights)!r}, input_size={self.input_size}, "
            f"levels={self.levels!r})"
        )

    def prepare(self, chips: Chips) -> npt.NDArray[np.float32]:
        """Turn RGB chips into the network's input.

        Parameters
        ----------
        chips : sequence of ndarray of length n_faces
            As for :meth:`run`.

        Returns
        -------
        ndarray of shape (n_faces, 3, input_size, input_size), float32
        """
        planes = np.asarray(chips).transpose(0, 3, 1, 2)
        if self.channels == "bgr":
            planes = planes[:, ::-1]
        blob = planes.astype(np.float32, order="C")
        blob -= np.asarray(self.mean, dtype=np.float32)[:, None, None]
        blob *= np.float32(self.scale)
        return blob

    def run(
        self, chips: Chips, levels: tuple[str, ...], device: str = "cpu"
    ) -> list[npt.NDArray[np.float32]]:
        """Compute activations of a batch of chips.

        Parameters
        ----------
        chips : sequence of ndarray of shape (input_size, input_size, 3), uint8, of length n_faces
            RGB; one array of four dimensions where there is none.
        levels : tuple of str
        device : {"cpu", "cuda"}, default="cpu"

        Returns
        -------
        list of ndarray of shape (n_faces, ...), float32
            One for each level.
        """
        return _join(self._look(chips, levels, device))

    def begin(self, chips: Chips, device: str = "cpu") -> list[npt.NDArray[np.generic]]:
        """Compute the stem of a batch of chips.

        Parameters
        ----------
        chips : sequence of ndarray of length n_faces
            As for :meth:`run`.
        device : {"cpu", "cuda"}, default="cpu"

        Returns
        -------
        list of ndarray
            One for each face.
        """
        return [row for [part] in self._look(chips, (str(self.stem),), device) for row in part]

    def finish(
        self,
        begun: Sequence[npt.NDArray[np.generic]],
        levels: tuple[str, ...],
        device: str = "cpu",
    ) -> list[npt.NDArray[np.float32]]:
        """Compute activations from the stem: the same as :meth:`run`.

        Parameters
        ----------
        begun : sequence of ndarray of length n_faces
            As :meth:`begin` has returned it, by this network or one with the same stem.
        levels : tuple of str
            Behind the stem.
        device : {"cpu", "cuda"}, default="cpu"

        Returns
        -------
        list of ndarray of shape (n_faces, ...), float32
            One for each level.
        """
        session, _ = _session(self, self.stem, levels, device, weights_stamp(self.weights))
        return _join(_run(session, levels, np.stack(part)) for part in _in_parts(begun))

    def stem_key(self, levels: tuple[str, ...]) -> str | None:
        """Digest of the nodes and weights before the stem, and of the chips that they look at.

        Parameters
        ----------
        levels : tuple of str

        Returns
        -------
        str or None
            None where there is no stem, or something before it is needed for these levels.
        """
        if self.stem is None:
            return None
        return _stem_key(self, self.stem, levels, weights_stamp(self.weights))

    def _look(
        self, chips: Chips, levels: tuple[str, ...], device: str
    ) -> Iterator[list[npt.NDArray]]:
        session, patches = _session(self, None, levels, device, weights_stamp(self.weights))
        prepare = patches or self.prepare
        return (_run(session, levels, prepare(part)) for part in _in_parts(chips))

    def level_shapes(self, levels: tuple[str, ...]) -> list[tuple[int, ...]]:
        """Shapes of the activations of one face.

        Parameters
        ----------
        levels : tuple of str

        Returns
        -------
        list of tuple of int
        """
        return _level_shapes(self, levels, weights_stamp(self.weights))

    def read_weights(self) -> bytes:
        """Read the ONNX file.

        Returns
        -------
        bytes

        Raises
        ------
        FileNotFoundError
            If there is none at that path.
        """
        if isinstance(self.weights, bytes):
            return self.weights
        path = Path(self.weights)
        if path.suffix == ".dat":
            return build_dlib_resnet(path.read_bytes()).SerializeToString()
        if not path.is_file():
            raise FileNotFoundError(f"network {self.name!r}: no ONNX file at {os.fspath(path)!r}")
        return path.read_bytes()


def cut_out(faces: Sequence[Face], network: Network) -> list[npt.NDArray[np.uint8]]:
    """Cut the chips that a network looks at out of faces.

    Parameters
    ----------
    faces : sequence of Face of length n_faces
    network : Network

    Returns
    -------
    list of ndarray of shape (input_size, input_size, 3), uint8, of length n_faces
        RGB.
    """
    return [face.chip(network.input_size, network.padding, network.landmarks) for face in faces]


def mirrored(chips: list[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.uint8]]:
    """Swap left and right of chips.

    Parameters
    ----------
    chips : list of ndarray of shape (size, size, 3)

    Returns
    -------
    list of ndarray of shape (size, size, 3)
    """
    return [chip[:, ::-1] for chip in chips]


def weights_stamp(weights: str | os.PathLike[str] | bytes) -> tuple[int, int, int] | None:
    """Return what differs between two weights, so that no stale session is used.

    Parameters
    ----------
    weights : path or bytes

    Returns
    -------
    tuple of int, or None
        None for what is no file.
    """
    return None if isinstance(weights, bytes) else file_stamp(weights)


def _in_parts(rows: Any) -> Iterator[Any]:
    """Yield some rows at a time; where there are none, that."""
    for start in range(0, max(len(rows), 1), _CHIPS_AT_ONCE):
        yield rows[start : start + _CHIPS_AT_ONCE]


def _join(parts: Iterable[list[npt.NDArray]]) -> list[npt.NDArray]:
    """Put the activations of parts together, level by level."""
    return [np.concatenate(level) for level in zip(*parts, strict=True)]


def _run(
    session: InferenceSession, levels: tuple[str, ...], rows: npt.NDArray[np.generic]
) -> list[npt.NDArray]:
    return session.run(list(levels), {session.get_inputs()[0].name: rows})


@lru_cache(maxsize=16)
def _session(
    network: Network,
    start: str | None,
    levels: tuple[str, ...],
    device: str,
    stamp: tuple[int, int, int] | None,
) -> tuple[InferenceSession, Patches | None]:
    part = extract_part(network.read_weights(), start, levels, network.name)
    patches = None
    if start is None and device == "cpu":
        every_level = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
        prepared = network.prepare(every_level).reshape(3, 256)
        patches = take_patches(part, prepared, network.channels == "bgr")
    return make_session(part.SerializeToString(), device), patches


@lru_cache(maxsize=16)
def _stem_key(
    network: Network, stem: str, levels: tuple[str, ...], stamp: tuple[int, int, int] | None
) -> str | None:
    content = network.read_weights()
    if not is_complete(extract_part(content, stem, levels, network.name)):
        return None
    chips = (network.input_size, network.padding, network.landmarks)
    numbers = (network.channels, network.mean, network.scale)
    part = extract_part(content, None, (stem,), network.name)
    return part_digest(part, (chips, numbers, stem))


@lru_cache(maxsize=32)
def _level_shapes(
    network: Network, levels: tuple[str, ...], stamp: tuple[int, int, int] | None
) -> list[tuple[int, ...]]:
    # Asked of the network itself: shapes declared in ONNX files are often symbolic.
    blank = np.zeros((1, network.input_size, network.input_size, 3), dtype=np.uint8)
    if network.stem_key(levels) is None:
        activations = network.run(blank, levels)
    else:
        activations = network.finish(network.begin(blank), levels)
    return [level.shape[1:] for level in activations]
