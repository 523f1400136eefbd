"""
Which photos in my data are mislabelled?
========================================

Every collection has wrong ages in it, and a model learns from them. A label is worth a second
look if nothing that the model says of the photo makes it probable.

The model ``fast`` keeps what it said of 18,946 photos of UTKFace when it had not seen them, with
their labels, and no photo. That is enough to see how many labels are in doubt, and what they are
like.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import ageboost

known = ageboost.load_pretrained("fast", camera="known").calibration_
labels = known.ages_.astype(float)
estimated = known.predictions_.astype(float)

# %%
# How far is each label from the estimate, in units of the error that is to be expected of such a
# face?

off = (labels - estimated) / known.scales_
usual = np.median(np.abs(off))
doubtful = np.abs(off) > 5 * usual
print(f"{doubtful.sum()} of {len(labels):,} labels differ by five times the usual error")

table = pd.DataFrame(
    {"label": labels, "estimate": estimated.round(1), "times": np.abs(off) / usual}
)
print(table.sort_values("times", ascending=False).head(8).round(1).to_string(index=False))

# %%
# Old people who are labelled as children, and children who are labelled as old, cannot be errors
# of the model alone. Near the line they can: this is a list to look at, not to delete.

figure, ax = plt.subplots(figsize=(6.5, 5.5), layout="constrained")
ax.plot([0, 100], [0, 100], "--", color="0.4", linewidth=1)
ax.plot(labels[~doubtful], estimated[~doubtful], ".", color="0.7", markersize=2, label="usual")
ax.plot(labels[doubtful], estimated[doubtful], "x", color="black", markersize=4, label="doubtful")
ax.set_title("Estimated ages over labels, doubtful ones marked")
ax.set(xlabel="label (years)", ylabel="estimated age (years)")
ax.legend(frameon=False, loc="upper left")
plt.show()

# %%
# For photos of your own, ``ageboost report labels.csv --out report.html`` shows the photos
# themselves. It needs no model, finds copies with different labels as well, and compares each
# label with what all other photos say.
