"""Training that never holds its matrix: the same model as in memory, after kills too."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from catboost import CatBoostRegressor
from PIL import Image
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from typer.testing import CliRunner
from xgboost import XGBRegressor

from ageboost import AgeEstimator
from ageboost.batch import (
    ClusterError,
    SharedPlaceError,
    TrainingFolderError,
    fit_stream,
    write_features,
)
from ageboost.cli import app
from ageboost.errors import LabelsError, PhotosError
from ageboost.faces import Quality
from ageboost.features import FaceFeatures, LandmarkGeometry
from ageboost.models import AgeRegressor, KernelScores, load

N_ROWS = 600
GROUPS = ["a"] * 10 + ["b__1"] * 10 + ["b__2"] * 10


def make_rows(n_rows=N_ROWS, seed=0):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n_rows, len(GROUPS))).astype(np.float32)
    ages = 40 + 10 * matrix[:, 0] + 5 * np.sin(matrix[:, 12]) + rng.normal(size=n_rows)
    return matrix, ages.clip(0).round()


@pytest.fixture(scope="module")
def rows():
    return make_rows()


@pytest.fixture(scope="module")
def weight():
    return np.random.default_rng(1).uniform(0.5, 2, N_ROWS)


@pytest.fixture(scope="module")
def qualities():
    rng = np.random.default_rng(2)
    return [Quality(size, 12, 0, 1, brightness=120) for size in rng.uniform(40, 120, N_ROWS)]


def small_xgboost(**params):
    return XGBRegressor(
        n_estimators=25, max_depth=3, subsample=0.7, random_state=0, n_jobs=1, **params
    )


def small_catboost():
    return CatBoostRegressor(
        iterations=25,
        depth=3,
        random_seed=0,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
    )


def small_vote():
    parts = [("xgboost", small_xgboost()), ("catboost", small_catboost()), ("ridge", Ridge())]
    return VotingRegressor(parts)


def small(reduction="kernel", regressor=None, **params):
    if reduction == "kernel":
        reduction = KernelScores(n_components=8, n_kept=3, n_centers=60, random_state=0)
    return AgeRegressor(reduction, regressor or small_xgboost(), random_state=0, **params)


class Killed(BaseException):
    """Not to be caught by anything."""


class Blocks:
    """Blocks of uneven sizes, made anew each time, which count how many were taken."""

    def __init__(self, matrix, ages, weight=None, size=90, stop_at=None):
        self.given, self.size, self.stop_at, self.n_taken = (matrix, ages, weight), size, stop_at, 0

    def __iter__(self):
        matrix, ages, weight = self.given
        for start in range(0, len(ages), self.size):
            self.n_taken += 1
            if self.n_taken == self.stop_at:
                raise Killed
            some = slice(start, start + self.size)
            parts = matrix[some], ages[some]
            yield parts if weight is None else (*parts, weight[some])


def assert_same(one, other, matrix, atol=0.0):
    np.testing.assert_allclose(one.predict(matrix), other.predict(matrix), rtol=0, atol=atol)
    assert one.get_params().keys() == other.get_params().keys()
    if other.calibration_ is not None:
        np.testing.assert_allclose(
            one.predict_distribution(matrix).interval(0.9),
            other.predict_distribution(matrix).interval(0.9),
            rtol=0,
            atol=3 * atol,
        )


@pytest.mark.parametrize("with_weight", [False, True])
@pytest.mark.parametrize("reduction", ["kernel", "pca", None])
@pytest.mark.parametrize(
    "regressor",
    [
        small_xgboost(),
        small_catboost(),
        small_vote(),
        DecisionTreeRegressor(max_depth=4, random_state=0),
    ],
    ids=lambda regressor: type(regressor).__name__,
)
def test_it_is_the_model_that_fit_gives(
    rows, weight, qualities, tmp_path, reduction, regressor, with_weight
):
    matrix, ages = rows
    given = weight if with_weight else None
    settings = (reduction, regressor)
    whole = small(*settings).fit(matrix, ages, given, GROUPS, qualities)
    streamed = fit_stream(
        small(*settings),
        Blocks(matrix, ages, given),
        tmp_path / "training",
        qualities=qualities,
        groups=GROUPS,
        n_block=128,
    )
    # Sums over blocks differ in their last bits, and trees may cut elsewhere then.
    exact = 0 if isinstance(regressor, XGBRegressor | CatBoostRegressor) else 1e-4
    assert_same(streamed, whole, matrix, 0.1 if reduction == "kernel" else exact)
    assert streamed.n_photos_ == N_ROWS
    assert streamed.n_features_in_ == len(GROUPS)
    assert streamed.quality_threshold_ == pytest.approx(whole.quality_threshold_, abs=0.02)
    np.testing.assert_array_equal(streamed.looks_.quantiles_, whole.looks_.quantiles_)


@pytest.mark.parametrize("regressor", [small_xgboost(), small_catboost()])
def test_the_number_of_trees_is_that_of_fit(rows, weight, tmp_path, regressor):
    matrix, ages = rows
    settings = {"early_stopping_rounds": 3, "interval_folds": None}
    name = "n_estimators" if isinstance(regressor, XGBRegressor) else "iterations"
    few = small("pca", regressor, **settings).set_params(regressor__learning_rate=0.5)
    few.set_params(**{f"regressor__{name}": 200})
    whole = few.fit(matrix, ages, weight, GROUPS)
    before = whole.predict(matrix)
    n_trees = whole.regressor_.get_params()[name]
    assert n_trees < 200
    fit_stream(few, matrix, tmp_path / "t", ages, sample_weight=weight, groups=GROUPS, n_block=64)
    assert few.regressor_.get_params()[name] == n_trees
    np.testing.assert_array_equal(few.predict(matrix), before)


def test_parts_of_a_sample_give_nearly_the_same_ages(tmp_path):
    matrix, ages = make_rows(3000)
    everything = KernelScores(n_components=10, n_kept=10, n_centers=60, random_state=0)
    whole = small(everything, interval_folds=None).fit(matrix[:2400], ages[:2400], groups=GROUPS)
    streamed = fit_stream(
        small(everything, interval_folds=None),
        Blocks(matrix[:2400], ages[:2400]),
        tmp_path / "training",
        groups=GROUPS,
        n_sample=800,
        n_block=100,
    )
    errors = [np.abs(m.predict(matrix[2400:]) - ages[2400:]).mean() for m in (whole, streamed)]
    assert errors[1] == pytest.approx(errors[0], abs=0.3)


def test_the_sample_is_everything_once_or_each_row_alike():
    from ageboost.batch._passes import _places_in_sample

    places, taken = _places_in_sample(0, 100, 100, 0)
    assert places.tolist() == taken.tolist() == [*range(100)]
    chosen = np.zeros(1000)
    for seed in range(200):
        rows = np.full(100, -1)
        for first in range(0, 1000, 100):
            places, taken = _places_in_sample(first, 100, 100, seed)
            rows[places] = first + taken
        assert len(set(rows.tolist())) == 100
        chosen[rows] += 1
    thirds = [part.sum() for part in np.split(chosen, [333, 666])]
    assert max(thirds) / min(thirds) < 1.1


STAGES = ["look", "components", "scores", "sums-1-2", "kernel-2", "predictions-3", "expected"]


@pytest.mark.parametrize("stage", STAGES)
def test_after_a_kill_at_any_stage_it_is_the_same_model(rows, tmp_path, monkeypatch, stage):
    from ageboost.models import _stages

    matrix, ages = rows
    settings = {"groups": GROUPS, "n_block": 100, "n_sample": 350}
    whole = fit_stream(small(), Blocks(matrix, ages), tmp_path / "whole", **settings)
    folder, source = tmp_path / "killed", Blocks(matrix, ages)
    replacing = _stages.replacing

    def fail(path):
        if path.name.startswith(stage):
            raise Killed
        return replacing(path)

    if stage in ("look", "scores"):
        source.stop_at = 4 if stage == "look" else 11
    with monkeypatch.context() as patched:
        patched.setattr(_stages, "replacing", fail)
        with pytest.raises(Killed):
            fit_stream(small(), source, folder, **settings)
    resumed = fit_stream(small(), Blocks(matrix, ages), folder, **settings)
    np.testing.assert_array_equal(resumed.predict(matrix), whole.predict(matrix))
    intervals = [m.predict_distribution(matrix).interval(0.9) for m in (resumed, whole)]
    np.testing.assert_array_equal(*intervals)


def test_what_is_done_is_not_done_again(rows, tmp_path, monkeypatch):
    from ageboost.batch import _passes
    from ageboost.models import GroupedPCA

    matrix, ages = rows
    source = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, matrix.shape)
    source[:] = matrix
    fit_stream(small(), source, tmp_path / "t", ages, groups=GROUPS, n_block=50)
    n_blocks, whole_blocks = [], _passes.whole_blocks

    def counted(*args):
        for found in whole_blocks(*args):
            n_blocks.append(found[0])
            yield found

    def never(*args, **kwargs):
        raise AssertionError("components were learnt again")

    monkeypatch.setattr(_passes, "whole_blocks", counted)
    monkeypatch.setattr(GroupedPCA, "fit", never)
    fit_stream(small(), source, tmp_path / "t", ages, groups=GROUPS, n_block=50)
    assert n_blocks == [0]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_process_that_is_killed_goes_on(tmp_path):
    code = (
        "import sys, numpy as np, test_stream_training as t\n"
        "from ageboost.batch import fit_stream\n"
        "rows = t.make_rows(3000)\n"
        "model = fit_stream(t.small(), t.Blocks(*rows), sys.argv[1], groups=t.GROUPS, n_block=30,\n"
        "    n_sample=2000)\n"
        "np.save(sys.argv[2], model.predict(rows[0]))\n"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}

    def start(folder, out):
        return subprocess.Popen([sys.executable, "-c", code, str(folder), str(out)], env=env)

    assert start(tmp_path / "whole", tmp_path / "whole.npy").wait() == 0
    folder = tmp_path / "killed"
    for name in ("looked", "scores", "kernel-0.npz", "predictions-0.npz"):
        process = start(folder, tmp_path / "killed.npy")
        while process.poll() is None and not (folder / name).exists():
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert start(folder, tmp_path / "killed.npy").wait() == 0
    np.testing.assert_array_equal(np.load(tmp_path / "killed.npy"), np.load(tmp_path / "whole.npy"))


def test_another_source_or_estimator_is_refused(rows, tmp_path):
    matrix, ages = rows
    folder, settings = tmp_path / "training", {"groups": GROUPS, "n_block": 100}
    fit_stream(small(), matrix, folder, ages, **settings)
    for given, message in [
        ((small(), matrix, folder, ages + 1), "with other ages"),
        ((small(), matrix[:-1], folder, ages[:-1]), "ages, shape"),
        ((small(regressor=small_xgboost(gamma=1)), matrix, folder, ages), "regressor__gamma"),
        ((small("pca"), matrix, folder, ages), "reduction"),
        ((small(), matrix + 1, folder, ages), "rows 0 to 99 are not what they were"),
    ]:
        with pytest.raises(TrainingFolderError, match=message):
            fit_stream(*given, **settings)
    with pytest.raises(TrainingFolderError, match="n_sample"):
        fit_stream(small(), matrix, folder, ages, n_sample=100, **settings)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(TrainingFolderError, match="name an empty folder"):
        fit_stream(small(), matrix, tmp_path / "mine", ages, **settings)


def test_blocks_that_changed_are_refused_wherever_they_changed(rows, tmp_path):
    matrix, ages = rows
    settings = {"groups": GROUPS, "n_block": 100}
    fit_stream(small(), Blocks(matrix, ages), tmp_path / "t", **settings)
    older, moved = ages.copy(), matrix.copy()
    older[450] += 1
    moved[450, 3] += 1
    for changed in (Blocks(matrix, older), Blocks(moved, ages)):
        with pytest.raises(TrainingFolderError, match="rows 400 to 499 are not what"):
            fit_stream(small(), changed, tmp_path / "t", **settings)
    with pytest.raises(TrainingFolderError, match=r"6 blocks of 100 rows .* now there are 5"):
        fit_stream(small(), Blocks(matrix[:500], ages[:500]), tmp_path / "t", **settings)


def test_bad_blocks_are_named(rows, tmp_path):
    matrix, ages = rows
    hole = matrix.copy()
    hole[200, 7] = np.nan
    with pytest.raises(ValueError, match=r"block 2 .*column 7 of row 20 .* row 200 in all, is nan"):
        fit_stream(small("pca"), Blocks(hole, ages), tmp_path / "a")
    hole[200, 7], hole[200, 13] = 0, np.inf
    with pytest.raises(ValueError, match=r"block 2 .*column 13 of row 20 .* is inf"):
        fit_stream(small("pca"), Blocks(hole, ages), tmp_path / "b", groups=GROUPS)
    with pytest.raises(ValueError, match=r"block 1 .* has shape \(9, 3\) where 30 columns"):
        fit_stream(small("pca"), [(matrix, ages), (matrix[:9, :3], ages[:9])], tmp_path / "c")
    with pytest.raises(ValueError, match=r"block 0 .* has 600 rows but 599 ages"):
        fit_stream(small("pca"), [(matrix, ages[1:])], tmp_path / "d")
    with pytest.raises(ValueError, match="the age of row 3 is -1"):
        fit_stream(small("pca"), [(matrix[:4], [1, 2, 3, -1])], tmp_path / "e")
    with pytest.raises(ValueError, match="some without"):
        fit_stream(
            small("pca"), [(matrix, ages, ages), (matrix, ages)], tmp_path / "f", n_block=2000
        )
    with pytest.raises(ValueError, match="no rows"):
        fit_stream(small("pca"), [], tmp_path / "g")
    with pytest.raises(TypeError, match="more than once"):
        fit_stream(small("pca"), iter([(matrix, ages)]), tmp_path / "h")
    with pytest.raises(ValueError, match="ages are missing"):
        fit_stream(small("pca"), matrix, tmp_path / "i")


def test_settings_that_cannot_work_are_refused_at_once(tmp_path):
    for estimator, message in [
        (small(regressor=Ridge(), early_stopping_rounds=5), "early_stopping_rounds works with"),
        (small(interval_folds=1), "interval_folds=1"),
        (small(KernelScores(random_state=np.random.RandomState(0))), "is a RandomState"),
    ]:
        with pytest.raises(ValueError, match=message):
            fit_stream(estimator, None, tmp_path / "t")
    with pytest.raises(TypeError, match="Ridge cannot be trained so"):
        fit_stream(Ridge(), None, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_without_a_seed_a_killed_run_still_ends_with_one_model(rows, tmp_path):
    matrix, ages = rows
    unseeded = AgeRegressor(
        KernelScores(n_components=5, n_centers=40), small_xgboost(), interval_folds=3
    )
    fit_stream(unseeded, matrix, tmp_path / "t", ages, n_block=100)
    first = unseeded.predict(matrix)
    assert unseeded.random_state is None
    for path in (tmp_path / "t").glob("predictions-*"):
        path.unlink()
    fit_stream(unseeded, matrix, tmp_path / "t", ages, n_block=100)
    np.testing.assert_array_equal(unseeded.predict(matrix), first)


def test_any_transformer_of_rows_can_stand_in_between(rows, tmp_path):
    matrix, ages = rows
    whole = small(StandardScaler(), interval_folds=None).fit(matrix, ages)
    streamed = small(StandardScaler(), interval_folds=None)
    fit_stream(streamed, matrix, tmp_path / "t", ages, n_block=100)
    assert_same(streamed, whole, matrix, 1e-3)


@pytest.mark.parametrize("kind", ["array", "lengths unknown", "table"])
def test_a_collection_of_dask_is_computed_block_by_block(rows, tmp_path, kind):
    pytest.importorskip("dask")
    import pandas as pd

    matrix, ages = rows
    whole = fit_stream(small("pca"), matrix, tmp_path / "w", ages, n_block=100)
    if kind == "table":
        dataframe = pytest.importorskip("dask.dataframe")
        columns = [f"f{i}" for i in range(len(GROUPS))]
        table = pd.DataFrame(matrix, columns=columns).assign(age=ages)
        source, given = dataframe.from_pandas(table, npartitions=4), "age"
    else:
        import dask.array

        source, given = dask.array.from_array(matrix, chunks=(170, 7)), ages
        if kind == "lengths unknown":
            source = source[source[:, 0] > -100]
    streamed = small("pca")
    for _ in range(2):
        fit_stream(streamed, source, tmp_path / "t", given, n_block=100)
        np.testing.assert_array_equal(streamed.predict(matrix), whole.predict(matrix))
    with pytest.raises(ValueError, match=r"no column of that name|could not convert|ages"):
        fit_stream(small("pca"), source, tmp_path / "u", "years")


def test_without_dask_the_error_says_what_to_install(rows, tmp_path, monkeypatch):
    class Collection:
        chunks, numblocks, blocks = ((10,),), (1,), None

    Collection.__module__ = "dask.array.core"
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ClusterError, match=r"ageboost\[dask\]"):
        fit_stream(small("pca"), Collection(), tmp_path / "t", rows[1])


def test_nothing_else_needs_dask(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "sys.modules['dask'] = sys.modules['distributed'] = None\n"
        "from ageboost.batch import fit_stream\n"
        "from ageboost.models import AgeRegressor\n"
        "X = np.random.default_rng(0).normal(size=(50, 3))\n"
        "fit_stream(AgeRegressor('pca', interval_folds=None), X, sys.argv[1], X[:, 0] + 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "t")], check=True)


def geometry_estimator(**params):
    features = FaceFeatures([("geometry", LandmarkGeometry())])
    estimator = AgeEstimator(features, random_state=0, on_error="nan", **params)
    return estimator.set_params(regressor__n_estimators=20, reduction__n_centers=10)


@pytest.fixture(scope="module")
def some_photos(face_variants):
    photos, ages = face_variants
    return [*photos[:12], b"no photo", *photos[12:]], np.insert(ages, 12, 50.0).round()


def test_shards_and_photos_give_the_model_of_fit_and_keep_what_failed(some_photos, tmp_path):
    photos, ages = some_photos
    weight = np.linspace(1, 2, len(ages))
    with pytest.warns(UserWarning, match="1 of 31 photos are left out"):
        whole = geometry_estimator().fit(photos, ages, weight)
    summary = write_features(
        geometry_estimator(), photos, ages, tmp_path / "features", 4, sample_weight=weight
    )
    assert (summary.n_shards, summary.n_faces, summary.n_photos) == (4, 30, 31)
    cached = geometry_estimator(cache=tmp_path / "cache")
    for estimator, source, given in [
        (geometry_estimator(), tmp_path / "features", {}),
        (cached, photos, {"ages": ages, "sample_weight": weight}),
    ]:
        for _ in range(2):
            folder = tmp_path / f"training-{len(given)}"
            with pytest.warns(UserWarning, match="1 of 31 photos are left out"):
                fit_stream(estimator, source, folder, n_block=7, **given)
            for failures in (summary.failures, estimator.left_out_):
                [(position, error)] = failures
                assert (position, type(error)) == (12, type(whole.left_out_[0][1]))
                assert str(error) == str(whole.left_out_[0][1])
            np.testing.assert_allclose(
                estimator.predict(photos[:3]), whole.predict(photos[:3]), atol=0.1
            )
            assert estimator.looks_.quantiles_.tolist() == whole.looks_.quantiles_.tolist()
            assert estimator.n_photos_ == 30
        estimator.save(tmp_path / "model.ageboost")
        loaded = load(tmp_path / "model.ageboost")
        assert loaded.predict(photos[:3]).tolist() == estimator.predict(photos[:3]).tolist()
    strict = geometry_estimator().set_params(on_error="raise")
    with pytest.raises(PhotosError, match="12: "):
        fit_stream(strict, tmp_path / "features", tmp_path / "strict")


def test_shards_of_other_features_or_ages_are_refused(some_photos, tmp_path):
    photos, ages = some_photos
    write_features(geometry_estimator(), photos[:4], ages[:4], tmp_path / "f", 2)
    with pytest.raises(SharedPlaceError, match="with other ages"):
        write_features(geometry_estimator(), photos[:4], ages[:4] + 1, tmp_path / "f", 2)
    with pytest.raises(SharedPlaceError, match="with other columns, features"):
        write_features(AgeEstimator("classical"), photos[:4], ages[:4], tmp_path / "f", 2)
    with pytest.raises(SharedPlaceError, match="other features than the estimator"):
        fit_stream(AgeEstimator("classical"), tmp_path / "f", tmp_path / "t")
    with pytest.raises(SharedPlaceError, match="holds no features"):
        fit_stream(geometry_estimator(), tmp_path, tmp_path / "u")
    with pytest.raises(ValueError, match="hold their own ages: leave them out"):
        fit_stream(geometry_estimator(), tmp_path / "f", tmp_path / "u", ages[:4])
    part = tmp_path / "f" / "part-00001.npy"
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(SharedPlaceError, match=r"part-00001.npy in .* is damaged"):
        fit_stream(geometry_estimator(), tmp_path / "f", tmp_path / "v")
    (tmp_path / "f" / "_part-00001.done").unlink()
    with pytest.raises(SharedPlaceError, match="holds 1 of 2 shards"):
        fit_stream(geometry_estimator(), tmp_path / "f", tmp_path / "w")


def test_photos_need_a_cache_and_ages_that_are_some(some_photos, tmp_path):
    photos, ages = some_photos
    with pytest.raises(ValueError, match="name a folder to keep their features in"):
        fit_stream(geometry_estimator(), photos, tmp_path / "t", ages)
    with pytest.raises(LabelsError, match="age 130"):
        fit_stream(geometry_estimator(cache=tmp_path), photos, tmp_path / "u", ages + 130 - ages[0])
    with pytest.raises(LabelsError, match="block 0, row 1: age 130"):
        fit_stream(geometry_estimator(), [(np.zeros((2, 136)), [3, 130])], tmp_path / "v")


def test_the_command_trains_so_and_needs_a_cache(face_variants, tmp_path):
    photos, ages = face_variants
    lines = ["photo,age"]
    for number, (photo, age) in enumerate(zip(photos[:8], ages, strict=False)):
        Image.fromarray(photo).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{age:.0f}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    call = ["train", str(tmp_path / "labels.csv"), "--features", "classical", "--jobs", "1"]
    models = [tmp_path / name for name in ("whole.ageboost", "streamed.ageboost")]
    options = ["--stream", str(tmp_path / "training")]
    refused = CliRunner().invoke(app, [*call, "--out", str(models[1]), *options])
    assert refused.exit_code == 2
    assert "name a --cache" in refused.output
    call += ["--cache", str(tmp_path / "cache")]
    for out, more in zip(models, ([], options), strict=True):
        done = CliRunner().invoke(app, [*call, "--out", str(out), *more])
        assert done.exit_code == 0
        assert "learnt from 8 photos" in done.output
    whole, streamed = (load(path).predict(photos[8:12]) for path in models)
    np.testing.assert_allclose(streamed, whole, atol=0.1)
