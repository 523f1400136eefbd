"""How a command is given what is known of cameras' clocks, and how it gives advice about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ageboost.cli._shared import refuse

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["clock_options", "read_offsets"]


def read_offsets(texts: list[str] | None, receipts: pd.DataFrame) -> dict[Any, Any]:
    """Read TILL=SECONDS, or TILL=SECONDS from TIME for what holds from some time on."""
    tills = set(receipts["till"].dropna()) if "till" in receipts else set()
    offsets: dict[Any, Any] = {}
    for text in texts or ():
        name, equals, value = text.rpartition("=")
        seconds, since, start = value.partition(" from ")
        if not equals or not seconds.strip():
            refuse(f"--clock-offset {text}: write it as TILL=SECONDS")
        store, slash, till = name.partition("/")
        key = (store, till) if slash and name not in tills else name
        if since and isinstance(offsets.setdefault(key, {}), dict):
            offsets[key][start.strip()] = _seconds(seconds)
        elif key in offsets:
            refuse(f"--clock-offset {text}: till {name} has an offset for all times already")
        else:
            offsets[key] = _seconds(seconds)
    return offsets


def _seconds(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def clock_options(offsets: dict[Any, Any]) -> str:
    options = []
    for till, value in offsets.items():
        name = "/".join(till) if isinstance(till, tuple) else till
        if isinstance(value, dict):
            options += [f'"{name}={ahead:g} from {time}"' for time, ahead in value.items()]
        else:
            options.append(f'"{name}={value:g}"')
    return " ".join(f"--clock-offset {option}" for option in options)
