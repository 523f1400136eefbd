"""Photos on the workers of Dask, Ray and Spark, each in a process of its own."""

import io
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter

import joblib
import numpy as np
import pandas as pd
import pytest
from cluster_parts import Noting
from PIL import Image
from typer.testing import CliRunner

import ageboost
from ageboost._parallel import work_in_order
from ageboost.batch import Analyzer
from ageboost.cli import app
from ageboost.errors import TableError
from ageboost.features import FaceFeatures

N_PHOTOS = 60


@pytest.fixture(scope="module")
def photos(tmp_path_factory, portrait):
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for number in range(N_PHOTOS):
        path = folder / f"{number:03}.jpg"
        if number % 20 == 7:
            path.write_bytes(b"no photo")
        else:
            Image.fromarray(portrait[number : 260 + number, 100:350]).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture(scope="module")
def fast():
    model = ageboost.load_pretrained("fast")
    model.features_.set_params(batch_size=4)
    return model


@pytest.fixture(scope="module")
def alone(fast, photos):
    return fast.analyze(photos)


@pytest.fixture(scope="module")
def dask():
    """A cluster of three processes on this machine."""
    distributed = pytest.importorskip("distributed")
    # A machine may be busy, or slow.
    patience = {"distributed.comm.timeouts.connect": "300s"}
    with (
        pytest.importorskip("dask").config.set(patience),
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=None, memory_limit=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def pids_of(client):
    return sorted(client.run(os.getpid).values())


@pytest.mark.slow
def test_dask_gets_the_model_once_for_each_worker_and_gives_rows_in_order(dask, portrait, tmp_path):
    log = tmp_path / "log"
    heads = [portrait[:260, left : left + 250] for left in range(60, 140, 2)]
    features = FaceFeatures([("left", Noting(str(log)))], batch_size=2, n_jobs=-1)
    with joblib.parallel_config("dask"):
        matrix = features.transform(head for head in heads)
    arrived = Counter(map(int, log.read_text().split()))
    assert {*arrived} <= {*pids_of(dask)}
    assert len(arrived) > 1
    assert {*arrived.values()} == {1}
    features.n_jobs = 1
    np.testing.assert_array_equal(matrix, features.transform(heads))


@pytest.mark.slow
def test_the_command_has_the_workers_of_dask_look_at_photos(dask, photos, alone, tmp_path):
    out = tmp_path / "ages.csv"
    address = dask.scheduler.address
    result = CliRunner().invoke(
        app, ["predict", *photos, "--model", "fast", "--dask", address, "--out", str(out)]
    )
    assert result.exit_code == 1
    expected = alone.drop(columns="message").to_csv(index=False, float_format="%.2f")
    assert pd.read_csv(out).drop(columns="message").equals(pd.read_csv(io.StringIO(expected)))


def test_a_cluster_without_dask_is_refused_with_the_way_out(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    call = ["predict", photos[0], "--model", "fast", "--dask", "localhost:8786"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 2
    assert 'pip install "ageboost[dask]"' in result.stderr


@pytest.mark.slow
def test_a_fault_in_a_worker_of_dask_is_raised_here(dask, portrait):
    features = FaceFeatures([("left", Noting("/no/such/folder/log"))], n_jobs=-1, batch_size=1)
    with joblib.parallel_config("dask"), pytest.raises(FileNotFoundError, match="no/such/folder"):
        features.transform([portrait] * 4)


@pytest.mark.slow
def test_workers_of_dask_have_a_few_items_each_and_what_cannot_travel_is_done_here(dask):
    class Here:
        """Cannot go to another process."""

        def __abs__(self):
            return os.getpid()

        def __reduce__(self):
            raise TypeError

    taken = []

    def items():
        for number in range(60):
            taken.append(number)
            yield Here() if number == 20 else -number
        raise OSError("the camera is gone")

    n_answered = 0
    with joblib.parallel_config("dask"):
        found = work_in_order(abs, items(), -1)
        for expected in [*range(20), os.getpid(), *range(21, 60)]:
            assert next(found) == expected
            n_answered += 1
            assert len(taken) - n_answered <= 4 * 3
        with pytest.raises(OSError, match="the camera is gone"):
            next(found)


@pytest.mark.slow
def test_an_analyzer_maps_the_partitions_of_a_frame_of_dask(dask, fast, photos, alone):
    frames = pytest.importorskip("dask.dataframe")
    table = pd.DataFrame({"photo": photos, "receipt": range(len(photos))})
    analyzer = Analyzer(fast, keep=["receipt"])
    frame = frames.from_pandas(table, npartitions=5)
    found = frame.map_partitions(analyzer).compute()
    found = found.reset_index(drop=True)
    pd.testing.assert_frame_equal(found[alone.columns], alone)
    assert found["receipt"].tolist() == [photos.index(name) for name in found["photo"]]


@pytest.mark.slow
def test_dask_gives_the_table_of_one_process_when_two_of_three_workers_are_killed(
    dask, fast, photos, alone
):
    tables = []
    with joblib.parallel_config("dask"):
        for table in fast.set_params(n_jobs=-1).analyze_batches(iter(photos)):
            tables.append(table)
            if len(tables) == 2:
                for pid in pids_of(dask)[:2]:
                    os.kill(pid, signal.SIGKILL)
    pd.testing.assert_frame_equal(pd.concat(tables, ignore_index=True), alone)


@pytest.mark.slow
def test_an_analyzer_maps_the_batches_of_ray(photos, alone):
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    data = pytest.importorskip("ray.data", reason="Ray Data is not installed")
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            runtime_env={"env_vars": environment},
        )
    except Exception as error:
        pytest.skip(f"Ray does not start here: {error}")
    try:
        frame = pd.DataFrame({"photo": photos})
        found = (
            data.from_pandas(frame)
            .repartition(3)
            .map_batches(Analyzer("fast"), batch_format="pandas")
            .to_pandas()
        )
    finally:
        ray.shutdown()
    check_same_faces(found, alone)


@pytest.mark.slow
def test_an_analyzer_maps_a_table_of_spark(photos, alone):
    sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed")
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    environment = os.pathsep.join(filter(None, sys.path))
    builder = builder.config("spark.executorEnv.PYTHONPATH", environment)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        spark = builder.getOrCreate()
    except Exception as error:
        pytest.skip(f"Spark does not start here: {error}")
    try:
        analyzer = Analyzer("fast", keep=["receipt"])
        rows = [(name, number) for number, name in enumerate(photos)]
        frame = spark.createDataFrame(rows, "photo string, receipt bigint").repartition(3)
        found = frame.mapInPandas(
            lambda tables: map(analyzer, tables), f"receipt bigint, {analyzer.spark_schema}"
        ).toPandas()
    finally:
        spark.stop()
    assert found["receipt"].tolist() == [photos.index(name) for name in found["photo"]]
    check_same_faces(found, alone)


def check_same_faces(found, alone):
    """Engines have dtypes of their own, and may give partitions in another order."""
    keys = ["photo", "face"]
    found = found.sort_values(keys)[list(alone.columns)].reset_index(drop=True)
    expected = alone.sort_values(keys).reset_index(drop=True)
    for name, kind in expected.dtypes.items():
        ours = found[name].where(found[name].notna(), None).astype(kind)
        pd.testing.assert_series_equal(ours, expected[name], check_exact=True)


def test_an_analyzer_takes_a_table_of_any_number_of_rows_and_hands_on_columns(photos, alone):
    analyzer = pickle.loads(pickle.dumps(Analyzer("fast", "file", ["till", "day"])))
    table = pd.DataFrame(
        {"day": ["Mon", "Tue", None], "till": [3, 4, 5], "file": [photos[0], None, photos[7]]},
        index=[9, 9, 2],
    )
    found = analyzer(table)
    assert list(found.columns[:2]) == ["till", "day"]
    assert found["till"].tolist() == [3, 4, 5]
    assert found["status"].tolist() == ["ok", "unreadable", "unreadable"]
    pd.testing.assert_frame_equal(found[alone.columns].head(1), alone.head(1))
    empty = analyzer(table.head(0))
    assert len(empty) == 0
    assert empty.dtypes.equals(found.dtypes)
    assert analyzer({"file": [photos[0]], "till": [1], "day": [2]})["age"].equals(alone["age"][:1])


def test_a_wrong_table_or_column_is_named():
    analyzer = Analyzer("fast")
    with pytest.raises(TableError, match="without a column 'photo', but file"):
        analyzer(pd.DataFrame({"file": []}))
    with pytest.raises(ValueError, match="has face already"):
        Analyzer("fast", keep=["face"])
    with pytest.raises(TypeError, match=r"\['receipt'\]"):
        Analyzer("fast", keep="receipt")
    with pytest.raises(FileNotFoundError):
        Analyzer("no-such.ageboost")


def test_a_model_is_loaded_once_in_a_process_however_many_analyzers_arrive(fast, portrait):
    content = pickle.dumps(Analyzer(fast))
    first, second = (pickle.loads(content) for _ in range(2))
    assert first._load() is second._load()
    assert first({"photo": [b"no photo"]}).equals(second({"photo": [b"no photo"]}))


def test_one_machine_needs_nothing_of_a_cluster(photos):
    program = (
        "import sys; engines = ('dask', 'distributed', 'fsspec', 'ray', 'pyspark'); "
        "sys.modules.update(dict.fromkeys(engines)); "
        "from ageboost.batch import Analyzer, write_shards; "
        f"print(Analyzer('fast')({{'photo': [{photos[0]!r}]}})['status'].tolist())"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    ).stdout
    assert output.strip() == "['ok']"
