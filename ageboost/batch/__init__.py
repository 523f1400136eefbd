"""Photos by the million: tables for the engines that people have, and shards for many machines."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
