"""Train the small network that distinguishes a face seen as usual from a disturbed one.

It looks at an upright chip of 48 pixels and says whether it shows a face as a camera sees one, or
one that is turned, negative, stretched, overexposed, partly covered, in wrong colours, or none at
all. Chips come from photos of folds 0 to 5 of UTKFace, each as it is and disturbed in every way,
through the same detector and landmarks as any photo. Folds 6 and 7 are never learnt from. Needs
PyTorch (``pip install ".[networks]"``).

    python benchmarks/train_appearance.py chips --data UTKFACE --work FOLDER
    python benchmarks/train_appearance.py train --work FOLDER
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from _data import add_data_arguments, read_data
from _degrade import degrade
from _disturb import brighter, cover, negative, stretched
from _onnx_half import to_half
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import ageboost
from ageboost import read_photo
from ageboost.errors import PhotoError
from ageboost.faces import FaceFinder
from ageboost.faces.landmarks import load_predictor, predict_landmarks

# Chips are kept larger than the network's input, so that they can be shifted a little.
SIDE, INPUT = 64, 48
BATCH = 128
OUT = Path(ageboost.__file__).parent / "faces" / "weights" / "appearance.onnx"
LABELS = ("usual", "turned", "negative", "stretched", "overexposed", "covered", "colours", "none")
PARTS = ("eyes", "lower half", "sunglasses", "mask", "side")
# A chip with more of its levels at the end of the scale than this is overexposed.
BURNT, NOT_BURNT = 0.35, 0.2


def chip_of(face) -> np.ndarray:
    return cv2.resize(face.chip(128, 0.3, 5), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def burnt(chip: np.ndarray) -> float:
    return float((chip[8:-8, 8:-8].max(axis=2) >= 252).mean())


def as_usual(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change a photo as cameras do."""
    kind = rng.integers(5)
    if kind == 0:
        height, width = photo.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-28, 28), 1)
        return cv2.warpAffine(photo, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    if kind == 1:
        return degrade(photo, rng)
    if kind == 2:
        gamma = np.exp(rng.uniform(-0.7, 0.7))
        return (255 * (photo / 255.0) ** gamma).astype(np.uint8)
    if kind == 3:
        gains = np.exp(rng.uniform(-0.2, 0.2, 3))
        return (photo * gains).clip(0, 255).astype(np.uint8)
    low, span = rng.uniform(0, 70), rng.uniform(0.35, 0.8)
    return (low + photo * span).clip(0, 255).astype(np.uint8)


def variants(photo: np.ndarray, points: np.ndarray, rng: np.random.Generator):
    """Yield a label and a photo for each way to show this face."""
    yield "usual", as_usual(photo, rng)
    for quarter in rng.permutation([1, 2, 3])[:2]:
        yield "turned", np.ascontiguousarray(np.rot90(photo, quarter))
    yield "negative", negative(photo)
    factor = np.exp(rng.uniform(np.log(1.6), np.log(2.4)))
    yield "stretched", stretched(photo, factor)
    yield "stretched", stretched(photo, 1 / factor)
    yield "overexposed", brighter(photo, rng.uniform(2, 4.5))
    yield "covered", cover(photo, points, "eyes", rng)
    yield "covered", cover(photo, points, "lower half", rng)
    yield "covered", cover(photo, points, str(rng.choice(PARTS)), rng)


def box_in(changed, photo, box, label, rng) -> np.ndarray:
    """Place the box about where a detector finds the face after a change."""
    middle, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).mean()
    old, new = np.array(photo.shape[1::-1]), np.array(changed.shape[1::-1])
    if label == "turned":
        # Which way does not matter where the face is near the middle, as here it is.
        quarters = next(q for q in (1, 2, 3) if np.array_equal(np.rot90(photo, q), changed))
        x, y = middle
        width, height = old
        middle = np.array([(y, width - x), (width - x, height - y), (height - y, x)][quarters - 1])
    else:
        middle = middle * new / old
        side = side * np.sqrt(np.prod(new / old))
    side *= rng.uniform(0.85, 1.15)
    middle = middle + rng.uniform(-0.08, 0.08, 2) * side
    return np.concatenate([middle - side / 2, middle + side / 2])


