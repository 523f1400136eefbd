"""Training that never holds its matrix: memory, the same model, kills. For docs/many-machines.md.

Features of ``accurate`` come from folds 0 to 7 of UTKFace, by the networks as they ship. These have
seen folds 0 to 5, so the errors are no measure of accuracy: what is compared is one fit with the
other, on the same rows. Rows beyond those that there are, for the part that is about memory, are
real rows with a little noise, made block by block and never held. Run it from the root of the
repository:

    python benchmarks/train_stream.py --data UTKFACE --work FOLDER --out docs/many-machines.md

Features are kept in the folder (1.5 GB), and so is each training while it lasts (20 GB).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _data import TEST_FOLDS, add_data_arguments, photo_digests, read_data
from _page import put_tables, table
from _processor import describe_processor

from ageboost import AgeEstimator
from ageboost.batch import fit_stream
from ageboost.faces import Quality
from ageboost.features import FaceFeatures
from ageboost.models import AgeRegressor, make_regressor
from ageboost.models._fitting import fit_rows
from ageboost.models._rows_on_disk import RowsOnDisk

PARTS = ("memory", "same", "kills", "trees")
KILLED_AFTER = ("looked", "scores", "kernel-1.npz", "kernel-5.npz", "predictions-0.npz")
# Columns that a reduction with kernels leaves of `accurate`.
N_REDUCED = 613
# Of the noise, as a share of a column's deviation.
_NOISE = 0.05


class Rows:
    """Real rows, and more like them: the same each time that they are gone through."""

    def __init__(self, work: Path, ages: npt.NDArray, n_rows: int, size: int = 1000):
        self._path, self._ages, self._n_rows, self._size = work / "rows.npy", ages, n_rows, size
        self._deviation = self._read(np.arange(1000)).std(axis=0)

    def _read(self, rows: npt.NDArray) -> npt.NDArray:
        # Opened anew: pages that stay mapped would count as memory of the fit.
        return np.asarray(np.load(self._path, mmap_mode="r")[rows])

    def __iter__(self) -> Iterator[tuple[npt.NDArray, npt.NDArray]]:
        for start in range(0, self._n_rows, self._size):
            rng = np.random.default_rng([0, start])
            n_rows = min(self._size, self._n_rows - start)
            rows = np.sort(rng.integers(0, len(self._ages), n_rows))
            noise = rng.standard_normal((n_rows, len(self._deviation)), np.float32)
            block = self._read(rows) + noise * (_NOISE * self._deviation)
            yield block, self._ages[rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--work", type=Path, required=True, help="folder for features and fits")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the part about memory")
    parser.add_argument("--regressor", default="xgboost", help="of the part about memory")
    parser.add_argument("--folds", type=int, default=2, help="of its calibration; 0 for none")
    parser.add_argument("--out", type=Path, help="the page to put tables into")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.child:
        kind, settings = options.child
        CHILDREN[kind](options, **json.loads(settings))
        return
    extract_features(options)
    print(describe_processor(), flush=True)
    for part in options.parts:
        tables = MEASURES[part](options)
        print("\n\n".join(tables), flush=True)
        if options.out:
            put_tables(options.out, tables)


def extract_features(options) -> None:
    """Keep the features of all photos that show a face, with ages, folds and qualities."""
    done = options.work / "rows.json"
    if done.exists():
        return
    labelled = read_data(options.data)
    features = FaceFeatures("accurate", on_error="nan", n_jobs=options.jobs)
    shape = len(labelled), len(features.get_feature_names_out())
    matrix = np.lib.format.open_memmap(options.work / "rows.npy", "w+", np.float32, shape)
    owners: list[int] = []
    qualities: list[Quality] = []
    for batch in features.extract(labelled["photo"].tolist()):
        matrix[len(owners) : len(owners) + len(batch.owners)] = batch.matrix
        owners += batch.owners
        qualities += batch.qualities
    matrix.flush()
    write_rows(options, labelled, owners, qualities)


def write_rows(options, labelled, owners, qualities) -> None:
    known = labelled.iloc[owners]
    digests = photo_digests(known)
    test = known["fold"].isin(TEST_FOLDS)
    copies = test & digests.isin(set(digests[~test]))
    facts = {
        "ages": known["age"].tolist(),
        "train": (~test).tolist(),
        "test": (test & ~copies).tolist(),
        "qualities": [[float(value) for value in quality] for quality in qualities],
    }
    (options.work / "rows.json").write_text(json.dumps(facts))


def read_rows(options):
    facts = json.loads((options.work / "rows.json").read_text())
    ages = np.array(facts["ages"], float)
    train, test = (np.flatnonzero(facts[name]) for name in ("train", "test"))
    qualities = [Quality(*quality) for quality in facts["qualities"]]
    return np.load(options.work / "rows.npy", mmap_mode="r"), ages, train, test, qualities


def estimator(regressor: str, folds: int | None) -> AgeEstimator:
    return AgeEstimator(
        "accurate", regressor=regressor, interval_folds=folds or None, random_state=0
    )


def start(options, kind: str, **settings) -> subprocess.Popen:
    """Start a fit in a process of its own, whose memory is known at its end."""
    return subprocess.Popen(
        [
            *(sys.executable, __file__, "--data", str(options.data), "--work", str(options.work)),
            *("--child", kind, json.dumps(settings)),
        ],
    )


def finish(process: subprocess.Popen) -> None:
    if process.wait():
        raise SystemExit(f"a fit ended with {process.returncode}")


def report(begun: float, path: Path, **facts) -> None:
    """Write down what this process took: of ``gb``, the most that was resident at once."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    facts["seconds"] = time.perf_counter() - begun
    facts["cpu"] = usage.ru_utime + usage.ru_stime
    facts["gb"] = usage.ru_maxrss * 1024 / 1e9
    path.write_text(json.dumps(facts))


