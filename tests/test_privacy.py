"""What the library must not do behind the user's back, seen from a process of its own."""

import os
import subprocess
import sys

SCRIPT = """
import socket

def forbidden(*args, **kwargs):
    raise AssertionError("a socket was opened")

socket.socket.connect = forbidden
socket.getaddrinfo = forbidden
import ageboost
from skimage.data import astronaut
assert ageboost.load_pretrained().predict([astronaut()])[0] > 0
"""


def test_a_prediction_opens_no_connection_and_leaves_nothing_behind(tmp_path):
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    for variable in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"):
        environment.pop(variable, None)
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, cwd=work, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
