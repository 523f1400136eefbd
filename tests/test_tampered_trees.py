"""Trees in model files: those that were tampered with never reach the code that believes them."""

import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoostRegressor
from sklearn.ensemble import VotingRegressor
from xgboost import XGBClassifier, XGBRegressor

import ageboost
from ageboost import AgeEstimator, ModelFileError
from ageboost.features import FaceFeatures, LandmarkGeometry

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _tampered import tampered, with_fitting_checksums

STORED = Path(__file__).with_name("data") / "format2.ageboost"
MATRIX = np.random.default_rng(0).normal(size=(80, 136)).astype(np.float32)
AGES = 40 + 5 * MATRIX[:, 0]

# A crash takes the process with it, so it is one of its own.
LOAD = """
import resource, sys
import numpy as np
import ageboost
resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
matrix = np.random.default_rng(0).normal(size=(2, 136)).astype(np.float32)
for path in sys.argv[1:]:
    print(path, end=" ", flush=True)
    try:
        model = ageboost.load(path)
    except ageboost.ModelFileError:
        print("refused", flush=True)
        continue
    try:
        model.age_regressor_.predict_distribution(matrix)
        print("loaded", flush=True)
    except Exception:
        print("error", flush=True)
"""


def fitted_with(regressor):
    features = FaceFeatures([("geometry", LandmarkGeometry())])
    estimator = AgeEstimator(features, reduction=None, regressor=regressor, random_state=0)
    return estimator.fit_features(MATRIX, AGES)


def xgboost(**params):
    return XGBRegressor(**{"n_estimators": 4, "max_depth": 3, "n_jobs": 1, **params})


def catboost(**params):
    quiet = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
    return CatBoostRegressor(**{"iterations": 4, "depth": 3, **quiet, **params})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Model files by the name of their trees."""
    folder = tmp_path_factory.mktemp("models")
    for name, regressor in (
        ("regressor.ubj", xgboost()),
        ("regressor.cbm", catboost()),
        ("steps.cbm", catboost(grow_policy="Depthwise")),
        ("weights.ubj", xgboost(booster="dart", rate_drop=0.5)),
    ):
        fitted_with(regressor).save(folder / name)
    return folder


def forge(path, change, out):
    """Write a model file with other trees, and checksums that fit."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    [name] = [name for name in files if name.startswith("regressor.")]
    assert change(files[name]) != files[name]
    files[name] = change(files[name])
    out.write_bytes(with_fitting_checksums(files))


def refusal(path, change, message, folder):
    """Forge a model file, and return in what words it is refused."""
    forge(path, change, folder / "forged.ageboost")
    with pytest.raises(ModelFileError, match=message) as caught:
        ageboost.load(folder / "forged.ageboost")
    return str(caught.value)


def array(name, position, value, kind="i"):
    """Change a number of an array of XGBoost's first tree."""

    def change(content):
        mark = b"L" + struct.pack(">q", len(name)) + name.encode() + b"[$"
        # Behind the mark: the type, "#L", and the length in eight bytes.
        start = content.index(mark) + len(mark) + 11
        width = struct.calcsize(f">{kind}")
        new = struct.pack(f">{kind}", value)
        start += width * position
        return content[:start] + new + content[start + width :]

    return change


def item(name, position, value):
    """Change a number of a list of XGBoost's that are no array: each has its type before it."""

    def change(content):
        mark = b"L" + struct.pack(">q", len(name)) + name.encode() + b"[#L"
        place = content.index(mark) + len(mark) + 8 + 2 * position + 1
        return content[:place] + struct.pack(">b", value) + content[place + 1 :]

    return change


def text(name, new):
    """Change a text of XGBoost's parameters, and its length."""

    def change(content):
        mark = b"L" + struct.pack(">q", len(name)) + name.encode() + b"SL"
        start = content.index(mark) + len(mark)
        (length,) = struct.unpack_from(">q", content, start)
        end = start + 8 + length
        return content[:start] + struct.pack(">q", len(new)) + new.encode() + content[end:]

    return change


