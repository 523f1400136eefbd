"""The zip that a model file is: a manifest, and the files that it names with size and checksum."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ageboost._files import replacing
from ageboost.errors import ModelFileError

__all__ = ["ESTIMATOR", "read_archive", "write_archive"]

ESTIMATOR = "estimator.skops"
_FORMAT = "ageboost model"
_FORMAT_VERSION = 3
# Those of 2 keep what is in the regressor on the estimator itself.
_READABLE_VERSIONS = (2, 3)
_MANIFEST = "manifest.json"
# A model is a few dozen megabytes; a file that claims more is broken or means harm.
_LARGEST_BYTES = 1_000_000_000
_LARGEST_MANIFEST = 10_000_000


def write_archive(path: Path, facts: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    path : Path
    facts : mapping
        What the manifest says besides the files.
    contents : mapping of str to bytes
        Each file by its name.
    """
    manifest = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        **facts,
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        },
    }
    with (
        replacing(path) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
        for name, content in contents.items():
            archive.writestr(name, content)


def read_archive(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Read a model file, and check that nothing is other than its manifest says.

    Parameters
    ----------
    path : Path

    Returns
    -------
    contents : dict of str to bytes
        Each file by its name.
    manifest : dict

    Raises
    ------
    ModelFileError
        If the file is damaged, of another format or too large.
    FileNotFoundError
        If there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no model file {str(path)!r}")
    contents, manifest = _read_contents(path)
    _check_sizes(contents[ESTIMATOR], path)
    return contents, manifest


def _read_contents(path: Path) -> tuple[dict[str, bytes], dict]:
    """Read every file that the manifest names, and check that nothing is other than it says."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_BYTES:
                raise ModelFileError(f"{path}: unpacks to more than {_LARGEST_BYTES:,} bytes")
            if _MANIFEST not in sizes:
                raise ModelFileError(f"{path}: not an ageboost model: it has no {_MANIFEST}")
            if sizes[_MANIFEST] > _LARGEST_MANIFEST:
                raise ModelFileError(
                    f"{path}: its {_MANIFEST} is larger than {_LARGEST_MANIFEST:,} bytes"
                )
            manifest = json.loads(archive.read(_MANIFEST))
            _check_manifest(manifest, path)
            listed = manifest["files"]
            if sorted(names) != sorted([_MANIFEST, *listed]) or ESTIMATOR not in listed:
                raise ModelFileError(f"{path}: its files are not those that its manifest names")
            contents = {}
            for name, facts in listed.items():
                if sizes[name] != facts["bytes"]:
                    raise ModelFileError(f"{path}: {name} is damaged: its size differs")
                contents[name] = content = archive.read(name)
                if hashlib.sha256(content).hexdigest() != facts["sha256"]:
                    raise ModelFileError(f"{path}: {name} is damaged: its checksum differs")
            return contents, manifest | {"versions": dict(manifest.get("versions", {}))}
    except ModelFileError:
        raise
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error) as error:
        raise ModelFileError(f"{path}: not an ageboost model, or damaged: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ModelFileError(f"{path}: its {_MANIFEST} is damaged: {error}") from error


def _check_manifest(manifest: dict, path: Path) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise ModelFileError(f"{path}: not an ageboost model")
    found = manifest.get("format_version")
    if found in _READABLE_VERSIONS:
        return
    writer = manifest.get("versions", {}).get("ageboost")
    if isinstance(found, int) and found > _FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: is of format {found}, which is newer than this version of ageboost reads "
            f"({_FORMAT_VERSION}): install ageboost {writer}, which wrote it, or a later one"
        )
    raise ModelFileError(
        f"{path}: is of format {found}, which this version of ageboost no longer reads: "
        f"train the model again, or load it with ageboost {writer}, which wrote it"
    )


def _check_sizes(content: bytes, path: Path) -> None:
    """Refuse an estimator whose own archive would not fit in memory."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            n_bytes = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, struct.error) as error:
        raise ModelFileError(f"{path}: {ESTIMATOR} cannot be read: {error}") from error
    if n_bytes > _LARGEST_BYTES:
        raise ModelFileError(f"{path}: {ESTIMATOR} unpacks to more than {_LARGEST_BYTES:,} bytes")
