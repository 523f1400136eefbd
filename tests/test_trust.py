"""The script that measures how far models can be trusted, on people whose truth is known."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ageboost.models import AgeCalibrator

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SCRIPTS = {path.stem for path in BENCHMARKS.glob("*.py")}


@pytest.fixture
def trust(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import trust

    yield trust
    for name in SCRIPTS & set(sys.modules):
        del sys.modules[name]


@pytest.fixture
def people():
    """Ages, their distributions and labels; ages of who looks older are harder to estimate."""
    rng = np.random.default_rng(0)

    def draw(n_people):
        predictions = rng.uniform(5, 80, n_people)
        return predictions, rng.normal(predictions, 1 + predictions / 10).clip(0).round()

    predictions, ages = draw(4000)
    calibrator = AgeCalibrator(random_state=0, n_jobs=1)
    calibrator.fit(np.zeros((4000, 1)), predictions, ages)
    predictions, ages = draw(1500)
    labels = pd.DataFrame({"sex": rng.choice(["female", "male"], 1500), "race": "other"})
    labels.loc[:9, "race"] = "rare"
    return ages, calibrator.predict(np.zeros((1500, 1)), predictions), labels


def cells_of(paragraph):
    return [line.strip("| ").split(" | ") for line in paragraph.split("\n")[2:]]


def test_ranges_that_fit_each_age_are_narrower_than_ranges_of_one_width(trust, people):
    ages, distribution, _ = people
    overall, rival, by_age = trust.describe_ranges(ages, distribution)
    assert [row[0] for row in cells_of(overall)] == ["50%", "80%", "90%", "95%"]
    ratio = float(rival.rpartition(" ")[2].rstrip("."))
    assert 0.7 < ratio < 1
    # Too many of the young are inside ranges of one width, too few of the old.
    first, last = cells_of(by_age)[0], cells_of(by_age)[-1]
    assert float(first[-1].partition("%")[0]) > 99
    assert float(last[-1].partition("%")[0]) < 80


def test_probabilities_of_the_truth_are_as_good_as_chance_allows(trust, people):
    ages, distribution, _ = people
    _, errors, table, falling = trust.describe_probabilities(ages, distribution, distribution)
    assert [row[:2] for row in cells_of(errors)] == [
        ["known", "all"],
        ["known", "from 2% to 98%"],
        ["new", "all"],
        ["new", "from 2% to 98%"],
    ]
    for row in cells_of(errors):
        error, at_most = (float(cell.strip("*%")) for cell in (row[3], row[5]))
        assert error <= 1.5 * at_most
    assert sum(int(row[1]) for row in cells_of(table)) == 1500
    assert falling.endswith("for 1,500 of 1,500 faces.")


def test_the_young_are_counted_by_true_age(trust, people):
    ages, distribution, _ = people
    rows = cells_of(trust.describe_young(ages, distribution, distribution)[1])
    assert [row[0] for row in rows] == [*(str(age) for age in range(13, 26)), "13-17", "18-24"]
    assert int(rows[4][1]) == (ages == 17).sum()
    assert rows[4][3:5] == rows[4][5:7]


def test_surer_rules_wave_fewer_minors_through(trust, people):
    ages, distribution, _ = people
    rules = cells_of(trust.describe_challenges(ages, distribution)[0])
    assert len(rules) == 5
    waved = [float(row[2].partition("%")[0]) for row in rules]
    assert waved[0] >= waved[1] >= waved[2]
    assert waved[3] >= waved[4]
    for row in rules:
        assert int(row[3]) < int(row[1]), "there are children under 13"
        assert float(row[4].partition("%")[0]) >= float(row[2].partition("%")[0])


def test_groups_too_small_are_counted(trust, people):
    ages, distribution, labels = people
    gaps = cells_of(trust.describe_groups(ages, distribution, labels)[1])
    [row] = [row for row in gaps if row[:2] == ["race", "MAE"]]
    assert row[-1] == "rare (10)"


def test_all_sections_are_markdown(trust, people):
    ages, distribution, labels = people
    text = trust.describe(ages, distribution, distribution, labels)
    assert [line for line in text if line.startswith("## ")] == [
        "## Do ranges keep their promise?",
        "## How do young people fare?",
        "## Do probabilities of being 18 or older come true?",
        "## Whom would a challenge age ask for a card?",
        "## Who fares worse?",
    ]
    assert "nan" not in "\n".join(text)
    for paragraph in text:
        if paragraph.startswith("|"):
            assert len({line.count("|") for line in paragraph.split("\n")}) == 1
