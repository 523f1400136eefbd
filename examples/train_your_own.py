"""
How do I train on photos of my own?
===================================

This script turns a table of photos and ages into a model file, with a search for settings.

    python examples/train_your_own.py labels.csv mine.ageboost

With a table of your own, it trains a model that you can use. Without one, it makes do with forty
crops of a single portrait, in different light, and labels the brighter ones as older. This shows
that a model learns whatever the labels say, whether they make sense or not.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from skimage.data import astronaut
from sklearn.model_selection import GridSearchCV

import ageboost
from ageboost.datasets import collections_of, read_labels

folder = Path(tempfile.mkdtemp())
given = sys.argv[1:]


def make_labels():
    """Cut the portrait in forty ways; the brighter, the older."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(40):
        light = rng.uniform(0.4, 1)
        photo = (astronaut()[i % 20 : 300 + i, 60 + i % 7 : 400] * light).astype(np.uint8)
        Image.fromarray(photo).save(folder / f"{i}.png")
        rows.append({"photo": str(folder / f"{i}.png"), "age": round(60 * light + 10)})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


labels, saved = given if given else (make_labels(), folder / "mine.ageboost")
table = read_labels(labels, on_error="drop")
photos, ages = table["photo"].tolist(), table["age"]

# %%
# The estimator works with scikit-learn's tools. With ``commercial=True``, it uses nothing that a
# business may not use. The cache keeps the features, so that they are computed only once for the
# whole search.

estimator = ageboost.AgeEstimator(
    "classical",
    on_error="nan",
    cache=folder / "features",
    interval_folds=None,
    commercial=True,
    random_state=0,
).set_params(regressor__n_estimators=100)
search = GridSearchCV(
    estimator, {"regressor__max_depth": [3, 5]}, scoring="neg_mean_absolute_error", cv=3
)
search.fit(photos, ages)
print(search.best_params_, f"{-search.best_score_:.1f} years off")

# %%
# Once settings have been found, train a model with ranges, and save it with its terms and its
# card.

best = search.best_estimator_.set_params(interval_folds=5)
best.fit(photos, ages, terms=collections_of(table, labels))
best.save(saved)
print(best.terms)

# %%
# Use it like a model from the package:

model = ageboost.load(saved)
print(model.analyze(photos[:3])[["age", "age_low", "age_high"]].round(0).to_string())
