"""Models: numbers to ages, the whole pipeline as one estimator, and the models that ship."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
