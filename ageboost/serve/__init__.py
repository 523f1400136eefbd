"""The service at the till: checks and analyses over HTTP, a record of them, and pages to try it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
