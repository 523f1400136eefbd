"""Learn what networks need to compute in whole numbers of 8 bits when they are read.

That is the range of each activation, from photos of folds 0 to 5, and by how much rounded weights
move means, which biases make up for. The files are small: weights themselves are
rounded by ageboost. Prints how far levels move, and how much quicker they are. Run it from the root
of the repository:

    python benchmarks/learn_ranges.py --data UTKFACE --out ageboost/features/weights
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import _one_thread  # noqa: F401
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from _data import add_data_arguments, read_data
from onnx import numpy_helper
from onnx.utils import Extractor
from quantize_networks import find_faces

from ageboost._onnx import make_session
from ageboost.faces import stack_chips
from ageboost.features import Network
from ageboost.features._whole_numbers import Ranges, fold_casts, to_whole_numbers, write_ranges
from ageboost.features.known_networks import get_network

NETWORKS = ("dlib", "mobilenet-age", "mobilenet-age-large")
BATCH = 16
LARGEST = 255  # of 8 bits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, default=160, help="to learn from (default: 160)")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="which networks")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.parse_args()
    table = read_data(options.data)
    photos = table[table["fold"] < 6]["photo"].sample(options.photos, random_state=0)
    faces = list(find_faces(photos))
    for name in options.networks:
        network = get_network(name)
        chips = stack_chips(
            faces, network.input_size, network.padding, n_landmarks=network.landmarks
        )
        chips[::2] = chips[::2, :, ::-1]
        blobs = [network.prepare(chips[i : i + BATCH]) for i in range(0, len(chips), BATCH)]
        model = read_part(network)
        ranges = learn_ranges(model, blobs)
        write_ranges(options.out / f"{name}.ranges.npz", ranges)
        compare(network, model, to_whole_numbers(model, ranges), blobs[0])


def read_part(network: Network) -> onnx.ModelProto:
    """Read as much of a network as its levels need."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(network.read_weights()))
    part = Extractor(model).extract_model([model.graph.input[0].name], list(network.levels))
    return fold_casts(part)


def learn_ranges(model: onnx.ModelProto, blobs: list[npt.NDArray[np.float32]]) -> Ranges:
    tensors, alike = tensors_to_round(model)
    source = model.graph.input[0].name
    asked = [name for name in tensors if name != source]
    session = open_tensors(model, asked)
    low, high, mean = (dict.fromkeys(tensors, 0.0) for _ in range(3))
    for blob in blobs:
        found = dict(zip(asked, session.run(None, {source: blob}), strict=True)) | {source: blob}
        for name, values in found.items():
            low[name] = min(low[name], float(values.min()))
            high[name] = max(high[name], float(values.max()))
            mean[name] = mean[name] + values.mean(axis=(0, 2, 3), dtype=np.float64) / len(blobs)
    steps = {}
    for name in tensors:
        step = float(np.float32((high[name] - low[name]) / LARGEST))
        steps[name] = step, int(np.rint(-low[name] / step))
    steps |= {name: steps[other] for name, other in alike.items()}
    return Ranges(steps, lost_by_rounding(model, steps, mean))


def tensors_to_round(model: onnx.ModelProto) -> tuple[list[str], dict[str, str]]:
    """List what convolutions and sums read and give, and what has the steps of something else."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def activated(name: str) -> str:
        behind = readers.get(name, [])
        alone = len(behind) == 1 and behind[0].op_type in ("Relu", "Clip")
        return behind[0].output[0] if alone else name

    tensors, alike = [], {}
    for node in model.graph.node:
        if node.op_type == "Conv":
            tensors += [node.input[0], activated(node.output[0])]
        elif node.op_type == "Add":
            tensors += [*node.input, activated(node.output[0])]
        elif node.op_type == "MaxPool":
            tensors.append(node.output[0])
            alike[node.output[0]] = node.input[0]
    return list(dict.fromkeys(tensors)), alike


def lost_by_rounding(
    model: onnx.ModelProto, steps: dict[str, tuple[float, int]], mean: dict[str, npt.NDArray]
) -> dict[str, npt.NDArray[np.int32]]:
    """Compute what rounded weights take from each channel, for inputs that are as usual."""
    rounded = to_whole_numbers(model, Ranges(steps, {}))
    arrays = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in (*model.graph.initializer, *rounded.graph.initializer)
    }
    shifts = {}
    for node in (node for node in model.graph.node if node.op_type == "Conv"):
        whole, step = (arrays[f"{node.output[0]} weights {part}"] for part in ("whole", "step"))
        lost = arrays[node.input[1]].astype(np.float64) - whole * step[:, None, None, None]
        lost, usual = lost.sum(axis=(2, 3)), mean[node.input[0]]
        # Depthwise, each channel has an input of its own.
        moved = lost[:, 0] * usual if lost.shape[1] == 1 else lost @ usual
        shifts[node.output[0]] = np.rint(moved / arrays[f"{node.output[0]} bias step"]).astype(
            np.int32
        )
    return shifts


def open_tensors(model: onnx.ModelProto, names: list[str]) -> onnxruntime.InferenceSession:
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return make_session(opened.SerializeToString())


def compare(
    network: Network,
    exact: onnx.ModelProto,
    whole: onnx.ModelProto,
    blob: npt.NDArray[np.float32],
) -> None:
    levels, source = list(network.levels), exact.graph.input[0].name
    sessions = [make_session(model.SerializeToString()) for model in (exact, whole)]
    found = [session.run(levels, {source: blob}) for session in sessions]
    for level, before, after in zip(levels, *found, strict=True):
        moved = np.sqrt(np.mean((after - before) ** 2)) / before.std()
        print(f"{network.name}, {level}: moves by {moved:.1%} of its spread")
    seconds = [[], []]
    for _ in range(7):
        for session, times in zip(sessions, seconds, strict=True):
            start = time.process_time()
            session.run(levels, {source: blob})
            times.append(time.process_time() - start)
    before, after = (1e3 * min(times) / len(blob) for times in seconds)
    print(f"{network.name}: {before:.2f} ms, {after:.2f} ms: {before / after:.1f} times faster")


if __name__ == "__main__":
    main()
