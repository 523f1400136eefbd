"""Networks in half precision: valid ONNX, computed in single precision, half the bytes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.shape_inference import infer_shapes

_SMALLEST = 256  # smaller constants are not worth a cast, and some must be exact


def to_half(model: onnx.ModelProto, outputs: dict[str, str]) -> onnx.ModelProto:
    """Store large weights as float16 behind a cast, and name what is given out.

    Parameters
    ----------
    model : onnx.ModelProto
    outputs : dict of str to str
        New names of tensors by their names in the graph; the others are no outputs any more, and
        layers that none of them needs are left out.

    Returns
    -------
    onnx.ModelProto
        ONNX Runtime undoes the casts once, when it loads the file.
    """
    needed, nodes = set(outputs), []
    for original in reversed(model.graph.node):
        if original.output[0] in needed:
            node = onnx.NodeProto()
            node.CopyFrom(original)
            needed |= set(node.input)
            nodes.append(node)
    for node in nodes:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = outputs.get(name, name)
    weights, casts = [], []
    for entry in model.graph.initializer:
        if entry.name not in needed:
            continue
        values = numpy_helper.to_array(entry)
        if values.dtype == np.float32 and values.size >= _SMALLEST:
            half = f"{entry.name}_half"
            weights.append(numpy_helper.from_array(values.astype(np.float16), half))
            casts.append(helper.make_node("Cast", [half], [entry.name], to=TensorProto.FLOAT))
        else:
            weights.append(entry)
    input_name = model.graph.input[0].name
    graph = helper.make_graph(
        [*casts, *reversed(nodes)],
        model.graph.name,
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["n", 3, "rows", "columns"])],
        [],
        weights,
    )
    # Recent onnx writes an IR version that the oldest ONNX Runtime we allow cannot read.
    half_model = helper.make_model(graph, opset_imports=model.opset_import, ir_version=8)
    known = {value.name: value for value in infer_shapes(half_model).graph.value_info}
    half_model.graph.output.extend(known[name] for name in outputs.values())
    onnx.checker.check_model(half_model)
    return half_model
