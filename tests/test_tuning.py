import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KNeighborsRegressor
from typer.testing import CliRunner

import ageboost
from ageboost import AgeEstimator, PhotosError
from ageboost.cli import app
from ageboost.features import HOG, FaceFeatures, LandmarkGeometry
from ageboost.models import search_space, tune
from ageboost.models.folds import keep_together, split_photos
from ageboost.models.spaces import SearchSpace

TESTS = Path(__file__).parent
ALPHA = {"regressor__alpha": {"type": "float", "low": 1e-2, "high": 1e6, "log": True}}
CELLS = {"features__hog__cell_size": {"type": "categorical", "choices": [16, 32]}}


def quick(regressor=None, **params):
    features = FaceFeatures([("hog", HOG(cell_size=32)), ("geometry", LandmarkGeometry())])
    regressor = Ridge() if regressor is None else regressor
    return AgeEstimator(features, reduction="pca", regressor=regressor, random_state=0, **params)


class SlowRidge(Ridge):
    """Gives the one who kills the search time to aim."""

    def fit(self, X, y):
        time.sleep(0.05)
        return super().fit(X, y)


class InterruptedRidge(Ridge):
    """Meets Ctrl-C in its fifth fit."""

    n_fits = 0

    def fit(self, X, y):
        InterruptedRidge.n_fits += 1
        if InterruptedRidge.n_fits == 5:
            raise KeyboardInterrupt
        return super().fit(X, y)


def slow_search(study, n_trials=6):
    from conftest import variants
    from skimage.data import astronaut

    photos, ages = variants(astronaut(), 12)
    return tune(
        quick(SlowRidge()),
        photos,
        ages,
        space=ALPHA,
        n_trials=n_trials,
        study=study,
        random_state=0,
    )


def states(study):
    """Read the states of a study's trials while another process writes them."""
    try:
        with sqlite3.connect(f"file:{study}?mode=ro", uri=True) as connection:
            return [state for (state,) in connection.execute("SELECT state FROM trials")]
    except sqlite3.OperationalError:
        return []


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Features that several tests need; none looks at how often they are computed."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def result(face_variants, cache):
    return tune(
        quick(), *face_variants, space=ALPHA | CELLS, n_trials=15, cache=cache, random_state=0
    )


def test_the_best_settings_can_be_set_and_have_the_score_that_is_said(face_variants, cache):
    photos, ages = face_variants
    folds = KFold(3, shuffle=True, random_state=1)
    estimator = quick(interval_folds=None)
    space = {"regressor__alpha": {"type": "float", "low": 0.1, "high": 100, "log": True}}
    result = tune(estimator, photos, ages, space=space, n_trials=3, cv=folds, cache=cache)
    best = clone(estimator).set_params(**result.best_params)
    assert repr(best) == repr(result.best_estimator())
    matrix = best.features.transform(photos)
    errors = [
        np.abs(
            best.fit_features(matrix[train], ages[train]).age_regressor_.predict(matrix[test]) - y
        )
        for train, test in folds.split(photos)
        for y in [ages[test]]
    ]
    assert result.best_score == pytest.approx(np.concatenate(errors).mean(), rel=1e-5)
    assert result.best_estimator().fit(photos, ages).predict(photos).shape == (30,)


def test_the_same_seed_gives_the_same_result(result, face_variants, cache):
    again = tune(
        quick(), *face_variants, space=ALPHA | CELLS, n_trials=15, cache=cache, random_state=0
    )
    assert again.best_params == result.best_params
    assert again.best_score == result.best_score
    pd.testing.assert_frame_equal(
        again.trials.drop(columns="seconds"), result.trials.drop(columns="seconds")
    )


def test_trials_that_lag_behind_are_given_up(result):
    pruned = result.trials[result.trials["state"] == "pruned"]
    complete = result.trials[result.trials["state"] == "complete"]
    assert len(pruned) + len(complete) == 15
    assert len(pruned)
    assert (pruned["folds"] < 3).all()
    assert pruned["score"].isna().all()
    assert (complete["folds"] == 3).all()
    assert result.best_score == complete["score"].min()


