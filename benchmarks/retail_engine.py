"""How long the baskets of very many receipts take, summed up by DuckDB, PostgreSQL and pandas.

Real receipts are repeated with new numbers until there are enough lines, and written as a folder of
Parquet files. Their buyers get what a model said of real people of the household's age band whom it
had not seen. Each way runs as a process of its own:

    python benchmarks/retail_engine.py ../shared/datasets/groceries --lines 1000000 --pandas
    python benchmarks/retail_engine.py ../shared/datasets/groceries --lines 100000000

With ``--database URL`` the lines are copied into two tables of that PostgreSQL server first, which
sums them up. With ``--pandas``, tables are compared with that of pandas.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import sqlalchemy

import ageboost
from ageboost.retail import Query, purchases_by_age_group, simulate_buyers

BANDS = {"19-24": (19, 25), "25-34": (25, 35), "35-44": (35, 45), "45-54": (45, 55)}
BANDS |= {"55-64": (55, 65), "65+": (65, 85)}
PEOPLE_OF_A_BAND = 3000
LINES_OF_A_FILE = 10_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("groceries", type=Path, help="folder of transactions.csv.gz and others")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to write; deleted in the end")
    parser.add_argument("--pandas", action="store_true", help="compare with pandas")
    parser.add_argument("--database", help="URL of a PostgreSQL server to try as well")
    parser.add_argument("--customers", action="store_true", help="say which household bought")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run, options.folder, options.database, options.customers)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        n_lines, n_receipts, n_known = write_tables(options.groceries, Path(folder), options.lines)
        print(
            f"{n_lines:,} lines of {n_receipts:,} receipts, {n_known:,} of them with an age, "
            f"on {os.cpu_count()} cores\n\n| summed up by | seconds | of a core | peak memory, "
            "GB | largest difference from pandas |\n| --- | --- | --- | --- | --- |",
            flush=True,
        )
        ways = ["pandas"] if options.pandas else []
        ways += ["DuckDB", *(["PostgreSQL"] if options.database else [])]
        for way in ways:
            if way == "PostgreSQL":
                copy_to_database(Path(folder), options.database)
            seconds, of_core, gigabytes = measure(way, folder, options)
            apart = difference(Path(folder), way) if options.pandas else ""
            print(
                f"| {way} | {seconds:.0f} | {of_core:.0f} | {gigabytes:.2f} | {apart} |", flush=True
            )


def write_tables(groceries: Path, folder: Path, n_lines: int) -> tuple[int, int, int]:
    """Repeat receipts with new numbers, and give each buyer an answer of the model."""
    lines = pd.read_csv(groceries / "transactions.csv.gz")
    households = pd.read_csv(groceries / "households.csv").set_index("household_id")["age"]
    receipt, baskets = pd.factorize(lines["basket_id"])
    base = pd.DataFrame(
        {
            "receipt": receipt,
            "product": lines["product_id"],
            "quantity": lines["quantity"],
            "price": lines["sales_value"] / lines["quantity"].clip(lower=1),
        }
    )
    bands = list(BANDS)
    household = lines.drop_duplicates("basket_id")["household_id"]
    band = household.map(households).map(bands.index, na_action="ignore").fillna(-1)
    owners = pd.DataFrame({"household": household.to_numpy(), "band": band.to_numpy(int)})
    owners.insert(0, "receipt", np.arange(len(owners)))
    answers = answers_of_bands()
    repeats = range(-(-n_lines // len(base)))
    at_once = max(1, LINES_OF_A_FILE // len(base))
    (folder / "lines").mkdir()
    (folder / "buyers").mkdir()
    connection = duckdb.connect()
    for name, table in (("base", base), ("owners", owners), ("answers", answers)):
        connection.register(name, table)
    for start in range(0, len(repeats), at_once):
        those = f"range({start}, {min(start + at_once, len(repeats))}) AS again(number)"
        number = f"receipt + number * {len(baskets)}"
        connection.execute(
            f"COPY (SELECT {number} AS receipt_id, product, quantity, price FROM base, {those}) "
            f"TO '{folder}/lines/{start:06}.parquet'"
        )
        connection.execute(
            f"COPY (WITH receipts AS MATERIALIZED (SELECT {number} AS receipt_id, band, "
            f"hash({number}) % {PEOPLE_OF_A_BAND} AS place, household + 1000000 * number AS "
            f"customer FROM owners, {those}) SELECT * EXCLUDE (band, place) FROM receipts "
            f"JOIN answers USING (band, place)) TO '{folder}/buyers/{start:06}.parquet'"
        )
    known = int((owners["band"] >= 0).sum())
    n_repeats = len(repeats)
    return n_repeats * len(base), n_repeats * len(baskets), n_repeats * known


def answers_of_bands() -> pd.DataFrame:
    """What a model said of people of each band, and a row for those whose band is not known."""
    rng = np.random.default_rng(0)
    ages = np.concatenate([rng.integers(*ends, PEOPLE_OF_A_BAND) for ends in BANDS.values()])
    truth = pd.DataFrame({"receipt_id": np.arange(len(ages)), "age": ages})
    said = simulate_buyers(truth, ageboost.load_pretrained("fast"), random_state=0)
    kept = [name for name in said if name.startswith(("age", "under_")) or name == "calibration"]
    said = said[["status", *kept]].assign(
        band=np.repeat(np.arange(len(BANDS)), PEOPLE_OF_A_BAND),
        place=np.tile(np.arange(PEOPLE_OF_A_BAND), len(BANDS)),
    )
    nobody = pd.DataFrame({"status": "no photo", "band": -1, "place": range(PEOPLE_OF_A_BAND)})
    return pd.concat([said, nobody], ignore_index=True)


def copy_to_database(folder: Path, url: str) -> None:
    """Copy the files into two tables of a server, which psycopg connects to."""
    duck = duckdb.connect()
    with sqlalchemy.create_engine(url).begin() as connection:
        for name in ("lines", "buyers"):
            files = f"'{folder}/{name}/*.parquet'"
            duck.sql(f"FROM {files} LIMIT 0").df().to_sql(
                name, connection, index=False, if_exists="replace"
            )
            duck.execute(f"COPY (FROM {files}) TO '{folder}/{name}.csv' (HEADER false)")
            driver = connection.connection.driver_connection
            with (
                (folder / f"{name}.csv").open("rb") as file,
                driver.cursor() as cursor,
                cursor.copy(f"COPY {name} FROM STDIN (FORMAT csv)") as copy,
            ):
                while block := file.read(1 << 20):
                    copy.write(block)


def run(way: str, folder: Path, url: str | None, customers: bool) -> None:
    tables: list[object] = [folder / "lines", folder / "buyers"]
    if way == "pandas":
        tables = [pd.read_parquet(table) for table in tables]  # type: ignore[call-overload]
    elif way == "PostgreSQL":
        tables = [Query("select * from lines", url), Query("select * from buyers", url)]
    found = purchases_by_age_group(*tables, customers="customer" if customers else None)
    found.table.to_pickle(folder / f"{way}.pickle")


def measure(way: str, folder: str, options: argparse.Namespace) -> tuple[float, float, float]:
    command = [sys.executable, __file__, str(options.groceries), "--run", way, "--folder", folder]
    command += ["--database", options.database] if options.database else []
    command += ["--customers"] if options.customers else []
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{way} failed")
    # Linux counts in kilobytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e9


def difference(folder: Path, way: str) -> str:
    ours, theirs = (pd.read_pickle(folder / f"{name}.pickle") for name in (way, "pandas"))
    numbers = ours.select_dtypes("float64").columns
    if not ours.drop(columns=numbers).equals(theirs.drop(columns=numbers)):
        return "other rows"
    one, other = ours[numbers].to_numpy(), theirs[numbers].to_numpy()
    apart = np.abs(one - other) / np.maximum(np.abs(other), 1)
    return f"{np.nanmax(np.where(one == other, 0, apart)):.1e}"


if __name__ == "__main__":
    main()