def length(name, new):
    """Change the length that an array of XGBoost's first tree claims."""

    def change(content):
        mark = b"L" + struct.pack(">q", len(name)) + name.encode() + b"[$"
        start = content.index(mark) + len(mark) + 3
        return content[:start] + struct.pack(">q", new) + content[start + 8 :]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (array("left_children", 0, 1_000_000), "a child that is no node of its tree"),
        (array("left_children", 0, -2), "a child that is no node of its tree"),
        (array("right_children", 0, 1), "has one child"),
        (array("left_children", 1, 2), "another parent than the one that leads to it"),
        (array("left_children", 0, 0), "a child that is no node of its tree"),
        (array("parents", 0, 1), "a root has a parent"),
        (array("split_indices", 0, 136), "a feature that is not there"),
        (array("split_indices", 0, -1), "a feature that is not there"),
        (array("split_type", 0, 1, "B"), "asks for categories"),
        (array("left_children", 0, -1), "nodes that nothing leads to"),
        (item("tree_info", 0, 1), "tree_info is not 0 for each tree"),
        (item("iteration_indptr", 1, 3), "iteration_indptr does not divide"),
        (item("iteration_indptr", 4, 5), "iteration_indptr does not divide"),
        (length("left_children", -1), "of what is not there"),
        (length("left_children", 2**62), "of what is not there"),
        (length("split_conditions", 1), "none that belongs there"),
        (text("num_nodes", "1"), "is not a number for each node"),
        (text("num_nodes", "-1"), "num_nodes is '-1', not a count"),
        (text("num_trees", "1000000"), "num_trees is 1000000"),
        (text("num_parallel_tree", "0"), "num_parallel_tree is 0"),
        (text("base_score", "many"), "base_score is 'many', not a number"),
        (text("num_class", "3"), "do not predict one number"),
        (lambda content: content + b"}", "behind their end"),
        (lambda content: content[:-1], "cut short"),
        (lambda content: b"{L" + bytes(8) + b"S", "none that belongs there"),
        (lambda content: b"{L" + bytes(8) + (b"[#L" + bytes(7) + b"\1") * 99, "nested"),
        (lambda content: b"{}", "they lack learner"),
        (lambda content: b'{"learner": {}}', "none that belongs there"),
        (lambda content: content.replace(b"squarederror", b"squaredfolly"), "cannot be read"),
        (lambda content: content.replace(b"reg:", b"rank"), "not for numbers"),
    ],
)
def test_trees_of_xgboost_whose_numbers_do_not_fit_are_refused(saved, tmp_path, change, message):
    said = refusal(saved / "regressor.ubj", change, message, tmp_path)
    assert "forged.ageboost: regressor.ubj cannot be read" in said


def numbers(name, position, value):
    """Change a number of a vector of CatBoost's, which stands behind its length."""

    def change(content):
        regressor = CatBoostRegressor().load_model(blob=content)
        sizes = np.log2(regressor.get_tree_leaf_counts()).astype("<i4")
        vectors = {
            "sizes": sizes,
            "starts": (np.cumsum(sizes) - sizes).astype("<i4"),
            "leaf values": regressor.get_leaf_values().astype("<f8"),
            "leaf weights": regressor.get_leaf_weights().astype("<f8"),
        }
        old = vectors[name]
        new = old.copy()
        new[position] = value
        mark = struct.pack("<I", len(old))
        assert content.count(mark + old.tobytes()) == 1
        return content.replace(mark + old.tobytes(), mark + new.tobytes())

    return change


def claimed(n_more):
    """Change the length that CatBoost's leaf values claim."""

    def change(content):
        values = CatBoostRegressor().load_model(blob=content).get_leaf_values().astype("<f8")
        mark = struct.pack("<I", len(values)) + values.tobytes()
        return content.replace(mark, struct.pack("<I", len(values) + n_more) + values.tobytes())

    return change


def brackets(content):
    start = content.index(b'{"detailed_profile"')
    return content[:start] + b"[" * 1500 + content[start + 1500 :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (numbers("sizes", 0, 30), "the sizes of trees do not add up"),
        (numbers("sizes", 0, -1), "the sizes of trees do not add up"),
        (numbers("starts", 1, 2), "does not begin where the one before ends"),
        (numbers("starts", 3, 10**6), "does not begin where the one before ends"),
        (numbers("leaf values", 3, np.nan), "a leaf holds no number"),
        (numbers("leaf weights", 3, np.inf), "a leaf holds no number"),
        (claimed(-1), "values are not given for each leaf"),
        (claimed(10**6), "a vector that is cut short"),
        (brackets, "more than 1000 brackets"),
        (lambda content: content[:-4], "cut short"),
        (lambda content: content + bytes(4), "cut short"),
        (lambda content: content[:4] + b"\xff\xff\xff\xff" + content[8:], "cut short"),
        (lambda content: b"CBM2" + content[4:], "do not begin as CatBoost's do"),
        (lambda content: b"CBM1" + bytes(4), "where nothing is"),
        (lambda content: content[:8] + b"\xff\xff\xff\x7f" + content[12:], "where nothing is"),
        (lambda content: content.replace(b"Model_v1", b"Model_v2"), "does not write"),
    ],
)
def test_trees_of_catboost_whose_numbers_do_not_fit_are_refused(saved, tmp_path, change, message):
    said = refusal(saved / "regressor.cbm", change, message, tmp_path)
    assert "forged.ageboost: regressor.cbm cannot be read" in said
    assert "train the model again" in said


