"""Ages of buyers that were kept: read again from any file, with the model that estimated them."""

import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import ageboost
from ageboost.cli import app
from ageboost.datasets import make_shop
from ageboost.errors import RetailDataError
from ageboost.models import AgeCalibrator
from ageboost.retail import (
    AgeGroups,
    AlcoholPolicy,
    Purchases,
    alcohol_sales,
    buyers_from_distribution,
    make_retail_report,
    purchases_by_age_group,
    read_table,
    review_cashiers,
    simulate_buyers,
)

POLICY = AlcoholPolicy(categories=["beer", "wine", "spirits"])


@pytest.fixture(scope="module")
def shop():
    return make_shop(600, random_state=0)


@pytest.fixture(scope="module")
def fast():
    return ageboost.load_pretrained("fast")


@pytest.fixture(scope="module")
def own():
    """The calibration of a model of one's own."""
    rng = np.random.default_rng(0)
    ages = rng.uniform(5, 90, 3000)
    predictions = ages + rng.normal(0, 6, 3000)
    return AgeCalibrator(random_state=0).keep(predictions, ages, np.full(3000, 6.0))


@pytest.fixture(scope="module")
def buyers(shop, fast):
    return simulate_buyers(shop.truth, fast, missing=0.05, random_state=0)


def buyers_of(shop, calibration):
    ages = shop.truth["age"].to_numpy(dtype=float)
    return buyers_from_distribution(
        shop.truth["receipt_id"], calibration.distribution(ages, np.full(len(ages), 6.0))
    )


@pytest.fixture
def files(shop, buyers, tmp_path):
    for name, table in (("receipts", shop.receipts), ("lines", shop.lines), ("buyers", buyers)):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def baskets(folder, buyers, *options):
    tables = (folder / "receipts.csv", folder / "lines.csv", "--buyers", buyers)
    return run("retail", "baskets", *tables, *options)


# Which model


def test_the_model_of_buyers_is_found_among_those_that_ship(shop, buyers, fast):
    found = purchases_by_age_group(shop.lines, buyers)
    given = purchases_by_age_group(shop.lines, buyers, calibration=fast.calibration_)
    pd.testing.assert_frame_equal(found.table, given.table)


def test_buyers_of_a_model_of_ones_own_are_not_combined_with_one_that_ships(shop, own, fast):
    buyers = buyers_of(shop, own)
    with pytest.raises(RetailDataError, match="a model of your own"):
        purchases_by_age_group(shop.lines, buyers)
    for call in (
        lambda: purchases_by_age_group(shop.lines, buyers, calibration=fast.calibration_),
        lambda: make_retail_report(shop.receipts, shop.lines, buyers, fast),
        lambda: review_cashiers(
            alcohol_sales(shop.receipts, shop.lines, buyers, POLICY), POLICY, fast
        ),
    ):
        with pytest.raises(RetailDataError, match="not estimated by the given model"):
            call()
    estimated = purchases_by_age_group(shop.lines, buyers, calibration=own)
    assert isinstance(estimated, Purchases)


def test_a_model_that_was_calibrated_since_does_not_fit_either(shop, own):
    buyers = buyers_of(shop, own)
    later = AgeCalibrator().keep(own.predictions_ + 1, own.ages_, own.scales_)
    with pytest.raises(RetailDataError, match="before it was calibrated"):
        purchases_by_age_group(shop.lines, buyers, calibration=later)


def test_buyers_that_do_not_say_their_model_need_one_to_be_named(shop, buyers, fast):
    unsaid = buyers.drop(columns="calibration")
    with pytest.raises(RetailDataError, match="do not say which model"):
        purchases_by_age_group(shop.lines, unsaid)
    purchases_by_age_group(shop.lines, unsaid, calibration=fast.calibration_)
    purchases_by_age_group(shop.lines, unsaid, adapt=False)


def test_buyers_of_two_models_are_refused(shop, buyers, own):
    both = pd.concat([buyers.iloc[:300], buyers_of(shop, own).iloc[300:]])
    with pytest.raises(RetailDataError, match="by 2 models"):
        purchases_by_age_group(shop.lines, both)


