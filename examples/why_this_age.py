"""
Why this age?
=============

Which parts of a face add years to its estimated age, and which take some away? The portrait is
NASA's, of the astronaut Eileen Collins, in the public domain; it comes with scikit-image.
"""

import matplotlib.pyplot as plt
from skimage.data import astronaut

import ageboost
from ageboost.evaluation import explain

model = ageboost.load_pretrained("fast")
reasons = explain(model, astronaut())
print(reasons)

# %%
# Years of all parts, together with the age that the model would say of nobody in particular, add
# up to the estimate:

print(reasons.regions.round(1).to_string())
print(f"{reasons.base_value:.1f} + ({reasons.regions.sum():.1f}) = {reasons.prediction:.1f} years")

# %%
# The same as a picture. Orange adds years, hatched takes some away.

figure = reasons.draw()
figure.savefig("why.png")

shown, ax = plt.subplots(figsize=(9, 4), layout="constrained")
ax.imshow(plt.imread("why.png"))
ax.set_axis_off()
ax.set_title("The face, the map of years, and the years of each part")
plt.show()

# %%
# A reason says what the model looked at. It is no proof that the age is right.
