"""Every example runs from beginning to end, as a reader would run it."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example, tmp_path):
    environment = os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(example)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout


def test_the_gallery_names_every_example_and_no_other():
    front = (ROOT / "examples/GALLERY_HEADER.rst").read_text("utf-8")
    named = [word for word in front.split() if word.endswith(".py") and "/" not in word]
    assert sorted([*named, "demo.py"]) == [path.name for path in EXAMPLES]
    assert len(named) >= 10