def test_a_fingerprint_survives_saving_and_tells_models_apart(fast, tmp_path):
    fast.save(tmp_path / "model.ageboost")
    again = ageboost.load(tmp_path / "model.ageboost").calibration_
    assert again.fingerprint_ == fast.calibration_.fingerprint_
    others = {ageboost.load_pretrained(name).calibration_.fingerprint_ for name in ("accurate",)}
    assert fast.calibration_.fingerprint_ not in others


def test_a_command_takes_the_model_of_the_file_and_refuses_another(files):
    kept = files / "buyers.csv"
    unsaid = baskets(files, kept)
    assert unsaid.exit_code == 0, unsaid.stderr
    assert unsaid.stdout == baskets(files, kept, "--model", "fast").stdout
    other = baskets(files, kept, "--model", "accurate")
    assert other.exit_code == 2
    assert re.search(r"ships as 'fast': leave out --model", other.stderr)
    pd.read_csv(kept).drop(columns="calibration").to_csv(kept, index=False)
    assert "as --model" in baskets(files, kept).stderr


# Which file


@pytest.mark.parametrize("suffix", [".csv", ".json", ".JSON", ".parquet", ".PARQUET"])
def test_buyers_that_a_command_kept_are_read_again(portrait, tmp_path, suffix):
    from PIL import Image

    Image.fromarray(portrait).save(tmp_path / "1.png")
    ids = [f"0{row}" for row in range(4)]
    pd.DataFrame({"receipt_id": ids, "cashier": "NA"}).to_csv(
        tmp_path / "receipts.csv", index=False
    )
    pd.DataFrame({"receipt_id": ids, "product": "tea"}).to_csv(tmp_path / "lines.csv", index=False)
    pd.DataFrame({"receipt_id": ids[:1], "photo": "1.png"}).to_csv(
        tmp_path / "photos.csv", index=False
    )
    kept = tmp_path / f"buyers{suffix}"
    tables = ("retail", "baskets", tmp_path / "receipts.csv", tmp_path / "lines.csv")
    photos = ("--photos", tmp_path / "photos.csv", "--model", "fast", "--jobs", 1)
    first = run(*tables, *photos, "--save-buyers", kept)
    assert first.exit_code == 0, first.stderr
    second = run(*tables, "--buyers", kept)
    assert second.exit_code == 0, second.stderr
    lines = [line for line in first.stdout.splitlines() if "photo" not in line]
    assert [line for line in second.stdout.splitlines() if "photo" not in line] == lines
    read = read_table(kept, "buyers")
    assert read["receipt_id"].tolist() == ids
    assert read["status"].tolist() == ["ok", *["no photo"] * 3]


@pytest.mark.parametrize("yes_and_no", [("True", "False"), ("WAHR", "FALSCH"), ("VRAI", "FAUX")])
def test_what_a_spreadsheet_makes_of_a_table_of_buyers_is_read(buyers, tmp_path, yes_and_no):
    table = buyers.assign(reliable=np.where(np.arange(len(buyers)) % 2, *yes_and_no))
    path = tmp_path / "excel.csv"
    table.to_csv(path, index=False, sep=";", decimal=",", encoding="utf-8-sig")
    read = read_table(path, "buyers")
    for column in ("age", "age_low", "under_12", "under_65"):
        np.testing.assert_array_equal(read[column], buyers[column])
    assert read["reliable"].tolist() == [row % 2 == 1 for row in range(len(buyers))]


def test_a_column_of_ages_that_never_end_is_read_from_buyers_alone(tmp_path):
    path = tmp_path / "buyers.csv"
    path.write_text("receipt_id,status,age,age_high,Under_18\na,ok,40,inf,0.5\n")
    read = read_table(path, "buyers")
    assert read["age_high"].tolist() == [np.inf]
    assert read["under_18"].tolist() == [0.5]


def test_buyers_of_other_receipts_are_refused(files, buyers):
    kept = files / "others.csv"
    buyers.assign(receipt_id="x" + buyers["receipt_id"]).to_csv(kept, index=False)
    result = baskets(files, kept)
    assert result.exit_code == 2
    assert "none of 600 buyers belong to one of 600 receipts" in result.stderr


