"""Sums that DuckDB and PostgreSQL compute where receipts are: the table that pandas gives."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from servers import postgresql

import ageboost
from ageboost.datasets import make_shop
from ageboost.errors import RetailDataError
from ageboost.retail import AgeGroups, Query, purchases_by_age_group, simulate_buyers

sqlalchemy = pytest.importorskip("sqlalchemy")
pytest.importorskip("ibis")

GROUPS = AgeGroups([18, 45])
OPTIONS = {"groups": GROUPS, "adapt": False}


@pytest.fixture(scope="module")
def tables():
    """Lines with all that can be odd about them, and buyers of whom some come again."""
    shop = make_shop(1500, random_state=0)
    model = ageboost.load_pretrained("fast")
    buyers = simulate_buyers(shop.truth, model, groups=GROUPS, missing=0.05, random_state=0)
    names = np.random.default_rng(0).integers(0, 300, len(buyers)).astype(str)
    buyers["customer"] = pd.Series(names).where(np.arange(len(buyers)) % 7 > 0)
    lines = shop.lines.copy()
    lines["quantity"] = lines["quantity"].astype(float)
    lines.loc[5, "quantity"] = np.nan
    lines.loc[6:8, "quantity"] = -1.0
    lines.loc[9, "quantity"] = 0.0
    lines.loc[100:110, "price"] = np.nan
    lines.loc[20:60, "product"] = None
    lines.loc[70:90, "product"] = " tea "
    unknown = pd.DataFrame({"receipt_id": ["nobody's"] * 3, "product": "tea"})
    return pd.concat([lines, unknown], ignore_index=True), buyers


@pytest.fixture(scope="module")
def server():
    with postgresql() as url:
        yield url


def check_same(found, expected):
    pd.testing.assert_frame_equal(found.counts, expected.counts)
    pd.testing.assert_frame_equal(found.table, expected.table, rtol=1e-9, atol=1e-9)
    pd.testing.assert_series_equal(found.mix, expected.mix, rtol=1e-9)
    pd.testing.assert_frame_equal(found.mix_interval, expected.mix_interval, rtol=1e-9)


def write(tables, folder):
    lines, buyers = tables
    for name, table in (("lines", lines), ("buyers", buyers)):
        (folder / name).mkdir()
        for part in range(2):
            half = table.iloc[part::2]
            half.to_parquet(folder / name / f"{part}.parquet")
            half.to_csv(folder / f"{name}-{part}.csv", index=False)


@pytest.mark.parametrize("customers", [None, "customer"])
def test_files_are_summed_up_in_place(tables, tmp_path, customers):
    write(tables, tmp_path)
    expected = purchases_by_age_group(*tables, customers=customers, **OPTIONS)
    for lines, buyers in (
        (tmp_path / "lines", tmp_path / "buyers"),
        (f"{tmp_path}/lines-*.csv", tables[1]),
    ):
        found = purchases_by_age_group(lines, buyers, customers=customers, **OPTIONS)
        check_same(found, expected)


def test_the_shops_mix_and_its_intervals_are_the_same_in_an_engine(tables):
    lines, buyers = tables
    connection = duckdb.connect()
    connection.register("lines", lines.iloc[::-1])
    connection.register("buyers", buyers.iloc[::-1])
    queries = [Query(f"select * from {name}", connection) for name in ("lines", "buyers")]
    options = {"groups": GROUPS, "customers": "customer"}
    found = purchases_by_age_group(*queries, **options)
    check_same(found, purchases_by_age_group(lines, buyers, **options))
    assert connection.execute("show tables").df()["name"].tolist() == ["buyers", "lines"]


@pytest.mark.parametrize("customers", [None, "customer"])
def test_a_server_sums_up_and_keeps_nothing(tables, server, customers):
    engine = sqlalchemy.create_engine(server)
    for name, table in zip(("lines", "buyers"), tables, strict=True):
        table.to_sql(name, engine, index=False, if_exists="replace")
    expected = purchases_by_age_group(*tables, customers=customers, **OPTIONS)
    lines = Query("select * from lines;", server)
    for buyers in (Query("select * from buyers", server), tables[1]):
        check_same(purchases_by_age_group(lines, buyers, customers=customers, **OPTIONS), expected)
    assert set(sqlalchemy.inspect(engine).get_table_names()) == {"lines", "buyers"}


def test_what_the_first_rows_lack_does_not_matter(tables, server):
    lines, buyers = tables
    buyers = buyers.sort_values("age", na_position="first")
    lines = lines.sort_values("price", na_position="first").assign(quantity=np.nan)
    engine = sqlalchemy.create_engine(server)
    for name, table in (("few_lines", lines), ("few_buyers", buyers)):
        table.to_sql(name, engine, index=False, if_exists="replace")
    queries = [Query(f"select * from {name}", server) for name in ("few_lines", "few_buyers")]
    found = purchases_by_age_group(*queries, **OPTIONS)
    check_same(found, purchases_by_age_group(lines, buyers, **OPTIONS))
    for name in ("few_lines", "few_buyers"):
        with engine.begin() as connection:
            connection.exec_driver_sql(f"drop table {name}")


def test_an_array_of_customers_goes_with_buyers_that_are_read(tables, tmp_path):
    write(tables, tmp_path)
    lines, buyers = tables
    names = buyers["customer"].to_numpy(object)
    found = purchases_by_age_group(tmp_path / "lines", buyers, customers=names, **OPTIONS)
    check_same(found, purchases_by_age_group(lines, buyers, customers=names, **OPTIONS))
    receipts = buyers[["receipt_id", "customer"]].sample(frac=1, random_state=0)
    check_same(
        purchases_by_age_group(tmp_path / "lines", buyers, customers=receipts, **OPTIONS), found
    )
    unknown = purchases_by_age_group(
        tmp_path / "lines", buyers, customers=receipts.assign(customer=None), **OPTIONS
    )
    assert not unknown.customers_known
    with pytest.raises(RetailDataError, match="name the column"):
        purchases_by_age_group(tmp_path / "lines", tmp_path / "buyers", customers=names)


def test_what_cannot_be_summed_up_is_refused(tables, tmp_path):
    lines, buyers = tables
    lines = lines.drop_duplicates("receipt_id")
    twice = pd.concat([buyers, buyers.head(2)])
    others = buyers.assign(receipt_id="x" + buyers["receipt_id"])
    text = lines.astype({"quantity": "str"}).fillna({"quantity": "many"})
    connection = duckdb.connect()
    for table, people, message in (
        (lines, twice, "is there already|there already"),
        (lines, others, "belong to one of"),
        (lines.drop(columns="product"), buyers, "no column 'product'"),
        (lines, buyers.drop(columns="under_45"), "under_45"),
        (text, buyers, "many"),
    ):
        connection.register("given", table)
        with pytest.raises(RetailDataError, match=message):
            purchases_by_age_group(Query("select * from given", connection), people, **OPTIONS)


def test_no_message_of_a_server_holds_the_password(server):
    for sql in ("select * from nowhere", "select 1 as receipt_id, 'tea' as product"):
        with pytest.raises(RetailDataError) as caught:
            purchases_by_age_group(Query(sql, server), Query("select * from nowhere", server))
        assert "nowhere" in str(caught.value)
        assert "pa55" not in str(caught.value)
