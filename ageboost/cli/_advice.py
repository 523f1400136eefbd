"""Messages that fit who asked: what Python's users pass as an argument, commands call an option."""

from __future__ import annotations

import re

__all__ = ["LONGEST_MESSAGE", "advise"]

LONGEST_MESSAGE = 500

_CALIBRATE = "ageboost calibrate MODEL LABELS --out FILE"
_ADVICE = [
    (r' \(pass on_error="nan" to continue without them\)', ""),
    (r'pass on_error="drop" to continue without them', "pass --skip-bad-rows to leave them out"),
    (r",? or pass boxes= from a detector of your own", ""),
    (r"or pass device='cpu'", "or leave out --device"),
    (r"\bdevice='(\w+)'", r"--device \1"),
    (r",? or raise max_pixels", ""),
    (r"pass trusted=(\[.*?\])", r"load it in Python: ageboost.load(path, trusted=\1)"),
    (
        r"fit it with interval_folds=5 and at least (\d+) photos, "
        r"or call calibrate\(photos, ages\)",
        rf"calibrate it with \1 photos of your own or more: {_CALIBRATE}",
    ),
    (r"pass space=$", "name one with --space"),
    (r'\bterms="own"', "--own-photos"),
    (
        r"leave it out, or state the terms of one of your own: Network\(\.\.\., terms=\.\.\.\)",
        "take features or a model without it, such as open",
    ),
    (r"\bmax_side(=\S*)?", "--max-side"),
    (r"FaceFinder\(landmarks=(5|68)\)", r"--landmarks \1"),
    (r"\bclock_offsets\[(.*?)\]=", r"--clock-offset of till \1: "),
    (r"\bclock_offsets say nothing", "--clock-offset says nothing"),
    (r"\bage_weights gives\b", "--age-weights gives"),
    (r"\b(legal|challenge)_age=", r"--\1-age "),
    (r"\b(tolerance|certainty|encoding|fdr)=", r"--\1 "),
]


def advise(message: str) -> str:
    """Turn advice for Python into advice for a shell, and keep it short enough to be read.

    Parameters
    ----------
    message : str
        Of an error of the library.

    Returns
    -------
    str
        At most 500 characters. Of a list with one line for each photo or row, as many as fit.

    Examples
    --------
    >>> from ageboost.cli._advice import advise
    >>> advise("device='cuda': no CUDA device can be used here: or pass device='cpu'")
    '--device cuda: no CUDA device can be used here: or leave out --device'
    """
    for pattern, replacement in _ADVICE:
        message = re.sub(pattern, replacement, message)
    if len(message) <= LONGEST_MESSAGE:
        return message
    lines = message.splitlines()
    kept = lines[:1]
    for line in lines[1:]:
        if sum(map(len, kept)) + len(kept) + len(line) > LONGEST_MESSAGE - 30:
            break
        kept.append(line)
    if len(kept) == 1:
        return f"{message[: LONGEST_MESSAGE - 4]} ..."
    return "\n".join([*kept, f"  and {len(lines) - len(kept):,} more"])