def test_a_fault_of_whole_numbers_is_mended_or_refused_by_a_command(files, shop):
    # What pandas writes where a number was missing once.
    lines = shop.lines.assign(receipt_id=shop.lines["receipt_id"].str[1:].astype(float) + 1000)
    lines.to_csv(files / "lines.csv", index=False)
    refused = baskets(files, files / "buyers.csv")
    assert refused.exit_code == 2
    assert "lines belong to one of 600 receipts" in refused.stderr


# The commands


def test_a_flat_table_and_a_clock_by_options(portrait, tmp_path):
    from PIL import Image

    Image.fromarray(portrait).save(tmp_path / "1.png")
    flat = tmp_path / "flat.csv"
    flat.write_text(
        "Bon;Datum;Zeit;till;product;price\n"
        "7;03/04/2025;10:00;1;tea;1.250\n7;03/04/2025;10:00;1;jam;2\n", "utf-8"
    )  # fmt: skip
    (tmp_path / "photos.csv").write_text("photo;time;till\n1.png;03/04/2025 09:00:05;1\n")
    options = ["--photos", tmp_path / "photos.csv", "--model", "fast", "--jobs", 1]
    for name in ("Bon=receipt_id", "Datum=date", "Zeit=time"):
        options += ["--column", name]
    asked = run("retail", "baskets", flat, *options)
    assert "--day-first or --month-first" in asked.stderr
    options.append("--day-first")
    assert '"--decimal ."' in run("retail", "baskets", flat, *options).stderr
    options += ["--decimal", ","]
    far = run("retail", "baskets", flat, *options)
    assert far.exit_code == 2
    assert "receipts are from 2025-04-03 10:00:00" in far.stderr
    near = run("retail", "baskets", flat, *options, "--clock-offset", "1=-3595")
    assert near.exit_code == 0, near.stderr
    assert "1 photos: 1 matched" in near.stdout
    parts = ("--clock-offset", "1=-3595 from 2025-04-03", "--clock-offset", "1=0 from 2025-04-04")
    assert "1 photos: 1 matched" in run("retail", "baskets", flat, *options, *parts).stdout
    for wrong in ("1", "1=", "2=5"):
        assert run("retail", "baskets", flat, *options, "--clock-offset", wrong).exit_code == 2


def test_advised_clock_offsets_are_options_that_set_clocks_right(portrait, tmp_path, fast):
    from PIL import Image

    Image.fromarray(portrait).save(tmp_path / "1.png")
    rng = np.random.default_rng(0)
    sold = pd.Timestamp("2025-03-01 08:00") + pd.to_timedelta(
        np.cumsum(rng.integers(60, 600, 40)), unit="s"
    )
    ids = [f"r{row}" for row in range(40)]
    receipts = pd.DataFrame({"receipt_id": ids, "time": sold, "till": "1/a", "product": "tea"})
    receipts.to_csv(tmp_path / "flat.csv", index=False)
    photos = pd.DataFrame({"photo": "1.png", "time": sold + pd.Timedelta("1h"), "till": "1/a"})
    photos.to_csv(tmp_path / "photos.csv", index=False)
    command = ("retail", "baskets", tmp_path / "flat.csv", "--photos", tmp_path / "photos.csv")
    command += ("--model", "fast", "--jobs", 1)
    first = run(*command)
    advice = re.search(r'--clock-offset "(1/a=3600)"', first.stdout)
    assert advice, first.stdout + first.stderr
    assert "40 photos: 40 matched" in run(*command, "--clock-offset", advice[1]).stdout


def test_columns_that_nearly_have_a_known_name_are_named_on_standard_error(files, buyers):
    lines = pd.read_csv(files / "lines.csv").rename(columns={"quantity": "qty"})
    lines.to_csv(files / "lines.csv", index=False)
    result = baskets(files, files / "buyers.csv")
    assert result.exit_code == 0
    assert "'qty'" in result.stderr
    assert "'quantity'" in result.stderr


