"""Runs the command line, and writes down each photo that is decoded.

python benchmarks/_counted.py LOG predict PHOTOS --out TABLE
"""

import os
import signal
import sys

import ageboost.faces.detection as detection
from ageboost.cli import main


def count_photos(path: str) -> None:
    """Append the name of each photo that is decoded to a file: kept even if the run is killed."""
    load = detection.load_photo
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def counted(photo, **options):
        os.write(log, os.fsencode(photo) + b"\n")
        return load(photo, **options)

    detection.load_photo = counted


if __name__ == "__main__":
    # What a script has started in the background ignores Ctrl-C, and hands that on: here it counts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    count_photos(sys.argv.pop(1))
    main()
