import contextlib
import hashlib
import io
import json
import pickle
import sys
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.svm import SVR

import ageboost
from ageboost import AgeEstimator, ModelFileError
from ageboost.features import HOG, CNNActivations, FaceFeatures, LandmarkGeometry
from ageboost.features.known_networks import get_network
from ageboost.models import load_pickle
from ageboost.models.persistence import pretrained_path

STORED = Path(__file__).with_name("data") / "format2.ageboost"


class Stranger(Ridge):
    """A regressor of a type that ageboost does not know."""


def archived(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def unpacked(source):
    with zipfile.ZipFile(source) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def bomb():
    """Make a small archive that says it unpacks to gigabytes."""
    content = bytearray(archived({"schema.json": b"{}"}))
    place = content.rindex(b"schema.json") - 22
    content[place : place + 4] = (2_000_000_000).to_bytes(4, "little")
    return bytes(content)


def change_facts(files, name, **facts):
    manifest = json.loads(files["manifest.json"])
    manifest["files"].setdefault(name, {}).update(facts)
    files["manifest.json"] = json.dumps(manifest).encode()


def replace_file(files, name, content):
    """Put another file in its place, with size and checksum that fit."""
    files[name] = content
    change_facts(files, name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def saved(fitted, tmp_path):
    fitted.save(tmp_path / "model.ageboost")
    return tmp_path / "model.ageboost"


def geometry(regressor):
    features = FaceFeatures([("geometry", LandmarkGeometry())])
    return AgeEstimator(features, reduction="pca", regressor=regressor, random_state=0)


def test_a_loaded_model_gives_the_same_table(fitted, saved, portrait):
    loaded = ageboost.load(saved)
    assert loaded.analyze([portrait]).equals(fitted.analyze([portrait]))
    assert loaded.features == "classical"
    assert AgeEstimator.load(saved).get_params()["regressor__n_estimators"] == 20


@pytest.mark.parametrize("regressor", ["catboost", Ridge(), SVR()])
def test_other_regressors_come_back_too(regressor, face_variants, portrait, tmp_path):
    estimator = geometry(regressor).fit(*face_variants)
    estimator.save(tmp_path / "model.ageboost")
    loaded = ageboost.load(tmp_path / "model.ageboost")
    np.testing.assert_array_equal(loaded.predict([portrait]), estimator.predict([portrait]))


def test_weights_of_a_network_of_ones_own_go_into_the_file(face_variants, portrait, tmp_path):
    from dataclasses import replace

    network = replace(get_network("dlib"), name="mine", levels=("descriptor",))
    weights = tmp_path / "weights.onnx"
    weights.write_bytes(network.read_weights())
    features = FaceFeatures([("mine", CNNActivations(replace(network, weights=weights)))])
    estimator = AgeEstimator(features, reduction=None, regressor=Ridge()).fit(*face_variants)
    estimator.save(tmp_path / "model.ageboost")
    # The model in memory still reads its own.
    assert estimator.features.transformers[0][1].network.weights == weights
    weights.unlink()
    loaded = ageboost.load(tmp_path / "model.ageboost")
    expected = estimator.regressor_.n_features_in_
    assert loaded.features_.transform([portrait]).shape == (1, expected)


def test_nothing_of_this_machine_goes_into_the_file(face_variants, tmp_path):
    estimator = geometry(Ridge()).set_params(cache=tmp_path / "cache").fit(*face_variants)
    estimator.save(tmp_path / "model.ageboost")
    with zipfile.ZipFile(tmp_path / "model.ageboost") as archive:
        contents = b"".join(archive.read(name) for name in archive.namelist())
    assert str(tmp_path).encode() not in contents
    loaded = ageboost.load(tmp_path / "model.ageboost")
    assert [part.cache for part in (loaded, loaded.features, loaded.features_)] == [None] * 3


def test_the_file_says_what_is_in_it_and_who_wrote_it(fitted, saved):
    from importlib.metadata import version

    contents = unpacked(saved)
    manifest = json.loads(contents.pop("manifest.json"))
    assert manifest["format"] == "ageboost model"
    assert manifest["n_photos"] == fitted.n_photos_
    assert manifest["feature_names"] == list(fitted.features_.get_feature_names_out())
    for package in ("ageboost", "scikit-learn", "skops", "xgboost"):
        assert manifest["versions"][package] == version(package)
    assert manifest["files"] == {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }
    assert contents.keys() == {"estimator.skops", "regressor.ubj"}
    assert saved.with_suffix(".md").read_text("utf-8").startswith("# ")


def test_saving_changes_nothing_of_the_model_in_memory(face_variants, portrait, tmp_path):
    estimator = geometry(Ridge()).set_params(cache=tmp_path / "cache").fit(*face_variants)
    estimator.left_out_ = ["a.jpg"]
    expected = estimator.predict([portrait])
    estimator.save(tmp_path / "model.ageboost")
    assert estimator.cache == tmp_path / "cache"
    assert estimator.left_out_ == ["a.jpg"]
    np.testing.assert_array_equal(estimator.predict([portrait]), expected)
    assert ageboost.load(tmp_path / "model.ageboost").left_out_ == []


def test_a_save_that_fails_leaves_the_old_model_and_nothing_else(fitted, tmp_path, monkeypatch):
    path = tmp_path / "model.ageboost"
    path.write_bytes(b"the old one")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ageboost.models.persistence.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fitted.save(path)
    assert [found.name for found in tmp_path.iterdir()] == ["model.ageboost"]
    assert path.read_bytes() == b"the old one"


def rewrite(path, change):
    """Write the archive again, with its files changed."""
    files = unpacked(path)
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def change_manifest(**facts):
    def change(files):
        files["manifest.json"] = json.dumps({**json.loads(files["manifest.json"]), **facts})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.update({"regressor.ubj": files["regressor.ubj"][::-1]}), "checksum"),
        (lambda files: replace_file(files, "../evil.py", b"x"), r"holds \.\./evil\.py"),
        (lambda files: files.update({"../evil.py": b"x"}), "not those that its manifest names"),
        (lambda files: files.pop("estimator.skops"), "not those that its manifest names"),
        (lambda files: files.pop("manifest.json"), "no manifest"),
        (lambda files: files.update({"manifest.json": b"{"}), "damaged"),
        (change_manifest(format="other"), "not an ageboost model"),
        (change_manifest(format_version=99), r"is of format 99, which is newer .* ageboost \d"),
        (change_manifest(format_version=1), r"format 1, which .* no longer reads: .* ageboost \d"),
        (change_manifest(format_version=None), "no longer reads"),
        (lambda files: files.update({"manifest.json": b"[]"}), "not an ageboost model"),
        (lambda files: files.update({"manifest.json": b" " * 10_000_001}), "larger than"),
        (lambda files: change_facts(files, "regressor.ubj", bytes=3), "its size differs"),
        (
            lambda files: replace_file(files, "estimator.skops", b"no zip"),
            r"\.skops cannot be read",
        ),
        (lambda files: replace_file(files, "estimator.skops", bomb()), "unpacks to more than"),
        (lambda files: replace_file(files, "regressor.ubj", b"no trees"), r"\.ubj cannot be read"),
        (lambda files: replace_file(files, "regressor.cbm", b"x"), "holds regressor.cbm, regr"),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(ModelFileError, match=rf"model\.ageboost: (?s:.*){message}"):
        ageboost.load(saved)


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({}, "its versions are those here$"),
        (
            {"xgboost": "0.1", "numpy": "0.2"},
            r"it was written with numpy 0\.2 \(here \d.*, xgboost 0\.1 ",
        ),
        ({"leftpad": "1.0"}, "its versions are those here"),
    ],
)
def test_an_object_that_cannot_be_built_tells_which_versions_differ(saved, versions, message):
    def break_object(files):
        manifest = json.loads(files["manifest.json"])
        manifest["versions"].update(versions)
        files["manifest.json"] = json.dumps(manifest)
        replace_file(files, "estimator.skops", archived({"schema.json": b"{}"}))

    rewrite(saved, break_object)
    with pytest.raises(ModelFileError, match=rf"model\.ageboost: cannot be read: .*; {message}"):
        ageboost.load(saved)


