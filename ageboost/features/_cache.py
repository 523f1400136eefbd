"""Features on disk, keyed by what they were computed from and how."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator

from ageboost._versions import package_version
from ageboost.errors import CacheError
from ageboost.features.known_networks import get_network
from ageboost.features.networks import Network, weights_stamp

_FILE_NAME = "features.sqlite"
# A row computed by another version of these may differ.
_PACKAGES = (
    *("ageboost", "dlib-bin", "face_recognition_models", "numpy", "onnxruntime"),
    *("opencv-python-headless", "Pillow"),
)
_WAIT_SECONDS = 60
# Of one question: SQLite refuses more than it was built for, which is 999 in the oldest builds.
_KEYS_AT_ONCE = 900


class FeatureCache:
    """A table of keys and float32 arrays in one SQLite file, safe to share between processes.

    Parameters
    ----------
    folder : path
        Made if it does not exist. The file in it may be deleted at any time.

    Raises
    ------
    CacheError
        If no file can be made there, or the one that is there cannot be used. Later trouble, such
        as a disk that is full, is warned of once; from then on nothing is found and nothing stored.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self._path = Path(folder) / _FILE_NAME
        self._gave_up = False
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._connect() as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, columns INTEGER, "
                    "content BLOB)"
                )
        except (sqlite3.Error, OSError) as error:
            raise CacheError(
                f"{self._path}: features cannot be kept here: {error}; name a folder that can be "
                f"written to, or, if the file is damaged, delete it"
            ) from error

    def get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Look up keys; those that are not there are left out.

        Parameters
        ----------
        keys : sequence of bytes

        Returns
        -------
        dict of bytes to ndarray of shape (n_faces, n_features), float32
        """

        def look_up(connection: sqlite3.Connection) -> list[tuple[bytes, int, bytes]]:
            rows = []
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                part = keys[start : start + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(part))
                select = f"SELECT key, columns, content FROM features WHERE key IN ({marks})"
                rows += connection.execute(select, part).fetchall()
            return rows

        rows = self._unless_given_up(look_up)
        return {key: np.frombuffer(content, "<f4").reshape(-1, n) for key, n, content in rows or []}

    def put(self, entries: Mapping[bytes, np.ndarray]) -> None:
        """Store arrays, all of them or, if the process dies, none.

        Parameters
        ----------
        entries : mapping of bytes to ndarray of shape (n_faces, n_features), float32
        """
        rows = [
            (key, values.shape[1], np.ascontiguousarray(values, "<f4").tobytes())
            for key, values in entries.items()
        ]
        insert = "INSERT OR REPLACE INTO features VALUES (?, ?, ?)"
        self._unless_given_up(lambda connection: connection.executemany(insert, rows))

    def _unless_given_up(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Do it, or warn and never try again: what a cache cannot keep is no reason to stop."""
        if self._gave_up:
            return None
        try:
            with self._connect() as connection:
                return work(connection)
        except (sqlite3.Error, OSError) as error:
            self._gave_up = True
            warnings.warn(
                f"{self._path}: {error}: features are computed without the cache from here on",
                RuntimeWarning,
                stacklevel=2,
            )
            return None

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        # A connection for each batch: cheap, and none is carried into another thread or process.
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
        try:
            connection.execute("PRAGMA synchronous=NORMAL")
            with connection:
                yield connection
        finally:
            connection.close()


def settings_digest(part: BaseEstimator) -> str:
    """Digest of everything that a part's output depends on, apart from its input.

    Parameters
    ----------
    part : estimator
        A face finder or a face transformer.

    Returns
    -------
    str
        Hexadecimal.
    """
    params = {name: _settings(name, value) for name, value in part.get_params(deep=False).items()}
    for name, value in (("device", "cpu"), ("whole_numbers", False)):
        if params.get(name) == value:
            # Rows that were stored before there was a choice.
            del params[name]
    versions = [package_version(package) for package in _PACKAGES]
    return joblib.hash((type(part).__module__, type(part).__qualname__, params, versions))


def _settings(name: str, value: object) -> object:
    if name == "network" and isinstance(value, str):
        value = get_network(value)
    if isinstance(value, Network):
        weights = _weights_digest(value, weights_stamp(value.weights))
        fields = {**value.__dict__, "weights": weights}
        # They change no number.
        fields.pop("terms", None)
        fields.pop("stem", None)
        return sorted(fields.items())
    if isinstance(value, str | os.PathLike) and os.path.isfile(value):
        return hashlib.sha256(Path(value).read_bytes()).hexdigest()
    return value


@lru_cache(maxsize=16)
def _weights_digest(network: Network, stamp: tuple[int, int, int] | None) -> str:
    return hashlib.sha256(network.read_weights()).hexdigest()
