"""Models that ship, each with its card beside it."""
