"""
Whom should we ask for a card?
==============================

"Challenge 25": whoever looks younger than 25 is asked for a card. Is 25 the right age for a
machine that advises cashiers? The model's estimates for people on whom it was not trained show how
many minors each challenge age lets through, and how many adults it bothers.
"""

import matplotlib.pyplot as plt

import ageboost
from ageboost.evaluation import plot_challenge_ages
from ageboost.retail import choose_challenge_age

model = ageboost.load_pretrained("fast", camera="known")
known = model.calibration_
older = known.ages_ >= 13  # small children are no question
figure, ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
plot_challenge_ages(known.ages_[older], known.predictions_[older], ax=ax)
ax.set_title("Minors waved through, and adults asked")
plt.show()

# %%
# The lowest challenge age that, with 99 % confidence, lets through no more than five minors in a
# hundred:

choice = choose_challenge_age(model, waved_through=0.05)
print(choice)

# %%
# This is true for photos like those in UTKFace. For your till, adapt or calibrate the model first,
# with minors among the people, and run this again.
