"""Train the networks that remember age, from networks that others trained.

Each network is trained three times on folds 0 to 5 of UTKFace, each time without two folds, so
that every photo of these folds has an answer from a network that has not seen it: regressors learn
from those. Where the last layers started alike, the mean of the three networks' weights then goes
on for some epochs with all six folds, and else the one that is best on its own two; it ships in
half precision. The three go on for as many, so that regressors learn from networks as good as the
one that ships. Folds 6 and 7 are never learnt from.
Training goes on from the last checkpoint when it is started again. Needs PyTorch (``pip install
".[networks]"``). On two cores it takes about an hour for each network.

``mobilenet-kept`` is the same MobileNet with two last layers over one body: the one learns the
labels, the other goes on answering what the network answered before it was trained (Z. Li and D.
Hoiem, "Learning without Forgetting", ECCV 2016). Both are shown half of the chips as other cameras
would have given them, and what is kept is the answer to the plain chip and its mirror image.
docs/networks.md lists the trials.

    python benchmarks/train_networks.py mobilenet --data UTKFACE --work FOLDER
"""

from __future__ import annotations

import argparse
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
from _witness import witnessed_ages
from torch import nn

AGES = torch.arange(101.0)
# Shares of faces that are older than these ages join the expected age as features.
OLDER = (2, 4, 6, 9, 12, 15, 18, 21, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85)
MEMBERS = (0, 1, 2)
TRAIN_FOLDS = 6


def faster_in_bfloat16() -> bool:
    """Time a convolution in both precisions."""
    layer, seconds = nn.Conv2d(128, 128, 3), []
    layer, inputs = layer.to(memory_format=torch.channels_last), torch.zeros(16, 128, 20, 20)
    for enabled in (True, False):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            layer(inputs)
            begun = time.perf_counter()
            for _ in range(5):
                layer(inputs)
        seconds.append(time.perf_counter() - begun)
    return seconds[0] < seconds[1]


_IN_BFLOAT16 = faster_in_bfloat16()


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
    more_epochs: int = 3  # at the end, gently
    batch: int = 32
    decay: float = 0.02
    dropout: float = 0.2
    average: float = 0.999  # of the averaged weights, per step
    witness: float = 0.25  # share of what frozen networks say of an age, beside the label
    cameras: float = 0.25  # share of the chips that are shown as another camera would
    keep: float = 0.0  # weight of the loss of the layer that keeps the first network's answers
    keep_side: int = 192  # pixels at which the first network is asked


