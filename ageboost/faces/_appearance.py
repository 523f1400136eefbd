"""Whether an upright chip shows a face as cameras see it, or what else it looks like."""

from __future__ import annotations

import math
import os
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from ageboost.faces.face import Face

__all__ = ["SHIPPED", "look_at"]

SHIPPED = "shipped"

# A chip of this size and padding is what the fastest features need as well.
_CHIP, _PADDING = 128, 0.3
_SIDE = 48
# Borders of the chip show hair and what is behind it.
_BORDER = 6
_WHITE = 252


def _chip(face: Face) -> npt.NDArray[np.uint8]:
    """Cut out what the network looks at."""
    chip = face.chip(_CHIP, _PADDING, 5)
    # Twice is five times as fast as once by a ratio that is not whole.
    half = cv2.resize(chip, (_CHIP // 2, _CHIP // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(half, (_SIDE, _SIDE))


def look_at(face: Face, appearance: str | os.PathLike[str] | None) -> dict[str, float]:
    """Measure what the face looks like.

    Parameters
    ----------
    face : Face
    appearance : "shipped", path or None
        The network's file; None for no network.

    Returns
    -------
    dict of str to float
        Those parts of ``Quality`` that are read off the aligned face.
    """
    chip = _chip(face)
    inner = chip[_BORDER:-_BORDER, _BORDER:-_BORDER]
    mean, deviation = cv2.meanStdDev(cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY))
    red, green, blue = cv2.split(inner)
    strongest = cv2.max(cv2.max(red, green), blue)
    weakest = cv2.min(cv2.min(red, green), blue)
    sound = cv2.countNonZero(cv2.inRange(inner, (0, 0, 0), (_WHITE - 1,) * 3))
    measured = {
        "contrast": float(deviation[0, 0]),
        "burnt": 1 - sound / (inner.shape[0] * inner.shape[1]),
        "brightness": float(mean[0, 0]),
        "chroma": cv2.mean(cv2.subtract(strongest, weakest))[0],
    }
    if appearance is None:
        return measured | {"likeness": math.nan, "disturbance": math.nan}
    blob = cv2.dnn.blobFromImage(chip, 1 / 255)
    [[shares]] = _session(os.fspath(appearance)).run(None, {"chip": blob})
    likeness, disturbance = float(shares[0]), float(np.argmax(shares[1:]))
    return measured | {"likeness": likeness, "disturbance": disturbance}


@lru_cache(maxsize=4)
def _session(appearance: str) -> InferenceSession:
    from ageboost._onnx import make_session

    if appearance != SHIPPED:
        return make_session(Path(appearance).read_bytes())
    return make_session((files("ageboost.faces") / "weights" / "appearance.onnx").read_bytes())
