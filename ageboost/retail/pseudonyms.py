"""Names for receipts that only the holder of a key can lead back."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

__all__ = ["pseudonymize"]

_SHORTEST_KEY = 16


def pseudonymize(ids: Iterable[object], key: bytes) -> list[str]:
    """Replace names by keyed pseudonyms, so that estimates can be kept apart from receipts.

    The same name has the same pseudonym for one key, and tables still join; without the key nobody
    can find which pseudonym stands for which name, not even by trying all names. Keep the key where
    the estimates are not, and throw it away to cut the tie for good.

    Parameters
    ----------
    ids : iterable of length n_ids
        Such as ``receipts["receipt_id"]``; the numbers 7 and 7.0 and the text "7" are the same.
    key : bytes
        16 bytes or more, such as ``secrets.token_bytes(32)``.

    Returns
    -------
    list of str of length n_ids
        32 hexadecimal digits each: HMAC-SHA256, cut to 128 bits.

    Raises
    ------
    ValueError
        If the key is no bytes or too short.

    References
    ----------
    H. Krawczyk, M. Bellare and R. Canetti, "HMAC: Keyed-Hashing for Message Authentication", RFC
    2104, 1997.

    Examples
    --------
    >>> from ageboost.retail import pseudonymize
    >>> pseudonymize(["R0001"], key=b"sixteen bytes...")
    ['...']
    """
    if not isinstance(key, bytes) or len(key) < _SHORTEST_KEY:
        raise ValueError(
            f"key must be {_SHORTEST_KEY} bytes or more: pass secrets.token_bytes(32), and keep it"
        )
    start = hmac.new(key, digestmod=hashlib.sha256)
    names = []
    for name in ids:
        if isinstance(name, float) and name.is_integer():
            # A column of whole numbers with a gap in it holds floats.
            name = int(name)
        digest = start.copy()
        digest.update(str(name).encode())
        names.append(digest.hexdigest()[:32])
    return names
