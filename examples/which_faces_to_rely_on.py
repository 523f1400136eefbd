"""
Which faces should I not rely on?
=================================

A face that is covered, turned or dark gets an age like any other. ``analyze`` says whether you
can rely on it and, if not, why.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import astronaut

import ageboost

model = ageboost.load_pretrained("fast")
portrait = astronaut()[0:300, 60:400]

masked = portrait.copy()
masked[140:160, 140:190] = 128
photos = {
    "as it is": portrait,
    "on its side": np.rot90(portrait).copy(),
    "covered": masked,
    "negative": 255 - portrait,
    "flattened": portrait[::2],
    "dark": (portrait * 0.03).astype(np.uint8),
}
table = model.analyze(list(photos.values())).groupby("photo", sort=False).first()
table.index = list(photos)
print(table[["age", "reliable", "message"]].round(0).to_string())

# %%
# A photo on its side is rotated, and keeps its age. The others are marked as unreliable:

figure, axes = plt.subplots(2, 3, figsize=(8, 5.5), layout="constrained")
for ax, (name, photo) in zip(axes.flat, photos.items(), strict=True):
    ax.imshow(photo)
    ax.set_axis_off()
    verdict = "rely on it" if table.loc[name, "reliable"] else "do not rely on it"
    ax.set_title(f"{name}:\n{verdict}", fontsize=11)
plt.show()

# %%
# How often each fault is noticed was measured on real photos: see ``docs/reliability.md``.
