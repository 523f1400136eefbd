"""What the benchmarks share: where the photos are, and which of them train and test."""

from __future__ import annotations

import argparse
import hashlib
import os
from pathlib import Path

import pandas as pd

from ageboost.datasets import read_utkface

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "datasets" / "utkface"
DEFAULT_ELSEWHERE = DEFAULT_FOLDER.with_name("elsewhere")
TEST_FOLDS = (6, 7)


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("AGEBOOST_UTKFACE", DEFAULT_FOLDER)),
        help="folder of UTKFace (default: $AGEBOOST_UTKFACE)",
    )
    parser.add_argument("--cache", type=Path, help="folder to keep features in between runs")
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: all cores)")


def add_elsewhere_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--elsewhere",
        type=Path,
        default=Path(os.environ.get("AGEBOOST_ELSEWHERE", DEFAULT_ELSEWHERE)),
        help="folder of photos of other sources (default: $AGEBOOST_ELSEWHERE)",
    )


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models",
        type=Path,
        default=DEFAULT_FOLDER.parents[1] / "models",
        help="folder of the networks to start from",
    )
    parser.add_argument("--threads", type=int, default=2, help="that compute (default: 2)")


def read_data(folder: Path) -> pd.DataFrame:
    """Read folds 0 to 7; folds 8 and 9 are the test part of the protocol and stay untouched."""
    table = read_utkface(folder)
    return table[table["fold"] < 8].reset_index(drop=True)


def split(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train on folds 0 to 5, test on 6 and 7 less the copies of photos that train."""
    test = table["fold"].isin(TEST_FOLDS)
    digests = photo_digests(table)
    copies = digests.isin(set(digests[~test]))
    return table[~test], table[test & ~copies]


def photo_digests(table: pd.DataFrame) -> pd.Series:
    """Recognise byte-identical photos by their digests."""
    return table["photo"].map(lambda path: hashlib.sha256(Path(path).read_bytes()).hexdigest())
