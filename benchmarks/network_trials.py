"""Small trials of what a network learns from UTKFace, and forgets, by its last four levels.

    python benchmarks/network_trials.py --data UTKFACE --elsewhere FOLDER --work FOLDER

Levels up to the ninth keep their weights, and what they see in a third of the photos of folds 0 to
5, and in their mirror images, is computed once for each size of the chips. Behind that, levels 10
to 13 and the last layer learn for four epochs: at larger sizes, with weights pulled back to where
they started, or from photos of other sources as well, each source tested by a network that has not
seen it. Errors are those of the mean answer to a photo and its mirror image: on a third of folds 6
and 7, and on whole sources. Needs PyTorch (``pip install ".[networks]"``).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
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
from _chips import read_chips
from _data import (
    add_data_arguments,
    add_elsewhere_argument,
    add_training_arguments,
    read_data,
)
from _onnx_torch import OnnxModule
from _recipes import RECIPES
from _views import plain, to_input

from ageboost.datasets import read_sources

RECIPE = RECIPES["mobilenet"]
LEVEL, EPOCHS, SEED = "level_9", 4, 0
# The last one serves for all other trials.
SIDES = (192, 224, 160)
PULLS = (0.001, 0.01, 0.1)
# So often is each photo of another source shown in an epoch, beside one of UTKFace.
REPEATS = 5
HEAD = "| trial | s | UTKFace | FG-NET | 13 to 17 | London | Congress |"


class Seen:
    """What frozen levels see of chips and of their mirror images."""

    def __init__(self, chips, ages: npt.NDArray, start: onnx.ModelProto, side: int):
        levels = OnnxModule(start, (LEVEL,)).to(memory_format=torch.channels_last).eval()
        views: list[list[torch.Tensor]] = [[], []]
        for first in range(0, len(chips), 64):
            pixels = [plain(chip, side, RECIPE.padding) for chip in chips[first : first + 64]]
            inputs = to_input(np.stack(pixels), RECIPE)
            for kept, view in zip(views, (inputs, inputs.flip(3)), strict=True):
                with torch.inference_mode(), quicker_precision():
                    kept.append(levels(view)[0].to(torch.bfloat16))
        self.views = [torch.cat(kept) for kept in views]
        self.ages = torch.tensor(np.asarray(ages), dtype=torch.float32).clamp(max=100)


def behind(start: onnx.ModelProto) -> onnx.ModelProto:
    """Cut off what comes before the frozen levels' last one: the rest of the chain."""
    model = onnx.ModelProto()
    model.CopyFrom(start)
    producers = {name: at for at, node in enumerate(model.graph.node) for name in node.output}
    source = model.graph.node[producers[LEVEL]].input[0]
    nodes = [node for node in model.graph.node[producers[source] + 1 :] if LEVEL not in node.output]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.input[0].name = source
    return model


class LastLevels(AgeNetwork):
    """The levels that learn, and the last layer."""

    def __init__(self, start: onnx.ModelProto):
        super().__init__("mobilenet", replace(RECIPE, frozen=0), start)
        self.body = OnnxModule(behind(start), RECIPE.outputs)


def train(parts: list[tuple[Seen, int]], start: onnx.ModelProto, pull: float) -> LastLevels:
    """Learn from photos, each part so many times in an epoch."""
    torch.manual_seed(SEED)
    network = LastLevels(start).to(memory_format=torch.channels_last).train()
    first = [values.detach().clone() for values in network.parameters()]
    rows = [
        (number, row)
        for number, (seen, times) in enumerate(parts)
        for row in [*range(len(seen.ages))] * times
    ]
    order, rng = np.array(rows), np.random.default_rng(SEED)
    optimizer = torch.optim.AdamW(
        [
            {"params": network.body.parameters(), "weight_decay": RECIPE.decay},
            {"params": network.head.parameters(), "weight_decay": RECIPE.decay},
        ]
    )
    rates = [RECIPE.rate, RECIPE.head_rate]
    n_steps = len(order) // RECIPE.batch * EPOCHS
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=n_steps + 1)
    for _ in range(EPOCHS):
        for batch in np.split(*_batches(rng.permutation(order))):
            picks = [(parts[part][0], row, int(rng.integers(2))) for part, row in batch]
            inputs = torch.stack([seen.views[view][row] for seen, row, view in picks]).float()
            ages = torch.stack([seen.ages[row] for seen, row, _ in picks])
            with quicker_precision():
                logits, _ = network(inputs)
            loss = age_loss(logits.float(), shares_around(ages), ages)
            descend(network, loss, optimizer, schedule)
            if pull:
                # Apart from the gradients, as AdamW does with what pulls towards zero.
                with torch.no_grad():
                    for values, begun in zip(network.parameters(), first, strict=True):
                        values.lerp_(begun, pull * schedule.get_last_lr()[0] / RECIPE.rate)
    return network.eval()


