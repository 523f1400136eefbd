"""The service in a process of its own: sockets, signals and what the command refuses."""

import http.client
import io
import json
import re
import signal
import sqlite3
import sys
import threading
import time

import pytest
from conftest import ROOT
from PIL import Image
from typer.testing import CliRunner

from ageboost.cli import app

sys.path.insert(0, str(ROOT / "benchmarks"))
from _serving import exchange, serving, status_of

pytest.importorskip("uvicorn")
pytest.importorskip("sqlalchemy")

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def photo(portrait):
    buffer = io.BytesIO()
    Image.fromarray(portrait[:300, 60:400]).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def port():
    with serving("--timeout", 3, "--max-bytes", 200_000, "--jobs", 1) as (port, _):
        yield port


def head(length, *lines):
    return "\r\n".join(
        [
            "POST /v1/check HTTP/1.1",
            "Host: 127.0.0.1",
            "Content-Type: image/jpeg",
            f"Content-Length: {length}",
            *lines,
            "",
            "",
        ]
    ).encode()


def test_a_photo_that_comes_in_pieces_is_answered(port, photo):
    pieces = [photo[i : i + 4000] for i in range(0, len(photo), 4000)]
    answer = exchange(port, head(len(photo), "Connection: close"), *pieces, pause=0.01)
    assert status_of(answer) == 200
    assert b'"answer":' in answer
    assert b"server:" not in answer.lower()


def test_a_slow_upload_is_given_up(port, photo):
    began = time.monotonic()
    answer = exchange(port, head(len(photo)), photo[:100])
    assert status_of(answer) == 408
    assert time.monotonic() - began < 20


def test_a_slow_head_is_given_up(port):
    answer = exchange(port, b"POST /v1/check HTTP/1.1\r\n", b"Host: 127.0.0.1\r\n", pause=0.2)
    assert status_of(answer) == 408


def test_a_connection_that_says_nothing_is_closed(port):
    assert exchange(port) == b""


def test_an_upload_that_is_cut_short_is_refused(port, photo):
    answer = exchange(port, head(len(photo)), photo[: len(photo) // 2], end=True)
    assert status_of(answer) == 400
    assert b"cut short" in answer


def test_an_upload_that_is_too_large_is_refused_before_it_has_come(port):
    assert status_of(exchange(port, head(10**12), b"x", end=True)) == 413
    chunked = b"POST /v1/check HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 5
    assert status_of(exchange(port, chunked, *chunks, b"0\r\n\r\n", pause=0.05)) == 413


def test_a_body_of_json_is_small(port):
    start = "PUT /v1/checks/00000000-0000-0000-0000-000000000000 HTTP/1.1\r\nHost: localhost\r\n"
    start += "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    assert status_of(exchange(port, start.encode(), b"[" * 100_000)) == 413


@pytest.mark.parametrize(
    "start",
    [
        b"nonsense\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"POST /v1/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/check HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n",
    ],
)
def test_a_request_that_is_none_gets_a_status_from_400_to_501(port, start):
    assert 400 <= status_of(exchange(port, start)) <= 501


def test_the_service_goes_on_after_all_of_it(port, photo):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(2):
        connection.request("POST", "/v1/check", photo, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["faces"]) == (200, 1)
    connection.close()


def test_a_killed_service_leaves_whole_rows(photo, tmp_path):
    """Every check that was answered is there, whole, and so is every other row."""
    database = tmp_path / "checks.db"
    numbers = []

    def send(port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            while True:
                connection.request(
                    "POST", "/v1/check?till=3", photo, {"Content-Type": "image/jpeg"}
                )
                numbers.append(json.loads(connection.getresponse().read())["id"])
        except (OSError, http.client.HTTPException, ValueError):
            connection.close()

    with serving("--record", f"sqlite:///{database}", "--jobs", 2) as (port, process):
        clients = [threading.Thread(target=send, args=(port,)) for _ in range(4)]
        for client in clients:
            client.start()
        deadline = time.monotonic() + 60
        while len(numbers) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        for client in clients:
            client.join()
    with sqlite3.connect(database) as connection:
        [[integrity]] = connection.execute("pragma integrity_check").fetchall()
        rows = connection.execute(
            "select id, time, till, answer, under_legal, model, model_version, policy "
            "from ageboost_checks"
        ).fetchall()
    assert integrity == "ok"
    assert len(numbers) >= 20
    assert all(value is not None for row in rows for value in row)
    assert {number.replace("-", "") for number in numbers} <= {row[0] for row in rows}


def test_a_terminated_service_ends_with_its_requests_answered(photo):
    with serving("--jobs", 1) as (port, process):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/v1/check", photo, {"Content-Type": "image/jpeg"})
        time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert connection.getresponse().status in (200, 503)
        connection.close()
        assert process.wait(30) in (0, -signal.SIGTERM)


def run(*arguments, token=""):
    return CliRunner().invoke(
        app, ["serve", *arguments], env={"AGEBOOST_TOKEN": token, "COLUMNS": "200"}
    )


@pytest.mark.parametrize(
    ("arguments", "token", "message"),
    [
        (["--host", "0.0.0.0"], "", "can be reached by others: set a token in AGEBOOST_TOKEN"),
        (["--host", "till.shop"], "", "can be reached by others"),
        (["--host", "0.0.0.0"], "short", "16 ASCII characters or more"),
        (["--record", "checks.db"], "", "write it as sqlite:///checks.db"),
        (["--challenge-age", "17"], "", "--challenge-age 17"),
        (["--model", "no such model"], "", "no such model"),
    ],
)
def test_what_cannot_be_served_is_refused(arguments, token, message):
    result = run(*arguments, token=token)
    assert result.exit_code == 2
    assert message in re.sub(r"\s+", " ", result.output)
