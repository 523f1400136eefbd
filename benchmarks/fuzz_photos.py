"""Look for bytes that break ``read_photo``, guided by which code they reach.

Needs atheris: ``pip install atheris``. Runs until it is stopped, or as libFuzzer's options say:
``python benchmarks/fuzz_photos.py -max_total_time=600 corpus/``. What breaks it is written to a
file that starts with ``crash-``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris
from _bad_inputs import whole_files

with atheris.instrument_imports(include=["PIL", "ageboost.photos"]):
    from ageboost import AgeboostError, read_photo


def read(content: bytes) -> None:
    """Read a photo; any other error than a documented one is a find."""
    try:
        pixels = read_photo(content, max_pixels=1_000_000)
    except AgeboostError:
        return
    assert pixels.ndim == 3


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in whole_files().items():
            (Path(folder) / name).write_bytes(content)
        atheris.Setup([*sys.argv, folder], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
