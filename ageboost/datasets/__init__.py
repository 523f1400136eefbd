"""Readers of labelled photo collections: each gives one table with ``photo`` and ``age``.

And a made-up supermarket, of which it is known who bought what.
"""

from typing import TYPE_CHECKING

from ageboost._lazy import import_when_used

if TYPE_CHECKING:
    from ageboost.datasets._table import list_photos
    from ageboost.datasets.appa_real import read_appa_real
    from ageboost.datasets.fgnet import read_fgnet
    from ageboost.datasets.final_files import read_final_files
    from ageboost.datasets.known_collections import collections_of
    from ageboost.datasets.labels_csv import read_csv
    from ageboost.datasets.layouts import read_labels
    from ageboost.datasets.shop import Shop, make_shop, make_till_photos
    from ageboost.datasets.sources import read_sources
    from ageboost.datasets.utkface import read_utkface

__all__ = [
    "Shop",
    "collections_of",
    "list_photos",
    "make_shop",
    "make_till_photos",
    "read_appa_real",
    "read_csv",
    "read_fgnet",
    "read_final_files",
    "read_labels",
    "read_sources",
    "read_utkface",
]

import_when_used(__name__)