def test_the_first_trial_has_the_settings_of_the_estimator(result):
    first = result.trials.iloc[0]
    assert (first["regressor__alpha"], first["features__hog__cell_size"]) == (1, 32)


def test_features_are_computed_once_for_each_of_their_settings(face_variants, monkeypatch):
    photos, ages = face_variants
    faces = []
    transform = HOG._transform
    monkeypatch.setattr(
        HOG, "_transform", lambda self, batch: faces.extend(batch) or transform(self, batch)
    )
    result = tune(quick(), photos[:12], ages[:12], space=ALPHA | CELLS, n_trials=8, random_state=0)
    assert set(result.trials["features__hog__cell_size"]) == {16, 32}
    assert len(faces) == 2 * 12


def test_a_reduction_is_fitted_once_a_fold_while_only_the_regressor_varies(
    face_variants, cache, monkeypatch
):
    from ageboost.models import GroupedPCA

    fits = []
    fit = GroupedPCA.fit
    monkeypatch.setattr(
        GroupedPCA, "fit", lambda self, *a, **k: fits.append(1) or fit(self, *a, **k)
    )
    tune(quick(), *face_variants, space=ALPHA, n_trials=4, cache=cache, random_state=0)
    assert len(fits) == 3


def test_a_killed_search_goes_on_where_it_was(tmp_path):
    study = tmp_path / "study.db"
    code = f"from test_tuning import slow_search; slow_search({str(study)!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=TESTS.parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])},
    )
    deadline = time.monotonic() + 120
    while not (states(study).count("COMPLETE") >= 2 and "RUNNING" in states(study)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_before = len(states(study))
    assert states(study)[-1] == "RUNNING"
    assert n_before < 6
    resumed = slow_search(study)
    assert resumed.trials["trial"].tolist() == list(range(6))
    assert set(states(study)) <= {"COMPLETE", "PRUNED"}
    undisturbed = slow_search(None)
    pd.testing.assert_frame_equal(
        resumed.trials.drop(columns="seconds"), undisturbed.trials.drop(columns="seconds")
    )


def test_a_study_counts_the_trials_that_it_holds(face_variants, cache, tmp_path):
    def search(n_trials, **params):
        return tune(
            quick(),
            *face_variants,
            space=ALPHA,
            n_trials=n_trials,
            study=tmp_path / "my study?.db",
            cache=cache,
            **params,
        )

    first = search(3)
    assert len(first.trials) == 3
    pd.testing.assert_frame_equal(search(3).trials, first.trials)
    assert len(search(2).trials) == 3
    assert len(search(4).trials) == 4
    assert len(search(9, timeout=0).trials) == 4
    assert os.listdir(tmp_path) == ["my study?.db"]


def test_a_disk_that_fills_up_ends_a_search_and_keeps_its_trials(
    face_variants, cache, tmp_path, no_file_larger_than
):
    study = tmp_path / "study.db"
    call = {"space": ALPHA, "study": study, "cache": cache}
    done = tune(quick(), *face_variants, n_trials=2, **call)
    with (
        no_file_larger_than(study.stat().st_size),
        pytest.raises(OSError, match=r"study\.db': the study cannot be written to: .*kept"),
    ):
        tune(quick(), *face_variants, n_trials=60, **call)
    found = tune(quick(), *face_variants, n_trials=2, **call)
    pd.testing.assert_frame_equal(found.trials[:2], done.trials)


def test_a_study_of_another_search_is_refused(face_variants, cache, tmp_path):
    photos, ages = face_variants
    call = {"space": ALPHA, "n_trials": 1, "study": tmp_path / "study.db", "cache": cache}
    tune(quick(), photos, ages, **call)
    with pytest.raises(ValueError, match="differs in photos, boxes or ages"):
        tune(quick(), photos, ages + 1, **call)
    with pytest.raises(ValueError, match="differs in folds"):
        tune(quick(), photos, ages, cv=4, **call)
    with pytest.raises(ValueError, match="differs in space"):
        tune(quick(), photos, ages, **call | {"space": ALPHA | CELLS})
    with pytest.raises(ValueError, match="differs in estimator"):
        tune(quick(Ridge(tol=1)), photos, ages, **call)
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(ValueError, match=r"text\.db' cannot .* is not a database.*name another"):
        tune(quick(), photos, ages, **call | {"study": tmp_path / "text.db"})
    with pytest.raises(FileNotFoundError, match="no such folder"):
        tune(quick(), photos, ages, **call | {"study": tmp_path / "no" / "study.db"})


@given(
    st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.integers(0, 9)), min_size=20),
    st.booleans(),
    st.integers(0, 99),
)
def test_no_person_and_no_copy_is_ever_on_both_sides(photos, has_groups, seed):
    digests, subjects = zip(*photos, strict=True)
    together = keep_together(digests, subjects if has_groups else None)
    n_folds = min(3, len(set(together)))
    if n_folds < 2:
        return
    ages = np.zeros(len(photos))
    tested = []
    for train, test in split_photos(together, ages, n_folds, seed):
        for names in (digests, subjects) if has_groups else (digests,):
            assert not {names[i] for i in train} & {names[i] for i in test}
        tested += list(test)
    assert sorted(tested) == list(range(len(photos)))


