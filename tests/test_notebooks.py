"""In a console results are a line, in a notebook a text and a table, whatever is in their names."""

import numpy as np
import pandas as pd
import pytest

import ageboost
from ageboost import retail
from ageboost.evaluation import explain, feature_importance
from ageboost.models import TuningResult

NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def model():
    return ageboost.load_pretrained("fast")


@pytest.fixture(scope="module")
def shop(model):
    """Thirty receipts of a shop with one cashier and one product, whose name is a script."""
    ids = [f"r{i}" for i in range(30)]
    times = pd.date_range("2025-11-03 09:00", periods=30, freq="3min")
    receipts = pd.DataFrame(
        {"receipt_id": ids, "time": times, "till": "1", "cashier": NASTY, "id_checked": False}
    )
    lines = pd.DataFrame({"receipt_id": ids, "product": NASTY, "category": "beer"})
    photos = pd.DataFrame({"photo": [b"\xff\xd8secret"] * 30, "time": times, "till": "1"})
    ages = np.linspace(15, 70, 30)
    seen = model.calibration_.distribution(ages, np.full(30, 3.0))
    buyers = retail.buyers_from_distribution(ids, seen)
    return receipts, lines, photos, buyers


@pytest.fixture(scope="module")
def results(shop, model, portrait):
    receipts, lines, photos, buyers = shop
    policy = retail.AlcoholPolicy(categories=["beer"])
    sales = retail.alcohol_sales(receipts, lines, buyers, policy)
    return {
        "MatchedPhotos": retail.match_photos(photos, receipts),
        "Purchases": retail.purchases_by_age_group(
            lines, buyers, calibration=model.calibration_, by="product"
        ),
        "AlcoholSales": sales,
        "AgeDistribution": model.predict_distribution([portrait, b"no photo"] * 8),
        "Explanation": explain(model, portrait),
        "FeatureImportance": feature_importance(model, [portrait]),
        "Answer": retail.check(portrait, policy, model),
        "TuningResult": TuningResult(
            model, {"regressor": NASTY}, 4.5, pd.DataFrame({"score": [4.5, 5.0]}), pd.Series()
        ),
    }


KINDS = [
    *("MatchedPhotos", "Purchases", "AlcoholSales", "AgeDistribution", "Explanation"),
    *("FeatureImportance", "Answer", "TuningResult"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_one_short_line_in_a_console(results, kind):
    line = repr(results[kind])
    assert kind in line
    assert "\n" not in line
    assert len(line) <= 400
    assert "array(" not in line
    assert "secret" not in line


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_an_escaped_table_in_a_notebook(results, kind):
    page = results[kind]._repr_html_()
    assert "<table" in page
    assert "<script" not in page
    assert "secret" not in page
    assert page.count("<tr") <= 2 * 12


def test_names_are_shown_as_they_are_written(results):
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in results["Purchases"]._repr_html_()


def test_a_distribution_shows_some_faces_and_counts_all(results):
    distribution = results["AgeDistribution"]
    assert "of 16 faces" in repr(distribution)
    assert "unknown" in repr(distribution)
    assert "first 10 of 16 rows" in distribution._repr_html_()
    assert "of 0 faces" in repr(distribution[:0])
    assert "<table" in distribution[:0]._repr_html_()
