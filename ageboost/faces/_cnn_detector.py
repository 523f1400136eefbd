"""dlib's convolutional face detector, for faces that the first detector does not find."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from ageboost._dlib_file import DlibFile
from ageboost.faces.landmarks import dlib_weights

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["find_with_cnn"]

_MEAN = np.array([122.782, 117.001, 104.298], dtype=np.float32)
_SCALE = np.float32(1 / 256)
# The network looks at windows of this many pixels, one every eight; the first is centred here.
_WINDOW, _STEP, _FIRST_CENTRE = 80, 8, 14
# The photo's edges are continued this far, so that windows that reach over them are seen, too.
_BORDER = 40
_PYRAMID_STEP = 5 / 6
# Photos of a shorter side are enlarged to this, in pixels: faces of a quarter of it are found.
_LEAST_SIDE = 300
# A dark photo is made brighter until this share of its levels, in percent, is not white.
_NOT_WHITE = 99
_MOST_OVERLAP = 0.3


def find_with_cnn(
    pixels: npt.NDArray[np.uint8], threshold: float
) -> list[tuple[npt.NDArray[np.float64], float]]:
    """Find faces, also turned or half covered ones.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        RGB.
    threshold : float
        Least confidence.

    Returns
    -------
    list of (ndarray of shape (4,), float)
        Left, top, right and bottom of each face, drawn tighter than by dlib's other detector, and
        the confidence.

    References
    ----------
    D. E. King, "Max-Margin Object Detection", arXiv:1502.00046, 2015.
    """
    bright = _brighten(pixels)
    scale = max(1.0, _LEAST_SIDE / max(pixels.shape[:2]))
    found: list[tuple[npt.NDArray[np.float64], float]] = []
    while True:
        height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
        shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        copy = cv2.resize(bright, (width, height), interpolation=shrinks)
        found += [
            (np.array([x, y, x + _WINDOW, y + _WINDOW]) / scale, score)
            for x, y, score in _scan(copy, threshold)
        ]
        if max(height, width) < _WINDOW:
            return _best_of_each(found)
        scale *= _PYRAMID_STEP


def _brighten(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    gain = 255 / max(float(np.percentile(pixels, _NOT_WHITE)), 1.0)
    return cv2.convertScaleAbs(pixels, alpha=gain)


def _scan(copy: npt.NDArray[np.uint8], threshold: float) -> list[tuple[int, int, float]]:
    """Return the left and top of windows that hold a face, and how sure the network is."""
    framed = cv2.copyMakeBorder(copy, *(_BORDER,) * 4, cv2.BORDER_REPLICATE)
    blob = ((framed.astype(np.float32) - _MEAN) * _SCALE).transpose(2, 0, 1)[None]
    [[[scores]]] = _session().run(None, {"photo": np.ascontiguousarray(blob)})
    shift = _FIRST_CENTRE - _BORDER - _WINDOW // 2
    return [
        (int(column) * _STEP + shift, int(row) * _STEP + shift, float(scores[row, column]))
        for row, column in np.argwhere(scores > threshold)
    ]


def _best_of_each(
    found: list[tuple[npt.NDArray[np.float64], float]],
) -> list[tuple[npt.NDArray[np.float64], float]]:
    """Keep the surest of windows that overlap."""
    kept: list[tuple[npt.NDArray[np.float64], float]] = []
    for box, score in sorted(found, key=lambda one: -one[1]):
        if all(_overlap(box, other) <= _MOST_OVERLAP for other, _ in kept):
            kept.append((box, score))
    return kept


def _overlap(box: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Area of the intersection over that of the smaller box."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    smaller = min(np.prod(box[2:] - box[:2]), np.prod(other[2:] - other[:2]))
    return float(np.prod(np.maximum(sides, 0)) / smaller)


@lru_cache(maxsize=1)
def _session() -> InferenceSession:
    from ageboost._onnx import make_session

    return make_session(_build(dlib_weights("mmod_human_face_detector.dat").read_bytes()))


def _build(content: bytes) -> bytes:
    """Rebuild it as an ONNX graph: three halving convolutions, three plain ones, one score."""
    from onnx import TensorProto, helper, numpy_helper

    file = DlibFile(content, "dlib's convolutional face detector")
    nodes, weights, tensor = [], [], "photo"
    for layer, (stride, padding) in enumerate([(2, 0)] * 3 + [(1, 2)] * 3 + [(1, 4)]):
        last = layer == 6
        names = [f"weights{layer}", f"bias{layer}"]
        for name, values in zip(names, file.convolution(normalised=not last), strict=True):
            weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        output = "scores" if last else f"conv{layer}"
        nodes.append(
            helper.make_node(
                "Conv", [tensor, *names], [output], strides=[stride] * 2, pads=[padding] * 4
            )
        )
        tensor = output
        if not last:
            tensor = f"relu{layer}"
            nodes.append(helper.make_node("Relu", [output], [tensor]))
    graph = helper.make_graph(
        nodes,
        "dlib_mmod_human_face_detector",
        [helper.make_tensor_value_info("photo", TensorProto.FLOAT, [1, 3, None, None])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1, None, None])],
        weights,
    )
    # Recent onnx writes an IR version that the oldest ONNX Runtime we allow cannot read.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()
