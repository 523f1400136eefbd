"""dlib's face recognition network, rebuilt from its weights file as an ONNX graph."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ageboost._dlib_file import DlibFile

_SIDE = 150
_OPSET = 17
# Filters of each stage, and how many plain residual blocks follow the one that halves the size.
_STAGES = [(32, 3, False), (64, 3, True), (128, 2, True), (256, 2, True), (256, 0, True)]


class _Graph:
    """Collects nodes and weights, and keeps the sizes of the tensor that was added last."""

    def __init__(self, reader: DlibFile):
        self.reader = reader
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: list[str], name: str | None = None, **attributes) -> str:
        name = name or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, values: npt.NDArray) -> str:
        name = f"weights{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def convolution(self, tensor: str, stride: int, padding: int) -> str:
        weights, bias = self.reader.convolution()
        return self.add(
            "Conv",
            [tensor, self.constant(weights), self.constant(bias)],
            strides=[stride] * 2,
            pads=[padding] * 4,
        )

    def pad(self, tensor: str, channels: int, side: int) -> str:
        """Fill with zeros at the far end of channels, rows and columns."""
        if not channels and not side:
            return tensor
        pads = np.array([0, 0, 0, 0, 0, channels, side, side], dtype=np.int64)
        return self.add("Pad", [tensor, self.constant(pads)])

    def plain_block(self, tensor: str, name: str | None = None) -> str:
        inner = self.add("Relu", [self.convolution(tensor, 1, 1)])
        return self.add("Relu", [self.add("Add", [self.convolution(inner, 1, 1), tensor])], name)

    def halving_block(
        self, tensor: str, side: int, channels_added: int, name: str | None = None
    ) -> tuple[str, int]:
        inner = self.add("Relu", [self.convolution(tensor, 2, 0)])
        outer = self.convolution(inner, 1, 1)
        pooled = self.add("AveragePool", [tensor], kernel_shape=[2, 2], strides=[2, 2])
        outer_side, pooled_side = (side - 3) // 2 + 1, side // 2
        largest = max(outer_side, pooled_side)
        total = self.add(
            "Add",
            [
                self.pad(outer, 0, largest - outer_side),
                self.pad(pooled, channels_added, largest - pooled_side),
            ],
        )
        return self.add("Relu", [total], name), largest


def build_dlib_resnet(content: bytes) -> onnx.ModelProto:
    """Build the ONNX graph of dlib's face recognition network.

    Parameters
    ----------
    content : bytes
        Of ``dlib_face_recognition_resnet_model_v1.dat``.

    Returns
    -------
    onnx.ModelProto
        Input ``chips``: float32 of shape (n, 3, 150, 150). Outputs ``level1`` to ``level5`` and
        ``descriptor``.

    Raises
    ------
    ValueError
        If the content is not that of this network.

    References
    ----------
    D. E. King, "Dlib-ml: A Machine Learning Toolkit", JMLR 2009. K. He et al., "Deep Residual
    Learning for Image Recognition", CVPR 2016.
    """
    reader = DlibFile(content, "dlib's face recognition network")
    graph = _Graph(reader)
    tensor = graph.add("Relu", [graph.convolution("chips", 2, 0)])
    tensor = graph.add("MaxPool", [tensor], kernel_shape=[3, 3], strides=[2, 2])
    side = 35
    shapes = []
    filters = [_STAGES[0][0], *(stage[0] for stage in _STAGES)]
    for level, ((before, after), (_, n_plain, halves)) in enumerate(
        zip(pairwise(filters), _STAGES, strict=True), start=1
    ):
        name = f"level{level}"
        if halves:
            last = name if n_plain == 0 else None
            tensor, side = graph.halving_block(tensor, side, after - before, last)
        for block in range(n_plain):
            tensor = graph.plain_block(tensor, name if block == n_plain - 1 else None)
        shapes.append((name, [None, after, side, side]))
    reader.seek("fc_2")
    outputs, inputs = reader.integer(), reader.integer()
    weights = reader.tensor().reshape(inputs, outputs)
    means = graph.add("Flatten", [graph.add("GlobalAveragePool", [tensor])])
    graph.add("MatMul", [means, graph.constant(weights)], "descriptor")
    shapes.append(("descriptor", [None, outputs]))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "dlib_face_recognition_resnet_v1",
            [helper.make_tensor_value_info("chips", TensorProto.FLOAT, [None, 3, _SIDE, _SIDE])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, s) for name, s in shapes],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        # Recent onnx writes an IR version that the oldest ONNX Runtime we allow cannot read.
        ir_version=9,
    )
    onnx.checker.check_model(model)
    return model
