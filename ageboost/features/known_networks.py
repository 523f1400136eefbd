"""The networks that are known by name, and those of them that compute in whole numbers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from reprlib import repr as brief

import onnx

from ageboost.faces.landmarks import dlib_weights
from ageboost.features._whole_numbers import read_ranges, to_whole_numbers
from ageboost.features.networks import Network, weights_stamp

__all__ = ["get_network", "in_whole_numbers", "network_names"]

# Networks were trained further from the first of them, with the layers before this kept.
_STEMS = {"mobilenet-age-large": "conv_pw_3_relu/clip_by_value whole"}
_DLIB_MEAN = (122.782, 117.001, 104.298)
_WEIGHTS = Path(__file__).with_name("weights")


def _dlib() -> Network:
    return Network(
        name="dlib",
        weights=dlib_weights("dlib_face_recognition_resnet_model_v1.dat"),
        input_size=150,
        levels=("level3", "level4", "level5", "descriptor"),
        mean=_DLIB_MEAN,
        scale=1 / 256,
        padding=0.25,
    )


def _dlib_age() -> Network:
    return Network(
        name="dlib-age",
        weights=_WEIGHTS / "dlib_age.onnx",
        input_size=64,
        levels=("level2", "level3", "means", "shares"),
        mean=_DLIB_MEAN,
        scale=1 / 256,
        padding=0.2,
        landmarks=5,
    )


def _mobilenet_age() -> Network:
    return Network(
        name="mobilenet-age",
        weights=_WEIGHTS / "mobilenet_age.onnx",
        input_size=160,
        levels=("means", "features", "logits"),
        channels="bgr",
        mean=(103.939, 116.779, 123.68),
        padding=0.3,
        landmarks=5,
    )


def _mobilenet_age_large() -> Network:
    return replace(_mobilenet_age(), name="mobilenet-age-large", input_size=192)


def _utkface_mobilenet() -> Network:
    return replace(
        _mobilenet_age(),
        name="utkface-mobilenet",
        weights=_WEIGHTS / "utkface_mobilenet.onnx",
        levels=("age", "older"),
    )


def _utkface_mobilenet_small() -> Network:
    return replace(_utkface_mobilenet(), name="utkface-mobilenet-small", input_size=128)


def _utkface_mobilenet_large() -> Network:
    return replace(
        _utkface_mobilenet(),
        name="utkface-mobilenet-large",
        weights=_WEIGHTS / "utkface_mobilenet_large.onnx",
        input_size=192,
        stem=_STEMS["mobilenet-age-large"],
    )


def _utkface_dlib() -> Network:
    return replace(
        _dlib(),
        name="utkface-dlib",
        weights=_WEIGHTS / "utkface_dlib.onnx",
        levels=("age", "older"),
        landmarks=5,
    )


_NETWORKS = {
    "dlib": _dlib,
    "dlib-age": _dlib_age,
    "mobilenet-age": _mobilenet_age,
    "mobilenet-age-large": _mobilenet_age_large,
    "utkface-dlib": _utkface_dlib,
    "utkface-mobilenet": _utkface_mobilenet,
    "utkface-mobilenet-small": _utkface_mobilenet_small,
    "utkface-mobilenet-large": _utkface_mobilenet_large,
}


def network_names() -> list[str]:
    """List the networks that are known by name.

    Returns
    -------
    list of str
    """
    return list(_NETWORKS)


def get_network(network: str | Network) -> Network:
    """Look up a network by name; a record stays as it is.

    Parameters
    ----------
    network : str or Network
        A record, or one of these names:

        - ``"dlib"``: dlib's face recognition network, a ResNet of 29 convolutions whose levels are
          ``level1`` (32 x 35 x 35), ``level2`` (64 x 17 x 17), ``level3`` (128 x 8 x 8),
          ``level4`` (256 x 4 x 4), ``level5`` (256 x 2 x 2) and ``descriptor`` (128).
          Public domain.
        - ``"dlib-age"``: a ResNet of 11 convolutions, trained on ages: ``level2`` (128 x 7 x 7),
          ``level3`` (256 x 4 x 4), ``means`` (256), ``shares`` (81 ages). Public domain.
        - ``"mobilenet-age"``: a MobileNet, trained to recognise people and then on ages:
          ``level11`` (512 x 10 x 10), ``means`` (1,024), ``features`` (256), ``logits`` (100
          ages). Apache 2.0; the photos that it learnt from were gathered for research.
          ``"mobilenet-age-large"`` is the same at 192 instead of 160 pixels.
        - ``"utkface-dlib"``, ``"utkface-mobilenet"``, ``"utkface-mobilenet-small"``,
          ``"utkface-mobilenet-large"``: these networks, trained further on UTKFace, for
          non-commercial research only: ``age`` (years), ``older`` (probabilities of 21 ages or
          more), ``last`` (what its last layer reads). The small one is ``"utkface-mobilenet"`` at
          128 instead of 160 pixels; the large one was trained at 192.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if isinstance(network, Network):
        return network
    if network not in _NETWORKS:
        raise ValueError(
            f"network={brief(network)}: pass one of {', '.join(map(repr, _NETWORKS))} or a Network"
        )
    return _make_known(network)


@cache
def _make_known(name: str) -> Network:
    return _NETWORKS[name]()


def in_whole_numbers(network: Network) -> Network:
    """Let a network compute in whole numbers of 8 bits.

    Parameters
    ----------
    network : Network
        One that is known by name, whose activations' ranges are known.

    Returns
    -------
    Network
        The same, with other weights.

    Raises
    ------
    ValueError
        If the ranges of its activations are not known.
    """
    path = _WEIGHTS / f"{network.name}.ranges.npz"
    if not path.is_file() or replace(get_network(network.name), levels=network.levels) != network:
        known = sorted(path.name.partition(".")[0] for path in _WEIGHTS.glob("*.ranges.npz"))
        raise ValueError(
            f"whole_numbers=True: the ranges of the activations of {brief(network.name)} are not "
            f"known: pass False, or one of {', '.join(map(repr, known))}"
        )
    return _rounded(network, weights_stamp(network.weights))


@lru_cache(maxsize=8)
def _rounded(network: Network, stamp: tuple[int, int, int] | None) -> Network:
    model = onnx.load_from_string(network.read_weights())
    ranges = read_ranges(_WEIGHTS / f"{network.name}.ranges.npz")
    weights = to_whole_numbers(model, ranges).SerializeToString()
    return replace(network, weights=weights, stem=_STEMS.get(network.name))
