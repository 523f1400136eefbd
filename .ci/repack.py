"""Write a source archive anew, so that the same sources always give the same bytes."""

import gzip
import io
import os
import sys
import tarfile


def repack(path: str, seconds: int) -> None:
    """Sort members; leave out when they were made, and by whom."""
    packed = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=packed, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            plain = tarfile.TarInfo(member.name)
            plain.type, plain.size, plain.mtime = member.type, member.size, seconds
            plain.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(plain, old.extractfile(member))
    with open(path, "wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=seconds) as zipped:
        zipped.write(packed.getvalue())


if __name__ == "__main__":
    repack(sys.argv[1], int(os.environ["SOURCE_DATE_EPOCH"]))
