"""Photos on many workers: what the engine costs, what is held in memory, and kills in the middle.

Workers are processes on this machine, started by Dask. What the engine costs is seen where a photo
does nothing but sleep for as long as it would take, so that there may be more workers than cores:

    python benchmarks/scale.py --data UTKFACE --out docs/many-machines.md

A million photos go through the whole way, those of UTKFace again and again, with features from a
cache (`--photos`); two of four workers are killed meanwhile.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import _one_thread  # noqa: F401
import joblib
import numpy as np
import pandas as pd
from _data import DEFAULT_FOLDER, read_data
from _page import put_tables, table
from _processor import describe_processor
from _scale_parts import (
    Nothing,
    SameTable,
    Sleep,
    look_alone,
    processor_seconds,
    repeated,
    resident_megabytes,
)
from distributed import Client, LocalCluster
from skimage.data import astronaut

import ageboost
from ageboost.faces import FaceFinder
from ageboost.features import FaceFeatures

WORKERS = (1, 2, 4, 8)
# Of `fast` and `accurate`, about.
SECONDS_A_PHOTO = {"fast": 0.011, "accurate": 0.06}
MODEL_BYTES = {"fast": 3_000_000, "accurate": 22_000_000}
ROUNDS = 5
HOURS, PHOTOS_A_DAY = 20, (1_000_000, 10_000_000, 100_000_000)
# Of a machine, and how much of it is there for photos: what is measured above must be no less.
CORES, SHARE = 16, 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Path(os.environ.get("AGEBOOST_UTKFACE", DEFAULT_FOLDER))
    parser.add_argument("--data", type=Path, default=default, help="folder of UTKFace")
    parser.add_argument("--photos", type=int, default=1_000_000, help="of the whole way")
    parser.add_argument("--killed", type=int, default=2_000, help="looked at while workers die")
    parser.add_argument("--real", type=int, default=1_000, help="looked at by two workers")
    parser.add_argument("--batches", type=int, default=40, help="for each worker that sleeps")
    parser.add_argument("--workers", type=int, nargs="+", default=[*WORKERS], help="that sleep")
    parser.add_argument("--parts", nargs="+", default=[*PARTS], choices=[*PARTS])
    parser.add_argument("--out", type=Path, help="page whose tables are put in")
    options = parser.parse_args()
    names = read_data(options.data)["photo"].sample(frac=1, random_state=0).tolist()
    tables = []
    for part in options.parts:
        for found in PARTS[part](names, options):
            print(found, end="\n\n", flush=True)
            tables.append(found)
    facts = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"load at the end {os.getloadavg()[0]:.1f}; {describe_processor()}"
    )
    print(facts)
    if options.out:
        put_tables(options.out, tables)


@contextmanager
def dask_workers(n_workers: int) -> Iterator[Client]:
    """Start workers of one thread each, which have imported what they need."""
    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=None, memory_limit=0
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(processor_seconds)
        with joblib.parallel_config("dask"):
            yield client


def measure_engine(names: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Compare the time that photos take with the time that they sleep."""
    [face] = FaceFinder().find(astronaut())
    rows = []
    for model, seconds in SECONDS_A_PHOTO.items():
        features = FaceFeatures([("nothing", Nothing())], finder=Sleep(seconds, face), n_jobs=-1)
        answer = SameTable(MODEL_BYTES[model])
        for n_workers in options.workers:
            n_photos = n_workers * options.batches * features.batch_size
            with dask_workers(n_workers) as client:
                # Each worker has the model and has worked before the clock starts.
                run_all(features, answer, repeated(names, 4 * n_workers * features.batch_size))
                used = cpu_of(client)
                began, parent = time.perf_counter(), time.process_time()
                run_all(features, answer, repeated(names, n_photos))
                taken, parent = time.perf_counter() - began, time.process_time() - parent
                used = cpu_of(client) - used
            parent, used = parent / n_photos, used / n_photos
            # With cores enough, a worker is held up by what it does itself, or by the parent.
            by_cpu = min(seconds / (seconds + used), seconds / n_workers / parent)
            rows.append(
                [
                    *(f"`{model}`, {1e3 * seconds:.0f} ms a photo", str(n_workers)),
                    *(f"{n_photos / taken:,.0f}", f"{seconds * n_photos / n_workers / taken:.2f}"),
                    *(f"{by_cpu:.2f}", f"{1e3 * parent:.2f}", f"{1e3 * used:.2f}"),
                ]
            )
            print(rows[-1], file=sys.stderr, flush=True)
    header = ["a photo sleeps", "workers", "photos a second", "efficiency", "by CPU time"]
    return [table([*header, "parent, CPU ms a photo", "workers, CPU ms a photo"], rows)]