MOBILENET = Recipe(
    outputs=("features", "embedding"),
    sides=(128, 160),
    padding=0.3,
    channels="bgr",
    mean=(103.939, 116.779, 123.68),
    scale=1.0,
    epochs=7,
    rate=3e-4,
    head_rate=8e-4,
    frozen=7,
)
DLIB_MEAN, DLIB_SCALE = (122.782, 117.001, 104.298), 1 / 256
DLIB = Recipe(
    outputs=("level4_mean", "level5_mean"),
    sides=(150,),
    padding=0.25,
    channels="rgb",
    mean=DLIB_MEAN,
    scale=DLIB_SCALE,
    epochs=9,
    rate=4e-4,
    head_rate=1.5e-3,
)
RECIPES = {
    "mobilenet": MOBILENET,
    "dlib": DLIB,
    # At 128 pixels the first network's own answers are half a year worse: not worth keeping.
    "mobilenet-kept": replace(
        MOBILENET,
        sides=(160,),
        rate=4e-4,
        head_rate=1e-3,
        batch=64,
        average=0.998,
        cameras=0.5,
        witness=0.0,
        keep=0.5,
        epochs=7,
        more_epochs=3,
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
    """A network to start from, and a linear layer to 101 ages behind it.

    Where answers are kept, a second such layer gives them.
    """

    def __init__(self, name: str, recipe: Recipe, start: onnx.ModelProto):
        super().__init__()
        self.body = OnnxModule(start, recipe.outputs)
        for weights in list(self.body.weights.values())[: 2 * recipe.frozen]:
            weights.requires_grad_(False)
        with torch.no_grad():
            blank = torch.zeros(1, 3, recipe.sides[0], recipe.sides[0])
            widths = [output.shape[1] for output in self.body(blank)]
        self.head = nn.Linear(sum(widths), len(AGES))
        self.kept_head = nn.Linear(sum(widths), len(AGES)) if recipe.keep else None
        self.dropout = nn.Dropout(recipe.dropout)
        if name.startswith("mobilenet"):
            for head in filter(None, (self.head, self.kept_head)):
                _start_head(head, start, "age_pred/kernel", "age_pred/bias")

    def to_onnx(self) -> onnx.ModelProto:
        """Build the graph from chips to ``age``, ``older`` and what the ``last`` layer reads."""
        model = self.body.to_onnx()
        add, constant = model.graph.node.append, model.graph.initializer.append
        ages = AGES.numpy()
        for name, values in {
            "years": ages[:, None],
            "thresholds": (ages[:, None] >= np.array(OLDER)).astype(np.float32),
        }.items():
            constant(onnx.numpy_helper.from_array(values, name))
        make = onnx.helper.make_node
        add(make("Concat", list(self.body.outputs), ["last"], axis=1))
        outputs = {"last": "last"}
        for prefix, head in (("", self.head), ("kept_", self.kept_head)):
            if head is None:
                continue
            name = f"{prefix}head"
            weights = head.weight.detach().T.contiguous().numpy()
            constant(onnx.numpy_helper.from_array(weights, f"{name}_weights"))
            constant(onnx.numpy_helper.from_array(head.bias.detach().numpy(), f"{name}_bias"))
            add(make("Gemm", ["last", f"{name}_weights", f"{name}_bias"], [f"{name}_logits"]))
            add(make("Softmax", [f"{name}_logits"], [f"{name}_shares"], axis=1))
            add(make("MatMul", [f"{name}_shares", "years"], [f"{name}_expected"]))
            add(make("MatMul", [f"{name}_shares", "thresholds"], [f"{name}_older"]))
            outputs |= {f"{name}_expected": f"{prefix}age", f"{name}_older": f"{prefix}older"}
        return to_half(model, outputs)

    def forward(self, chips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute the logits of the ages, and of the ages that the first network would answer."""
        features = self.dropout(torch.cat([output.float() for output in self.body(chips)], 1))
        return self.head(features), self.kept_head(features) if self.kept_head else None


def _start_head(head: nn.Linear, start: onnx.ModelProto, kernel: str, bias: str) -> None:
    """Begin with the age layer that the network has: ages 0 to 99."""
    known = {w.name: onnx.numpy_helper.to_array(w) for w in start.graph.initializer}
    with torch.no_grad():
        head.weight.zero_()
        weight = torch.tensor(known[kernel]).T
        head.weight[: len(weight), : weight.shape[1]] = weight
        head.bias.fill_(known[bias].min().item())
        head.bias[: len(weight)] = torch.tensor(known[bias])


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
            changes = np.where(rng.random(len(part)) < recipe.cameras, imitate_camera, augment)
            pixels = [
                change(chips[row], side, recipe.padding, rng)
                for change, row in zip(changes, part, strict=True)
            ]
            waiting.put((to_input(np.stack(pixels), recipe), part))
        waiting.put(None)

    threading.Thread(target=prepare, daemon=True).start()
    while (batch := waiting.get()) is not None:
        yield batch


def shares_around(ages: torch.Tensor) -> torch.Tensor:
    """Shares of a normal distribution around each age.

    A child's age can be estimated more exactly than an old person's, so the distribution widens
    with age.
    """
    sigma = (0.8 + 0.03 * ages)[:, None]
    return torch.softmax(-((AGES - ages[:, None]) ** 2) / (2 * sigma**2), 1)


def age_loss(logits: torch.Tensor, target: torch.Tensor, ages: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with the shares of the ages, and error of the expected age.

    B. Gao et al., "Age Estimation Using Expectation of Label Distribution Learning", 2018.
    """
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
    name,
    recipe,
    label,
    seed,
    rows,
    witnessed,
    table,
    chips,
    first,
    start,
    work,
    report,
    weights=None,
) -> dict[str, torch.Tensor]:
    """Train a network, or go on from its checkpoint; give averaged weights."""
    torch.manual_seed(seed)
    labelled = torch.tensor(table["age"].to_numpy(), dtype=torch.float32).clamp(max=100)
    witnessed = torch.from_numpy(witnessed)
    ages = labelled.lerp(witnessed, recipe.witness)
    shares = shares_around(labelled).lerp(shares_around(witnessed), recipe.witness)
    network = AgeNetwork(name, recipe, start).to(memory_format=torch.channels_last)
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
    begin = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        begin, averaged = state["epoch"], state["averaged"]
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
    for epoch in range(begin, recipe.epochs):
        begun, losses = time.perf_counter(), []
        network.train()
        for inputs, part in batches(chips, recipe, rows, [seed, epoch]):
            with torch.autocast("cpu", torch.bfloat16, enabled=_IN_BFLOAT16):
                logits, kept = network(inputs)
            loss = age_loss(logits.float(), shares[part], ages[part])
            if kept is not None:
                target = torch.from_numpy(first[part])
                loss = loss + recipe.keep * age_loss(kept.float(), target, target @ AGES)
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


def first_answers(
    network: AgeNetwork, recipe: Recipe, chips, rows: npt.NDArray[np.intp], path: Path
) -> npt.NDArray[np.float32]:
    """Ask the network that training starts from, once: the ages that are to be kept."""
    if not path.exists():
        answers = np.zeros((len(chips), len(AGES)), np.float32)
        for start in range(0, len(rows), 64):
            part = rows[start : start + 64]
            answers[part] = _shares(network, recipe, recipe.keep_side, chips, part)[0]
        np.save(path, answers)
    return np.load(path)


def _shares(network: AgeNetwork, recipe: Recipe, side: int, chips, rows) -> list[npt.NDArray]:
    """Compute the mean shares of ages for chips and their mirror images, by each last layer."""
    pixels = np.stack([plain(chips[row], side, recipe.padding) for row in rows])
    inputs = to_input(pixels, recipe)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=_IN_BFLOAT16):
        views = [network(view) for view in (inputs, inputs.flip(3))]
    return [
        torch.stack([torch.softmax(logits.float(), 1) for logits in layer]).mean(0).numpy()
        for layer in zip(*views, strict=True)
        if layer[0] is not None
    ]


def predict(
    network: AgeNetwork, recipe: Recipe, side: int, chips, rows
) -> list[npt.NDArray[np.float64]]:
    """Predict the expected age by each last layer."""
    parts = [rows[start : start + 128] for start in range(0, len(rows), 128)]
    shares = [_shares(network, recipe, side, chips, part) for part in parts]
    return [np.concatenate(layer) @ AGES.numpy() for layer in zip(*shares, strict=True)]


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
    parser.add_argument("--member", type=int, choices=MEMBERS, help="train one network of three")
    parser.add_argument("--threads", type=int, default=2, help="that compute (default: 2)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    table = read_data(options.data)
    table["digest"] = photo_digests(table)
    chips, table["has_face"] = read_chips(table, options.work, options.jobs)
    name, recipe = options.network, RECIPES[options.network]
    log = options.work / f"{name}.log"

    def report(line: str) -> None:
        print(line, flush=True)
        with log.open("a") as file:
            print(line, file=file)

    report(json.dumps(asdict(recipe)))
    start = read_start(name, options.models)
    network = AgeNetwork(name, recipe, start).eval()
    first = None
    if recipe.keep:
        every = rows_without(table, None)
        first = first_answers(network, recipe, chips, every, options.work / f"{name}-first.npy")
    context = (table, chips, first, start, options.work, report)

    def learn(label, seed: int, member: int | None, recipe: Recipe = recipe, weights=None):
        rows, path = rows_without(table, member), options.work / f"witness-{member}.npy"
        witnessed = table["age"].to_numpy(np.float32)
        if recipe.witness:
            found = witnessed_ages(table, rows, path, options.cache, options.jobs)
            witnessed = np.where(np.isnan(found), witnessed, found)
        return train(name, recipe, label, seed, rows, witnessed, *context, weights=weights)

    def finish(
        label: str, weights: dict[str, torch.Tensor], member: int | None
    ) -> tuple[float, bytes]:
        """Measure how far off ages are on photos not learnt from; write the graph."""
        network.load_state_dict(weights)
        apart = table["fold"] >= TRAIN_FOLDS if member is None else table["fold"] // 2 == member
        rows = np.flatnonzero(apart & table["has_face"])[::3]
        truth = table["age"].to_numpy()[rows]
        errors = []
        for side in recipe.sides:
            for layer, ages in enumerate(predict(network, recipe, side, chips, rows)):
                errors.append(np.abs(ages - truth).mean())
                report(f"{label}, last layer {layer}, {side} pixels: MAE apart {errors[-1]:.3f}")
        return float(np.mean(errors)), network.to_onnx().SerializeToString()

    members, errors = [], []
    for member in MEMBERS if options.member is None else [options.member]:
        members.append(learn(member, member, member))
        errors.append(finish(f"{name} {member}", members[-1], member)[0])
    if options.member is not None:
        return
    begin = members[int(np.argmin(errors))]
    if name.startswith("mobilenet"):
        begin = {key: torch.stack([m[key] for m in members]).mean(0) for key in members[0]}
    gentle = replace(
        recipe,
        epochs=recipe.more_epochs,
        rate=recipe.rate / 2,
        head_rate=recipe.head_rate / 4,
    )
    last = learn("all", len(MEMBERS), None, gentle, begin)
    _, content = finish(f"{name}, all six folds", last, None)
    (options.out / f"utkface_{name}.onnx").write_bytes(content)
    for member in MEMBERS:
        label, seed = f"{member}-more", len(MEMBERS) + 1 + member
        more = learn(label, seed, member, gentle, members[member])
        _, content = finish(f"{name} {member}, gone on", more, member)
        (options.work / f"{name}-{member}.onnx").write_bytes(content)


if __name__ == "__main__":
    main()
