"""Bring networks to whole numbers of 8 bits, in which processors compute two to three times faster.

Ranges of activations are learnt from photos of folds 0 to 5. Weights are kept to 7 bits, so that
sums fit into 16 bits on processors without instructions for neural networks, and ages are the same
on all of them. Rounding moves the mean of each channel; biases are corrected for it, layer by
layer. Where the first layers of a network kept the weights of another, they become the other's
whole numbers as well, so that they need to be computed only once for both. Run it from the root
of the repository:

    python benchmarks/quantize_networks.py --data UTKFACE --out FOLDER
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from _data import add_data_arguments, read_data
from onnx import numpy_helper
from onnx.utils import Extractor
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from ageboost.errors import PhotoError
from ageboost.faces import Face, FaceFinder, stack_chips
from ageboost.features import Network
from ageboost.features._graphs import extract_part
from ageboost.features.known_networks import get_network, in_whole_numbers

FLOATS = Path(__file__).with_name("networks")
# Files of weights, and the networks that read them.
NETWORKS = {
    "utkface_mobilenet.onnx": ("utkface-mobilenet", "utkface-mobilenet-small"),
    "utkface_mobilenet_large.onnx": ("utkface-mobilenet-large",),
    "utkface_dlib.onnx": ("utkface-dlib",),
}
# What networks begin as that kept the weights of the first layers.
BEGINNINGS = {"utkface_mobilenet_large.onnx": in_whole_numbers(get_network("mobilenet-age-large"))}
OUTPUTS = ("age", "older", "last")
OPERATORS = ["Conv", "Add", "Clip", "Relu", "MaxPool"]
BATCH = 16


class Batches(CalibrationDataReader):
    """Inputs of a network, batch by batch, as the quantiser asks for them."""

    def __init__(self, blobs: list[npt.NDArray[np.float32]], name: str):
        self.batches = ({name: blob} for blob in blobs)

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        return next(self.batches, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, default=400, help="to learn from (default: 400)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--files", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    options = parser.parse_args()
    table = read_data(options.data)
    photos = table[table["fold"] < 6]["photo"].sample(options.photos, random_state=0)
    faces = list(find_faces(photos))
    for file_name in options.files:
        names = NETWORKS[file_name]
        networks = [replace(get_network(name), weights=FLOATS / file_name) for name in names]
        quantised = quantise(networks, faces, BEGINNINGS.get(file_name))
        (options.out / file_name).write_bytes(quantised.SerializeToString())
        print(f"{options.out / file_name}: {quantised.ByteSize():,} bytes")


def find_faces(photos) -> Iterator[Face]:
    finder = FaceFinder()
    for photo in photos:
        try:
            yield finder.find(photo, main_only=True)[0]
        except PhotoError:
            continue


def quantise(
    networks: list[Network], faces: list[Face], beginning: Network | None
) -> onnx.ModelProto:
    blobs = []
    for network in networks:
        chips = stack_chips(
            faces, network.input_size, network.padding, n_landmarks=network.landmarks
        )
        chips[::2] = chips[::2, :, ::-1]
        blobs += [network.prepare(chips[i : i + BATCH]) for i in range(0, len(chips), BATCH)]
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "small.onnx"
        simplify(networks[0], plain)
        original = onnx.load(plain)
        name = original.graph.input[0].name
        quantize_static(
            plain,
            small,
            Batches(blobs, name),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        quantised, n_begun = onnx.load(small), 0
        if beginning is not None:
            quantised, n_begun = begin_as(quantised, beginning)
        return correct_biases(original, quantised, blobs, n_begun)


def simplify(network: Network, path: Path) -> None:
    """Fold constants, half precision among them, and leave out what is behind the outputs."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(network.read_weights()))
    part = Extractor(model).extract_model([model.graph.input[0].name], list(OUTPUTS))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(
        part.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    named = onnx.load(path)
    for position, node in enumerate(named.graph.node):
        node.name = f"node{position}"
    onnx.save(named, path)


def begin_as(quantised: onnx.ModelProto, beginning: Network) -> tuple[onnx.ModelProto, int]:
    """Put the first layers of another network in the place of those that have the same weights.

    Returns
    -------
    model : onnx.ModelProto
    n_begun : int
        How many convolutions are the other network's.
    """
    tensor = str(beginning.stem).removesuffix(" whole")
    stem = extract_part(beginning.read_weights(), None, [beginning.stem], beginning.name).graph
    joint = f"{tensor}_DequantizeLinear_Output"
    model = extract_part(quantised.SerializeToString(), joint, OUTPUTS, "to be rounded")
    steps = {t.name: t for t in [*quantised.graph.initializer, *stem.initializer]}
    theirs, ours = f"{tensor} step", f"{tensor}_scale"
    # The clipped activation has the same range in both, so biases behind it keep their unit.
    if numpy_helper.to_array(steps[theirs]) != numpy_helper.to_array(steps[ours]):
        raise ValueError(f"{tensor} is rounded to other steps than in {beginning.name}")
    back = onnx.helper.make_node(
        "DequantizeLinear", [beginning.stem, theirs, f"{tensor} zero"], [joint], name=joint
    )
    nodes = [*stem.node, back, *model.graph.node]
    del model.graph.node[:], model.graph.input[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    model.graph.input.extend(stem.input)
    model.graph.initializer.extend(stem.initializer)
    onnx.checker.check_model(model)
    return model, sum(node.op_type == "Conv" for node in stem.node)


def correct_biases(
    original: onnx.ModelProto,
    quantised: onnx.ModelProto,
    blobs: list[npt.NDArray[np.float32]],
    n_begun: int,
) -> onnx.ModelProto:
    """Shift each bias by what rounding has moved the mean of its channel, but for the first few."""
    weights = {tensor.name: tensor for tensor in quantised.graph.initializer}
    producers = {output: node for node in quantised.graph.node for output in node.output}
    convolutions = {node.name: node for node in quantised.graph.node if node.op_type == "Conv"}
    floats = [node for node in original.graph.node if node.op_type == "Conv"][n_begun:]
    targets = channel_means(original, [node.output[0] for node in floats], blobs)
    for node, target in zip(floats, targets, strict=True):
        rounded = convolutions[node.name]
        [mean] = channel_means(quantised, [rounded.output[0]], blobs)
        values, scale = (weights[name] for name in producers[rounded.input[2]].input[:2])
        shift = np.rint((target - mean) / numpy_helper.to_array(scale))
        bias = numpy_helper.to_array(values) + shift.astype(np.int32)
        values.CopyFrom(numpy_helper.from_array(bias, values.name))
    return quantised


def channel_means(
    model: onnx.ModelProto, tensors: list[str], blobs: list[npt.NDArray[np.float32]]
) -> list[npt.NDArray[np.float64]]:
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    session = onnxruntime.InferenceSession(
        asked.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    # Each batch counts alike, whatever its size in pixels.
    sums = [np.zeros(1)] * len(tensors)
    for blob in blobs:
        arrays = session.run(None, {name: blob})
        means = [array.mean(axis=(0, 2, 3), dtype=np.float64) for array in arrays]
        sums = [total + mean for total, mean in zip(sums, means, strict=True)]
    return [total / len(blobs) for total in sums]


if __name__ == "__main__":
    main()
