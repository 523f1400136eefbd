"""
How many photos of my own do I need?
====================================

``adapt`` learns from photos with known ages how to correct ages for a camera. How many photos are
enough?

The camera here is simulated: it makes people look older, young people most of all. The people are
real: the model ``fast`` comes with its estimates for photos on which it was not trained, and with
the true ages.
"""

import matplotlib.pyplot as plt
import numpy as np

import ageboost
from ageboost.models import AgeCorrection

known = ageboost.load_pretrained("fast", camera="known").calibration_
rng = np.random.default_rng(0)
people = rng.permutation(len(known.ages_))
ages = known.ages_[people].astype(float)
estimated = known.predictions_[people] + np.interp(
    known.predictions_[people], [0, 20, 60], [2, 6, 1]
)

tested = slice(-4000, None)
before = np.abs(estimated[tested] - ages[tested]).mean()
print(f"before: {before:.2f} years off")

# %%
# For each number of photos, draw the photos to learn from three times; always test on the same
# 4,000 other people:

numbers = [25, 50, 100, 200]
errors = []
for number in numbers:
    found = []
    for _ in range(3):
        drawn = rng.choice(len(ages) - 4000, number, replace=False)
        correction = AgeCorrection().fit(estimated[drawn], ages[drawn])
        found.append(np.abs(correction.correct(estimated[tested]) - ages[tested]).mean())
    errors.append(found)
    print(f"{number:4d} photos: {np.mean(found):.2f} years off, at worst {max(found):.2f}")

# %%
# The first hundred photos help most:

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.axhline(before, color="0.4", linestyle="--", linewidth=1)
ax.annotate("not adapted", (numbers[-1], before), ha="right", va="bottom")
ax.plot(numbers, np.mean(errors, axis=1), "o-", color="black")
ax.fill_between(numbers, np.min(errors, axis=1), np.max(errors, axis=1), color="0.85")
ax.set_title("Errors by the number of photos learnt from")
ax.set(xlabel="photos of one's own", ylabel="mean absolute error (years)")
plt.show()

# %%
# ``docs/elsewhere.md`` shows how much photos from real cameras help.
