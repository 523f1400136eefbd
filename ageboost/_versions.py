"""Versions of packages, also where another build of one is installed in its place."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

__all__ = ["package_version"]

# Distributions that bring the same module: for accelerators, or without what these need.
_BUILDS = {
    "dlib-bin": ("dlib",),
    "onnxruntime": ("onnxruntime-gpu",),
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python-headless"),
    "xgboost": ("xgboost-cpu",),
}


def package_version(package: str) -> str:
    """Return the version of a package, or of another build of it.

    Parameters
    ----------
    package : str

    Returns
    -------
    str

    Raises
    ------
    PackageNotFoundError
        If neither is installed.
    """
    for build in (package, *_BUILDS.get(package, ())):
        with suppress(PackageNotFoundError):
            return version(build)
    raise PackageNotFoundError(package)
