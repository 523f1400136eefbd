"""Tables of measured figures in a page of Markdown whose words are written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write rows of text as a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def put_tables(path: Path, tables: list[str]) -> None:
    """Put each table in the place of the one with the same header, or else at the end of the page.

    All else in the page stays. A page that does not exist is made of the tables alone.
    """
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    for new in tables:
        header, *_ = new_lines = new.splitlines()
        if header in lines:
            start = end = lines.index(header)
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            lines[start:end] = new_lines
        else:
            lines += ["", *new_lines] if lines else new_lines
    path.write_text("\n".join(lines) + "\n", "utf-8")


def put_row(path: Path, header: list[str], row: list[str]) -> None:
    """Put one row into a table of a page, in the place of the one that begins alike."""
    first, *_ = table(header, []).splitlines()
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    rows: list[list[str]] = []
    if first in lines:
        for line in lines[lines.index(first) + 2 :]:
            if not line.startswith("|"):
                break
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
    places = [place for place, one in enumerate(rows) if one[0] == row[0]]
    if places:
        rows[places[0]] = row
    else:
        rows.append(row)
    put_tables(path, [table(header, rows)])
