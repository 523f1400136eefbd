"""
How old is the person at the till?
==================================

A till has a camera, not a folder of photos. People are followed from frame to frame, and their
best frames are combined into one age.

The video is simulated from NASA's portrait of Eileen Collins, which is in the public domain and
comes with scikit-image: she walks to the till, stands there, and leaves.
"""

import cv2
import matplotlib.pyplot as plt
import numpy as np
from skimage.data import astronaut

import ageboost
from ageboost.evaluation import draw_ages
from ageboost.retail import AlcoholPolicy, check
from ageboost.video import analyze_video, watch_video

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


# %%
# While she stands there, ``check`` advises the cashier. It can say "ask" from the first reliable
# frame on, but "sell" only after three.

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
        drawn.append(
            np.asarray(draw_ages(moment.frame.pixels, model.analyze([moment.frame.pixels])))
        )

# %%
# After she has left, the table has one row:

table = analyze_video(model, make_film())
columns = ["start", "end", "n_frames", "n_used", "age", "age_low", "age_high"]
print(table[columns].round(1).to_string(index=False))

# %%
# Four frames, each with its own estimate:

figure, axes = plt.subplots(2, 2, figsize=(9, 5.5), layout="constrained")
figure.suptitle("Four frames of the video, each with its estimate")
for ax, picture in zip(axes.flat, drawn, strict=True):
    ax.imshow(picture)
    ax.set_axis_off()
plt.show()
