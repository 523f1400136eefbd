"""A network that answers with a probability for each year of age, and what it learns from."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import torch
from _onnx_half import to_half
from _onnx_torch import OnnxModule, fold_constants
from _recipes import Recipe
from torch import nn

AGES = torch.arange(101.0)
# Shares of faces that are older than these ages join the expected age as features.
OLDER = (2, 4, 6, 9, 12, 15, 18, 21, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85)


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


# Where it is not emulated, which is slower than single precision.
_IN_BFLOAT16 = faster_in_bfloat16()


def quicker_precision() -> torch.autocast:
    """Compute in bfloat16 where that is quicker."""
    return torch.autocast("cpu", torch.bfloat16, enabled=_IN_BFLOAT16)


def descend(
    network: nn.Module,
    loss: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    """Take one step against the gradients of the loss."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    schedule.step()


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
