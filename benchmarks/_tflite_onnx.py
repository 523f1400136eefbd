"""Small convolutional networks of TensorFlow Lite as ONNX graphs, read without TensorFlow.

Needs the package ``tflite``, which knows how such files are laid out.
"""

from __future__ import annotations

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

_NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if name.isupper()}
_TYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
_OPTIONS = {
    "CONV_2D": tflite.Conv2DOptions,
    "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
    "MAX_POOL_2D": tflite.Pool2DOptions,
    "RESIZE_BILINEAR": tflite.ResizeBilinearOptions,
}
# ONNX Runtime computes channels eight at a time: others are filled up with some that stay zero.
_CHANNELS_AT_ONCE = 8
_PHOTO = "photo"


class Converter:
    """Writes a network of convolutions, sums and pools, whose outputs are lists of anchors.

    Parameters
    ----------
    content : bytes
        Of a file of TensorFlow Lite.
    """

    def __init__(self, content: bytes):
        self._model = tflite.Model.GetRootAsModel(content, 0)
        self._graph = self._model.Subgraphs(0)
        self._constants: dict[int, np.ndarray] = {}
        self._channels: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def convert(self, outputs: list[str]) -> onnx.ModelProto:
        """Write the graph.

        Parameters
        ----------
        outputs : list of str
            What the network's outputs are to be called, in their order.

        Returns
        -------
        onnx.ModelProto
            From photos in channels, rows, columns (any number of photos, of any size that can be
            halved as often as the network does) to its outputs, as they were.
        """
        graph = self._graph
        photo = graph.Inputs(0)
        self._names[photo] = _PHOTO
        self._channels[photo] = 3
        for index in range(graph.OperatorsLength()):
            operator = graph.Operators(index)
            code = self._model.OperatorCodes(operator.OpcodeIndex())
            name = _NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            getattr(self, f"_{name.lower()}")(operator)
        given = [graph.Outputs(i) for i in range(graph.OutputsLength())]
        for name, tensor in zip(outputs, given, strict=True):
            self._node("Identity", [self._name(tensor)], name)
        sizes = [graph.Tensors(tensor).Shape(2) for tensor in given]
        written = helper.make_graph(
            self._nodes,
            "face_detector",
            [helper.make_tensor_value_info(_PHOTO, TensorProto.FLOAT, ["n", 3, "rows", "columns"])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "anchors", size])
                for name, size in zip(outputs, sizes, strict=True)
            ],
            self._weights,
        )
        # Recent onnx writes an IR version that the oldest ONNX Runtime we allow cannot read.
        model = helper.make_model(written, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model

    def _dequantize(self, operator) -> None:
        self._constants[operator.Outputs(0)] = self._constant(operator.Inputs(0))

    def _conv_2d(self, operator) -> None:
        kernel = self._constant(operator.Inputs(1)).transpose(0, 3, 1, 2)
        self._convolve(operator, kernel, depthwise=False)

    def _depthwise_conv_2d(self, operator) -> None:
        kernel = self._constant(operator.Inputs(1)).transpose(3, 0, 1, 2)
        self._convolve(operator, kernel, depthwise=True)

    def _convolve(self, operator, kernel: np.ndarray, depthwise: bool) -> None:
        options = self._options(operator)
        before, after = operator.Inputs(0), operator.Outputs(0)
        n_before, n_after = self._channels[before], len(kernel)
        # What is given out has as many channels as anchors need.
        n_after = n_after if self._is_head(after) else _fill_up(n_after)
        wide = np.zeros((n_after, 1 if depthwise else n_before, *kernel.shape[2:]), np.float32)
        wide[: len(kernel), : kernel.shape[1]] = kernel
        bias = np.zeros(n_after, np.float32)
        bias[: len(kernel)] = self._constant(operator.Inputs(2))
        self._node(
            "Conv",
            [self._name(before), self._weight(wide, f"w{after}"), self._weight(bias, f"b{after}")],
            self._name(after),
            strides=[options.StrideH(), options.StrideW()],
            pads=_same_padding(kernel.shape[2:], options),
            group=n_before if depthwise else 1,
        )
        self._channels[after] = n_after
        if options.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
            raise ValueError("a convolution with an activation of its own is not known")

    def _max_pool_2d(self, operator) -> None:
        options = self._options(operator)
        size = [options.FilterHeight(), options.FilterWidth()]
        strides = [options.StrideH(), options.StrideW()]
        self._keep_channels(operator, "MaxPool", kernel_shape=size, strides=strides)

    def _relu(self, operator) -> None:
        self._keep_channels(operator, "Relu")

    def _resize_bilinear(self, operator) -> None:
        options = self._options(operator)
        if options.AlignCorners() or not options.HalfPixelCenters():
            raise ValueError("bilinear copies are known with half pixels only")
        before, after = operator.Inputs(0), operator.Outputs(0)
        factor = self._graph.Tensors(after).Shape(1) / self._graph.Tensors(before).Shape(1)
        scales = self._weight(np.array([1, 1, factor, factor], np.float32), f"scales{after}")
        self._node("Resize", [self._name(before), "", scales], self._name(after), mode="linear")
        self._channels[after] = self._channels[before]

    def _add(self, operator) -> None:
        first, second = operator.Inputs(0), operator.Inputs(1)
        self._node("Add", [self._name(first), self._name(second)], self._name(operator.Outputs(0)))
        self._channels[operator.Outputs(0)] = self._channels[first]

    def _pad(self, operator) -> None:
        """Add channels that are zero: those that are there already are enough, or some more."""
        before, after = operator.Inputs(0), operator.Outputs(0)
        widths = self._constant(operator.Inputs(1))
        if widths[:3].any() or widths[3, 0]:
            raise ValueError("padding is known behind the last channel only")
        channels = _fill_up(self._graph.Tensors(after).Shape(3))
        self._channels[after] = channels
        if channels == self._channels[before]:
            self._names[after] = self._name(before)
            return
        # A convolution that copies is quicker than a pad, which needs another layout.
        copied = np.eye(channels, self._channels[before], dtype=np.float32)[:, :, None, None]
        kernel = self._weight(copied, f"copy{after}")
        self._node("Conv", [self._name(before), kernel], self._name(after))

    def _reshape(self, operator) -> None:
        """Bring the channels of each place behind each other: a row for each anchor."""
        before, after = operator.Inputs(0), operator.Outputs(0)
        n_numbers = self._graph.Tensors(after).Shape(2)
        shape = self._weight(np.array([0, -1, n_numbers], np.int64), f"shape{after}")
        self._node("Transpose", [self._name(before)], f"rows{after}", perm=[0, 2, 3, 1])
        self._node("Reshape", [f"rows{after}", shape], self._name(after))

    def _concatenation(self, operator) -> None:
        inputs = [self._name(tensor) for tensor in operator.InputsAsNumpy()]
        self._node("Concat", inputs, self._name(operator.Outputs(0)), axis=1)

    def _keep_channels(self, operator, kind: str, **attributes: object) -> None:
        before, after = operator.Inputs(0), operator.Outputs(0)
        self._node(kind, [self._name(before)], self._name(after), **attributes)
        self._channels[after] = self._channels[before]

    def _is_head(self, tensor: int) -> bool:
        users = [
            self._graph.Operators(i)
            for i in range(self._graph.OperatorsLength())
            if tensor in self._graph.Operators(i).InputsAsNumpy()
        ]
        codes = [self._model.OperatorCodes(user.OpcodeIndex()) for user in users]
        return [_NAMES[code.DeprecatedBuiltinCode()] for code in codes] == ["RESHAPE"]

    def _name(self, tensor: int) -> str:
        return self._names.get(tensor, f"t{tensor}")

    def _constant(self, tensor: int) -> np.ndarray:
        if tensor not in self._constants:
            entry = self._graph.Tensors(tensor)
            content = self._model.Buffers(entry.Buffer()).DataAsNumpy()
            values = np.frombuffer(content.tobytes(), _TYPES[entry.Type()])
            self._constants[tensor] = values.reshape(entry.ShapeAsNumpy())
        return self._constants[tensor]

    def _options(self, operator):
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        options = _OPTIONS[_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]]()
        found = operator.BuiltinOptions()
        options.Init(found.Bytes, found.Pos)
        return options

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> None:
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def _weight(self, values: np.ndarray, name: str) -> str:
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def _fill_up(channels: int) -> int:
    return -(-channels // _CHANNELS_AT_ONCE) * _CHANNELS_AT_ONCE


def _same_padding(kernel: tuple[int, ...], options) -> list[int]:
    """What TensorFlow adds around a photo whose sides the stride divides: top, left, bottom..."""
    if options.Padding() == tflite.Padding.VALID:
        return [0, 0, 0, 0]
    more = [
        max(side - stride, 0)
        for side, stride in zip(kernel, (options.StrideH(), options.StrideW()), strict=True)
    ]
    before = [side // 2 for side in more]
    return before + [side - part for side, part in zip(more, before, strict=True)]
