"""Estimate the age in a photo that comes with scikit-image, and draw the result.

The photo is NASA's portrait of the astronaut Eileen Collins, in the public domain. scikit-image is
in the extra ``examples``: ``pip install ".[examples]"``.
"""

from __future__ import annotations

import argparse

from skimage.data import astronaut

import ageboost
from ageboost.evaluation import draw_ages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default="demo.png", help="the picture to write")
    options = parser.parse_args()
    photo = astronaut()
    table = ageboost.load_pretrained().analyze([photo])
    for face in table.itertuples():
        print(f"{face.age:.0f} years, 9 times in 10 from {face.age_low:.0f} to {face.age_high:.0f}")
    draw_ages(photo, table).save(options.out)
    print(f"drawn in {options.out}")


if __name__ == "__main__":
    main()