def memorise(photos, ages, cache, **params):
    """Search with a regressor that has perfect ages for whatever it has seen."""
    space = {"regressor__p": {"type": "int", "low": 1, "high": 2}}
    estimator = quick(KNeighborsRegressor(n_neighbors=1))
    return tune(
        estimator, photos, ages, space=space, n_trials=1, cache=cache, random_state=0, **params
    )


@pytest.mark.parametrize("kind", ["array", "file"])
def test_a_regressor_that_memorises_gains_nothing_from_copies(face_variants, cache, tmp_path, kind):
    photos = list(face_variants[0][:15])
    if kind == "file":
        for i, photo in enumerate(photos):
            Image.fromarray(photo).save(tmp_path / f"{i}.png")
        photos = [str(tmp_path / f"{i}.png") for i in range(15)]
    copies = [Path(photo).read_bytes() if kind == "file" else photo.copy() for photo in photos]
    ages = np.random.default_rng(0).permutation(np.linspace(10, 90, 15))
    for cv in [3, GroupKFold(3)]:
        assert memorise(photos + copies, [*ages, *ages], cache, cv=cv).best_score > 10
    with pytest.warns(UserWarning, match="left out of training: a copy"):
        result = memorise(photos + copies, [*ages, *ages], cache, cv=KFold(6))
    assert result.best_score > 10


def test_a_regressor_that_memorises_gains_nothing_from_the_same_person(face_variants, cache):
    photos = list(face_variants[0][:15])
    # The same pixels, but not the same bytes.
    almost = [Image.fromarray(photo) for photo in photos]
    ages = np.random.default_rng(0).permutation(np.linspace(10, 90, 15))
    both = photos + almost, [*ages, *ages], cache
    assert memorise(*both, cv=10).best_score < 10
    assert memorise(*both, groups=[*range(15), *range(15)], cv=10).best_score > 10
    with pytest.raises(ValueError, match="no entry for 1 photos, the first in row 3"):
        memorise(*both, groups=[0, 1, 2, None, *range(26)])
    with pytest.raises(ValueError, match="30 photos but 2 groups"):
        memorise(*both, groups=[0, 1])
    with pytest.raises(ValueError, match="cv=3 folds of 2 groups"):
        memorise(*both, groups=[0, 1] * 15)


def test_photos_without_a_face_are_left_out_if_asked(face_variants, bad_photos, cache, tmp_path):
    photos, ages = face_variants
    photos = [bad_photos["text"][0], *photos, bad_photos["black"][0]]
    ages = [30, *ages, 30]
    call = {"space": ALPHA, "n_trials": 2, "cache": cache, "random_state": 0}
    study = tmp_path / "study.db"
    with pytest.raises(PhotosError, match=r"2 of 32 photos give no age"):
        tune(quick(), photos, ages, study=study, **call)
    with pytest.warns(UserWarning, match=r"2 of 32 photos are left out"):
        result = tune(quick(on_error="nan"), photos, ages, study=study, **call)
    assert len(result.trials) == 2
    assert [position for position, _ in result.left_out] == [0, 31]


