"""How far ages differ between processors: the same photos, with instructions taken away.

OpenBLAS, numpy, OpenCV and the C library can be asked to do without newer instructions; ONNX
Runtime and dlib cannot, so an emulated processor (QEMU's user mode, which is slow) shows what they
do. Each row is a process of its own, compared with the first. Run it from the root of the
repository:

    python benchmarks/processors.py --data UTKFACE --emulator "qemu-x86_64 -cpu Haswell"

Photos are from folds 0 to 7; half of them the models have learnt from (folds 0 to 5), half not.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import _one_thread  # noqa: F401
import numpy as np
from _data import TEST_FOLDS, add_data_arguments, read_data
from _page import put_tables, table
from _processor import describe_processor, older_processors

MODELS = ("fast", "classical", "accurate")
TWO_THREADS = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
# How many of them are looked at again in other batches.
_FEW = 8
# A batch of one and of others must have the same ages wherever they are computed.
BATCH_SIZES = (1, 7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, default=200, help="how many photos (default: 200)")
    parser.add_argument("--emulator", help="a command that runs programs on another processor")
    parser.add_argument("--emulated", type=int, default=16, help="photos there (default: 16)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="which models")
    parser.add_argument("--settings", nargs="*", help="which of the settings (default: all)")
    parser.add_argument("--out", type=Path, help="Markdown page whose tables are to be replaced")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*map(Path, options.work), options.models)
        return
    print(describe_processor())
    rows = read_data(options.data)
    held_out = rows["fold"].isin(TEST_FOLDS)
    half = options.photos // 2
    sample = [rows[part].sample(half, random_state=0)["photo"] for part in (held_out, ~held_out)]
    # Photos that were learnt from and others in turn, so that the first few are of both kinds.
    photos = np.stack(sample, axis=1).ravel().tolist()
    chosen = older_processors() | {"as it is, two threads": TWO_THREADS}
    if options.settings is not None:
        chosen = {title: chosen[title] for title in ("as it is", *options.settings)}
    kinds = {title: ([], variables, photos) for title, variables in chosen.items()}
    if options.emulator:
        few = photos[: options.emulated]
        kinds[f"emulated: {options.emulator}"] = (shlex.split(options.emulator), {}, few)
    found = {}
    for title, kind in kinds.items():
        print(title, flush=True)
        found[title] = run(*kind, options.models)
    first, *others = found
    lines = []
    for model in options.models:
        for title in others:
            ages, ends = (found[title][f"{model} {what}"] for what in ("ages", "ends"))
            known = found[first][f"{model} ages"][: len(ages)]
            off = np.abs(ages - known)
            off_ends = np.abs(ends - found[first][f"{model} ends"][: len(ends)])
            lines.append(
                [
                    model,
                    title,
                    str(len(ages)),
                    *(f"{value:.4f}" for value in (off.mean(), np.quantile(off, 0.99), off.max())),
                    f"{off_ends.max():.4f}",
                    "yes" if found[title][f"{model} alike"] else "NO",
                ]
            )
    header = ["model", "processor", "photos", "mean, years", "99 of 100, years", "most, years"]
    tables = [table([*header, "most, ends of 90 % ranges", "alike in every batch"], lines)]
    print(tables[0])
    if options.out:
        put_tables(options.out, tables)


def run(
    emulator: list[str], variables: dict[str, str], photos: list[str], models: list[str]
) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        listed, out = Path(folder) / "photos.txt", Path(folder) / "found.npz"
        listed.write_text("\n".join(photos), "utf-8")
        command = [*emulator, sys.executable, __file__, "--work", str(listed), str(out)]
        command += ["--models", *models]
        subprocess.run(command, check=True, env=os.environ | variables)
        with np.load(out) as arrays:
            return dict(arrays)


def work(listed: Path, out: Path, models: list[str]) -> None:
    """Ages and ranges of each model, and whether batches of other sizes give the same."""
    import ageboost

    photos = listed.read_text("utf-8").splitlines()
    found = {}
    for name in models:
        model = ageboost.load_pretrained(name)
        distribution = model.predict_distribution(photos)
        found[f"{name} ages"] = np.nan_to_num(distribution.ages)
        found[f"{name} ends"] = np.nan_to_num(distribution.interval(0.9))
        few = photos[:_FEW]
        alike = True
        for size in BATCH_SIZES:
            model.features_.batch_size = size
            ages = model.predict(few)
            alike &= np.array_equal(ages, distribution.ages[: len(few)], equal_nan=True)
        found[f"{name} alike"] = np.array(alike)
    np.savez(out, **found)


if __name__ == "__main__":
    main()