def no_faces(photo: np.ndarray, face, rng: np.random.Generator):
    """Yield boxes beside the face, and the photo without it."""
    height, width = photo.shape[:2]
    side = face.box.right - face.box.left
    for _ in range(2):
        size = side * rng.uniform(0.3, 1.0)
        x, y = rng.uniform(-size / 4, width - size * 0.75), rng.uniform(-size / 4, height - size)
        middle = np.array([x + size / 2, y + size / 2])
        away = np.abs(
            middle - [(face.box.left + face.box.right) / 2, (face.box.top + face.box.bottom) / 2]
        ).max()
        if away > 0.45 * side or size < 0.4 * side:
            yield photo, [x, y, x + size, y + size]


def make_chips(options: argparse.Namespace) -> None:
    if options.source == "utkface":
        table = read_data(options.data)
        photos = table.loc[table["fold"] < 6, "photo"].sample(frac=1, random_state=1).tolist()
    else:
        folder = options.data
        table = pd.read_csv(folder / "labels.csv")
        table = table[table["source"].isin(["london", "congress", "congress_grey"])]
        photos = [str(folder / p) for p in table["photo"].sample(frac=1, random_state=1)]
        photos = photos * 8
    photos = photos[options.part :: options.parts][: options.photos]
    finder, loose = FaceFinder(landmarks=5), FaceFinder(landmarks=5, threshold=-0.6, use_cnn=False)
    rng = np.random.default_rng(100 + options.part)
    chips, labels, sources, infos = [], [], [], []
    start = time.perf_counter()

    def add(face, label, number):
        chip = chip_of(face)
        if label in ("overexposed", "usual"):
            share = burnt(chip)
            if label == "overexposed":
                label = "overexposed" if share > BURNT else "usual" if share < NOT_BURNT else None
        if label is not None:
            chips.append(chip)
            labels.append(LABELS.index(label))
            sources.append(number)
            infos.append([face.quality.overall, face.quality.score])

    for number, path in enumerate(photos):
        try:
            photo = read_photo(path, max_side=300)
            if max(photo.shape) > 500:
                scale = 400 / max(photo.shape)
                photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            [face] = finder.find(photo, main_only=True)
        except PhotoError:
            continue
        add(face, "usual", number)
        points = predict_landmarks(load_predictor(5), photo, np.array(face.box))
        for label, changed in variants(photo, points, rng):
            box = box_in(changed, photo, np.array(face.box), label, rng)
            try:
                [found] = finder.find(changed, boxes=box, main_only=True)
                add(found, label, number)
            except PhotoError:
                continue
        for changed, box in no_faces(photo, face, rng):
            try:
                [found] = finder.find(changed, boxes=box)
                add(found, "none", number)
            except PhotoError:
                continue
        if number % 3 == 0:
            for found in loose.find(photo)[1:]:
                if found.quality.score < 0:
                    add(found, "none", number)
        if number % 100 == 99 or number == len(photos) - 1:
            print(
                number + 1,
                len(chips),
                np.bincount(labels, minlength=len(LABELS)),
                f"{time.perf_counter() - start:.0f} s",
                flush=True,
            )
            np.savez(
                options.work / f"chips-{options.source}-{options.part}.npz",
                chips=np.array(chips),
                labels=np.array(labels),
                sources=np.array(sources),
                infos=np.array(infos, np.float32),
            )


