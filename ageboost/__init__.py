"""Estimate how old the people in photos are.

``load_pretrained`` gives a model that is ready, ``AgeEstimator`` one that learns from your photos.
"""

import os

# Threads of OpenMP wait for each other by spinning, unless this is set before it is loaded. Beside
# other work each spins away the time that the one it waits for needs: fits take many times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
