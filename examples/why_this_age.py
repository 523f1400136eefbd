"""
Why this age?
=============

Which parts of a face add years to its estimated age, and which subtract some? The photo is NASA's
portrait of the astronaut Eileen Collins, which is in the public domain and comes with
scikit-image.
"""

import matplotlib.pyplot as plt
from skimage.data import astronaut

import ageboost
from ageboost.evaluation import explain

model = ageboost.load_pretrained("fast")
reasons = explain(model, astronaut())
print(reasons)

# %%
# The years for all parts, added to the average estimate of the model, give the age:

print(reasons.regions.round(1).to_string())
print(f"{reasons.base_value:.1f} + ({reasons.regions.sum():.1f}) = {reasons.prediction:.1f} years")

# %%
# The same as a picture. Orange parts add years, hatched parts subtract them.

figure = reasons.draw()
figure.savefig("why.png")

shown, ax = plt.subplots(figsize=(9, 4), layout="constrained")
ax.imshow(plt.imread("why.png"))
ax.set_axis_off()
ax.set_title("The face, the map of years, and the years for each part")
plt.show()

# %%
# Reasons show what the model based its estimate on. They do not prove that the age is right.
