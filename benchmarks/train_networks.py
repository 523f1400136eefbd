"""Train the networks that remember age, from networks that others trained.

Each network is trained three times on folds 0 to 5 of UTKFace, each time without two folds, so
that every photo of these folds has an answer from a network that has not seen it: regressors learn
from those. The mean of the three networks' weights, or the nearest of the three, then goes on for
some epochs with all six folds, and ships in half precision. The three go on for as many, so that
regressors learn from networks as good as the one that ships. Folds 6 and 7 are never learnt from.
Training goes on from the last checkpoint when it is started again. Needs PyTorch (``pip install
".[networks]"``). On two cores it takes about an hour for each network.

``mobilenet-kept`` is the same MobileNet, shown chips as other cameras would have given them, and
held to what it answered before: half of its target is the label, half its own first answer to the
same chip (Z. Li and D. Hoiem, "Learning without Forgetting", ECCV 2016). It has not been trained to
the end yet; docs/networks.md lists the trials.

    python benchmarks/train_networks.py mobilenet --data UTKFACE --work FOLDER
"""

from __future__ import annotations

import argparse
import copy
import json
import queue
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pandas as pd
import torch
from _cameras import imitate_camera
from _chips import PADDING, SIDE, read_chips
from _data import add_data_arguments, photo_digests, read_data
from _onnx_half import to_half
from _onnx_torch import OnnxModule, fold_constants
from torch import nn

AGES = torch.arange(101.0)
# Shares of faces that are older than these ages join the expected age as features.
OLDER = (2, 4, 6, 9, 12, 15, 18, 21, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85)
MEMBERS = (0, 1, 2)
TRAIN_FOLDS = 6


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
    cameras: bool = False  # imitate other cameras
    keep: float = 0.0  # share of the target that is the first network's answer to the same chip


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
DLIB_MEAN, DLIB_SCALE = (122.782, 117.001, 104.298), 1 / 256
RECIPES = {
    "mobilenet": MOBILENET,
    # At 128 pixels the first network's own answers are half a year worse: not worth keeping.
    "mobilenet-kept": replace(MOBILENET, sides=(160,), cameras=True, keep=0.5),
    "dlib": Recipe(
        outputs=("level4_mean", "level5_mean"),
        sides=(150,),
        padding=0.25,
        channels="rgb",
        mean=DLIB_MEAN,
        scale=DLIB_SCALE,
        epochs=12,
        rate=6e-4,
        head_rate=2e-3,
    ),
    "resnet10": Recipe(
        outputs=("layer_1_flatten",),
        sides=(112,),
        padding=0.25,
        channels="rgb",
        mean=DLIB_MEAN,
        scale=DLIB_SCALE,
        epochs=10,
        rate=6e-4,
        head_rate=2e-3,
    ),
}


def read_start(name: str, models: Path) -> onnx.ModelProto:
    """Read the network to start from, folded."""
    if name.startswith("mobilenet"):
        return fold_constants(onnx.load(models / "face_mobilenet.onnx"))
    if name == "resnet10":
        return fold_constants(onnx.load(models / "age_resnet10.onnx"))
    from ageboost.faces.landmarks import dlib_weights
    from ageboost.features._dlib_resnet import build_dlib_resnet

    model = build_dlib_resnet(
        dlib_weights("dlib_face_recognition_resnet_model_v1.dat").read_bytes()
    )
    for level in ("level4", "level5"):
        model.graph.node.extend(
            [
                onnx.helper.make_node("GlobalAveragePool", [level], [f"{level}_pooled"]),
                onnx.helper.make_node("Flatten", [f"{level}_pooled"], [f"{level}_mean"]),
            ]
        )
    return fold_constants(model)