def test_an_object_that_is_no_estimator_is_refused(saved):
    import skops.io

    content = skops.io.dumps(Ridge())
    rewrite(saved, lambda files: replace_file(files, "estimator.skops", content))
    with pytest.raises(ModelFileError, match="holds a Ridge, not an AgeEstimator"):
        ageboost.load(saved)


def drop_trees(files):
    manifest = json.loads(files["manifest.json"])
    del manifest["files"]["regressor.ubj"], files["regressor.ubj"]
    files["manifest.json"] = json.dumps(manifest).encode()


def test_a_model_that_was_never_fitted_is_refused(saved):
    import skops.io

    content = skops.io.dumps(AgeEstimator())
    rewrite(saved, lambda files: replace_file(files, "estimator.skops", content))
    with pytest.raises(ModelFileError, match=r"holds regressor\.ubj where nothing belongs"):
        ageboost.load(saved)
    rewrite(saved, drop_trees)
    with pytest.raises(ModelFileError, match="gives no ages"):
        ageboost.load(saved)


def test_a_model_that_lacks_its_trees_is_refused(saved):
    rewrite(saved, drop_trees)
    with pytest.raises(ModelFileError, match=r"holds nothing where regressor\.ubj belongs"):
        ageboost.load(saved)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_in_the_archive_twice_is_refused(saved):
    with zipfile.ZipFile(saved, "a") as archive:
        archive.writestr("estimator.skops", b"another one")
    with pytest.raises(ModelFileError, match="not those that its manifest names"):
        ageboost.load(saved)


