"""Train the networks that remember age, from networks that others trained.

Each network is trained three times on folds 0 to 5 of UTKFace, each time without two folds, so
that every photo of these folds has an answer from a network that has not seen it: regressors learn
from those. Where the last layers started alike, the mean of the three networks' weights then goes
on for some epochs with all six folds, and else the one that is best on its own two; it ships in
half precision. The three go on for as many, so that regressors learn from networks as good as the
one that ships. Folds 6 and 7 are never learnt from.

Training goes on from the last checkpoint when it is started again. Needs PyTorch (``pip install
".[networks]"``). On two cores it takes about an hour for each network. With glibc, set
``MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_ARENA_MAX=1``: otherwise half of the
time can go into asking the system for memory.

``mobilenet-kept`` is the same MobileNet with two last layers over one body: the one learns the
labels, the other goes on answering what the network answered before it was trained (Z. Li and D.
Hoiem, "Learning without Forgetting", ECCV 2016). Both are shown half of the chips as other cameras
would have given them, and what is kept is the answer to the plain chip and its mirror image.
In ``mobilenet-witnessed`` and ``dlib-witnessed`` a quarter of each target is what kernels over
frozen networks say of the photo without its label. docs/networks.md lists the trials.

    python benchmarks/train_networks.py mobilenet --data UTKFACE --work FOLDER
"""

from __future__ import annotations

import argparse
import json
import queue
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from _age_network import (
    AGES,
    AgeNetwork,
    age_loss,
    descend,
    quicker_precision,
    read_start,
    shares_around,
)
from _cameras import imitate_camera
from _chips import read_chips
from _data import add_data_arguments, add_training_arguments, photo_digests, read_data
from _recipes import RECIPES, Recipe
from _views import augment, plain, to_input
from _witness import witnessed_ages

MEMBERS = (0, 1, 2)
TRAIN_FOLDS = 6


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
            with quicker_precision():
                logits, kept = network(inputs)
            loss = age_loss(logits.float(), shares[part], ages[part])
            if kept is not None:
                target = torch.from_numpy(first[part])
                loss = loss + recipe.keep * age_loss(kept.float(), target, target @ AGES)
            descend(network, loss, optimizer, schedule)
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
    with torch.inference_mode(), quicker_precision():
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
    add_training_arguments(parser)
    parser.add_argument("network", choices=RECIPES)
    parser.add_argument("--work", type=Path, required=True, help="folder of chips and checkpoints")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().with_name("networks"),
        help="folder for the network that quantize_networks.py reads (default: beside this file)",
    )
    parser.add_argument(
        "--member",
        choices=[*map(str, MEMBERS), "all"],
        help="train one network of three, or at once one with all six folds, for a trial",
    )
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

    if options.member is not None:
        member = None if options.member == "all" else int(options.member)
        weights = learn(f"{options.member}-alone", member or 0, member)
        finish(f"{name} {options.member}, alone", weights, member)
        return
    members, errors = [], []
    for member in MEMBERS:
        members.append(learn(member, member, member))
        errors.append(finish(f"{name} {member}", members[-1], member)[0])
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
    (options.out / f"utkface_{name.replace('-', '_')}.onnx").write_bytes(content)
    for member in MEMBERS:
        label, seed = f"{member}-more", len(MEMBERS) + 1 + member
        more = learn(label, seed, member, gentle, members[member])
        _, content = finish(f"{name} {member}, gone on", more, member)
        (options.work / f"{name}-{member}.onnx").write_bytes(content)


if __name__ == "__main__":
    main()