def test_a_trial_that_fails_is_named_and_the_search_goes_on(face_variants, cache):
    space = {"regressor__alpha": {"type": "categorical", "choices": [1, -1]}}
    call = {"n_trials": 6, "cache": cache, "random_state": 0}
    with pytest.warns(UserWarning, match="'regressor__alpha': -1.* fails"):
        result = tune(quick(), *face_variants, space=space, **call)
    assert set(result.trials["state"]) == {"complete", "failed"}
    assert result.best_params == {"regressor__alpha": 1}
    space["regressor__alpha"]["choices"] = [-1]
    with (
        pytest.warns(UserWarning, match="fails"),
        pytest.raises(ValueError, match="none of 6 trials gives a score"),
    ):
        tune(quick(), *face_variants, space=space, **call)


def test_an_interrupt_keeps_what_is_done(face_variants, cache, tmp_path):
    InterruptedRidge.n_fits = 0
    call = {"space": ALPHA, "n_trials": 3, "study": tmp_path / "study.db", "cache": cache}
    with pytest.warns(UserWarning, match="stopped after 1 of 3 trials"):
        result = tune(quick(InterruptedRidge()), *face_variants, **call)
    assert result.interrupted
    assert len(result.trials) == 1
    result = tune(quick(InterruptedRidge()), *face_variants, **call)
    assert not result.interrupted
    assert result.trials["trial"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("regressor", ["xgboost", "catboost"])
@pytest.mark.parametrize("features", ["classical", "cnn", "all"])
def test_every_parameter_of_the_spaces_that_ship_is_one_of_the_regressor(regressor, features):
    estimator = AgeEstimator(features, regressor=regressor, random_state=0)
    space = SearchSpace(estimator, search_space(regressor))
    assert list(space.entries) == list(search_space(regressor))
    assert space.start()["features"] == features
    trees = "n_estimators" if regressor == "xgboost" else "iterations"
    start = {k: v for k, v in space.start().items() if k.startswith("regressor")}
    assert start.keys() == {k for k in space.entries if k.startswith("regressor")}
    estimator = AgeEstimator(
        FaceFeatures([("geometry", LandmarkGeometry())]), regressor=regressor, interval_folds=None
    ).set_params(**start | {f"regressor__{trees}": 2})
    matrix = np.random.default_rng(0).normal(size=(30, 136))
    assert estimator.fit_features(matrix, range(30)).age_regressor_.predict(matrix).shape == (30,)


def test_hog_varies_only_where_it_is_looked_at(face_variants, cache):
    space = {
        "features": {"type": "categorical", "choices": ["classical", "cnn"]},
        "features__hog__cell_size": {
            **CELLS["features__hog__cell_size"],
            "when": {"features": ["classical"]},
        },
        "features__lbp__grid": {
            "type": "categorical",
            "choices": [[4, 4], [8, 8]],
            "when": {"features": ["classical"]},
        },
    }
    estimator = AgeEstimator("classical", reduction="pca", regressor=Ridge(), random_state=0)
    photos, ages = face_variants
    result = tune(
        estimator, photos[:9], ages[:9], space=space, n_trials=6, cache=cache, random_state=0
    )
    looked = result.trials["features"] == "classical"
    assert 0 < looked.sum() < 6
    assert (result.trials["features__hog__cell_size"].notna() == looked).all()
    assert (result.trials["features__lbp__grid"].notna() == looked).all()
    assert result.best_params.get("features__lbp__grid", (8, 8)) in [(4, 4), (8, 8)]
    assert result.best_estimator().get_params().items() >= result.best_params.items()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, r"pass a dict of parameters"),
        ({"regressor__alpha": 3}, r"\['regressor__alpha'\].*\"type\" must be one of int, float"),
        ({"regressor__alpha": {"type": "float", "low": 2, "high": 1}}, r"low=2 is above high=1"),
        (
            {"regressor__alpha": {"type": "float", "low": 2}},
            r"\['regressor__alpha'\]: high missing",
        ),
        ({"regressor__alpha": {"type": "int", "low": 0.5, "high": 1}}, r"must be of type int"),
        ({"regressor__alpha": {"type": "float", "low": 0, "high": 1, "log": True}}, "no logarithm"),
        (
            {"regressor__alpha": {"type": "float", "low": 0, "high": 1, "by": 1}},
            r"unknown \['by'\]",
        ),
        ({"regressor__alpha": {"type": "categorical", "choices": []}}, "at least one"),
        ({"regressor__beta": {"type": "float", "low": 0, "high": 1}}, "no such parameter"),
        ({"cache": {"type": "categorical", "choices": ["a"]}}, "only features, reduction and"),
        (
            {"regressor__alpha": {"type": "float", "low": 0, "high": 1, "when": {"ages": [1]}}},
            "'ages', which is neither",
        ),
        (
            {
                "features": {"type": "categorical", "choices": ["classical", "cnn"]},
                "features__hog__cell_size": {"type": "categorical", "choices": [8]},
            },
            r"\['features__hog__cell_size'\]: there is no such parameter with features='cnn'",
        ),
        ({"xgboost": {}}, "the space is for xgboost"),
        (None, "no search space ships for regressor=Ridge"),
    ],
)
def test_a_wrong_space_is_refused_by_the_name_of_its_entry(face_variants, space, message):
    with pytest.raises(ValueError, match=message):
        tune(quick(), *face_variants, space=space)


