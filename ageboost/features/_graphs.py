"""Parts of the graphs of networks: from the input, or from a tensor on the way, to some levels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import onnx
from onnx.utils import Extractor

__all__ = ["extract_part", "is_complete", "part_digest"]


def extract_part(
    content: bytes, start: str | None, levels: Sequence[str], name: str
) -> onnx.ModelProto:
    """Take of a network what leads to some levels.

    Parameters
    ----------
    content : bytes
        Of an ONNX file.
    start : str or None
        The tensor that goes in. None for the network's own input.
    levels : sequence of str
        The tensors that come out.
    name : str
        Of the network, for errors.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ValueError
        If the network has no such tensor.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(content))
    known = [output for node in model.graph.node for output in node.output]
    asked = {*levels, *([] if start is None else [start])}
    unknown = sorted(asked - set(known))
    if unknown:
        raise ValueError(
            f"network {name!r} has no tensor {', '.join(unknown[:5])}: "
            f"it has {', '.join(known[:5])} ... {', '.join(known[-5:])}"
        )
    inputs = [value.name for value in model.graph.input[:1]] if start is None else [start]
    return Extractor(model).extract_model(inputs, list(levels))


def is_complete(part: onnx.ModelProto) -> bool:
    """Whether all that a part reads is its own: nothing before the tensor that goes in is needed.

    Parameters
    ----------
    part : onnx.ModelProto

    Returns
    -------
    bool
    """
    graph = part.graph
    own = {value.name for value in (*graph.input, *graph.initializer)} | {""}
    own |= {output for node in graph.node for output in node.output}
    return all(read in own for node in graph.node for read in node.input)


def part_digest(part: onnx.ModelProto, beside: object) -> str:
    """Digest the nodes and weights of a part, and what else must be equal.

    Parameters
    ----------
    part : onnx.ModelProto
    beside : object
        Its ``repr`` counts.

    Returns
    -------
    str
        128 bits, hexadecimal.
    """
    digest = hashlib.blake2b(repr(beside).encode(), digest_size=16)
    graph = part.graph
    for one in (*graph.node, *sorted(graph.initializer, key=lambda tensor: tensor.name)):
        digest.update(one.SerializeToString())
    return digest.hexdigest()
