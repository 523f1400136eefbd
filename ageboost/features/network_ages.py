"""What networks that were trained on ages answer by themselves: a probability for each year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from ageboost.faces import Face
from ageboost.features._base import FaceTransformer
from ageboost.features.known_networks import get_network
from ageboost.features.networks import Network, cut_out, mirrored

__all__ = ["N_YEARS", "NetworkAges"]

# Years of age from 0 to 100.
N_YEARS = 101
# The level that holds the answer, and the chip that the network's authors trained it on.
_ANSWERS = {"dlib-age": ("shares", 64, 0.2), "mobilenet-age": ("logits", 224, 0.45)}


class NetworkAges(FaceTransformer):
    """How probable a network takes each year of age to be, from 0 to 100.

    The network is asked as its authors trained it, and nothing is learnt here. A pool of several
    such answers is :class:`ageboost.models.OpinionPool`.

    Parameters
    ----------
    network : {"dlib-age", "mobilenet-age"}, default="dlib-age"
        See :func:`get_network` for what they are and on what terms.
    mirror : bool, default=False
        Whether to average over the face and its mirror image: steadier, and twice the time.
    device : {"cpu", "cuda"}, default="cpu"
        Where the network runs, as for :class:`CNNActivations`.

    See Also
    --------
    CNNActivations : What the levels of a network see.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from ageboost.faces import FaceFinder
    >>> from ageboost.features import NetworkAges
    >>> shares = NetworkAges("mobilenet-age").transform(FaceFinder(landmarks=5).find(astronaut()))
    >>> shares.shape, round(float(shares.sum()), 3)
    ((1, 101), 1.0)
    """

    def __init__(self, network="dlib-age", mirror=False, device="cpu"):
        self.network = network
        self.mirror = mirror
        self.device = device

    def _transform(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        network, level = self._view()
        chips = cut_out(faces, network)
        shares = self._shares(network, level, chips)
        if self.mirror:
            shares = (shares + self._shares(network, level, mirrored(chips))) / np.float32(2)
        return shares

    def _view(self) -> tuple[Network, str]:
        if self.network not in _ANSWERS:
            raise ValueError(
                f"network={self.network!r} does not answer with years of age: "
                f"pass one of {', '.join(map(repr, _ANSWERS))}"
            )
        level, size, padding = _ANSWERS[self.network]
        return replace(get_network(self.network), input_size=size, padding=padding), level

    def _shares(
        self, network: Network, level: str, chips: list[npt.NDArray[np.uint8]]
    ) -> npt.NDArray[np.float32]:
        [answers] = network.run(chips, (level,), self.device)
        if level == "logits":
            answers = softmax(answers, axis=1)
        # dlib's network stops at 80 years, the other at 99. Its first share is that of a quarter.
        shares: npt.NDArray[np.float32] = np.zeros((len(chips), N_YEARS), np.float32)
        shares[:, : answers.shape[1]] = answers
        return shares

    def _feature_names(self) -> list[str]:
        self._view()
        return [f"year{year}" for year in range(N_YEARS)]
