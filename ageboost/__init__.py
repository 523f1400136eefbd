"""Estimate how old the people in photos are."""

__version__ = "0.1.0"
