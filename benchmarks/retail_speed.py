"""How long the shop's reports take on a million lines of receipts, and how much memory.

A made-up year of a chain, whose buyers get what the model said of real people of their age. Each
command runs as a process of its own, from CSV files on disk to the page or table:

    python benchmarks/retail_speed.py --out docs
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ageboost
from ageboost.datasets import make_shop
from ageboost.retail import simulate_buyers

LINES_PER_RECEIPT = 3.64
RESTRICTED = [word for name in ("beer", "wine", "spirits") for word in ("--restricted", name)]
COMMANDS = {
    "baskets": ["--out", "baskets.csv"],
    "alcohol": [*RESTRICTED, "--out", "cashiers.csv"],
    "report": [*RESTRICTED, "--out", "report.html"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="folder for retail-speed.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        n_lines, n_receipts = write_shop(Path(folder), int(options.lines / LINES_PER_RECEIPT))
        rows = [measure(name, arguments, folder) for name, arguments in COMMANDS.items()]
    text = "\n".join(
        [
            "# How long a million lines take",
            "",
            f"{n_lines:,} lines of {n_receipts:,} receipts, from CSV files to the result, each "
            f"command in a process of its own, on {os.cpu_count()} cores ({platform.machine()}), "
            f"Python {platform.python_version()}. The ages of the buyers are already known.",
            "",
            "| command | seconds | peak memory, GB |",
            "| --- | --- | --- |",
            *(f"| `ageboost retail {name}` | {s:.0f} | {gb:.2f} |" for name, s, gb in rows),
        ]
    )
    print(text)
    if options.out:
        (options.out / "retail-speed.md").write_text(text + "\n")


def write_shop(folder: Path, n_receipts: int) -> tuple[int, int]:
    shop = make_shop(n_receipts, n_stores=10, n_tills=4, n_cashiers=12, random_state=0)
    model = ageboost.load_pretrained()
    buyers = simulate_buyers(shop.truth, model, missing=0.02, random_state=0)
    for name, table in (("receipts", shop.receipts), ("lines", shop.lines), ("buyers", buyers)):
        table.to_csv(folder / f"{name}.csv", index=False)
    return len(shop.lines), len(shop.receipts)


def measure(name: str, arguments: list[str], folder: str) -> tuple[str, float, float]:
    command = [sys.executable, "-c", "from ageboost.cli import main; main()", "retail", name]
    command += ["receipts.csv", "lines.csv", "--buyers", "buyers.csv", *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"ageboost retail {name} failed")
    # Linux counts in kilobytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return name, seconds, usage.ru_maxrss * unit / 1e9


if __name__ == "__main__":
    main()
