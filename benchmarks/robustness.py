"""Try to break it: bad files, killed runs, tampered models, long runs.

Prints tables, and with ``--out docs/robustness.md`` puts them into this page. All of it takes two
hours; ``--quick`` tries a tenth. In the long run, the fast model looks at 200,000 photos, two in a
hundred of them bad, and reports whether memory, open files or ages drift.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import _page
import numpy as np
import pandas as pd
from _bad_inputs import KINDS, bad_input
from _tampered import TAMPERINGS, tampered
from PIL import Image
from skimage.data import astronaut

import ageboost

# A file is taken to hang if it takes longer than this; a photo of 127 megapixels may.
_HANG_SECONDS = 10
_MAX_PIXELS = 4_000_000
_ANSWERS = ("refused", "loaded", "loaded, then an error")

# Runs in a process of its own, so that a crash is seen and counted.
_READ = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import faulthandler
from _bad_inputs import bad_input
from ageboost import AgeboostError, read_photo
kind, first, count, max_pixels, seconds = sys.argv[2], *map(int, sys.argv[3:])
slowest, refused, wrong = 0.0, 0, []
for seed in range(first, first + count):
    content = bad_input(kind, seed)
    faulthandler.dump_traceback_later(seconds, exit=True)
    start = time.perf_counter()
    try:
        read_photo(content, max_pixels=max_pixels)
    except AgeboostError:
        refused += 1
    except BaseException as error:
        wrong.append(f"{seed}: {error!r}")
    slowest = max(slowest, time.perf_counter() - start)
    faulthandler.cancel_dump_traceback_later()
status = open("/proc/self/status").read()
peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps([slowest, refused, wrong, peak]))
"""

_LARGE = """
import json, sys, time
from ageboost import AgeboostError, read_photo
start = time.perf_counter()
try:
    read_photo(sys.argv[1])
    answer = "read"
except AgeboostError as error:
    answer = error.status
status = open("/proc/self/status").read()
peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps([time.perf_counter() - start, answer, peak]))
"""

_LOAD = """
import faulthandler, json, sys
import numpy as np
import ageboost
load = ageboost.load  # with all that it imports, before the clock runs
answers = []
for path in sys.argv[2:]:
    print(path, file=sys.stderr, flush=True)
    faulthandler.dump_traceback_later(int(sys.argv[1]), exit=True)
    try:
        model = load(path)
    except ageboost.ModelFileError:
        answers.append("refused")
        continue
    except Exception as error:
        answers.append(repr(error)[:200])
        continue
    try:
        model.age_regressor_.predict(np.zeros((1, 136), np.float32))
        answers.append("loaded")
    except Exception:
        answers.append("loaded, then an error")
print(json.dumps(answers))
"""

# Writes down each photo that is decoded, and runs the command line.
_COUNTED = str(Path(__file__).with_name("_counted.py"))