@pytest.mark.parametrize(
    "regressor",
    [
        xgboost(booster="dart", rate_drop=0.5),
        xgboost(booster="gblinear"),
        xgboost(tree_method="exact", gamma=20),
        xgboost(grow_policy="lossguide", max_depth=0, max_leaves=9),
        xgboost(objective="reg:quantileerror", quantile_alpha=0.5),
        xgboost(objective="reg:squarederror", num_parallel_tree=2),
        catboost(grow_policy="Lossguide"),
        catboost(grow_policy="Depthwise"),
        catboost(border_count=600, depth=1),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_trees_of_every_form_come_back(regressor, tmp_path):
    estimator = fitted_with(VotingRegressor([("inside", regressor)]))
    estimator.save(tmp_path / "inside.ageboost")
    loaded = ageboost.load(tmp_path / "inside.ageboost")
    expected = estimator.age_regressor_.predict(MATRIX)
    np.testing.assert_array_equal(loaded.age_regressor_.predict(MATRIX), expected)
    [trees] = loaded.regressor_.estimators_
    assert type(trees) is type(regressor)
    alone = fitted_with(regressor)
    alone.save(tmp_path / "alone.ageboost")
    loaded = ageboost.load(tmp_path / "alone.ageboost")
    np.testing.assert_array_equal(
        loaded.age_regressor_.predict(MATRIX), alone.age_regressor_.predict(MATRIX)
    )


def test_trees_inside_another_regressor_keep_their_number_of_threads(tmp_path):
    fitted_with(VotingRegressor([("inside", xgboost(n_jobs=1))])).save(tmp_path / "x.ageboost")
    [trees] = ageboost.load(tmp_path / "x.ageboost").regressor_.estimators_
    settings = json.loads(trees.get_booster().save_config())["learner"]["generic_param"]
    assert settings["nthread"] == "1"


def test_trees_for_classes_are_read_for_those_who_trust_them(tmp_path):
    # A regressor of one's own may ask a classifier.
    path = tmp_path / "classes.ageboost"
    fitted_with(VotingRegressor([("inside", xgboost())])).save(path)
    estimator = ageboost.load(path)
    classes = np.arange(len(AGES)) % 3
    classifier = XGBClassifier(n_estimators=2, n_jobs=1).fit(MATRIX, classes)
    estimator.regressor_.estimators_[0]._Booster = classifier.get_booster()
    estimator.save(path)
    with pytest.raises(ModelFileError, match="do not predict one number"):
        ageboost.load(path)
    loaded = ageboost.load(path, trusted=["xgboost.core.Booster"])
    [trees] = loaded.regressor_.estimators_
    assert trees.get_booster().num_boosted_rounds() == 2


def answers(paths):
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-300:]} {done.stderr[-3000:]}"
    found = [line.rpartition(" ")[2] for line in done.stdout.splitlines()]
    assert len(found) == len(paths)
    return found


def tampered_files(folder, content, numbers):
    paths = []
    for kind in ("trees changed", "numbers in trees changed"):
        for number in numbers:
            paths.append(folder / f"{number} {kind}.ageboost")
            paths[-1].write_bytes(tampered(content, kind, number))
    return paths


def test_tampered_trees_never_crash(saved, tmp_path):
    paths = []
    for path in (STORED, *saved.glob("*.ubj"), *saved.glob("*.cbm")):
        (tmp_path / path.name).mkdir()
        paths += tampered_files(tmp_path / path.name, path.read_bytes(), range(5))
    assert answers(paths).count("refused") > len(paths) / 3


@pytest.mark.slow
@pytest.mark.parametrize("block", range(5))
def test_thousands_of_tampered_trees_never_crash(saved, tmp_path, block):
    for path in (STORED, *saved.glob("*.ubj"), *saved.glob("*.cbm")):
        folder = tmp_path / path.name
        folder.mkdir()
        first = 1000 + 60 * block
        answers(tampered_files(folder, path.read_bytes(), range(first, first + 60)))
