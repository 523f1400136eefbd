"""Commands write where and what they were asked to, and say in a shell's words what is wrong."""

import copy
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

import ageboost
from ageboost import CacheError
from ageboost.cli import app
from ageboost.cli._advice import advise
from ageboost.cli.training_commands import FeatureSet, Regressor
from ageboost.features.extraction import FEATURE_SETS
from ageboost.models import AgeRegressor
from ageboost.models.calibration import calibration_of
from ageboost.models.persistence import pretrained_names
from ageboost.models.regressors import REGRESSORS


@pytest.fixture(scope="module")
def run():
    runner = CliRunner()
    return lambda *arguments, **options: runner.invoke(app, [str(a) for a in arguments], **options)


@pytest.fixture
def shop(tmp_path, portrait, monkeypatch):
    """A folder with a photo and labels, in which the commands run."""
    Image.fromarray(portrait[:300, 100:350]).save(tmp_path / "a.jpg")
    (tmp_path / "labels.csv").write_text("photo,age,who\na.jpg,40,ann\n")
    (tmp_path / "settings.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cache_on_a_file(tmp_path):
    """A place where no folder can be made."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "cache"


def test_the_version_is_that_of_the_package(run):
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"ageboost {ageboost.__version__}\n")


@pytest.mark.parametrize(
    "call",
    [
        "draw a.jpg --out a.jpg",
        "draw a.jpg --out ./a.jpg",
        "evaluate fast labels.csv --out labels.csv",
        "train labels.csv --out labels.csv",
        "train labels.csv --settings settings.json --out settings.json",
        "calibrate fast labels.csv --out labels.csv",
        "tune labels.csv --out settings.json --space settings.json",
        "tune labels.csv --out best.json --study best.json",
        "tune labels.csv --out best.json --study x.png --plot x.png",
        "predict labels.csv --out labels.csv",
    ],
)
def test_no_result_is_written_over_what_it_is_made_from(run, shop, call):
    before = {path.name: path.read_bytes() for path in shop.iterdir()}
    result = run(*call.split())
    assert result.exit_code == 2, result.output
    assert "are the same file" in result.stderr
    assert {path.name: path.read_bytes() for path in shop.iterdir()} == before


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ("draw a.jpg --out drawn.xyz", ".png, .jpg, .jpeg, .webp"),
        ("draw a.jpg --out drawn", ".png, .jpg"),
        ("explain a.jpg --out map.csv", ".png, .pdf, .svg"),
        ("tune labels.csv --out best.csv", ".json"),
        ("tune labels.csv --out best.json --plot plot.doc", ".png, .pdf, .svg"),
        ("report labels.csv --out page.pdf", ".html, .htm"),
        ("evaluate fast labels.csv --out errors.xlsx", ".csv, .json, .parquet"),
        ("predict a.jpg --out ages.txt", ".csv, .json, .parquet"),
        ("train labels.csv --out mine.md", "name the model mine.ageboost"),
    ],
)
def test_a_format_that_is_not_written_is_refused_with_those_that_are(run, shop, call, named):
    result = run(*call.split())
    assert result.exit_code == 2
    assert named in result.stderr


@pytest.mark.parametrize(
    ("name", "kind"), [("x.jpg", "JPEG"), ("x.JPEG", "JPEG"), ("x.webp", "WEBP"), ("x.tif", "TIFF")]
)
def test_a_drawn_picture_has_the_format_of_its_name(run, shop, name, kind):
    result = run("draw", "a.jpg", "--out", name, "-m", "fast")
    assert result.exit_code == 0, result.output
    assert Image.open(shop / name).format == kind


@pytest.mark.parametrize(("name", "start"), [("x.svg", b"<?xml"), ("x.pdf", b"%PDF")])
def test_a_map_of_reasons_has_the_format_of_its_name(run, shop, name, start):
    assert run("explain", "a.jpg", "--out", name, "-m", "fast").exit_code == 0
    assert (shop / name).read_bytes().startswith(start)


def test_an_interrupted_picture_leaves_the_one_before(run, shop, no_file_larger_than):
    (shop / "drawn.png").write_bytes(b"before")
    with no_file_larger_than(1000):
        assert run("draw", "a.jpg", "--out", "drawn.png", "-m", "fast").exit_code == 3
    assert (shop / "drawn.png").read_bytes() == b"before"


@pytest.mark.parametrize(
    "call",
    [
        "predict a.jpg -m fast",
        "predict a.jpg -m fast --out ages.csv",
        "evaluate fast labels.csv --jobs 1",
        "calibrate fast labels.csv --jobs 1 --out mine.ageboost",
        "train labels.csv --jobs 1 --out mine.ageboost",
        "report labels.csv --jobs 1 --out page.html",
    ],
)
def test_a_cache_that_cannot_be_used_has_its_own_message(run, shop, cache_on_a_file, call):
    before = {path.name for path in shop.iterdir()}
    result = run(*call.split(), "--cache", cache_on_a_file)
    assert result.exit_code == 2, result.output
    assert "features cannot be kept here" in result.stderr
    assert "cannot be written" not in result.stderr
    assert {path.name for path in shop.iterdir()} == before


def test_a_cache_that_fails_while_a_table_is_written_is_not_taken_for_the_table(
    run, shop, monkeypatch
):
    def fail(self, *args, **options):
        raise CacheError("cache: features cannot be kept here: it is full")

    monkeypatch.setattr("ageboost.AgeEstimator.analyze_batches", fail)
    result = run("predict", "a.jpg", "-m", "fast", "--out", "ages.csv")
    assert result.exit_code == 2
    assert result.stderr == "ageboost: cache: features cannot be kept here: it is full\n"


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_photos_without_an_age_are_null_in_tables(run, shop, suffix):
    (shop / "broken.jpg").write_text("no photo")
    out = shop / f"ages{suffix}"
    assert run("predict", shop, "-m", "fast", "--out", out).exit_code == 1
    if suffix == ".json":
        rows = json.loads(out.read_text(), parse_constant=lambda name: pytest.fail(name))
        assert [row["age"] is None for row in rows] == [False, True]
    else:
        assert "nan" not in out.read_text().lower()
        assert pd.read_csv(out)["age"].isna().tolist() == [False, True]


def test_bad_rows_are_named_with_the_option_that_goes_on_without_them(run, shop):
    (shop / "labels.csv").write_text("photo,age\na.jpg,40\na.jpg,400\n")
    refused = run("evaluate", "fast", "labels.csv", "--jobs", 1)
    assert refused.exit_code == 2
    assert "pass --skip-bad-rows to leave them out" in refused.stderr
    result = run("evaluate", "fast", "labels.csv", "--jobs", 1, "--skip-bad-rows")
    assert result.exit_code == 1
    assert "photos: 1" in result.stdout
    assert "line 3: " in result.stderr


def test_no_message_of_a_command_gives_advice_for_python(run, shop):
    Image.new("RGB", (300, 300)).save(shop / "black.png")
    (shop / "labels.csv").write_text("photo,age\nblack.png,40\nblack.png,four\n")
    (shop / "black.csv").write_text("photo,age\nblack.png,40\n")
    for call in (
        "predict black.png -m fast",
        "predict black.png -m fast --out ages.csv",
        "draw black.png -m fast --out drawn.png",
        "explain black.png -m fast",
        "train black.csv --jobs 1 --features fast --out mine.ageboost",
        "train labels.csv --jobs 1 --out mine.ageboost",
        "calibrate fast black.csv --jobs 1 --out mine.ageboost",
        "predict black.png -m nothing.ageboost",
        "evaluate fast black.csv --jobs 1",
        "train black.csv --jobs 1 --features fast --device cuda --out mine.ageboost",
        "tune black.csv --features fast --trials 1 --jobs 1 --out best.json",
    ):
        result = run(*call.split())
        assert result.exit_code in (1, 2), (call, result.output)
        assert not re.search(r"\b(on_error|boxes|device|max_side|space)=", result.output), call
        assert all(len(line) <= 500 for line in result.stderr.splitlines())
    assert "boxes" not in (shop / "ages.csv").read_text()


@pytest.mark.parametrize("n_rows", [3, 300])
def test_a_message_is_no_longer_than_500_characters(n_rows):
    rows = "\n".join(f"  row {i}: no such photo" for i in range(n_rows))
    text = advise(f"{n_rows} unusable rows in x.csv:\n{rows}")
    assert len(text) <= 500
    named = text.count("no such photo")
    assert named + int((re.search(r"and (\d+) more", text) or [0, "0"])[1]) == n_rows
    assert len(advise("x" * 10_000)) <= 500


def test_a_model_without_errors_is_to_be_calibrated_from_the_shell(fitted):
    bare = AgeRegressor()
    bare.calibration_ = None
    with pytest.raises(ValueError, match="interval_folds=5") as caught:
        calibration_of(bare)
    assert "ageboost calibrate MODEL LABELS" in advise(str(caught.value))


def test_options_list_what_the_library_accepts():
    assert {one.value for one in FeatureSet} == set(FEATURE_SETS)
    assert [one.value for one in Regressor] == list(REGRESSORS)
    commands = get_command(app).commands
    for name in ("predict", "draw", "explain", "report"):
        [option] = [one for one in commands[name].params if one.name == "model"]
        assert all(model in option.help for model in pretrained_names())


def test_landmarks_and_the_side_of_photos_are_options(run, shop, portrait):
    rows = "".join(f"{i}.jpg,{20 + i}\n" for i in range(20))
    for i in range(20):
        Image.fromarray(portrait[i : 300 + i, 100:350]).save(shop / f"{i}.jpg")
    (shop / "labels.csv").write_text(f"photo,age\n{rows}")
    result = run(
        *[
            "train",
            "labels.csv",
            "--features",
            "classical",
            "--landmarks",
            "5",
            "--max-side",
            "700",
        ],
        *["--jobs", "1", "--out", "mine.ageboost"],
    )
    assert result.exit_code == 0, result.output
    model = ageboost.load(shop / "mine.ageboost")
    finder = model.features_.finder
    assert (finder.landmarks, finder.max_side) == (5, 700)
    assert sum(n.startswith("geometry") for n in model.features_.get_feature_names_out()) == 10
    # So small a face can be found on a copy of half the usual side, and on no smaller one.
    wide = np.full((1200, 1200, 3), 120, np.uint8)
    wide[500:800, 500:800] = Image.fromarray(portrait).resize((300, 300))
    Image.fromarray(wide).save(shop / "wide.jpg")
    tiny = run(*["predict", "wide.jpg", "-m", "mine.ageboost", "--max-side", "100"])
    plain = run(*["predict", "wide.jpg", "-m", "mine.ageboost"])
    assert ",ok," in plain.stdout
    assert ",ok," not in tiny.stdout


def test_progress_is_lines_of_a_log_where_it_is_piped(run, shop):
    result = run("evaluate", "fast", "labels.csv", "--jobs", 1)
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d Looking at photos: 1", lines[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d Looking at photos: \d+ s", lines[1])


def test_two_models_are_compared_on_the_same_photos(run, shop, portrait):
    rng = np.random.default_rng(0)
    rows = ["photo,age,who"]
    for i in range(12):
        light = rng.uniform(0.6, 1)
        Image.fromarray((portrait[:300, 100:350] * light).astype(np.uint8)).save(shop / f"{i}.jpg")
        rows.append(f"{i}.jpg,{28 + i % 3},person {i % 4}")
    (shop / "labels.csv").write_text("\n".join(rows))
    call = "evaluate fast labels.csv --against classical --group-column who --jobs 1 --out x.csv"
    result = run(*call.split())
    assert result.exit_code == 0, result.output
    assert "on the same 12 photos of 4 people: " in result.stdout
    assert "classical, less the first model (95 % interval):" in result.stdout
    assert re.search(r"  MAE: [+-]\d+\.\d+ \([+-]\d+\.\d+ to [+-]\d+\.\d+\)", result.stdout)
    table = pd.read_csv(shop / "x.csv")
    found = (table["other_age"] - table["true_age"]).abs().mean()
    found -= (table["age"] - table["true_age"]).abs().mean()
    reported = float(re.search(r"  MAE: ([+-]\d+\.\d+)", result.stdout)[1])
    assert reported == pytest.approx(found, abs=0.02)
    same = run(*["evaluate", "fast", "labels.csv", "--against", "fast", "--jobs", "1"])
    assert "The ages of the first model and fast are the same." in same.stdout
    assert "chance" not in same.stdout
    lonely = run("evaluate", "fast", "labels.csv", "--group-column", "who")
    assert lonely.exit_code == 2
    assert "--against" in lonely.stderr


def test_a_model_that_knows_no_ranges_is_evaluated_and_drawn_without_them(run, shop, fitted):
    bare = copy.copy(fitted)
    bare.calibration_ = None
    bare.save(shop / "bare.ageboost")
    evaluated = run("evaluate", "bare.ageboost", "labels.csv", "--jobs", 1)
    assert evaluated.exit_code == 0, evaluated.output
    assert "MAE" in evaluated.stdout
    assert "ranges" not in evaluated.stdout
    drawn = run("draw", "a.jpg", "-m", "bare.ageboost", "--out", "drawn.png")
    assert re.fullmatch(r"face 0: \d+ years\n", drawn.stdout)


def test_photos_that_give_no_age_at_all_are_evaluated_to_nothing(run, shop):
    Image.new("RGB", (300, 300)).save(shop / "a.jpg")
    result = run("evaluate", "fast", "labels.csv", "--against", "classical", "--jobs", 1)
    assert result.exit_code == 1
    assert "without an age: 1" in result.stdout
    assert "classical: no photo has an age by both models" in result.stdout
    assert not result.exception or isinstance(result.exception, SystemExit)
