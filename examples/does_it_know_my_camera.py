"""
Does this model know my camera?
===============================

A model's errors were measured on photos from other cameras. Before you rely on its ages, check
whether it knows photos like yours. This needs no ages.

Here, a single portrait stands in for a camera: it is cropped in thirty ways, then darkened,
blurred and turned grey.
"""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageFilter
from skimage.data import astronaut

import ageboost

model = ageboost.load_pretrained("fast")
portrait = astronaut()
photos = [portrait[i : 300 + i, 60 + i : 400] for i in range(30)]


def blur(photo):
    """Blur a photo as a lens out of focus would."""
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(2)))


def grey(photo):
    """Take the colours away."""
    return np.repeat(photo.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)


cameras = {
    "as it is": photos,
    "a third as bright": [(photo * 0.3).astype(np.uint8) for photo in photos],
    "blurred": [blur(photo) for photo in photos],
    "grey": [grey(photo) for photo in photos],
}
found = {name: model.familiarity(batch) for name, batch in cameras.items()}
for name, familiarity in found.items():
    print(f"{name}. {familiarity}\n")

# %%
# Even "as it is", thirty crops of one portrait are not like a batch of photos of many people,
# because they are all alike. What matters is how the signs change from camera to camera.

signs = found["as it is"].differences["sign"]
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
width = 0.8 / len(found)
for position, (name, familiarity) in enumerate(found.items()):
    places = np.arange(len(signs)) + (position - 1.5) * width
    shade = str(0.15 + 0.2 * position)
    axes.bar(places, familiarity.differences["distance"], width, label=name, color=shade)
axes.set_xticks(np.arange(len(signs)), signs)
axes.set_ylabel("distance from known photos")
axes.set_title("How far each sign is from the photos that the model knows", pad=28)
axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
plt.show()

# %%
# If a camera is foreign, adapt the model with a hundred photos of your own:
# ``model.adapt(photos, ages)``.
