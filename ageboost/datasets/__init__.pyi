from ._table import list_photos
from .appa_real import read_appa_real
from .fgnet import read_fgnet
from .final_files import read_final_files
from .known_collections import collections_of
from .labels_csv import read_csv
from .layouts import read_labels
from .shop import Shop, make_shop, make_till_photos
from .sources import read_sources
from .utkface import read_utkface

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
