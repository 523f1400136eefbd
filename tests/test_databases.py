"""Tables that databases keep: read with their types, and no message holds a password."""

import sqlite3
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import pytest

from ageboost.errors import RetailDataError
from ageboost.retail import Query, read_shop, read_table, write_table

sqlalchemy = pytest.importorskip("sqlalchemy")

LINES = pd.DataFrame(
    {
        "receipt_id": ["007", "007", "8"],
        "product": ["tea", None, "100 % jam"],
        "quantity": [1.0, -2.0, np.nan],
        "price": [2.5, 0.1, 4.0],
    }
)


@pytest.fixture
def sqlite_file(tmp_path):
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        LINES.to_sql("lines", connection, index=False)
    return path


def ways_into(path):
    """Every kind of connection to the tables of an SQLite file."""
    adbc = pytest.importorskip("adbc_driver_sqlite.dbapi")
    url = f"sqlite:///{path}"
    engine = sqlalchemy.create_engine(url)
    return {
        "url": url,
        "engine": engine,
        "connection": engine.connect(),
        "DB-API": sqlite3.connect(path),
        "ADBC": adbc.connect(f"file:{path}"),
    }


def test_a_query_reads_as_the_table_whatever_the_connection(sqlite_file, tmp_path):
    expected = read_table(LINES, "lines")
    for connection in ways_into(sqlite_file).values():
        read = read_table(Query("select * from lines", connection), "lines")
        pd.testing.assert_frame_equal(read, expected, check_dtype=False)
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.register("given", LINES)
        connection.execute("create table lines as select * from given")
        read = read_table(Query("select * from lines", connection), "lines")
        pd.testing.assert_frame_equal(read, expected, check_dtype=False)
    read = read_table(Query("select * from lines", f"duckdb:///{tmp_path}/shop.duckdb"), "lines")
    pd.testing.assert_frame_equal(read, expected, check_dtype=False)


def test_a_percent_sign_and_a_colon_in_a_query_are_themselves(sqlite_file):
    sql = "select *, ':x' as note from lines where product like '100 %'"
    read = read_table(Query(sql, f"sqlite:///{sqlite_file}"), "lines")
    assert read[["product", "note"]].to_numpy().tolist() == [["100 % jam", ":x"]]


def test_all_tables_of_a_shop_may_be_queries(sqlite_file):
    url = f"sqlite:///{sqlite_file}"
    shop = read_shop(
        Query("select distinct receipt_id from lines", url), Query("select * from lines", url)
    )
    assert len(shop.receipts) == 2
    assert len(shop.lines) == 3


def test_long_whole_numbers_beside_gaps_keep_their_digits(sqlite_file):
    long = 2**53 + 1
    sql = f"select {long} as receipt_id, 'tea' as product, {long} as customer union all "
    sql += "select 7, 'jam', null"
    for connection in [*ways_into(sqlite_file).values(), duckdb.connect()]:
        receipts = read_table(Query(sql, connection), "receipts")
        assert receipts["customer"].tolist()[0] == str(long)
        assert receipts["customer"].isna().tolist() == [False, True]


def test_decimals_and_zones_are_kept():
    connection = duckdb.connect()
    connection.execute("set timezone = 'Europe/Berlin'")
    sql = (
        "select 1 as receipt_id, 'tea' as product, 0.10::decimal(9, 2) as price, "
        "0.10::decimal(9, 2) as tax, timestamptz '2025-10-26 02:30:00+02' as time"
    )
    lines = read_table(Query(sql, connection), "lines")
    assert lines["price"].tolist() == [0.1]
    assert lines["tax"].tolist() == [Decimal("0.10")]
    receipts = read_table(Query(sql, connection), "receipts")
    assert receipts["time"][0].isoformat() == "2025-10-26T02:30:00+02:00"