class Look(nn.Module):
    """Five convolutions and two layers over all places: the same chip always lies the same way."""

    WIDTHS = ((3, 12, 5, 2), (12, 24, 3, 2), (24, 24, 3, 1), (24, 48, 3, 2), (48, 48, 3, 1))

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, k, stride, k // 2, bias=False) for a, b, k, stride in self.WIDTHS
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b, _, _ in self.WIDTHS)
        self.dropout = nn.Dropout(0.3)
        self.hidden, self.last = nn.Linear(48 * 36, 48), nn.Linear(48, len(LABELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = nn.functional.relu(norm(convolution(x)))
        return self.last(self.dropout(nn.functional.relu(self.hidden(self.dropout(x.flatten(1))))))


def usual_size(chips: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(
        chips, INPUT, mode="bilinear", antialias=True, align_corners=False
    )


def change(chips: torch.Tensor, labels: torch.Tensor, rng: torch.Generator):
    """Shift, mirror and colour chips, and disturb some of those that are as usual."""
    n = len(chips)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(*shape, generator=rng)

    labels = labels.clone()
    usual = labels == 0
    draw = torch.rand(n, generator=rng)
    # Red and blue exchanged, where that shows.
    warm = (chips[:, 0] - chips[:, 2]).mean(dim=(1, 2)) > 0.05
    swap = usual & warm & (draw < 0.16)
    chips = torch.where(swap[:, None, None, None], chips.flip(1), chips)
    labels[swap] = LABELS.index("colours")
    inverse = usual & (draw > 0.97)
    chips = torch.where(inverse[:, None, None, None], 1 - chips, chips)
    labels[inverse] = LABELS.index("negative")
    for place in torch.nonzero(usual & (draw > 0.85) & (draw <= 0.97)).flatten().tolist():
        # Bars over the eyes, and what covers mouth and chin, in one colour or in noise.
        if torch.rand(1, generator=rng) < 0.5:
            top, bottom = uniform(0.24, 0.34, 1), uniform(0.45, 0.56, 1)
        else:
            top, bottom = uniform(0.48, 0.64, 1), uniform(0.85, 1.2, 1)
        left, right = uniform(-0.1, 0.22, 1), uniform(0.78, 1.1, 1)
        y0, y1, x0, x1 = (int((v * SIDE).clamp(0, SIDE)) for v in (top, bottom, left, right))
        size = (3, 1, 1) if torch.rand(1, generator=rng) < 0.75 else (3, y1 - y0, x1 - x0)
        chips[place, :, y0:y1, x0:x1] = torch.rand(size, generator=rng)
        labels[place] = LABELS.index("covered")
    scale, angle = uniform(0.9, 1.1, n), uniform(-0.12, 0.12, n)
    mirror = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    shift = uniform(-0.08, 0.08, n, 2)
    theta = torch.stack(
        [
            torch.stack([scale * angle.cos() * mirror, -scale * angle.sin(), shift[:, 0]], 1),
            torch.stack([scale * angle.sin() * mirror, scale * angle.cos(), shift[:, 1]], 1),
        ],
        1,
    )
    grid = nn.functional.affine_grid(theta, [n, 3, INPUT, INPUT], align_corners=False)
    chips = nn.functional.grid_sample(chips, grid, align_corners=False, padding_mode="border")
    coloured = labels != LABELS.index("overexposed")
    gain = uniform(0.75, 1.15, n, 1, 1, 1) * uniform(0.93, 1.07, n, 3, 1, 1)
    chips = torch.where(coloured[:, None, None, None], (chips * gain).clamp(0, 1), chips)
    grey = (torch.rand(n, generator=rng) < 0.1) & (labels != LABELS.index("colours"))
    chips = torch.where(
        grey[:, None, None, None], chips.mean(1, keepdim=True).expand_as(chips), chips
    )
    noisy = torch.rand(n, 1, 1, 1, generator=rng) < 0.2
    noise = 0.03 * torch.randn(chips.shape, generator=rng)
    return (chips + noisy * noise).clamp(0, 1), labels


def read_parts(options: argparse.Namespace):
    """Read the chips, less faces as usual that are too small, blurred or dark to be seen."""
    chips, labels, sources = [], [], []
    for number, path in enumerate(sorted(options.work.glob(f"chips-{options.source}-*.npz"))):
        with np.load(path) as part:
            seen = (part["labels"] != 0) | (part["infos"][:, 0] >= 0.3)
            chips.append(part["chips"][seen])
            labels.append(part["labels"][seen])
            sources.append(part["sources"][seen] * 100 + number)
    return (np.concatenate(values) for values in (chips, labels, sources))


def train(options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    rng = torch.Generator().manual_seed(0)
    chips, labels, sources = read_parts(options)
    chips = torch.from_numpy(chips).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(labels.astype(np.int64))
    held = torch.from_numpy(sources // 100 % 10 == 9)
    learn = torch.nonzero(~held).flatten()
    print(len(learn), "learn,", int(held.sum()), "held out", np.bincount(labels), flush=True)
    weights = torch.ones(len(LABELS))
    weights[0] = 3.0
    network, highest = Look(), 3e-3
    if options.resume:
        network.load_state_dict(torch.load(options.work / f"look-{options.source}.pt"))
        highest /= 2
    optimiser = torch.optim.AdamW(network.parameters(), highest, weight_decay=0.02)
    n_steps = options.epochs * (len(learn) // BATCH)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, highest, n_steps)
    start = time.perf_counter()
    for epoch in range(options.epochs):
        network.train()
        order = learn[torch.randperm(len(learn), generator=rng)]
        total = 0.0
        for first in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[first : first + BATCH]
            x, y = change(chips[rows].float() / 255, labels[rows], rng)
            loss = nn.functional.cross_entropy(network(x), y, weights, label_smoothing=0.01)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            total += float(loss.detach())
        network.eval()
        shares = predict(network, chips[held])
        print(
            f"epoch {epoch}: loss {total / max(1, len(order) // BATCH):.3f}, "
            f"{describe(shares, labels[held].numpy())}, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
        torch.save(network.state_dict(), options.work / f"look-{options.source}.pt")
    content = export(network)
    options.out.write_bytes(content)
    print(f"{options.out}: {len(content):,} bytes")


@torch.no_grad()
def predict(network: nn.Module, chips: torch.Tensor) -> np.ndarray:
    parts = [
        nn.functional.softmax(network(usual_size(chips[i : i + 500].float() / 255)), 1).numpy()
        for i in range(0, len(chips), 500)
    ]
    return np.concatenate(parts)


def describe(shares: np.ndarray, labels: np.ndarray) -> str:
    """Say how many disturbed faces pass where 13 in 1,000 faces as usual do not."""
    least = np.quantile(shares[labels == 0, 0], 0.013)
    passed = [
        f"{name} {(shares[labels == i, 0] >= least).mean():.3f}"
        for i, name in enumerate(LABELS)
        if i and (labels == i).any()
    ]
    return f"least {least:.3f}, pass: {', '.join(passed)}"


def export(network: Look) -> bytes:
    """Write it as ONNX, its norms folded into the convolutions, weights in half precision."""
    nodes, weights, tensor = [], [], "chip"

    def put(name: str, values: torch.Tensor) -> str:
        content = np.ascontiguousarray(values.detach().numpy().astype(np.float32))
        weights.append(numpy_helper.from_array(content, name))
        return name

    for i, (convolution, norm) in enumerate(zip(network.convolutions, network.norms, strict=True)):
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        names = [
            put(f"weights{i}", convolution.weight * scale[:, None, None, None]),
            put(f"bias{i}", norm.bias - norm.running_mean * scale),
        ]
        size, stride = convolution.kernel_size[0], convolution.stride[0]
        nodes.append(
            helper.make_node(
                "Conv",
                [tensor, *names],
                [f"conv{i}"],
                pads=[size // 2] * 4,
                strides=[stride] * 2,
            )
        )
        nodes.append(helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"]))
        tensor = f"relu{i}"
    nodes.append(helper.make_node("Flatten", [tensor], ["flat"]))
    hidden = ["flat", put("weights_h", network.hidden.weight), put("bias_h", network.hidden.bias)]
    nodes.append(helper.make_node("Gemm", hidden, ["hidden"], transB=1))
    nodes.append(helper.make_node("Relu", ["hidden"], ["seen"]))
    last = ["seen", put("weights_l", network.last.weight), put("bias_l", network.last.bias)]
    nodes.append(helper.make_node("Gemm", last, ["logits"], transB=1))
    nodes.append(helper.make_node("Softmax", ["logits"], ["shares"], axis=1))
    graph = helper.make_graph(
        nodes,
        "appearance",
        [helper.make_tensor_value_info("chip", TensorProto.FLOAT, ["n", 3, INPUT, INPUT])],
        [helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["n", len(LABELS)])],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    return to_half(model, {"shares": "shares"}).SerializeToString()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("step", choices=["chips", "train"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--source", default="utkface")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=2)
    parser.add_argument("--photos", type=int, default=1600)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--resume", action="store_true", help="go on from the last training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    make_chips(options) if options.step == "chips" else train(options)


if __name__ == "__main__":
    main()
