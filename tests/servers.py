"""A PostgreSQL server of a test's own, in a folder of its own."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgresql():
    """Start a server, and yield the URL of its database; skip where there is none to start."""
    folder = _folder_of_programs()
    pytest.importorskip("psycopg")
    with tempfile.TemporaryDirectory(prefix="ageboost-pg-", dir="/tmp") as place:
        data, log = Path(place) / "data", Path(place) / "log"
        user: dict[str, object] = {}
        if os.geteuid() == 0:
            # The server refuses to run for the superuser.
            user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(place, "nobody")
        run = {"check": True, "capture_output": True, "cwd": place, **user}
        subprocess.run(
            [folder / "initdb", "-D", data, "-U", "till", "-A", "trust", "-N", "-E", "UTF8"], **run
        )
        port = _free_port()
        options = f"-p {port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off"
        start = [folder / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start"]
        # Its output goes to the log: a pipe would stay open as long as the server runs.
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(start, check=True, cwd=place, **quiet, **user)
        try:
            yield f"postgresql+psycopg://till:pa55%2Fw@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([folder / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)


def _folder_of_programs():
    """Where initdb is: Debian keeps it off the path."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), shutil.which("initdb")]
    found = [Path(path) for path in found if path]
    if not found:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    return found[-1].parent


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
