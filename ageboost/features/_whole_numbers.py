"""Networks in whole numbers of 8 bits, made of their floating-point weights when they are read.

What cannot be computed from the weights, since it was learnt from photos, is kept in a small file:
in which range each activation lies, and how far rounded weights move means.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

__all__ = ["Ranges", "fold_casts", "read_ranges", "to_whole_numbers", "write_ranges"]

# Sums of two products of 8 and of 7 bits fit into 16, in which processors without instructions for
# neural networks add them up: with 8 and 8 bits they would overflow there, and ages would differ.
_LARGEST_WEIGHT = 63


class Ranges(NamedTuple):
    """What was learnt of a network's activations.

    Attributes
    ----------
    steps : dict of str to (float, int)
        By tensor: how much one step is, and which number stands for 0.
    shifts : dict of str to ndarray of int32
        By the tensor that a convolution gives: what is added to its biases, in units of its
        products, since rounded weights add up to something else.
    """

    steps: dict[str, tuple[float, int]]
    shifts: dict[str, npt.NDArray[np.int32]]


def read_ranges(path: str | os.PathLike[str]) -> Ranges:
    """Read what was learnt of a network's activations.

    Parameters
    ----------
    path : path
        As :func:`write_ranges` writes it.

    Returns
    -------
    Ranges
    """
    with np.load(path, allow_pickle=False) as arrays:
        steps = zip(arrays["tensors"], arrays["scales"], arrays["zero_points"], strict=True)
        parts = np.split(arrays["shifts"], np.cumsum(arrays["n_channels"])[:-1])
        shifts = dict(zip(arrays["convolutions"].tolist(), parts, strict=True))
        return Ranges({str(name): (float(scale), int(zero)) for name, scale, zero in steps}, shifts)


def write_ranges(path: str | os.PathLike[str], ranges: Ranges) -> None:
    """Write what was learnt of a network's activations.

    Parameters
    ----------
    path : path
    ranges : Ranges
    """
    np.savez_compressed(
        path,
        tensors=np.array(list(ranges.steps)),
        scales=np.array([scale for scale, _ in ranges.steps.values()], np.float32),
        zero_points=np.array([zero for _, zero in ranges.steps.values()], np.uint8),
        convolutions=np.array(list(ranges.shifts)),
        n_channels=np.array([len(shift) for shift in ranges.shifts.values()]),
        shifts=np.concatenate(list(ranges.shifts.values())),
    )


def to_whole_numbers(model: onnx.ModelProto, ranges: Ranges) -> onnx.ModelProto:
    """Let a network compute in whole numbers wherever ranges are known.

    Tensors keep their names: what is read by a name is what the whole numbers stand for.

    Parameters
    ----------
    model : onnx.ModelProto
        In single or half precision, its activations (ReLU, clipping) behind convolutions and sums.
    ranges : Ranges

    Returns
    -------
    onnx.ModelProto
    """
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    graph = _Graph(fold_casts(whole))
    for node in list(graph.proto.node):
        if node.op_type == "Conv":
            graph.round_convolution(node, ranges.steps, ranges.shifts.get(node.output[0]))
    for name, (scale, zero) in ranges.steps.items():
        graph.round_tensor(name, scale, zero)
    graph.sort()
    graph.drop_unread()
    return whole


def fold_casts(model: onnx.ModelProto) -> onnx.ModelProto:
    """Widen weights in half precision here, where a graph would do so when it is run.

    Parameters
    ----------
    model : onnx.ModelProto
        It is changed.

    Returns
    -------
    onnx.ModelProto
        The same.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    casts = [n for n in graph.node if n.op_type == "Cast" and n.input[0] in weights]
    for cast in casts:
        values = numpy_helper.to_array(weights[cast.input[0]])
        dtype = helper.tensor_dtype_to_np_dtype(cast.attribute[0].i)
        graph.initializer.append(numpy_helper.from_array(values.astype(dtype), cast.output[0]))
        graph.node.remove(cast)
    return model