class AgeNetwork(nn.Module):
    """A network to start from, and a linear layer to 101 ages behind it."""

    def __init__(self, name: str, recipe: Recipe, start: onnx.ModelProto):
        super().__init__()
        self.body = OnnxModule(start, recipe.outputs)
        for weights in list(self.body.weights.values())[: 2 * recipe.frozen]:
            weights.requires_grad_(False)
        with torch.no_grad():
            blank = torch.zeros(1, 3, recipe.sides[0], recipe.sides[0])
            widths = [output.shape[1] for output in self.body(blank)]
        self.head = nn.Linear(sum(widths), len(AGES))
        self.dropout = nn.Dropout(recipe.dropout)
        if name.startswith("mobilenet"):
            self._start_head(start, "age_pred/kernel", "age_pred/bias")

    def _start_head(self, start: onnx.ModelProto, kernel: str, bias: str) -> None:
        """Begin with the age layer that the network has: ages 0 to 99."""
        known = {w.name: onnx.numpy_helper.to_array(w) for w in start.graph.initializer}
        with torch.no_grad():
            self.head.weight.zero_()
            weight = torch.tensor(known[kernel]).T
            self.head.weight[: len(weight), : weight.shape[1]] = weight
            self.head.bias.fill_(known[bias].min().item())
            self.head.bias[: len(weight)] = torch.tensor(known[bias])

    def to_onnx(self) -> onnx.ModelProto:
        """Build the graph from chips to ``age``, ``older`` and what the ``last`` layer reads."""
        model = self.body.to_onnx()
        add, constant = model.graph.node.append, model.graph.initializer.append
        ages = AGES.numpy()
        for name, values in {
            "head_weights": self.head.weight.detach().T.contiguous().numpy(),
            "head_bias": self.head.bias.detach().numpy(),
            "years": ages[:, None],
            "thresholds": (ages[:, None] >= np.array(OLDER)).astype(np.float32),
        }.items():
            constant(onnx.numpy_helper.from_array(values, name))
        make = onnx.helper.make_node
        add(make("Concat", list(self.body.outputs), ["last"], axis=1))
        add(make("Gemm", ["last", "head_weights", "head_bias"], ["head_logits"]))
        add(make("Softmax", ["head_logits"], ["head_shares"], axis=1))
        add(make("MatMul", ["head_shares", "years"], ["expected"]))
        add(make("MatMul", ["head_shares", "thresholds"], ["older_shares"]))
        return to_half(model, {"expected": "age", "older_shares": "older", "last": "last"})

    def forward(self, chips: torch.Tensor) -> torch.Tensor:
        features = torch.cat([output.float() for output in self.body(chips)], 1)
        return self.head(self.dropout(features))


