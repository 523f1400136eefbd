"""The two jobs of the shop: what each age group buys, and whether alcohol is sold to minors."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