def fit_many(options, rows: int, regressor: str, folds: int, folder: str) -> None:
    _, ages, *_ = read_rows(options)
    begun = time.perf_counter()
    fit_stream(estimator(regressor, folds), Rows(options.work, ages, rows), folder)
    report(begun, options.work / "many.json")


def fit_real(options, way: str, folder: str, n_sample: int = 16384) -> None:
    matrix, ages, train, test, qualities = read_rows(options)
    known = [qualities[row] for row in train]
    model = estimator("xgboost", None)
    begun = time.perf_counter()
    if way == "memory":
        model.fit_features(matrix[train], ages[train], qualities=known)
    else:
        path = options.work / "rows.npy"
        blocks = [(_Some(path, some), ages[some]) for some in np.array_split(train, 20)]
        fit_stream(model, blocks, folder, qualities=known, n_sample=n_sample)
    found = predict(model.age_regressor_, matrix, test)
    errors = np.abs(found - ages[test])
    np.save(options.work / f"{way}-{n_sample}.npy", found)
    report(begun, options.work / f"{way}-{n_sample}.json", n_train=len(train), mae=errors.mean())


class _Some:
    """Rows of a matrix on disk, read when they are asked for."""

    def __init__(self, path, rows):
        self._path, self._rows = path, rows

    def __array__(self, dtype=None, copy=None):
        return np.asarray(np.load(self._path, mmap_mode="r")[self._rows], dtype)


def predict(regressor: AgeRegressor, matrix, rows) -> npt.NDArray:
    parts = [regressor.predict(matrix[some]) for some in np.array_split(rows, 20)]
    return np.concatenate(parts)


def fit_killed(options, folder: str, out: str) -> None:
    matrix, ages, *_ = read_rows(options)
    model = estimator("xgboost", 3).set_params(regressor__n_estimators=60)
    model.set_params(reduction__n_centers=300)
    fit_stream(model, Rows(options.work, ages, 2000), folder, n_sample=1000, n_block=200)
    np.save(out, model.age_regressor_.predict(matrix[:500]))


def fit_trees(options, rows: int, regressor: str) -> None:
    """Grow twenty trees on what a reduction leaves of rows; more trees take no more memory."""
    reduced = RowsOnDisk(options.work / "reduced.npy", rows, N_REDUCED)
    ages = np.empty(rows)
    for first in range(0, rows, 10_000):
        block = np.random.default_rng(first).standard_normal((10_000, N_REDUCED), np.float32)
        block = block[: rows - first]
        reduced.write(first, block)
        ages[first : first + len(block)] = (40 + 10 * block[:, 0]).clip(0)
    begun = time.perf_counter()
    grown = make_regressor(regressor, 0)
    name = {"xgboost": "n_estimators", "catboost": "iterations"}
    parts = {"xgboost", "catboost"} if regressor == "blend" else {regressor}
    prefix = "{}__{}" if regressor == "blend" else "{1}"
    grown.set_params(**{prefix.format(part, name[part]): 20 for part in parts})
    fit_rows(grown, reduced, ages)
    report(begun, options.work / f"trees-{regressor}.json")


CHILDREN = {"many": fit_many, "real": fit_real, "killed": fit_killed, "trees": fit_trees}