def test_an_archive_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(saved):
    rewrite(saved, lambda files: files.update({"estimator.skops": bytes(10)}))
    content = bytearray(saved.read_bytes())
    # In the directory of the archive, the size of the entry stands 22 bytes before its name.
    place = content.rindex(b"estimator.skops") - 22
    content[place : place + 4] = (2_000_000_000).to_bytes(4, "little")
    saved.write_bytes(content)
    with pytest.raises(ModelFileError, match="unpacks to more than"):
        ageboost.load(saved)


def test_a_model_that_gives_other_ages_than_where_it_was_saved_is_refused(saved):
    manifest = json.loads(unpacked(saved)["manifest.json"])
    first, second = manifest["trial_ages"]
    versions = manifest["versions"] | {"xgboost": "0.1"}
    rewrite(saved, change_manifest(trial_ages=[first, second + 0.04]))
    assert isinstance(ageboost.load(saved), AgeEstimator)
    rewrite(saved, change_manifest(trial_ages=[first, second + 0.1], versions=versions))
    with pytest.raises(ModelFileError, match=r"model\.ageboost: gives other ages .* xgboost 0\.1"):
        ageboost.load(saved)


@pytest.mark.parametrize("trial", [["old"], [1, 2, 3], {}, [None, None]])
def test_a_manifest_whose_trial_is_damaged_is_refused(saved, trial):
    rewrite(saved, change_manifest(trial_ages=trial))
    with pytest.raises(ModelFileError, match=r"gives (no|other) ages"):
        ageboost.load(saved)


def test_a_model_whose_parts_do_not_fit_together_is_refused(tmp_path):
    def point_beyond_the_features(files):
        inner = unpacked(io.BytesIO(files["estimator.skops"]))
        changed = 0
        for name in inner:
            array = np.load(io.BytesIO(inner[name])) if name.endswith(".npy") else np.empty(0)
            if array.dtype == np.int64 and len(array) == 136:
                buffer = io.BytesIO()
                np.save(buffer, array + 1)
                inner[name] = buffer.getvalue()
                changed += 1
        assert changed
        replace_file(files, "estimator.skops", archived(inner))

    path = tmp_path / "model.ageboost"
    path.write_bytes(STORED.read_bytes())
    rewrite(path, point_beyond_the_features)
    with pytest.raises(ModelFileError, match="gives no ages: ValueError"):
        ageboost.load(path)


def test_a_file_that_an_earlier_release_wrote_keeps_loading():
    folder = Path(__file__).with_name("data")
    expected = json.loads((folder / "format2.json").read_text())
    model = ageboost.load(folder / "format2.ageboost")
    matrix = np.random.default_rng(0).normal(size=(5, 136)).astype(np.float32)
    found = model.age_regressor_.predict_distribution(matrix)
    np.testing.assert_allclose(found.ages, expected["ages"], atol=0.05)
    np.testing.assert_allclose(found.interval(0.9), expected["intervals"], atol=0.2)


KINDS = json.loads(STORED.with_name("format2_kinds.json").read_text())


def test_a_pickle_of_an_earlier_release_finds_its_modules(tmp_path):
    estimator = AgeEstimator(FaceFeatures([("hog", HOG(cell_size=32))]))
    content = pickle.dumps(estimator, protocol=0)
    path = tmp_path / "old.pkl"
    path.write_bytes(content.replace(b"ageboost.features.gradients", b"ageboost.features.hog"))
    [(_, loaded)] = load_pickle(path, trusted=True).features.transformers
    assert loaded.cell_size == 32
    assert "ageboost.features.hog" not in sys.modules


