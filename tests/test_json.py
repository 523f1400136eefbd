"""What a service sends on is JSON, also where there is no age."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

import ageboost
from ageboost import retail
from ageboost.retail import AlcoholPolicy


@pytest.fixture(scope="module")
def model():
    return ageboost.load_pretrained("fast")


@pytest.fixture(scope="module")
def unlit(portrait):
    return (portrait // 40).astype(np.uint8)


def strict(thing):
    return json.loads(json.dumps(thing, allow_nan=False))


@pytest.mark.parametrize("kind", ["no photo", "no face", "seen too badly", "good"])
def test_an_answer_is_json(model, portrait, kind):
    photo = {"no photo": b"no photo", "no face": Image.new("RGB", (300, 300))}.get(kind, portrait)
    asked = ageboost.load_pretrained("fast") if kind == "seen too badly" else model
    if kind == "seen too badly":
        asked.quality_threshold_ = 2.0
    answer = strict(dataclasses.asdict(retail.check(photo, AlcoholPolicy(), asked)))
    assert (answer["age"] is None) == (kind != "good")
    assert (answer["under_legal"] is None) == (kind != "good")


def test_a_table_of_faces_is_json(model, portrait):
    table = model.analyze([portrait, b"no photo", Image.new("RGB", (300, 300))])
    good, *bad = strict(table.to_dict("records"))
    assert good["age_low"] < good["age"] < good["age_high"]
    for row in bad:
        assert row["face"] is row["age"] is row["quality"] is row["reliable"] is None
    rows = json.loads(table.to_json(orient="records"), parse_constant=pytest.fail)
    assert [row["age"] is None for row in rows] == [False, True, True]
    assert table["age"].to_numpy().dtype == np.float64


def test_ranges_that_are_not_known_are_none(portrait):
    model = ageboost.load_pretrained("fast")
    model.calibration_ = None
    [row] = strict(model.analyze([portrait]).to_dict("records"))
    assert row["age"] is not None
    assert row["age_low"] is row["age_high"] is None


def test_ranges_that_too_few_errors_tell_of_have_ends(fitted, portrait):
    [row] = strict(fitted.analyze([portrait], coverage=0.99).to_dict("records"))
    assert (row["age_low"], row["age_high"]) == (0, 120)