def test_tables_that_commands_write_hold_no_infinity_and_no_dust(files):
    out = files / "baskets.csv"
    assert baskets(files, files / "buyers.csv", "--out", out).exit_code == 0
    numbers = pd.read_csv(out).select_dtypes("number")
    assert np.isfinite(numbers.drop(columns=["p_value", "q_value"])).all(axis=None)
    small = numbers.to_numpy()[(numbers.to_numpy() > 0) & (numbers.to_numpy() < 1e-15)]
    assert not len(small)
    assert "e-2" not in out.read_text("utf-8").partition("\n")[2]


def test_options_that_make_no_sense_are_named_as_options(files):
    tables = (files / "receipts.csv", files / "lines.csv", "--buyers", files / "buyers.csv")
    for options, said in [
        (("--legal-age", 30), "--challenge-age 25"),
        (("--encoding", "klingon"), "--encoding 'klingon'"),
        (("--decimal", ";"), "--decimal ;"),
        (("--sales-out", files / "buyers.csv"), "same file"),
    ]:
        result = run("retail", "alcohol", *tables, "--restricted", "beer", *options)
        assert result.exit_code == 2, result.stdout
        assert said in result.stderr


def test_buyers_that_are_there_twice_are_refused(files, buyers):
    kept = files / "twice.csv"
    pd.concat([buyers, buyers.iloc[:1]]).to_csv(kept, index=False)
    result = baskets(files, kept)
    assert result.exit_code == 2
    assert "give one row for each receipt" in result.stderr


def test_sales_that_were_written_as_json_hold_times_that_can_be_read(files):
    tables = (files / "receipts.csv", files / "lines.csv", "--buyers", files / "buyers.csv")
    out = files / "sales.json"
    assert (
        run("retail", "alcohol", *tables, "--restricted", "beer", "--sales-out", out).exit_code == 0
    )
    known = pd.read_csv(files / "receipts.csv", index_col="receipt_id")["time"]
    read = read_table(out, "receipts")
    assert len(read)
    assert (read["time"] == pd.to_datetime(known[read["receipt_id"]].to_numpy())).all()


# What a missing price is worth


def test_a_missing_price_adds_nothing_and_no_price_at_all_is_no_sum():
    names = [f"r{number}" for number in range(12)]
    buyers = pd.DataFrame({"receipt_id": names, "status": "ok", "age": 40.0})
    buyers = buyers.assign(under_18=0.0, under_25=0.0)
    pils = pd.DataFrame({"receipt_id": names, "product": "Pils", "price": [None, *[2.0] * 11]})
    wheat = pd.DataFrame({"receipt_id": names, "product": "Wheat beer", "price": None})
    lines = pd.concat([pils, wheat.iloc[1:]], ignore_index=True).assign(category="beer")
    groups = AgeGroups([18])
    estimated = purchases_by_age_group(lines, buyers, groups, adapt=False).table
    spend = estimated[estimated["group"] == "18+"].set_index("product")["spend"]
    assert spend["Pils"] == 22
    assert np.isnan(spend["Wheat beer"])
    receipts = pd.DataFrame({"receipt_id": names, "cashier": "C", "id_checked": False})
    sales = alcohol_sales(receipts, lines, buyers, AlcoholPolicy(categories=["beer"]))
    spent = sales.table.set_index("receipt_id")["spend"]
    assert np.isnan(spent["r0"])
    assert (spent.drop("r0") == 2).all()
    counts = sales.counts.set_index(["of", "outcome"])["rows"]
    assert counts["prices of restricted lines", "missing"] == 12


# Names in figures


def test_dollar_signs_in_names_are_drawn_as_they_are(shop, buyers, tmp_path):
    lines = shop.lines.assign(product=shop.lines["product"].map(lambda name: rf"{name} $\frac$"))
    groups = AgeGroups([30], [r"under $\x$", "30 $ and more $"])
    estimated = simulate_buyers(
        shop.truth, ageboost.load_pretrained("fast"), groups, random_state=0
    )
    bought = purchases_by_age_group(lines, estimated, groups)
    for axes in (bought.plot_heatmap(), bought.plot_offers(groups.names[0])):
        axes.figure.savefig(tmp_path / "figure.png")
    page = make_retail_report(shop.receipts, lines, estimated, groups=groups)
    assert r"$\frac$" in page.html
