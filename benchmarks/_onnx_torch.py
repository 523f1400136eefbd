"""ONNX networks as PyTorch modules that can be trained, and back to ONNX.

Knows the operators that the networks of faces here are made of. Constant factors and offsets behind
a convolution are folded into it, so what is trained is what will run.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional


def fold_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constant factors and offsets into convolutions, and Relu, Min, Max into one Clip."""
    graph = model.graph
    weights = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    users: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            users[name] = users.get(name, 0) + 1
    folded: dict[str, onnx.NodeProto] = {}
    nodes: list[onnx.NodeProto] = []
    for original in graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        constant = next((name for name in node.input if name in weights), None)
        before = folded.get(next((name for name in node.input if name not in weights), ""))
        if (
            node.op_type in ("Mul", "Add")
            and constant is not None
            and before is not None
            and users[before.output[0]] == 1
        ):
            values = weights[constant].reshape(-1)
            kernel, bias = before.input[1], before.input[2]
            if node.op_type == "Mul":
                weights[kernel] = weights[kernel] * values.reshape(-1, 1, 1, 1)
                weights[bias] = weights[bias] * values
            else:
                weights[bias] = weights[bias] + values
            before.output[0] = node.output[0]
            folded[node.output[0]] = before
            continue
        last = nodes[-1] if nodes else None
        if node.op_type == "Min" and last is not None and last.op_type == "Relu":
            floor = f"{node.output[0]}_floor"
            weights[floor] = np.float32(0)
            ceiling = f"{node.output[0]}_ceiling"
            weights[ceiling] = np.float32(weights[constant].item())
            nodes[-1] = helper.make_node(
                "Clip", [last.input[0], floor, ceiling], [node.output[0]], name=node.name
            )
            continue
        if node.op_type == "Max" and last is not None and last.op_type == "Clip":
            last.output[0] = node.output[0]
            continue
        if node.op_type == "Conv":
            n_filters = len(weights[node.input[1]])
            if len(node.input) == 2:
                node.input.append(f"{node.output[0]}_bias")
                weights[node.input[2]] = np.zeros(n_filters, np.float32)
            folded[node.output[0]] = node
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    new = onnx.ModelProto()
    new.CopyFrom(model)
    del new.graph.node[:], new.graph.initializer[:]
    new.graph.node.extend(nodes)
    new.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(values), name)
        for name, values in weights.items()
        if name in used
    )
    return new


class OnnxModule(nn.Module):
    """A graph of ONNX operators whose weights are parameters.

    Parameters
    ----------
    model : onnx.ModelProto
        Folded. It has one input.
    outputs : sequence of str
        Tensors to give; layers that none of them needs are left out.
    """

    def __init__(self, model: onnx.ModelProto, outputs: tuple[str, ...]):
        super().__init__()
        constants = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
        self.input = model.graph.input[0].name
        self.outputs = outputs
        needed, steps = set(outputs), []
        for node in reversed(model.graph.node):
            if node.output[0] in needed:
                needed |= set(node.input)
                steps.append(node)
        self.steps = steps[::-1]
        self.attributes = [
            {a.name: helper.get_attribute_value(a) for a in node.attribute} for node in self.steps
        ]
        self.constants = {}
        self.names: dict[str, str] = {}
        self.weights = nn.ParameterDict()
        for node in self.steps:
            for name in node.input:
                if name not in constants:
                    continue
                if node.op_type in ("Conv", "Gemm", "MatMul"):
                    self.names[name] = f"weight{len(self.names)}"
                    values = torch.tensor(constants[name])
                    if values.ndim == 4:
                        values = values.contiguous(memory_format=torch.channels_last)
                    self.weights[self.names[name]] = nn.Parameter(values)
                else:
                    self.constants[name] = constants[name]
        self.model = model

    def forward(self, chips: torch.Tensor) -> list[torch.Tensor]:
        values = {self.input: chips}
        for node, attributes in zip(self.steps, self.attributes, strict=True):
            values[node.output[0]] = self._step(node, attributes, values)
        return [values[name] for name in self.outputs]

    def _step(self, node, attributes, values) -> torch.Tensor:
        def get(name):
            return self.weights[self.names[name]] if name in self.names else values[name]

        operator, x = node.op_type, values[node.input[0]]
        if operator == "Conv":
            weight, bias = get(node.input[1]), get(node.input[2])
            stride, side = attributes.get("strides", [1, 1])[0], weight.shape[2]
            pads = attributes.get("pads", [0, 0, 0, 0])
            if attributes.get("auto_pad", b"NOTSET") == b"SAME_UPPER":
                total = max((-(-x.shape[2] // stride) - 1) * stride + side - x.shape[2], 0)
                pads = [total // 2, total // 2, total - total // 2, total - total // 2]
            if pads[0] != pads[2]:
                x, pads = functional.pad(x, (pads[1], pads[3], pads[0], pads[2])), [0]
            groups = attributes.get("group", 1)
            return functional.conv2d(x, weight, bias, stride, pads[0], groups=groups)
        if operator == "Relu":
            return functional.relu(x)
        if operator == "Clip":
            return functional.hardtanh(x, *(self.constants[name].item() for name in node.input[1:]))
        if operator == "Add":
            return x + get(node.input[1])
        if operator in ("MaxPool", "AveragePool"):
            pool = functional.max_pool2d if operator == "MaxPool" else functional.avg_pool2d
            return pool(x, attributes["kernel_shape"], attributes["strides"])
        if operator == "Pad":
            low_channel, high_channel = (int(self.constants[node.input[1]][i]) for i in (1, 5))
            rows, columns = (int(self.constants[node.input[1]][i]) for i in (6, 7))
            return functional.pad(x, (0, columns, 0, rows, low_channel, high_channel))
        if operator in ("ReduceMean", "GlobalAveragePool"):
            return x.float().mean((2, 3))
        if operator == "Flatten":
            return x.flatten(1)
        if operator == "Gemm":
            return x @ get(node.input[1]) + get(node.input[2])
        if operator == "MatMul":
            return x @ get(node.input[1])
        if operator == "Identity":
            return x
        raise NotImplementedError(f"operator {operator}")

    def to_onnx(self) -> onnx.ModelProto:
        """Put the trained weights into the graph that they came from."""
        new = onnx.ModelProto()
        new.CopyFrom(self.model)
        for entry in new.graph.initializer:
            if entry.name in self.names:
                values = self.weights[self.names[entry.name]].detach().float().contiguous().numpy()
                entry.CopyFrom(numpy_helper.from_array(values, entry.name))
        return new
