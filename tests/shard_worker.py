"""One worker of several that write shards, with a model that is quick to load.

python shard_worker.py FOLDER PHOTOS SHARDS LEASE SECONDS_A_PHOTO
"""

import sys
import time
import zlib

import pandas as pd

from ageboost.batch import write_shards


class Clockwork:
    """Says of each photo what follows from its name; every seventh shows two faces, or none."""

    def __init__(self, seconds):
        self.seconds = seconds

    def analyze_batches(self, photos, *, coverage):
        for start in range(0, len(photos), 4):
            rows = []
            for photo in photos[start : start + 4]:
                time.sleep(self.seconds)
                kind = zlib.crc32(photo.encode()) % 7
                rows += [
                    (photo, face, 20 + kind / 7, "no face" if kind == 1 else "ok")
                    for face in range(1 + (kind == 0))
                ]
            yield pd.DataFrame(rows, columns=["photo", "face", "age", "status"])


def names(n_photos):
    return [f"till{number % 3}/{number:05}.jpg" for number in range(n_photos)]


if __name__ == "__main__":
    folder, n_photos, n_shards, lease, seconds = sys.argv[1:]
    write_shards(
        Clockwork(float(seconds)), names(int(n_photos)), folder, int(n_shards), lease=float(lease)
    )
