"""The two questions of a shop, from tables of a PostgreSQL server to tables of its dashboards."""

import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from servers import postgresql
from typer.testing import CliRunner

from ageboost.cli import app

sqlalchemy = pytest.importorskip("sqlalchemy")
pytest.importorskip("ibis")

NOON = pd.Timestamp("2025-03-01 12:00", tz="Europe/Berlin")
N_RECEIPTS = 40


@pytest.fixture(scope="module")
def server():
    with postgresql() as url:
        yield url


@pytest.fixture(scope="module")
def shop(server, face_variants, tmp_path_factory):
    """Receipts, lines and photos in the server; photos themselves in a folder."""
    folder = tmp_path_factory.mktemp("photos")
    ids = [f"r{number}" for number in range(N_RECEIPTS)]
    photos = []
    for number, name in enumerate(ids):
        photos.append(str(folder / f"{name}.png"))
        Image.fromarray(face_variants[0][number % len(face_variants[0])]).save(photos[-1])
    times = NOON + pd.to_timedelta(10 * np.arange(N_RECEIPTS), unit="min")
    engine = sqlalchemy.create_engine(server)
    tables = {
        "bons": {
            **{"bon": ids, "at": times, "till": "1", "store": "Käthe"},
            "cashier": ["ann", "ben"] * (N_RECEIPTS // 2),
            "id_checked": [True, False, False, False] * (N_RECEIPTS // 4),
        },
        "bon_lines": {
            **{"bon": ids, "item": ["tea", "beer"] * (N_RECEIPTS // 2), "pieces": 1},
            "category": ["food", "beer"] * (N_RECEIPTS // 2),
            "price": 1.5,
        },
        "till_photos": {"photo": photos, "at": times + pd.Timedelta("5s"), "till": "1"},
    }
    for name, columns in tables.items():
        pd.DataFrame(columns).to_sql(name, engine, index=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "alter table bon_lines alter column price type numeric(9, 2) using price::numeric"
        )
    queries = {
        "receipts": "select bon as receipt_id, at as time, till, store, cashier, id_checked "
        "from bons order by at",
        "lines": "select bon as receipt_id, item as product, category, pieces as quantity, price "
        "from bon_lines",
        "photos": "select photo, at as time, till, 'Käthe' as store from till_photos",
        "buyers": "select * from buyers",
    }
    for name, sql in queries.items():
        (folder / f"{name}.sql").write_text(sql, "utf-8")
    return folder


def run(shop, server, *arguments, tables):
    options = [word for name in tables for word in (f"--{name}-query", shop / f"{name}.sql")]
    command = [str(word) for word in ("retail", *arguments, *options, "--model", "fast")]
    result = CliRunner().invoke(app, command, env={"AGEBOOST_DATABASE": server})
    assert result.exit_code == 0, result.output
    assert "pa55" not in result.output
    return result


def rows(server, table):
    return pd.read_sql_table(table, sqlalchemy.create_engine(server))


def test_both_questions_are_answered_in_tables_of_the_server(shop, server):
    given = ("receipts", "lines", "photos")
    kept = shop / "buyers.csv"
    run(
        *(shop, server, "baskets", "--by", "product", "--table", "baskets"),
        *("--save-buyers", kept, "--jobs", 1),
        tables=given,
    )
    baskets = rows(server, "baskets")
    assert set(baskets["product"]) == {"tea", "beer"}
    assert baskets["receipts"].sum() == pytest.approx(N_RECEIPTS)
    assert baskets["spend"].sum() == pytest.approx(1.5 * N_RECEIPTS)

    # Ages that were estimated once are kept in the server, beside the receipts.
    buyers = pd.read_csv(kept)
    assert (buyers["status"] == "ok").all()
    buyers.to_sql("buyers", sqlalchemy.create_engine(server), index=False)
    known = ("receipts", "lines", "buyers")
    run(shop, server, "alcohol", "--restricted", "beer", "--table", "cashiers", tables=known)
    cashiers = rows(server, "cashiers")
    assert set(cashiers["cashier"]) <= {"ann", "ben"}
    assert len(cashiers)

    for append, n_rows in (((), 1), (("--append",), 2)):
        run(
            *(shop, server, "customers", "--by", "date", "--table", "ages_by_day", *append),
            tables=("receipts", "buyers"),
        )
        days = rows(server, "ages_by_day")
        assert days["receipts"].tolist() == [N_RECEIPTS] * 8 * n_rows
        assert set(days["date"].astype(str)) == {"2025-03-01"}
    assert days["customers"].sum() == pytest.approx(2 * N_RECEIPTS)
    assert {"share_low", "share_high", "sure"} <= set(days)


def test_the_page_and_files_are_written_from_the_server(shop, server):
    tables = ("receipts", "lines", "buyers")
    page = shop / "page.html"
    run(shop, server, "report", "--restricted", "beer", "--out", page, tables=tables)
    text = page.read_text("utf-8")
    assert "When they come" in text
    assert "pa55" not in text
    out = shop / "hours.parquet"
    run(shop, server, "customers", "--by", "hour", "--out", out, tables=("receipts", "buyers"))
    assert os.path.getsize(out)
