"""How networks that remember age are trained."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """How one network is trained."""

    outputs: tuple[str, ...]  # tensors that the new last layer reads, side by side
    sides: tuple[int, ...]  # pixels; batches take turns, so that the network serves at each
    padding: float
    channels: str
    mean: tuple[float, float, float]
    scale: float
    epochs: int
    rate: float  # learning rate at its peak
    head_rate: float
    frozen: int = 0  # convolutions from the input on that keep their weights
    more_epochs: int = 5  # at the end, gently
    batch: int = 64
    decay: float = 0.02
    dropout: float = 0.2
    average: float = 0.998  # of the averaged weights, per step
    witness: float = 0.0  # share of what frozen networks say of an age, beside the label
    cameras: float = 0.0  # share of the chips that are shown as another camera would
    keep: float = 0.0  # weight of the loss of the layer that keeps the first network's answers
    keep_side: int = 192  # pixels at which the first network is asked


MOBILENET = Recipe(
    outputs=("features", "embedding"),
    sides=(128, 160),
    padding=0.3,
    channels="bgr",
    mean=(103.939, 116.779, 123.68),
    scale=1.0,
    epochs=8,
    rate=4e-4,
    head_rate=1e-3,
    frozen=7,
)
DLIB = Recipe(
    outputs=("level4_mean", "level5_mean"),
    sides=(150,),
    padding=0.25,
    channels="rgb",
    mean=(122.782, 117.001, 104.298),
    scale=1 / 256,
    epochs=12,
    rate=6e-4,
    head_rate=2e-3,
)
# Twice as many steps, and labels of which a witness corrects some.
WITNESSED = {
    "batch": 32,
    "average": 0.999,
    "cameras": 0.25,
    "witness": 0.25,
    "more_epochs": 4,
}
RECIPES = {
    "mobilenet": MOBILENET,
    "mobilenet-witnessed": replace(MOBILENET, epochs=7, rate=3e-4, head_rate=8e-4, **WITNESSED),
    "mobilenet-large": replace(MOBILENET, sides=(192,)),
    "dlib": DLIB,
    "dlib-witnessed": replace(DLIB, epochs=9, rate=4e-4, head_rate=1.5e-3, **WITNESSED),
    # At 128 pixels the first network's own answers are half a year worse: not worth keeping.
    "mobilenet-kept": replace(
        MOBILENET, sides=(160,), cameras=0.5, keep=0.5, epochs=7, more_epochs=3
    ),
    "resnet10": replace(DLIB, outputs=("layer_1_flatten",), sides=(112,), epochs=10),
}
