"""Features on disk, keyed by what they were computed from and how."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import BaseEstimator

from ageboost.features.networks import Network, file_stamp, get_network

_FILE_NAME = "features.sqlite"
# A row computed by another version of these may differ.
_PACKAGES = (
    *("ageboost", "dlib-bin", "face_recognition_models", "numpy", "onnxruntime"),
    *("opencv-python-headless", "Pillow"),
)
_WAIT_SECONDS = 60


class FeatureCache:
    """A table of keys and float32 arrays in one SQLite file, safe to share between processes.

    Parameters
    ----------
    folder : path
        Made if it does not exist. The file in it may be deleted at any time.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._path = Path(folder) / _FILE_NAME
        with self._connect() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, columns INTEGER, "
                "content BLOB)"
            )

    def get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Look up keys; those that are not there are left out.

        Parameters
        ----------
        keys : sequence of bytes

        Returns
        -------
        dict of bytes to ndarray of shape (n_faces, n_features), float32
        """
        with self._connect() as connection:
            marks = ",".join("?" * len(keys))
            rows = connection.execute(
                f"SELECT key, columns, content FROM features WHERE key IN ({marks})", keys
            ).fetchall()
        return {key: np.frombuffer(content, "<f4").reshape(-1, n) for key, n, content in rows}

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
        with self._connect() as connection:
            connection.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", rows)

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
    if params.get("device") == "cpu":
        # Rows that were stored before there was a choice.
        del params["device"]
    versions = [version(package) for package in _PACKAGES]
    return joblib.hash((type(part).__module__, type(part).__qualname__, params, versions))


def _settings(name: str, value: object) -> object:
    if name == "network" and isinstance(value, str):
        value = get_network(value)
    if isinstance(value, Network):
        weights = _weights_digest(value, file_stamp(value.weights))
        fields = {**value.__dict__, "weights": weights}
        return sorted(fields.items())
    if isinstance(value, str | os.PathLike) and os.path.isfile(value):
        return hashlib.sha256(Path(value).read_bytes()).hexdigest()
    return value


@lru_cache(maxsize=16)
def _weights_digest(network: Network, stamp: tuple[int, int] | None) -> str:
    return hashlib.sha256(network.read_weights()).hexdigest()