class _Graph:
    """A graph whose tensors are rounded one after the other."""

    def __init__(self, model: onnx.ModelProto):
        self.proto = model.graph
        self.weights = {tensor.name: tensor for tensor in self.proto.initializer}

    def array(self, name: str) -> npt.NDArray[Any]:
        return numpy_helper.to_array(self.weights[name])

    def constant(self, name: str, values: npt.ArrayLike) -> str:
        tensor = numpy_helper.from_array(np.asarray(values), name)
        self.proto.initializer.append(tensor)
        self.weights[name] = tensor
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> None:
        node = helper.make_node(operator, inputs, [output], name=f"{operator} {output}")
        node.attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
        self.proto.node.append(node)

    def round_convolution(
        self,
        node: onnx.NodeProto,
        steps: Mapping[str, tuple[float, int]],
        shift: npt.NDArray[np.int32] | None,
    ) -> None:
        """Round the weights of each channel, and the biases to the unit of its products."""
        source, weights, bias = node.input
        values = self.array(weights).astype(np.float32)
        largest = np.abs(values).max(axis=(1, 2, 3))
        # A channel of zeros has no unit of its own.
        scales = np.where(largest > 0, largest / _LARGEST_WEIGHT, 1).astype(np.float32)
        rounded = np.rint(values / scales[:, None, None, None]).astype(np.int8)
        units = scales * np.float32(steps[source][0])
        whole_bias = np.rint(self.array(bias).astype(np.float64) / units).astype(np.int32)
        if shift is not None:
            whole_bias += shift
        node.input[1] = self._constant_in_steps(f"{node.output[0]} weights", rounded, scales)
        node.input[2] = self._constant_in_steps(f"{node.output[0]} bias", whole_bias, units)

    def _constant_in_steps(
        self, name: str, values: npt.NDArray, scales: npt.NDArray[np.float32]
    ) -> str:
        zero = self.constant(f"{name} zero", np.zeros(len(scales), values.dtype))
        step = self.constant(f"{name} step", scales)
        self.add(
            "DequantizeLinear", [self.constant(f"{name} whole", values), step, zero], name, axis=0
        )
        return name

    def round_tensor(self, name: str, scale: float, zero: int) -> None:
        """Let all that read a tensor read it in steps."""
        producer = next((n for n in self.proto.node if name in n.output), None)
        exact = f"{name} exact"
        if producer is None:
            # The input of the network keeps its name: those behind it read another one.
            exact, name = name, f"{name} in steps"
            for node in self.proto.node:
                node.input[:] = [name if read == exact else read for read in node.input]
        elif producer.op_type in ("Relu", "Clip") and zero == 0:
            # Steps begin at 0 and end where the tensor does, so rounding cuts off what these would.
            exact = producer.input[0]
            self.proto.node.remove(producer)
        else:
            producer.output[:] = [exact if out == name else out for out in producer.output]
        step = self.constant(f"{name} step", np.float32(scale))
        zero_point = self.constant(f"{name} zero", np.uint8(zero))
        self.add("QuantizeLinear", [exact, step, zero_point], f"{name} whole")
        self.add("DequantizeLinear", [f"{name} whole", step, zero_point], name)

    def drop_unread(self) -> None:
        """Let go of weights in floating point: they are four times as large as what is read."""
        read = {name for node in self.proto.node for name in node.input}
        kept = [tensor for tensor in self.proto.initializer if tensor.name in read]
        kept = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
        del self.proto.initializer[:]
        self.proto.initializer.extend(kept)

    def sort(self) -> None:
        """Put each node behind those whose output it reads."""
        waiting, done = list(self.proto.node), {value.name for value in self.proto.input}
        done |= self.weights.keys()
        ordered: list[onnx.NodeProto] = []
        while waiting:
            ready = [n for n in waiting if all(read in done or not read for read in n.input)]
            done |= {output for node in ready for output in node.output}
            waiting = [n for n in waiting if not any(n is other for other in ready)]
            ordered += ready
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
        del self.proto.node[:]
        self.proto.node.extend(nodes)
