"""Readers of labelled photo collections: each gives one table with ``photo`` and ``age``.

And a made-up supermarket, of which it is known who bought what.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