def run_all(features: FaceFeatures, answer: SameTable, photos: Iterator[str]) -> int:
    return sum(len(found) for _, found in features.answer(answer, photos, all_faces=True))


def cpu_of(client: Client) -> float:
    return sum(client.run(processor_seconds).values())


def measure_real(names: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Look at real photos in two workers, and in two processes that know of no other, in turns."""
    model = ageboost.load_pretrained("fast").set_params(n_jobs=-1)
    walls, cpus = np.zeros((ROUNDS, 2)), np.zeros((ROUNDS, 2))
    share = options.real // ROUNDS
    with (
        ProcessPoolExecutor(2, get_context("spawn")) as pool,
        dask_workers(2) as client,
    ):
        list(pool.map(look_alone, ["fast"] * 2, [names[:64]] * 2))
        list(model.analyze_batches(names[:256]))
        for turn in range(ROUNDS):
            part = names[turn * share : (turn + 1) * share]
            for kind in (0, 1) if turn % 2 else (1, 0):
                used, parent, began = cpu_of(client), time.process_time(), time.perf_counter()
                if kind:
                    list(model.analyze_batches(iter(part)))
                    parent = time.process_time() - parent
                    cpus[turn, kind] = cpu_of(client) - used + parent
                else:
                    halves = [part[::2], part[1::2]]
                    cpus[turn, kind] = sum(t for t, _ in pool.map(look_alone, ["fast"] * 2, halves))
                walls[turn, kind] = time.perf_counter() - began
    rates, ratios = share * ROUNDS / walls.sum(axis=0), walls[:, 0] / walls[:, 1]
    spread = f"{ratios.min():.2f} to {ratios.max():.2f} in {ROUNDS} turns"
    per_photo = 1e3 * cpus.sum(axis=0) / share / ROUNDS
    rows = [
        ["photos a second: two processes; two workers", f"{rates[0]:.1f}; {rates[1]:.1f}"],
        ["workers over processes", f"{rates[1] / rates[0]:.2f} ({spread})"],
        ["CPU ms a photo: two processes; two workers", f"{per_photo[0]:.1f}; {per_photo[1]:.1f}"],
        ["the same by CPU time, parent included", f"{per_photo[0] / per_photo[1]:.2f}"],
    ]
    return [table([f"real photos, `fast`, {share * ROUNDS:,}", ""], rows)]


def kill_workers(names: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Kill workers in the middle, and compare with the table of one process."""
    photos = names[: options.killed]
    model = ageboost.load_pretrained("fast")
    expected = model.set_params(n_jobs=1).analyze(photos)
    rows = []
    for n_killed in (1, 2):
        with dask_workers(4) as client:
            tables = []
            for found in model.set_params(n_jobs=-1).analyze_batches(iter(photos)):
                tables.append(found)
                if len(tables) == len(photos) // 32 // 3:
                    kill_some(client, n_killed)
        rows.append([f"{n_killed} of 4 workers of Dask", *differences(tables, expected)])
        print(rows[-1], file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "photos.txt")
        listed.write_text("\n".join(photos))
        for n_killed in (1, 2):
            out = Path(folder, f"ages{n_killed}")
            workers = [start_shards(listed, out, len(photos) // 50) for _ in range(4)]
            while len(list(out.glob("part-*"))) < len(photos) // 50 // 3:
                time.sleep(0.1)
            for worker in workers[:n_killed]:
                worker.kill()
            for worker in workers:
                worker.wait()
            rows.append(
                [f"{n_killed} of 4 that write shards", *differences(tables_of(out), expected)]
            )
            print(rows[-1], file=sys.stderr, flush=True)
    header = [f"killed in the middle of {len(photos):,} photos", "photos lost", "there twice"]
    return [table([*header, "rows that differ from one process"], rows)]


def kill_some(client: Client, n_killed: int) -> None:
    for pid in sorted(client.run(os.getpid).values())[:n_killed]:
        os.kill(pid, signal.SIGKILL)


def start_shards(listed: Path, out: Path, n_shards: int) -> subprocess.Popen[bytes]:
    program = "from ageboost.cli import main; main()"
    call = ["predict", "-", "--model", "fast", "--out", out, "--shards", n_shards, "--lease", 10]
    with listed.open("rb") as photos:
        return subprocess.Popen(
            [sys.executable, "-c", program, *map(str, call)],
            stdin=photos,
            stderr=subprocess.DEVNULL,
        )


def tables_of(folder: Path) -> list[pd.DataFrame]:
    return [pd.read_parquet(path) for path in sorted(folder.glob("part-*"))]


def differences(tables: list[pd.DataFrame], expected: pd.DataFrame) -> list[str]:
    """Count photos that are lost or there twice, and rows that are not those of one process."""
    found = pd.concat(tables, ignore_index=True)
    counts, right = (one["photo"].value_counts() for one in (found, expected))
    change = counts.reindex(right.index, fill_value=0) - right
    columns = [name for name in expected if name != "message"]
    n_differing = len(expected)
    if len(found) == len(expected):
        same = (found[columns] == expected[columns]) | (
            found[columns].isna() & expected[columns].isna()
        )
        n_differing = int((~same.fillna(False).all(axis=1)).sum())
    return [f"{(change < 0).sum()}", f"{(change > 0).sum()}", f"{n_differing:,}"]


def go_the_whole_way(names: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Send a stream through four workers, two of which die; watch memory and the rows."""
    model = ageboost.load_pretrained("fast")
    size = model.features_.batch_size
    # Whole batches, so that each batch of the stream is one of these again.
    distinct = list(names[: min(31, options.photos // size) * size])
    memory, workers, n_rows, n_batches, n_wrong = [], [0.0], 0, 0, 0
    kills = [options.photos // size * share // 3 for share in (1, 2)]
    with tempfile.TemporaryDirectory() as cache:
        expected = list(model.set_params(cache=cache, n_jobs=1).analyze_batches(distinct))
        with dask_workers(4) as client:
            loaded, began = resident_megabytes(), time.perf_counter()
            photos = repeated(distinct, options.photos // size * size)
            for found in model.set_params(n_jobs=-1).analyze_batches(photos):
                n_wrong += not found.equals(expected[n_batches % len(expected)])
                n_rows += len(found)
                n_batches += 1
                memory.append(resident_megabytes())
                if n_batches in kills:
                    workers += client.run(resident_megabytes).values()
                    kill_some(client, 1)
            taken = time.perf_counter() - began
            workers += client.run(resident_megabytes).values()
    n_photos = n_batches * size
    settled = memory[len(memory) // 10 :]
    rows = [
        ["photos given, and with an answer; distinct", f"{n_photos:,}; {len(distinct):,}"],
        ["seconds; photos a second", f"{taken:,.0f}; {n_photos / taken:,.0f}"],
        ["batches; other than in one process", f"{n_batches:,}; {n_wrong:,}"],
        ["rows", f"{n_rows:,}"],
        ["parent's memory above the model, at most", f"{max(memory) - loaded:.0f} MB"],
        ["parent's memory at the end over a tenth", f"{settled[-1] - settled[0]:+.0f} MB"],
        ["memory of a worker, at most", f"{max(workers):.0f} MB"],
    ]
    return [table(["the whole way, two of four workers killed", ""], rows)]


def compute_chain(names: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Compute what a chain needs, from the processor time of a photo on this machine."""
    rows = []
    for model in SECONDS_A_PHOTO:
        look_alone(model, names[:32])
        n_photos = 320 if model == "fast" else 64
        seconds, _ = look_alone(model, names[32 : 32 + n_photos])
        per_core = n_photos / seconds
        for a_day in PHOTOS_A_DAY:
            hours = a_day / (SHARE * per_core * CORES) / 3600
            rows.append(
                [
                    *(f"`{model}`", f"{per_core:.0f}", f"{a_day:,}", f"{hours:,.1f}"),
                    f"{max(1, int(np.ceil(hours / HOURS))):,}",
                ]
            )
    header = ["model", "photos a second and core", "photos a day"]
    return [
        table(
            [
                *header,
                f"hours of a machine of {CORES} cores, {SHARE:.0%} of them for photos",
                f"machines, {HOURS} hours a day",
            ],
            rows,
        )
    ]


PARTS = {
    "engine": measure_engine,
    "real": measure_real,
    "kills": kill_workers,
    "whole": go_the_whole_way,
    "chain": compute_chain,
}

if __name__ == "__main__":
    main()
