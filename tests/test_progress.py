"""Long work says how far it is: bars on a terminal, lines of a log where it is piped."""

import re

import pytest

from ageboost import AgeEstimator, _progress
from ageboost._progress import show_progress, stage, track
from ageboost.features import FaceFeatures, LandmarkGeometry
from ageboost.models import tune


def small():
    features = FaceFeatures([("geometry", LandmarkGeometry())])
    estimator = AgeEstimator(features, random_state=0, interval_folds=2)
    return estimator.set_params(regressor__n_estimators=5)


def lines_of(text):
    lines = text.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d \w", line) for line in lines)
    return [line[9:] for line in lines]


def test_nothing_is_shown_unless_it_was_asked_for(face_variants, capsys):
    small().fit(*face_variants)
    assert capsys.readouterr().err == ""


def test_a_fit_names_its_stages_in_a_log(face_variants, capsys):
    with show_progress():
        small().fit(*face_variants)
    lines = lines_of(capsys.readouterr().err)
    begun = [line for line in lines if not line.endswith(" s")]
    assert begun == [
        *("Looking at photos: 30", "Finding components: 1"),
        *("Fitting kernels: 1", "Fitting regressors: 3"),
    ]
    assert len(lines) == 2 * len(begun)


def test_long_stages_say_how_much_is_left(monkeypatch, capsys):
    clock = iter(range(0, 10_000, 31))
    monkeypatch.setattr(_progress.time, "monotonic", lambda: float(next(clock)))
    with show_progress():
        for _ in track(range(4), "Baking", 4):
            pass
    lines = lines_of(capsys.readouterr().err)
    assert lines[0] == "Baking: 4"
    assert lines[1] == "Baking: 1 of 4, about 93 s left"
    assert lines[3] == "Baking: 3 of 4, about 31 s left"
    assert lines[-1] == "Baking: 3 min"


def test_stages_of_unknown_length_count_what_is_done(monkeypatch, capsys):
    clock = iter(range(0, 10_000, 31))
    monkeypatch.setattr(_progress.time, "monotonic", lambda: float(next(clock)))
    with show_progress(), stage("Walking") as advance:
        advance(5, "best 3 km")
    assert lines_of(capsys.readouterr().err)[1] == "Walking: 5 so far, best 3 km"


def test_a_terminal_gets_bars_with_the_time_that_is_left(face_variants, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with show_progress():
        small().fit(*face_variants)
    text = capsys.readouterr().err
    assert "Looking at photos" in text
    assert "Fitting regressors" in text
    assert "left:" in text


def test_a_search_says_what_the_best_is(face_variants, monkeypatch, capsys):
    pytest.importorskip("optuna")
    monkeypatch.setattr(_progress, "_SECONDS_BETWEEN_LINES", 0)
    space = {"regressor__max_depth": {"type": "int", "low": 1, "high": 3}}
    tune(small(), *face_variants, space=space, n_trials=2, random_state=0, progress=True)
    lines = lines_of(capsys.readouterr().err)
    assert "Trials: 2" in lines
    assert any(re.match(r"Trials: 1 of 2, about .* left, best \d+\.\d\d years", x) for x in lines)


def test_a_stage_that_fails_is_over(capsys):
    with show_progress(), pytest.raises(ValueError, match="no"), stage("Falling"):
        raise ValueError("no")
    assert lines_of(capsys.readouterr().err) == ["Falling", "Falling: 0 s"]


def test_silence_where_it_is_piped_can_be_asked_for(capsys):
    with show_progress(silent_when_piped=True), stage("Whispering") as advance:
        advance()
    assert capsys.readouterr().err == ""


def test_of_stages_within_a_stage_a_log_has_only_how_far_they_are(monkeypatch, capsys):
    with show_progress(), stage("Baking"):
        for _ in track(range(3), "Kneading", 3):
            pass
    assert lines_of(capsys.readouterr().err) == ["Baking", "Baking: 0 s"]
    monkeypatch.setattr(_progress, "_SECONDS_BETWEEN_LINES", 0)
    with show_progress(), stage("Baking"), stage("Kneading", 3) as advance:
        advance()
    assert "Kneading: 1 of 3, about 0 s left" in lines_of(capsys.readouterr().err)
