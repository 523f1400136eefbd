"""
Do ranges keep their promise?
=============================

A model file contains the ages that the model estimated for photos on which it was not trained,
and the true ages. So anybody can check its promise without a single photo: fit ranges on one half
of these people, and count how often they contain the true age in the other half.
"""

from copy import copy

import matplotlib.pyplot as plt
import numpy as np

import ageboost
from ageboost.evaluation import interval_coverage, plot_coverage, plot_coverage_by_age

known = ageboost.load_pretrained("fast", camera="known").calibration_
print(f"{len(known.ages_):,} people on whom the model was not trained")

# %%
# Fit ranges on one half, and check them on the other:

half = np.random.default_rng(0).permutation(len(known.ages_)) < len(known.ages_) // 2
learnt = copy(known).keep(known.predictions_[half], known.ages_[half], known.scales_[half])
ages = known.ages_[~half]
distribution = learnt.distribution(known.predictions_[~half], known.scales_[~half])

table = interval_coverage(ages, distribution, [0.5, 0.8, 0.9, 0.95])
columns = ["coverage", "inside", "low", "high", "width"]
print(table[table["by"] == "all"][columns].round(3).to_string(index=False))

# %%
# On average, the ranges keep their promise. The question is for whom they do not. By predicted
# age:

figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
plot_coverage(ages, distribution, ax=axes[0])
plot_coverage_by_age(ages, distribution, 0.9, ax=axes[1])
axes[1].tick_params(axis="x", labelsize=8)
plt.show()

# %%
# And by true age, which nobody knows at the till. Ranges are made to contain the true ages of
# young people as often as promised; they miss those of old people more often:

low, high = distribution.interval(0.9).T
inside = (low <= ages) & (ages <= high)
for first, last in [(0, 12), (13, 17), (18, 24), (25, 44), (45, 59), (60, 120)]:
    people = (ages >= first) & (ages <= last)
    print(f"{first:3d} to {last:3d} years: {inside[people].mean():.0%} of {np.sum(people):,}")

# %%
# At a camera that is new to the model, all ages are off in the same direction, and these ranges
# contain the true age less often. That is why ``load_pretrained`` gives wider ranges unless you
# pass ``camera="known"``.
