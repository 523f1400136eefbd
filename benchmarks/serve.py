"""The service under load: whether answers are lost or mixed up, how fast they come, and a kill.

Real photos are checked by clients at once, on this machine alone, beside `retail.check` called in
as many processes as there are cores, in turns. Then more clients come than there are places, and
then the service is killed while it writes its record:

    python benchmarks/serve.py --data UTKFACE --out docs/service-load.md
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import _one_thread  # noqa: F401
import joblib
import numpy as np
from _data import add_data_arguments, read_data
from _page import table
from _serving import serving

CLIENTS, ROUNDS = 16, 5
LATEST, MOST_TRIES = 60.0, 60
HEADERS = {"Content-Type": "image/jpeg"}


class Reply(NamedTuple):
    """What came back for one photo; the status is 0 if nothing did."""

    status: int
    content: dict[str, Any]
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_arguments(parser)
    parser.add_argument("--photos", type=int, default=2000, help="how many (default: 2,000)")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--out", type=Path, help="page of Markdown to write")
    options = parser.parse_args()
    names = read_data(options.data)["photo"].sample(options.photos, random_state=0)
    photos = [Path(name).read_bytes() for name in names]
    parts = [
        compare_with_library(photos, options.model),
        go_over_capacity(photos[:400], options.model),
        kill(photos[:400], options.model),
    ]
    intro = (
        "# The service under load\n\n"
        f"`python benchmarks/serve.py --data UTKFACE` prints these figures: {len(photos):,} photos "
        f"of UTKFace, the model `{options.model}`, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, a load average of "
        f"{os.getloadavg()[0]:.1f} at the end. Clients run on the same cores as the service."
    )
    page = "\n\n".join([intro, *parts])
    print(page)
    if options.out:
        options.out.write_text(page + "\n")


def compare_with_library(photos: Sequence[bytes], model: str) -> str:
    """Check the same photos by the service and by the library, a part by each in turns.

    A fifth of each part is checked by the library several at once, too.
    """
    n_cores = joblib.cpu_count()
    expected, replies = [], []
    seconds = np.zeros((ROUNDS, 3))
    cpu, counts = np.zeros(3), np.zeros(3)
    with (
        ProcessPoolExecutor(n_cores, get_context("spawn"), load, (model,)) as pool,
        serving("--model", model) as (port, process),
    ):
        # Each process has looked at a photo before the clock starts.
        list(pool.map(check_one, photos[: 20 * n_cores]))
        send_all(port, photos[:40], CLIENTS)
        for turn, part in enumerate(np.array_split(np.arange(len(photos)), ROUNDS)):
            taken = [photos[place] for place in part]
            calls: list[Callable[[], list[Any]]] = [
                lambda taken=taken: list(pool.map(check_one, taken)),
                lambda taken=taken: send_all(port, taken, CLIENTS),
                lambda taken=taken: [
                    answer
                    for answers in pool.map(check_several, split(taken[: len(taken) // 5], 8))
                    for answer in answers
                ],
            ]
            results: list[list[Any]] = [[], [], []]
            for kind in (0, 1, 2) if turn % 2 else (2, 1, 0):
                began, used = time.perf_counter(), cpu_seconds(process.pid)
                results[kind] = calls[kind]()
                seconds[turn, kind] = (time.perf_counter() - began) / len(results[kind])
                counts[kind] += len(results[kind])
                cpu[kind] += cpu_seconds(process.pid) - used if kind == 1 else 0
            for kind in (0, 2):
                cpu[kind] += sum(taken for _, taken in results[kind])
            expected += [answer for answer, _ in results[0]]
            replies += results[1]
            first = results[0][: len(results[2])]
            assert [one for one, _ in results[2]] == [one for one, _ in first]
    lost = sum(reply.status == 0 for reply in replies)
    refused = sum(reply.status not in (0, 200) for reply in replies)
    other = sum(
        {name: reply.content.get(name) for name in answer} != answer
        for reply, answer in zip(replies, expected, strict=True)
    )
    times = np.array([reply.seconds for reply in replies]) * 1e3
    rates = 1 / seconds.mean(axis=0)
    shares = [seconds[:, kind] / seconds[:, 1] for kind in (0, 2)]
    rows = [
        ["checks", f"{len(photos):,} by {CLIENTS} clients"],
        ["lost; refused; other than `retail.check`", f"{lost}; {refused}; {other}"],
        [
            "median; 99th percentile",
            f"{np.median(times):.0f} ms; {np.quantile(times, 0.99):.0f} ms",
        ],
        ["checks a second, service", f"{rates[1]:.1f}"],
        [f"`retail.check` in {n_cores} processes", f"{rates[0]:.1f} a second"],
        [f"`check_each` of 8 in {n_cores} processes", f"{rates[2]:.1f} a second"],
        ["service over `retail.check`", describe_shares(rates[1] / rates[0], shares[0])],
        ["service over `check_each`", describe_shares(rates[1] / rates[2], shares[1])],
        [
            "processor time of a check: service; `retail.check`; `check_each`",
            "; ".join(f"{cpu[kind] / counts[kind] * 1e3:.1f} ms" for kind in (1, 0, 2)),
        ],
    ]
    return f"## Beside the library\n\n{table(['', ''], rows)}"


def go_over_capacity(photos: Sequence[bytes], model: str) -> str:
    """Let more clients come than there are places; they come again when they are told to."""
    sent_away: list[float] = []
    with serving("--model", model, "--waiting", 8, "--per-client", 4) as (port, _):
        expected = send_all(port, photos, 4)
        # Each client has an address of its own, so that none has too many.
        replies = send_all(port, photos, 64, own_addresses=True, sent_away=sent_away)
        after = send_all(port, photos[:20], 1)
        greedy = send_all(port, photos[:100], 16)
    other = sum(one.content != two.content for one, two in zip(expected, replies, strict=True))
    rows = [
        ["64 clients where 8 may wait: 503", f"{len(sent_away):,} times"],
        ["median; 99th percentile until a 503", describe_times(np.array(sent_away) * 1e3)],
        ["the same photos again, after `Retry-After`", describe_statuses(replies)],
        ["answers other than before", f"{other}"],
        ["one client after that", describe_statuses(after)],
        ["16 at once of one address that may have 4", describe_statuses(greedy)],
    ]
    return f"## Over capacity\n\n{table(['', ''], rows)}"


def kill(photos: Sequence[bytes], model: str) -> str:
    """Kill the service while clients wait, and look at the rows of its record."""
    answered: list[str] = []

    def note(reply: Reply) -> None:
        if reply.status == 200:
            answered.append(reply.content["id"].replace("-", ""))

    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/checks.db"
        with serving("--model", model, "--record", f"sqlite:///{database}") as (port, process):
            killer = threading.Thread(target=kill_after, args=(process, answered, 150))
            killer.start()
            send_all(port, photos, CLIENTS, note)
            killer.join()
        with sqlite3.connect(database) as connection:
            [[verdict]] = connection.execute("pragma integrity_check").fetchall()
            rows = connection.execute(
                "select id, time, answer, model, model_version, policy from ageboost_checks"
            ).fetchall()
    broken = sum(any(value is None for value in row) for row in rows)
    missing = len(set(answered) - {row[0] for row in rows})
    lines = [
        ["answered before the kill", f"{len(answered):,}"],
        ["rows in the record; not whole", f"{len(rows):,}; {broken}"],
        ["answered, but without a row", f"{missing}"],
        ["SQLite's check of the file", verdict],
    ]
    return f"## Killed in the middle\n\n{table(['', ''], lines)}"


def load(model: str) -> None:
    """Load a model in a process of the library's own."""
    import cv2

    import ageboost

    cv2.setNumThreads(1)
    globals()["MODEL"] = ageboost.load_pretrained(model).set_params(n_jobs=1)


