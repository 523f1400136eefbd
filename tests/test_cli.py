import io
import json
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import ageboost
from ageboost.cli import app

COLUMNS = ["photo", "face", "left", "top", "width", "height", "age", "age_low", "age_high"]


@pytest.fixture(scope="module")
def run():
    runner = CliRunner()
    return lambda *arguments, **options: runner.invoke(app, [str(a) for a in arguments], **options)


@pytest.fixture
def folder(tmp_path, portrait):
    photos = tmp_path / "photos"
    (photos / "till 3").mkdir(parents=True)
    cut = portrait[:300, 100:350]
    Image.fromarray(cut).save(photos / "a.jpg")
    Image.fromarray(cut[:, ::-1]).save(photos / "till 3" / "b.png")
    (photos / "notes.txt").write_text("not a photo, and not taken for one")
    return photos


@pytest.fixture
def model(fitted, tmp_path):
    fitted.save(tmp_path / "model.ageboost")
    return tmp_path / "model.ageboost"


def test_predict_writes_a_table_of_a_folder_and_is_silent(run, folder, model):
    result = run("predict", folder, "--model", model)
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith(",".join(COLUMNS))
    assert [line.split(",")[0] for line in lines[1:]] == [
        str(folder / "a.jpg"),
        str(folder / "till 3" / "b.png"),
    ]


@pytest.mark.parametrize(
    ("suffix", "read"),
    [(".csv", pd.read_csv), (".json", pd.read_json), (".parquet", pd.read_parquet)],
)
def test_predict_writes_each_kind_of_file(run, folder, model, tmp_path, suffix, read):
    out = tmp_path / f"ages{suffix}"
    result = run("predict", folder, "--model", model, "--out", out)
    assert (result.exit_code, result.output) == (0, "")
    table = read(out)
    assert list(table.columns[:9]) == COLUMNS
    assert len(table) == 2
    assert table["age"].between(0, 120).all()


def test_predict_reads_globs_and_a_list_on_standard_input(run, folder, model):
    by_glob = run("predict", f"{folder}/*.jpg", "--model", model)
    by_list = run("predict", "-", "--model", model, input=f"{folder / 'a.jpg'}\n")
    assert by_glob.stdout == by_list.stdout
    assert by_glob.exit_code == by_list.exit_code == 0