def try_bad_files(n_inputs: int) -> pd.DataFrame:
    """Read damaged files of every kind; a process for each thousand."""
    rows = []
    here = str(Path(__file__).parent)
    for kind in KINDS:
        total = -(-n_inputs // len(KINDS))
        row = {"input": kind, "tried": 0, "refused": 0, "crashes": 0, "hangs": 0, "other errors": 0}
        row |= {"slowest, s": 0.0, "peak memory, MB": 0.0}
        for first in range(0, total, 1000):
            count = min(1000, total - first)
            done = subprocess.run(
                [
                    *(sys.executable, "-c", _READ, here, kind),
                    *map(str, (first, count, _MAX_PIXELS, _HANG_SECONDS)),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            row["tried"] += count
            if done.returncode:
                hung = "Timeout" in done.stderr
                row["hangs" if hung else "crashes"] += 1
                continue
            slowest, refused, wrong, peak = json.loads(done.stdout)
            row["refused"] += refused
            row["other errors"] += len(wrong)
            row["slowest, s"] = max(row["slowest, s"], slowest)
            row["peak memory, MB"] = max(row["peak memory, MB"], peak)
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def large_files() -> dict[str, bytes]:
    """Encode the largest photos that are read, and bombs."""
    side = 11_300

    def encode(mode, kind, **options):
        buffer = io.BytesIO()
        array = np.zeros((side, side), np.uint16) if mode == "I;16" else None
        photo = Image.new(mode, (side, side)) if array is None else Image.fromarray(array)
        photo.save(buffer, kind, **options)
        return buffer.getvalue()

    jpeg = encode("RGB", "JPEG", progressive=True)
    last_pass = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    bomb = bytearray(encode("1", "PNG"))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    return {
        "progressive JPEG of 127 megapixels": jpeg,
        "the same in 60 passes": jpeg[:-2] + last_pass * 50 + b"\xff\xd9",
        "the same in 5,000 passes": jpeg[:-2] + last_pass * 5000 + b"\xff\xd9",
        "PNG of 127 megapixels": encode("RGB", "PNG", compress_level=1),
        "the same with transparency": encode("RGBA", "PNG", compress_level=1),
        "the same in 16 bits": encode("I;16", "PNG", compress_level=1),
        "float TIFF of 127 megapixels": encode("F", "TIFF", compression="tiff_lzw"),
        "WebP of 127 megapixels, 34 bytes": encode("RGB", "WEBP", lossless=True, method=0),
        "GIF of 127 megapixels": encode("P", "GIF"),
        "PNG that says 3,600 megapixels": bytes(bomb),
    }


def try_large_files() -> pd.DataFrame:
    """Read the largest photos, each in a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, content in large_files().items():
            path = Path(folder) / "photo"
            path.write_bytes(content)
            done = subprocess.run(
                [sys.executable, "-c", _LARGE, str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds, answer, peak = json.loads(done.stdout)
            rows.append([name, f"{len(content):,}", answer, round(seconds, 1), round(peak)])
    return pd.DataFrame(rows, columns=["photo", "bytes", "answer", "seconds", "peak memory, MB"])


def try_rows(n_inputs: int) -> dict[str, int]:
    """Analyze damaged files among whole ones, and count rows that are lost, doubled, or moved."""
    model = ageboost.load_pretrained("fast")
    lost = doubled = moved = 0
    kinds = list(KINDS)
    for first in range(0, n_inputs, 500):
        photos = [bad_input(kinds[s % len(kinds)], 10**6 + s) for s in range(first, first + 500)]
        table = model.analyze(photos)
        places = table["photo"].str.extract(r"photo (\d+) ")[0].astype(int).to_numpy()
        lost += len(set(range(500)) - set(places))
        faces = table["face"].fillna(0).to_numpy()
        doubled += len(places) - len(set(zip(places, faces, strict=True)))
        moved += int((np.diff(places) < 0).sum())
    return {"inputs": n_inputs, "rows lost": lost, "rows doubled": doubled, "rows moved": moved}


def _photo_folder(folder: Path, n_photos: int) -> None:
    face = astronaut()
    for i in range(n_photos):
        Image.fromarray(face[i % 20 : 220 + i % 60, 130 + i % 17 : 330]).save(
            folder / f"{i:04}.jpg", quality=70 + i % 25
        )
        if i % 50 == 7:
            (folder / f"{i:04} broken.jpg").write_bytes(b"no photo")


def try_kills(n_rounds: int, n_photos: int) -> dict[str, object]:
    """Kill a run again and again, let it end, and compare with an undisturbed run."""
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        _photo_folder(photos, n_photos)

        def start(out, log):
            command = ["predict", str(photos), "--model", "fast", "--out", str(out)]
            return subprocess.Popen(
                [sys.executable, _COUNTED, str(log), *command], stderr=subprocess.DEVNULL
            )

        begun = time.monotonic()
        start(folder / "whole.csv", folder / "whole.log").wait()
        whole_seconds = time.monotonic() - begun
        out, log = folder / "ages.csv", folder / "log"
        partial = folder / "ages.csv.partial"
        n_kills = n_finished = most_lost = before = 0
        while n_kills < n_rounds:
            process = start(out, log)
            n_lines = _count_lines(partial)
            # Sometimes while it starts, else when another batch is done or soon after.
            delay = chance.uniform(0, 0.4)
            deadline = time.monotonic() + (chance.uniform(0, 3) if chance.random() < 0.2 else 60)
            while process.poll() is None and time.monotonic() < deadline:
                if _count_lines(partial) > n_lines:
                    time.sleep(delay)
                    break
                time.sleep(0.002)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
                n_kills += 1
            if out.exists() and not partial.exists():
                # It was whole, perhaps on its way out: begin anew.
                n_finished += 1
                if out.read_bytes() != (folder / "whole.csv").read_bytes():
                    return {"rounds": n_kills, "result": "ANOTHER TABLE"}
                out.unlink()
                log.unlink()
                before = 0
                continue
            decoded = _count_lines(log)
            kept = max(_count_lines(partial) - n_lines - (n_lines == 0), 0)
            most_lost = max(most_lost, decoded - before - kept)
            before = decoded
        start(out, log).wait()
        same = out.read_bytes() == (folder / "whole.csv").read_bytes()
        return {
            "rounds": n_kills,
            "photos in the folder": len(list(photos.iterdir())),
            "an undisturbed run, s": round(whole_seconds, 1),
            "runs that came to their end between": n_finished,
            "most readable photos computed in vain by one kill": most_lost,
            "result": "the same table, byte for byte" if same else "ANOTHER TABLE",
        }


def _count_lines(path: Path) -> int:
    """Count whole lines; photos that cannot be read are left out, as each run looks at them."""
    if not path.exists():
        return 0
    return sum(line[-1:] == b"\n" and b"broken" not in line for line in path.open("rb"))


def try_interrupts(n_rounds: int) -> dict[str, object]:
    """Interrupt runs, and measure how long they take to stop."""
    seconds, statuses = [], set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        _photo_folder(photos, 400)
        for number in range(n_rounds):
            out = folder / f"{number}.csv"
            partial = folder / f"{number}.csv.partial"
            process = subprocess.Popen(
                [
                    *(sys.executable, _COUNTED, os.devnull, "predict", str(photos)),
                    *("--out", str(out), "--model", ["fast", "accurate"][number % 2]),
                    *("--jobs", str(1 + number // 2 % 2)),
                ],
                stderr=subprocess.DEVNULL,
            )
            while process.poll() is None and _count_lines(partial) < 2:
                time.sleep(0.005)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            statuses.add(process.wait())
            seconds.append(time.monotonic() - begun)
    return {
        "rounds": n_rounds,
        "slowest stop, s": round(max(seconds), 2),
        "median, s": round(float(np.median(seconds)), 2),
        "exit status": ", ".join(map(str, sorted(statuses))),
    }


def try_models(n_files: int) -> pd.DataFrame:
    """Load tampered model files, in processes of their own."""
    stored = Path(__file__).parents[1] / "tests" / "data" / "format2.ageboost"
    content = stored.read_bytes()
    answers: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for number in range(n_files):
            kind = TAMPERINGS[number % len(TAMPERINGS)]
            path = Path(folder) / f"{number}.ageboost"
            path.write_bytes(tampered(content, kind, number))
            made.append((kind, str(path)))
        while made:
            part = made[:200]
            done = subprocess.run(
                [
                    *(sys.executable, "-c", _LOAD, str(_HANG_SECONDS)),
                    *(path for _, path in part),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                # The last file that was begun took the process with it.
                begun = [line for line in done.stderr.splitlines() if line.endswith(".ageboost")]
                position = [path for _, path in part].index(begun[-1])
                hung = "Timeout" in done.stderr
                _count(answers, part[position][0], "hangs" if hung else "crashes")
                made = made[:position] + made[position + 1 :]
                continue
            for (kind, _), answer in zip(part, json.loads(done.stdout), strict=True):
                known = answer in _ANSWERS
                _count(answers, kind, answer if known else "other errors")
                if not known:
                    print(kind, answer, file=sys.stderr)
            made = made[len(part) :]
    rows = [{"model file": kind, **counts} for kind, counts in answers.items()]
    columns = [*_ANSWERS, "crashes", "hangs", "other errors"]
    table = pd.DataFrame(rows, columns=["model file", *columns]).fillna(0)
    return table.astype(dict.fromkeys(columns, int))


def _count(answers: dict[str, dict[str, int]], kind: str, answer: str) -> None:
    counts = answers.setdefault(kind, {})
    counts[answer] = counts.get(answer, 0) + 1


def soak(n_predictions: int) -> pd.DataFrame:
    """Predict for long, and watch memory, open files and ages."""
    model = ageboost.load_pretrained("fast")
    good = []
    for i in range(49):
        buffer = io.BytesIO()
        Image.fromarray(astronaut()[i % 20 : 220 + i, 130 + i % 7 : 330]).save(buffer, "JPEG")
        good.append(buffer.getvalue())
    expected = model.predict(good)
    rows = []
    kinds = list(KINDS)
    for number in range(-(-n_predictions // 50)):
        bad = bad_input(kinds[number % len(kinds)], number)
        ages = model.predict([*good, bad])
        if not np.array_equal(ages[:49], expected):
            raise SystemExit(f"after {number * 50} predictions, ages have drifted")
        if (number + 1) % max(1, n_predictions // 50 // 10) == 0:
            rows.append(
                {
                    "predictions": (number + 1) * 50,
                    "memory, MB": round(_resident_megabytes()),
                    "open files": len(os.listdir("/proc/self/fd")),
                    "ages as at the start": "yes",
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def markdown(table: pd.DataFrame) -> str:
    """Write a table in Markdown."""
    rows = table.to_numpy(object).tolist()
    texts = [[f"{v:.2f}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    return _page.table(list(table.columns), texts)


def facts(name: str, found: dict[str, object]) -> pd.DataFrame:
    """Turn facts into a table of two columns."""
    return pd.DataFrame({name: list(found), "": [str(value) for value in found.values()]})


def with_total(bad: pd.DataFrame) -> pd.DataFrame:
    """Add a row for all kinds of damaged files."""
    slowest, largest = ("slowest, s", "peak memory, MB")
    total = bad.sum().to_dict() | {"input": "**all**"}
    total |= {slowest: bad[slowest].max(), largest: bad[largest].max()}
    return pd.concat([bad, pd.DataFrame([total])], ignore_index=True)


# What is tried, and with how many inputs.
PARTS: dict[str, Callable[[int], pd.DataFrame]] = {
    "damaged": lambda scale: with_total(try_bad_files(50_000 // scale)),
    "rows": lambda scale: facts("analyze", try_rows(5_000 // scale)),
    "largest": lambda scale: try_large_files(),
    "killed": lambda scale: facts("SIGKILL", try_kills(50 // scale, 1_000)),
    "interrupted": lambda scale: facts("SIGINT", try_interrupts(8 // min(scale, 2))),
    "tampered": lambda scale: try_models(2_400 // scale),
    "long": lambda scale: soak(200_000 // scale),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all of them)"
    )
    parser.add_argument("--quick", action="store_true", help="try a tenth of everything")
    parser.add_argument("--out", type=Path, help="Markdown page whose tables are to be replaced")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for name in arguments.parts or PARTS:
        text = markdown(PARTS[name](10 if arguments.quick else 1))
        print(f"\n{text}", flush=True)
        if arguments.out is not None:
            _page.put_tables(arguments.out, [text])


if __name__ == "__main__":
    main()
