"""The record of checks: what is written, what comes of it, and what is not there."""

import sqlite3
import time
import uuid
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

import ageboost
from ageboost.errors import RetailDataError
from ageboost.retail import AlcoholPolicy, Answer, review_cashiers

pytest.importorskip("sqlalchemy")
from ageboost.serve import CheckRecord
from ageboost.serve.record import REFUSALS, OutcomeError, RecordError

POLICY = AlcoholPolicy()
ASK = Answer("ask", "looks young", 1, 20.0, 15.0, 27.0, 0.3, 0.9)
SELL = Answer("sell", "looks old", 1, 60.0, 50.0, 70.0, 0.0, 0.001)
UNSEEN = Answer("cannot tell", "no face in the photo")


@pytest.fixture
def record(tmp_path):
    record = CheckRecord(f"sqlite:///{tmp_path}/checks.db", keep_days=30)
    yield record
    record.close()


def add(record, answer=ASK, **options):
    return record.add(answer, POLICY, "fast", "0123456789ab", **options)


def test_a_row_holds_neither_photo_nor_age(record, tmp_path):
    add(record, till="3", cashier="17")
    with sqlite3.connect(tmp_path / "checks.db") as connection:
        [row] = pd.read_sql("select * from ageboost_checks", connection).to_dict("records")
    assert set(row) == {
        *("id", "time", "till", "cashier", "answer", "under_legal", "under_challenge", "asked"),
        *("sold", "refusal", "goods", "model", "model_version", "policy"),
    }
    assert (row["answer"], row["till"], row["cashier"]) == ("ask", "3", "17")
    assert row["policy"] == "legal age 18, challenge age 25"
    assert 20.0 not in row.values()


def test_the_register_has_refusals_alone(record):
    numbers = [add(record, till=str(i), cashier="A") for i in range(4)]
    record.finish(numbers[0], asked=True, sold=True)
    record.finish(numbers[1], asked=True, sold=False, refusal="no card", goods="cider")
    record.finish(numbers[2], asked=False, sold=False)
    register = record.refusals()
    assert register["till"].tolist() == ["1", "2"]
    assert register["goods"].fillna("").tolist() == ["cider", ""]
    assert register["asked"].tolist() == [True, False]
    assert record.counts() == {
        "checks": 4,
        "answered_ask": 4,
        "asked": 2,
        "sold": 1,
        "refused": 2,
    }


def test_the_register_is_by_days_of_the_local_clock(record):
    noon = datetime(2026, 3, 29, 12).astimezone()
    for days in range(3):
        number = add(record, when=noon + timedelta(days=days), till=str(days))
        record.finish(number, asked=True, sold=False)
    one = record.refusals(date(2026, 3, 30), date(2026, 3, 30))
    assert one["till"].tolist() == ["1"]
    assert one["time"].tolist() == [pd.Timestamp(2026, 3, 30, 12)]
    assert record.refusals(since=date(2026, 3, 30))["till"].tolist() == ["1", "2"]
    assert record.counts(until=date(2026, 3, 29))["refused"] == 1
    assert record.refusals(since=date(2027, 1, 1)).empty
    assert record.refusals(since=date.max).empty
    assert len(record.refusals(date.min, date.max)) == 3


def test_what_was_done_is_written_once(record):
    number = add(record)
    record.finish(number, asked=True, sold=False, refusal="under age")
    record.finish(number, asked=True, sold=False, refusal="under age")
    with pytest.raises(OutcomeError, match="something else"):
        record.finish(number, asked=True, sold=True)
    with pytest.raises(LookupError, match="no check"):
        record.finish(uuid.uuid4(), asked=True, sold=True)
    with pytest.raises(ValueError, match="where nothing was sold"):
        record.finish(number, asked=True, sold=True, refusal=REFUSALS[0])
    with pytest.raises(ValueError, match="no card"):
        record.finish(number, asked=True, sold=False, refusal="looked odd")


