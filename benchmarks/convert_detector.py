r"""Write BlazeFace, which finds faces, as the ONNX graph that ships with ageboost.

    pip download --no-deps mediapipe==0.10.14 && unzip mediapipe-0.10.14-*.whl
    pip install tflite ai-edge-litert
    python benchmarks/convert_detector.py \
        mediapipe/modules/face_detection/face_detection_short_range.tflite

No part of TensorFlow is needed to write it. What is written is compared with what the file answers
in Google's own runtime, where that (``ai-edge-litert``) is installed.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from _onnx_half import to_half
from _tflite_onnx import Converter

WEIGHTS = Path(__file__).resolve().parents[1] / "ageboost" / "faces" / "weights"
OUTPUTS = ["boxes", "scores"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="BlazeFace's file of TensorFlow Lite")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "blazeface.onnx")
    options = parser.parse_args()
    whole = Converter(options.model.read_bytes()).convert(OUTPUTS)
    half = to_half(whole, {name: name for name in OUTPUTS})
    options.out.write_bytes(half.SerializeToString())
    print(f"{options.out.name}: {options.out.stat().st_size / 1e3:.0f} kB")
    if find_spec("ai_edge_litert"):
        compare(half, options.model)


def compare(model: onnx.ModelProto, original: Path) -> None:
    """Print how far the answers for random pixels are from those of the file itself."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(original), num_threads=1)
    interpreter.allocate_tensors()
    [given] = interpreter.get_input_details()
    pixels = np.random.default_rng(0).uniform(-1, 1, given["shape"]).astype(np.float32)
    interpreter.set_tensor(given["index"], pixels)
    interpreter.invoke()
    theirs = [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    ours = session.run(OUTPUTS, {"photo": np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))})
    for name, answer in zip(OUTPUTS, ours, strict=True):
        [same] = [one for one in theirs if one.shape == answer.shape]
        off, largest = np.abs(answer - same).max(), np.abs(same).max()
        print(f"{name}: differ by at most {off:.2g} of {largest:.3g}")


if __name__ == "__main__":
    main()
