"""Code blocks of pages, and what has to be there before they can run."""

import io
import re
import shlex
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass

import numpy as np
import pandas as pd
from conftest import ROOT, variants
from films import moving, write_film
from PIL import Image
from skimage.data import astronaut
from typer.main import get_command
from typer.testing import CliRunner

import ageboost
from ageboost.cli import app
from ageboost.datasets import make_shop
from ageboost.retail import simulate_buyers, write_table

PAGES = [
    "README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs/guide").glob("*.md")),
    "docs/how-it-works/protocol.md",
]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a page says for a reader, and what a test can do in its place.
_FOR_READERS = {
    "postgresql+psycopg://shop@till-db/shop": "sqlite:///shop.db",
    "--trials 100": "--trials 1",
}
# Commands that go on until they are stopped, or need a camera: only their options are checked.
_NEVER_ENDING = ("ageboost serve", "ageboost watch rtsp:")


@dataclass(frozen=True)
class Block:
    """A block of code, and what it should print, where the page shows that."""

    language: str
    code: str
    output: str | None


def blocks_of(page):
    """Blocks of code of a page, in order, each with the output that follows it."""
    found = _BLOCK.findall((ROOT / page).read_text("utf-8"))
    following = [*found, ("", "")][1:]
    return [
        Block(language, code, after[1] if after[0] == "text" else None)
        for (language, code), after in zip(found, following, strict=True)
        if language != "text"
    ]


def run_page(page):
    """Run all blocks of a page one after the other; yield each with what it printed."""
    names, environment = {}, {}
    for block in blocks_of(page):
        code = block.code
        for told, done in _FOR_READERS.items():
            code = code.replace(told, done)
        if block.language == "python":
            printed = io.StringIO()
            with redirect_stdout(printed):
                exec(compile(code, page, "exec"), names)
            yield block, printed.getvalue()
        else:
            assert block.language == "sh", f"{page}: a block in {block.language!r} runs nowhere"
            lines = code.replace("\\\n", " ").splitlines()
            yield block, "".join(_run_line(line, environment) for line in lines)


def _run_line(line, environment):
    words = shlex.split(line, comments=True)
    if not words:
        return ""
    if words[0] == "ageboost":
        return _run_command(words[1:], line, environment)
    if words[0] == "export":
        environment.update(word.split("=", 1) for word in words[1:])
    else:
        _CHECKS[words[0]](words[1:])
    return ""


def _run_command(words, line, environment):
    if line.startswith(_NEVER_ENDING):
        command = get_command(app).commands[words[0]]
        command.make_context(words[0], words[1:])
        return ""
    result = CliRunner().invoke(app, words, env=environment)
    assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
    return result.stdout


def _run_in(folder, words):
    with chdir(folder):
        _run_command(words, " ".join(words), {})


def _check_target(words):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(re.search(rf"^{word}:", makefile, re.MULTILINE) for word in words), words


def _check_install(words):
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    for asked in re.findall(r"\[([\w,]+)\]", " ".join(words)):
        assert set(asked.split(",")) <= set(extras), asked


def _check_call(words):
    endpoints = (ROOT / "ageboost/serve/_endpoints.py").read_text("utf-8")
    [address] = [word for word in words if word.startswith("http")]
    assert re.match(r"http://127\.0\.0\.1:8000/v1(/\w+)", address)[1] in endpoints


_CHECKS = {"make": _check_target, "pip": _check_install, "curl": _check_call}


def fill_folder(folder):
    """Everything that code on the pages finds in the folder that it runs in."""
    photos, _ = variants(astronaut(), 40)
    for name in ("photos", "till3", "lines", "buyers"):
        (folder / name).mkdir()
    rows = []
    for number, photo in enumerate(photos):
        path = f"photos/{number}.jpg"
        Image.fromarray(photo).save(folder / path, quality=95)
        rows.append({"photo": path, "age": 25 + number % 12, "subject": number // 2})
    pd.DataFrame(rows[:30]).to_csv(folder / "labels.csv", index=False)
    pd.DataFrame(rows[30:]).to_csv(folder / "other-labels.csv", index=False)
    for name in ("till3/now.jpg", "till3/0412.jpg", "buyer.jpg", "astronaut.png"):
        Image.fromarray(astronaut()).save(folder / name)
    model = ageboost.load_pretrained("fast")
    model.save(folder / "mine.ageboost")
    way = [lambda t: (200, 180) if t < 2 else None]
    write_film(folder / "till3.mp4", moving(*way, seconds=3))
    _fill_shop(folder, model, [row["photo"] for row in rows])


def _fill_shop(folder, model, photos):
    shop = make_shop(600, random_state=0)
    customers = np.arange(len(shop.receipts)) % 280
    receipts = shop.receipts.assign(customer=customers)
    receipts.to_csv(folder / "receipts.csv", index=False)
    shop.lines.to_csv(folder / "lines.csv", index=False)
    shop.lines.to_csv(folder / "lines-1.csv", index=False)
    shop.lines.to_parquet(folder / "lines/1.parquet")
    seen = receipts.iloc[: len(photos)]
    taken = pd.to_datetime(seen["time"]) + pd.Timedelta("5s")
    seen[["store", "till"]].assign(photo=photos, time=taken).to_csv(
        folder / "photos.csv", index=False
    )
    first = receipts.iloc[0]
    began = str(pd.Timestamp(first["time"]) - pd.Timedelta("4s"))
    watch = ["watch", "till3.mp4", "--model", "mine.ageboost", "--store", str(first["store"])]
    watch += ["--till", str(first["till"]), "--began", began, "--out", "visits.parquet"]
    _run_in(folder, watch)
    buyers = simulate_buyers(shop.truth, model, random_state=0)
    for path in ("buyers.parquet", "buyers/1.parquet"):
        buyers.assign(customer=customers).to_parquet(folder / path)
    _fill_database(folder, model)


def _fill_database(folder, model):
    """What the page about databases takes to be in the server, but for what it writes itself."""
    truth = make_shop(500, random_state=0).truth
    buyers = simulate_buyers(truth, model, random_state=0)
    write_table(buyers, f"sqlite:///{folder}/shop.db", "buyers")
    queries = {
        "receipts": "select bon as receipt_id, at || '+00:00' as time, store, till from bons",
        "lines": "select bon as receipt_id, item as product from bon_lines",
        "buyers": "select * from buyers",
    }
    for name, query in queries.items():
        (folder / f"{name}.sql").write_text(query)