def check_one(photo: bytes) -> tuple[dict[str, Any], float]:
    """An answer of the library, and the processor time that it took."""
    from ageboost.retail import AlcoholPolicy, check

    began = time.process_time()
    answer = asdict(check(photo, AlcoholPolicy(), globals()["MODEL"]))
    return answer, time.process_time() - began


def check_several(photos: Sequence[bytes]) -> list[tuple[dict[str, Any], float]]:
    """Answers of the library for photos that it is given together."""
    from ageboost.photos import PhotoFile, photo_name
    from ageboost.retail import AlcoholPolicy, check_each

    began = time.process_time()
    named = [PhotoFile(photo, photo_name(photo)) for photo in photos]
    answers = [asdict(one) for one in check_each(named, AlcoholPolicy(), globals()["MODEL"])]
    each = (time.process_time() - began) / len(photos)
    return [(answer, each) for answer in answers]


def send_all(
    port: int,
    photos: Sequence[bytes],
    n_clients: int,
    note: Callable[[Reply], None] | None = None,
    own_addresses: bool = False,
    sent_away: list[float] | None = None,
) -> list[Reply]:
    """Let clients send photos, each the next one when it has its answer.

    With a list of the seconds until they were sent away, they come again.
    """
    replies = [Reply(0, {}, 0.0)] * len(photos)
    places = iter(range(len(photos)))
    lock = threading.Lock()

    def run(number: int) -> None:
        address = (f"127.0.1.{number + 1}", 0) if own_addresses else None
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=LATEST, source_address=address
        )
        while True:
            with lock:
                place = next(places, None)
            if place is None:
                break
            try:
                reply, pause = send(connection, photos[place])
                for _ in range(MOST_TRIES):
                    if sent_away is None or reply.status != 503:
                        break
                    sent_away.append(reply.seconds)
                    time.sleep(pause)
                    reply, pause = send(connection, photos[place])
            except (OSError, http.client.HTTPException):
                break
            replies[place] = reply
            if note is not None:
                note(reply)
        connection.close()

    with ThreadPoolExecutor(n_clients) as clients:
        list(clients.map(run, range(n_clients)))
    return replies


def send(connection: http.client.HTTPConnection, photo: bytes) -> tuple[Reply, float]:
    """Send a photo; return the reply, and in how many seconds to come again."""
    began = time.perf_counter()
    connection.request("POST", "/v1/check", photo, HEADERS)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    reply = Reply(answer.status, content, time.perf_counter() - began)
    return reply, float(answer.headers.get("Retry-After", 0))


def kill_after(process: Any, answered: Sequence[str], n_answers: int) -> None:
    deadline = time.monotonic() + LATEST
    while len(answered) < n_answers and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, as Linux counts it; NaN elsewhere."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def split(photos: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    return [photos[first : first + size] for first in range(0, len(photos), size)]


def describe_shares(whole: float, shares: np.ndarray) -> str:
    return f"{whole:.0%} ({shares.min():.0%} to {shares.max():.0%} in {ROUNDS} turns)"


def describe_statuses(replies: Sequence[Reply]) -> str:
    counted = Counter(reply.status for reply in replies)
    return ", ".join(f"{number:,} times {status}" for status, number in sorted(counted.items()))


def describe_times(times: np.ndarray) -> str:
    if not len(times):
        return "none"
    return f"{np.median(times):.0f} ms; {np.quantile(times, 0.99):.0f} ms"


if __name__ == "__main__":
    main()
