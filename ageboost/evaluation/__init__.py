"""Evaluation: how far ages are off, for whom, and protocols and figures that report it honestly."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
