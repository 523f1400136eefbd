"""Write the networks of others that ship with ageboost, in half precision.

    python benchmarks/convert_networks.py --models FOLDER

reads ``age_resnet10.onnx`` and ``face_mobilenet.onnx``, whose origin and terms stand in
``ageboost/features/weights/README.md``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from _onnx_half import to_half
from _onnx_torch import fold_constants

WEIGHTS = Path(__file__).resolve().parents[1] / "ageboost" / "features" / "weights"
OUTPUTS = {
    "age_resnet10.onnx": {
        "layer_22_relu": "level2",
        "layer_3_relu": "level3",
        "layer_1_flatten": "means",
        "probabilities": "shares",
    },
    "face_mobilenet.onnx": {
        "level_11": "level11",
        "embedding": "means",
        "features": "features",
        "age_logits": "logits",
    },
}
SHIPPED = {"age_resnet10.onnx": "dlib_age.onnx", "face_mobilenet.onnx": "mobilenet_age.onnx"}
SIDES = {"age_resnet10.onnx": 64, "face_mobilenet.onnx": 224}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=Path, required=True, help="folder of the two files")
    options = parser.parse_args()
    WEIGHTS.mkdir(exist_ok=True)
    for name, outputs in OUTPUTS.items():
        original = onnx.load(options.models / name)
        half = to_half(fold_constants(original), outputs)
        path = WEIGHTS / SHIPPED[name]
        path.write_bytes(half.SerializeToString())
        chips = np.random.default_rng(0).uniform(-100, 100, (2, 3, SIDES[name], SIDES[name]))
        if name == "age_resnet10.onnx":
            chips /= 256
        last = list(outputs)[-1]
        before, after = (
            onnxruntime.InferenceSession(model.SerializeToString()).run(
                [tensor], {model.graph.input[0].name: chips.astype(np.float32)}
            )[0]
            for model, tensor in [(original, last), (half, outputs[last])]
        )
        print(
            f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, last layer differs by at most "
            f"{np.abs(before - after).max():.2g} of {np.abs(before).max():.2g}"
        )


if __name__ == "__main__":
    main()