def _batches(order: npt.NDArray) -> tuple[npt.NDArray, int]:
    n_batches = len(order) // RECIPE.batch
    return order[: n_batches * RECIPE.batch], n_batches


def errors(network: LastLevels, seen: Seen) -> npt.NDArray[np.float64]:
    """Years by which the mean answer to each photo and its mirror image is off."""
    means = []
    for rows in torch.split(torch.arange(len(seen.ages)), 128):
        with torch.inference_mode(), quicker_precision():
            views = [
                network(view[rows].float())[0].float().softmax(1) @ AGES for view in seen.views
            ]
        means.append(torch.stack(views).mean(0) - seen.ages[rows])
    return torch.cat(means).numpy().astype(float)


def cells(off: npt.NDArray[np.float64]) -> str:
    return f"{np.abs(off).mean():.2f} {off.mean():+.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    add_training_arguments(parser)
    parser.add_argument("--work", type=Path, required=True, help="folder of chips")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(options.threads)
    table = read_data(options.data)
    chips, has_face = read_chips(table, options.work, options.jobs)
    fold, ages = table["fold"].to_numpy(), table["age"].to_numpy()
    learns = np.flatnonzero((fold < 6) & has_face)[::3]
    tests = np.flatnonzero((fold >= 6) & has_face)[::3]
    others = read_sources(options.elsewhere)
    others["family"] = others["source"].str.partition("_")[0]
    folder = options.work / "elsewhere"
    folder.mkdir(parents=True, exist_ok=True)
    other_chips, found = read_chips(others, folder, options.jobs)
    others, other_chips = others[found].reset_index(drop=True), other_chips[found]
    start = read_start("mobilenet", options.models)
    print(f"{HEAD}\n|{' --- |' * HEAD.count(' |')}", flush=True)

    def look(side: int) -> tuple[Seen, Seen, dict[str, Seen]]:
        families = {
            name: Seen(other_chips[rows.index], rows["age"], start, side)
            for name, rows in others.groupby("family")
        }
        utkface = [Seen(chips[rows], ages[rows], start, side) for rows in (learns, tests)]
        return *utkface, families

    def show(trial: str, networks: dict[str, LastLevels], seen, begun: float) -> None:
        _, test, families = seen
        young = families["fgnet"].ages.numpy()
        off = {name: errors(networks[name], part) for name, part in families.items()}
        teens = off["fgnet"][(young >= 13) & (young < 18)].mean()
        seconds = time.perf_counter() - begun
        own = cells(errors(networks["utkface"], test))
        row = [trial, f"{seconds:.0f}", own, cells(off["fgnet"]), f"{teens:+.1f}"]
        row += [cells(off["london"]), cells(off["congress"])]
        print(f"| {' | '.join(row)} |", flush=True)

    names = ["utkface", "fgnet", "london", "congress"]
    for side in SIDES:
        seen = look(side)
        begun = time.perf_counter()
        before = LastLevels(start).eval()
        show(f"{side} pixels, before", dict.fromkeys(names, before), seen, begun)
        begun = time.perf_counter()
        network = train([(seen[0], 1)], start, 0.0)
        show(f"{side} pixels", dict.fromkeys(names, network), seen, begun)
    for pull in PULLS:
        begun = time.perf_counter()
        network = train([(seen[0], 1)], start, pull)
        show(f"160 pixels, pulled back by {pull:g}", dict.fromkeys(names, network), seen, begun)
    begun = time.perf_counter()
    taught = {
        name: train(
            [(seen[0], 1), *((part, REPEATS) for other, part in seen[2].items() if other != name)],
            start,
            0.0,
        )
        for name in names
    }
    show("160 pixels, other sources as well, each left out", taught, seen, begun)


if __name__ == "__main__":
    main()