def test_the_space_that_ships_leaves_out_what_the_estimator_lacks():
    assert "reduction__gamma" not in SearchSpace(AgeEstimator(reduction="pca")).entries
    features = FaceFeatures("all", finder=ageboost.faces.FaceFinder(landmarks=5))
    assert not [name for name in SearchSpace(AgeEstimator(features)).entries if "features" in name]


def test_a_space_can_be_a_file(face_variants, cache, tmp_path):
    path = tmp_path / "space.json"
    path.write_text(json.dumps(ALPHA))
    result = tune(quick(), *face_variants, space=path, n_trials=1, cache=cache)
    assert list(result.best_params) == ["regressor__alpha"]
    path.write_text("{")
    with pytest.raises(ValueError, match="is not a JSON file"):
        tune(quick(), *face_variants, space=path)


def test_a_search_is_silent(face_variants, cache, capfd):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tune(quick(), *face_variants, space=ALPHA, n_trials=2, cache=cache)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


def test_the_plot_has_units_and_shapes_for_what_colours_would_tell(result):
    history, importance = result.plot().axes
    assert history.get_ylabel() == "mean absolute error (years)"
    assert "%" in importance.get_xlabel()
    lines = history.get_lines()
    assert [line.get_marker() for line in lines[:2]] == ["o", "x"]
    assert [len(line.get_xdata()) for line in lines[:2]] == [
        (result.trials["state"] == state).sum() for state in ("complete", "pruned")
    ]
    assert result.importances.sum() == pytest.approx(1)
    assert len(importance.patches) == 2