@pytest.mark.parametrize("kind", KINDS)
def test_models_of_every_kind_in_the_format_before_give_the_same_ages(kind, tmp_path):
    expected = KINDS[kind]
    path = STORED.with_name(kind)
    # Of models that ship, the large file: what other sources say of them came later.
    model = ageboost.load(path if path.exists() else pretrained_path(kind))
    model.save(tmp_path / "again.ageboost")
    n_features = len(model.features_.get_feature_names_out())
    matrix = np.random.default_rng(0).normal(size=(5, n_features)).astype(np.float32)
    for found in (model, ageboost.load(tmp_path / "again.ageboost")):
        ages = found.age_regressor_.predict(matrix)
        np.testing.assert_allclose(ages, expected["ages"], rtol=0, atol=1e-6)
        assert found.quality_threshold_ == expected["quality_threshold"]
        assert found.n_photos_ == expected["n_photos"]
        assert found.terms.commercial == expected["terms"]
        if "fingerprint" not in expected:
            assert found.calibration_ is None
            continue
        assert found.calibration_.fingerprint_ == expected["fingerprint"]
        intervals = found.age_regressor_.predict_distribution(matrix).interval(0.9)
        np.testing.assert_allclose(intervals, expected["intervals"], rtol=0, atol=1e-6)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=5),
    kept=st.floats(0, 1),
)
def test_a_model_file_changed_anywhere_is_refused_or_gives_the_same_model(
    tmp_path_factory, changes, kept
):
    content = bytearray(STORED.read_bytes())
    for place, byte in changes:
        content[int(place * (len(content) - 1))] = byte
    path = tmp_path_factory.mktemp("fuzz") / "model.ageboost"
    path.write_bytes(content[: len(content) if kept > 0.5 else int(2 * kept * len(content))])
    # Some bytes of a zip mean nothing, such as dates.
    with contextlib.suppress(ModelFileError):
        matrix = np.zeros((1, 136), np.float32)
        expected = ageboost.load(STORED).age_regressor_.predict(matrix)
        assert ageboost.load(path).age_regressor_.predict(matrix) == expected


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.text(max_size=3)), min_size=1, max_size=4))
def test_a_tampered_object_with_checksums_that_fit_is_refused_or_is_an_estimator(
    tmp_path_factory, changes
):
    def tamper(files):
        inner = unpacked(io.BytesIO(files["estimator.skops"]))
        schema = inner["schema.json"].decode()
        for place, text in changes:
            start = int(place * len(schema))
            schema = schema[:start] + text + schema[start + 1 :]
        inner["schema.json"] = schema.encode("utf-8", "replace")
        replace_file(files, "estimator.skops", archived(inner))

    path = tmp_path_factory.mktemp("fuzz") / "model.ageboost"
    path.write_bytes(STORED.read_bytes())
    rewrite(path, tamper)
    with contextlib.suppress(ModelFileError):
        assert isinstance(ageboost.load(path), AgeEstimator)


def test_a_pickle_is_opened_only_for_those_who_say_that_they_trust_it(fitted, portrait, tmp_path):
    import pickle

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "trap.pickle").write_bytes(pickle.dumps(Trap()))
    for said in ({}, {"trusted": False}, {"trusted": 1}, {"trusted": "yes"}):
        with pytest.raises(ModelFileError, match="runs whatever"):
            load_pickle(tmp_path / "trap.pickle", **said)
    assert not (tmp_path / "sprung").exists()
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(fitted))
    joblib.dump(fitted, tmp_path / "model.joblib", compress=3)
    for name in ("model.pickle", "model.joblib"):
        loaded = load_pickle(tmp_path / name, trusted=True)
        np.testing.assert_array_equal(loaded.predict([portrait]), fitted.predict([portrait]))
    (tmp_path / "other.pickle").write_bytes(pickle.dumps({}))
    (tmp_path / "cut.pickle").write_bytes(pickle.dumps(fitted)[:-9])
    for name, message in (("other.pickle", "holds a dict"), ("cut.pickle", "cannot be unpickled")):
        with pytest.raises(ModelFileError, match=message):
            load_pickle(tmp_path / name, trusted=True)
    with pytest.raises(FileNotFoundError):
        load_pickle(tmp_path / "none.pickle", trusted=True)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "x.ageboost").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"x\.ageboost"):
        ageboost.load(tmp_path / "x.ageboost")
    with pytest.raises(FileNotFoundError, match=r"y\.ageboost"):
        ageboost.load(tmp_path / "y.ageboost")


def test_an_unknown_type_is_refused_by_name_and_built_only_if_asked(face_variants, tmp_path):
    estimator = geometry(Stranger()).fit(*face_variants)
    estimator.save(tmp_path / "model.ageboost")
    with pytest.raises(ModelFileError, match="Stranger") as caught:
        ageboost.load(tmp_path / "model.ageboost")
    assert "trusted=" in str(caught.value)
    name = f"{Stranger.__module__}.Stranger"
    loaded = ageboost.load(tmp_path / "model.ageboost", trusted=[name])
    assert isinstance(loaded.regressor_, Stranger)


def test_a_pickle_is_never_opened(tmp_path):
    import pickle

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "x.ageboost").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelFileError):
        ageboost.load(tmp_path / "x.ageboost")
    assert not (tmp_path / "sprung").exists()


def test_the_models_that_ship_are_named(tmp_path):
    with pytest.raises(ValueError, match="'other': available models: accurate, classical, fast"):
        ageboost.load_pretrained("other")
    assert ageboost.load_pretrained("fast").on_error == "nan"
    assert ageboost.load_pretrained().features == "accurate"
