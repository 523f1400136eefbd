"""
Is alcohol sold with care?
==========================

A made-up supermarket in which one cashier of each store spares half of the minors. Buyers' ages
are estimated with the errors that the model ``open`` is expected to make at a new camera. With
whom should the manager talk?
"""

import matplotlib.pyplot as plt

import ageboost
from ageboost.datasets import make_shop
from ageboost.retail import AlcoholPolicy, alcohol_sales, review_cashiers, simulate_buyers

shop = make_shop(100_000, n_cashiers=10, random_state=0)
policy = AlcoholPolicy(categories=["beer", "wine", "spirits"])
model = ageboost.load_pretrained("open")  # which a business may use
buyers = simulate_buyers(shop.truth, model, missing=0.02, random_state=0)

sales = alcohol_sales(shop.receipts, shop.lines, buyers, policy)
review = review_cashiers(sales, policy, model)
print(review)

# %%
# Cashiers beside their colleagues: sales that were not checked although colleagues would have
# asked, those of likely minors with more weight.

figure, ax = plt.subplots(figsize=(8, 6), layout="constrained")
review.plot_excess(ax=ax)
ax.set_title("Cashiers beside their colleagues")
plt.show()

# %%
# What nobody knows of a real shop: who was dishonest, and sales to minors without a check.

sold = sales.table.merge(shop.truth.rename(columns={"age": "true_age"}), on="receipt_id")
unchecked = sold[(sold["true_age"] < policy.legal_age) & ~sold["id_checked"]]
print(shop.cashiers.loc[~shop.cashiers["honest"], "cashier"].tolist(), "are dishonest")
print(unchecked["cashier"].value_counts().head(5).to_string())

# %%
# So nobody is named, though two are dishonest: 16,000 sales of alcohol are too few to tell them
# from their colleagues, and the review says itself how little it could have found. A list that
# names somebody is one of people to talk to, and never a verdict.
