"""Handlers in Python: how they are written and loaded, and how they get their arguments."""
