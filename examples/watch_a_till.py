"""Follow a person through a film, and draw the age that is known at each moment.

The film is made here, of NASA's portrait of Eileen Collins that comes with scikit-image (in the
public domain, ``pip install ".[examples]"``): she walks to the till, stands there, and leaves.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np
from PIL import Image
from skimage.data import astronaut

import ageboost
from ageboost.evaluation import draw_ages
from ageboost.retail import AlcoholPolicy, check
from ageboost.video import analyze_video, watch_video
from ageboost.video.person import people_table

PER_SECOND = 10
SHOWN = (3, 14, 34, 48)


def make_film():
    """Yield pairs of time and frame."""
    portrait = cv2.resize(astronaut()[0:320, 80:400], (300, 300))
    for number in range(6 * PER_SECOND):
        seconds = number / PER_SECOND
        x = np.interp(seconds, [0, 1.5, 4, 6], [-60, 170, 170, 560]) + 6 * np.sin(3 * seconds)
        frame = np.full((360, 640, 3), (70, 80, 90), np.uint8)
        left, right = max(int(x), 0), min(int(x) + 300, 640)
        if left < right:
            frame[60:360, left:right] = portrait[:, left - int(x) : right - int(x)]
        blur = 1 + 2 * abs(np.sin(2 * seconds))
        yield seconds, cv2.GaussianBlur(frame, (0, 0), blur)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default="till.png", help="the picture to write")
    options = parser.parse_args()
    model = ageboost.load_pretrained("fast")
    policy = AlcoholPolicy()
    drawn, said = [], ""
    for moment in watch_video(model, make_film()):
        for person in moment.people:
            answer = check(person, policy).answer
            if answer != said:
                print(f"{moment.frame.time:.1f} s: {answer}")
                said = answer
        if moment.frame is not None and moment.frame.number in SHOWN:
            known = [person for person in moment.people if person.used]
            table = people_table(known, 0.9)
            for row, person in enumerate(known):
                box = person.box
                place = (box.left, box.top, box.right - box.left, box.bottom - box.top)
                table.loc[row, ["left", "top", "width", "height"]] = place
            drawn.append(np.asarray(draw_ages(moment.frame.pixels, table)))
    table = analyze_video(model, make_film())
    print(table[["start", "end", "n_frames", "n_used", "age", "age_low", "age_high"]].round(1))
    Image.fromarray(np.vstack([np.hstack(drawn[:2]), np.hstack(drawn[2:])])).save(options.out)
    print(f"drawn in {options.out}")


if __name__ == "__main__":
    main()
