"""The first convolution of a network in whole numbers as one product: patches of chips go in.

ONNX Runtime gathers what each output of a convolution looks at pixel by pixel, three bytes each:
for the first layer that takes longer than the products do. Whole rows of a patch are gathered here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

__all__ = ["Chips", "Patches", "take_patches"]

#: Chips of faces: one by one, or in one array.
Chips = Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8]

# Rows of patches are copied in words of so many bytes.
_WORD = 8


class Patches(NamedTuple):
    """What of chips goes into a network whose first convolution is one product.

    Attributes
    ----------
    table : ndarray of shape (1, 256, 3), uint8
        What stands for each level of red, green and blue.
    border : int
        What stands for what is around a chip.
    side, stride : int
        Of the convolution.
    pads : (int, int) or None
        Rows, and columns, of border before and behind a chip. None for as many as one output for
        each stride needs.
    """

    table: npt.NDArray[np.uint8]
    border: int
    side: int
    stride: int
    pads: tuple[int, int] | None

    def __call__(self, chips: Chips) -> npt.NDArray[np.uint8]:
        """Cut chips into patches.

        Parameters
        ----------
        chips : sequence of ndarray of shape (size, size, 3), uint8, of length n_faces
            RGB; one array of four dimensions where there is none.

        Returns
        -------
        ndarray of shape (n_faces, n_rows, n_columns, n_numbers), uint8
            The patch of each output, row by row, each with some bytes behind it that count nothing.
        """
        n_faces, size = (
            len(chips),
            chips.shape[1] if isinstance(chips, np.ndarray) else len(chips[0]),
        )
        before, behind = self.pads or _same_pads(size, self.side, self.stride)
        whole = before + size + behind
        # What is behind a row of a patch may be in the next rows.
        more = -(-_bytes_of_row(self.side) // (3 * whole))
        canvas = np.full((n_faces, whole + more, whole, 3), self.border, np.uint8)
        for chip, around in zip(chips, canvas, strict=True):
            inside = around[before : before + size, before : before + size]
            cv2.LUT(np.ascontiguousarray(chip), self.table, inside)
        n_outputs = (whole - self.side) // self.stride + 1
        of_face, of_row, of_pixel, _ = canvas.strides
        rows_of_patches = np.ndarray(
            (n_faces, n_outputs, n_outputs, self.side),
            np.dtype((np.void, _bytes_of_row(self.side))),
            canvas,
            strides=(of_face, self.stride * of_row, self.stride * of_pixel, of_row),
        )
        return rows_of_patches.copy().view(np.uint8)


def take_patches(
    part: onnx.ModelProto, levels: npt.NDArray[np.float32], bgr: bool
) -> Patches | None:
    """Let patches go into a network, in the place of pixels: its answers stay the same.

    Parameters
    ----------
    part : onnx.ModelProto
        It is changed if its first layer is a convolution of a few pixels in whole numbers.
    levels : ndarray of shape (3, 256), float32
        What would go in for each level of each channel.
    bgr : bool
        Whether these, and the weights, begin with blue.

    Returns
    -------
    Patches or None
        None where the network still wants pixels.
    """
    graph = part.graph
    if (layer := _first_layer(graph)) is None:
        return None
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    in_steps, read_in_steps, weights = (
        [known[name] for name in names if name in known]
        for names in (layer.quantize.input[1:], layer.dequantize.input[1:], layer.weights.input)
    )
    if (
        [len(in_steps), len(read_in_steps), len(weights)] != [2, 2, 3]
        or not all(map(np.array_equal, in_steps, read_in_steps))
        or in_steps[0].size != 1
        or in_steps[1].dtype != np.uint8
        or weights[2].any()
    ):
        return None
    (step, zero), values = in_steps, weights[0]
    settings = {
        "strides": [1, 1],
        "dilations": [1, 1],
        "pads": [0, 0, 0, 0],
        "auto_pad": b"NOTSET",
    } | {one.name: helper.get_attribute_value(one) for one in layer.convolution.attribute}
    side, stride, pads = values.shape[-1], settings["strides"][0], settings["pads"]
    if (
        values.shape[1:] != (3, side, side)
        or settings["strides"] != [stride, stride]
        or settings["dilations"] != [1, 1]
        or pads != [pads[0], pads[0], pads[-1], pads[-1]]
        or settings["auto_pad"] not in (b"NOTSET", b"SAME_UPPER")
    ):
        return None
    table = (np.rint(levels / step) + zero).clip(0, 255).astype(np.uint8)
    if bgr:
        table, values = table[::-1], values[:, ::-1]
    _put_in(graph, layer, _rows_of(values))
    known_pads = None if settings["auto_pad"] == b"SAME_UPPER" else (pads[0], pads[-1])
    return Patches(table.T[None].copy(), int(zero), side, stride, known_pads)


class _Layer(NamedTuple):
    """A convolution in whole numbers, with what rounds its input and what holds its weights."""

    quantize: onnx.NodeProto
    dequantize: onnx.NodeProto
    convolution: onnx.NodeProto
    weights: onnx.NodeProto


def _first_layer(graph: onnx.GraphProto) -> _Layer | None:
    """Find what the input goes through, if that is a convolution in whole numbers."""
    tensor, passed = graph.input[0].name, []
    for operator in ("QuantizeLinear", "DequantizeLinear", "Conv"):
        readers = [node for node in graph.node if tensor in node.input]
        asked = any(tensor == output.name for output in graph.output)
        if asked or [node.op_type for node in readers] != [operator]:
            return None
        passed += readers
        tensor = readers[0].output[0]
    quantize, dequantize, convolution = passed
    weights = [node for node in graph.node if convolution.input[1] in node.output]
    if [node.op_type for node in weights] != ["DequantizeLinear"]:
        return None
    return _Layer(quantize, dequantize, convolution, weights[0])


def _put_in(graph: onnx.GraphProto, layer: _Layer, values: npt.NDArray[np.int8]) -> None:
    """Make patches the input, and the convolution one of single places with other weights."""
    name = f"{graph.input[0].name} in patches"
    shape = ["faces", "rows", "columns", values.shape[1]]
    del graph.input[0]
    graph.input.insert(0, helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, shape))
    turn = helper.make_node("Transpose", [name], layer.quantize.output, name, perm=[0, 3, 1, 2])
    graph.node.remove(layer.quantize)
    # Other layers may read the weights, too: these are others.
    weights = onnx.NodeProto.FromString(layer.weights.SerializeToString())
    for names in (weights.input, weights.output):
        names[0] = f"{names[0]} of patches"
    weights.name = f"{weights.name} of patches"
    graph.initializer.append(numpy_helper.from_array(values, weights.input[0]))
    layer.convolution.input[1] = weights.output[0]
    del layer.convolution.attribute[:]
    for node in (weights, turn):
        graph.node.insert(0, node)
    # Shapes that were inferred before do not hold any more.
    del graph.value_info[:]


def _rows_of(values: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Put weights in the order of patches, with zeros for what is behind each of their rows."""
    n_outputs, _, side, _ = values.shape
    rows = values.transpose(0, 2, 3, 1).reshape(n_outputs, side, 3 * side)
    more = _bytes_of_row(side) - 3 * side
    return np.pad(rows, ((0, 0), (0, 0), (0, more))).reshape(n_outputs, -1, 1, 1)


def _bytes_of_row(side: int) -> int:
    return -(-3 * side // _WORD) * _WORD


def _same_pads(size: int, side: int, stride: int) -> tuple[int, int]:
    """How much border one output for each stride needs, the smaller half before."""
    n_outputs = -(-size // stride)
    border = max((n_outputs - 1) * stride + side - size, 0)
    return border // 2, border - border // 2