@pytest.mark.parametrize("package", ["optuna", "matplotlib"])
def test_a_missing_package_is_named_with_how_to_install_it(result, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(ImportError, match=r'pip install "ageboost\[tune\]"'):
        result.plot() if package == "matplotlib" else tune(quick(), [], [])
    called = CliRunner().invoke(app, ["tune", "labels.csv", "--out", "a.json", "--plot", "a.png"])
    assert called.exit_code == 2
    assert 'pip install "ageboost[tune]"' in called.stderr


def test_importing_ageboost_imports_neither_optuna_nor_matplotlib():
    code = (
        "import ageboost.cli, sys; print({'optuna', 'matplotlib', 'sqlalchemy'} & {*sys.modules})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=TESTS.parent, capture_output=True, check=True, text=True
    )
    assert run.stdout == "set()\n"


@pytest.fixture
def labels(face_variants, tmp_path):
    rows = []
    for i, (photo, age) in enumerate(zip(*(part[:20] for part in face_variants), strict=True)):
        Image.fromarray(photo).save(tmp_path / f"{i}.png")
        rows.append({"photo": f"{i}.png", "age": round(age), "shop": f"shop {i % 10}"})
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path / "labels.csv"


def test_the_shell_goes_from_labels_to_settings_to_a_model(labels, tmp_path):
    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    space = {
        "features__hog__cell_size": {"type": "categorical", "choices": [16, 32]},
        "reduction__n_components": {"type": "int", "low": 5, "high": 10},
        "regressor__iterations": {"type": "int", "low": 5, "high": 10},
        "regressor__depth": {"type": "int", "low": 2, "high": 3},
    }
    (tmp_path / "space.json").write_text(json.dumps({"catboost": space}))
    before = set(os.listdir(tmp_path))
    call = ["tune", labels, "--study", tmp_path / "study.db", "--folds", 2, "--jobs", 1]
    call += ["--group-column", "shop", "--regressor", "catboost", "--features", "classical"]
    call += ["--cache", tmp_path / "cache", "--space", tmp_path / "space.json"]
    call += ["--out", tmp_path / "settings.json", "--plot", tmp_path / "plot.png"]
    tuned = run(*call, "--trials", 2)
    assert tuned.exit_code == 0, tuned.stderr
    assert "MAE in cross-validation: " in tuned.stdout
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings.keys() == {"features", "regressor", *space}
    assert Image.open(tmp_path / "plot.png").format == "PNG"
    assert set(os.listdir(tmp_path)) - before == {"study.db", "cache", "settings.json", "plot.png"}
    assert run(*call, "--trials", 3).exit_code == 0
    assert len(states(tmp_path / "study.db")) == 3

    settings = json.loads((tmp_path / "settings.json").read_text())
    train = ["train", labels, "--out", tmp_path / "model.ageboost", "--jobs", 1]
    train += ["--settings", tmp_path / "settings.json", "--cache", tmp_path / "cache"]
    trained = run(*train)
    assert trained.exit_code == 0, trained.stderr
    params = ageboost.load(tmp_path / "model.ageboost").get_params()
    assert params["regressor__iterations"] == settings["regressor__iterations"]
    assert params["features__hog__cell_size"] == settings["features__hog__cell_size"]

    assert "leave out the other options" in run(*train, "--features", "all").stderr
    (tmp_path / "settings.json").write_text('{"regressor__nonsense": 1}')
    assert "'regressor__nonsense' in" in run(*train).stderr
    refused = run("tune", labels, "--out", tmp_path / "a.json", "--group-column", "family")
    assert refused.exit_code == 2
    assert "no column 'family'" in refused.stderr


def test_an_interrupt_in_the_shell_writes_the_best_so_far(labels, tmp_path, monkeypatch):
    from ageboost.models.regressors import XGBRegressor

    fits = []

    def fit(self, X, y):
        fits.append(1)
        if len(fits) == 5:
            raise KeyboardInterrupt
        self.mean = np.mean(y)
        return self

    monkeypatch.setattr(XGBRegressor, "fit", fit)
    monkeypatch.setattr(XGBRegressor, "predict", lambda self, X: np.full(len(X), self.mean))
    (tmp_path / "space.json").write_text(
        '{"regressor__max_depth": {"type": "int", "low": 2, "high": 9}}'
    )
    call = ["tune", labels, "--out", tmp_path / "settings.json", "--features", "classical"]
    call += ["--space", tmp_path / "space.json", "--jobs", 1]
    stopped = CliRunner().invoke(app, [str(argument) for argument in call])
    assert stopped.exit_code == 130
    *progress, last = stopped.stderr.splitlines()
    assert last == "stopped: the best of 1 trials"
    assert [line[9:].partition(":")[0] for line in progress] == ["Trials", "Trials"]
    assert json.loads((tmp_path / "settings.json").read_text())["regressor__max_depth"] == 5


def test_folds_of_no_sense_are_refused(face_variants, cache):
    with pytest.raises(ValueError, match="cv=1: pass 2 or more"):
        tune(quick(), *face_variants, space=ALPHA, n_trials=1, cv=1, cache=cache)
    same = [(np.arange(30), np.arange(30))]
    with pytest.raises(ValueError, match="leaves no photos to train on"):
        tune(quick(), *face_variants, space=ALPHA, n_trials=1, cv=same, cache=cache)
    with pytest.raises(ValueError, match="n_trials=0: pass 1 or more"):
        tune(quick(), *face_variants, space=ALPHA, n_trials=0, cache=cache)
