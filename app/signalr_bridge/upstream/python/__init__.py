"""Handlers in Python: how they are written, loaded, and given their arguments."""