def test_predict_names_photos_without_an_age_and_exits_with_1(run, folder, model):
    (folder / "broken.jpg").write_text("text")
    result = run("predict", folder, folder / "missing.jpg", "--model", model)
    assert result.exit_code == 1
    assert "broken.jpg: not a photo" in result.stderr
    assert "missing.jpg: no such file" in result.stderr
    assert len(result.stdout.splitlines()) == 1 + 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict"],
        ["predict", "no/such/glob*.jpg"],
        ["predict", "a.jpg", "--out", "ages.docx"],
        ["predict", "a.jpg", "--out", "no/such/folder/ages.csv"],
        ["predict", "a.jpg", "--model", "no-such.ageboost"],
        ["predict", "a.jpg", "--coverage", "2"],
        ["explain", "a.jpg", "--out", "no/such/folder/reasons.png"],
        ["evaluate", "no-such.ageboost", "labels.csv"],
        ["train", "no-such.csv", "--out", "model.ageboost"],
        ["report", "no-such.csv", "--out", "page.html"],
        ["bake"],
    ],
)
def test_a_wrong_call_exits_with_2_and_says_why(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr


def test_an_empty_folder_is_a_wrong_call(run, tmp_path):
    result = run("predict", tmp_path)
    assert result.exit_code == 2
    assert "no photos in the folder" in result.stderr


def test_an_empty_list_on_standard_input_is_a_wrong_call(run):
    result = run("predict", "-", input="\n\n")
    assert result.exit_code == 2
    assert "no photos given" in result.stderr


def test_draw_writes_a_picture(run, folder, model, tmp_path):
    out = tmp_path / "drawn.png"
    result = run("draw", folder / "a.jpg", "--out", out, "--model", model)
    assert result.exit_code == 0
    assert "years" in result.stdout
    drawn = Image.open(out)
    assert (drawn.format, drawn.size) == ("PNG", (250, 300))
    assert drawn.tobytes() != Image.open(folder / "a.jpg").tobytes()


def test_draw_says_when_there_is_no_face(run, tmp_path, model):
    Image.new("RGB", (200, 200)).save(tmp_path / "black.png")
    out = tmp_path / "drawn.png"
    result = run("draw", tmp_path / "black.png", "--out", out, "--model", model)
    assert result.exit_code == 1
    assert "no face of" in result.stderr
    assert not out.exists()


def test_explain_prints_years_by_region_and_draws_them(run, folder, model, tmp_path):
    out = tmp_path / "reasons.png"
    result = run("explain", folder / "a.jpg", "--out", out, "--model", model)
    assert result.exit_code == 0, result.output
    lines = dict(line.split(": ") for line in result.stdout.splitlines())
    years = [float(value.removesuffix(" years")) for value in lines.values()]
    assert lines.keys() >= {"on average", "forehead", "eyes", "nose", "mouth", "this face"}
    assert sum(years[:-1]) == pytest.approx(years[-1], abs=0.5)
    assert Image.open(out).format == "PNG"


def test_explain_says_when_there_is_no_face(run, tmp_path, model):
    Image.new("RGB", (200, 200)).save(tmp_path / "black.png")
    result = run("explain", tmp_path / "black.png", "--model", model)
    assert result.exit_code == 1
    assert "no face of" in result.stderr
    assert result.stdout == ""


def test_train_and_evaluate_go_from_labels_to_errors(run, face_variants, tmp_path):
    rows = []
    for i, (photo, age) in enumerate(zip(*face_variants, strict=True)):
        path = tmp_path / f"{i}.png"
        Image.fromarray(photo).save(path)
        rows.append({"photo": path.name, "age": round(age)})
    (tmp_path / "broken.png").write_text("text")
    rows.append({"photo": "broken.png", "age": 30})
    labels, model = tmp_path / "labels.csv", tmp_path / "model.ageboost"
    pd.DataFrame(rows).to_csv(labels, index=False)
    trained = run("train", labels, "--out", model, "--features", "classical", "--jobs", 1)
    assert trained.exit_code == 1
    assert "learnt from 30 photos" in trained.stdout
    assert "broken.png: not a photo" in trained.stderr
    evaluated = run("evaluate", model, labels, "--jobs", 1, "--out", tmp_path / "errors.json")
    assert evaluated.exit_code == 1
    assert "without an age: 1" in evaluated.stdout
    assert "MAE:" in evaluated.stdout
    errors = json.loads((tmp_path / "errors.json").read_text())
    assert [row["true_age"] for row in errors] == [row["age"] for row in rows]


@pytest.mark.parametrize("name", ["accurate", "classical", "fast"])
def test_a_model_that_ships_is_taken_by_its_name(run, folder, name):
    result = run("predict", folder / "a.jpg", "--model", name)
    assert result.exit_code == 0, result.output
    [row] = pd.read_csv(io.StringIO(result.stdout)).to_dict("records")
    assert row["age_low"] <= row["age"] <= row["age_high"]


def test_a_name_that_is_neither_a_file_nor_a_model_is_refused(run, folder):
    result = run("predict", folder / "a.jpg", "--model", "no such model")
    assert result.exit_code == 2
    assert "no such model" in result.stderr


def test_calibrate_makes_a_model_of_the_same_ages_and_other_ranges(
    run, small_estimator, portrait, tmp_path
):
    rng = np.random.default_rng(0)
    rows = ["photo,age"]
    for i in range(24):
        cut = portrait[i % 5 : 300 + i, 60 + i % 7 : 400]
        Image.fromarray(np.clip(cut * rng.uniform(0.5, 1), 0, 255).astype(np.uint8)).save(
            tmp_path / f"{i}.jpg"
        )
        rows.append(f"{i}.jpg,{60 + i % 3}")
    Image.new("RGB", (300, 300)).save(tmp_path / "black.jpg")
    (tmp_path / "labels.csv").write_text("\n".join([*rows, "black.jpg,30"]))
    out = tmp_path / "mine.ageboost"
    result = run("calibrate", "classical", tmp_path / "labels.csv", "--out", out, "--jobs", "1")
    assert result.exit_code == 1, result.output
    assert "calibrated with 24 photos" in result.stdout
    assert "black.jpg" in result.stderr
    before, after = ageboost.load_pretrained("classical"), ageboost.load(out)
    assert after.predict([portrait])[0] == pytest.approx(before.predict([portrait])[0])
    assert after.predict_quantiles([portrait], 0.5)[0, 0] > 50
    assert "24 photos" in (tmp_path / "mine.md").read_text()


def test_adapt_makes_a_model_of_corrected_ages(run, model, portrait, tmp_path):
    estimated = ageboost.load(model).predict([portrait])[0]
    rows = ["photo,age,subject"]
    for i in range(30):
        light = 0.6 + i / 100
        Image.fromarray((portrait * light).astype(np.uint8)).save(tmp_path / f"{i}.jpg")
        rows.append(f"{i}.jpg,{max(estimated - 15, 1):.0f},{i % 10}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    out = tmp_path / "mine.ageboost"
    result = run("adapt", model, tmp_path / "labels.csv", "--out", out, "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert "adapted to 30 photos" in result.stdout
    assert "correction: moves ages by up to " in result.stdout
    assert ageboost.load(out).predict([portrait])[0] < estimated - 5
    few = tmp_path / "few.csv"
    few.write_text("\n".join(rows[:20]))
    result = run("adapt", model, few, "--out", tmp_path / "no.ageboost", "--jobs", "1")
    assert result.exit_code == 2
    assert "19 photos of 10 people are too few" in result.stderr


def test_a_table_that_needs_a_missing_package_is_refused_before_the_work(run, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("predict", folder, "--out", folder / "ages.parquet")
    assert result.exit_code == 2
    assert 'pip install "ageboost[parquet]"' in result.stderr


@pytest.mark.parametrize("text", ["no json", "[1, 2]", '{"regressor__depht": 3}'])
def test_settings_that_cannot_be_used_are_refused_before_the_work(run, tmp_path, text):
    (tmp_path / "settings.json").write_text(text)
    call = ("train", "labels.csv", "--out", tmp_path / "m.ageboost", "--settings")
    result = run(*call, tmp_path / "settings.json")
    assert result.exit_code == 2
    assert "settings.json" in result.stderr


@pytest.mark.parametrize("command", ["draw", "explain", "calibrate", "evaluate"])
def test_a_result_that_does_not_fit_on_the_disk_is_named(
    run, model, folder, tmp_path, command, no_file_larger_than
):
    labels, out = tmp_path / "labels.csv", tmp_path / "out.csv"
    pd.DataFrame({"photo": [folder / "a.jpg"] * 40, "age": range(20, 60)}).to_csv(labels)
    call = {
        "draw": ["draw", folder / "a.jpg", "--model", model],
        "explain": ["explain", folder / "a.jpg", "--model", model],
        "calibrate": ["calibrate", model, labels],
        "evaluate": ["evaluate", model, labels],
    }[command]
    suffix = {"draw": ".png", "explain": ".png", "calibrate": ".ageboost", "evaluate": ".csv"}
    out = out.with_suffix(suffix[command])
    with no_file_larger_than(1000):
        result = run(*call, "--out", out)
    assert result.exit_code == 3
    assert f"{str(out)!r} cannot be written: File too large" in result.stderr


def test_columns_of_labels_are_named_by_options(run, portrait, tmp_path):
    Image.fromarray(portrait).save(tmp_path / "1.png")
    labels = tmp_path / "people.csv"
    labels.write_text("id;bild;jahre\n1;1.png;30,5\n")
    asked = run("evaluate", "fast", labels)
    assert asked.exit_code == 2
    assert "pass --photo-column" in asked.stderr
    named = run("evaluate", "fast", labels, "--photo-column", "Bild", "--age-column", "jahre")
    assert named.exit_code == 0, named.stderr
    assert "MAE" in named.stdout or "mae" in named.stdout