def test_old_rows_are_deleted_and_no_others(record):
    now = datetime.now(UTC)
    for days in (0, 29, 31, 400):
        add(record, when=now - timedelta(days=days), till=str(days))
    assert record.delete_old() == 2
    assert record.counts()["checks"] == 2
    assert record.delete_old(now + timedelta(days=2)) == 1


def test_a_record_is_there_again_after_it_was_closed(tmp_path):
    url = f"sqlite:///{tmp_path}/checks.db"
    first = CheckRecord(url)
    number = add(first)
    first.close()
    second = CheckRecord(url)
    second.finish(number, asked=True, sold=True)
    assert second.counts()["sold"] == 1
    second.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("no address", "sqlite:///checks.db"),
        ("sqlite:////no/such/folder/checks.db", "cannot be opened: OperationalError"),
        ("nosuchdatabase://user:hidden@host/x", "nosuchdatabase|cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_opened_is_an_error_without_its_address(url, message):
    with pytest.raises(RecordError, match=message) as error:
        CheckRecord(url)
    assert "hidden" not in str(error.value)
    assert "folder" not in str(error.value)
    with pytest.raises(ValueError, match="keep_days"):
        CheckRecord("sqlite://", keep_days=0)


def test_sales_are_those_of_one_policy(record):
    other = AlcoholPolicy(certainty=0.95)
    record.add(ASK, other, "fast", "0123456789ab", till="9")
    for answer in (ASK, SELL, UNSEEN, ASK):
        add(record, answer, till="1", cashier="A")
    numbers = [add(record, till="2", cashier="B") for _ in range(3)]
    record.finish(numbers[0], asked=True, sold=True)
    record.finish(numbers[1], asked=False, sold=True)
    record.finish(numbers[2], asked=False, sold=False)
    sales = record.sales(POLICY)
    assert len(sales.table) == 7
    assert sales.table["required"].tolist()[:3] == ["ask", "sell", "cannot tell"]
    assert sales.table["id_checked"].isna().tolist() == [True] * 4 + [False] * 3
    assert sales.table["id_checked"].tolist()[4:] == [True, False, True]
    assert sales.calibration == "0123456789ab"
    assert str(sales) == "7 checks: 2 asked for a card, or refused, 1 not asked, 4 not recorded"
    assert record.sales(other).table["till"].tolist() == ["9"]


def test_the_review_of_cashiers_reads_the_record_as_it_reads_sales(record):
    model = ageboost.load_pretrained("fast")
    rng = np.random.default_rng(0)
    ages = rng.uniform(13, 40, 240)
    known = model.calibration_.distribution(ages, np.full(len(ages), 2.5))
    under = 1 - known.over([POLICY.legal_age, POLICY.challenge_age])
    required = POLICY.required(ages, under[:, 0])
    cashiers = np.array(list("ABC"))[np.arange(len(ages)) % 3]
    asked = (required == "ask") & (cashiers != "C")
    times = pd.Timestamp(2026, 1, 5, 9) + pd.to_timedelta(10 * np.arange(len(ages)), unit="m")
    sales = pd.DataFrame(
        {
            "time": times,
            "till": (np.arange(len(ages)) % 2).astype(str),
            "cashier": cashiers,
            "required": required,
            "under_legal": under[:, 0],
            "under_challenge": under[:, 1],
            "id_checked": asked,
        }
    )
    for row in sales.itertuples():
        number = record.add(
            Answer(row.required, "", 1, 20.0, None, None, row.under_legal, row.under_challenge),
            *(POLICY, "fast", model.calibration_.fingerprint_),
            till=row.till,
            cashier=row.cashier,
            when=row.time.to_pydatetime().astimezone(),
        )
        record.finish(number, asked=row.id_checked, sold=True)
    review = review_cashiers(record.sales(POLICY), POLICY, model)
    pd.testing.assert_frame_equal(review.table, review_cashiers(sales, POLICY, model).table)
    assert review.table.set_index("cashier").loc["C", "asked"] == 0
    with pytest.raises(RetailDataError, match="not estimated by the given model"):
        review_cashiers(record.sales(POLICY), POLICY, ageboost.load_pretrained("classical"))


fastapi_client = pytest.importorskip("fastapi.testclient").TestClient


@pytest.fixture
def client(record, portrait):
    from ageboost.serve import ServiceSettings, make_app

    app = make_app(ageboost.load_pretrained("fast"), "fast", ServiceSettings(workers=1), record)
    with fastapi_client(app, "http://127.0.0.1") as client:
        yield client


@pytest.fixture(scope="module")
def photo(portrait):
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(portrait[:300, 60:400]).save(buffer, "JPEG")
    return buffer.getvalue()


def check(client, photo, query="till=3&cashier=17"):
    return client.post(f"/v1/check?{query}", content=photo, headers={"Content-Type": "image/jpeg"})


def test_a_service_records_each_check_and_what_was_done(client, record, photo):
    number = check(client, photo).json()["id"]
    check(client, photo, "till=4")
    assert check(client, b"no photo").status_code == 422
    done = {"asked": True, "sold": False, "refusal": "card not accepted", "goods": "gin"}
    assert client.put(f"/v1/checks/{number}", json=done).status_code == 204
    assert client.put(f"/v1/checks/{number}", json=done).status_code == 204
    other = client.put(f"/v1/checks/{number}", json={"asked": True, "sold": True})
    assert other.status_code == 409
    assert client.put(f"/v1/checks/{uuid.uuid4()}", json=done).status_code == 404
    assert client.put("/v1/checks/7", json=done).status_code == 422
    for wrong in ({}, {"asked": True}, {"asked": 1, "sold": True}, done | {"sold": True}):
        assert client.put(f"/v1/checks/{number}", json=wrong).status_code == 422
    register = client.get("/v1/refusals").json()
    assert register["counts"]["checks"] == 2
    [line] = register["refusals"]
    assert (line["till"], line["cashier"], line["goods"]) == ("3", "17", "gin")
    assert client.get("/v1/refusals?until=2020-01-01").json()["refusals"] == []
    for no_day in ("yesterday", "0", "1774915200", "2026-03-31T00:00:00"):
        assert client.get(f"/v1/refusals?since={no_day}").status_code == 422
    about = client.get("/v1/about").json()
    assert about["recorded"]
    assert about["keep_days"] == 30


def test_a_service_deletes_old_rows_when_it_starts(record, photo):
    from ageboost.serve import ServiceSettings, make_app

    add(record, when=datetime.now(UTC) - timedelta(days=31))
    app = make_app(ageboost.load_pretrained("fast"), "fast", ServiceSettings(workers=1), record)
    with fastapi_client(app, "http://127.0.0.1"):
        deadline = time.monotonic() + 30
        while record.counts()["checks"] and time.monotonic() < deadline:
            time.sleep(0.02)
    assert record.counts()["checks"] == 0


def test_advice_does_not_wait_for_a_record_that_is_gone(client, record, photo, tmp_path):
    assert check(client, photo).json()["id"]
    with sqlite3.connect(tmp_path / "checks.db") as connection:
        connection.execute("alter table ageboost_checks rename to moved")
    answer = check(client, photo)
    assert answer.status_code == 200
    assert answer.json()["id"] is None
    health = client.get("/health")
    assert health.status_code == 503
    assert health.json()["status"] == "record cannot be written"
    refused = client.get("/v1/refusals")
    assert refused.status_code == 503
    assert str(tmp_path) not in refused.text
    with sqlite3.connect(tmp_path / "checks.db") as connection:
        connection.execute("alter table moved rename to ageboost_checks")
    assert check(client, photo).json()["id"]
    assert client.get("/health").json()["status"] == "ok"


def test_without_a_record_there_is_no_register(photo):
    from ageboost.serve import ServiceSettings, make_app

    app = make_app(ageboost.load_pretrained("fast"), "fast", ServiceSettings(workers=1))
    with fastapi_client(app, "http://127.0.0.1") as client:
        assert client.get("/v1/refusals").status_code == 404
        done = {"asked": True, "sold": True}
        assert client.put(f"/v1/checks/{uuid.uuid4()}", json=done).status_code == 404