def test_a_query_without_rows_is_a_table_without_rows(sqlite_file):
    sql = "select * from lines where product = 'none'"
    assert len(read_table(Query(sql, f"sqlite:///{sqlite_file}"), "lines")) == 0


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select * from nowhere", "no such table: nowhere"),
        ("select 1 as receipt_id", "no column 'product' in the query of lines"),
        ("select 'a' as receipt_id, 'tea' as product, 'many' as quantity", "'many'"),
    ],
)
def test_what_is_wrong_with_a_query_is_said(sqlite_file, sql, message):
    for connection in (f"sqlite:///{sqlite_file}", sqlite3.connect(sqlite_file)):
        with pytest.raises(RetailDataError, match=message):
            read_table(Query(sql, connection), "lines")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://till:pa55%2Fw@db/shop",
        "postgresql+psycopg://till:pa55%2Fw@127.0.0.1:1/shop",
        "postgresql+psycopg://till:pa55%2Fw@127.0.0.1:1/shop?pa55%2Fw=1",
        "post gres://till:pa55%2Fw@127.0.0.1:one/shop",
    ],
)
def test_no_message_holds_the_password(url):
    query = Query("select 1 as receipt_id, 'tea' as product", url)
    with pytest.raises((RetailDataError, TypeError)) as caught:
        read_table(query, "lines")
    for text in (repr(query), str(caught.value)):
        assert "pa55/w" not in text
        assert "pa55%2Fw" not in text


def test_what_is_no_connection_is_refused():
    with pytest.raises(RetailDataError, match="a int is not a database connection"):
        read_table(Query("select 1", 7), "lines")


RESULT = pd.DataFrame(
    {
        "date": pd.to_datetime(["2025-03-01", "2025-03-02"]),
        "time": pd.to_datetime(["2025-03-01 09:30:00", None]),
        "store": ["Käse & Co", None],
        "receipts": [3, 4],
        "share": [0.1, np.inf],
        "significant": [True, False],
    }
)


def targets(folder):
    """Databases that a result can be written to, and how to read a table of each."""
    url = f"sqlite:///{folder}/out.db"
    yield url, lambda sql: read_rows(url, sql)
    connection = duckdb.connect()
    yield connection, lambda sql: connection.execute(sql).fetchall()


def read_rows(url, sql):
    with sqlalchemy.create_engine(url).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def test_a_result_replaces_or_joins_the_rows_that_are_there(tmp_path):
    for target, rows in targets(tmp_path):
        for append, n_rows in ((False, 2), (False, 2), (True, 4), (False, 2)):
            write_table(RESULT, target, "ages_by_hour", append=append)
            assert rows("select count(*) from ages_by_hour") == [(n_rows,)]
        write_table(RESULT[["store", "share"]], target, "ages_by_hour")
        assert rows("select * from ages_by_hour") == [("Käse & Co", 0.1), (None, None)]


def test_values_keep_their_types_in_a_database(tmp_path):
    for target, rows in targets(tmp_path):
        write_table(RESULT, target, "ages_by_hour")
        [first, second] = rows("select date, time, receipts, share, significant from ages_by_hour")
        assert str(first[0]) == "2025-03-01"
        assert str(first[1]).startswith("2025-03-01 09:30:00")
        assert first[2:] == (3, 0.1, True)
        assert second[1] is None
        assert second[3] is None


def test_where_writing_fails_the_old_rows_stay(tmp_path):
    url = f"sqlite:///{tmp_path}/out.db"
    write_table(RESULT, url, "ages")
    with sqlite3.connect(tmp_path / "out.db") as connection:
        connection.execute(
            "create trigger stop before insert on ages when new.receipts = 4 "
            "begin select raise(abort, 'no room'); end"
        )
    for append in (False, True):
        with pytest.raises(RetailDataError, match="'ages' cannot be written: no room"):
            write_table(RESULT, url, "ages", append=append)
        assert read_rows(url, "select count(*), sum(receipts) from ages") == [(2, 7)]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_result_reads_again_from_its_file(tmp_path, suffix):
    path = tmp_path / f"ages{suffix}"
    write_table(RESULT, path)
    read = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert str(read["date"][0])[:10] == "2025-03-01"
    assert read["share"].isna().tolist() == [False, True]
    with pytest.raises(ValueError, match="replaced"):
        write_table(RESULT, path, append=True)


def test_a_name_of_a_table_is_no_statement(tmp_path):
    for name in ("ages; drop table lines", "", "1st", 'a"b'):
        with pytest.raises(RetailDataError, match="not a valid table name"):
            write_table(RESULT, f"sqlite:///{tmp_path}/out.db", name)
