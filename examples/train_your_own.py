"""Train on photos of your own, search for better settings, save the model and use it.

    python examples/train_your_own.py LABELS MODEL

LABELS is a CSV file with the columns ``photo`` and ``age``. Nothing is used that a business may not
use: the photos are taken to be yours, and those of known collections are refused by name.
"""

from __future__ import annotations

import sys

from sklearn.model_selection import GridSearchCV

import ageboost
from ageboost.datasets import collections_of, read_labels


def main(labels: str, model: str) -> None:
    table = read_labels(labels, on_error="drop")
    estimator = ageboost.AgeEstimator(
        "classical",
        on_error="nan",
        cache="feature-cache",
        n_jobs=-1,
        random_state=0,
        commercial=True,
    )
    # The cache keeps the features, so each photo is measured once for the whole search.
    search = GridSearchCV(
        estimator.set_params(interval_folds=None),
        {"regressor__max_depth": [4, 6]},
        scoring="r2",
        cv=3,
    )
    search.fit(table["photo"].tolist(), table["age"])
    print(search.best_params_)
    best = search.best_estimator_.set_params(interval_folds=5)
    best.fit(table["photo"].tolist(), table["age"], terms=collections_of(table, labels))
    best.save(model)
    print(best.terms)
    print(ageboost.load(model).analyze(table["photo"].head(3).tolist()))


if __name__ == "__main__":
    main(*sys.argv[1:])
