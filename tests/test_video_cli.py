import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import pandas as pd
import pytest
from films import moving, picture, write_film
from typer.testing import CliRunner

from ageboost._partial import PartialTable
from ageboost.cli import _visits, app
from ageboost.cli._visits import VisitTable, VisitTableError

RUN = [sys.executable, "-c", "from ageboost.cli import main; main()"]


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Somebody comes and leaves, and somebody else comes."""
    path = tmp_path_factory.mktemp("film") / "till.mp4"
    way = [lambda t: (200, 180) if t < 1 else None, lambda t: (430, 180) if t >= 3 else None]
    return write_film(path, moving(*way, seconds=4))


@pytest.mark.parametrize("name", ["visits.csv", "visits.parquet"])
def test_watch_writes_a_row_for_each_person_and_replaces_those_of_the_same_film(
    tmp_path, film, name
):
    out = tmp_path / name
    command = ["watch", film, "--till", "3", "--out", out, "--began", "2025-03-01 10:00"]
    for _ in range(2):
        result = invoke(*command)
        assert result.exit_code == 0, result.output
    table = pd.read_csv(out) if name.endswith("csv") else pd.read_parquet(out)
    assert table["track"].tolist() == [0, 1]
    assert set(table["till"].astype(str)) == {"3"}
    assert set(table["source"]) == {str(film)}
    assert pd.to_datetime(table["start"])[0] == pd.Timestamp("2025-03-01 10:00")
    assert os.listdir(tmp_path) == [name]


def test_watch_prints_rows_where_no_table_is_asked_for(film):
    result = invoke("watch", film)
    assert result.exit_code == 0
    assert result.stdout.startswith("track,start,end,")
    assert len(result.stdout.splitlines()) == 3


def test_watch_draws_a_video(tmp_path, film):
    assert invoke("watch", film, "--draw", tmp_path / "drawn.mp4").exit_code == 0
    capture = cv2.VideoCapture(str(tmp_path / "drawn.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 40
    assert capture.get(cv2.CAP_PROP_FPS) == 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["missing.mp4"], "no such file"),
        (["{film}", "--out", "a.json"], "a .csv or .parquet file"),
        (["{film}", "--out", "nowhere/a.csv"], "there is no folder"),
        (["{film}", "--draw", "a.avi"], "must end in .mp4"),
        (["{film}", "--began", "yesterday afternoon"], "yesterday"),
        (["{film}", "--model", "no such model"], "no such model"),
    ],
)
def test_wrong_calls_of_watch_are_refused(film, options, said):
    result = invoke("watch", *(option.format(film=film) for option in options))
    assert result.exit_code == 2
    assert said in result.output


def test_a_table_of_something_else_is_not_overwritten(tmp_path, film):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    result = invoke("watch", film, "--out", tmp_path / "a.csv")
    assert result.exit_code == 2
    assert "choose another file" in result.output
    assert (tmp_path / "a.csv").read_text() == "x,y\n1,2\n"


def test_seconds_and_dates_are_not_mixed_in_one_table(tmp_path, film):
    out = tmp_path / "a.csv"
    assert invoke("watch", film, "--out", out).exit_code == 0
    result = invoke("watch", film, "--out", out, "--began", "2025-03-01")
    assert result.exit_code == 2
    assert "leave out --began" in result.output


def test_frames_that_are_lost_end_with_status_1(tmp_path):
    path = write_film(tmp_path / "a.avi", moving(lambda t: (200, 180), seconds=5), codec="MJPG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = invoke("watch", path, "--out", tmp_path / "a.csv")
    assert result.exit_code == 1
    assert "before its stated end" in result.output
    assert pd.read_csv(tmp_path / "a.csv")["status"].tolist() == ["ok", "cut short"]


def row_of(number, start=0.0):
    place = (1.0, 1.0, 9.0, 9.0)
    return [
        number,
        start,
        start + 1,
        9,
        3,
        *place,
        30.0,
        25.0,
        35.0,
        0.01,
        3.0,
        0.9,
        True,
        "ok",
        "",
    ]


def live_table(path):
    return VisitTable(path, {"source": "camera 0", "till": "3"}, True, None, None)


def test_rows_of_a_killed_run_are_in_the_next_table_once(tmp_path):
    out = tmp_path / "visits.parquet"
    killed = live_table(out)
    killed.add([row_of(0), row_of(1)])
    killed.close()
    again = live_table(out)
    assert again.n_tracks == 2
    again.merge()
    again.add([row_of(2)])
    # As if it died after the table was replaced, and before the file beside it was removed.
    beside = (tmp_path / "visits.parquet.live").read_bytes()
    again.merge()
    again.close()
    (tmp_path / "visits.parquet.live").write_bytes(beside)
    last = live_table(out)
    assert last.n_tracks == 3
    last.add([row_of(3)])
    last.merge()
    last.close()
    assert pd.read_parquet(out)["track"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("owner", "step"),
    [(PartialTable, "append"), (_visits, "replace_table"), (PartialTable, "remove")],
)
def test_whenever_ctrl_c_comes_each_row_is_in_the_table_once(tmp_path, monkeypatch, owner, step):
    out = tmp_path / "visits.csv"
    table = live_table(out)
    table.add([row_of(0)])
    whole = getattr(owner, step)

    def interrupted(*args):
        monkeypatch.undo()
        whole(*args)
        raise KeyboardInterrupt

    def add_and_merge():
        table.add([row_of(1)])
        table.merge()

    monkeypatch.setattr(owner, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        add_and_merge()
    table.merge()
    table.close()
    assert pd.read_csv(out)["track"].tolist() == [0, 1]


def test_a_line_that_was_cut_off_loses_no_other_row(tmp_path):
    out = tmp_path / "visits.csv"
    killed = live_table(out)
    killed.add([row_of(0)])
    killed.add([row_of(1)])
    killed.close()
    beside = tmp_path / "visits.csv.live"
    beside.write_bytes(beside.read_bytes()[:-7])
    again = live_table(out)
    again.merge()
    again.close()
    assert pd.read_csv(out)["track"].tolist() == [0]


def test_two_runs_do_not_write_to_one_table(tmp_path):
    pytest.importorskip("fcntl")
    first = live_table(tmp_path / "visits.csv")
    with pytest.raises(VisitTableError, match="another run"):
        live_table(tmp_path / "visits.csv")
    first.close()


@pytest.mark.slow
def test_a_film_that_was_killed_goes_on_and_gives_the_same_table(tmp_path):
    ways = [lambda t, s=s: (200 + 10 * s, 180) if s <= t < s + 2 else None for s in range(0, 40, 5)]
    film = write_film(tmp_path / "till.mp4", moving(*ways, seconds=42))
    whole, out = tmp_path / "whole.csv", tmp_path / "visits.csv"
    subprocess.run([*RUN, "watch", str(film), "--out", str(whole)], check=True)
    partial = tmp_path / "visits.csv.partial"
    for _ in range(2):
        before = partial.read_bytes().count(b"\n") if partial.exists() else 0
        process = subprocess.Popen([*RUN, "watch", str(film), "--out", str(out)])
        while process.poll() is None:
            if partial.exists() and partial.read_bytes().count(b"\n") > before + 2:
                process.kill()
                break
            time.sleep(0.01)
        process.wait()
    done = subprocess.run(
        [*RUN, "watch", str(film), "--out", str(out)], check=True, capture_output=True, text=True
    )
    assert "going on" in done.stderr
    assert out.read_bytes() == whole.read_bytes()
    assert not partial.exists()


class Server:
    """A stream of Motion JPEG in which somebody is there for two of every five seconds."""

    def __init__(self, port=0):
        begun = time.monotonic()
        frames = [
            cv2.imencode(".jpg", picture(*places)[..., ::-1])[1].tobytes()
            for places in ([], [(200, 180)])
        ]
        stopped = self.stopped = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                while not stopped.is_set():
                    content = frames[(time.monotonic() - begun) % 5 < 2]
                    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                    self.wfile.write(head % len(content) + content + b"\r\n")
                    time.sleep(0.1)

            def log_message(self, *_):
                pass

            def handle_error(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_):
                pass

        self._server = Quiet(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a signal")
def test_a_stream_that_goes_away_is_opened_again_and_ctrl_c_keeps_what_is_finished(tmp_path):
    server = Server()
    out = tmp_path / "visits.parquet"
    process = subprocess.Popen(
        [*RUN, "watch", f"http://127.0.0.1:{server.port}/", "--out", str(out), "--timeout", "5"],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    beside = tmp_path / "visits.parquet.live"

    def rows():
        return beside.read_bytes().count(b"\n") - 1 if beside.exists() else 0

    def wait_for(n_rows):
        deadline = time.monotonic() + 120
        while rows() < n_rows and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.1)
        assert rows() >= n_rows

    wait_for(1)
    server.stop()
    time.sleep(2)
    seen = rows()
    server = Server(server.port)
    wait_for(seen + 1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    server.stop()
    table = pd.read_parquet(out)
    assert len(table) >= 2
    assert table["track"].is_unique
    assert (table["start"].iloc[1:].to_numpy() > table["end"].iloc[:-1].to_numpy()).all()
    assert str(table["start"].dt.tz) == "UTC"


def test_buyers_are_found_among_those_who_were_seen(tmp_path, film):
    visits, receipts = tmp_path / "visits.parquet", tmp_path / "receipts.csv"
    invoke("watch", film, "--till", "3", "--out", visits, "--began", "2025-03-01 10:00")
    receipts.write_text("receipt_id,time,till\na,2025-03-01 10:00:00.5,3\nb,2025-03-01 12:00,3\n")
    out = tmp_path / "buyers.csv"
    result = invoke("buyers", visits, receipts, "--out", out)
    assert result.exit_code == 0, result.output
    assert "2 receipts: 1 matched, 1 nobody there" in result.output
    table = pd.read_csv(out)
    assert table["status"].tolist() == ["ok", "no photo"]
    assert table["under_18"].between(0, 1).tolist() == [True, False]
