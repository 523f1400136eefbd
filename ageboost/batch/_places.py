"""A folder that machines share, or a bucket: files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any, Protocol

from ageboost.errors import AgeboostError

__all__ = ["Place", "SharedPlaceError", "open_place"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class SharedPlaceError(AgeboostError, OSError):
    """Files cannot be shared there; the message says why, and what to do."""


class Place(Protocol):
    """Where machines leave files for each other."""

    def names(self) -> set[str]:
        """Names of the files that are there now."""

    def read(self, name: str) -> bytes | None:
        """Content of a file, or None if there is none."""

    def write(self, name: str, content: bytes, writer: str) -> None:
        """Write a file, or replace it; nobody sees half of it."""

    def create(self, name: str, content: bytes, writer: str) -> bool:
        """Write a file unless there is one; of several who try at once, one gets True."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


def open_place(where: str | os.PathLike[str]) -> Place:
    """Open a folder by its path, or a bucket by its address.

    Parameters
    ----------
    where : path or str
        A folder is made if its parent exists. What begins like ``s3://`` is left to fsspec.

    Returns
    -------
    Place

    Raises
    ------
    SharedPlaceError
        If fsspec, or its part for such an address, is not installed, or no folder can be made.
    """
    text = os.fspath(where)
    if not _URL.match(text):
        return _Folder(Path(text))
    try:
        import fsspec
    except ImportError as error:
        raise SharedPlaceError(
            f'{text!r}: an address needs fsspec: pip install "ageboost[dask]"'
        ) from error
    try:
        system, path = fsspec.core.url_to_fs(text, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise SharedPlaceError(f"{text!r}: {error}") from error
    if "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)):
        return _Folder(Path(path))
    return _Bucket(system, path)


class _Folder:
    """A folder of a file system, perhaps one that machines share."""

    def __init__(self, path: Path):
        self._path = path
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise SharedPlaceError(
                f"{str(path)!r}: no folder can be made there: {error.strerror or error}"
            ) from error

    def names(self) -> set[str]:
        return set(os.listdir(self._path))

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, writer: str) -> None:
        with self._beside(name, content, writer) as new:
            os.replace(new, self._path / name)

    def create(self, name: str, content: bytes, writer: str) -> bool:
        with self._beside(name, content, writer) as new:
            try:
                # A second name for a whole file: that fails if the name is taken.
                os.link(new, self._path / name)
            except FileExistsError:
                return False
            except OSError:
                return self._create_at_once(name, content)
        return True

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _beside(self, name: str, content: bytes, writer: str) -> Any:
        # Begins so that who reads the folder as one table passes over it.
        new = self._path / f"_{name.lstrip('_')}.{writer}.partial"
        try:
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield new
        finally:
            new.unlink(missing_ok=True)

    def _create_at_once(self, name: str, content: bytes) -> bool:
        """Where a file can have one name only, others may see this one before it is whole."""
        try:
            with (self._path / name).open("xb") as file:
                file.write(content)
        except FileExistsError:
            return False
        return True


class _Bucket:
    """A file system of fsspec, where a file appears when all of it has arrived."""

    def __init__(self, system: Any, path: str):
        self._system, self._path = system, path.rstrip("/")

    def names(self) -> set[str]:
        self._system.invalidate_cache()
        try:
            found = self._system.ls(self._path, detail=False)
        except FileNotFoundError:
            # Of a bucket, a folder is there once there is something in it.
            return set()
        return {path.rstrip("/").rsplit("/", 1)[-1] for path in found}

    def read(self, name: str) -> bytes | None:
        try:
            return self._system.cat_file(self._where(name))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, writer: str) -> None:
        self._system.pipe_file(self._where(name), content)

    def create(self, name: str, content: bytes, writer: str) -> bool:
        try:
            self._system.pipe_file(self._where(name), content, mode="create")
        except FileExistsError:
            return False
        return True

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._where(name))

    def _where(self, name: str) -> str:
        return f"{self._path}/{name}"
