"""
Which photos in my data are mislabelled?
========================================

Every collection contains wrong ages, and a model learns from them. A label is worth a second look
if it is very unlikely given the model's estimate.

The model ``fast`` comes with the labels of 18,946 photos from UTKFace and with estimates for them,
each by a model that was not trained on that photo, but without the photos. That is enough to see
how many labels are doubtful, and what they are like.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import ageboost

known = ageboost.load_pretrained("fast", camera="known").calibration_
labels = known.ages_.astype(float)
estimated = known.predictions_.astype(float)

# %%
# How far is each label from the estimate, in units of the error that is expected for a face like
# this?

off = (labels - estimated) / known.scales_
usual = np.median(np.abs(off))
doubtful = np.abs(off) > 5 * usual
print(f"{doubtful.sum()} of {len(labels):,} labels differ by five times the usual error")

table = pd.DataFrame(
    {"label": labels, "estimate": estimated.round(1), "times": np.abs(off) / usual}
)
print(table.sort_values("times", ascending=False).head(8).round(1).to_string(index=False))

# %%
# Old people labelled as children, and children labelled as old, cannot be explained by errors of
# the model alone. Points near the line can: check the photos on this list before deleting any.

figure, ax = plt.subplots(figsize=(6.5, 5.5), layout="constrained")
ax.plot([0, 100], [0, 100], "--", color="0.4", linewidth=1)
ax.plot(labels[~doubtful], estimated[~doubtful], ".", color="0.7", markersize=2, label="usual")
ax.plot(labels[doubtful], estimated[doubtful], "x", color="black", markersize=4, label="doubtful")
ax.set_title("Estimated ages and labels, with doubtful labels marked")
ax.set(xlabel="label (years)", ylabel="estimated age (years)")
ax.legend(frameon=False, loc="upper left")
plt.show()

# %%
# For photos of your own, ``ageboost report labels.csv --out report.html`` shows the photos
# themselves. It needs no model, also finds copies with different labels, and compares each label
# with an estimate that is based on all other photos.
