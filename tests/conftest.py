"""What several test modules share."""

import os
from pathlib import Path

import pytest

_UTKFACE = Path(__file__).parents[2] / "shared" / "datasets" / "utkface"


@pytest.fixture(scope="session")
def utkface() -> Path:
    """A folder with UTKFace photos in ``images/`` and their ``labels.csv``; never in the tree."""
    folder = Path(os.environ.get("AGEBOOST_UTKFACE", _UTKFACE))
    if not (folder / "images").is_dir() or not (folder / "labels.csv").is_file():
        pytest.skip(f"no images/ and labels.csv in {folder}: set AGEBOOST_UTKFACE to the folder")
    return folder
