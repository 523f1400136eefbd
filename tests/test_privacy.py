"""What the library must not do behind the user's back, seen from a process of its own."""

import os
import subprocess
import sys

from PIL import Image

FORBID = """
import sys

def forbid(event, arguments):
    # Every way from Python to a network goes by one of these, whatever library takes it.
    if event.startswith(("socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request")):
        raise AssertionError(f"{event} {arguments}")

sys.addaudithook(forbid)
"""
SCRIPT = f"""{FORBID}
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


EVERY_MODULE = f"""{FORBID}
import importlib, pkgutil
import ageboost
names = [module.name for module in pkgutil.walk_packages(ageboost.__path__, "ageboost.")]
for name in names:
    importlib.import_module(name)
assert "ageboost.cli" in names
"""

COMMANDS = f"""{FORBID}
from ageboost.cli import app
app(sys.argv[1:], standalone_mode=False)
"""


def test_no_module_opens_a_connection_when_it_is_imported():
    subprocess.run([sys.executable, "-c", EVERY_MODULE], check=True)


def test_training_with_a_cache_and_looking_at_a_folder_open_no_connection(tmp_path, portrait):
    rows = ["photo,age"]
    for i in range(24):
        Image.fromarray(portrait[i % 9 : 300 + i, 100:350]).save(tmp_path / f"{i}.jpg")
        rows.append(f"{i}.jpg,{20 + i}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    for command in (
        ["train", "labels.csv", "--out", "m.ageboost", "--cache", "cache", "--jobs", "1"],
        ["predict", "0.jpg", "1.jpg", "--model", "m.ageboost", "--out", "ages.csv"],
        ["evaluate", "m.ageboost", "labels.csv", "--jobs", "1"],
    ):
        options = ["--features", "classical"] if command[0] == "train" else []
        subprocess.run(
            [sys.executable, "-c", COMMANDS, *command, *options], cwd=tmp_path, check=True
        )
    assert (tmp_path / "ages.csv").exists()
