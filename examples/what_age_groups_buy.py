"""
What do 18- to 24-year-olds buy?
================================

In this simulated supermarket, everything is known. Buyers' ages are estimated with the errors that
the model ``open`` is expected to make at a new camera. Do the resulting offers agree with the
truth?
"""

import matplotlib.pyplot as plt
import pandas as pd

import ageboost
from ageboost.datasets import make_shop
from ageboost.retail import AgeGroups, make_retail_report, purchases_by_age_group, simulate_buyers

shop = make_shop(10_000, random_state=0)
model = ageboost.load_pretrained("open")  # which a business may use
buyers = simulate_buyers(shop.truth, model, missing=0.02, random_state=0)
purchases = purchases_by_age_group(shop.lines, buyers, calibration=model.calibration_)
print(purchases)

# %%
# What to offer to 18- to 24-year-olds: the lift says how many times as often as all buyers they
# buy a product. Compare the estimate with the truth:

groups = AgeGroups()
group = pd.Series(groups.index(shop.truth["age"]), index=shop.truth["receipt_id"])
bought = shop.lines.drop_duplicates(["receipt_id", "product"])
counts = pd.crosstab(bought["product"], bought["receipt_id"].map(group))
shares = counts / group.value_counts().sort_index()
truth = shares.div(counts.sum(axis=1) / len(group), axis=0).set_axis(list(groups.names), axis=1)

offers = purchases.offers("18-24", 5)[["product", "lift", "offer_low", "offer_high"]]
offers["in truth"] = offers["product"].map(truth["18-24"])
print(offers.round(1).to_string(index=False))

# %%
# All groups. Orange means more often than all buyers, violet less often; white means that there
# are too few receipts to say.

figure, ax = plt.subplots(figsize=(9, 8), layout="constrained")
purchases.plot_heatmap(20, ax=ax)
ax.set_title("How many times as often as all buyers a group buys a product")
plt.show()

# %%
# The manager gets a page:

page = make_retail_report(shop.receipts, shop.lines, buyers, model)
page.save("what_age_groups_buy.html")
