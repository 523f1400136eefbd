"""A service in a process of its own, as `ageboost serve` starts it, and sockets to speak to it."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

RUN = [sys.executable, "-c", "from ageboost.cli import main; main()", "serve"]


@contextmanager
def serving(*options, token=None):
    """Start a service, wait until it answers, and yield its port and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "AGEBOOST_TOKEN"}
    if token is not None:
        environment["AGEBOOST_TOKEN"] = token
    process = subprocess.Popen(
        [*RUN, "--port", str(port), *map(str, options)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(port, process)
        yield port, process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_for(port, process):
    for _ in range(1200):
        if process.poll() is not None:
            raise RuntimeError(process.stderr.read())
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the service does not listen")


def exchange(port, *parts, end=False, pause=0.0):
    """Send parts of a request with pauses between them, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break
            time.sleep(pause)
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while True:
            try:
                chunk = connection.recv(65_536)
            except ConnectionResetError:
                break
            received += chunk
            if not chunk:
                break
        return received


def status_of(received):
    return int(received.split(b" ", 2)[1]) if received else None
