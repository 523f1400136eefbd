"""Which files of a folder are photos, for commands and data sets alike, and which are left out."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PHOTO_SUFFIXES", "PhotoFolder", "scan_folder"]

PHOTO_SUFFIXES = frozenset(
    {
        *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heics", ".heif", ".hif", ".jfif", ".jpe"),
        *(".jpeg", ".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif"),
        *(".tiff", ".webp"),
    }
)
# What cameras write before they make a photo of it; a viewer would show the small preview inside.
_RAW_SUFFIXES = frozenset(
    {
        *(".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw"),
        *(".rw2", ".sr2", ".srw"),
    }
)
# Folders of previews, and of what archives made on a Mac hold beside every file.
_NOT_PHOTOS = frozenset({"__macosx", "@eadir", "thumbs", "thumbnails", "lost+found"})
_MOST_NAMED = 5


@dataclass(frozen=True)
class PhotoFolder:
    """What was found in a folder.

    Attributes
    ----------
    photos : list of str
        Paths, sorted; each begins with the folder as it was given.
    raw : list of str
        Photos in a camera's own format, which are not read.
    hidden : int
        How many files are hidden (their name, or that of a folder, begins with a dot), or are
        previews, or copies that a Mac adds to archives.
    others : dict of str to int
        How many files of other suffixes there are.
    """

    photos: list[str]
    raw: list[str]
    hidden: int
    others: dict[str, int]

    def left_out(self) -> str:
        """Say what was left out.

        Returns
        -------
        str
            Empty if that is nothing.
        """
        parts = []
        if self.raw:
            parts.append(f"{len(self.raw):,} raw photos of a camera (make JPEGs of them)")
        if self.hidden:
            parts.append(f"{self.hidden:,} hidden files or previews")
        if self.others:
            most = Counter(self.others).most_common(_MOST_NAMED)
            kinds = ", ".join(f"{n:,} {suffix or 'without a suffix'}" for suffix, n in most)
            parts.append(f"{sum(self.others.values()):,} files that are not photos ({kinds})")
        return "; ".join(parts)


def scan_folder(folder: str | os.PathLike[str], *, deep: bool = True) -> PhotoFolder:
    """Find the photos in a folder.

    Links to folders are not followed, so that links in circles end.

    Parameters
    ----------
    folder : path
    deep : bool, default=True
        Whether to look into folders inside it.

    Returns
    -------
    PhotoFolder

    Raises
    ------
    FileNotFoundError
        If there is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ageboost.folders import scan_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.HEIC", "a.jpg", "._a.jpg", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     found = scan_folder(folder)
    >>> [Path(photo).name for photo in found.photos], found.left_out()
    (['a.jpg', 'b.HEIC'], '1 hidden files or previews; 1 files that are not photos (1 .txt)')
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"no folder {os.fspath(folder)!r}")
    photos: list[Path] = []
    raw: list[str] = []
    others: Counter[str] = Counter()
    hidden = 0
    for where, folders, names in os.walk(folder):
        inside = os.path.relpath(where, folder).split(os.sep)
        is_hidden = any(_is_hidden(part) for part in inside if part != ".")
        if not deep:
            folders.clear()
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if is_hidden or _is_hidden(name):
                hidden += 1
            elif suffix in _RAW_SUFFIXES:
                raw.append(os.path.join(where, name))
            elif suffix not in PHOTO_SUFFIXES:
                others[suffix] += 1
            elif _is_file(path := Path(where, name)):
                photos.append(path)
    return PhotoFolder([str(path) for path in sorted(photos)], sorted(raw), hidden, dict(others))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _NOT_PHOTOS or name.lower() == "thumbs.db"


def _is_file(path: Path) -> bool:
    """Whether it is a file; links in circles are none."""
    try:
        return path.is_file()
    except (OSError, ValueError, RuntimeError):
        return False
