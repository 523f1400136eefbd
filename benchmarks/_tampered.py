"""Model files that are not as they were written, with checksums that fit: from a number."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import numpy as np
from _bad_inputs import KINDS

__all__ = ["TAMPERINGS", "tampered", "with_fitting_checksums"]

TAMPERINGS = (
    "bytes changed",
    "cut short",
    "object changed",
    "trees changed",
    "array changed",
    "numbers in trees changed",
)
_ODD = (-(2**31), -1, 0, 1, 2, 3, 7, 100, 65_536, 2**31 - 1, 0x7F800000, 0x7FC00000)


def tampered(content: bytes, kind: str, number: int) -> bytes:
    """Tamper with a model file: in the same way for the same number."""
    rng = np.random.default_rng(number)
    if kind in ("bytes changed", "cut short"):
        return KINDS[kind](content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(io.BytesIO(files["estimator.skops"])) as archive:
        inner = {name: archive.read(name) for name in archive.namelist()}
    ends = {"object changed": "schema.json", "array changed": ".npy"}.get(kind, ".bin")
    outside = [] if kind in ("object changed", "array changed") else ["regressor"]
    places = [(inner, name) for name in inner if name.endswith(ends)]
    places += [(files, name) for name in files if name.partition(".")[0] in outside]
    change = _numbers_changed if kind.startswith("numbers") else KINDS["bytes changed"]
    folder, name = places[int(rng.integers(len(places)))]
    old = folder[name]
    new = change(old, rng)
    # skops writes some trees twice, and reads the first.
    for folder, name in places:
        if folder[name] == old:
            folder[name] = new
    files["estimator.skops"] = _zipped(inner)
    return with_fitting_checksums(files)


def with_fitting_checksums(files: dict[str, bytes]) -> bytes:
    """Make a model file of these files, as if they were those that its manifest is about."""
    manifest = json.loads(files["manifest.json"])
    for name in manifest["files"]:
        checksum = hashlib.sha256(files[name]).hexdigest()
        manifest["files"][name] = {"bytes": len(files[name]), "sha256": checksum}
    return _zipped(files | {"manifest.json": json.dumps(manifest).encode()})


def _numbers_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Put other whole numbers into the place of some: odd ones, or small ones, which may fit."""
    damaged = bytearray(content)
    # CatBoost's numbers stand at every fourth byte, the lowest byte first; XGBoost's anywhere.
    step, order = (4, "little") if content.startswith(b"CBM1") else (1, "big")
    for place in rng.integers(0, len(content) // step - 4, rng.integers(1, 5)):
        new = int(rng.choice(_ODD) if rng.random() < 0.7 else rng.integers(400))
        start = int(place) * step
        damaged[start : start + 4] = (new % 2**32).to_bytes(4, order)
    return bytes(damaged)


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