def augment(
    chip: npt.NDArray[np.uint8], side: int, padding: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Turn, scale, shift, mirror, relight, blur and cover a chip."""
    share = (1 + 2 * padding) / (1 + 2 * PADDING)
    angle, zoom = rng.normal(0, 6), np.exp(rng.normal(0, 0.06))
    zoom *= side / (SIDE * share)
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), angle, zoom)
    turn[:, 2] += (side - SIDE) / 2 + rng.normal(0, 0.025, 2) * side
    if rng.random() < 0.5:
        turn[0] *= -1
        turn[0, 2] += side - 1
    cut = cv2.warpAffine(chip, turn, (side, side), flags=cv2.INTER_LINEAR)
    if rng.random() < 0.15:
        small = rng.integers(side // 4, side)
        cut = cv2.resize(cut, (small, small), interpolation=cv2.INTER_AREA)
        cut = cv2.resize(cut, (side, side))
    if rng.random() < 0.1:
        cut = cv2.cvtColor(cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    pixels = cut.astype(np.float32)
    centre = pixels.mean()
    pixels = (pixels - centre) * np.exp(rng.normal(0, 0.2)) + centre * np.exp(rng.normal(0, 0.2))
    pixels *= np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    if rng.random() < 0.3:
        rows, columns = rng.integers(side // 8, side // 3, 2)
        top, left = rng.integers(0, side - rows), rng.integers(0, side - columns)
        pixels[top : top + rows, left : left + columns] = rng.uniform(0, 255)
    return np.clip(pixels, 0, 255).astype(np.float32)


def plain(chip: npt.NDArray[np.uint8], side: int, padding: float) -> npt.NDArray[np.float32]:
    """Cut the part of a chip that the network is shown when it is used."""
    share = (1 + 2 * padding) / (1 + 2 * PADDING)
    zoom = side / (SIDE * share)
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 0, zoom)
    turn[:, 2] += (side - SIDE) / 2
    return cv2.warpAffine(chip, turn, (side, side), flags=cv2.INTER_LINEAR).astype(np.float32)


def to_input(pixels: npt.NDArray[np.float32], recipe: Recipe) -> torch.Tensor:
    if recipe.channels == "bgr":
        pixels = pixels[..., ::-1]
    pixels = (pixels - np.float32(recipe.mean)) * np.float32(recipe.scale)
    # Rows of pixels stay as they are: this is PyTorch's memory format channels_last.
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)


def batches(chips, recipe, rows, seed):
    """Prepare batches in a thread while the network learns."""
    waiting: queue.Queue = queue.Queue(maxsize=4)

    def prepare() -> None:
        rng = np.random.default_rng(seed)
        order = rng.permutation(rows)
        for step in range(len(order) // recipe.batch):
            part = order[step * recipe.batch : (step + 1) * recipe.batch]
            side = recipe.sides[step % len(recipe.sides)]
            change = imitate_camera if recipe.cameras else augment
            pixels = np.stack([change(chips[row], side, recipe.padding, rng) for row in part])
            waiting.put((to_input(pixels, recipe), part))
        waiting.put(None)

    threading.Thread(target=prepare, daemon=True).start()
    while (batch := waiting.get()) is not None:
        yield batch


def age_loss(
    logits: torch.Tensor, ages: torch.Tensor, before: torch.Tensor | None = None, keep: float = 0.0
) -> torch.Tensor:
    """Cross-entropy with a normal distribution around the age, and error of the expected age.

    Where ``before`` has the shares of ages that the first network gave, they are a part ``keep`` of
    the target.

    A child's age can be estimated more exactly than an old person's, so the distribution widens
    with age. B. Gao et al., "Age Estimation Using Expectation of Label Distribution Learning",
    2018.
    """
    sigma = (0.8 + 0.03 * ages)[:, None]
    target = torch.softmax(-((AGES - ages[:, None]) ** 2) / (2 * sigma**2), 1)
    if before is not None:
        target = (1 - keep) * target + keep * before
        ages = (1 - keep) * ages + keep * (before * AGES).sum(1)
    log_shares = torch.log_softmax(logits, 1)
    expected = (log_shares.exp() * AGES).sum(1)
    return -(target * log_shares).sum(1).mean() + 0.1 * (expected - ages).abs().mean()


def rows_without(table: pd.DataFrame, member: int | None) -> npt.NDArray[np.intp]:
    """Photos of folds 0 to 5 that a member learns from: not its two folds, nor copies of these."""
    usable = (table["fold"] < TRAIN_FOLDS) & table["has_face"]
    if member is not None:
        apart = table["fold"] // 2 == member
        usable &= ~apart & ~table["digest"].isin(set(table.loc[apart, "digest"]))
    return np.flatnonzero(usable)


def train(
    name, recipe, label, seed, rows, table, chips, start, work, report, weights=None
) -> dict[str, torch.Tensor]:
    """Train a network, or go on from its checkpoint; give averaged weights."""
    torch.manual_seed(seed)
    ages = torch.tensor(table["age"].to_numpy(), dtype=torch.float32).clamp(max=100)
    network = AgeNetwork(name, recipe, start).to(memory_format=torch.channels_last)
    first_network = copy.deepcopy(network).eval() if recipe.keep else None
    if weights is not None:
        network.load_state_dict(weights)
    averaged = {k: v.detach().clone() for k, v in network.state_dict().items()}
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in network.body.parameters() if p.requires_grad]},
            {"params": network.head.parameters()},
        ],
        lr=recipe.rate,
        weight_decay=recipe.decay,
    )
    n_steps = len(rows) // recipe.batch * recipe.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [recipe.rate, recipe.head_rate], total_steps=n_steps + 1, pct_start=0.15
    )
    checkpoint = work / f"{name}-{label}.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        first, averaged = state["epoch"], state["averaged"]
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
    for epoch in range(first, recipe.epochs):
        begun, losses = time.perf_counter(), []
        network.train()
        for inputs, part in batches(chips, recipe, rows, [seed, epoch]):
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(inputs)
                before = first_answers(first_network, inputs)
            loss = age_loss(logits.float(), ages[part], before, recipe.keep)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            keep = min(recipe.average, (1 + schedule.last_epoch) / (10 + schedule.last_epoch))
            with torch.no_grad():
                for key, values in network.state_dict().items():
                    averaged[key].lerp_(values, 1 - keep)
        torch.save(
            {
                "epoch": epoch + 1,
                "network": network.state_dict(),
                "averaged": averaged,
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
            },
            checkpoint.with_suffix(".partial"),
        )
        checkpoint.with_suffix(".partial").replace(checkpoint)
        report(
            f"{name} {label}: epoch {epoch + 1} of {recipe.epochs}, loss "
            f"{np.mean(losses):.3f}, {time.perf_counter() - begun:.0f} s"
        )
    return averaged


def first_answers(network: AgeNetwork | None, inputs: torch.Tensor) -> torch.Tensor | None:
    if network is None:
        return None
    with torch.no_grad():
        return torch.softmax(network(inputs).float(), 1)


def predict(network: AgeNetwork, recipe: Recipe, side: int, chips, rows) -> npt.NDArray[np.float64]:
    ages = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(rows), 128):
            part = rows[start : start + 128]
            pixels = np.stack([plain(chips[row], side, recipe.padding) for row in part])
            shares = torch.softmax(network(to_input(pixels, recipe)).float(), 1)
            ages.append((shares * AGES).sum(1).numpy())
    return np.concatenate(ages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("network", choices=RECIPES)
    parser.add_argument("--work", type=Path, required=True, help="folder of chips and checkpoints")
    parser.add_argument(
        "--models",
        type=Path,
        default=Path(__file__).resolve().parents[2] / "shared" / "models",
        help="folder of the networks to start from",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().with_name("networks"),
        help="folder for the network that quantize_networks.py reads (default: beside this file)",
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(2)
    options.work.mkdir(parents=True, exist_ok=True)
    table = read_data(options.data)
    table["digest"] = photo_digests(table)
    chips, table["has_face"] = read_chips(table, options.work, options.jobs)
    recipe = RECIPES[options.network]
    log = options.work / f"{options.network}.log"

    def report(line: str) -> None:
        print(line, flush=True)
        with log.open("a") as file:
            print(line, file=file)

    report(json.dumps(asdict(recipe)))
    start = read_start(options.network, options.models)
    rows = np.flatnonzero((table["fold"] >= TRAIN_FOLDS) & table["has_face"])[::3]
    network = AgeNetwork(options.network, recipe, start).eval()

    def finish(label: str, weights: dict[str, torch.Tensor]) -> tuple[float, bytes]:
        network.load_state_dict(weights)
        errors = []
        for side in recipe.sides:
            predicted = predict(network, recipe, side, chips, rows)
            errors.append(np.abs(predicted - table["age"].to_numpy()[rows]).mean())
            report(f"{label} at {side} pixels: MAE on a third of folds 6 and 7 {errors[-1]:.3f}")
        return float(np.mean(errors)), network.to_onnx().SerializeToString()

    members, candidates = [], []
    context = (table, chips, start, options.work, report)
    for member in MEMBERS:
        part = rows_without(table, member)
        members.append(train(options.network, recipe, member, member, part, *context))
        candidates.append(finish(f"{options.network} {member}", members[-1]))
    mean = {key: torch.stack([m[key] for m in members]).mean(0) for key in members[0]}
    candidates.append(finish(f"{options.network}, mean weights", mean))
    nearest = int(np.argmin([error for error, _ in candidates]))
    report(f"goes on from {[*MEMBERS, 'mean weights'][nearest]}")
    gentle = replace(
        recipe,
        epochs=recipe.more_epochs,
        rate=recipe.rate / 2,
        head_rate=recipe.head_rate / 4,
    )
    last = train(
        options.network,
        gentle,
        "all",
        len(MEMBERS),
        rows_without(table, None),
        *context,
        weights=[*members, mean][nearest],
    )
    _, content = finish(f"{options.network}, all six folds", last)
    (options.out / f"utkface_{options.network}.onnx").write_bytes(content)
    for member in MEMBERS:
        label, seed = f"{member}-more", len(MEMBERS) + 1 + member
        part = rows_without(table, member)
        more = train(options.network, gentle, label, seed, part, *context, weights=members[member])
        _, content = finish(f"{options.network} {member}, gone on", more)
        (options.work / f"{options.network}-{member}.onnx").write_bytes(content)


if __name__ == "__main__":
    main()