def measure_memory(options) -> list[str]:
    folder = options.work / "many"
    settings = {"rows": options.rows, "regressor": options.regressor, "folds": options.folds}
    finish(start(options, "many", folder=str(folder), **settings))
    facts = json.loads((options.work / "many.json").read_text())
    size = sum(path.stat().st_blocks * 512 for path in folder.iterdir()) / 1e9
    shutil.rmtree(folder)
    n_features = len(FaceFeatures("accurate").get_feature_names_out())
    row = [
        f"{options.rows:,}",
        f"{options.rows * n_features * 4 / 1e9:.1f}",
        f"{options.regressor}, {options.folds or 'no'} folds",
        f"{facts['gb']:.2f}",
        f"{facts['seconds'] / 60:.0f}",
        f"{facts['cpu'] / 60:.0f}",
        f"{size:.1f}",
    ]
    header = ["rows of `accurate`", "matrix, GB", "regressor", "peak memory, GB"]
    return [table([*header, "minutes", "minutes of processor", "on disk, GB"], [row])]


def measure_parity(options) -> list[str]:
    rows, ages_in_memory = [], None
    ways = [("memory", 16384), ("streamed", 16384), ("streamed", 4096)]
    for way, n_sample in ways:
        folder, facts_path = (options.work / f"{way}-{n_sample}{end}" for end in ("", ".json"))
        if not facts_path.exists():
            finish(start(options, "real", way=way, folder=str(folder), n_sample=n_sample))
        facts = json.loads(facts_path.read_text())
        found = np.load(options.work / f"{way}-{n_sample}.npy")
        ages_in_memory = found if ages_in_memory is None else ages_in_memory
        apart = np.abs(found - ages_in_memory)
        name = "in memory" if way == "memory" else f"streamed, sample of {n_sample:,}"
        rows.append(
            [
                f"{name}: {facts['n_train']:,} rows train, {len(found):,} are asked",
                f"{facts['mae']:.4f}",
                f"{apart.mean():.4f}",
                f"{apart.max():.3f}",
                f"{facts['gb']:.2f}",
                f"{facts['cpu'] / 60:.1f}",
            ]
        )
        shutil.rmtree(folder, ignore_errors=True)
    header = ["fit on folds 0-5", "MAE on folds 6 and 7", "mean difference, years"]
    return [table([*header, "largest", "peak memory, GB", "minutes of processor"], rows)]


def measure_kills(options) -> list[str]:
    """Kill a fit five times, each a moment drawn at random after a stage has begun."""
    whole, killed = options.work / "whole", options.work / "killed"
    for folder in (whole, killed):
        shutil.rmtree(folder, ignore_errors=True)
    finish(start(options, "killed", folder=str(whole), out=str(options.work / "whole.npy")))
    out = options.work / "killed.npy"
    stages: list[str] = []
    rng = random.Random(0)
    for begun in KILLED_AFTER:
        process = start(options, "killed", folder=str(killed), out=str(out))
        while process.poll() is None and not (killed / begun).exists():
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1.5))
        process.kill()
        if process.wait() != -signal.SIGKILL:
            raise SystemExit("the fit had ended before it was killed: give it more rows")
        stages.append(last_stage(killed))
    finish(start(options, "killed", folder=str(killed), out=str(out)))
    same = np.array_equal(np.load(out), np.load(options.work / "whole.npy"))
    for folder in (whole, killed):
        shutil.rmtree(folder)
    row = [str(len(stages)), ", ".join(stages), "all 500" if same else "NOT ALL"]
    header = ["kills", "what was written last before each"]
    return [table([*header, "ages that are the same, bit for bit"], [row])]


def last_stage(folder: Path) -> str:
    """Which file of a training was written last."""
    if not folder.exists() or not [*folder.iterdir()]:
        return "the start"
    newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return f"`{newest.name.split('.')[0]}`"


def measure_trees(options) -> list[str]:
    rows = []
    for regressor in ("xgboost", "catboost", "blend"):
        (options.work / "reduced.npy").unlink(missing_ok=True)
        finish(start(options, "trees", rows=options.rows, regressor=regressor))
        facts = json.loads((options.work / f"trees-{regressor}.json").read_text())
        size = options.rows * N_REDUCED * 4 / 1e9
        rows.append([regressor, f"{options.rows:,}", f"{size:.2f}", f"{facts['gb']:.2f}"])
        (options.work / "reduced.npy").unlink()
    header = ["20 trees of", "rows behind the reduction", "on disk, GB", "peak memory, GB"]
    return [table(header, rows)]


MEASURES = {
    "memory": measure_memory,
    "same": measure_parity,
    "kills": measure_kills,
    "trees": measure_trees,
}

if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[1])
    main()
